"""Keeps Python's garbage collector out of the way while modules are imported.

Importing makes many objects and hardly any garbage: looking for it costs a seventh of a start.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

RARELY = 1_000_000
"""New objects between two collections meanwhile. By the threshold and not by gc.disable(), which the app may use."""

type Thresholds = tuple[int, int, int]

_before: Thresholds | None = None
_frozen = 0


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
    """Hardly collect while inside."""
    before = _raise()
    try:
        yield
    finally:
        _restore(before)


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
