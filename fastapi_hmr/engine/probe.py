"""Probe: asks a cold start in a child process whether the present files work, without blocking the loop."""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

CHILD = "import importlib, sys; sys.path[:] = {path!r}; importlib.import_module({module!r})"


def command(module: str, search_path: Sequence[str]) -> list[str]:
    """The argv of a child that does no more than import the app's module."""
    return [sys.executable, "-W", "ignore", "-c", CHILD.format(path=list(search_path), module=module)]


class Probe:
    """Remembers the surroundings that the app was started in, for the app may have changed them since."""

    def __init__(self, module: str, argv: Sequence[str] | None) -> None:
        self._argv = list(argv) if argv is not None else command(module, sys.path)
        self._environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self._directory = Path.cwd()

    async def works(self, within_s: float) -> bool:
        """Whether a cold start of the present files comes up."""
        nothing = asyncio.subprocess.DEVNULL
        try:
            child = await asyncio.create_subprocess_exec(
                *self._argv, stdin=nothing, stdout=nothing, stderr=nothing, env=self._environ, cwd=self._directory
            )
        except OSError:  # no directory, no descriptors, no memory: nothing would start now
            return False
        try:
            return await asyncio.wait_for(child.wait(), within_s) == 0
        except TimeoutError:
            return False
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
