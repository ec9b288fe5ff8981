"""What a call ran and read of the project's own code, and whether a reload has changed any of it."""

import ast
import hashlib
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Self

from fastapi_hmr import audit
from fastapi_hmr.codes import Token, attributes_of, code_token, nested
from fastapi_hmr.facts import (
    MISSING,
    Fact,
    Look,
    Place,
    Same,
    content,
    functions_in,
    lookup,
)
from fastapi_hmr.modules import file_of, namespace

TOOL = "fastapi-hmr touched"
HASHED_BYTES = 1 << 20
"""Up to this size a data file is compared by content; a larger one by size and time of change."""

_CODE_SUFFIXES = (".py", ".pyc", ".so", ".pyd", ".pth")
_SYSTEM = ("/proc/", "/sys/", "/dev/", *{os.path.realpath(each) + os.sep for each in (sys.prefix, sys.base_prefix)})
_LONGEST_CHAIN = 20
_RANK = ("missing", "function", "class", "value", "opaque")

_mine: ContextVar[tuple["Touched", ...]] = ContextVar("fastapi_hmr_touched", default=())
_active: list["Touched"] = []
_lock = threading.Lock()
_tool: int | None = None


class Touched:
    """The record of one call: a context manager around it, then the judge of what came of it.

    Functions count that start in the same context (tasks and `to_thread` calls made inside included), and in
    threads that have no context of their own.  `owns` says of a source file whether it is first-party.
    """

    def __init__(
        self,
        owns: Callable[[str], bool],
        *,
        watched: object = None,
        pin: Callable[[Iterable[CodeType]], None] = lambda _: None,
    ) -> None:
        """`watched` is an object (an app) of which is to be known who got hold of it.

        `pin` is told of functions that count as having run at this start, although nobody saw them run.
        """
        self.owns = owns
        self._pin = pin
        self._latest: object = None
        self.watched = watched
        self.handed: set[str] = set()
        """The attributes that first-party functions name on the watched object, which they got as an argument."""
        self.strangers: set[tuple[str, str]] = set()
        """Module and qualified name of other functions that got it."""
        self._look = Look(owns)
        self._facts: dict[Place, Fact] = self._look.facts
        self._next: dict[Place, Fact] | None = None
        self._subject: tuple[Token, str] | None = None
        self._known: dict[int, CodeType] = {}  # what has been noted, held so that no other code gets its identity
        self._nameless: dict[tuple[str, str], Same] = {}
        self._files: dict[str, str] = {}
        self._written: set[str] = set()
        self._environment: dict[str, str | None] = {}
        self._thread = threading.get_ident()
        self._unsure: str | None = None

    def about(self, subject: object, name: str) -> Self:
        """What is going to be called: described now, compared later with what is given to `changed`."""
        self._subject = (self._look.describe(subject), name)
        self._look.drain()
        for function in functions_in(subject):
            if _is_current(function.__globals__):
                self._known.update((id(code), code) for code in nested(function.__code__))
            fact = self._facts.get((str(function.__module__), tuple(function.__qualname__.split("."))))
            if fact is not None:
                fact.ran = True
        return self

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """From now on, what the running context starts is recorded."""
        self._thread = threading.get_ident()
        _mine.set((*_mine.get(), self))
        with _lock:
            _active.append(self)
            if len(_active) == 1:
                _switch_on()
            if self.watched is not None:  # what an earlier record had no more use for may get hold of it
                sys.monitoring.restart_events()
        if _tool is None:
            self._unsure = "other tools hold all places of sys.monitoring, so nobody knows what ran"

    def stop(self) -> None:
        """Recorded enough; may be called from anywhere, and again."""
        with _lock:
            if self not in _active:
                return
            _active.remove(self)
            if not _active:
                _switch_off()
        _mine.set(tuple(each for each in _mine.get() if each is not self))
        self._settle()
        self._look = Look(self.owns)
        self._known.clear()
        self.watched = None

    def changed(self, subject: object = MISSING, /) -> str | None:
        """Why the call would not do the same today, in words for people; None where nothing it touched has changed."""
        self._latest = None if subject is MISSING else subject
        if self._unsure is not None:
            return self._unsure
        look = Look(self.owns)
        self._next = {place: look.fact(place) for place in self._facts}
        reasons = [
            (_RANK.index(old.kind), place, old, how)
            for place, old in self._facts.items()
            if (how := _difference(old, self._next[place])) is not None
        ]
        if reasons:
            _, place, old, how = min(reasons, key=lambda reason: reason[:2])
            return how.format(name=_name(place, old), file=file_of(self._origin(place)))
        if self._subject is not None and subject is not MISSING and look.describe(subject) != self._subject[0]:
            return f"{self._subject[1]} changed"
        return self._nameless_changed() or self._surroundings_changed()

    def accept(self) -> None:
        """The modules of the last `changed` stay: later reloads are compared with them, and older ones can go.

        What was made by an older module's functions is not reached by patches of the new module's: those are pinned.
        """
        if self._next is None:
            return
        pinned = [code for function in functions_in(self._latest) for code in nested(function.__code__)]
        for place, old in self._facts.items():
            fact = self._next[place]
            fact.state, fact.ran, fact.inherited = old.state, old.ran, old.inherited or old.module != fact.module
            self._facts[place] = fact
            if fact.inherited and fact.codes:
                pinned += [code for function in functions_in(lookup(place)) for code in nested(function.__code__)]
        self._next, self._latest = None, None
        self._pin(pinned)

    def _settle(self) -> None:
        for place, before in list(self._facts.items()):
            after = self._look.fact(place)
            if after.token != before.token:
                after.state, after.ran = True, before.ran
                self._facts[place] = after
        self._environment = {name: os.environ.get(name) for name in self._look.environment}
        for path in set(self._files) - self._written:
            self._files[path] = _signature(path)
        for path in self._written:
            self._files.pop(path, None)

    def ran(self, code: CodeType, frame: FrameType) -> bool:
        """A function starts; returns whether to tell of its next start too."""
        ours = self.owns(code.co_filename)
        names = [] if self.watched is None else _arguments(frame, self.watched)
        if names:
            if ours:
                self.handed.update(*(attributes_of(code, name) for name in names))
            else:
                self.strangers.add((str(frame.f_globals.get("__name__")), code.co_qualname))
        if ours and id(code) not in self._known:
            self._known[id(code)] = code
            self._note(code, frame.f_globals)
        return ours

    def failed(self, error: Exception) -> None:
        """The record has a hole: nothing it says can be relied upon."""
        self._unsure = f"what ran could not be recorded ({error!r})"

    def opened(self, path: str, writing: bool) -> None:
        """A data file was opened."""
        if writing:
            self._written.add(path)
        else:
            self._files[path] = ""

    def _note(self, code: CodeType, globals_: dict[str, Any]) -> None:
        if code.co_name == "<module>":
            return  # when its file changes, the module runs again, and what it did anew
        module = str(globals_.get("__name__"))
        current = _is_current(globals_)
        if not current and self not in _mine.get():
            return  # a thread of an older generation
        place = (module, tuple(code.co_qualname.partition(".<locals>")[0].split(".")))
        codes = [each for function in functions_in(lookup(place)) for each in nested(function.__code__)]
        if any(code is each or (not current and code_token(code) == code_token(each)) for each in codes):
            self._look.add(place)  # of an older generation, but equal: a method of a kept value, say
            self._facts[place].ran = True
        elif current:
            self._nameless[module, code.co_qualname] = Same(sys.modules[module])
            self._look.scan(code, module)
            self._look.drain()
        else:
            self._unsure = (
                f"{code.co_qualname}() in {file_of(module)} ran in a version that is no longer the current one"
            )

    def _origin(self, place: Place) -> str:
        """The module that an imported name comes from, by the import statements."""
        module, path = place
        if len(path) == 1:
            for _ in range(_LONGEST_CHAIN):
                source = _imported_from(module, path[0])
                if source is None or lookup((source, path)) is not lookup((module, path)):
                    break
                module = source
        return module

    def _nameless_changed(self) -> str | None:
        for (module, name), holder in self._nameless.items():
            if sys.modules.get(module) is not holder.get():
                return f"{name}() in {file_of(module)} may have changed: it can't be found by its name"
        return None

    def _surroundings_changed(self) -> str | None:
        for name, value in self._environment.items():
            if os.environ.get(name) != value:
                return f"the environment variable {name} changed"
        for path, signature in self._files.items():
            if _signature(path) != signature:
                return f"{Path(path).name} changed"
        return None


