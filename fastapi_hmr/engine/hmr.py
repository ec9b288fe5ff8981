"""The one door to hmr (`reactivity`): the module object, its load computation, and who read which name.

Ledger of what is used beyond hmr's documented API.  Last version checked: 0.7.6.3; unchanged since 0.7.3.
Each entry has a test of the same number in tests/test_hmr_contract.py.

 1. `reactivity.hmr.core.ReactiveModule`, `__init__(file, namespace, name)`: the base of our module objects.
    Goes when hmr documents a module class.
 2. its attributes `_ReactiveModule__namespace`, `__namespace_proxy`, `__hooks`, `__file`, `__is_initialized`,
    `__flags`: our class gives them slots, so that they do not stand among the user's globals.
 3. `_ReactiveModule__load`: hmr's load computation; ours takes its place, because it runs code in a fresh
    namespace and lets errors through.
 4. the properties `load`, `file` and `register_dispose_callback`: hmr's own code reads them from our objects.
 5. `ReactiveModule.instances`: filled by hmr's `__init__`, read by hmr's `on_dispose`; hidden from users.
 6. `NamespaceProxy._keys`: the `Name` signal for each name of a module, made at the first read. Goes when a signal can
    be had by name. The proxy is made empty and then given our namespace, `_data` and `raw`; of its `module` it asks
    nothing but `load`, so that it gets the load computation itself instead of an object that looks who asks.
 7. `Subscribable.subscribers`: a read becomes an edge of the graph, put in here and in 8 as `track()` does, without
    the copy of the stack that it makes each time; we walk the edges ourselves, iteratively, because hmr's own
    notification recurses over the graph.
 8. `BaseComputation.dependencies`, `.dispose()`, `.reactivity_loss_strategy` (0.7.3 has none yet): read, and cut
    at commit.
 9. `Derived(fn, context=)` and `.dirty`: the load computation. We enter it ourselves rather than call it, so
    that importing costs no more Python frames than a cold start does (chains of 200 modules).
10. `HMR_CONTEXT.leaf.current_computations`, `.fork()`, `.async_execution_context`: the running computation.
    Forked for the outermost import, so that reads in other threads and tasks are not taken for the module's.
11. `reactivity.hmr.fs.fs_signals`, `track`: data files opened while importing. Not its `setup_fs_audithook`: each
    audit hook is called for a dozen events in every request.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import Token
from pathlib import Path
from threading import get_ident
from types import ModuleType
from typing import Any, Final, Protocol, cast

from reactivity.hmr import fs
from reactivity.hmr._common import HMR_CONTEXT
from reactivity.hmr.core import ReactiveModule
from reactivity.primitives import Derived

HMR = "reactivity.hmr"
PRIVATE = "_ReactiveModule__"
MISSING: Final = object()


class Observer(Protocol):
    """Who wants to know about reads and writes of module attributes while something is imported."""

    def on_read(self, module: "Module", name: str, value: object) -> None:
        """`module.name` was read; `value` is MISSING where it does not exist."""

    def on_write(self, module: "Module", name: str, value: object) -> None:
        """`module.name` is about to be set or deleted from outside."""


class Load(Derived[None]):
    """A module's load computation: what its subscriptions in hmr's graph belong to."""

    def __init__(self, name: str) -> None:
        super().__init__(_already_loaded, context=HMR_CONTEXT)
        self.name = name
        self.reactivity_loss_strategy = "ignore"  # a module that reads nothing is no mistake

    @property
    def load(self) -> "Load":
        """For hmr's proxy of the module's namespace, which asks its module for this."""
        return self


class SourceFile(Path):
    """The path of a module's file, resolved already: hmr resolves each again, asking the disk for every directory."""

    def resolve(self, strict: bool = False) -> "SourceFile":  # noqa: ARG002 - Path's own signature
        """Itself."""
        return self


def _already_loaded() -> None:
    """What hmr may call when it finds a load computation dirty: modules run in their loader, never here."""


class _Hidden:
    """Lets hmr reach `ReactiveModule.instances` on the class, and users a name of their own on the module."""

    def __get__(self, instance: object, owner: object) -> Any:
        if instance is None:
            return vars(ReactiveModule)["instances"]
        raise AttributeError("instances")


