"""Plays the switch for lifespans that go on: an app with a costly load, started, edited and replaced."""

import json
import sys
from typing import Any

import httpx
import pytest

from fastapi_hmr import hot
from fastapi_hmr.carry import Carry
from fastapi_hmr.switch import Switch
from fastapi_hmr.touched import Touched
from tests.generations import Generations
from tests.utils import Project

ALL = ("settings", "loader", "router", "main")
"""The modules of the app below, in the order they are imported."""


class Serving:
    """Plays the reloads: starts the app of module `main`, and replaces it by what an edit makes of it."""

    def __init__(self, modules: Generations) -> None:
        self.modules, self.project = modules, modules.project
        self.switch = Switch(
            render=lambda _scope, report, status: (status, [], report.message.encode()), keep=self.keep
        )
        hot.host.open(
            record=lambda factory, name: Touched(modules.owns).about(factory, name),
            report=lambda text, error: pytest.fail(f"{text}: {error!r}"),
        )

    def keep(self, app: Any) -> Carry:
        """As `--keep-lifespan` does."""
        return Carry(app, self.modules.owns)

    @property
    def app(self) -> Any:
        """The app that is being served."""
        return sys.modules["main"].app

    async def start(self) -> None:
        """The first version."""
        hot.host.begin()
        app = self.modules.load("log", "main").app
        await hot.host.built()
        await self.switch.replace(app, reason="start")
        await hot.host.commit(())

    async def edit(self, module: str, old: str, new: str, *again: str) -> str | None:
        """Edit a file and run modules again; returns why the lifespan restarted, None where it went on."""
        self.project.edit(module, old, new)
        hot.host.begin()
        app = self.modules.again(*again).app
        await hot.host.built()
        await self.switch.replace(app, reason="edit")
        assert self.switch.carried == (self.switch.not_carried is None)
        await hot.host.commit(again, carried=self.switch.carried)
        return self.switch.not_carried

    async def get(self, path: str = "/") -> Any:
        """The JSON answer of the generation being served."""
        return json.loads(await self.raw(path))

    async def raw(self, path: str) -> str:
        """The body of the answer."""
        app: Any = self.switch
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            response = await client.get(path)
        assert response.status_code == 200, response.text
        return response.text

    async def close(self) -> None:
        """The server ends."""
        await self.switch.close()
        await hot.host.close()

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
