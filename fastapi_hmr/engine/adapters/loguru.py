"""loguru: sinks that a module added or removed, its levels, and what it configured; there is one logger for all.

Two sinks for one file write each line twice, and a level of its own can't be made a second time.

Private names (checked: 0.7.2 to 0.7.3; the scenarios in tests/libraries hold each of them): `_core` of the logger; of
that `handlers`, `levels`, `levels_ansi_codes`, `levels_lookup`, `extra`, `patcher`, `activation_list`, `activation_none`,
`enabled`, `min_level` and `lock`; of a handler `levelno`, `stop()`, `_stopped` and `_enqueue`.
"""

import sys
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from math import inf
from typing import Any, NamedTuple

from fastapi_hmr.engine.adapters import Adapter, Effect, Owned

_BUILT_IN = frozenset("TRACE DEBUG INFO SUCCESS WARNING ERROR CRITICAL".split())
_DEFAULT = 0
"""The sink that loguru adds itself."""
_SINKS: frozenset[Hashable] = frozenset((("loguru", "sinks"),))


def _core() -> Any:
    return sys.modules["loguru"].logger._core  # noqa: SLF001 - see the ledger


class _Entries(dict[Any, Any]):
    """A copy, and equal to another where the values are the very same objects: those of users need not be comparable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and self.keys() == other.keys() and all(self[k] is other[k] for k in self)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as a dict


class _State(NamedTuple):
    sinks: _Entries
    levels: _Entries
    codes: _Entries
    """The colours of the levels."""
    extra: _Entries
    settings: _Entries
    """The patcher, and which loggers are enabled."""


class Logger:
    """What has become of the one logger."""

    def take(self) -> _State:
        """Its sinks, levels and settings."""
        core = _core()
        settings = {name: getattr(core, name) for name in ("patcher", "activation_list", "activation_none")}
        tables = (core.handlers, core.levels, core.levels_ansi_codes, core.extra, settings)
        return _State(*map(_Entries, tables))

    def effects(self, before: _State, now: _State) -> Iterator[Effect]:
        """One for each sink and level, one for the extra values, one for each setting."""
        for number, sink in now.sinks.items():
            if number not in before.sinks:
                undo, redo = partial(_take_out, number), partial(_put_in, number, sink)
                yield Effect(f"loguru's sink {number}", undo, redo, _SINKS, finish=sink.stop, carries=True)
        for number, sink in before.sinks.items():
            if number not in now.sinks and not sink._enqueue:  # noqa: SLF001 - its thread has ended
                undo, redo = partial(_put_in, number, sink), partial(_take_out, number)
                yield Effect(f"the removal of loguru's sink {number}", undo, redo, _SINKS, carries=True)
        for name in now.levels.keys() | before.levels.keys():
            if now.levels.get(name) is not before.levels.get(name):
                undo, redo = (partial(_set_level, name, s.levels.get(name), s.codes.get(name)) for s in (before, now))
                yield _switched(f"loguru's level {name}", undo, redo)
        if before.extra != now.extra:
            yield _switched("loguru's extra values", partial(_set_extra, before.extra), partial(_set_extra, now.extra))
        for name, value in now.settings.items():
            if value is not (old := before.settings[name]):
                yield _switched(f"loguru's {name}", partial(_set, name, old), partial(_set, name, value))


def _switched(what: str, undo: Callable[[], None], redo: Callable[[], None]) -> Effect:
    return Effect(what, undo, redo, frozenset((("loguru", what),)), carries=True)


def _set_level(name: str, level: Any = None, code: str | None = None) -> None:
    core = _core()
    lookup = None if level is None else (name, name, level.no, level.icon)
    with core.lock:
        tables = (core.levels, level), (core.levels_ansi_codes, code), (core.levels_lookup, lookup)
        for table, entry in tables:
            table.pop(name, None)
            if entry is not None:
                table[name] = entry


def _take_out(number: int) -> None:
    core = _core()
    _set_sinks({each: sink for each, sink in core.handlers.items() if each != number})


def _put_in(number: int, sink: Any) -> None:
    sink._stopped = False  # noqa: SLF001 - it was removed, and then stopped; a file is opened again at the next line
    _set_sinks({**_core().handlers, number: sink})


def _set_sinks(sinks: dict[int, Any]) -> None:
    core = _core()
    with core.lock:
        core.min_level = min((sink.levelno for sink in sinks.values()), default=inf)
        core.handlers = dict(sorted(sinks.items()))


def _set_extra(values: dict[str, Any]) -> None:
    core = _core()
    with core.lock:
        core.extra.clear()
        core.extra.update(values)


def _set(name: str, value: Any) -> None:
    core = _core()
    with core.lock:
        setattr(core, name, value)
        core.enabled = {}  # what has been found out so far


def _forget(_owned: Owned) -> None:
    """Everything that is not loguru's own: a script's own run of its modules did that."""
    core = _core()
    for number in [number for number in core.handlers if number != _DEFAULT]:
        sys.modules["loguru"].logger.remove(number)
    for name in [name for name in core.levels if name not in _BUILT_IN]:
        _set_level(name)


ADAPTER = Adapter("loguru", Logger, _forget)
