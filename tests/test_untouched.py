"""Without --reload every answer is the app's own: the same bytes as from plain uvicorn, route by route."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.test_example_app import CHECKED
from tests.utils import ROOT, Server, free_port, hmr_argv

BROWSER = (
    "accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\naccept-encoding: gzip, deflate, br, zstd\r\n"
    "sec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\nsec-fetch-site: none\r\nuser-agent: Mozilla/5.0\r\n"
)
FORM = "content-type: application/x-www-form-urlencoded\r\n"
JSON = "content-type: application/json\r\n"
SOCKET = (
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
REQUESTS = [
    ("GET", "/", BROWSER, ""), ("GET", "/week", BROWSER, ""), ("GET", "/api/entries", BROWSER, ""),
    ("GET", "/api/entries?tag=work&limit=1", "", ""), ("GET", "/api/entries/1", BROWSER, ""), ("GET", "/api/tags", "", ""),
    ("GET", "/live/pulse", "accept: text/event-stream\r\n", ""), ("GET", "/live/suggest", SOCKET, ""),
    ("GET", "/docs", BROWSER, ""), ("GET", "/redoc", BROWSER, ""), ("GET", "/openapi.json", "", ""),
    ("GET", "/docs/oauth2-redirect", BROWSER, ""), ("GET", "/static/site.css", BROWSER, ""), ("GET", "/static/live.js", "", ""),
    ("GET", "/static/icon.svg", "range: bytes=0-9\r\n", ""), ("GET", "/static/none.css", BROWSER, ""),
    ("HEAD", "/", BROWSER, ""), ("HEAD", "/static/site.css", "", ""), ("OPTIONS", "/week", BROWSER, ""),
    ("GET", "/none", BROWSER, ""), ("GET", "/__fastapi_hmr__/client.js", BROWSER, ""),
    ("GET", "/__fastapi_hmr__/events?token=x", BROWSER, ""), ("GET", "/api/entries/x", BROWSER, ""),
    ("POST", "/", BROWSER + FORM, "text=Bread&tag=food"), ("POST", "/", BROWSER + FORM, "text="),
    ("POST", "/api/entries", JSON, '{"text": "Bread"}'), ("POST", "/api/entries", JSON, "{"), ("DELETE", "/api/entries/1", "", ""),
    ("GET", "/api/entries/1", "", ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Plain uvicorn and fastapi-hmr over the same files, each with a copy of one database."""
    folder = tmp_path_factory.mktemp("untouched")
    app = folder / "example_app"
    shutil.copytree(ROOT / "example_app", app, ignore=shutil.ignore_patterns("__pycache__"))
    databases = [folder / "one.db", folder / "two.db"]
    env = os.environ | {"DAYBOOK_DATABASE": str(databases[0]), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", "import db; db.prepare_database()"], cwd=app, env=env, check=True)
    shutil.copyfile(*databases)
    uvicorn = [sys.executable, "-m", "uvicorn", "main:app", "--port"]
    made = [
        Server(
            argv,
            app,
            port=int(argv[-1]),
            env={"DAYBOOK_DATABASE": str(database), "DAYBOOK_STARTUP_SECONDS": "0"},
        )
        for argv, database in zip(
            ([*uvicorn, str(free_port())], hmr_argv("main:app", "--port", str(free_port()))), databases, strict=True
        )
    ]
    for server in made:
        server.wait_ready()
    yield made[0], made[1]
    for server in made:
        server.stop()


def answer(server: Server, method: str, target: str, headers: str, body: str) -> bytes:
    """The raw answer, without what may differ between two runs of one server: dates and times.

    Of what never ends it is the head.  The stream's first event names the generation, which is the app's own doing.
    """
    length = f"content-length: {len(body)}\r\n" if body else ""
    closing = "" if "connection" in headers else "connection: close\r\n"
    request = f"{method} {target} HTTP/1.1\r\nhost: localhost:8000\r\n{closing}{headers}{length}\r\n{body}"
    endless = target.startswith("/live/")
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), 30) as sock:
        sock.sendall(request.encode())
        while not (endless and b"\r\n\r\n" in received) and (part := sock.recv(65536)):
            received += part
    if endless:
        received = received.partition(b"\r\n\r\n")[0]
    received = re.sub(rb"\r\n(?i:date): [^\r]*", b"", received)
    return re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+", b"<time>", received)


@pytest.mark.parametrize(("method", "target", "headers", "body"), REQUESTS)
def test_answers_without_reload_are_plain_uvicorns(
    servers: tuple[Server, Server], method: str, target: str, headers: str, body: str
) -> None:
    """Status line, headers in their order, body: byte for byte."""
    plain, ours = (answer(server, method, target, headers, body) for server in servers)
    assert plain.startswith(b"HTTP/1.1 ")
    assert ours == plain


def test_every_route_of_the_example_app_is_compared() -> None:
    """A route that is added to the app has to be added here."""
    asked = {
        (method.lower(), re.sub(r"^/(api|live)(?=/)", "", target.partition("?")[0]))
        for method, target, headers, _ in REQUESTS
        if headers != SOCKET
    }
    asked |= {("websocket", target.removeprefix("/live")) for _, target, headers, _ in REQUESTS if headers == SOCKET}
    assert {(method, path.replace("{entry_id}", "1")) for method, path in CHECKED} <= asked
