"""Adapters: one file per library whose registries outlive a module, used only when the library is loaded.

A library or an app can add its own, before or after the engine starts:

    from fastapi_hmr.engine.adapters import Adapter, register

    class Shelf:                                    # a Probe: what is in the registry, and how to undo it
        def take(self):
            return tuple(shelf.BOOKS)
        def effects(self, before, now):
            for book in now:
                if book not in before:
                    yield Effect(f"book {book}", partial(shelf.BOOKS.remove, book), partial(shelf.BOOKS.append, book))

    register(Adapter("shelf", Shelf))

or, from an installed package, by an entry point in the group `fastapi_hmr.adapters` that names an Adapter.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from fastapi_hmr.engine.effects import Probe
from fastapi_hmr.engine.record import Effect

__all__ = ["Adapter", "Effect", "Owned", "Probe", "offers", "register"]

logger = logging.getLogger(__name__)

type Owned = Callable[[Any], bool]
"""Does an object (a class, function or instance) come from one of the modules that are to be forgotten?"""


class Adapter(NamedTuple):
    """How to undo what modules put into the registries of one library."""

    library: str
    """The module whose presence in sys.modules means that the library is loaded."""
    probe: Callable[[], Probe | None]
    """Called once, when it is."""
    forget: Callable[[Owned], None] | None = None
    """Drop everything that belongs to modules which were imported before the engine was there."""
    links: Callable[[], Iterable[tuple[str, str]]] | None = None
    """(a, b): an object of module `a` changed one of `b`, at some time after their imports."""
    renew: Callable[[], None] | None = None
    """Drop results that code has computed which was replaced since, be it in place."""


OURS = {
    "sqlalchemy.event": "sqlalchemy_events",
    "sqlmodel": "sqlmodel",
    "prometheus_client": "prometheus",
    "mimetypes": "mimetypes",
    "decimal": "decimal",
    "celery._state": "celery",
    "structlog": "structlog",
    "apscheduler.schedulers.base": "apscheduler",
    "cashews": "cashews",
    "beartype.claw._clawstate": "beartype",
    "dash._callback": "dash",
    "dramatiq.broker": "dramatiq",
    "loguru": "loguru",
    "marshmallow.class_registry": "marshmallow",
    "mongoengine": "mongoengine",
    "hydra.core.config_store": "hydra",
    "django.apps.registry": "django",
    "fastapi_cache.backends.inmemory": "fastapi_cache",
    "tortoise.contrib.fastapi": "tortoise",
    "tortoise.models": "tortoise",
    "tortoise.contrib.pydantic.creator": "tortoise",
    "opentelemetry.trace": "opentelemetry",
    "opentelemetry.metrics": "opentelemetry",
    "opentelemetry._logs": "opentelemetry",
}
"""The modules of this package by the library: imported when that is."""
GROUP = "fastapi_hmr.adapters"
_registered: list[Adapter] = []


def register(adapter: Adapter) -> None:
    """Add an adapter."""
    _registered.append(adapter)


def _offered() -> bool:
    """Whether an installed package may have an adapter: to parse the metadata of all takes a tenth of a start."""
    for directory in filter(os.path.isdir, sys.path):
        for name in os.listdir(directory):  # noqa: PTH208 - hundreds of names, and no objects
            path = f"{directory}/{name}/entry_points.txt"
            if name.endswith((".dist-info", ".egg-info")) and os.access(path, os.R_OK):  # few have one
                with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123 - as above
                    if GROUP.encode() in file.read():
                        return True
    return any(entry.endswith((".zip", ".egg")) for entry in sys.path if os.path.isfile(entry))  # noqa: PTH113


type Offer = tuple[str, Callable[[], Adapter]]
"""The library, and how to get its adapter."""


def offers() -> list[Offer]:
    """All adapters: ours, those that were registered, and those of installed packages."""
    found: list[Offer] = [(library, partial(_own, library)) for library in OURS]
    found += [(adapter.library, partial(_same, adapter)) for adapter in _registered]
    for entry in entry_points(group=GROUP) if _offered() else ():
        try:
            adapter = entry.load()
        except Exception:
            logger.warning("adapter %s can't be loaded", entry.value, exc_info=True)
            continue
        if isinstance(adapter, Adapter):
            found.append((adapter.library, partial(_same, adapter)))
    return found


def _own(library: str) -> Adapter:
    module = import_module(f"{__name__}.{OURS[library]}")
    adapters: Iterable[Adapter] = getattr(module, "ADAPTERS", None) or [module.ADAPTER]
    return next(adapter for adapter in adapters if adapter.library == library)


def _same(adapter: Adapter) -> Adapter:
    return adapter
