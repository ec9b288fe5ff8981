"""What a reload under load is made of: the app's notes of its own end and start, and what is left for us."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fastapi_hmr.generation import DRAIN_S

OWN_S = 0.2
"""What a reload may take besides the app's own shutdown and startup, and the requests that are waited for."""
BOUND_S = DRAIN_S + 0.3
"""What those may take at most. The rest of it is for the machine, which does something else at the same time."""

# A library as far as the server is concerned: it is not watched, never runs again, and holds nothing that changes.
# A note costs one write; what ends is only remembered, by an object of the generation that it belongs to.
NOTES = """
import os, time

_file = os.open(os.environ["SOAK_NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def note(what, *numbers):
    os.write(_file, " ".join(map(str, (what, time.monotonic(), *numbers))).encode() + b"\\n")

class Flight:
    '''How many requests are in flight, and when the last of them ended; the same for streams and sockets.'''

    def __init__(self):
        self.open, self.ended = [0, 0], [0.0, 0.0]

class Watched:
    '''A middleware that tells a Flight.'''

    def __init__(self, app, flight):
        self.app, self.flight = app, flight

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        kind = int(scope["path"] in ("/sse", "/ws"))
        self.flight.open[kind] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.flight.open[kind] -= 1
            self.flight.ended[kind] = time.monotonic()
"""


class Note(NamedTuple):
    """One line of the app's: what happened (built, stop, start, up, failed), and when."""

    what: str
    at: float
    rest: tuple[float, ...]


class Span(NamedTuple):
    """A time between two notes."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return max(self.end - self.begin, 0.0)


@dataclass
class Reload:
    """One good save, from the save to the answer of its version (seconds)."""

    total: float
    drain: float
    """From the moment that the new modules have run to the end of the last request in flight over the old ones."""
    retire: float
    """The same for streams and sockets, which are not waited for but ended: a part of `own`."""
    startup: float
    """The app's own shutdown and startup."""
    waited: float
    """For how long the server and the client stood in line for a processor: somebody else's doing."""
    longest: float
    """The longest single drain: where a save overtakes another there may be several."""
    mends: bool
    """Whether it came after a broken save."""
    notes: str
    """What happened when, for whoever wants to know why it took so long."""

    @property
    def own(self) -> float:
        """Whatever is not the app's."""
        return self.total - self.drain - self.startup

    @property
    def ours(self) -> float:
        """The same less what the machine was busy with: what it would have taken by itself."""
        return max(self.own - self.waited, 0.0)


class Notebook:
    """Reads what the app has noted since the last look, and what the kernel counts."""

    def __init__(self, file: Path, processes: Iterable[int]) -> None:
        self._file, self._read, self._processes = file, 0, tuple(processes)
        self._notes: list[Note] = []

    def waited(self) -> float:
        """For how long the main threads of these processes have been ready to run, and did not."""
        return sum(_waited(process) for process in self._processes)

    def reload(self, began: float, answered: float, waited: float = 0.0, *, mends: bool) -> Reload:
        """The parts of the reload that was asked for and answered at these times; `waited`: until it was asked for."""
        now = self.waited()
        self._more()
        notes = [note for note in self._notes if began - 10 < note.at < answered]
        self._notes = notes  # what is older is of no use to a later save either
        drains, retired, starts = _spans(notes)
        shown = (f"{note.what} {(note.at - began) * 1000:.0f}" for note in notes if note.at > began)
        return Reload(
            total=answered - began,
            drain=_length(drains, began),
            retire=_length(retired, began),
            startup=_length(starts, began),
            waited=now - waited,
            longest=max((drain.seconds for drain in drains), default=0.0),
            mends=mends,
            notes=", ".join((*shown, f"answered {(answered - began) * 1000:.0f}")),
        )

    def _more(self) -> None:
        with self._file.open() as file:
            file.seek(self._read)
            while (line := file.readline()).endswith("\n"):
                what, at, *rest = line.split()
                self._notes.append(Note(what, float(at), tuple(map(float, rest))))
                self._read = file.tell()


def _waited(process: int) -> float:
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # a kernel that does not count it
        return 0.0


def _spans(notes: Iterable[Note]) -> tuple[list[Span], list[Span], list[Span]]:
    """Drains, ends of streams, and the app's own shutdowns and startups, each from the note that it began with."""
    drains, retired, own = [], [], []
    built = begun = None
    for note in notes:
        if note.what == "built":
            built = note.at
        elif note.what in {"stop", "start"}:
            begun = note.at
            if note.what == "stop" and built is not None:
                open_, ended, streams_ended = note.rest
                drains.append(Span(built, note.at if open_ else max(ended, built)))
                retired.append(Span(built, max(streams_ended, built)))
        elif begun is not None:
            own.append(Span(begun, note.at))
            begun = None
    return drains, retired, own


def _length(spans: Iterable[Span], since: float) -> float:
    return sum(Span(max(begin, since), end).seconds for begin, end in spans)


def figures(reloads: list[Reload]) -> list[str]:
    """The parts of all reloads as lines for people."""
    if not reloads:
        return ["      0 good saves served"]
    late = sum(reload.own > OWN_S for reload in reloads)
    ours = sum(reload.ours > OWN_S for reload in reloads)
    mending = sum(reload.mends for reload in reloads)
    slowest = max(reloads, key=lambda reload: reload.ours)
    head = f"{len(reloads):7} good saves served, {mending} of them after a broken one; besides the app's part "
    return [
        f"{head}{late} took over {OWN_S:g} s, {ours} of them not for want of a processor",
        *(
            _line(name, [getattr(reload, part) for reload in reloads])
            for name, part in (
                ("save to answer", "total"),
                ("besides the app's part", "own"),
                ("of it, ours", "ours"),
                ("of it, ends of streams", "retire"),
                ("drain", "drain"),
                ("app's own startup", "startup"),
            )
        ),
        f"        our slowest (ms after the save): {slowest.notes}",
    ]


def part(seconds: list[float], share: float) -> float:
    """The time within which this share of them was done."""
    return sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)]


def _line(name: str, seconds: list[float]) -> str:
    median, most, slowest = statistics.median(seconds) * 1000, part(seconds, 0.95) * 1000, max(seconds) * 1000
    return f"        {name:22} median {median:5.0f} ms, 95 % {most:5.0f} ms, slowest {slowest:5.0f} ms"
