"""Plays the dev server for `hot`: modules run again in the host's transactions."""

import sys
from typing import Any

from fastapi_hmr import hot
from fastapi_hmr.touched import Touched
from tests.generations import Generations

LOADER = """
    import threading
    from fastapi_hmr import hot
    from log import log

    class Model:
        def __init__(self, size):
            self.size = size

    def load():
        log.append("load")
        return Model(SIZE)

    def unrelated():
        return 1

    SIZE = 3
    model = hot.keep("model", load, dispose=lambda model: log.append("dispose"))
    """
"""A module with a kept value, which notes what happens to it in `log`."""


class Reloads:
    """Plays the dev server: modules run again in the host's transactions, and what callbacks raise is collected."""

    def __init__(self, modules: Generations) -> None:
        self.modules, self.project = modules, modules.project
        self.errors: list[str] = []
        hot.host.open(
            record=lambda factory, name: Touched(modules.owns).about(factory, name),
            report=lambda text, error: self.errors.append(f"{text}: {error!r}"),
        )

    async def start(self, *names: str) -> Any:
        """The first generation."""
        hot.host.begin()
        module = self.modules.load(*names)
        await hot.host.built()
        await hot.host.commit(())
        return module

    async def reload(self, *names: str) -> tuple[str, ...]:
        """A reload that works; returns its notes."""
        hot.host.begin()
        self.modules.again(*names)
        await hot.host.built()
        return await hot.host.commit(names)

    async def fail(self, *names: str, at: str = "startup") -> None:
        """A reload whose modules run, and which then fails while being built or while starting."""
        hot.host.begin()
        self.modules.again(*names)
        if at == "startup":
            await hot.host.built()
        self.modules.back()
        await hot.host.rollback()

    @property
    def log(self) -> list[str]:
        """What the modules noted, in a module that never runs again."""
        return sys.modules["log"].log  # type: ignore[no-any-return]  # made below
