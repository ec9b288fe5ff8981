"""Hot equals cold: the engine under the shared conformance suite, and under our own scenarios of the same kinds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.property.harness import cold_answers

PROJECT = Path(__file__).resolve().parents[1]
SUITE = PROJECT.parent / "shared" / "conformance"
OWN = PROJECT / "tests" / "engine" / "scenarios"
RESTARTS = 3

__test__ = SUITE.is_dir()
"""Without the suite, in a clone by itself, there is nothing to collect here, and one line says so."""

if not __test__:
    sys.stderr.write(f"{SUITE} is not there: the engine is not checked against the conformance suite\n")

pytestmark = pytest.mark.timeout(900)


def run(tmp_path: Path, *arguments: str, engine: str = "Engine") -> list[dict[str, Any]]:
    """The suite's results for one engine."""
    out = tmp_path / "results.json"
    argv = [sys.executable, "-W", "ignore", "-m", "hotcold", "--path", str(PROJECT), "--json", str(out), *arguments]
    subprocess.run(
        [*argv, "--engine", f"tests.conformance:{engine}"],
        cwd=SUITE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOTCOLD_CACHE": cold_answers()},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    results: list[dict[str, Any]] = json.loads(out.read_text())[f"tests.conformance:{engine}"]
    return results


def complaints(results: list[dict[str, Any]]) -> str:
    """The scenarios that failed, by name, with what differed."""
    return "\n".join(
        f"{result['id']}, step {verdict['step']} ({verdict['name']}): {'; '.join(verdict['why'])}"
        for result in results
        for verdict in result["verdicts"]
        if not verdict["ok"]
    )


def test_conformance_all_scenarios(tmp_path: Path) -> None:
    """Every scenario of the suite passes, at most three of them with the help of a new process."""
    results = run(tmp_path)
    assert len(results) >= 150
    assert not complaints(results), f"not as a cold start:\n{complaints(results)}"
    restarted = [result["id"] for result in results if result["restarts"]]
    assert len(restarted) <= RESTARTS, f"served by a new process: {restarted}"


def test_conformance_own_scenarios(tmp_path: Path) -> None:
    """So does every scenario of our own, which go where the suite does not."""
    results = run(tmp_path, "--set", str(OWN))
    assert len(results) >= 60
    assert not complaints(results), f"not as a cold start:\n{complaints(results)}"


@pytest.mark.parametrize(
    ("engine", "scenario"),
    [
        ("WithoutState", "registry-list-append"),
        ("WithoutProcess", "signal-handler-at-import"),
        ("WithoutAdapters", "prometheus-metric"),
        ("WithoutForeign", "third-party-function-wrapped"),
        ("WithoutProbes", "data-file-appears-and-goes"),
        ("WithoutReach", "an-import-goes-and-with-it-the-registrations"),
        ("WithoutOrder", "order-of-registrations"),
        ("WithoutLadder", "local-module-shadows-stdlib"),
    ],
)
def test_mechanism_is_needed(tmp_path: Path, engine: str, scenario: str) -> None:
    """Each mechanism is there for a scenario that fails without it."""
    assert all(result["ok"] for result in run(tmp_path, "-k", scenario))
    assert not all(result["ok"] for result in run(tmp_path, "-k", scenario, engine=engine))
