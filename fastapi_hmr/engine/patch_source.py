"""Compiles a saved file, and of a large one only the definition that the save touched."""

import __future__

import re
from dataclasses import dataclass
from itertools import takewhile
from types import CodeType

from fastapi_hmr.engine.syntax import Structural, compare, is_function, nested, note_slots

_FUTURE_FLAGS = 0
for _name in __future__.all_feature_names:
    _FUTURE_FLAGS |= getattr(__future__, _name).compiler_flag

# What makes lines or their encoding other than they look: such files are compiled as a whole.
_UNUSUAL = re.compile(rb"[\r\f\0]|\A\xef\xbb\xbf|\A(?:[^\n]*\n)?[^\n]*coding[=:]")
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


def compile_whole(filename: str, content: bytes) -> Source:
    """Compile a file; raises what `compile` raises."""
    return Source(filename, content, compile(content, filename, "exec", dont_inherit=True))


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
    if _UNUSUAL.search(old.content) or _UNUSUAL.search(new):
        return None
    old_lines, new_lines = old.content.split(b"\n"), new.split(b"\n")
    children = nested(old.code)
    region = _edited_definition(old_lines, new_lines, [child.co_firstlineno - 1 for child in children])
    if region is None:
        return None
    flags = old.code.co_flags & _FUTURE_FLAGS
    try:
        before = _compile_lines(old_lines[region.start : region.old_end], region.start, old.filename, flags)
        after = _compile_lines(new_lines[region.start : region.new_end], region.start, old.filename, flags)
    except (SyntaxError, ValueError):
        return None  # the whole file tells what is wrong
    if not _same_statement(before, after):
        return None
    replacing = dict(zip(map(_key, nested(before)), nested(after), strict=True))
    inside = [child for child in children if region.start < child.co_firstlineno <= region.old_end]
    if len(replacing) != len(inside) or set(replacing) != set(map(_key, inside)):
        return None
    shift = region.new_end - region.old_end
    constants: list[object] = []
    for constant in old.code.co_consts:
        replaced = constant
        if isinstance(constant, CodeType) and constant.co_firstlineno > region.start:
            below = constant.co_firstlineno > region.old_end
            moved = moved_by(constant, shift) if below else replacing[_key(constant)]
            if moved is None:
                return None
            replaced = moved
        constants.append(replaced)
    return Source(old.filename, new, old.code.replace(co_consts=tuple(constants)))


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


def _compile_lines(lines: list[bytes], start: int, filename: str, flags: int) -> CodeType:
    text = "\n" * start + b"\n".join(lines).decode() + "\n"
    code: CodeType = compile(text, filename, "exec", flags=flags, dont_inherit=True)
    return code


def _same_statement(before: CodeType, after: CodeType) -> bool:
    """True if the definitions differ only inside functions: decorators, defaults and annotations are the same."""
    return not isinstance(compare(before, after), Structural)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno
