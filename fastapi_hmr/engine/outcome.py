"""Outcome: what comes of an edit, as values."""

from typing import NamedTuple

from fastapi_hmr.events import ReloadLevel


class Built(NamedTuple):
    """A new target is ready; it is not committed yet."""

    target: object
    level: ReloadLevel
    reason: str
    modules: tuple[str, ...]
    """The names that ran, in order."""


class Unchanged(NamedTuple):
    """Nothing that the app runs or read changed."""

    reason: str
    forgotten: bool = False
    """Results that requests kept were forgotten, for a file behind them changed: pages may show something else."""


class Broken(NamedTuple):
    """The edit itself is broken; everything is as it was before."""

    error: BaseException


class NeedsRestart(NamedTuple):
    """Only a new process can serve this edit, and a cold start is known to work."""

    reason: str


class Overtaken(NamedTuple):
    """A newer save, or the end of the server, has ended this attempt: the edit stays pending."""


type Outcome = Built | Unchanged | Broken | NeedsRestart | Overtaken
