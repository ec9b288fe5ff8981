"""Says which functions of a file a save changed: none, bodies only, or more than bodies.

What is compared is what Python compiles a file to, not its text: two code objects that differ in nothing but line
tables do the same. A code object's own part (instructions, names, constants) is kept apart from the code objects nested
in it, so that a function is changed only where its own part is. Class bodies and generator expressions are no functions:
they belong to what encloses them.
"""

import ast
import dis
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import CO_OPTIMIZED, CO_VARARGS, CO_VARKEYWORDS
from types import CodeType

from fastapi_hmr.engine.scopes import is_function, nested

# Class attributes (3.13) that tell where and how a class is written; they are refreshed, not compared.
CLASS_NOTES = frozenset({"__firstlineno__", "__static_attributes__"})
_CONSTANT_OPERATIONS = frozenset(dis.hasconst)
_STORE_NAME = dis.opmap["STORE_NAME"]


@dataclass(slots=True, eq=False)
class Pair:
    """A function's code before and after the save.

    `changed`: its own part differs. `needed`: it or a function nested in it is changed, so every function object that
    has the old code must get the new one. Others only moved, or are the very same object.
    """

    old: CodeType
    new: CodeType
    parent: "Pair | None" = None
    changed: bool = False
    needed: bool = False

    def codes(self, *, forward: bool) -> tuple[CodeType, CodeType]:
        """Return the code that goes and the code that comes, of a patch or (not `forward`) of its undoing."""
        return (self.old, self.new) if forward else (self.new, self.old)

    def mark(self) -> None:
        """Note that the own part differs."""
        self.changed = True
        pair: Pair | None = self
        while pair is not None:
            pair.needed = True
            pair = pair.parent


@dataclass(slots=True)
class Same:
    """Nothing but positions differs."""

    pairs: list[Pair]
    classes: list[tuple[CodeType, CodeType]]


@dataclass(slots=True)
class Bodies:
    """Only bodies of functions differ: those of the pairs that are `changed`."""

    pairs: list[Pair]
    classes: list[tuple[CodeType, CodeType]]


@dataclass(slots=True)
class Structural:
    """More than bodies of functions differs; `reason` says what."""

    reason: str


def compare(
    old: CodeType,
    new: CodeType,
    *,
    fixed: Callable[[CodeType], str | None] = lambda _code: None,
    same_syntax: Callable[[], bool] = lambda: False,
) -> Same | Bodies | Structural:
    """Compare two versions of a module's code.

    `fixed(code)` gives the reason why that function's own part must not differ, if there is one. `same_syntax()` is
    asked, as the last resort, whether the syntax trees are equal: Python keeps no-operations for some line breaks, so
    that formatting alone can change instructions.
    """
    walk = _Walk(fixed)
    try:
        walk.module(old, new)
    except _RefusedError as refused:
        if not (refused.layout_only and same_syntax()):
            return Structural(str(refused))
        walk = _Walk(fixed, layout_matters=False)
        walk.module(old, new)
    if any(pair.changed for pair in walk.pairs):
        return Bodies(walk.pairs, walk.classes)
    return Same(walk.pairs, walk.classes)


def same_code(old: CodeType, new: CodeType) -> bool:
    """True if two functions or classes, and all that is nested in them, differ in nothing but positions."""
    if _label(old) != _label(new) or _difference(old, new) is not None:
        return False
    return all(map(same_code, nested(old), nested(new)))


def same_tree(old: bytes, new: bytes) -> bool:
    """True if two sources have the same syntax tree apart from positions."""
    try:
        waiting: list[tuple[object, object]] = [(ast.parse(old), ast.parse(new))]
    except (SyntaxError, ValueError):
        return False
    while waiting:
        one, other = waiting.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, ast.AST):
            waiting.extend((getattr(one, name, None), getattr(other, name, None)) for name in one._fields)
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            waiting.extend(zip(one, other, strict=True))
        elif not _same_constant(one, other):
            return False
    return True


