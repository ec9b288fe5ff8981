"""Finds changes by comparing, where a file system reports none.

The native core can poll too, but compares times by the second: of two saves within one it would lose the second.
"""

import os
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

POLL_S = 0.2
"""Pause between two looks."""
REST = 4
"""A look at very many files, or slow ones, is followed by a pause of so many times its own length."""
type Stamp = tuple[int, int]
"""When a file was changed (nanoseconds), and its size; the same for all directories, whose files are looked at."""

ADDED, MODIFIED, DELETED = 1, 2, 3
"""As the native core numbers its events."""
_FOLDER: Stamp = (-1, -1)
_UNKNOWN: Stamp = (-2, -2)  # a link that leads nowhere


_EVENTLESS = frozenset(
    "9p drvfs cifs smb3 smbfs nfs nfs4 vboxsf fakeowner grpcfuse fuse.grpcfuse fuse.osxfs osxfs fuse.sshfs prl_fs "
    "fuse.vmhgfs-fuse vmhgfs".split()
)


def needs_polling(roots: Iterable[Path], mounts: Path = Path("/proc/mounts")) -> str | None:
    """Why these directories have to be polled (a file system that reports no events), or None.

    `WATCHFILES_FORCE_POLLING` has the last word, as in watchfiles itself.
    """
    forced = os.environ.get("WATCHFILES_FORCE_POLLING")
    if forced:
        off = forced.lower() in {"false", "disable", "disabled"}
        return None if off else f"WATCHFILES_FORCE_POLLING={forced}"
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return None
    entries = [parts for line in lines if len(parts := line.split()) > 2]
    if _EVENTLESS.isdisjoint(parts[2] for parts in entries):  # nearly always
        return None
    table = [(Path(parts[1].replace("\\040", " ")), parts[2]) for parts in entries]
    for root in roots:
        under = [(mount, kind) for mount, kind in table if root.is_relative_to(mount)]
        if under:
            mount, kind = max(under, key=lambda entry: len(entry[0].parts))
            if kind in _EVENTLESS:
                return f"{mount} is a {kind} mount, which reports no file events"
    return None


class Poll:
    """Watches directories, not what is below them; asked as the native core is, and answers as it does."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._seen = {folder: _listing(folder) for folder in folders}
        self._due = time.monotonic() + POLL_S

    def move(self, folders: Iterable[str]) -> None:
        """Watch these from now on. Of those that it has watched before, nothing is missed."""
        known = self._seen
        self._seen = {folder: known[folder] if folder in known else _listing(folder) for folder in folders}

    def watch(
        self, _debounce_ms: int, _step_ms: int, timeout_ms: int, stop: threading.Event
    ) -> set[tuple[int, str]] | Literal["timeout", "stop"]:
        """What has changed, if it is time to look before the timeout."""
        due_s = max(self._due - time.monotonic(), 0.0)
        if stop.wait(min(due_s, timeout_ms / 1000)):
            return "stop"
        if time.monotonic() < self._due:
            return "timeout"
        began = time.monotonic()
        news = {(kind, os.path.join(folder, name)) for folder in self._seen for kind, name in self._compare(folder)}  # noqa: PTH118 - strings on purpose
        ended = time.monotonic()
        self._due = ended + max(POLL_S, REST * (ended - began))
        return news or "timeout"

    def _compare(self, folder: str) -> list[tuple[int, str]]:
        before, now = self._seen[folder], _listing(folder)
        self._seen[folder] = now
        return [
            *((DELETED, name) for name in before.keys() - now.keys()),
            *((ADDED, name) for name in now.keys() - before.keys()),
            *((MODIFIED, name) for name in now.keys() & before.keys() if now[name] != before[name]),
        ]

    def close(self) -> None:
        """There is nothing to give back."""


def _listing(folder: str) -> dict[str, Stamp]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _stamp(entry) for entry in entries}
    except OSError:  # it is gone, and so is what was in it
        return {}


def _stamp(entry: "os.DirEntry[str]") -> Stamp:
    try:
        found = entry.stat()
    except OSError:
        return _UNKNOWN
    return _FOLDER if stat.S_ISDIR(found.st_mode) else (found.st_mtime_ns, found.st_size)
