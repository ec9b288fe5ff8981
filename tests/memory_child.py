"""Reloads the example app many times through engine and switch; prints what memory that cost and what old things live on.

`python -m tests.memory_child FOLDER RELOADS`: the folder holds the app, and is edited.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import httpx

from fastapi_hmr.engine import Broken, Built, Engine, NeedsRestart
from fastapi_hmr.events import FileChange
from fastapi_hmr.switch import Switch

WARM_UP = 40
PATHS = ("/", "/week", "/api/entries", "/api/tags", "/openapi.json")

type Edit = tuple[str, str, str]

EDITS: list[Edit] = [
    ("settings.py", 'TITLE = "Daybook', 'TITLE = "Daybook {n}'),
    ("routers/pages.py", '"Up late', '"Up late {n}'),
    ("models.py", "max_length=5", "max_length=5{digit}"),
    ("tagger.py", "bug code", "bug code word{n}"),
    ("db.py", "Nap. No notes.", "Nap. No notes. {n}"),
    ("main.py", 'summary="A small', 'summary="A small {n}'),
]


def originals(root: Path) -> dict[str, str]:
    """The text of each file that is edited, before any edit."""
    texts = {name: (root / name).read_text() for name, _, _ in EDITS}
    for name, old, _ in EDITS:
        assert old in texts[name], f"{old!r} is not in {name}"
    return texts


def edited(texts: dict[str, str], n: int) -> tuple[str, str]:
    """The n-th save: a file and its new text; every tenth does not even compile."""
    name, old, new = EDITS[n % len(EDITS)]
    text = texts[name].replace(old, new.format(n=n, digit=n % 10), 1)
    return name, text + ("def broken(:\n" if n % 10 == 9 else "")


def resident_kb(pid: int) -> int:
    """What `ps` says of the process."""
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True).stdout)


class Session:
    """The engine and the switch, and weak references to everything that a generation is made of."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.engine = Engine(roots=[root], module="main", resolve=lambda module: module.app)
        self.switch = Switch(render=lambda scope, report, status: (503, [], b"down"))
        self.seen: dict[int, tuple[str, weakref.ref[Any]]] = {}
        self.levels: dict[str, int] = {}

    async def save(self, name: str, text: str) -> None:
        """Write the file, apply and serve; the outcome, whose error may hold the modules of its time, is let go of."""
        (self.root / name).write_text(text)
        await self.serve(await self.engine.apply([FileChange("modified", self.root / name)]))

    async def serve(self, outcome: object) -> None:
        """Switch to what was built, as the reloader does."""
        if isinstance(outcome, NeedsRestart):
            raise RuntimeError(f"a restart, in the middle of the test: {outcome.reason}")  # noqa: TRY004 - no type is wrong
        name = outcome.level.name if isinstance(outcome, Built) else type(outcome).__name__
        self.levels[name] = self.levels.get(name, 0) + 1
        if not isinstance(outcome, Built):
            assert isinstance(outcome, Broken), outcome
            return
        if self.engine.target is not outcome.target or name != "PATCH":
            await self.switch.replace(outcome.target, reason="test")
        self.engine.commit()
        await self.ask()
        self.remember()

    async def ask(self) -> None:
        """Let the app do what builds its lazy parts."""
        transport = httpx.ASGITransport(app=self.switch)  # type: ignore[arg-type]  # dict for MutableMapping: ASGI either way
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for path in PATHS:
                response = await client.get(path)
                assert response.status_code == 200, f"{path}: {response.status_code}"

    def living(self) -> dict[int, tuple[str, Any]]:
        """The app, the modules and the tasks of the present generation."""
        found: list[tuple[str, Any]] = [("app", self.engine.target)]
        found += [(name, m) for name, m in list(sys.modules.items()) if self.is_ours(m)]
        found += [(t.get_coro().__qualname__, t) for t in asyncio.all_tasks() if t is not asyncio.current_task()]  # type: ignore[union-attr]
        return {id(thing): (name, thing) for name, thing in found}

    def is_ours(self, module: object) -> bool:
        """Whether it is a module of the app."""
        return str(getattr(module, "__file__", None) or "").startswith(str(self.root))

    def remember(self) -> None:
        """Keep a weak reference to each part of this generation."""
        for key, (name, thing) in self.living().items():
            self.seen[key] = (name, weakref.ref(thing))

    def left_over(self) -> list[str]:
        """What is alive of generations that are gone."""
        for _ in range(3):
            gc.collect()
        now = self.living()
        return sorted(name for key, (name, ref) in self.seen.items() if ref() is not None and key not in now)


async def measure(root: Path, reloads: int) -> dict[str, object]:
    """Reload, and count."""
    session, texts = Session(root), originals(root)
    await session.serve(await session.engine.start())
    sizes: list[int] = []
    for n in range(WARM_UP + reloads):
        name, text = edited(texts, n)
        await session.save(name, text)
        if n % 10 == 9:
            await session.save(name, texts[name])
        if n == WARM_UP - 1 or n == WARM_UP + reloads - 1:
            gc.collect()
            sizes.append(resident_kb(os.getpid()))
    left = session.left_over()
    await session.switch.close()
    return {
        "kb_per_reload": (sizes[1] - sizes[0]) / reloads,
        "sizes": sizes,
        "left": left,
        "seen": len(session.seen),
        "levels": session.levels,
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    print(json.dumps(asyncio.run(measure(folder, int(sys.argv[2])))))