def _asked_by_hmr() -> bool:
    """Whether hmr's own code is asking (the frame above ours may be the tracking `__getattribute__`)."""
    frame = sys._getframe(2)
    if frame.f_code is _tracking_getattribute.__code__ and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals.get("__package__") == HMR


class Module(ReactiveModule):
    """hmr's module object on the namespace of a plain module.

    The namespace is the object's real `__dict__`, so that reading an attribute costs what it costs on any object;
    while something is being imported, `watch` puts a tracking `__getattribute__` in place.
    """

    __slots__ = (
        "_ReactiveModule__file",
        "_ReactiveModule__flags",
        "_ReactiveModule__hooks",
        "_ReactiveModule__is_initialized",
        "_ReactiveModule__namespace",
        "_ReactiveModule__namespace_proxy",
        "_fastapi_hmr_load",
    )
    instances = _Hidden()
    __getattribute__ = object.__getattribute__  # replaced while tracking

    def __init__(self, name: str, file: SourceFile) -> None:
        load = Load(name)
        object.__setattr__(self, "_fastapi_hmr_load", load)
        super().__init__(file, {}, name)
        proxy, ns = _proxy(self), namespace(self)
        object.__setattr__(self, PRIVATE + "namespace", ns)
        proxy._data = proxy.raw = ns
        proxy.module = load

    def __getattr__(self, name: str) -> Any:
        ns = namespace(self)
        value = ns.get(name, MISSING)  # found: a user's global that has the name of one of hmr's properties
        if name not in STATIC and _observer is not None and get_ident() == _thread:
            _observer.on_read(self, name, value)
        if value is not MISSING:
            return value
        hook = ns.get("__getattr__")
        if hook is not None:
            return hook(name)
        raise AttributeError(f"module {ns['__name__']!r} has no attribute {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith(PRIVATE):
            object.__setattr__(self, name, value)
            return
        if name == "__class__":
            object.__setattr__(self, name, _with(cast("type[ModuleType]", value)))
            return
        if _observer is not None and get_ident() == _thread:
            _observer.on_write(self, name, value)
        namespace(self)[name] = value

    def __delattr__(self, name: str) -> None:
        ns = namespace(self)
        if name not in ns:
            raise AttributeError(f"module {ns['__name__']!r} has no attribute {name!r}", name=name, obj=self)
        if _observer is not None and get_ident() == _thread:
            _observer.on_write(self, name, MISSING)
        del ns[name]

    def __dir__(self) -> list[str]:
        ns = namespace(self)
        hook = ns.get("__dir__")
        return list(hook()) if hook is not None else sorted(ns)

    @property
    def load(self) -> Load:
        """Hmr's load computation, for hmr's own code only."""
        if _asked_by_hmr():
            return load_of(self)
        raise AttributeError("load")

    @property
    def file(self) -> Path:
        """The source file, for hmr's own code only."""
        if _asked_by_hmr():
            return Path(namespace(self)["__file__"])
        raise AttributeError("file")

    @property
    def register_dispose_callback(self) -> Callable[[Callable[[], object]], None]:
        """Hmr's `on_dispose`, for hmr's own code only."""
        if _asked_by_hmr():
            return cast("list[Callable[[], object]]", object.__getattribute__(self, PRIVATE + "hooks")).append
        raise AttributeError("register_dispose_callback")


def _with(cls: type[ModuleType]) -> type[ModuleType]:
    """The class for a module to which its code gives this one: Python documents that as the way to properties."""
    return cls if issubclass(cls, Module) else type(cls.__name__, (cls, Module), {"__slots__": ()})


INTERNAL: Final = frozenset((*Module.__slots__, "load", "file", "register_dispose_callback", PRIVATE + "load"))
"""hmr's own: found by `object.__getattribute__` only where hmr asks."""
STATIC: Final = frozenset(
    ("__class__", "__name__", "__file__", "__loader__", "__package__", "__path__", "__cached__", "__builtins__")
)
"""What the import system sets: the same after an edit, or the edit of another file."""
UNTRACKED: Final = INTERNAL | STATIC

_slots: dict[str, Any] = dict(vars(Module))
_dict: Callable[[ModuleType], Any] = dict[str, Any](vars(ModuleType))["__dict__"].__get__
_load: Callable[[Module], Any] = _slots["_fastapi_hmr_load"].__get__
_proxy: Callable[[Module], Any] = _slots[PRIVATE + "namespace_proxy"].__get__
_hooks: Callable[[Module], Any] = _slots[PRIVATE + "hooks"].__get__
_observer: Observer | None = None
_thread = 0
_paths: dict[Any, Path] = {}
"""hmr's file signals, the other way round: it keeps one for each file for good."""


def namespace(module: ModuleType) -> dict[str, Any]:
    """The globals of a module, read without tracking."""
    return cast("dict[str, Any]", _dict(module))


def load_of(module: Module) -> Load:
    """The load computation of a module."""
    return cast("Load", _load(module))


setattr(Module, PRIVATE + "load", property(load_of))
Module.__name__ = Module.__qualname__ = "module"  # what code that looks at types by name expects of a module


def _tracking_getattribute(self: Module, name: str) -> Any:
    value = object.__getattribute__(self, name)
    if name not in UNTRACKED and _observer is not None and get_ident() == _thread:
        _observer.on_read(self, name, value)
    return value


def watch(observer: Observer) -> None:
    """Report reads and writes of module attributes in this thread to `observer`, until `unwatch`."""
    global _observer, _thread
    _observer, _thread = observer, get_ident()
    type.__setattr__(Module, "__getattribute__", _tracking_getattribute)


def unwatch() -> None:
    """Reads of module attributes are plain again."""
    global _observer  # noqa: PLW0603 - as above
    _observer = None
    type.__setattr__(Module, "__getattribute__", object.__getattribute__)


def track(module: Module, name: str) -> None:
    """Subscribe the running load computation to a name of a module, in hmr's graph."""
    signal = _proxy(module)._keys[name]
    load = HMR_CONTEXT.leaf.current_computations[-1]
    signal.subscribers.add(load)
    load.dependencies.add(signal)


def readers(module: Module) -> Iterator[str]:
    """The names of the modules whose load read a name of this one, by hmr's graph."""
    for signal in list(_proxy(module)._keys.values()):
        for computation in list(signal.subscribers):
            if isinstance(computation, Load):
                yield computation.name


def read_by(module: Module) -> Iterator[str]:
    """The names of the modules of which this one's load read a name, by hmr's graph."""
    for signal in list(load_of(module).dependencies):
        for computation in list(getattr(signal, "dependencies", ())):
            if isinstance(computation, Load):
                yield computation.name


def running(module: Module) -> AbstractContextManager[None]:
    """While inside, reads belong to this module's load computation."""
    load_of(module).dirty = False
    return extending(module)


def isolate() -> Token[Any] | None:
    """Give the outermost import a computation stack of its own; None where there is one already."""
    if HMR_CONTEXT.leaf is not HMR_CONTEXT:
        return None
    variable = HMR_CONTEXT.async_execution_context
    token: Token[Any] = variable.set(None)
    HMR_CONTEXT.fork()
    return token


def rejoin(token: Token[Any]) -> None:
    """The outermost import is over."""
    HMR_CONTEXT.async_execution_context.reset(token)


def read_file(path: Path) -> None:
    """A file is opened: the module under way depends on it."""
    if HMR_CONTEXT.leaf.current_computations:
        fs.track(path)


def files_read(module: Module) -> list[Path]:
    """The files that this module's load opened, by hmr's signals."""
    signals = cast("dict[Path, Any]", fs.fs_signals)
    if not signals:
        return []
    if len(_paths) != len(signals):
        _paths.clear()
        _paths.update((signal, path) for path, signal in list(signals.items()))
    return [_paths[one] for one in load_of(module).dependencies if one in _paths]


def dispose(module: Module) -> None:
    """Cut a module out of hmr's graph and call the callbacks that it gave to hmr's `on_dispose`."""
    cut: Callable[[], None] = load_of(module).dispose
    cut()
    hooks: list[Callable[[], object]] = _hooks(module)
    for hook in hooks:
        with suppress(Exception):
            hook()
    hooks.clear()


@contextmanager
def extending(module: Module) -> Iterator[None]:
    """While inside, reads belong to a module's load computation in addition to those that it had."""
    load = load_of(module)
    computations = HMR_CONTEXT.leaf.current_computations
    computations.append(load)
    try:
        yield
    finally:
        computations.remove(load)