def note_slots(code: CodeType) -> dict[str, int]:
    """Map each of CLASS_NOTES that a class body sets to the index of its constant; empty where anything else uses that."""
    slots, uses = _slots_and_uses(code)
    return slots if all(uses.get(slot) == 1 for slot in slots.values()) else {}


def class_notes(old: CodeType, new: CodeType) -> dict[str, tuple[object, object]]:
    """Return what two versions of a class body set CLASS_NOTES to, where that differs."""
    before = _slots_and_uses(old)[0]
    after = before if old.co_code == new.co_code else _slots_and_uses(new)[0]
    both = {name: (old.co_consts[before[name]], new.co_consts[after[name]]) for name in before.keys() & after.keys()}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def _slots_and_uses(code: CodeType) -> tuple[dict[str, int], dict[int, int]]:
    slots: dict[str, int] = {}
    uses: dict[int, int] = {}
    if code.co_flags & CO_OPTIMIZED or not CLASS_NOTES.intersection(code.co_names):
        return slots, uses
    argument, last = 0, None
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = argument << 8 | low
        if operation == dis.EXTENDED_ARG:
            continue
        if operation == _STORE_NAME and last is not None and code.co_names[argument] in CLASS_NOTES:
            slots[code.co_names[argument]] = last
        last = argument if operation in _CONSTANT_OPERATIONS else None
        if last is not None:
            uses[last] = uses.get(last, 0) + 1
        argument = 0
    return slots, uses


class _RefusedError(Exception):
    """The save can't be a patch; `layout_only`: maybe formatting alone made the difference."""

    def __init__(self, reason: str, *, layout_only: bool = False) -> None:
        super().__init__(reason)
        self.layout_only = layout_only


@dataclass(slots=True)
class _Walk:
    fixed: Callable[[CodeType], str | None]
    layout_matters: bool = True
    pairs: list[Pair] = field(default_factory=list)
    classes: list[tuple[CodeType, CodeType]] = field(default_factory=list)

    def module(self, old: CodeType, new: CodeType) -> None:
        if old.co_flags != new.co_flags:
            raise _RefusedError("the file's __future__ imports changed")
        self._inside(old, new, None)

    def _inside(self, old: CodeType, new: CodeType, owner: Pair | None) -> None:
        """Compare the own parts of two code objects, then what is nested in them."""
        difference = _difference(old, new)
        if difference == "layout" and not self.layout_matters:
            difference = None
        if difference is not None:
            self._differs(old, new, owner, layout_only=difference == "layout")
        old_inner, new_inner = nested(old), nested(new)
        if difference is not None and list(map(_label, old_inner)) != list(map(_label, new_inner)):
            return  # only calls made by requests can have made such inner functions: they keep the code they began with
        for one, other in zip(old_inner, new_inner, strict=True):
            if one is not other:
                self._inner(one, other, owner)

    def _inner(self, old: CodeType, new: CodeType, owner: Pair | None) -> None:
        if not is_function(old):
            if not old.co_flags & CO_OPTIMIZED:
                self.classes.append((old, new))
            self._inside(old, new, owner)
            return
        reason = _other_interface(old, new)
        if reason is None:
            pair = Pair(old, new, owner)
            self.pairs.append(pair)
            self._inside(old, new, pair)
        elif owner is None:
            raise _RefusedError(reason)
        else:
            self._changed(owner, layout_only=False)

    def _differs(self, old: CodeType, new: CodeType, owner: Pair | None, *, layout_only: bool) -> None:
        if owner is not None:
            self._changed(owner, layout_only=layout_only)
        elif old.co_flags & CO_OPTIMIZED:
            raise _RefusedError(
                f"an expression in `{old.co_qualname}` that runs at import changed", layout_only=layout_only
            )
        elif old.co_name == "<module>":
            raise _RefusedError(_top_level_reason(old, new), layout_only=layout_only)
        else:
            raise _RefusedError(
                f"more than bodies of methods changed in class `{old.co_qualname}`", layout_only=layout_only
            )

    def _changed(self, owner: Pair, *, layout_only: bool) -> None:
        reason = self.fixed(owner.old)
        if reason is not None:
            raise _RefusedError(reason, layout_only=layout_only)
        owner.mark()


