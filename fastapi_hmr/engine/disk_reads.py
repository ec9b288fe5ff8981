"""Disk reads: which files the modules under way open, which directories they list, and that they set variables."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from fastapi_hmr.engine import disk, hmr
from fastapi_hmr.engine.places import Places, real
from fastapi_hmr.engine.process import Process
from fastapi_hmr.engine.record import FILE, LISTING, Record, Records
from fastapi_hmr.engine.sensors import path_of


class UnderWay(Protocol):
    """What is being imported; the tracker is it."""

    records: Records
    places: Places
    process: Process
    asked: set[Path]
    quiet: bool

    def tracks_here(self) -> bool:
        """Whether this thread is importing something."""

    def in_library(self) -> bool:
        """Whether a library is being imported at the moment."""

    def reading(self) -> AbstractContextManager[None]:
        """While inside, we are reading ourselves."""

    def frames(self, frame: FrameType | None) -> Iterable[Record]:
        """The module under way, and those whose functions it called on the way to this frame."""


class DiskReads:
    """Hears of it by audit events."""

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way

    def on_open(self, path: Any, frame: FrameType) -> None:
        """Part of sensors.DiskSenses. hmr keeps the file for the module under way, our records for callers between."""
        under_way = self._under_way
        counts = under_way.places.reads
        if under_way.quiet or not under_way.tracks_here():
            return
        if type(path) is str and not under_way.in_library():
            resolved = Path(path).resolve()
            if counts(resolved):
                hmr.read_file(resolved)
        if type(path) is str and not counts(path):
            return
        found = path_of(path)
        if found is None or not counts(found):
            return
        path = real(found)
        under_way.asked.add(path)
        for record in under_way.frames(frame):
            for place in {path, path.resolve()}:  # a link, and what it leads to
                if place != record.file:
                    self.note(record, place)

    def on_listing(self, path: Any, frame: FrameType) -> None:
        """Part of sensors.DiskSenses."""
        under_way, found = self._under_way, path_of(path)
        if found is None or under_way.quiet or not under_way.tracks_here():
            return
        if not under_way.places.owns_directory(found):
            return
        path = found.resolve()
        under_way.asked.add(path)
        with under_way.reading():
            names = disk.listing(path)
        for record in under_way.frames(frame):
            under_way.records.note(record, LISTING, path, names)

    def on_setenv(self) -> None:
        """Part of sensors.DiskSenses."""
        self._under_way.process.environ_changed()

    def note(self, record: Record, path: Path) -> None:
        """A module depends on what is in this file."""
        if (FILE, path) not in record.edges:
            with self._under_way.reading():
                contents = disk.contents(path)
            self._under_way.records.note(record, FILE, path, contents)
        self._under_way.asked.add(path)
