"""Each library in an app of its own, with real edits of a model, a setting, a metric or a job: hot equals cold."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.libraries.scenarios import load
from tests.property.differ import explain
from tests.property.harness import Bench, bench

SCENARIOS = {scenario["id"]: scenario for scenario in load()}


@pytest.fixture(scope="module")
def made() -> Iterator[Bench]:
    """One runner for the tests of this process."""
    with bench() as found:
        yield found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_library_equals_cold(name: str, made: Bench) -> None:
    """After each edit the app answers as a cold start does, and each edit can be seen in what cold answers."""
    result = made.judge(SCENARIOS[name])
    assert result["ok"], f"{name} differs from cold:\n{explain(result)}"
    answers: list[Any] = [v["cold"].get("observed") or v["cold"]["error"] for v in result["verdicts"]]
    assert "error" not in result["verdicts"][0]["cold"]
    assert "Internal Server Error" not in str(answers)
    for before, after, verdict in zip(answers, answers[1:], result["verdicts"][1:], strict=False):
        assert before != after, f"{name}: nothing shows the edit {verdict['name']!r}"
