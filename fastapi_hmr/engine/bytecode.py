"""Bytecode: Python's own cache of compiled modules, where it can't be stale.

A `.pyc` names its source by size and second, so that two saves within one second look the same. Here it counts only if
it was written in a later second than its source, and is written only for a source that has been at rest.
"""

import marshal
import os
import sys
import time
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from struct import pack
from types import CodeType

HEADER = 16
SECOND_NS = 1_000_000_000
AT_REST_S = 2


def read(path: str, source: bytes) -> bytes | None:
    """The marshalled code of this source, which has just been read; None where it is to be compiled."""
    try:
        status = os.stat(path)  # noqa: PTH116 - asked for every module of a start
        with Path(cache_from_source(path)).open("rb") as file:
            written = os.fstat(file.fileno()).st_mtime_ns
            content = file.read()
    except (OSError, NotImplementedError):
        return None
    fresh = written // SECOND_NS > status.st_mtime_ns // SECOND_NS
    return content[HEADER:] if fresh and content[:HEADER] == _header(status) and len(source) == status.st_size else None


def write(loader: SourceFileLoader, path: str, source: bytes, marshalled: bytes) -> None:
    """Fill the cache for the next start, as Python does: where it may, and without a word where it can't."""
    if sys.dont_write_bytecode:
        return
    with suppress(OSError, NotImplementedError):
        status = os.stat(path)  # noqa: PTH116 - as above
        if status.st_size == len(source) and time.time() - status.st_mtime > AT_REST_S:
            loader.set_data(cache_from_source(path), _header(status) + marshalled)


def load(marshalled: bytes, path: str) -> CodeType | None:
    """The code object, if it is one that was compiled at this path."""
    try:
        code = marshal.loads(marshalled)  # noqa: S302 - what Python itself would load
    except (ValueError, EOFError, TypeError):
        return None
    return code if isinstance(code, CodeType) and code.co_filename == path else None


def _header(status: os.stat_result) -> bytes:
    return MAGIC_NUMBER + pack("<III", 0, int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
