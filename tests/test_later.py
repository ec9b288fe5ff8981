"""What is loaded after the start."""

import asyncio
import json
import subprocess
import sys

import pytest

from fastapi_hmr import later
from fastapi_hmr.later import NAMES

CODE = """
import asyncio, json, sys
from fastapi_hmr import later

async def main():
    later.load_later(0)
    first = [name for name in later.NAMES if name in sys.modules]
    async with asyncio.timeout(30):
        while not set(later.NAMES) <= set(sys.modules):
            await asyncio.sleep(0.01)
    print(json.dumps(first))

asyncio.run(main())
"""


def test_what_the_first_save_needs_is_loaded_in_an_idle_moment() -> None:
    """Not at once, but without anybody asking for it."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_name_that_is_missing_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """WebSocket support is an extra: what comes after it is loaded all the same."""
    loaded: list[str] = []

    def load(name: str) -> None:
        loaded.append(name)
        raise ImportError(name)

    monkeypatch.setattr(later, "import_module", load)
    monkeypatch.setattr(later, "PAUSE_S", 0)

    async def main() -> None:
        later.load_later(0)
        async with asyncio.timeout(30):
            while len(loaded) < len(NAMES):
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert tuple(loaded) == NAMES
