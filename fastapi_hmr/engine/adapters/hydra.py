"""hydra: what modules put into its `ConfigStore`, which is one for the process: a tree of groups.

The group `hydra` is that of hydra and its plugins, which are imported once.
"""

import sys
from collections.abc import Iterator
from typing import Any

from fastapi_hmr.engine.adapters import Adapter
from fastapi_hmr.engine.adapters.names import Names

_MODULE = "hydra.core.config_store"


def _groups() -> Iterator[dict[str, Any]]:
    todo: list[Any] = [sys.modules[_MODULE].ConfigStore.instance().repo]
    for group in todo:
        yield group
        todo += [each for name, each in group.items() if isinstance(each, dict) and name != "hydra"]


ADAPTER = Adapter(_MODULE, lambda: Names("hydra's configuration", _groups))
