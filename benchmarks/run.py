"""Takes all numbers: servers in turn, round by round, so that a busy moment of the machine hits them alike."""

import contextlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import apps
from benchmarks.measure import Running, running
from benchmarks.servers import Server

type Results = dict[str, dict[str, list[float | None]]]
"""By row and server: the samples."""

COLD, IDLE, FAILED = "cold start, {}, ms", "idle, 1 route, % of a core", "failed requests per save, {}"


class Plan(NamedTuple):
    """How much is measured: by the number of routes, how many saves of each kind and how many starts."""

    sizes: dict[int, tuple[int, int]]
    idle_s: float


FULL = Plan({1: (5, 5), 200: (3, 3), 2000: (3, 1)}, 5.0)
QUICK = Plan({1: (2, 1)}, 1.0)
EDITS: dict[str, apps.Edit] = {
    "body of a handler": apps.body,
    "signature of a handler": apps.signature,
    "a model that all import": apps.model,
}


def edits(size: int) -> dict[str, apps.Edit]:
    """What is edited in an app of this size: all of it only in the middle one, for the time it takes."""
    return {f"{what}, {named(size)}, ms": edit for what, edit in EDITS.items() if size == 200 or edit is apps.body}


def named(size: int) -> str:
    """The size of an app in words."""
    return "1 route" if size == 1 else f"{size:,} routes"


class Run:
    """One run over some servers; `keep` is called after each part, so that a run that is cut short can go on."""

    def __init__(self, python: str, servers: tuple[Server, ...], plan: Plan, keep: Callable[[Results], None]) -> None:
        self._python, self._servers, self._plan, self._keep = python, servers, plan, keep
        self._token = 0
        self._random = random.Random(1)

    def take(self, results: Results) -> None:
        """Measure what is missing in the results."""
        for size in self._plan.sizes:
            for part in (self._saves, self._starts):
                servers = tuple(each for each in self._servers if not self._has(results, part, size, each))
                with TemporaryDirectory(prefix="benchmarks-") as folder:
                    if servers:
                        part(results, size, servers, Path(folder))
                        self._keep(results)

    def _has(self, results: Results, part: object, size: int, server: Server) -> bool:
        if part == self._starts:
            return server.name in results.get(COLD.format(named(size)), {})
        return not server.reloads or server.name in results.get(FAILED.format(named(size)), {})

    def _saves(self, results: Results, size: int, servers: tuple[Server, ...], folder: Path) -> None:
        with contextlib.ExitStack() as stack:
            processes = self._up(servers, size, folder, stack)
            for row, edit in edits(size).items():
                for _ in range(self._plan.sizes[size][0]):
                    for process in processes:
                        time.sleep(0.3 + self._random.random() / 4)  # at no fixed phase of a server that polls
                        self._token += 1
                        saved = process.save(edit, f"saved{self._token}{'x' * (self._token % 7)}")
                        _add(results, row, process, saved.milliseconds)
                        if edit is apps.body:
                            _add(results, FAILED.format(named(size)), process, float(saved.failed))

    def _up(self, servers: tuple[Server, ...], size: int, folder: Path, stack: contextlib.ExitStack) -> list[Running]:
        processes = []
        for server in servers:
            home = folder / server.name.replace(" ", "")
            apps.write(home, size)
            try:
                processes.append(stack.enter_context(running(server, self._python, home)))
            except RuntimeError as error:
                print(f"left out: {error}", file=sys.stderr)
        return processes

    def _starts(self, results: Results, size: int, servers: tuple[Server, ...], folder: Path) -> None:
        """The first start of each only writes the bytecode."""
        with contextlib.ExitStack() as stack:
            first = self._up(servers, size, folder, stack)
            if size == 1:
                self._idle(results, first)
        for _ in range(self._plan.sizes[size][1]):
            for process in first:
                again = Running(process.server, self._python, process.folder)
                try:
                    _add(results, COLD.format(named(size)), again, again.started_ms())
                except RuntimeError as error:
                    print(error, file=sys.stderr)
                    _add(results, COLD.format(named(size)), again, None)
                finally:
                    again.end()

    def _idle(self, results: Results, processes: list[Running]) -> None:
        time.sleep(min(2.0, self._plan.idle_s))  # let them settle
        before = [process.cpu_s() for process in processes]
        time.sleep(self._plan.idle_s)
        for process, was in zip(processes, before, strict=True):
            _add(results, IDLE, process, (process.cpu_s() - was) / self._plan.idle_s * 100)


def _add(results: Results, row: str, process: Running, sample: float | None) -> None:
    results.setdefault(row, {}).setdefault(process.server.name, []).append(sample)
