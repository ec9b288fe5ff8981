"""Loggers: the levels, handlers and filters that a module gave them."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from fastapi_hmr.engine.effects import added
from fastapi_hmr.engine.record import Effect

type Entries = tuple[tuple[logging.Handler, ...], tuple[Any, ...]]
type LoggerState = tuple[tuple[int, bool, bool], Entries]
FRESH: LoggerState = ((logging.NOTSET, True, False), ((), ()))
SETTING: Final = frozenset(("setLevel", "level", "propagate", "disabled"))
"""What code sets of a logger, by the names that it does it with."""
READERS: Final = (
    ("level", "getEffectiveLevel", "isEnabledFor"),
    ("propagate",),
    ("disabled",),
    ("handlers", "hasHandlers"),
    ("filters",),
)
"""By what names code sees each part of a logger's state."""


class Logging:
    """Levels, handlers and filters of all loggers, the root's too."""

    def take(self) -> dict[str, LoggerState]:
        """The loggers that differ from a fresh one."""
        found = {"": self._state(logging.root)}
        for name, logger in list(logging.root.manager.loggerDict.items()):
            if isinstance(logger, logging.Logger) and (
                logger.handlers or logger.level or logger.filters or logger.disabled or not logger.propagate
            ):
                found[name] = self._state(logger)
        return found

    @staticmethod
    def _state(logger: logging.Logger) -> LoggerState:
        return (logger.level, logger.propagate, logger.disabled), (tuple(logger.handlers), tuple(logger.filters))

    def effects(self, before: dict[str, LoggerState], now: dict[str, LoggerState]) -> Iterator[Effect]:
        """One effect for each logger."""
        for name in before.keys() | now.keys():
            old, new = before.get(name, FRESH), now.get(name, FRESH)
            if old != new:
                yield self._effect(name, old, new)

    def _effect(self, name: str, old: LoggerState, new: LoggerState) -> Effect:
        come = [[item for item, _ in added(before, after)] for before, after in zip(old[1], new[1], strict=True)]
        gone = [[item for item, _ in added(after, before)] for before, after in zip(old[1], new[1], strict=True)]

        def finish() -> None:
            for handler in come[0]:
                if not any(handler in state[1][0] for state in self.take().values()):
                    with suppress(Exception):
                        handler.close()

        return Effect(
            f"logger {name or 'root'!r}",
            lambda: self._turn(name, (new[0], old[0]), come, gone),
            lambda: self._turn(name, (old[0], new[0]), gone, come),
            frozenset(("logger", name, kind) for kind in range(3) if old[0][kind] != new[0][kind]),
            (frozenset((name,)), SETTING) if name else (),
            lists=frozenset(("logger's list", name, kind) for kind in range(2) if come[kind] or gone[kind]),
            finish=finish,
            shown={
                reader: now
                for before, now, readers in zip((*old[0], *old[1]), (*new[0], *new[1]), READERS, strict=True)
                if before != now
                for reader in readers
            },
        )

    @staticmethod
    def _turn(
        name: str, settings: tuple[tuple[int, bool, bool], ...], gone: list[list[Any]], come: list[list[Any]]
    ) -> None:
        """Of the lists, only what differs: what others had added before may be gone."""
        logger = logging.getLogger(name or None)
        old, new = settings
        if old[0] != new[0] and logger.level == old[0]:
            logger.setLevel(new[0])
        if logger.propagate == old[1]:
            logger.propagate = new[1]
        if logger.disabled == old[2]:
            logger.disabled = new[2]
        both: tuple[list[Any], ...] = (logger.handlers, logger.filters)
        for mine, out, into in zip(both, gone, come, strict=True):
            mine[:] = [item for item in mine if item not in out]
            mine += [item for item in into if item not in mine]
