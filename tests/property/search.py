"""Runs many seeds and collects the histories that differ from cold."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.property.differ import explain
from tests.property.harness import Bench
from tests.property.scenario import History, history
from tests.property.shrink import as_source, failure, shrink


@dataclass
class Tally:
    """What a run of many histories came to."""

    sequences: int = 0
    saves: int = 0
    cold_errors: int = 0
    dead_starts: int = 0
    restarts: int = 0
    levels: dict[str, int] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, seed: int, result: dict[str, Any], text: str) -> None:
        """Count one result."""
        verdicts = result["verdicts"]
        self.sequences += 1
        self.saves += len(verdicts) - 1
        self.cold_errors += sum("error" in v["cold"] for v in verdicts)
        self.dead_starts += "error" in verdicts[0]["cold"]
        self.restarts += result["restarts"]
        for verdict in verdicts[1:]:
            report = (verdict.get("hot") or {}).get("report") or {}
            restart = (verdict.get("hot") or {}).get("restart")
            if restart:
                self.reasons.append(f"seed {seed} save {verdict['step']}: {restart.get('why')}")
            level = (
                "restart"
                if restart
                else str(
                    report.get("level")
                    or report.get("rung")
                    or ("error" if (verdict.get("hot") or {}).get("errors") else "?")
                )
            )
            self.levels[level] = self.levels.get(level, 0) + 1
        if not result["ok"]:
            self.failed[seed] = text


def search(
    bench: Bench,
    seeds: Iterable[int],
    *,
    edits: int,
    modules: int,
    threads: int,
    told: Callable[[int, str], None] | None = None,
) -> Tally:
    """Run these seeds; `told` hears of each failure as it is found."""
    tally, lock, begun = Tally(), threading.Lock(), time.monotonic()

    def one(seed: int) -> None:
        result = bench.judge(history(seed, edits, modules).scenario())
        text = "" if result["ok"] else explain(result)
        with lock:
            tally.add(seed, result, text)
        if text and told:
            told(seed, text)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, seeds))
    tally.seconds = time.monotonic() - begun
    return tally


def smallest(bench: Bench, seed: int, *, edits: int, modules: int, seconds: float) -> tuple[History, str]:
    """The shrunk history of a failing seed, as a scenario file."""
    small = shrink(history(seed, edits, modules), lambda h: failure(bench.judge(h.scenario())), seconds)
    return small, as_source(small)
