"""Random edits of random modules: what a patch serves is what a cold start of the same text serves."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastapi_hmr.engine.patch import Patch
from fastapi_hmr.engine.patch_holders import walk
from fastapi_hmr.engine.patch_record import RunRecord
from tests.engine.patch_cases import Live, Program, cold, observe, shape

SEED = int(os.environ.get("PATCH_SEED", "20"))
EDITS = int(os.environ.get("PATCH_EDITS", "200"))


@pytest.fixture
def record() -> Iterator[RunRecord]:
    """A record that listens for the length of a test."""
    record = RunRecord()
    record.install()
    yield record
    record.close()


def test_patch_of_random_edits_equals_cold(tmp_path: Path, record: RunRecord) -> None:
    """Whatever is patched serves as after a cold start, lines and docstrings included; an undone patch as before."""
    rng = random.Random(SEED)
    verdicts: Counter[tuple[str | bool, str]] = Counter()
    done = 0
    while done < EDITS:
        program = Program.make(rng, rng.randrange(3, 9))
        live = Live(tmp_path / f"sample{done}.py", program.text(), record)
        for _ in range(8):
            done += 1
            asked = [expression for expression in program.observations() if rng.random() < 0.5]
            observe(live.namespace, asked)  # requests: caches fill, functions have been called
            before = live.source
            kind = program.edit()
            text = program.text()
            patch = live.save(text)
            verdicts[kind, type(patch).__name__] += 1
            if not isinstance(patch, Patch):
                if kind != "more":
                    verdicts["kept results" in patch.reason, "reason"] += 1
                live.load(text)
            elif rng.random() < 0.2:
                live.undo(patch, before)
                assert_as_cold(live, before.content.decode(), program)
                if not isinstance(live.save(text), Patch):
                    live.load(text)
            assert_as_cold(live, text, program)
    print(verdicts)
    assert {kind for kind, verdict in verdicts if verdict == "Patch"} == {"nothing", "bodies"}
    assert verdicts["nothing", "NotPatchable"] == 0
    # Only cached properties, and what looks like one, stand in the way of an edit of bodies here.
    refused = verdicts["bodies", "NotPatchable"]
    assert refused == verdicts[True, "reason"] < verdicts["bodies", "Patch"] / 4


def assert_as_cold(live: Live, text: str, program: Program) -> None:
    """Compare all observations and the shape of all functions with a cold start."""
    fresh = cold(live.path, text)
    expressions = program.observations()
    assert observe(live.namespace, expressions) == observe(fresh, expressions)
    assert shape(live.namespace, walk) == shape(fresh, walk)
