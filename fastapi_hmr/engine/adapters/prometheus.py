"""prometheus_client: collectors that a module registered in the default registry."""

from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from fastapi_hmr.engine.adapters import Adapter, Effect, Owned


def _registry() -> Any:
    from prometheus_client import REGISTRY

    return REGISTRY


class Collectors:
    """The collectors of the default registry."""

    lasting = True
    """A middleware of a mounted app, or of one without lifespan, is built by the first request, and registers then."""

    def __init__(self) -> None:
        self._serials: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._last = 0

    def take(self) -> tuple[Any, ...]:
        """What is registered."""
        return tuple(_registry()._collector_to_names)  # noqa: SLF001 - there is no public list of collectors

    def effects(self, before: tuple[Any, ...], now: tuple[Any, ...]) -> Iterator[Effect]:
        """One effect for each collector that came."""
        known = set(map(id, before))
        for collector in now:
            if id(collector) not in known:
                self._last += 1
                self._serials.setdefault(collector, self._last)
                what = f"metric {getattr(collector, '_name', type(collector).__name__)}"
                yield Effect(what, _unregistering(collector), self._registering(collector), thing=collector)

    def _registering(self, collector: Any) -> Callable[[], None]:
        def register() -> None:
            registry = _registry()
            registry.register(collector)
            with registry._lock:  # noqa: SLF001 - as above
                names = registry._collector_to_names  # noqa: SLF001 - as above
                ordered = sorted(names.items(), key=lambda item: self._serials.get(item[0], 0))
                for key, value in ordered:  # in place, and never empty: others may be collecting
                    del names[key]
                    names[key] = value

        return register


def _unregistering(collector: Any) -> Callable[[], None]:
    return lambda: _registry().unregister(collector)


def _forget(owned: Owned) -> None:
    """Everything but what prometheus_client itself registers when it is imported."""
    for collector in list(_registry()._collector_to_names):  # noqa: SLF001 - as above
        library = type(collector).__module__.startswith("prometheus_client.")
        metric = hasattr(collector, "_name")  # Counter, Gauge, ...: made by the app
        if owned(collector) or (library and metric):
            _registry().unregister(collector)


ADAPTER = Adapter("prometheus_client", Collectors, _forget)
