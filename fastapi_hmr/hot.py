"""What an app may ask of the dev server: keep a value over reloads, and be told of them; inert in production."""

import os
import sys
from collections.abc import Awaitable, Callable, Collection
from typing import Any, overload

from fastapi_hmr.kept import Ask, Disposal, Record, Values, born

__all__ = ["after_reload", "before_reload", "data", "keep", "on_dispose"]

CALLBACK_S = 10.0
"""How long a callback may take before the reload goes on without it."""

type Callback = Callable[[], object]

data: dict[str, Any]
"""A dict for each module that asks, and the same one after the module has run again."""

_NOTHING: Any = object()


@overload
def keep[T](
    key: str, factory: Callable[[], Awaitable[T]], *, dispose: Callable[[T], object] | None = None
) -> Awaitable[T]: ...
@overload
def keep[T](key: str, factory: Callable[[], T], *, dispose: Callable[[T], object] | None = None) -> T: ...
def keep(key: str, factory: Callable[[], Any], *, dispose: Callable[[Any], object] | None = None) -> Any:
    """The value of `factory()`, made once per process and carried over reloads.

    It is made anew when the factory's code, or what it ran or read, has changed; the old value then goes to
    `dispose` once the new version of the app serves.  An async factory makes the result awaitable.

    A key belongs to the calling module; one with a dot in it ("myapp.model") is the same for every module.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - documented CPython; the only way to know who calls
    return host.values.keep(Ask(key, factory, dispose, frame.f_globals))


def on_dispose[F: Callback](function: F) -> F:
    """Call `function` (sync or async) when the calling module has been replaced, or the server ends."""
    return host.register("on_dispose", function, sys._getframe(1).f_globals)  # noqa: SLF001 - as above


def before_reload[F: Callback](function: F) -> F:
    """Call `function` (sync or async) before each reload, while the old version still serves."""
    return host.register("before_reload", function, sys._getframe(1).f_globals)  # noqa: SLF001 - as above


def after_reload[F: Callback](function: F) -> F:
    """Call `function` (sync or async) after each reload; where the new version failed, when the old one goes on."""
    return host.register("after_reload", function, sys._getframe(1).f_globals)  # noqa: SLF001 - as above


def __getattr__(name: str) -> Any:
    if name == "data":
        module = str(sys._getframe(1).f_globals.get("__name__"))  # noqa: SLF001 - as above
        return host.data.setdefault(module, {})
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Registration:
    """A callback, and the module and reload that it came with."""

    __slots__ = ("function", "kind", "module", "number")

    def __init__(self, kind: str, function: Callback, module: str, number: int) -> None:
        self.kind, self.function, self.module, self.number = kind, function, module, number

    def disposal(self) -> Disposal:
        """How it is called, and how to speak of it."""
        name = getattr(self.function, "__qualname__", repr(self.function))
        return (f"hot.{self.kind}: {name}() of {self.module}", self.function)


class Host:
    """The dev server's side: it says when modules run, and what became of them.

    `open`, then for each reload `begin`, `built` and `commit`, or `rollback` after any of them; `close` at the end.
    Before `open` everything is inert.
    """

    def __init__(self) -> None:
        self.values = Values()
        self.data: dict[str, dict[str, Any]] = {}
        self._report: Callable[[str, BaseException], None] = _ignore
        self._limit: Callable[[float], Callable[[], object]] = lambda _seconds: _nothing
        self._active = False
        self._callbacks: list[_Registration] = []
        self._base = 0  # the reload that serves: what is newer belongs to the one under way
        self._under_way = self._announced = False
        self.serving = 0
        """The reload whose modules serve; 0 before the first."""
        self.started = 0
        """The reload whose lifespan runs: an older one where that was carried over."""
        self._data_before: dict[str, dict[str, Any]] = {}
        self._data_undo: list[tuple[str, Any, Any, Any]] | None = None

    def open(
        self,
        *,
        record: Callable[[object, str], Record],
        report: Callable[[str, BaseException], None],
        limit: Callable[[float], Callable[[], object]] = lambda _seconds: _nothing,
    ) -> None:
        """The dev server starts. Values made before, by a script's own run of its modules, are let go.

        `record(factory, name)` makes the record of a call; `report(text, error)` tells of a callback that failed;
        `limit(seconds)` ends one that blocks the event loop for so long, unless what it returns is called before.
        """
        os.environ["FASTAPI_HMR"] = "1"
        self._report, self._limit, self._active = report, limit, True
        self.serving = self.started = 0
        self.values.clear()
        self.values.recorder = record
        self.data.clear()

    def begin(self) -> None:
        """Modules are about to run. Called again before another attempt at the same reload."""
        if self._under_way:
            self._undo_data()
            self._drop([known for known in self._callbacks if known.number > self._base])
        self._under_way = True
        self._data_before = {module: dict(values) for module, values in self.data.items()}
        self._data_undo = None
        self.values.number += 1
        self.values.kind = "import"
        born.set((self.values.number, "import"))

    async def built(self) -> None:
        """The new modules are there, and the old version is about to be replaced."""
        self.values.kind = "startup"
        born.set((self.values.number, "startup"))
        self._data_undo = self._data_changes()
        self._announced = self.serving > 0
        if self._announced:
            await self._announce("before_reload", [known for known in self._callbacks if known.number <= self._base])

    async def commit(self, replaced: Collection[str], *, carried: bool = False) -> tuple[str, ...]:
        """The new version serves, and the modules `replaced` are history; returns lines for the terminal.

        `carried`: the lifespan of the old version went on instead of being started again.
        """
        notes = tuple(self.values.commit(replaced, carried=carried))
        self._drop(
            [
                known
                for known in self._callbacks
                if known.number <= self._base and (known.module in replaced or known.module not in sys.modules)
            ]
        )
        self.serving = self.values.number
        if not carried:
            self.started = self.serving
        await self._end()
        return notes

    async def rollback(self) -> None:
        """The reload came to nothing: what it kept and registered goes, what was there before is back."""
        if self._under_way:
            self._undo_data()
            self._drop([known for known in self._callbacks if known.number > self._base])
            self.values.rollback()
            await self._end()

    async def close(self) -> None:
        """The server ends: everything that was kept or registered is disposed."""
        self._drop(list(self._callbacks))
        self.values.clear()
        await self._empty_trash()
        self._active, self.values.recorder = False, None
        os.environ.pop("FASTAPI_HMR", None)

    def register[F: Callback](self, kind: str, function: F, namespace: dict[str, Any]) -> F:
        """A module wants to be called."""
        if self._active:
            self._callbacks.append(_Registration(kind, function, str(namespace.get("__name__")), self.values.number))
        return function

    async def _end(self) -> None:
        self._base = self.values.number
        self._under_way, announced, self._announced = False, self._announced, False
        self.values.kind = "request"
        born.set((self.serving, "startup"))  # where the old version starts again after a failure
        self._data_before, self._data_undo = {}, None
        await self._empty_trash()
        if announced:
            await self._announce("after_reload", self._callbacks)

    def _drop(self, callbacks: list[_Registration]) -> None:
        """Their modules are history; what they wanted to dispose is disposed, last first."""
        self._callbacks = [known for known in self._callbacks if known not in callbacks]
        self.values.trash += [known.disposal() for known in reversed(callbacks) if known.kind == "on_dispose"]

    async def _empty_trash(self) -> None:
        trash, self.values.trash = self.values.trash, []
        for what, function in trash:
            await self._call(what, function)

    async def _announce(self, kind: str, callbacks: list[_Registration]) -> None:
        for known in [known for known in callbacks if known.kind == kind]:
            await self._call(*known.disposal())

    async def _call(self, what: str, function: Callback) -> None:
        import asyncio

        over = self._limit(CALLBACK_S)
        try:
            result: Any = function()
            if hasattr(type(result), "__await__"):
                async with asyncio.timeout(CALLBACK_S):
                    await result
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._report(f"{what} failed", error)
        except BaseException as error:  # noqa: BLE001 - a callback that wants to exit must not end the server
            self._report(f"{what} failed", error)
        finally:
            over()

    def _data_changes(self) -> list[tuple[str, Any, Any, Any]]:
        """What the new modules did to `data`: module, key, old and new value."""
        return [
            (module, key, then, now)
            for module, values in self.data.items()
            for key in {**values, **self._data_before.get(module, {})}
            if (now := values.get(key, _NOTHING)) is not (then := self._data_before.get(module, {}).get(key, _NOTHING))
        ]

    def _undo_data(self) -> None:
        """Take that back, less what somebody has set since."""
        for module, key, then, now in self._data_changes() if self._data_undo is None else self._data_undo:
            values = self.data[module]
            if values.get(key, _NOTHING) is not now:
                continue
            if then is _NOTHING:
                del values[key]
            else:
                values[key] = then


def _nothing() -> None:
    pass


def _ignore(_text: str, _error: BaseException) -> None:
    """Nobody to report to: the server has not started."""


host = Host()
