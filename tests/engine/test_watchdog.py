"""The watchdog of imports: one thread watches them all."""

import threading
import time

import pytest

from fastapi_hmr.engine.watchdog import ImportTimeout, bounded


def dogs() -> list[threading.Thread]:
    """The threads that watch."""
    return [thread for thread in threading.enumerate() if thread.name == "fastapi-hmr import watchdog"]


def hang() -> None:
    """Go on for ever, nearly."""
    for _ in range(1000):
        time.sleep(0.01)


def test_no_import_starts_a_thread_of_its_own() -> None:
    """That would be waited for."""
    with bounded(60):
        first = dogs()
    for _ in range(3):
        with bounded(60):
            assert dogs() == first
    assert len(first) == 1


def test_an_import_is_interrupted_also_after_one_that_was() -> None:
    """And what cannot be told of one costs only that."""

    def fail() -> None:
        raise RuntimeError("nobody to tell")

    for late in (fail, lambda: None):
        with bounded(60, late):
            time.sleep(0)
        with pytest.raises(ImportTimeout), bounded(0.05):
            hang()
