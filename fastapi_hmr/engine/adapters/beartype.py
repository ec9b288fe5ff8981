"""beartype.claw: the packages whose modules it is to check, and whether it has hooked itself into the import system.

Private names (checked: 0.23.1; the scenario in tests/libraries holds them), of `claw_state`:
1. `beartype_path_hook`, which it puts into `sys.path_hooks` once; what it finds here it takes for put there.
2. `packages_trie_whitelist`: a dict by the first part of a package's name.
"""

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect

_MODULE = "beartype.claw._clawstate"


class Checked:
    """What is to be checked."""

    def take(self) -> tuple[Any, dict[str, Any]]:
        """The hook, and the packages."""
        state = _state()
        return getattr(state, "beartype_path_hook", None), dict(getattr(state, "packages_trie_whitelist", {}))

    def effects(self, before: tuple[Any, dict[str, Any]], now: tuple[Any, dict[str, Any]]) -> Iterator[Effect]:
        """One for the hook, one for each package."""
        if before[0] is not now[0]:
            yield Effect("beartype's hook", partial(_hook, now[0], before[0]), partial(_hook, before[0], now[0]))
        for name, package in now[1].items():
            if name not in before[1]:
                packages = _state().packages_trie_whitelist
                undo, redo = partial(packages.pop, name, None), partial(packages.setdefault, name, package)
                yield Effect(f"beartype's checks of {name}", undo, redo)


def _state() -> Any:
    return getattr(sys.modules[_MODULE], "claw_state", None)


def _hook(expected: Any, value: Any) -> None:
    state = _state()
    if state.beartype_path_hook is expected:
        state.beartype_path_hook = value


ADAPTER = Adapter(_MODULE, Checked)
