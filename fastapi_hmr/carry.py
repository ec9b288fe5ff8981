"""Carries a running lifespan over to the next app, where nothing that its startup touched has changed."""

import sys
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from fastapi_hmr import workers
from fastapi_hmr.codes import Token, nested
from fastapi_hmr.facts import Look, closure, content, functions_in, is_a
from fastapi_hmr.touched import Touched

_MERGED = "_merge_lifespan_context.<locals>.merged_lifespan"
_PASSES_ON = frozenset(
    (
        "FastAPI.__call__",
        "FastAPI.build_middleware_stack",
        "Starlette.__call__",
        "Starlette.build_middleware_stack",
        "_DefaultLifespan.__call__",
        "_wrap_gen_lifespan_context.<locals>.wrapper",
        _MERGED,
    )
)
"""Functions of FastAPI and Starlette that get every app at every start, and learn nothing of it."""
_FRAMEWORKS = ("fastapi", "starlette")
_MOVED = frozenset(("state", "hmr"))
_SET_BY_STARTING = frozenset(("state", "router", "middleware_stack"))


class Carry:
    """One startup, watched: `watch(asgi)` is to be started in place of the app.

    Once it has answered, `refusal(app)` says why the running lifespan can't serve another app, and `hand_over(app)` makes it do so.
    """

    def __init__(
        self, app: Any, owns: Callable[[str], bool], pin: Callable[[Iterable[CodeType]], None] = lambda _: None
    ) -> None:
        """`owns` says of a source file whether it is first-party; `pin` is `Touched`'s."""
        self._owns = owns
        self.app = app
        """The app that the lifespan runs for."""
        self.apps = [_reference(app)]
        self._unfit = _unfit(app)
        self._touched = Touched(owns, watched=app, pin=pin)
        self._imported: dict[str, Any] = {}
        self._shape: dict[str, Any] = {}
        self._mounted: dict[int, tuple[int, ...] | None] = {}
        self._repeats = False
        self._filled: list[Any] = []
        self._reads: dict[str, Token] = {}
        self._watching = False

    def watch(self, asgi: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """The same app for its lifespan only, with its startup watched."""

        async def lifespan(scope: Any, receive: Any, send: Any) -> None:
            async def notice(message: Any) -> None:
                if message["type"].startswith("lifespan.startup."):
                    self._stop()
                await send(message)

            self._start()
            try:
                await asgi(scope, receive, notice)
            finally:
                self._stop()

        return lifespan

    def repeats(self, earlier: "Carry") -> None:
        """The app is the one that `earlier` has started before, and what that set is still there."""
        self._repeats = True
        self._imported, self._shape, self._mounted = earlier.fresh

    @property
    def fresh(self) -> tuple[dict[str, Any], dict[str, Any], dict[int, tuple[int, ...] | None]]:
        """The app's state, its shape and the state of what is mounted in it, before anything started it."""
        return self._imported, self._shape, self._mounted

    def _start(self) -> None:
        if self._unfit is None:
            self._watching = True
            if not self._repeats:
                self._imported = dict(_state(self.app))
                self._shape, self._mounted = _shape(self.app), _mounted_state(self.app)
            self._touched.about(_lifespans(self.app), "the choice of lifespans").start()

    def _stop(self) -> None:
        if not self._watching:
            return
        self._watching = False
        self._touched.stop()
        self._unfit = self._spoilt()
        self._reads = self._described(self.app)
        now = _mounted_state(self.app)
        self._filled = [app for app in _mounted(self.app) if now.get(id(app)) != self._mounted.get(id(app))]

    def refusal(self, app: Any) -> str | None:
        """Why the lifespan has to be started anew for `app`; None where it can go on."""
        reason = self._unfit or _unfit(app)
        if reason is not None:
            return reason
        if workers.alive():
            return "worker processes have the old code"
        if type(app).__qualname__ != type(self.app).__qualname__:
            return f"the app is a {type(app).__qualname__} now"
        reason = self._touched.changed(_lifespans(app))
        if reason is not None:
            return reason
        now = self._described(app)
        for name, token in self._reads.items():
            if now.get(name) != token:
                return f"the startup reads app.{name}, which may have changed"
        mounted = _mounted(app)
        if not all(any(known is each for each in mounted) for known in self._filled):
            return "the startup set the state of a mounted app, which was made anew"
        return None

    def hand_over(self, app: Any) -> None:
        """Let the lifespan go on for `app`: its state moves there, and the apps before become the new one."""
        self._touched.accept()
        before, shared, fresh = self._imported, _state(self.app), dict(_state(app))
        for name, value in before.items():
            if name not in fresh and shared.get(name) is value:
                del shared[name]
        for name, value in fresh.items():
            if name not in shared or (name in before and shared[name] is before[name]):
                shared[name] = value
        object.__setattr__(app.state, "_state", shared)
        self._imported, self.app = fresh, app
        self._shape, self._mounted = _shape(app), _mounted_state(app)
        # What the startup gave the app to (a client, a task) now sees the new routes and the new state.
        for reference in self.apps:
            old = reference()
            if old is not None:
                old.__dict__ = vars(app)
        self.apps = [reference for reference in (*self.apps, _reference(app)) if reference() is not None]

    def patched(self) -> None:
        """Functions were given new code in place: what the lifespan made has it too, so that is what counts from now."""
        if self._unfit is None and self._touched.changed() is None:
            self._touched.accept()

    def _spoilt(self) -> str | None:
        """What happened while starting that no other app can be given."""
        for name, found in _shape(self.app).items():
            if self._shape.get(name) != found:
                return f"the startup changes app.{name}"
        for module, name in sorted(self._touched.strangers):
            package = module.partition(".")[0]
            if package in _FRAMEWORKS and name in _PASSES_ON:
                continue
            if package not in sys.stdlib_module_names:
                return f"{module}.{name}() got the app while starting, and may have kept what it found"
        return None

    def _described(self, app: Any) -> dict[str, Token]:
        """What the startup may have read of the app."""
        look = Look(self._owns)
        attributes = vars(app)
        return {
            name: look.describe(attributes[name])
            for name in self._touched.handed
            if name in attributes and name not in _MOVED
        }


def _reference(app: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(app)
    except TypeError:
        return lambda: app


def _unfit(app: Any) -> str | None:
    """Why an app's lifespan is not one that can be carried over."""
    router = getattr(app, "router", None)
    if not hasattr(router, "lifespan_context") or not hasattr(app, "user_middleware"):
        return f"the app is a {type(app).__qualname__}, not a FastAPI or Starlette app"
    if not isinstance(getattr(getattr(app, "state", None), "_state", None), dict):
        return "app.state is not Starlette's"
    for middleware in app.user_middleware:
        cls: Any = getattr(middleware, "cls", None)
        if not str(getattr(cls, "__module__", "")).startswith(_FRAMEWORKS) and _speaks_lifespan(cls):
            return f"the middleware {cls.__qualname__} takes part in the lifespan"
    return None


def _speaks_lifespan(cls: Any) -> bool:
    functions = [cls] if not isinstance(cls, type) else [value for base in cls.__mro__ for value in vars(base).values()]
    return any(
        isinstance(const, str) and const.startswith("lifespan")
        for value in functions
        for function in functions_in(value)
        for code in nested(function.__code__)
        for const in code.co_consts
    )


def _state(app: Any) -> dict[str, Any]:
    return vars(app.state)["_state"]  # type: ignore[no-any-return]  # Starlette's, checked by _unfit


def _lifespans(app: Any) -> list[Any]:
    """Everything that the app calls to start and to stop, in order."""
    router = app.router
    return [
        list(_parts(router.lifespan_context)),
        list(getattr(router, "on_startup", ())),
        list(getattr(router, "on_shutdown", ())),
        vars(app).get("_telemetry"),
    ]


def _parts(lifespan: Any) -> Iterator[Any]:
    """The lifespans that FastAPI has merged into one, less those that do nothing."""
    merged = vars(lifespan).get("__wrapped__") if is_a(lifespan, FunctionType) else None
    if merged is not None and merged.__qualname__ == _MERGED and str(merged.__module__).startswith(_FRAMEWORKS):
        for each in closure(merged):
            yield from _parts(each)
    elif type(lifespan).__name__ == "_DefaultLifespan":
        router = vars(lifespan).get("_router")
        yield from getattr(router, "on_startup", ())
        yield from getattr(router, "on_shutdown", ())
    else:
        yield lifespan


def _shape(app: Any) -> dict[str, Any]:
    """The app's own attributes and its router's, by identity, with what their containers hold."""
    found: dict[str, Any] = {}
    for owner, prefix in ((app, ""), (app.router, "router.")):
        for name, value in vars(owner).items():
            if prefix or name not in _SET_BY_STARTING:
                found[prefix + name] = (id(value), content(value))
    return found


def _mounted(app: Any) -> list[Any]:
    """The apps with a state of their own that are mounted in this one."""
    found = []
    for route in app.router.routes:
        inner = getattr(route, "app", None)
        if hasattr(inner, "router") and isinstance(getattr(getattr(inner, "state", None), "_state", None), dict):
            found += [inner, *_mounted(inner)]
    return found


def _mounted_state(app: Any) -> dict[int, tuple[int, ...] | None]:
    return {id(inner): content(_state(inner)) for inner in _mounted(app)}
