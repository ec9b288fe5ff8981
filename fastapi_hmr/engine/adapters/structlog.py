"""structlog: the configuration, and loggers that have put one together before it changed."""

import gc
import sys
from collections.abc import Hashable, Iterator
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect

SLOT: frozenset[Hashable] = frozenset((("structlog",),))

type Taken = tuple[dict[str, Any], int]


class Configuration:
    """The global defaults, and how often a logger was made from them."""

    def __init__(self) -> None:
        home: Any = sys.modules["structlog._config"]
        self._config = home._CONFIG  # noqa: SLF001 - get_config() makes new lists
        self._proxy = home.BoundLoggerLazyProxy
        self._bound = 0
        original = self._proxy.bind

        def bind(proxy: Any, **values: Any) -> Any:
            self._bound += 1
            return original(proxy, **values)

        self._proxy.bind = bind

    def take(self) -> Taken:
        """Both."""
        return dict(vars(self._config)), self._bound

    def effects(self, before: Taken, now: Taken) -> Iterator[Effect]:
        """A module configured; or it keeps, or logged with, what another configured: those run again together."""
        if now[0] == before[0]:
            yield Effect("a structlog logger", _nothing, _nothing, SLOT)
        else:
            yield Effect(
                "structlog's configuration",
                lambda: self._turn(now[0], before[0]),
                lambda: self._turn(before[0], now[0]),
                SLOT,
                finish=self._forget_loggers,
            )

    def _turn(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        settings = vars(self._config)
        for name in old.keys() | new.keys():
            if settings.get(name) is old.get(name):
                if name in new:
                    settings[name] = new[name]
                else:
                    settings.pop(name, None)
        self._forget_loggers()

    def _forget_loggers(self) -> None:
        """With `cache_logger_on_first_use`, the loggers of modules that are kept hold on to their first configuration."""
        for proxy in gc.get_referrers(self._proxy):
            if type(proxy) is self._proxy:
                vars(proxy).pop("bind", None)


def _nothing() -> None:
    """There is nothing to undo in having a logger."""


ADAPTER = Adapter("structlog", Configuration)
