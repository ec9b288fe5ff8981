"""dramatiq: the global broker, and the actors that modules registered with it; a name can't be registered twice.

Private name (checked: 1.17.0 to 2.2.1; the scenario in tests/libraries holds it): `dramatiq.broker.global_broker`, for
`get_broker()` makes one where there is none.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect

_MODULE = "dramatiq.broker"


class Broker:
    """The broker and its actors."""

    def take(self) -> tuple[Any, tuple[tuple[str, Any], ...]]:
        """The global one, and its actors by name."""
        broker = _global()
        return broker, tuple(broker.actors.items()) if broker is not None else ()

    def effects(self, before: tuple[Any, ...], now: tuple[Any, ...]) -> Iterator[Effect]:
        """One for a broker that became the global one, one for each actor that was registered with it."""
        old, new = before[0], now[0]
        if old is not new:
            yield Effect("dramatiq's broker", _turning(new, old), _turning(old, new), frozenset((("dramatiq",),)))
        known = dict(before[1]) if old is new else {}
        for name, actor in now[1]:
            if known.get(name) is not actor:
                yield Effect(f"the actor {name}", _forgetting(new, name, actor), _registering(new, name, actor))


def _global() -> Any:
    return vars(sys.modules[_MODULE]).get("global_broker")


def _turning(old: Any, new: Any) -> Callable[[], None]:
    def turn() -> None:
        if _global() is old:
            vars(sys.modules[_MODULE])["global_broker"] = new

    return turn


def _forgetting(broker: Any, name: str, actor: Any) -> Callable[[], None]:
    def forget() -> None:
        if broker.actors.get(name) is actor:
            del broker.actors[name]

    return forget


def _registering(broker: Any, name: str, actor: Any) -> Callable[[], None]:
    return lambda: broker.actors.setdefault(name, actor)


ADAPTER = Adapter(_MODULE, Broker)