def _label(code: CodeType) -> tuple[str, str, bool]:
    return code.co_name, code.co_qualname, is_function(code)


def _top_level_reason(old: CodeType, new: CodeType) -> str:
    before, after = ({inner.co_qualname for inner in nested(code)} for code in (old, new))
    for names, what in ((after - before, "new"), (before - after, "gone")):
        if names:
            return f"`{min(names)}` is {what}"
    return "code that runs at import changed"


def _difference(old: CodeType, new: CodeType) -> str | None:
    """Compare own parts: None if equal, "layout" if formatting alone may explain it, else "content"."""
    if (
        old.co_flags != new.co_flags
        or old.co_varnames != new.co_varnames
        or old.co_cellvars != new.co_cellvars
        or old.co_freevars != new.co_freevars
    ):
        return "content"
    if old.co_names == new.co_names and old.co_code == new.co_code and old.co_exceptiontable == new.co_exceptiontable:
        if _same_constants(old, new):
            return None
    elif old.co_names == new.co_names and len(old.co_code) != len(new.co_code) and _same_constants(old, new):
        return "layout"
    if old.co_flags & CO_OPTIMIZED or not CLASS_NOTES.intersection(new.co_names):
        return "content"
    return None if _class_operations(old) == _class_operations(new) else "content"


def _same_constants(old: CodeType, new: CodeType) -> bool:
    before, after = old.co_consts, new.co_consts
    if len(before) != len(after):
        return False
    differing = [i for i, (one, other) in enumerate(zip(before, after, strict=True)) if not _same_constant(one, other)]
    if not differing:
        return True
    return old.co_code == new.co_code and set(differing) <= set(note_slots(old).values())


def _same_constant(one: object, other: object) -> bool:
    """Equal in type too, at any depth: 1, True and 1.0 are three constants, 0.0 and -0.0 are two."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return _label(one) == _label(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same_constant, one, other))
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return {(type(item), repr(item)) for item in one} == {(type(item), repr(item)) for item in other}
    if isinstance(one, float | complex):
        return repr(one) == repr(other)
    return one == other


def _class_operations(code: CodeType) -> list[tuple[str, object, str]]:
    """List what a class body does, without setting CLASS_NOTES: their constants may be shared with others."""
    operations: list[tuple[str, object, str]] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname == "EXTENDED_ARG":
            continue
        if instruction.opname == "STORE_NAME" and instruction.argval in CLASS_NOTES:
            operations.pop()
            continue
        value = instruction.argval
        if isinstance(value, CodeType):
            value = _label(value)
        operations.append((instruction.opname, type(value), repr(value)))
    return operations


def _other_interface(old: CodeType, new: CodeType) -> str | None:
    """Say what callers of a function, or the frameworks that looked at it, would see change besides its body."""
    name = f"`{old.co_qualname}`"
    if (old.co_name, old.co_qualname, is_function(old)) != (new.co_name, new.co_qualname, is_function(new)):
        return f"{name} became `{new.co_qualname}`"
    if _arguments(old) != _arguments(new):
        return f"the arguments of {name} changed"
    if old.co_flags & ~_DOCSTRING != new.co_flags & ~_DOCSTRING:
        return f"{name} became another kind of function (generator, coroutine or nested)"
    if old.co_freevars != new.co_freevars:
        return f"{name} uses other names of the scopes around it"
    return None


def _arguments(code: CodeType) -> tuple[int, int, int, tuple[str, ...], int]:
    stars = code.co_flags & (CO_VARARGS | CO_VARKEYWORDS)
    count = code.co_argcount + code.co_kwonlyargcount + stars.bit_count()
    return code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_varnames[:count], stars


_DOCSTRING = 0x4000000 if sys.version_info >= (3, 14) else 0
