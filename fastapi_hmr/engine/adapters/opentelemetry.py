"""opentelemetry: the global providers, which can be set once a process, and modules that took theirs from them."""

import gc
import sys
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

from fastapi_hmr.engine.adapters import Adapter, Effect


class Signal(NamedTuple):
    """Where one kind of provider is kept, and under which names."""

    home: str
    public: str
    provider: str
    getter: str
    proxy: str
    real: str


SIGNALS = (
    Signal("trace", "trace", "_TRACER_PROVIDER", "get_tracer_provider", "ProxyTracer", "_real_tracer"),
    Signal("metrics._internal", "metrics", "_METER_PROVIDER", "get_meter_provider", "_ProxyMeter", "_real_meter"),
    Signal("_logs._internal", "_logs", "_LOGGER_PROVIDER", "get_logger_provider", "ProxyLogger", "_real_logger"),
)


class Providers:
    """The global provider of one signal; its module may be imported later than the others'."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._asked = 0
        home = sys.modules[f"opentelemetry.{signal.home}"]
        self._home: Any = home
        self._places = (home, sys.modules[f"opentelemetry.{signal.public}"])
        self._original: Callable[[], Any] = getattr(home, signal.getter)
        self._counting: Callable[[], Any] = self._getter

    def _getter(self) -> Any:
        self._asked += 1
        return self._original()

    def take(self) -> tuple[Any, int]:
        """The provider, and how often it was asked for: counted from now on, until `rest`."""
        self._replace(self._original, self._counting)
        return getattr(self._home, self._signal.provider), self._asked

    def rest(self) -> None:
        """FastAPI asks for all three in each request."""
        self._replace(self._counting, self._original)

    def _replace(self, old: Callable[[], Any], new: Callable[[], Any]) -> None:
        for module in self._places:
            if getattr(module, self._signal.getter) is old:
                setattr(module, self._signal.getter, new)

    def effects(self, before: tuple[Any, int], now: tuple[Any, int]) -> Iterator[Effect]:
        """A module set the provider; or it took a tracer from the one that another set: those run again together."""
        slot: frozenset[Hashable] = frozenset((("opentelemetry", self._signal.home),))
        if before[0] is now[0]:
            yield Effect("a part of a provider", _nothing, _nothing, slot)
        else:
            what = f"opentelemetry's {self._signal.provider}"
            undo, redo = lambda: self._turn(now[0], before[0]), lambda: self._turn(before[0], now[0])
            yield Effect(what, undo, redo, slot, thing=now[0])

    def _turn(self, old: Any, new: Any) -> None:
        signal, home = self._signal, self._home
        if getattr(home, signal.provider) is not old:
            return
        setattr(home, signal.provider, new)
        getattr(home, f"{signal.provider}_SET_ONCE")._done = new is not None  # noqa: SLF001 - it has no way back
        if signal.home == "metrics._internal":
            self._turn_meters(new)
            return
        proxies = getattr(home, signal.proxy)
        for proxy in gc.get_referrers(proxies):  # of libraries: first-party modules that hold one run again
            if type(proxy) is proxies:
                setattr(proxy, signal.real, None)

    def _turn_meters(self, new: Any) -> None:
        proxy = self._home._PROXY_METER_PROVIDER  # noqa: SLF001 - as above
        if new is not None:
            proxy.on_set_meter_provider(new)
        else:
            proxy._real_meter_provider = None  # noqa: SLF001 - as above


def _nothing() -> None:
    """There is nothing to undo in having asked."""


ADAPTERS = tuple(
    Adapter(f"opentelemetry.{signal.public}", lambda signal=signal: Providers(signal))  # type: ignore[misc]  # bound now
    for signal in SIGNALS
)
