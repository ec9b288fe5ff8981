"""Dash: callbacks that modules register with no app at hand; the first request gives them to the app, once.

So an app that is made anew needs the modules of its callbacks anew, and the other way round.

Private names (checked: 4.4.1; the scenario in tests/libraries holds them):
1. `dash._get_app.APP`, the latest app.
2. `dash._callback.GLOBAL_CALLBACK_LIST` and `GLOBAL_CALLBACK_MAP`: what waits for the first request.
"""

import sys
from collections.abc import Hashable, Iterator
from functools import partial
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect
from fastapi_hmr.engine.record import nothing

_TOGETHER: frozenset[Hashable] = frozenset((("dash",),))


class Callbacks:
    """The app, and what waits for one."""

    def take(self) -> tuple[Any, dict[str, tuple[Any, Any]]]:
        """The latest app, and the callbacks by their names."""
        waiting, known = _waiting()
        found = {each["output"]: (each, known.get(each["output"])) for each in waiting}
        return getattr(sys.modules.get("dash._get_app"), "APP", None), found

    def effects(
        self, before: tuple[Any, dict[str, tuple[Any, Any]]], now: tuple[Any, dict[str, tuple[Any, Any]]]
    ) -> Iterator[Effect]:
        """One for an app, one for each callback."""
        if before[0] is not now[0]:
            yield Effect("a Dash app", nothing, nothing, _TOGETHER)
        for name, callback in now[1].items():
            if before[1].get(name) != callback:
                undo, redo = partial(_withdraw, name, callback), partial(_register, name, callback)
                yield Effect(f"the callback for {name}", undo, redo, _TOGETHER)


def _waiting() -> tuple[list[Any], dict[str, Any]]:
    names = vars(sys.modules["dash._callback"])
    return names.get("GLOBAL_CALLBACK_LIST", []), names.get("GLOBAL_CALLBACK_MAP", {})


def _withdraw(name: str, callback: tuple[Any, Any]) -> None:
    waiting, known = _waiting()
    waiting[:] = [each for each in waiting if each is not callback[0]]
    if known.get(name) is callback[1]:
        known.pop(name, None)


def _register(name: str, callback: tuple[Any, Any]) -> None:
    """For the app that has them already this is one more, for one that has answered nothing it is the first."""
    waiting, known = _waiting()
    waiting.append(callback[0])
    known[name] = callback[1]


ADAPTER = Adapter("dash._callback", Callbacks)
