"""APScheduler 3: a scheduler that a module or the app's start has started is stopped before the next does the same.

One that went on would run its jobs twice, by the code before; one that a kept module holds could not be started again,
and has lost its jobs where it was shut down. So it also becomes what it was before it was started.

Private names (checked: 3.10.4 to 3.11.3; a test holds each of them):
1. `_executors`, `_jobstores`, `_pending_jobs` of a scheduler, `next_run_time` and `_jobstore_alias` of a job: starting
   fills them, and shutting down empties the job stores in memory.
2. `_pool` of an executor, `_shutdown` of a pool of the standard library, and what that was made with, `_max_workers`
   and `_thread_name_prefix`: shutting down is the end of it.
3. `__wrapped__` of `AsyncIOScheduler.shutdown`, since 3.11 of `_shutdown`: these only happen in a while.
"""

import sys
from collections.abc import Iterator
from functools import wraps
from typing import Any
from weakref import ReferenceType, ref

from fastapi_hmr.engine.adapters import Adapter, Effect

_BASE = "apscheduler.schedulers.base"
_TIMED = "next_run_time"


class _Start:
    """One call of a scheduler's `start`, and what it was before."""

    def __init__(self, scheduler: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.scheduler: ReferenceType[Any] = ref(scheduler)
        self._arguments, self._named = arguments, named
        self._executors, self._stores = dict(scheduler._executors), dict(scheduler._jobstores)  # noqa: SLF001 - see the ledger
        self._pending = [(entry, hasattr(entry[0], _TIMED)) for entry in scheduler._pending_jobs]  # noqa: SLF001 - as above

    def effect(self, scheduler: Any) -> Effect:
        """It was started."""
        what = f"a started {type(scheduler).__name__}"
        return Effect(what, lambda: self._undo(scheduler), lambda: self._redo(scheduler), carries=True)

    def _redo(self, scheduler: Any) -> None:
        scheduler.start(*self._arguments, **self._named)

    def _undo(self, scheduler: Any) -> None:
        if scheduler.running:
            _stop(scheduler)
        for (job, *_), timed in self._pending:
            job._jobstore_alias = None  # noqa: SLF001 - as above
            if not timed and hasattr(job, _TIMED):
                delattr(job, _TIMED)
        for executor in self._executors.values():
            _refill(executor)
        scheduler._executors, scheduler._jobstores = dict(self._executors), dict(self._stores)  # noqa: SLF001 - as above
        scheduler._pending_jobs = [entry for entry, _ in self._pending]  # noqa: SLF001 - as above


class Schedulers:
    """The schedulers that were started."""

    def __init__(self) -> None:
        self._count = 0
        self._starts: dict[int, _Start] = {}
        self._base: Any = sys.modules[_BASE].BaseScheduler
        self._original = start = self._base.start

        @wraps(start)
        def noted(scheduler: Any, *arguments: Any, **named: Any) -> None:
            before = _Start(scheduler, arguments, named)
            start(scheduler, *arguments, **named)
            self._starts = {number: one for number, one in self._starts.items() if one.scheduler() is not None}
            self._count += 1
            self._starts[self._count] = before

        self._base.start = noted

    def close(self) -> None:
        """Take the interceptor out."""
        self._base.start = self._original

    def take(self) -> int:
        """How many starts there were."""
        return self._count

    def effects(self, before: int, now: int) -> Iterator[Effect]:
        """One effect for each."""
        for number in range(before + 1, now + 1):
            start = self._starts.get(number)
            scheduler = None if start is None else start.scheduler()
            if start is not None and scheduler is not None:
                yield start.effect(scheduler)


def _stop(scheduler: Any) -> None:
    """Shut it down, now: its jobs that run at the moment are not waited for."""
    kind: Any = type(scheduler)
    shutdown = getattr(kind, "_shutdown", kind.shutdown)
    getattr(shutdown, "__wrapped__", kind.shutdown)(scheduler, wait=False)


def _refill(executor: Any) -> None:
    """Give it a pool that works, like the one that it had."""
    pool: Any = getattr(executor, "_pool", None)
    if getattr(pool, "_shutdown", False) and type(pool).__name__ == "ThreadPoolExecutor":
        executor._pool = type(pool)(pool._max_workers, pool._thread_name_prefix)  # noqa: SLF001 - as above


ADAPTER = Adapter(_BASE, Schedulers)
