"""Turns an exception into an ErrorReport: the user's frames with source, for terminal and browser."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line of source: its number (from 1) and text, without the line end."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
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


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What went wrong: `title` is the exception's type, `message` its text, `frames` outermost first."""

    title: str
    message: str
    frames: tuple[Frame, ...] = ()
    note: str = ""
