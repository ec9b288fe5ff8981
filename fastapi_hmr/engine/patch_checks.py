"""Finds reasons against a patch in what is alive: calls in progress, caches, decorators, docstrings, other processes."""

import linecache
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from types import CellType, CodeType, FunctionType, ModuleType
from typing import cast

from fastapi_hmr import workers
from fastapi_hmr.engine.patch_caches import Cache
from fastapi_hmr.engine.patch_holders import Holders, Index, walk
from fastapi_hmr.engine.patch_memos import cache_of, evaluated, reaching
from fastapi_hmr.engine.patch_record import RunRecord
from fastapi_hmr.engine.patch_source import Source
from fastapi_hmr.engine.patch_templates import Namespaces, rendered_by
from fastapi_hmr.engine.scopes import functions_in
from fastapi_hmr.engine.syntax import Pair

# Libraries whose decorators translate a function's body once and run the translation ever after.
BODY_COMPILERS = frozenset(
    "cupy cython jax numba pyccel pythran tensorflow taichi torch transonic triton typeguard warp".split()
)
CLEARED = frozenset(("cashews", "fastapi_cache", "functools"))
"""Libraries whose kept results are dropped: by an adapter, or by the account of their caches."""
_CACHING = re.compile(rb"\s*@\s*[\w.]*(cach|memo)", re.IGNORECASE)
_DECORATOR = re.compile(rb"^\s*@\s*([A-Za-z_]\w*)")
_DEFINITION = re.compile(rb"^\s*(async\s+def|def)\s")
_MOST_DECORATORS = 50
"""Lines that they may take."""


