"""The directories being watched: found breadth first, as far as a bound allows, and where the app's files are."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

ENTRIES = 30_000
"""How many files and folders are looked at, about half a second's worth: the root may be somebody's home directory."""


class Tree:
    """The directories being watched and the names in them, so that a folder that goes takes its files along."""

    def __init__(self, roots: Sequence[Path], ignore: Callable[[Path], bool], entries: int = ENTRIES) -> None:
        self.ignore = ignore
        self.folders: dict[Path, set[str]] = {}
        self.partial = False
        """Whether there was more than could be taken in."""
        self.roots, self._entries = frozenset(roots), entries
        self._real: set[str] = set()
        self.links: dict[Path, set[Path]] = {}
        """Files that links among the watched ones lead to, each with those links."""
        self.scan(roots)

    def scan(self, folders: Iterable[Path]) -> list[Path]:
        """Take in folders and what is below and not ignored, the nearest first; returns the files found."""
        found: list[Path] = []
        todo = deque(folders)
        left = self._entries
        while todo and left > 0:
            here = todo.popleft()
            real = os.path.realpath(here)
            if real in self._real:  # a symlink to a folder that is watched already, or a loop of them
                continue
            try:
                with os.scandir(here) as listing:
                    entries = list(islice(listing, left))
            except OSError:
                continue
            left -= len(entries)
            self._real.add(real)
            names = self.folders[here] = set()
            for entry in entries:
                path = Path(entry.path)
                if self.ignore(path):
                    continue
                if is_folder(entry):
                    todo.append(path)
                else:
                    names.add(entry.name)
                    found.append(path)
                    if entry.is_symlink():
                        self.link(path)
        self.partial = self.partial or left <= 0
        return found

    def link(self, path: Path) -> bool:
        """Take in a link; whether it leads to a file that was not known to be led to, outside of what is watched."""
        real = Path(os.path.realpath(path))
        new = real not in self.links
        self.links.setdefault(real, set()).add(path)
        return new and real.parent not in self.folders

    @property
    def elsewhere(self) -> set[Path]:
        """Folders that are not watched themselves, with files that links lead to."""
        return {real.parent for real in self.links} - self.folders.keys()

    def follow(self, folders: Iterable[Path]) -> list[Path] | None:
        """Take in those of these folders that are below a root and were left out: the files there, None for none."""
        before = len(self.folders)
        found = self.scan([folder for folder in folders if self.lacks(folder) and not self.ignore(folder)])
        return found if len(self.folders) > before else None

    def lacks(self, folder: Path) -> bool:
        """Whether a folder below a root is not being watched, perhaps because it is ignored."""
        return folder not in self.folders and not self.roots.isdisjoint(folder.parents)

    def missed(self, folder: Path, found: list[Path]) -> list[Path]:
        """What a second look at a new folder shows: adds its new files to `found`, returns new folders."""
        fresh: list[Path] = []
        for known in [f for f in self.folders if f == folder or folder in f.parents]:
            with contextlib.suppress(OSError):
                for entry in os.scandir(known):
                    path = Path(entry.path)
                    if self.ignore(path) or entry.name in self.folders[known] or path in self.folders:
                        continue
                    if is_folder(entry):
                        fresh.append(path)
                    else:
                        self.folders[known].add(entry.name)
                        found.append(path)
                        if entry.is_symlink():
                            self.link(path)
        return [path for path in fresh if os.path.realpath(path) not in self._real]

    def forget(self, folder: Path) -> list[Path]:
        """A folder is gone: returns the files that were in it and below."""
        gone = [known for known in self.folders if known == folder or folder in known.parents]
        files = [known / name for known in gone for name in self.folders.pop(known)]
        self._real = {os.path.realpath(known) for known in self.folders}
        return files


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a directory, or a link to one; a link to itself is neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def identity(folder: Path) -> tuple[int, int] | None:
    """What tells a directory from another that has its name later; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
