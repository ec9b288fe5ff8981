"""tortoise-orm: what it keeps of models by their names, and would go on using for the classes that take their place.

Private names of tortoise (checked: 1.1.9; the scenario in tests/libraries holds both):
1. `tortoise.contrib.pydantic.creator._MODEL_INDEX`: pydantic models, by the original's name and those of its fields.
2. `tortoise.backends.base.executor.EXECUTOR_CACHE`: statements with the columns of a table, by connection and table.
3. `RegisterTortoise(app, add_exception_handlers=True)` puts a function around `ExceptionMiddleware.__call__`, each time.
"""

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect, Owned


def _index() -> dict[str, Any]:
    found: dict[str, Any] = getattr(sys.modules["tortoise.contrib.pydantic.creator"], "_MODEL_INDEX", {})
    return found


class Made:
    """Pydantic models that were made while a module ran; one that runs again makes its own, of the new classes.

    New they must be: the start of the app tells the classes of their relations, and who makes a pydantic model of one
    after that gets another than a cold start would.
    """

    def take(self) -> dict[str, Any]:
        """What there is."""
        return dict(_index())

    def effects(self, before: dict[str, Any], now: dict[str, Any]) -> Iterator[Effect]:
        """One for each that came."""
        homes = frozenset(cls.__module__ for cls in _defined())
        for key, model in now.items():
            old = before.get(key)
            if old is not model:
                undo, redo = partial(_put, key, model, old), partial(_put, key, old, model)
                yield Effect(f"the pydantic model {model.__name__}", undo, redo, touches=homes)


def _put(key: str, expected: Any, value: Any) -> None:
    index = _index()
    if index.get(key) is not expected:
        return
    if value is None:
        del index[key]
    else:
        index[key] = value


def _forget(owned: Owned) -> None:
    for key, model in list(_index().items()):
        if owned(model.model_config.get("orig_model")):
            del _index()[key]


class Defined:
    """Model classes: where one comes or goes, the statements for its table are put together anew."""

    def take(self) -> frozenset[type]:
        """All there are."""
        return _defined()

    def effects(self, before: frozenset[type], now: frozenset[type]) -> Iterator[Effect]:
        """One for all: it is a cache, and costs nobody anything."""
        if now - before:
            yield Effect(f"{len(now - before)} tortoise models", _ask_anew, _ask_anew, finish=_ask_anew)


def _defined() -> frozenset[type]:
    found: set[type] = set()
    todo: list[Any] = [sys.modules["tortoise.models"].Model]
    while todo:
        below: list[type] = todo.pop().__subclasses__()
        todo += [cls for cls in below if cls not in found]
        found.update(below)
    return frozenset(found)


def _ask_anew() -> None:
    executor = sys.modules.get("tortoise.backends.base.executor")
    getattr(executor, "EXECUTOR_CACHE", {}).clear()


class Handlers:
    """What stands around Starlette's exception middleware: one more with each start of the app, or each import."""

    def take(self) -> Any:
        """The function that is called."""
        return vars(_middleware()).get("__call__")

    def effects(self, before: Any, now: Any) -> Iterator[Effect]:
        """One, if it is tortoise's."""
        if getattr(now, "__module__", "") == _FASTAPI:
            yield Effect("tortoise's exception handlers", partial(_call, now, before), partial(_call, before, now))


def _middleware() -> Any:
    from starlette.middleware.exceptions import ExceptionMiddleware

    return ExceptionMiddleware


def _call(expected: Any, value: Any) -> None:
    if _middleware().__call__ is expected:
        _middleware().__call__ = value


_FASTAPI = "tortoise.contrib.fastapi"
ADAPTERS = (
    Adapter("tortoise.contrib.pydantic.creator", Made, _forget),
    Adapter("tortoise.models", Defined),
    Adapter(_FASTAPI, Handlers),
)