class Checks:
    """Everything that must hold besides the comparison of code; `caches` are then those to clear."""

    def __init__(
        self, old: Source, namespace: Mapping[str, object], record: RunRecord, index: Index, others: Namespaces = ()
    ) -> None:
        """`others` are the namespaces of all modules."""
        self.caches: list[Cache] = []
        self._lines = old.content.splitlines()
        self._old = old
        self._namespace = namespace
        self._record = record
        self._index = index
        self._others = others

    def refusal(self, moves: Sequence[tuple[Pair, Holders]]) -> str | None:
        """Return the first reason not to patch."""
        if self._record.bodies_read_by is not None:
            return f"`{self._record.bodies_read_by}` read bytecode while the app started"
        if workers.alive():
            return "worker processes have the old code"
        for pair, holders in moves:
            if pair.needed:
                reason = self._refusal_of(pair, holders)
                if reason is not None:
                    return reason
        changed = [pair.old for pair, _ in moves if pair.changed]
        return self._refusal_by_memos(changed) or self._refusal_by_caches()

    def _refusal_of(self, pair: Pair, holders: Holders) -> str | None:
        name = f"`{pair.old.co_qualname}`"
        if holders.missed:
            return f"something unknown holds the code of {name}"
        if not self._index.is_complete(pair.old):
            return f"something still holds earlier code of {name}"
        if holders.in_progress and self._record.may_be_of_start(pair.old, begun=holders.begun):
            return f"a call of {name} is still in progress that may be of the app's start"
        if not pair.changed:
            return None
        return self._refusal_by_decorators(pair.old, holders) or self._refusal_by_docstring(pair, holders)

    def _refusal_by_decorators(self, code: CodeType, holders: Holders) -> str | None:
        name = f"`{code.co_qualname}`"
        decorators = list(self._decorators(code))
        if decorators and not holders.functions:
            return f"the decorators of {name} did not keep it"
        if not holders.functions and self._has_other_code(code):
            return f"{name} has other code than the file's"
        things = [self._namespace.get(decorator) for decorator in decorators]
        member = _member(self._namespace, code)
        for thing in (*things, member):
            library = _library(thing)
            if library in BODY_COMPILERS:
                return f"{library} has compiled {name}"
        if self._record.called(code) and (
            isinstance(member, cached_property) or "cached_property" in (type(member).__name__, *decorators)
        ):
            return f"objects may have kept results of {name}"
        return None

    def _refusal_by_docstring(self, pair: Pair, holders: Holders) -> str | None:
        """Frameworks read docstrings when they get a function (FastAPI: descriptions), or when asked for help."""
        if docstring(pair.old) == docstring(pair.new):
            return None
        changed = f"the docstring of `{pair.old.co_qualname}` changed"
        if next(self._decorators(pair.old), None) is not None:
            return f"{changed}, and its decorators may have read it"
        if _references(holders.functions) > _REFERENCES:
            return f"{changed}, and others that hold the function may have read it"
        reader = self._record.reads_docstrings()
        return f"{changed}, and `{reader}` may have read it" if reader else None

    def _refusal_by_memos(self, changed: list[CodeType]) -> str | None:
        used = [code for code in changed if self._record.called(code)]
        if not used:
            return None
        functions = walk(self._namespace)
        for code in used:
            keeper = cache_of(code, functions, self._record.all_called()) or self._library_cache_of(code)
            if keeper is not None:
                return f"`{keeper}` may have kept results of `{code.co_qualname}`"
            alias = evaluated(code, self._record.all_called(), self._old.code)
            if alias is not None:
                return f"the type `{alias}` has been evaluated"
            template = rendered_by(code, self._record.all_called(), self._others)
            if template is not None:
                return f"compiled templates may have kept results of the filter `{template}`"
        return None

    def _library_cache_of(self, changed: CodeType) -> str | None:
        """The name of a function below a library's decorator which, by its name, keeps results of the changed one."""
        for code in (changed, *reaching(changed.co_name, list(self._record.all_called()))):
            above = self._above(code)
            if any(map(_CACHING.match, above)) and not self._is_cleared(code, above):
                return code.co_qualname
        return None

    def _above(self, code: CodeType) -> list[bytes]:
        """The lines of a function's decorators, as they were when it was made."""
        lines: list[bytes] = self._lines
        if code.co_filename != self._old.filename:  # only this file has been saved
            linecache.checkcache(code.co_filename)
            lines = [line.encode() for line in linecache.getlines(code.co_filename)]
        lines = lines[code.co_firstlineno - 1 :][:_MOST_DECORATORS]
        return list(takewhile(lambda line: not _DEFINITION.match(line), lines))

    def _is_cleared(self, code: CodeType, decorators: Iterable[bytes]) -> bool:
        """Whether somebody clears that cache: it is functools', or has a way to do so, or an adapter knows it."""
        home = next((each for each in self._others if each.get("__file__") == code.co_filename), self._namespace)
        found = [match for match in map(_DECORATOR.match, decorators) if match and b"property" not in match.string]
        if any(_library(home.get(match[1].decode())) in CLEARED for match in found):
            return True
        member = _member(home, code)
        return isinstance(member, FunctionType) and "cache_clear" in vars(member)

    def _refusal_by_caches(self) -> str | None:
        clearable, mixed = self._record.caches()
        for value in self._namespace.values():
            if isinstance(value, FunctionType) and callable(vars(value).get("cache_clear")):
                wrapped = getattr(vars(value).get("__wrapped__"), "__code__", None)
                if not isinstance(wrapped, CodeType) or self._record.ran(wrapped):
                    return f"the cache of `{value.__qualname__}` may be of the app's start"
                clearable.append(cast("Cache", value))
        if mixed is not None:
            return f"the cache of `{mixed}` has results of the app's start and of requests"
        self.caches = clearable
        return None

    def _has_other_code(self, code: CodeType) -> bool:
        """True if the function of that name is of this file, but somebody has given it code of their own."""
        member = _member(self._namespace, code)
        if not isinstance(member, FunctionType) or member.__code__.co_filename != self._old.filename:
            return False
        return all(member.__code__ is not known for known in functions_in(self._old.code))

    def _decorators(self, code: CodeType) -> Iterator[str]:
        """Yield the first names of a function's decorators; its code begins at the first of them."""
        for line in self._lines[code.co_firstlineno - 1 :]:
            if _DEFINITION.match(line) or code.co_name == "<lambda>":
                return
            found = _DECORATOR.match(line)
            if found is not None:
                yield found[1].decode()


def _member(members: Mapping[str, object], code: CodeType) -> object:
    """What the module or class has under the name of a function: itself, or what decorators made of it."""
    *owners, name = code.co_qualname.split(".")
    for owner in owners:
        found = members.get(owner)
        if not isinstance(found, type):
            return None
        members = vars(found)
    return members.get(name)


def docstring(code: CodeType) -> str | None:
    """Return the docstring that a function of that code is made with."""
    cells = tuple(CellType() for _ in code.co_freevars)
    return FunctionType(code, {}, None, None, cells).__doc__


def _library(thing: object) -> str:
    """The top-level package that a decorator, or what it returned, comes from."""
    if isinstance(thing, ModuleType):
        name = thing.__name__
    elif isinstance(thing, FunctionType | type):
        name = thing.__module__
    else:
        name = type(thing).__module__
    return str(name).partition(".")[0]


def _references(functions: Sequence[object]) -> int:
    return max(map(sys.getrefcount, functions), default=0)


def _references_of_plain_function() -> int:
    """How a function looks that only its module's or class's dict has, and the list that is looked at."""

    def plain() -> None: ...

    namespace = {"plain": plain}
    functions = [namespace["plain"]]
    del plain
    return _references(functions)


_REFERENCES = _references_of_plain_function()
