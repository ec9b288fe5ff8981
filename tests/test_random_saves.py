"""Saves at random moments of an app's starts and stops: in the end the last good version is served, and nothing leaks."""

import random
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.conftest import Serve
from tests.utils import Project, Server, wait_until

pytestmark = pytest.mark.timeout(240)

LIVES = {
    "none": "yield",
    "quick": "await asyncio.sleep(0)\n        yield",
    "slow": "await asyncio.sleep(0.3)\n        yield\n        await asyncio.sleep(0.05)",
    "slower": "await asyncio.sleep(1.2)\n        yield",
    "blocks": "time.sleep(0.2)\n        yield",
    "slow to stop": "yield\n        await asyncio.sleep(0.3)",
    "fails": "raise RuntimeError('no')\n        yield",
    "fails late": "await asyncio.sleep(0.25)\n        raise RuntimeError('no')\n        yield",
    "exits": "raise SystemExit(1)\n        yield",
}
"""What the lifespan does; with "none" the app has none."""
FAILING = ("fails", "fails late", "exits")
BREAKS = {"syntax": "\ndef broken(:\n", "import": "\nraise RuntimeError('at import')\n"}
GAPS = (0, 0.005, 0.03, 0.1, 0.2, 0.4, 0.7)
"""Seconds between two saves."""


class State(NamedTuple):
    """What all files say."""

    title: str = "t0"
    body: int = 0
    leaf: int = 0
    value: int = 0
    data: int = 0
    life: str = "none"
    broken: tuple[str, str] | None = None
    """A file, and how."""

    def files(self) -> dict[str, str]:
        """The project."""
        files = {
            "settings.py": f"TITLE = {self.title!r}\n",
            "data.txt": str(self.data),
            "lib.py": "from pathlib import Path\n"
            f"VALUE = {self.value}\nDATA = Path(__file__).with_name('data.txt').read_text()\n",
            "routes.py": "from fastapi import APIRouter\nrouter = APIRouter()\n"
            f"@router.get('/leaf')\ndef leaf():\n    return {self.leaf}\n",
            "main.py": MAIN.format(
                life=LIVES[self.life],
                body=self.body,
                lifespan="" if self.life == "none" else "lifespan=lifespan",
            ),
        }
        if self.broken:
            files[self.broken[0]] += BREAKS[self.broken[1]]
        return files

    def answer(self) -> list[object] | None:
        """What a cold start would answer; None: nothing."""
        if self.broken or self.life in FAILING:
            return None
        up = None if self.life == "none" else self.title
        return [self.title, self.body, self.leaf, self.value, str(self.data), up, [self.value]]

    def edited(self, rng: random.Random) -> "State":
        """One edit later."""
        match rng.choice(["title", "body", "body", "leaf", "leaf", "value", "data", "life", "life", "broken"]):
            case "title":
                return self._replace(title=f"t{rng.randrange(3)}")
            case "life":
                return self._replace(life=rng.choice(list(LIVES)))
            case "broken" if not self.broken:
                file = rng.choice(["main.py", "lib.py", "routes.py", "settings.py"])
                return self._replace(broken=(file, rng.choice(list(BREAKS))))
            case "broken":
                return self._replace(broken=None)
            case name:
                number: dict[str, Any] = {name: rng.randrange(4)}
                return self._replace(**number)


MAIN = """
import asyncio, time
from contextlib import asynccontextmanager
from fastapi import FastAPI
from fastapi_hmr import hot
from settings import TITLE
import lib, routes

@asynccontextmanager
async def lifespan(app):
    app.state.up = TITLE
    print("up", flush=True)
    try:
        {life}
    finally:
        print("down", flush=True)

def make():
    print("made", flush=True)
    return [lib.VALUE]

kept = hot.keep("made", make, dispose=lambda value: print("disposed", flush=True))
app = FastAPI({lifespan})
app.include_router(routes.router)

@app.get("/")
async def root():
    return [TITLE, {body}, routes.leaf(), lib.VALUE, lib.DATA, getattr(app.state, "up", None), kept]
"""


def histories(rng: random.Random, bursts: int) -> Iterator[list[State]]:
    """Bursts of saves; now and then one takes an earlier state back. Each ends with a good one."""
    past = [State()]
    for _ in range(bursts):
        burst: list[State] = []
        for _ in range(rng.randrange(1, 5)):
            back = rng.random() < 0.25
            burst.append(rng.choice(past[-6:]) if back else past[-1].edited(rng))
            past.append(burst[-1])
        if burst[-1].answer() is None:
            burst.append(next(state for state in reversed(past) if state.answer()))
            past.append(burst[-1])
        yield burst


def save(project: Project, rng: random.Random, before: State, state: State) -> None:
    """Write what changed, in any order."""
    old, new = before.files(), state.files()
    changed = [name for name in new if old[name] != new[name]]
    for name in rng.sample(changed, len(changed)):
        project[name] = new[name]


def balanced(server: Server, alive: tuple[int, int]) -> bool:
    """Whether so many lifespans run, and there are so many kept values."""
    lines = list(server.lines)
    return alive == (lines.count("up") - lines.count("down"), lines.count("made") - lines.count("disposed"))


@pytest.mark.parametrize(
    ("seed", "options"),
    [(1, ()), (3, ("--keep-lifespan",)), (5, ("--strict",))],
    ids=["plain", "keep-lifespan", "strict"],
)
def test_saves_at_any_moment(project: Project, serve: Serve, seed: int, options: tuple[str, ...]) -> None:
    """Taken back, broken, failing, during a start, during a stop: each burst ends as a cold start would."""
    rng = random.Random(seed)
    state = State()
    for name, text in state.files().items():
        project[name] = text
    server = serve("main:app", "--no-access-log", *options)
    server.wait_for("/", state.answer())
    for burst in histories(rng, bursts=25):
        for each in burst:
            save(project, rng, state, each)
            state = each
            time.sleep(rng.choice(GAPS))
        server.wait_for("/", state.answer())
        alive = (0 if state.life == "none" else 1, 1)
        wait_until(partial(balanced, server, alive), f"{alive} lifespans and kept values")
