"""Runs scenarios with the conformance suite's own runner, as a library: cold, hot, verdict."""

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.property.source import LIVE

ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(os.environ.get("HOTCOLD_HOME") or ROOT.parent / "shared" / "conformance")
ENGINE = os.environ.get("HOTCOLD_ENGINE", "tests.property.engine:Engine")
HEAVY = ["pydantic.v1", "sqlalchemy.dialects.sqlite", "multipart", "email.mime.text", "html", "string"]
"""What FastAPI and SQLAlchemy import late, beside what the suite preloads."""


def cold_answers() -> str:
    """The folder where the suite keeps what cold starts answered: one for each set of installed packages."""
    packages = sorted(f"{d.metadata['Name']} {d.version}" for d in importlib.metadata.distributions())
    key = hashlib.sha256("\n".join([sys.version, *packages]).encode()).hexdigest()[:16]
    return os.environ.get("HOTCOLD_CACHE") or str(Path(tempfile.gettempdir()) / f"hotcold-cache-{key}")


def load_suite() -> tuple[Any, Any]:
    """The suite's `run` and `spec` modules; cold answers are kept per set of installed packages."""
    if not (SUITE / "hotcold" / "run.py").is_file():
        raise RuntimeError(
            f"no conformance suite in {str(SUITE)!r}; set HOTCOLD_HOME to the folder that holds hotcold/"
        )
    if str(SUITE) not in sys.path:
        sys.path.append(str(SUITE))
    os.environ["HOTCOLD_CACHE"] = cold_answers()
    return importlib.import_module("hotcold.run"), importlib.import_module("hotcold.spec")


def preloading_zygote(zygote_module: Any, names: Sequence[str]) -> type:
    """The suite's fork server with more preloaded, so that a forked answer costs what the app costs.

    What was preloaded is frozen: a collection looks at what the app made, which is half the cost of a hot process.
    """

    class Preloading(zygote_module.Zygote):  # type: ignore[misc]  # the suite is not typed
        def __init__(self, python: str) -> None:
            code = (
                f"import contextlib, gc, importlib, sys; sys.path.append({str(ROOT)!r}); from hotcold import zygote\n"
                f"for name in [*zygote.PRELOAD, *{list(names)!r}]:\n"
                f"    with contextlib.suppress(ImportError): importlib.import_module(name)\n"
                "from tests.property import asking; asking.install()\n"
                "gc.collect(); gc.freeze(); zygote.serve()"
            )
            env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore"}
            self.proc = subprocess.Popen(
                [python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=SUITE, env=env
            )
            assert self.proc.stdout is not None
            if self.proc.stdout.readline().strip() != "ready":
                raise RuntimeError(f"the fork server did not start; its exit code is {self.proc.wait()}")
            self.tmp = tempfile.mkdtemp(prefix="hotcold-")
            self.n = 0

    return Preloading


class Runners:
    """Two of the suite's runners behind one face: cold answers come from processes that never saw the engine."""

    def __init__(self, run: Any, engine: str) -> None:
        zygote_module = importlib.import_module("hotcold.zygote")
        self.parts = []
        for names in (HEAVY, [*HEAVY, engine.partition(":")[0]]):
            runner = run.Runner(sys.executable)
            make = preloading_zygote(zygote_module, names)
            runner.zygote = functools.partial(self.free_or_new, runner, make)
            self.parts.append(runner)
        self.cold, self.hot = self.parts[0].cold, self.parts[1].hot

    @staticmethod
    def free_or_new(runner: Any, make: Callable[[str], Any]) -> Any:
        """What the suite's own `zygote` does, with our kind."""
        with runner.lock:
            if runner.free:
                return runner.free.pop()
        return make(runner.python)

    def close(self) -> None:
        """End the fork servers."""
        for runner in self.parts:
            for zygote in runner.free:
                zygote.close()
                zygote.proc.stdout.close()
                shutil.rmtree(zygote.tmp, ignore_errors=True)


class Bench:
    """The runners and the engine under test."""

    def __init__(self, engine: str = ENGINE, *, strict: bool = False) -> None:
        self.engine = engine
        self.strict = strict
        self.run, self.spec = load_suite()
        self.runners = Runners(self.run, engine)

    def judge(self, raw: dict[str, object]) -> dict[str, Any]:
        """The suite's result for one scenario: `ok`, and a verdict a step."""
        result: dict[str, Any] = self.run.run_one(self.runners, self.engine, self.spec.parse(raw), False, (str(ROOT),))
        spare_live_files(result)
        if self.strict:
            blame_restarts(result)
        return result

    def close(self) -> None:
        """End the fork servers."""
        self.runners.close()


def spare_live_files(result: dict[str, Any]) -> None:
    """What is read for each request is no version's own: while an edit is broken, the old one shows it as it is now."""
    last_good: Any = None
    for verdict in result["verdicts"]:
        if "error" not in verdict["cold"]:
            last_good = verdict["cold"]["observed"]
        elif verdict["why"] == ["old version disturbed"] and last_good is not None:
            observed = verdict["hot"]["observed"]
            if observed is not None and without_live_files(observed) == without_live_files(last_good):
                verdict["why"], verdict["ok"] = [], True
    result["ok"] = all(verdict["ok"] for verdict in result["verdicts"])


def without_live_files(observed: dict[str, Any]) -> dict[str, Any]:
    """What was observed, less the page from a template and the probes that read a file."""
    shown = {path: answer for path, answer in observed.items() if path != "GET /page"}
    state = shown.get("GET /state", {}).get("body")
    if isinstance(state, dict):
        shown["GET /state"] = {
            name: {probe: value for probe, value in probes.items() if not probe.endswith(LIVE)}
            for name, probes in state.items()
            if isinstance(probes, dict)
        }
    return shown


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
