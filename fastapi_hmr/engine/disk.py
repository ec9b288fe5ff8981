"""Disk: what a file, a path or a directory was like when a module asked, in a form that can be compared."""

import hashlib
import os
from pathlib import Path

BIG = 4_000_000
"""From this size on, time and size stand for the contents."""

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
