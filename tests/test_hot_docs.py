"""The examples in docs/hot.md: each runs, is edited, and does what the text says."""

import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fastapi_hmr import hot
from tests.generations import generations
from tests.reloads import Reloads
from tests.serving import Serving
from tests.utils import ROOT, Project

EXAMPLES = dict(
    re.findall(r"^```python title=(\w+)\n(.*?)^```", (ROOT / "docs/hot.md").read_text(), re.MULTILINE | re.DOTALL)
)


@pytest.fixture
async def reloads(project: Project, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reloads]:
    """An open host in the project's folder."""
    monkeypatch.chdir(project.root)
    with generations(project) as modules:
        try:
            yield Reloads(modules)
        finally:
            await hot.host.close()


async def run(reloads: Reloads, name: str) -> None:
    """Start an example as `main.py`."""
    reloads.project["main.py"] = EXAMPLES[name]
    await reloads.start("main")


async def edit(reloads: Reloads, old: str, new: str) -> tuple[str, ...]:
    """Edit it and reload."""
    reloads.project.edit("main.py", old, new)
    return await reloads.reload("main")


async def get() -> Any:
    """What the example answers now."""
    transport = httpx.ASGITransport(sys.modules["main"].app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        return (await client.get("/")).json()


def test_examples_are_all_tested() -> None:
    """Each example of the document has its test here."""
    assert {f"test_example_{name}" for name in EXAMPLES} <= set(globals())
    assert {"keep", "data", "on_dispose", "before_reload", "after_reload"} <= set(EXAMPLES)


async def test_example_keep(reloads: Reloads, capsys: pytest.CaptureFixture[str]) -> None:
    """The model is loaded once for the edit of the route, and anew for the edit of SIZE, with the line it quotes."""
    await run(reloads, "keep")
    assert await edit(reloads, '"weights": model', '"w": model') == ()
    assert await get() == {"w": [0, 1, 2]}
    notes = await edit(reloads, "SIZE = 3", "SIZE = 4")
    assert notes == ("hot.keep: 'model' made anew: SIZE in main.py changed",)
    assert notes[0] in (ROOT / "docs/hot.md").read_text()
    assert await get() == {"w": [0, 1, 2, 3]}
    assert capsys.readouterr().out == "loading ...\n" * 2


async def test_example_data(reloads: Reloads) -> None:
    """The counter counts loads of the module."""
    await run(reloads, "data")
    assert await get() == {"loads": 1}
    await edit(reloads, "app = ", "# edited\napp = ")
    assert await get() == {"loads": 2}


async def test_example_on_dispose(reloads: Reloads) -> None:
    """The old module's thread ends, the new one's runs until the server ends."""
    await run(reloads, "on_dispose")
    old = sys.modules["main"].thread
    await edit(reloads, '"ticking"', '"alive"')
    assert not old.is_alive()
    assert await get() == {"alive": True}
    await hot.host.close()
    assert await get() == {"alive": False}


async def test_example_before_reload(reloads: Reloads) -> None:
    """Visits are saved by the module that counted them, and by no failed edit."""
    await run(reloads, "before_reload")
    assert [await get(), await get()] == [{"unsaved": 1}, {"unsaved": 2}]
    await reloads.fail("main", at="building")
    assert not Path("visits.log").exists()
    await edit(reloads, '"unsaved"', '"new"')
    assert Path("visits.log").read_text() == "visit\nvisit\n"
    assert await get() == {"new": 1}


async def test_example_after_reload(reloads: Reloads) -> None:
    """Nothing after the start, one note for each reload."""
    await run(reloads, "after_reload")
    assert await get() == []
    await edit(reloads, "app = ", "# edited\napp = ")
    assert await get() == ["reloaded"]


@pytest.mark.parametrize("running", [True, False])
async def test_example_library(reloads: Reloads, running: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's value is kept under the dev server, and made afresh without it."""
    if not running:
        monkeypatch.delitem(os.environ, "FASTAPI_HMR")
    await run(reloads, "library")
    old = sys.modules["main"].client
    await edit(reloads, "app = ", "# edited\napp = ")
    assert (sys.modules["main"].client is old) is running


async def test_example_lifespan(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The load is paid by the edit of the loader alone, and the reason is the one quoted."""
    project["log.py"] = ""
    project["main.py"] = EXAMPLES["lifespan"]
    with generations(project) as modules:
        serving = Serving(modules)
        await serving.start()
        assert await serving.edit("main.py", '"model": app', '"loaded": app', "main") is None
        assert await serving.get() == {"loaded": "model"}
        reason = await serving.edit("main.py", 'return "model"', 'return "better"', "main")
        assert reason == "load_model() in main.py changed"
        assert reason in (ROOT / "docs/hot.md").read_text()
        assert await serving.get() == {"loaded": "better"}
        await serving.close()
    assert capsys.readouterr().out == "loading ...\n" * 2