def _difference(old: Fact, new: Fact) -> str | None:
    """How what is at a place counts as changed, if it does: a text with gaps for its name and file."""
    same_module = old.module is not None and old.module == new.module
    same_object = old.same is not None and old.same == new.same
    if same_module:  # what a request has since set is no edit, and a patched function is patched for all who have it
        return _change(old, new) if old.codes != new.codes and (old.ran or old.inherited) else None
    if same_object and old.codes == new.codes:
        return None
    if old.state:
        return "{name} in {file} was set while starting, and that module ran again"
    if old.token != new.token:
        return _change(old, new)
    return _state_in(old)


def _change(old: Fact, new: Fact) -> str:
    if new.kind == "missing":
        return "{name} is gone from {file}"
    if old.kind == "missing":
        return "{name} is new in {file}"
    return "{name} in {file} was made anew" if old.kind == "opaque" else "{name} in {file} changed"


def _state_in(old: Fact) -> str | None:
    """A container that is equal and yet another: two copies of what is meant to be filled would part ways."""
    held = None if old.same is None else old.same.get()
    if old.content is not None and (not held or content(held) != old.content):
        return "{name} in {file} holds state, and that module ran again"
    return None


def _is_current(globals_: dict[str, Any]) -> bool:
    """Whether these are the globals of the module that has its name now."""
    loaded = sys.modules.get(str(globals_.get("__name__")))
    return isinstance(loaded, ModuleType) and namespace(loaded) is globals_


