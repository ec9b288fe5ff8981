"""prometheus_client: collectors that a module registered in the default registry."""

from collections.abc import Callable, Hashable, Iterator
from math import inf
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary, ref

from fastapi_hmr.engine.adapters import Adapter, Effect, Owned

READERS = ("collect", "generate_latest", "get_sample_value", "restricted_registry")
"""By what names code sees them."""
LIST: frozenset[Hashable] = frozenset((("prometheus",),))


def _registry() -> Any:
    from prometheus_client import REGISTRY

    return REGISTRY


class Collectors:
    """The collectors of the default registry."""

    lasting = True
    """A middleware of a mounted app, or of one without lifespan, is built by the first request, and registers then."""

    def __init__(self) -> None:
        self._effects: WeakKeyDictionary[Any, ref[Effect]] = WeakKeyDictionary()

    def take(self) -> tuple[Any, ...]:
        """What is registered."""
        return tuple(_registry()._collector_to_names)  # noqa: SLF001 - there is no public list of collectors

    def effects(self, before: tuple[Any, ...], now: tuple[Any, ...]) -> Iterator[Effect]:
        """One effect for each collector that came."""
        known = set(map(id, before))
        for collector in now:
            if id(collector) not in known:
                name = getattr(collector, "_name", type(collector).__name__)
                undo, redo = _unregistering(collector), self._registering(collector)
                shown = dict.fromkeys(READERS, name)
                effect = Effect(f"metric {name}", undo, redo, lists=LIST, thing=collector, shown=shown)
                self._effects[collector] = ref(effect)
                yield effect

    def _place(self, collector: Any) -> float:
        """Where it stands: the library's own first, then the modules', then those of the app's start."""
        known = self._effects.get(collector)
        effect = known() if known is not None else None
        return 0 if effect is None else effect.serial or inf

    def _registering(self, collector: Any) -> Callable[[], None]:
        def register() -> None:
            registry = _registry()
            registry.register(collector)
            with registry._lock:  # noqa: SLF001 - as above
                names = registry._collector_to_names  # noqa: SLF001 - as above
                place = self._place(collector)
                behind = [(self._place(other), other) for other in names if self._place(other) > place]
                for _, other in sorted(behind, key=itemgetter(0)):  # in place, and never empty: others may collect
                    names[other] = names.pop(other)

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
