"""Compiles a saved file, and of a large one only the definition that the save touched."""

import __future__

import dis
import re
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from types import CodeType

from fastapi_hmr.engine.scopes import is_function, nested, scopes_in
from fastapi_hmr.engine.syntax import Structural, compare, note_slots, same_code

_FUTURE_FLAGS = 0
for _name in __future__.all_feature_names:
    _FUTURE_FLAGS |= getattr(__future__, _name).compiler_flag

_IMPORTS = frozenset({dis.opmap["IMPORT_NAME"], dis.opmap["IMPORT_FROM"]})
_STORE_NAME = dis.opmap["STORE_NAME"]
_INTRINSIC = dis.opmap["CALL_INTRINSIC_1"]

# What makes lines or their encoding other than they look: such files are compiled as a whole.
_UNUSUAL = (b"\r", b"\f", b"\0", b"\xef\xbb\xbf")
_CODING = re.compile(rb"coding[=:]")
_DEFINITION = (b"def ", b"class ", b"async def ", b"@")
_HEADER = (b"def ", b"class ", b"async def ")
# A line that begins so goes on with the statement before, or is none.
_CONTINUES = (b" ", b"\t", b"#", b")", b"]", b"}")


@dataclass(frozen=True, slots=True)
class Source:
    """A file's content and what it compiles to."""

    filename: str
    content: bytes
    code: CodeType
    family: list[weakref.ref[CodeType]] = field(default_factory=list)
    """All modules' code that shares code objects with this one: `recompile` reuses those of what did not move."""

    def parents_of(self) -> dict[int, int]:
        """Count in how many modules' constants each code object at the top level is, by id."""
        return Counter(id(child) for module in self._relatives() for child in nested(module))

    def constants(self) -> set[int]:
        """Return the ids of all tuples of constants that may have this module's code objects."""
        relatives = list(self._relatives())
        return {id(code.co_consts) for module in relatives for code in (module, *scopes_in(module))}

    def _relatives(self) -> Iterator[CodeType]:
        return (module for reference in self.family if (module := reference()) is not None)


def compile_whole(filename: str, content: bytes) -> Source:
    """Compile a file; raises what `compile` raises."""
    return adopt(filename, content, compile(content, filename, "exec", dont_inherit=True))


def adopt(filename: str, content: bytes, code: CodeType) -> Source:
    """Take a file that is compiled already."""
    return Source(filename, content, code, [weakref.ref(code)])


def recompile(old: Source, new: bytes) -> Source:
    """Compile the new content of a file, reusing the old code of what is above and below the one edit.

    The result equals `compile_whole` but for the line table of the module's own code.
    """
    return _spliced(old, new) or compile_whole(old.filename, new)


@dataclass(frozen=True, slots=True)
class _Region:
    """The top-level definition that holds the whole edit, in lines from 0."""

    start: int
    old_end: int
    new_end: int


def _spliced(old: Source, new: bytes) -> Source | None:
    old_lines, new_lines = old.content.split(b"\n"), new.split(b"\n")
    if _is_unusual(old.content, old_lines) or _is_unusual(new, new_lines):
        return None
    region = _edited_definition(old_lines, new_lines, [child.co_firstlineno - 1 for child in nested(old.code)])
    if region is None:
        return None
    imported = _imported_names(old.code)
    try:
        before = _compile_part(old, imported, old_lines[region.start : region.old_end], region.start)
        after = _compile_part(old, imported, new_lines[region.start : region.new_end], region.start)
    except (SyntaxError, ValueError):
        return None  # the whole file tells what is wrong
    inside = [child for child in nested(old.code) if region.start < child.co_firstlineno <= region.old_end]
    if len({_key(child) for child in inside}) != len(inside) or not _same_definitions(inside, before, after):
        return None
    replaced = dict(zip(map(_key, inside), nested(after), strict=True))
    shift = region.new_end - region.old_end
    constants: list[object] = []
    for constant in old.code.co_consts:
        value: object = constant
        if isinstance(constant, CodeType) and constant.co_firstlineno > region.start:
            below = constant.co_firstlineno > region.old_end
            value = moved_by(constant, shift) if below else replaced[_key(constant)]
            if value is None:
                return None
        constants.append(value)
    code = old.code.replace(co_consts=tuple(constants))
    old.family[:] = [reference for reference in old.family if reference() is not None]
    old.family.append(weakref.ref(code))
    return Source(old.filename, new, code, old.family)


