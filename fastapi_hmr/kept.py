"""Values that are made once per process and carried over reloads: the store behind `hot.keep`."""

import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, Protocol, Self

type Factory = Callable[[], Any]
type Disposal = tuple[str, Callable[[], object]]
"""What is to be called, and how to speak of it where that fails."""
type Kind = Literal["import", "startup", "request"]
"""When a module asks: while it is imported, while the app starts, or later."""

born: ContextVar[tuple[int, Kind]] = ContextVar("fastapi_hmr_born")
"""The reload that a task, a thread or a socket comes from, and whether from the import or from the app's life."""
making: ContextVar[bool] = ContextVar("fastapi_hmr_making", default=False)
"""Whether a factory is making a value here: what it starts lives as long as the value."""

_COROUTINE = 0x80  # inspect.CO_COROUTINE; importing inspect is not free


class Record(Protocol):
    """What a factory touched while it ran; the dev server gives a `Touched`."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def changed(self, subject: object = ..., /) -> str | None:
        """Why the factory (here it is again, if known) would not make the same today; None where it would."""

    def accept(self) -> None:
        """The modules of the last `changed` are here to stay."""


class Kept:
    """One value, how it was made, and who asked for it when."""

    __slots__ = ("askers", "code", "dispose", "is_async", "namespace", "offered", "record", "value", "verified")

    def __init__(self, value: Any, ask: "Ask", record: Record | None) -> None:
        self.value, self.record, self.dispose = value, record, ask.dispose
        self.offered = ask.dispose
        """The `dispose` of the last who asked: the one to use if the reload under way works."""
        self.code = getattr(ask.factory, "__code__", None)
        self.namespace = id(ask.namespace)
        self.is_async = False
        self.verified = -1
        self.askers: dict[str, dict[Kind, int]] = {}

    def gone(self, number: int, replaced: Collection[str], *, carried: bool) -> bool:
        """Whether nobody asks for it any more, as far as that can be known."""
        return all(
            module not in sys.modules
            or all(self._over(kind, at, module, number, replaced, carried) for kind, at in asks)
            for module, asks in ((module, asked.items()) for module, asked in self.askers.items())
        )

    @property
    def comes_back(self) -> bool:
        """Whether all who ask do so each time they need it, and so get a new value where this one is gone."""
        return all(kind == "request" for asked in self.askers.values() for kind in asked)

    @staticmethod
    def _over(kind: Kind, at: int, module: str, number: int, replaced: Collection[str], carried: bool) -> bool:
        if at == number or kind == "request":
            return False  # a request may come again
        return module in replaced if kind == "import" else not carried


class Slot:
    """The place of one key: what is kept there, and what a failed reload goes back to."""

    __slots__ = ("committed", "kept", "key", "lock", "making", "reason", "turn")

    def __init__(self, key: str) -> None:
        self.key = key
        self.kept: Kept | None = None
        self.committed: Kept | None = None
        self.reason: str | None = None
        self.lock = threading.RLock()
        self.making = False
        self.turn: tuple[Any, Any] | None = None

    def async_lock(self) -> Any:
        """The lock of the running loop (in production there may be several, one after the other)."""
        import asyncio

        loop = asyncio.get_running_loop()
        if self.turn is None or self.turn[0] is not loop:
            self.turn = (loop, asyncio.Lock())
        return self.turn[1]


class Ask:
    """One call of `hot.keep`."""

    __slots__ = ("dispose", "factory", "key", "module", "namespace")

    def __init__(self, key: str, factory: Factory, dispose: Any, namespace: dict[str, Any]) -> None:
        self.factory, self.dispose, self.namespace = factory, dispose, namespace
        self.module = str(namespace.get("__name__"))
        self.key = key if "." in key else f"{self.module}:{key}"

    @property
    def text(self) -> str:
        """The key as the caller wrote it."""
        return self.key.removeprefix(f"{self.module}:")


class Values:
    """All kept values. `number` counts reloads; a value found unchanged is not looked at again until the next."""

    def __init__(self) -> None:
        self.recorder: Callable[[object, str], Record] | None = None
        self.kind: Kind = "request"
        self.number = 0
        self.trash: list[Disposal] = []
        self._slots: dict[str, Slot] = {}

    def keep(self, ask: Ask) -> Any:
        """The value, or an awaitable of it where the factory is async."""
        slot = self._slots.setdefault(ask.key, Slot(ask.text))
        kept = slot.kept
        if kept is not None and kept.verified == self.number:
            if kept.namespace == id(ask.namespace) and kept.code is not getattr(ask.factory, "__code__", None):
                raise ValueError(
                    f"hot.keep: the key {ask.text!r} has two factories in {ask.module}: give each a key of its own"
                )
            self._asked(kept, ask)
        elif _is_coroutine_function(ask.factory):
            return self._keep_async(slot, ask, None)
        else:
            with slot.lock:
                kept = self._valid(slot, ask)
                if kept is None:
                    return self._make(slot, ask)
        return _ready(kept.value) if kept.is_async else kept.value

    def _make(self, slot: Slot, ask: Ask) -> Any:
        if slot.making:
            raise RuntimeError(
                f"hot.keep: the factory of {slot.key!r} asks for {slot.key!r} itself: call what makes it"
            )
        slot.making = True
        record = self._record(slot, ask)
        try:
            with _making(record):
                value = ask.factory()
        finally:
            slot.making = False
        if hasattr(type(value), "__await__"):
            return self._keep_async(slot, ask, (value, record))
        self._set(slot, Kept(value, ask, record), ask)
        return value

    async def _keep_async(self, slot: Slot, ask: Ask, begun: tuple[Any, Record | None] | None) -> Any:
        async with slot.async_lock():
            kept = self._valid(slot, ask)
            if kept is not None:
                if begun is not None and hasattr(begun[0], "cr_code"):
                    begun[0].close()  # somebody else was first, and nobody will run this coroutine
                return kept.value
            record = self._record(slot, ask) if begun is None else begun[1]
            with _making(record):
                value = await (ask.factory() if begun is None else begun[0])
            kept = Kept(value, ask, record)
            kept.is_async = True
            self._set(slot, kept, ask)
            return value

    def _record(self, slot: Slot, ask: Ask) -> Record | None:
        return None if self.recorder is None else self.recorder(ask.factory, f"the factory of {slot.key!r}")

    def _valid(self, slot: Slot, ask: Ask) -> Kept | None:
        """What is kept, if it still is what the factory would make."""
        kept = slot.kept
        if kept is None:
            return None
        if kept.verified != self.number:
            reason = None if kept.record is None else kept.record.changed(ask.factory)
            if reason is not None:
                slot.reason = reason
                return None
            kept.verified, kept.code, kept.namespace = (
                self.number,
                getattr(ask.factory, "__code__", None),
                id(ask.namespace),
            )
            kept.offered = ask.dispose
        self._asked(kept, ask)
        return kept

    def _set(self, slot: Slot, kept: Kept, ask: Ask) -> None:
        slot = self._slots.setdefault(ask.key, slot)  # a reload may have failed while an async factory ran
        kept.verified = self.number
        if slot.kept is not slot.committed or self.kind == "request":
            self._discard(slot.key, slot.kept)
        slot.kept = kept
        if self.kind == "request":
            slot.committed = kept
        self._asked(kept, ask)

    def _asked(self, kept: Kept, ask: Ask) -> None:
        kept.askers.setdefault(ask.module, {})[self.kind] = self.number

    def commit(self, replaced: Collection[str], *, carried: bool) -> Iterator[str]:
        """Values made anew take the place of the old ones, and what nobody wants goes; yields lines for people."""
        for key, slot in list(self._slots.items()):
            old, kept = slot.committed, slot.kept
            if kept is not old:
                if old is not None:
                    yield f"hot.keep: {slot.key!r} made anew: {slot.reason}"
                    self._discard(slot.key, old)
                slot.committed = kept
            elif kept is not None:
                reason = self._left_behind(kept, replaced, carried=carried)
                if reason is not None:
                    yield f"hot.keep: {slot.key!r} let go: {reason}"
                    self._discard(slot.key, kept)
                    del self._slots[key]
                    continue
            if kept is not None:
                kept.dispose = kept.offered
                if kept.record is not None:
                    kept.record.accept()

    def _left_behind(self, kept: Kept, replaced: Collection[str], *, carried: bool) -> str | None:
        if kept.gone(self.number, replaced, carried=carried):
            return "nothing asks for it any more"
        if kept.verified == self.number or kept.record is None:
            return None
        reason = kept.record.changed()  # the factory itself is compared when somebody comes with it
        return reason if kept.comes_back else None

    def rollback(self) -> None:
        """What was made since the last commit goes, what was there before is back."""
        for key, slot in list(self._slots.items()):
            if slot.kept is not slot.committed:
                self._discard(slot.key, slot.kept)
                slot.kept = slot.committed
            if slot.kept is not None:
                slot.kept.offered = slot.kept.dispose
            if slot.kept is None and not slot.making:
                del self._slots[key]

    def clear(self) -> None:
        """Everything goes."""
        self.rollback()
        for slot in self._slots.values():
            self._discard(slot.key, slot.kept)
        self._slots.clear()

    def _discard(self, key: str, kept: Kept | None) -> None:
        if kept is not None and kept.dispose is not None:
            dispose, value = kept.dispose, kept.value
            self.trash.append((f"hot.keep: dispose of {key!r}", lambda: dispose(value)))


def _is_coroutine_function(factory: Any) -> bool:
    code = getattr(getattr(factory, "func", factory), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


@contextmanager
def _making(record: Record | None) -> Iterator[None]:
    token = making.set(True)
    try:
        if record is None:
            yield
        else:
            with record:
                yield
    finally:
        making.reset(token)


async def _ready(value: Any) -> Any:
    return value
