"""Workers: process pools, whose processes keep the code that there was when they began."""

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

_POOLS = (("concurrent.futures.process", "ProcessPoolExecutor"), ("multiprocessing.pool", "Pool"))


def alive() -> bool:
    """True if multiprocessing has children alive, a pool's say: they have imported or inherited the old code."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is not None and bool(multiprocessing.active_children())


def holds_pool(names: Mapping[str, Any]) -> bool:
    """Whether some globals hold a pool of processes, or an object that does."""
    loaded = ((sys.modules.get(module), name) for module, name in _POOLS)
    pools = tuple(getattr(module, name) for module, name in loaded if module is not None)
    for value in list(names.values()):
        inner = () if isinstance(value, ModuleType) else getattr(value, "__dict__", {}).values()
        if isinstance(value, pools) or any(isinstance(each, pools) for each in inner):
            return True
    return False