def _is_unusual(content: bytes, lines: list[bytes]) -> bool:
    return any(mark in content for mark in _UNUSUAL) or any(map(_CODING.search, lines[:2]))


def moved_by(code: CodeType, lines: int) -> CodeType | None:
    """Return the code as compiled from text so many lines further down; None where that can't be told."""
    if not lines:
        return code
    constants: list[object] = []
    for constant in code.co_consts:
        moved = moved_by(constant, lines) if isinstance(constant, CodeType) else constant
        if moved is None and constant is not None:
            return None
        constants.append(moved)
    if not is_function(code) and "__firstlineno__" in code.co_names:
        slot = note_slots(code).get("__firstlineno__")
        if slot is None or constants[slot] != code.co_firstlineno:
            return None
        constants[slot] = code.co_firstlineno + lines
    return code.replace(co_firstlineno=code.co_firstlineno + lines, co_consts=tuple(constants))


def _edited_definition(old: list[bytes], new: list[bytes], starts: list[int]) -> _Region | None:
    """Find the definition at the top level that holds every line that differs."""
    above = sum(1 for _ in takewhile(lambda lines: lines[0] == lines[1], zip(old, new, strict=False)))
    below = sum(
        1 for _ in takewhile(lambda lines: lines[0] == lines[1], zip(reversed(old), reversed(new), strict=False))
    )
    start = max((start for start in starts if start <= above and old[start].startswith(_DEFINITION)), default=None)
    if start is None:
        return None
    old_end, new_end = _end(old, start), _end(new, start)
    # Equal text from the ends on, so what is outside compiles to the same as before.
    if len(old) - old_end != len(new) - new_end or len(old) - old_end > below or old_end < above:
        return None
    return _Region(start, old_end, new_end)


def _end(lines: list[bytes], start: int) -> int:
    """The line after a definition: the next one that begins a statement at the left margin.

    Cut too early, in a string say, the piece does not compile.
    """
    header = next((i for i in range(start, len(lines)) if lines[i].startswith(_HEADER)), len(lines))
    return next(
        (i for i in range(header + 1, len(lines)) if lines[i] and not lines[i].startswith(_CONTINUES)), len(lines)
    )


def _compile_part(old: Source, imported: list[str], lines: list[bytes], start: int) -> CodeType:
    """Compile one definition at its place in the file.

    Calls through imported names compile to other instructions, so they are imported, on the first of the empty lines.
    """
    first = f"import {', '.join(imported)}" if imported and start else ""
    text = first + "\n" * start + b"\n".join(lines).decode() + "\n"
    flags = old.code.co_flags & _FUTURE_FLAGS
    code: CodeType = compile(text, old.filename, "exec", flags=flags, dont_inherit=True)
    return code


def _imported_names(module: CodeType) -> list[str]:
    """Return the names that a module's import statements bind."""
    names: set[str] = set()
    argument, importing = 0, False
    for operation, low in zip(module.co_code[::2], module.co_code[1::2], strict=True):
        argument = argument << 8 | low
        if operation == dis.EXTENDED_ARG:
            continue
        if operation in _IMPORTS:
            importing = True
        elif operation == _STORE_NAME:
            if importing:
                names.add(module.co_names[argument])
            importing = False
        elif operation == _INTRINSIC:  # import *
            importing = False
        argument = 0
    return sorted(names)


def _same_definitions(inside: list[CodeType], before: CodeType, after: CodeType) -> bool:
    """True if the part alone compiles as in the whole, and the edit is inside functions only.

    Decorators, defaults and annotations are then the same, and so is the code of the module around the part.
    """
    alone = nested(before)
    if list(map(_key, alone)) != list(map(_key, inside)) or len(nested(after)) != len(inside):
        return False
    return all(map(same_code, inside, alone)) and not isinstance(compare(before, after), Structural)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno
