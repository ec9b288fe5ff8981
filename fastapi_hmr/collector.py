"""Keeps Python's garbage collector out of the way while modules are imported.

Importing makes many objects and hardly any garbage: looking for it costs a seventh of a start.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing it is a part of the start
    import asyncio

RARELY = 1_000_000
"""New objects between two collections meanwhile. By the threshold and not by gc.disable(), which the app may use."""
HELD_S = 0.1
"""How long that moment lasts."""

type Thresholds = tuple[int, int, int]

_before: Thresholds | None = None
_frozen = 0
_held: "tuple[Thresholds, asyncio.TimerHandle] | None" = None


def put_off() -> None:
    """Hardly collect from now on; for the start of the process, until `take_up`."""
    global _before, _frozen
    _before, _frozen = _before or _raise(), gc.get_freeze_count()  # Python 3.12 has frozen some itself


def take_up() -> None:
    """The first modules have been imported: collect as ever."""
    global _before
    before, _before = _before, None
    _restore(before)
    if before is not None and gc.get_freeze_count() <= _frozen:  # the app may freeze objects for reasons of its own
        gc.freeze()
        gc.unfreeze()  # they are old now, as if looked at, or the next collection would look at all of them


@contextmanager
def paused() -> Iterator[None]:
    """Hardly collect while inside, nor in the moment after it, when the first request of a generation is answered."""
    before = _resume() or _raise()
    try:
        yield
    finally:
        _later(before)


def _later(thresholds: Thresholds | None) -> None:
    global _held  # noqa: PLW0603 - as above
    if thresholds is None:
        return
    from asyncio import get_running_loop

    try:
        timer = get_running_loop().call_later(HELD_S, _let_go)
    except RuntimeError:  # nobody can tell when that moment is over
        _restore(thresholds)
    else:
        _held = thresholds, timer


def _let_go() -> Thresholds | None:
    global _held
    held, _held = _held, None
    if held is None:
        return None
    held[1].cancel()
    _restore(held[0])
    return held[0]


def _resume() -> Thresholds | None:
    """Imports follow each other without such a moment: what the last one left is looked at now."""
    thresholds = _let_go()
    if thresholds is not None:
        gc.collect(0)
        return _raise()
    return None


def _raise() -> Thresholds | None:
    """The thresholds as they were; None where nothing is to be restored: it is off, or raised already."""
    thresholds = gc.get_threshold()
    if thresholds[0] in {0, RARELY}:
        return None
    gc.set_threshold(RARELY, *thresholds[1:])
    return thresholds


def _restore(thresholds: Thresholds | None) -> None:
    if thresholds is not None and gc.get_threshold()[0] == RARELY:
        gc.set_threshold(*thresholds)
