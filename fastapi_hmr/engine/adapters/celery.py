"""celery: tasks that a module shares with every app, now and later, and the app that it made the current one."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect


def _state() -> Any:
    return sys.modules["celery._state"]


class State:
    """What is called for each app when it is finalized (every task is, unless said otherwise), and the current apps."""

    def take(self) -> tuple[frozenset[Any], Any, Any]:
        """The callbacks, the current app of this thread, the app of threads that have none."""
        state = _state()
        return frozenset(state._on_app_finalizers), state._tls.current_app, state.default_app  # noqa: SLF001 - no public list

    def effects(self, before: tuple[Any, ...], now: tuple[Any, ...]) -> Iterator[Effect]:
        """One for all callbacks that came, one for an app that became the current one."""
        added = now[0] - before[0]
        if added:
            yield Effect(f"{len(added)} celery tasks", _forgetting(added), _announcing(added))
        if before[1] is not now[1]:
            yield Effect("the current celery app", _turning(now[1], before[1]), _turning(before[1], now[1]))
        if before[2] is not now[2]:
            yield Effect("the default celery app", _defaulting(now[2], before[2]), _defaulting(before[2], now[2]))


def _forgetting(added: frozenset[Any]) -> Callable[[], None]:
    def forget() -> None:
        state = _state()
        state._on_app_finalizers.difference_update(added)  # noqa: SLF001 - as above
        if state.default_app is not None and state.default_app.main == "default":
            state.default_app = None  # celery made it, when a thread without an app asked for a task: it has these

    return forget


def _announcing(added: frozenset[Any]) -> Callable[[], None]:
    return lambda: _state()._on_app_finalizers.update(added)  # noqa: SLF001 - as above


def _turning(old: Any, new: Any) -> Callable[[], None]:
    def turn() -> None:
        local = _state()._tls  # noqa: SLF001 - as above
        if local.current_app is old:
            local.current_app = new

    return turn


def _defaulting(old: Any, new: Any) -> Callable[[], None]:
    def turn() -> None:
        if _state().default_app is old:
            _state().set_default_app(new)

    return turn


ADAPTER = Adapter("celery._state", State)
