"""The product over the app that makes a server's life hard: each version of it is a save, each fault a request."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tests.clients import Clients
from tests.utils import ROOT, Project, Server, free_port, hmr_argv, wait_until

MAIN = """
from tests import serving_app
from version import OPTIONS, VERSION

app = serving_app.make(VERSION, **OPTIONS)
print("imported", VERSION, flush=True)
"""


class Saved(Clients):
    """`fastapi-hmr main:app` in a process of its own, with a project whose `version.py` says what is served."""

    def __init__(self, project: Project, *options: str, port: int | None = None, **arguments: Any) -> None:
        """`port`: where it listens, if the options say where; `arguments` are those of `Server`."""
        self.project, self.version = project, 0
        project["main.py"] = MAIN
        self.save()
        self.port = port or free_port()
        chosen = () if port else ("--port", str(self.port))
        env = {"PYTHONPATH": str(ROOT), **arguments.pop("env", {})}
        self.server = Server(
            hmr_argv("main:app", *options, *chosen), project.root, port=self.port, env=env, **arguments
        )

    def save(self, **options: Any) -> int:
        """Save a new version; returns its number."""
        self.version += 1
        self.project["version.py"] = f"VERSION, OPTIONS = {self.version}, {options!r}\n"
        return self.version

    def imported(self, version: int) -> None:
        """Wait until its modules have run: from then on requests wait for its start."""
        self.server.wait_for_line(f"^imported {version}$")

    def fresh(self, **options: Any) -> int:
        """Save a new version and wait until it is served."""
        self.save(**options)
        self.server.wait_for("/", self.version)
        return self.version

    def is_well(self) -> None:
        """The next good save is served, twice."""
        self.fresh()
        self.fresh()
        assert self.server.process.poll() is None

    def wait_for(self, event: str) -> None:
        """Wait until the app has seen something."""
        wait_until(lambda: event in self.server.json("/events"), f"event {event!r}")

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """While the block runs, once it has started."""
        try:
            self.server.wait_for("/", self.version)
            yield self
        finally:
            self.server.stop()


def make_project(folder: Path) -> Project:
    """An empty project in a new folder."""
    root = folder / "project"
    root.mkdir()
    return Project(root)
