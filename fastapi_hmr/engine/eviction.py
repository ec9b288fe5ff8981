"""Eviction: forgets first-party modules that were imported as plain modules, and what they left in libraries."""

import logging
import sys
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

from fastapi_hmr.engine.hmr import Module
from fastapi_hmr.engine.places import Places
from fastapi_hmr.engine.process import Process

MAIN = frozenset(("__main__", "__mp_main__"))


def evict(places: Places, process: Process) -> set[str]:
    """Drop the modules; return their names. `__main__` stays: its code is running."""
    names = {name for name, module in list(sys.modules.items()) if name not in MAIN and _preloaded(module, places)}
    for name in names:
        module = sys.modules.pop(name)
        package, _, child = name.rpartition(".")
        parent = sys.modules.get(package)
        if parent is not None and vars(parent).get(child) is module:
            delattr(parent, child)
    owners = names | {name for name in MAIN if _ours(sys.modules.get(name), places)}

    def owned(value: Any) -> bool:
        return home(value) in owners

    for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            for handler in [handler for handler in logger.handlers if owned(handler)]:
                logger.removeHandler(handler)
    process.forget(owned)
    return names


def home(value: Any) -> str | None:
    """The name of the module that a class, a function, or an instance's class was defined in."""
    if isinstance(value, partial):
        value = value.func
    if isinstance(value, MethodType):
        value = value.__func__
    owner = value if isinstance(value, (type, FunctionType)) else type(value)
    name = getattr(owner, "__module__", None)
    return name if isinstance(name, str) else None


def _preloaded(module: ModuleType | None, places: Places) -> bool:
    return not isinstance(module, Module) and _ours(module, places)


def _ours(module: ModuleType | None, places: Places) -> bool:
    if module is None:
        return False
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return places.owns(file)
    with suppress(Exception):  # a namespace package of the project's own
        return any(places.owns_directory(path) for path in module.__path__)
    return False
