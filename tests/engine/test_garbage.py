"""When dropped generations are collected: in a lull after the last save, at the latest some seconds after the first."""

import asyncio
import gc
from collections.abc import Callable

import pytest

from fastapi_hmr.engine import garbage
from fastapi_hmr.engine.garbage import LATEST_S, LULL_S, MANY, SOON_S, Garbage


class Clock:
    """A loop whose time the test tells."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[float] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> "Clock":
        """Note when; nothing is called."""
        assert callback.__name__ == "_collect"
        self.due.append(self.now + delay)
        return self

    def cancel(self) -> None:
        """The last timer."""
        self.due.pop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time in the module."""
    clock = Clock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)
    monkeypatch.setattr(garbage, "perf_counter", lambda: clock.now)
    return clock


def test_a_save_puts_the_collection_off_and_many_do_not_for_ever(clock: Clock) -> None:
    """It stops the process: not while the next save's page is loaded, as after a formatter's save."""
    collector = Garbage()
    collector.postpone()
    assert clock.due == []
    began = clock.now
    collector.dropped()
    assert clock.due == [began + LULL_S]
    while clock.now < began + LATEST_S:
        clock.now += LULL_S * 0.9
        collector.postpone()
        collector.dropped()
        assert len(clock.due) == 1
        if clock.now + LULL_S < began + LATEST_S:
            assert clock.due == [clock.now + LULL_S]
    assert clock.due[0] <= began + LATEST_S


def test_collecting_takes_a_bounded_share_of_the_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large app's takes long, and comes the more rarely."""
    collector = Garbage()
    collector.dropped()
    clock.now += LULL_S

    def collect() -> None:
        clock.now += 0.5

    monkeypatch.setattr(gc, "collect", collect)
    collector._collect()
    collector.dropped()
    assert clock.due[-1] == pytest.approx(clock.now + 0.5 / garbage.SHARE)


def test_many_generations_do_not_wait_for_a_lull(clock: Clock) -> None:
    """Twenty saves a second, by a script or a test: what the process grows by for them, it hardly gives back."""
    collector = Garbage()
    for _ in range(MANY - 1):
        collector.dropped()
        collector.postpone()
    assert clock.due == [clock.now + LULL_S]
    collector.dropped()
    assert clock.due == [clock.now + SOON_S]
    collector.postpone()
    collector.dropped()
    assert clock.due == [clock.now + SOON_S]
