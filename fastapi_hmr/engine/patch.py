"""Levels 0 and 1: serves a save by giving live functions their new code, where that is the same as a cold start.

Same as a cold start means: nothing that a start of the app did can have depended on what the save changed. So only own
parts of functions that did not run in a start may differ; every live function that has the old code must be found; and
nothing that a start left behind may go on running the old code. Whatever is in doubt is not patchable, and says why.

State that requests made stays, in modules as in the lifespan: that is what these levels are for. Results that were kept
for their own sake do not: functools caches are cleared, and hand-made caches refuse the patch.

Limits, since they leave no trace: libraries that read a function's bytecode in a start without running or keeping it, other
than those known by name (`patch_checks.BODY_COMPILERS`); background work that calls a function after a request did.
"""

import linecache
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType

from fastapi_hmr.engine.patch_caches import Cache
from fastapi_hmr.engine.patch_checks import Checks, docstring
from fastapi_hmr.engine.patch_holders import Holders, Index, find
from fastapi_hmr.engine.patch_record import RunRecord
from fastapi_hmr.engine.patch_source import Source, recompile
from fastapi_hmr.engine.patch_templates import Namespaces
from fastapi_hmr.engine.syntax import Pair, Structural, class_notes, compare, same_tree
from fastapi_hmr.events import ReloadLevel


@dataclass(frozen=True, slots=True)
class NotPatchable:
    """The save needs a higher level; `reason` is for people. `source` is the compiled file, if it compiles."""

    reason: str
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """Functions that go from one code object to another, and back."""

    functions: list[weakref.ref[FunctionType]]
    old: CodeType
    new: weakref.ref[CodeType]
    changed: bool

    def go(self, before: CodeType, after: CodeType) -> None:
        """Swap code, and docstrings where nobody has set another."""
        documentation = (docstring(before), docstring(after)) if self.changed else (None, None)
        for function in filter(None, (reference() for reference in self.functions)):
            function.__code__ = after
            if documentation[0] != documentation[1] and function.__doc__ == documentation[0]:
                function.__doc__ = documentation[1]


@dataclass(frozen=True, slots=True)
class _Note:
    """A class attribute that tells where or how the class is written."""

    owner: type
    name: str
    old: object
    new: object


@dataclass(slots=True)
class Patch:
    """A save that can be served by patching. Apply it in the step in which it was planned; undo it at most once.

    `functions` are the qualified names of those whose bodies changed, `source` is what the module runs from then on.
    """

    source: Source
    functions: tuple[str, ...]
    _record: RunRecord
    _index: Index
    _moves: Sequence[tuple[Pair, Holders]]
    _notes: Sequence[_Note]
    _caches: Sequence[Cache]
    _steps: list[_Step] = field(default_factory=list)

    @property
    def level(self) -> ReloadLevel:
        """NOTHING where only positions changed, else PATCH."""
        return ReloadLevel.PATCH if self.functions else ReloadLevel.NOTHING

    def apply(self) -> None:
        """Give all functions their new code; if one refuses, all keep the old and its exception is raised."""
        for pair, holders in self._moves:
            step = _Step(list(map(weakref.ref, holders.functions)), pair.old, weakref.ref(pair.new), pair.changed)
            self._steps.append(step)
            try:
                step.go(pair.old, pair.new)
            except BaseException:
                self._back()
                raise
        for pair, holders in self._moves:
            stays = holders.in_progress and self._record.may_be_of_start(pair.old, begun=holders.begun)
            complete = self._index.is_complete(pair.old) and not (holders.missed or stays)
            self._index.put(pair.new, holders.functions, complete=complete)
        self._record.replace((pair.old, pair.new) for pair, _ in self._moves)
        # The next plan counts references to code and functions, and this patch may be kept for undoing: it lets go.
        self._moves = ()
        for note in self._notes:
            type.__setattr__(note.owner, note.name, note.new)
        self._forget()

    def undo(self) -> None:
        """Give all functions their old code again."""
        self._record.replace((new, step.old) for step in self._steps if (new := step.new()) is not None)
        self._back()
        for note in self._notes:
            type.__setattr__(note.owner, note.name, note.old)
        self._forget()

    def _back(self) -> None:
        for step in reversed(self._steps):
            new = step.new()
            if new is not None:
                step.go(new, step.old)
        self._steps.clear()

    def _forget(self) -> None:
        for cache in self._caches:
            cache.cache_clear()
        linecache.cache.pop(self.source.filename, None)


def plan(
    old: Source,
    new: bytes,
    namespace: Mapping[str, object],
    record: RunRecord,
    index: Index,
    others: Namespaces = (),
) -> Patch | NotPatchable:
    """Decide whether a saved file can be served by patching the module that runs `old` in `namespace`.

    `others` are the namespaces of all modules.
    """
    if not record.available:
        return NotPatchable("other tools hold all places of sys.monitoring, so nobody knows what ran")
    if record.source_was_read(old.filename):
        return NotPatchable("the source of this file was read while the app started")
    try:
        source = recompile(old, new)
    except (SyntaxError, ValueError) as error:
        return NotPatchable(f"the file does not compile: {error}")

    def fixed(code: CodeType) -> str | None:
        return f"`{code.co_qualname}` ran while the app started" if record.ran(code) else None

    result = compare(old.code, source.code, fixed=fixed, same_syntax=lambda: same_tree(old.content, new))
    if isinstance(result, Structural):
        return NotPatchable(result.reason, source)
    found = find((pair.old for pair in result.pairs), old, namespace, index)
    moves = tuple((pair, found[id(pair.old)]) for pair in result.pairs)
    caches: tuple[Cache, ...] = ()
    changed = tuple(pair.old.co_qualname for pair in result.pairs if pair.changed)
    if changed:
        checks = Checks(old, namespace, record, index, others)
        reason = checks.refusal(moves)
        if reason is not None:
            return NotPatchable(reason, source)
        caches = tuple(checks.caches)
    return Patch(source, changed, record, index, moves, tuple(_notes(result.classes, namespace)), caches)


def _notes(classes: list[tuple[CodeType, CodeType]], namespace: Mapping[str, object]) -> Iterator[_Note]:
    """Find the classes in reach of the module's names that moved, or whose methods set other attributes of self."""
    for old, new in classes:
        owner = _class(old.co_qualname, namespace)
        if owner is None:
            continue
        for name, (before, after) in class_notes(old, new).items():
            if vars(owner).get(name) == before:
                yield _Note(owner, name, before, after)


def _class(qualified: str, namespace: Mapping[str, object]) -> type | None:
    owner: type | None = None
    for name in qualified.split("."):
        found = (namespace if owner is None else vars(owner)).get(name)
        if not isinstance(found, type):
            return None
        owner = found
    return owner
