"""Plays the switch for lifespans that go on: an app with a costly load, started, edited and replaced."""

import contextvars
import sys
from typing import Any

import httpx
import pytest

from fastapi_hmr import hot
from fastapi_hmr.carry import Carry
from fastapi_hmr.lifespan import Lifespan
from fastapi_hmr.touched import Touched
from tests.generations import Generations
from tests.utils import Project

ALL = ("settings", "loader", "router", "main")
"""The modules of the app below, in the order they are imported."""


class Serving:
    """Plays the switch: starts the app of module `main`, and replaces it by what an edit makes of it."""

    def __init__(self, modules: Generations) -> None:
        self.modules, self.project = modules, modules.project
        self.app: Any = None
        self.carry: Carry
        self.lifespan: Lifespan
        hot.host.open(
            record=lambda factory, name: Touched(modules.owns).about(factory, name),
            report=lambda text, error: pytest.fail(f"{text}: {error!r}"),
        )

    async def start(self) -> None:
        """The first version."""
        hot.host.begin()
        main = self.modules.load("log", "main")
        await hot.host.built()
        await self._start(main.app)
        await hot.host.commit(())

    async def edit(self, module: str, old: str, new: str, *again: str) -> str | None:
        """Edit a file and run modules again; returns why the lifespan restarted, None where it went on."""
        self.project.edit(module, old, new)
        hot.host.begin()
        app = self.modules.again(*again).app
        await hot.host.built()
        reason = self.carry.refusal(app)
        if reason is None:
            self.carry.hand_over(app)
            self.app = app
        else:
            await self.lifespan.shutdown()
            await self._start(app)
        await hot.host.commit(again, carried=reason is None)
        return reason

    async def _start(self, app: Any) -> None:
        self.app, self.carry = app, Carry(app, self.modules.owns)
        self.lifespan = Lifespan(self.carry.watch(app), "on", contextvars.copy_context())
        await self.lifespan.startup()

    async def get(self, path: str = "/") -> Any:
        """The JSON answer of the app, with the lifespan's state as the switch gives it."""

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "state": self.lifespan.state.copy()}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(serve), base_url="http://app") as client:
            response = await client.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    @property
    def log(self) -> list[str]:
        """What the app noted, in a module that never runs again."""
        return sys.modules["log"].log  # type: ignore[no-any-return]  # made below


def write_app(project: Project) -> None:
    """A small app with a costly load in its lifespan, each of its files its own module."""
    project["log.py"] = "log = []\n"
    project["settings.py"] = "SIZE = 3\nTITLE = 'one'\n"
    project["loader.py"] = """
        from log import log
        from settings import SIZE

        class Model:
            def __init__(self, size):
                self.size = size
            def predict(self):
                return self.size

        async def load_model():
            log.append("load")
            return Model(SIZE)

        def unrelated():
            return 1
        """
    project["router.py"] = """
        from fastapi import APIRouter, Request
        router = APIRouter()

        @router.get("/")
        def root(request: Request):
            return ["a", request.app.state.model.predict(), request.state.extra]
        """
    project["main.py"] = """
        from contextlib import asynccontextmanager
        from fastapi import FastAPI
        from loader import load_model
        from log import log
        from router import router

        @asynccontextmanager
        async def lifespan(app):
            app.state.model = await load_model()
            yield {"extra": "state"}
            log.append("stop")

        app = FastAPI(title="one", lifespan=lifespan)
        app.include_router(router)
        """
