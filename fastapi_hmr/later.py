"""Loads, once the app is served and nobody waits, what the first save and the first WebSocket would wait for."""

import asyncio
import contextlib
from collections.abc import Iterator
from importlib import import_module

AFTER_S = 1.0
PAUSE_S = 0.05
"""Between two of them, for requests."""
NAMES = (
    "fastapi_hmr.engine.syntax",
    "fastapi_hmr.engine.patch_source",
    "fastapi_hmr.engine.patch_holders",
    "fastapi_hmr.engine.patch",
    "uvicorn.protocols.websockets.auto",
)


def load_later(after_s: float = AFTER_S) -> None:
    """Load them one by one; to be called in the event loop."""
    asyncio.get_running_loop().call_later(after_s, _load, iter(NAMES))


def _load(names: Iterator[str]) -> None:
    name = next(names, None)
    if name is not None:
        with contextlib.suppress(ImportError):  # whoever needs it will say so
            import_module(name)
        asyncio.get_running_loop().call_later(PAUSE_S, _load, names)
