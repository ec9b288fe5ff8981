"""Runs scenarios with the conformance suite's own runner, as a library: cold, hot, verdict."""

import contextlib
import hashlib
import importlib
import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(os.environ.get("HOTCOLD_HOME") or ROOT.parent / "shared" / "conformance")
ENGINE = os.environ.get("HOTCOLD_ENGINE", "tests.property.engine:Engine")


def load_suite() -> tuple[Any, Any]:
    """The suite's `run` and `spec` modules; cold answers are kept per set of installed packages."""
    if not (SUITE / "hotcold" / "run.py").is_file():
        raise RuntimeError(
            f"no conformance suite in {str(SUITE)!r}; set HOTCOLD_HOME to the folder that holds hotcold/"
        )
    if str(SUITE) not in sys.path:
        sys.path.append(str(SUITE))
    if "HOTCOLD_CACHE" not in os.environ:
        packages = sorted(f"{d.metadata['Name']} {d.version}" for d in importlib.metadata.distributions())
        key = hashlib.sha256("\n".join([sys.version, *packages]).encode()).hexdigest()[:16]
        os.environ["HOTCOLD_CACHE"] = str(Path(tempfile.gettempdir()) / f"hotcold-cache-{key}")
    return importlib.import_module("hotcold.run"), importlib.import_module("hotcold.spec")


class Bench:
    """A runner with its zygote processes, and the engine under test."""

    def __init__(self, engine: str = ENGINE, *, strict: bool = False) -> None:
        self.engine = engine
        self.strict = strict
        self.run, self.spec = load_suite()
        self.runner = self.run.Runner(sys.executable)

    def judge(self, raw: dict[str, object]) -> dict[str, Any]:
        """The suite's result for one scenario: `ok`, and a verdict a step."""
        result: dict[str, Any] = self.run.run_one(self.runner, self.engine, self.spec.parse(raw), False, (str(ROOT),))
        if self.strict:
            blame_restarts(result)
        return result

    def close(self) -> None:
        """End the zygotes."""
        for zygote in self.runner.free:
            zygote.close()


def blame_restarts(result: dict[str, Any]) -> None:
    """Count a new process as a difference: to look for the ones that could be avoided."""
    for verdict in result["verdicts"]:
        restart = (verdict.get("hot") or {}).get("restart")
        if restart:
            raised = re.findall(r"raised (\w+)", restart.get("why", "")) or ["-"]
            verdict["why"].append(f"restart, {raised[0]}")
            verdict["ok"] = result["ok"] = False


@contextlib.contextmanager
def bench(engine: str = ENGINE, *, strict: bool = False) -> Iterator[Bench]:
    """A bench that is closed at the end."""
    made = Bench(engine, strict=strict)
    try:
        yield made
    finally:
        made.close()