def _imported_from(module: str, name: str) -> str | None:
    """The module that a `from ... import` in a module's source takes this name from, under the same name."""
    inside = namespace(sys.modules[module]) if isinstance(sys.modules.get(module), ModuleType) else {}
    with suppress(OSError, SyntaxError, ValueError, ImportError):
        for node in ast.walk(ast.parse(Path(str(inside.get("__file__"))).read_bytes())):
            if isinstance(node, ast.ImportFrom) and any(each.name in {name, "*"} for each in node.names):
                return resolve_name("." * node.level + (node.module or ""), str(inside.get("__package__")))
    return None


def _name(place: Place, fact: Fact) -> str:
    return (".".join(place[1]) or place[0]) + ("()" if fact.kind == "function" else "")


def _arguments(frame: FrameType, wanted: object) -> list[str]:
    """The parameters of a function that has just started which hold an object."""
    code = frame.f_code
    # *args and **kwargs come after the named ones.
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    if not count:
        return []
    values = frame.f_locals
    found = []
    for name in code.co_varnames[:count]:
        value = values.get(name)
        if value is wanted or (type(value) is tuple and any(each is wanted for each in value)):
            found.append(name)
    return found


def _signature(path: str) -> str:
    """The content of a data file, as far as reading it is cheap."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called for every file of a startup
        if not stat.S_ISREG(status.st_mode):
            return "not a file"
        if status.st_size > HASHED_BYTES:
            return f"{status.st_size} bytes, {status.st_mtime_ns}"
        return hashlib.blake2b(Path(path).read_bytes()).hexdigest()
    except OSError:
        return "missing"


def _switch_on() -> None:
    global _tool  # noqa: PLW0603 - the interpreter's tools are process-wide, and so is ours
    monitoring = sys.monitoring
    for tool in (3, 4, monitoring.PROFILER_ID, monitoring.OPTIMIZER_ID):
        if monitoring.get_tool(tool) is None:
            _tool = tool
            monitoring.use_tool_id(tool, TOOL)
            monitoring.register_callback(tool, monitoring.events.PY_START, _on_start)
            monitoring.set_events(tool, monitoring.events.PY_START)
            break
    audit.listen("open", _on_open)


def _switch_off() -> None:
    global _tool  # noqa: PLW0603 - as above
    audit.unlisten("open", _on_open)
    if _tool is not None:
        sys.monitoring.set_events(_tool, sys.monitoring.events.NO_EVENTS)
        sys.monitoring.register_callback(_tool, sys.monitoring.events.PY_START, None)
        sys.monitoring.free_tool_id(_tool)  # which also forgets what was switched off while it was held
        _tool = None


def _concerned() -> Iterator["Touched"]:
    """The records that what happens here belongs to."""
    mine = _mine.get()
    here = threading.get_ident()
    for record in tuple(_active):
        if record in mine or (not mine and here != record._thread):  # noqa: SLF001 - its own module
            yield record


def _on_start(code: CodeType, _offset: int) -> object:
    again = any(record.owns(code.co_filename) for record in tuple(_active))
    for record in _concerned():
        try:
            record.ran(code, sys._getframe(1))  # noqa: SLF001 - documented CPython; there is no other way to the frame
        except Exception as error:  # noqa: BLE001 - it would surface in the user's function
            record.failed(error)
    return None if again else sys.monitoring.DISABLE


def _on_open(arguments: tuple[Any, ...]) -> None:
    path, mode, flags = arguments
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    with suppress(OSError, ValueError, UnicodeDecodeError):
        full = os.path.realpath(os.fsdecode(path))
        if full.endswith(_CODE_SUFFIXES) or full.startswith(_SYSTEM):
            return
        writing = bool(set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR))
        for record in _concerned():
            record.opened(full, writing)
