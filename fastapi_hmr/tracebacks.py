"""Turns an exception into an ErrorReport: the user's frames with source, for terminal and browser."""

import contextlib
import importlib
import linecache
import os
import traceback
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

AROUND = 3
"""Lines of source shown before and after the failing one."""
MAX_FRAMES = 60
MAX_MESSAGE = 4000
MAX_LINE = 400
MAX_CHAIN = 6
_OURS = str(Path(__file__).resolve().parent)
_STANDARD = Path(os.__file__).parent
_MACHINERY = (_OURS, "<frozen importlib", "<frozen runpy", str(Path(importlib.__file__).parent))


class SourceLine(NamedTuple):
    """One line of source: its number (from 1) and text, without the line end."""

    number: int
    text: str


class Frame(NamedTuple):
    """One step of a traceback.

    `column` and `end_column` are offsets in characters into the failing line, from 0; None where unknown.
    `library` is True for code outside the project (folded in the browser, left out in the terminal).
    """

    file: str
    line: int
    function: str
    column: int | None
    end_column: int | None
    source: tuple[SourceLine, ...]
    library: bool


class ErrorReport(NamedTuple):
    """What went wrong: `title` is the exception's type, `message` its text, `frames` outermost first."""

    title: str
    message: str
    frames: tuple[Frame, ...] = ()
    note: str = ""


def report(error: BaseException, *, roots: Sequence[Path]) -> ErrorReport:
    """Describe an exception for a person: never values of locals, and never an exception of its own."""
    inner, notes = _unwrapped(error, roots)
    frames = _frames(inner, roots)
    if inner is not error:
        frames = [*_frames(error, roots), *frames]
    notes += _chain(inner, roots)
    with contextlib.suppress(Exception):
        notes += [str(note) for note in getattr(inner, "__notes__", ())]
    return ErrorReport(_title(inner), _message(inner), tuple(frames), _shortened("\n".join(notes), MAX_MESSAGE))


_UP = 3
"""As many steps up are still read at a glance."""


def as_text(report: ErrorReport) -> str:
    """The report as plain text, the failing line marked."""
    lines = [f"{report.title}: {report.message}" if report.message else report.title]
    for frame in report.frames:
        lines.append(f"  {frame.file}:{frame.line} in {frame.function}{' (library)' if frame.library else ''}")
        if not frame.library:
            lines += _marked(frame)
    lines += [f"  {line}" for line in report.note.splitlines()]
    return "\n".join(lines) + "\n"


def place(frame: Frame, base: Path) -> str:
    """`file:line`: terminals and editors make it a link."""
    return f"{near(frame.file, base)}:{frame.line}"


def here() -> Path:
    """The directory that people are in. It may have been removed under us: then they call it by the same name."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.environ.get("PWD") or os.sep)


def near(path: str | Path, base: Path) -> str:
    """A path as people speak of it who are in `base`: relative to it, unless it is far away."""
    absolute = str(path)
    with contextlib.suppress(ValueError, OSError):  # on another drive; from a directory that is gone
        relative = os.path.relpath(absolute, base)
        if Path(absolute).is_absolute() and not relative.startswith(os.path.join(*[os.pardir] * (_UP + 1))):  # noqa: PTH118 - a text
            return relative
    return absolute


def caret(frame: Frame, text: str) -> str:
    """Spaces and carets under the failing columns of `text`, which is that frame's line; empty where unknown."""
    if frame.column is None:
        return ""
    end = frame.end_column if frame.end_column is not None else frame.column + 1
    indent = "".join(letter if letter == "\t" else " " for letter in text[: frame.column])
    return indent + "^" * max(1, min(end, len(text.rstrip())) - frame.column)


def _marked(frame: Frame) -> Iterator[str]:
    width = len(str(frame.source[-1].number)) if frame.source else 0
    for line in frame.source:
        failing = line.number == frame.line
        yield f"    {'>' if failing else ' '} {line.number:>{width}} | {line.text}"
        if failing and (mark := caret(frame, line.text)):
            yield f"      {' ' * width} | {mark}"


def _unwrapped(error: BaseException, roots: Sequence[Path]) -> tuple[BaseException, list[str]]:
    """The exception that matters in a group of one; what else a group holds, as notes."""
    notes: list[str] = []
    while isinstance(error, BaseExceptionGroup):
        inner = error.exceptions
        if len(inner) > 1:
            notes.append(f"{len(inner)} errors together:")
            notes += [f"- {_one_line(each)}{_where(each, roots)}" for each in inner[:MAX_CHAIN]]
            if len(inner) > MAX_CHAIN:
                notes.append(f"- and {len(inner) - MAX_CHAIN} more")
            break
        notes.append(f"in a group: {_shortened(_message(error), 200)}")
        error = inner[0]
    return error, notes


def _chain(error: BaseException, roots: Sequence[Path]) -> Iterator[str]:
    """What led to the exception, nearest first."""
    seen = {id(error)}
    for _ in range(MAX_CHAIN):
        cause, context = error.__cause__, None if error.__suppress_context__ else error.__context__
        before = cause or context
        if before is None or id(before) in seen:
            return
        seen.add(id(before))
        yield f"{'caused by' if cause else 'while handling'} {_one_line(before)}{_where(before, roots)}"
        error = before


def _where(error: BaseException, roots: Sequence[Path]) -> str:
    """The innermost place in the user's code."""
    own = [frame for frame in _frames(error, roots) if not frame.library]
    return f" ({place(own[-1], here())})" if own else ""


def _one_line(error: BaseException) -> str:
    message = " ".join(_message(error).split())
    return _shortened(f"{_title(error)}: {message}" if message else _title(error), 300)


def _title(error: BaseException) -> str:
    kind = type(error)
    module = str(kind.__module__)
    inside = module == "builtins" or module.partition(".")[0] == "fastapi_hmr"
    return str(kind.__qualname__) if inside else f"{module}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        if isinstance(error, SyntaxError) and error.msg:
            return str(error.msg)  # str() would repeat file and line, which have a frame of their own
        if isinstance(error, BaseExceptionGroup):
            return str(error.message)
        if isinstance(error, SystemExit):
            return f"the app called sys.exit({'' if error.code is None else repr(error.code)})"
        return _shortened(str(error) + _suggestion(error), MAX_MESSAGE)
    except BaseException as failure:  # noqa: BLE001 - a __str__ of the user's may raise anything
        return f"(its text can't be had: {type(failure).__name__} in __str__)"


def _suggestion(error: BaseException) -> str:
    """Python's own 'Did you mean', which is no part of the exception's text."""
    if not isinstance(error, NameError | AttributeError | ImportError):
        return ""
    with contextlib.suppress(Exception):
        rendered = traceback.TracebackException(type(error), error, error.__traceback__, lookup_lines=False)
        last = "".join(rendered.format_exception_only()).strip()
        _, found, hint = last.rpartition(str(error))
        if found and len(hint) < 200:
            return hint
    return ""


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]} ... ({len(text) - limit} characters left out) ... {text[-limit // 2 :]}"


def _frames(error: BaseException, roots: Sequence[Path]) -> list[Frame]:
    frames: list[Frame] = []
    try:
        steps = [step for step in _steps(error.__traceback__) if not _is_machinery(step.tb_frame.f_code.co_filename)]
        left_out = max(0, len(steps) - MAX_FRAMES)
        above, below = steps[: MAX_FRAMES // 3], steps[MAX_FRAMES // 3 + left_out :]
        frames.extend(_frame(step, roots) for step in above)
        if left_out:
            frames.append(_marker(f"({left_out} frames left out)"))
        frames.extend(_frame(step, roots) for step in below)
        if isinstance(error, SyntaxError) and error.filename and error.lineno:
            frames.append(_syntax_frame(error, roots))
    except Exception as failure:  # noqa: BLE001 - a report with fewer frames is better than none
        frames.append(_marker(f"(no more frames: {type(failure).__name__})"))
    return frames


def _marker(text: str) -> Frame:
    return Frame("...", 0, text, None, None, (), library=True)


def _steps(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        yield step
        step = step.tb_next


def _is_machinery(file: str) -> bool:
    """Import machinery, hmr and this package: between the user's frames they are only noise."""
    return file.startswith(_MACHINERY) or "/site-packages/reactivity/" in file


def _frame(step: TracebackType, roots: Sequence[Path]) -> Frame:
    code = step.tb_frame.f_code
    line, end_line, column, end_column = next(
        islice(code.co_positions(), step.tb_lasti // 2, None), (None, None, None, None)
    )
    if line != step.tb_lineno:  # no position for this instruction
        column = end_column = None
    name = code.co_qualname.replace(".<locals>", "")
    source = _source(code.co_filename, step.tb_lineno, step.tb_frame.f_globals)
    text = next((each.text for each in source if each.number == step.tb_lineno), None)
    if text is None or column is None:
        return Frame(code.co_filename, step.tb_lineno, name, None, None, source, _is_library(code.co_filename, roots))
    first = _characters(text, column)
    last = len(text.rstrip()) if end_column is None or end_line != line else _characters(text, end_column)
    return Frame(code.co_filename, step.tb_lineno, name, first, last, source, _is_library(code.co_filename, roots))


def _characters(text: str, offset: int) -> int:
    """Python counts columns in bytes of UTF-8; people and browsers count characters."""
    return len(text.encode()[:offset].decode(errors="ignore"))


def _syntax_frame(error: SyntaxError, roots: Sequence[Path]) -> Frame:
    file, line = str(error.filename), int(error.lineno or 1)
    source = _source(file, line, {})
    if not source and error.text:
        source = (SourceLine(line, error.text.rstrip("\r\n")),)
    column = error.offset - 1 if error.offset and error.offset > 0 else None
    end = None
    if column is not None:
        text = next((each.text for each in source if each.number == line), "")
        if "was never closed" in str(error.msg) and text[column : column + 1] not in tuple("([{"):
            column = _characters(text, column)  # Python 3.12 counts bytes in this one error
        known = error.end_offset is not None and error.end_lineno == line
        end = max((error.end_offset or 0) - 1 if known else 0, column + 1)
    return Frame(file, line, "<module>", column, end, source, _is_library(file, roots))


def _source(file: str, line: int, module_globals: dict[str, object]) -> tuple[SourceLine, ...]:
    linecache.checkcache(file)
    lines = linecache.getlines(file, module_globals)
    if not lines and not file.startswith("<"):
        with contextlib.suppress(OSError):  # not in the encoding that it says: show what can be shown
            lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    first = max(1, line - AROUND)
    around = lines[first - 1 : line + AROUND]
    return tuple(SourceLine(first + n, text.rstrip("\r\n")[:MAX_LINE]) for n, text in enumerate(around))


def _is_library(file: str, roots: Sequence[Path]) -> bool:
    if file.startswith("<"):
        return True
    path = Path(file)
    if {"site-packages", "dist-packages"} & set(path.parts) or path.is_relative_to(_STANDARD):
        return True
    return not any(path.is_relative_to(root) for root in roots)
