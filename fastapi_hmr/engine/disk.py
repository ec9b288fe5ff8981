"""Disk: what a file, a path or a directory was like when a module asked, in a form that can be compared."""

import hashlib
import os
import time
from pathlib import Path

BIG = 4_000_000
"""From this size on, time and size stand for the contents."""

AT_REST_NS = 2_000_000_000
"""Two changes within this time may look the same in a file's status: on some file systems it is that coarse."""

type Print = tuple[object, ...] | None


def contents(path: Path) -> Print:
    """The contents of a file; None where there is none to read."""
    try:
        status = path.stat()
        if status.st_size > BIG:
            return (status.st_size, status.st_mtime_ns)
        with path.open("rb") as file:
            return (hashlib.blake2b(file.read(), digest_size=16).digest(),)
    except OSError:
        return None


def status(path: str) -> Print:
    """What tells that a file has the contents that it had, without reading it; None where nothing does.

    The kernel sets the time of the last change of any kind, and nobody else can; so it is enough to be sure that
    another change would show in it.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - asked for every module that runs
    except OSError:
        return None
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < AT_REST_NS:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def kind(path: str | Path) -> str:
    """What exists under a path: "file", "directory", "other" or "nothing"."""
    if os.path.isdir(path):  # noqa: PTH112 - one call for Path and str
        return "directory"
    if os.path.isfile(path):  # noqa: PTH113 - as above
        return "file"
    return "other" if os.path.lexists(path) else "nothing"


def listing(path: Path) -> frozenset[str]:
    """The names in a directory that a person put there."""
    try:
        return frozenset(name for name in os.listdir(path) if name != "__pycache__")  # noqa: PTH208 - names only
    except OSError:
        return frozenset()
