"""The values that travel from the watcher through a reload to terminal and browser."""

from enum import IntEnum
from pathlib import Path
from typing import Literal, NamedTuple

from fastapi_hmr.tracebacks import ErrorReport


class FileChange(NamedTuple):
    """One changed file: an absolute path and what became of it."""

    kind: Literal["added", "modified", "deleted"]
    path: Path


class ReloadLevel(IntEnum):
    """The rungs of the ladder, gentlest first."""

    NOTHING = 0
    PATCH = 1
    UPDATE = 2
    REIMPORT = 3
    RESTART = 4


class Reloaded(NamedTuple):
    """A reload that worked: the new code is being served.

    `generation` is the id `boot.n` that is served now, `reason` says why this level was taken,
    `changed` the files that made it, `modules` the names that ran again, in the order they ran.
    """

    generation: str
    level: ReloadLevel
    reason: str
    changed: tuple[Path, ...]
    modules: tuple[str, ...]
    milliseconds: float


class ReloadFailed(NamedTuple):
    """A reload that did not work; `serving` says whether an earlier good version still answers."""

    report: ErrorReport
    changed: tuple[Path, ...]
    milliseconds: float
    serving: bool


class AssetsChanged(NamedTuple):
    """Templates, stylesheets and other files that pages use and no module read: the page alone refreshes."""

    changed: tuple[Path, ...]


NOT_IN_PLACE = "; not in place: "
"""Comes before what kept an edit from being patched, at the end of a reason."""

type Event = Reloaded | ReloadFailed | AssetsChanged
