"""Two minutes of traffic and saves, some of them broken."""

import statistics
import time
from pathlib import Path

import httpx
import pytest

from tests.soak import KEEP_ALIVE_S, Soak, soak, summary
from tests.utils import Project, Server


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


class Elsewhere(Server):
    """A server that is never started: its answers are made up."""

    def __init__(self) -> None:
        self.port = 1


@pytest.mark.parametrize(("idle_s", "problems"), [(0.0, 1), (KEEP_ALIVE_S - 1.0, 1), (KEEP_ALIVE_S, 0), (None, 1)])
async def test_only_a_connection_that_was_idle_may_be_closed(
    project: Project, idle_s: float | None, problems: int
) -> None:
    """A request that is not answered is a problem, unless uvicorn's timeout for idle connections explains it."""

    def close(_request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")

    soak = Soak(Elsewhere(), project, 60, seed=1)
    since = None if idle_s is None else time.monotonic() - idle_s
    async with httpx.AsyncClient(base_url=soak.server.url, transport=httpx.MockTransport(close)) as client:
        assert await soak._request(client, "GET", "/body", since=since) is None
    assert len(soak.tally.problems) == problems
