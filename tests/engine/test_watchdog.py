"""The watchdog of imports: one thread watches them all."""

import threading
import time

import pytest

from fastapi_hmr.engine.watchdog import ImportTimeout, Watchdog


def dogs() -> list[threading.Thread]:
    """The threads that watch."""
    return [thread for thread in threading.enumerate() if thread.name == "fastapi-hmr import watchdog"]


def hang() -> None:
    """Go on for ever, nearly."""
    for _ in range(1000):
        time.sleep(0.01)


def test_no_import_starts_a_thread_of_its_own() -> None:
    """That would be waited for."""
    watchdog = Watchdog(__file__.__eq__, 60)
    with watchdog():
        first = dogs()
    for _ in range(3):
        with watchdog():
            assert dogs() == first
    assert len(first) == 1


def test_an_import_is_interrupted_also_after_one_that_was() -> None:
    """And what cannot be told of one costs only that."""
    watchdog = Watchdog(__file__.__eq__, 0.05)
    with watchdog():
        pass  # the first may take as long as it likes

    def fail() -> bool:
        raise ValueError("nobody knows")

    for superseded in (fail, lambda: False):
        watchdog.superseded = superseded
        with watchdog():
            time.sleep(0)
        with pytest.raises(ImportTimeout), watchdog():
            hang()
