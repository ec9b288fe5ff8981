"""Random edit histories, in chunks that run in parallel: no difference from cold. `python -m tests.property` runs more."""

import os
from collections.abc import Iterator

import pytest

from tests.property.asking import NO_ANSWER
from tests.property.harness import Bench, bench
from tests.property.scenario import history
from tests.property.search import Tally, search, smallest

SEED = 7_000
CHUNKS, SIZE = 12, 25
EDITS, MODULES = 5, 20
SHRINK_S = 60.0


@pytest.fixture(scope="session")
def made() -> Iterator[Bench]:
    """The product's bench, whose fork servers take seconds to start: one for all chunks of a process."""
    with bench() as shared:
        yield shared


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_history_equals_cold(made: Bench, chunk: int) -> None:
    """After every save of a random history the engine serves what a cold start would, or reports that it fails."""
    first = SEED + chunk * SIZE
    threads = 1 if "PYTEST_XDIST_WORKER" in os.environ else os.cpu_count() or 1
    tally = search(made, range(first, first + SIZE), edits=EDITS, modules=MODULES, threads=threads)
    if not tally.failed:
        assert tally.dead_starts <= SIZE // 3
        return
    seed, text = min(tally.failed.items())
    _, source = smallest(made, seed, edits=EDITS, modules=MODULES, seconds=SHRINK_S)
    pytest.fail(
        f"seed {seed} differs from cold (of seeds {sorted(tally.failed)}):\n{text}\nshrunk:\n{source}", pytrace=False
    )


def test_history_same_seed() -> None:
    """A seed that failed can be run again: it gives the same files and the same edits."""
    assert history(3).scenario() == history(3).scenario()
    assert history(3).scenario() != history(4).scenario()


def test_history_is_large_enough() -> None:
    """The generated app has at least twenty modules of its own, and edits of many kinds."""
    some = [history(seed, EDITS, MODULES) for seed in range(SEED, SEED + CHUNKS * SIZE)]
    assert min(len(h.projects[0].modules) for h in some) >= 20
    kinds = {b.kind for h in some for m in h.projects[0].modules.values() for b in m.blocks}
    assert len(kinds) >= 30
    labels = [label.rpartition("+ ")[2] for h in some for label in h.labels]
    assert len(set(labels)) >= 20
    assert labels.count("body") >= len(labels) / 3, "most saves of a working day change a body"


def test_app_that_does_not_answer_is_compared(made: Bench) -> None:
    """A middleware that is half saved returns at once: nothing waits for it, cold or hot, and the mended one answers."""
    whole = "class Middle:\n    def __init__(self, app): self.app = app\n    async def __call__(self, *message):\n        {}\n"
    main = (
        "from fastapi import FastAPI\nfrom middle import Middle\napi = FastAPI()\napi.add_middleware(Middle)\n"
        "@api.get('/')\ndef root(): return 1\n"
    )
    steps = [
        {"write": {"middle.py": whole.format(body)}} for body in ("return", "await self.app(*message)", "return 0")
    ]
    result = made.judge(
        {
            "id": "no-answer",
            "tags": [],
            "entry": "main:api",
            "observe": ["GET /"],
            "files": {"main.py": main, "middle.py": whole.format("await self.app(*message) ")},
            "steps": steps,
            "timeout": 20.0,
        }
    )
    answers = [verdict["cold"]["observed"]["GET /"]["status"] for verdict in result["verdicts"]]
    assert answers == [200, NO_ANSWER, 200, NO_ANSWER]
    assert result["ok"]


def test_search_reports_what_differs() -> None:
    """An engine that differs is caught: plain hmr, which serves some of these edits wrongly, fails."""
    with bench("engines.hmr_plain:Engine") as made:
        tally: Tally = search(made, range(SEED, SEED + 8), edits=4, modules=MODULES, threads=1)
    assert tally.failed
