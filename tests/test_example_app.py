"""The example app by itself, under plain uvicorn: every route works, and nothing warns."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.utils import ROOT, Project, Server, free_port, wait_until

CHECKED = {
    ("get", "/"), ("post", "/"), ("get", "/week"),
    ("get", "/entries"), ("post", "/entries"), ("get", "/entries/{entry_id}"), ("delete", "/entries/{entry_id}"), ("get", "/tags"),
    ("get", "/pulse"), ("websocket", "/suggest"),
}  # fmt: skip


def start(folder: Path, database: Path) -> Server:
    """Plain uvicorn, with every warning an error and no fastapi_hmr to be found."""
    (folder / "fastapi_hmr.py").write_text("raise ImportError('the app needs fastapi_hmr')\n")
    port = free_port()
    # the WebSocket protocol that new versions of uvicorn take by themselves: the older one warns
    sansio = ("--ws", "websockets-sansio")
    argv = [sys.executable, "-W", "error", "-m", "uvicorn", "main:app", "--port", str(port), *sansio]
    env = {"DAYBOOK_DATABASE": str(database), "DAYBOOK_STARTUP_SECONDS": "0", "PYTHONWARNINGS": "error"}
    server = Server(argv, folder, port=port, env=env)
    server.wait_ready()
    return server


@pytest.fixture
def daybook(tmp_path: Path) -> Iterator[Server]:
    """The example app with a database of its own."""
    folder = tmp_path / "example_app"
    shutil.copytree(ROOT / "example_app", folder, ignore=shutil.ignore_patterns("__pycache__"))
    server = start(folder, tmp_path / "daybook.db")
    yield server
    server.stop()


def test_pages_answer_with_sample_entries(daybook: Server) -> None:
    """Each page is a full HTML document, and the files it names are there."""
    for path in ("/", "/week", "/docs", "/redoc"):
        page = daybook.get(path)
        assert page.status_code == 200
        assert page.text.lower().lstrip().startswith("<!doctype html>")
        assert page.text.rstrip().endswith("</html>")
    assert "Two herons" in daybook.get("/").text
    for name in ("site.css", "live.js", "icon.svg"):
        assert f"/static/{name}" in daybook.get("/").text
        assert daybook.get(f"/static/{name}").status_code == 200


def test_the_form_writes_an_entry_with_the_tag_that_the_model_gives(daybook: Server) -> None:
    """A form without a tag redirects to the page, which shows the entry, tagged."""
    answer = httpx.post(daybook.url, data={"text": "Baked bread, then coffee"}, follow_redirects=True)
    assert answer.url.path == "/"
    assert answer.history[0].status_code == 303
    assert "Baked bread, then coffee" in answer.text
    newest = httpx.get(f"{daybook.url}/api/entries", params={"limit": 1}).json()[0]
    assert (newest["text"], newest["tag"]) == ("Baked bread, then coffee", "food")
    assert httpx.post(daybook.url, data={"text": ""}).status_code == 422


def test_text_from_outside_is_escaped(daybook: Server) -> None:
    """What someone writes is text in the page, never markup."""
    httpx.post(daybook.url, data={"text": "<script>alert(1)</script>"})
    assert "<script>alert" not in daybook.get("/").text
    assert "&lt;script&gt;alert" in daybook.get("/").text


def test_the_api_creates_reads_lists_counts_and_deletes(daybook: Server) -> None:
    """The JSON API, all of it."""
    api = f"{daybook.url}/api"
    created = httpx.post(f"{api}/entries", json={"text": "Read a poem", "tag": "reading"})
    assert created.status_code == 201
    entry = created.json()
    assert httpx.get(f"{api}/entries/{entry['id']}").json() == entry
    assert entry in httpx.get(f"{api}/entries", params={"tag": "reading"}).json()
    assert {each["tag"] for each in httpx.get(f"{api}/entries", params={"tag": "reading"}).json()} == {"reading"}
    assert httpx.get(f"{api}/tags").json()["reading"] == 2
    assert httpx.delete(f"{api}/entries/{entry['id']}").status_code == 204
    assert httpx.get(f"{api}/entries/{entry['id']}").status_code == 404
    assert httpx.delete(f"{api}/entries/{entry['id']}").status_code == 404
    assert httpx.post(f"{api}/entries", json={"text": "x" * 501}).status_code == 422


def test_the_pulse_tells_who_serves_and_what_is_new(daybook: Server) -> None:
    """The event stream beats, and carries entries after the given one as HTML."""
    entry = httpx.post(f"{daybook.url}/api/entries", json={"text": "Rain & sun"}).json()
    events: list[tuple[str, str]] = []
    with httpx.stream("GET", f"{daybook.url}/live/pulse", params={"after": entry["id"] - 1}, timeout=30) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, line.removeprefix("data: ")))
            if ("entry", "</article>") in events:
                break
    assert events[0][0] == "pulse"
    assert json.loads(events[0][1])["generation"] is None
    assert any("Rain &amp; sun" in data for _, data in events)


def test_suggestions_answer_what_is_typed(daybook: Server) -> None:
    """The WebSocket answers each text with its tag and number of words."""
    with connect(f"ws://127.0.0.1:{daybook.port}/live/suggest") as socket:
        for text, tag in (("walked by the river", "outdoors"), ("", ""), ("Fixed a bug", "work")):
            socket.send(text)
            assert json.loads(socket.recv(timeout=30)) == {"tag": tag, "words": len(text.split())}


def test_every_route_is_checked_here() -> None:
    """A route that is added to the app has to be added to these tests."""
    sources = [path.read_text() for path in (ROOT / "example_app").rglob("*.py")]
    found = {route for source in sources for route in re.findall(r"^@\w+\.(\w+)\(\"(/[^\"]*)", source, re.MULTILINE)}
    assert found == CHECKED


def test_a_changed_model_keeps_the_entries(daybook: Server, tmp_path: Path) -> None:
    """After a field was added and the app started again, old entries are there, with the field's default."""
    entry = httpx.post(f"{daybook.url}/api/entries", json={"text": "Before the change"}).json()
    daybook.interrupt()
    project = Project(tmp_path / "example_app")
    project.edit("models.py", 'tag: str = Field(default="", max_length=20)', 'tag: str = ""\n    mood: str = "calm"')
    again = start(project.root, tmp_path / "daybook.db")
    try:
        assert httpx.get(f"{again.url}/api/entries/{entry['id']}").json() == {**entry, "mood": "calm"}
        assert len(httpx.get(f"{again.url}/api/entries").json()) > 1
    finally:
        again.stop()


def test_it_starts_slowly_on_purpose_and_leaves_no_warning(daybook: Server) -> None:
    """The log names the load, the exit is clean, and nothing was printed that looks like trouble."""
    daybook.wait_for_line(r"Loading the tag model")
    wait_until(lambda: daybook.get("/week").status_code == 200, "the week page")
    daybook.interrupt()
    assert "Application shutdown complete" in daybook.output
    assert not [line for line in daybook.lines if "Warning" in line or "ERROR" in line or "Traceback" in line]


def test_the_default_database_lies_outside_the_project() -> None:
    """What the app writes must not look like an edit of it."""
    program = "import settings; print(settings.DATABASE, settings.STARTUP_SECONDS)"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DAYBOOK_")}
    folder = ROOT / "example_app"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=clean, check=True, capture_output=True, text=True
    )
    path, seconds = result.stdout.split()
    assert not Path(path).is_relative_to(ROOT)
    assert float(seconds) == 1.5
