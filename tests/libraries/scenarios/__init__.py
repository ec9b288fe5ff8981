"""Edit histories of small apps, each built on one library, in the conformance suite's data format."""

import importlib
import pkgutil
from typing import Any


def load() -> list[dict[str, Any]]:
    """All of them."""
    found: list[dict[str, Any]] = []
    for module in pkgutil.iter_modules(__path__):
        found += importlib.import_module(f"{__name__}.{module.name}").SCENARIOS
    return found
