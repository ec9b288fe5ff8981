"""Two minutes of traffic and saves, some of them broken."""

import time
from pathlib import Path

import httpx
import pytest

from tests.soak import KEEP_ALIVE_S, Soak, soak, summary
from tests.soak_parts import OWN_S, Notebook, part
from tests.utils import Project, Server


@pytest.mark.timeout(300)
def test_two_minutes_of_saves_under_traffic(tmp_path: Path) -> None:
    """Nothing refused, reset, unanswered or torn; every drain has its bound, and what is ours is quick.

    Where it runs alone, each reload has to be (`python -m tests.soak`). Here another worker's processes and browsers
    take turns with ours, which the kernel's count of the time in line shows only in part: such a moment may come, but
    not often, and nothing may be waited for by the second.
    """
    tally, log = soak(120, seed=7, folder=tmp_path)
    text = f"{summary(tally)}\n{log[-3000:]}"
    assert not tally.problems, text
    assert len(tally.reloads) > 30, text
    ours = [reload.ours for reload in tally.reloads]
    assert part(ours, 0.95) < OWN_S, text
    assert max(ours) < 1.0, text
    clients = {"/version", "/body", "/upload", "/download", "/slow", "/long", "/sse", "/ws message"}
    assert clients <= tally.ends.keys(), text


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

    soak = Soak(Elsewhere(), project, project.root / "notes", 60, seed=1)
    since = None if idle_s is None else time.monotonic() - idle_s
    async with httpx.AsyncClient(base_url=soak.server.url, transport=httpx.MockTransport(close)) as client:
        assert await soak._request(client, "GET", "/body", since=since) is None
    assert len(soak.tally.problems) == problems


LINES = """
built 100.1
stop 100.6 0 100.5 100.12
down 100.62
start 100.63
failed 100.7
start 100.7
up 100.8
built 101.0
stop 103.1 1 100.9 0
down 103.1
start 103.1
up 103.2
"""


def test_parts_of_a_reload_are_told_apart(tmp_path: Path) -> None:
    """Each is counted from the save on: a request still in flight at the end of a drain, a start that failed."""
    (tmp_path / "notes").write_text(LINES.lstrip())
    notes = Notebook(tmp_path / "notes", ())
    both = notes.reload(100.0, 103.25, mends=True)
    assert both.drain == pytest.approx(0.4 + 2.1)
    assert both.retire == pytest.approx(0.02)
    assert both.startup == pytest.approx(0.02 + 0.07 + 0.1 + 0.1)
    assert both.own == pytest.approx(3.25 - 2.5 - 0.29)
    assert both.longest == pytest.approx(2.1)
    overtaking = notes.reload(100.65, 103.25, mends=False)
    assert overtaking.startup == pytest.approx(0.05 + 0.1 + 0.1)
    assert overtaking.drain == pytest.approx(2.1)
