"""A module by its name: its globals, and its file as people know it."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_namespace: Callable[[ModuleType], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__


def namespace(module: ModuleType) -> dict[str, Any]:
    """A module's globals, read past any `__getattribute__` that watches reads."""
    return _namespace(module)


def file_of(module: str) -> str:
    """A module's file as people know it: below the directory that it is imported from."""
    loaded = sys.modules.get(module)
    file = namespace(loaded).get("__file__") if isinstance(loaded, ModuleType) else None
    if not isinstance(file, str):
        return f"module {module}"
    path = Path(file)
    depth = module.count(".") + (2 if path.stem == "__init__" else 1)
    return str(Path(*path.parts[-depth:]))
