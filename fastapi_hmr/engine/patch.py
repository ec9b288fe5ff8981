"""Levels 0 and 1: serves a save by giving live functions their new code, where that is the same as a cold start.

Same as a cold start means: nothing that a start of the app did can have depended on what the save changed. So only own
parts of functions that did not run in a start may differ; every live function that has the old code must be found; and
nothing that a start left behind may go on running the old code. Whatever is in doubt is not patchable, and says why.

Limits, since they leave no trace: code of libraries that reads a function's bytecode in a start without running it, and
results of functions that requests put into the app's state (which stays, as all state does at these levels).
"""

import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType

from fastapi_hmr.engine.patch_checks import Checks, docstring
from fastapi_hmr.engine.patch_holders import Holders, Index, find
from fastapi_hmr.engine.patch_record import Cache, RunRecord
from fastapi_hmr.engine.patch_source import Source, recompile
from fastapi_hmr.engine.syntax import Pair, Structural, class_notes, compare, same_tree
from fastapi_hmr.events import ReloadLevel


@dataclass(frozen=True, slots=True)
class NotPatchable:
    """The save needs a higher level; `reason` is for people. `source` is the compiled file, if it compiles."""

    reason: str
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class _Swap:
    function: FunctionType
    pair: Pair


@dataclass(frozen=True, slots=True)
class _Note:
    """A class attribute that tells where or how the class is written."""

    owner: type
    name: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Patch:
    """A save that can be served by patching. Apply it in the step in which it was planned.

    `functions` are the qualified names of those whose bodies changed, `source` is what the module runs from then on.
    """

    source: Source
    functions: tuple[str, ...]
    _record: RunRecord
    _index: Index
    _moves: tuple[tuple[Pair, Holders], ...]
    _notes: tuple[_Note, ...]
    _caches: tuple[Cache, ...]

    @property
    def level(self) -> ReloadLevel:
        """NOTHING where only positions changed, else PATCH."""
        return ReloadLevel.PATCH if self.functions else ReloadLevel.NOTHING

    def apply(self) -> None:
        """Give all functions their new code; if one refuses, all keep the old and its exception is raised."""
        done: list[_Swap] = []
        try:
            for swap in self._swaps():
                swap.function.__code__ = swap.pair.new
                done.append(swap)
        except BaseException:
            for swap in done:
                swap.function.__code__ = swap.pair.old
            raise
        for pair, holders in self._moves:
            self._index.put(pair.new, holders.functions, complete=not holders.missed)
        self._settle(forward=True)

    def undo(self) -> None:
        """Give all functions their old code again."""
        for swap in self._swaps():
            swap.function.__code__ = swap.pair.old
        self._settle(forward=False)

    def _swaps(self) -> Iterator[_Swap]:
        return (_Swap(function, pair) for pair, holders in self._moves for function in holders.functions)

    def _settle(self, *, forward: bool) -> None:
        """Bring along what goes with the code."""
        for swap in self._swaps():
            before, after = swap.pair.codes(forward=forward)
            if swap.pair.changed and swap.function.__doc__ == docstring(before):
                swap.function.__doc__ = docstring(after)
        for note in self._notes:
            type.__setattr__(note.owner, note.name, note.new if forward else note.old)
        self._record.replace(pair.codes(forward=forward) for pair, _ in self._moves)
        for cache in self._caches:
            cache.cache_clear()
        linecache.cache.pop(self.source.filename, None)


def plan(
    old: Source, new: bytes, namespace: Mapping[str, object], record: RunRecord, index: Index
) -> Patch | NotPatchable:
    """Decide whether a saved file can be served by patching the module that runs `old` in `namespace`."""
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
    found = find((pair.old for pair in result.pairs), old.code, namespace, index)
    moves = tuple((pair, found[id(pair.old)]) for pair in result.pairs)
    caches: tuple[Cache, ...] = ()
    changed = tuple(pair.old.co_qualname for pair in result.pairs if pair.changed)
    if changed:
        checks = Checks(old, namespace, record, index)
        reason = checks.refusal(moves)
        if reason is not None:
            return NotPatchable(reason, source)
        caches = tuple(checks.caches)
    return Patch(source, changed, record, index, moves, tuple(_notes(result.classes, namespace)), caches)


def _notes(classes: list[tuple[CodeType, CodeType]], namespace: Mapping[str, object]) -> Iterator[_Note]:
    """Find the classes in reach of the module's names that moved, or whose methods set other attributes of self."""
    for old, new in classes:
        before, after = class_notes(old), class_notes(new)
        if before == after:
            continue
        owner: object = None
        members = namespace
        for name in old.co_qualname.split("."):
            owner = members.get(name)
            if not isinstance(owner, type):
                break
            members = vars(owner)
        else:
            for name, value in after.items():
                if members.get(name) == before.get(name) and isinstance(owner, type):
                    yield _Note(owner, name, before.get(name), value)
