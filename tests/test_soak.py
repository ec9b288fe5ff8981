"""Two minutes of traffic and saves, some of them broken."""

import statistics
from pathlib import Path

import pytest

from tests.soak import soak, summary


@pytest.mark.timeout(300)
def test_two_minutes_of_saves_under_traffic(tmp_path: Path) -> None:
    """Nothing refused, reset, unanswered or torn; the usual reload is quick, and none takes long."""
    project = tmp_path / "project"
    project.mkdir()
    tally, log = soak(120, seed=7, folder=project)
    text = f"{summary(tally)}\n{log[-3000:]}"
    assert not tally.problems, text
    assert len(tally.reloads_s) > 30, text
    assert statistics.median(tally.reloads_s) < 0.5, text
    assert {"/version", "/body", "/upload", "/download", "/slow", "/sse", "/ws message"} <= tally.ends.keys(), text
