"""Crafted requests over a real socket, each with its expected answer, and no exception in the server."""

import socket
from collections.abc import Callable, Iterator

import pytest

from fastapi_hmr.browser.routes import version
from tests.browser.site import Site, document

JS = "/__fastapi_hmr__/client.js"
EVENTS = "/__fastapi_hmr__/events"


def send_raw(port: int, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body (as far as it comes at once) of a raw request; status 0 where the server hung up."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(raw)
        received = b""
        while b"\r\n\r\n" not in received:
            part = sock.recv(65536)
            if not part:
                break
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        closes = "content-length" not in headers and headers.get("connection") == "close"
        length = 1 << 20 if closes else int(headers.get("content-length", 0))
        while len(body) < length and (part := sock.recv(65536)):
            body += part
    return int(lines[0].split()[1]) if lines[0] else 0, headers, body


def request_of(
    site: Site, target: str = JS, method: str = "GET", host: str | None = "localhost", **headers: str
) -> bytes:
    """A request; `host` without a port gets the site's; None: no Host header at all."""
    lines = [f"{method} {target} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {f'{host}:{site.port}' if host == 'localhost' else host}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, "", ""])).encode("latin-1")


type Craft = Callable[[Site], bytes]


def token_of(site: Site) -> str:
    """The token that pages of this site carry."""
    return site.middleware._routes.token


CASES: list[tuple[str, int, Craft]] = [
    ("client", 200, request_of),
    ("client by address", 200, lambda s: request_of(s, host=f"127.0.0.1:{s.port}")),
    ("client by IPv6 address", 200, lambda s: request_of(s, host=f"[::1]:{s.port}")),
    ("client by subdomain of localhost", 200, lambda s: request_of(s, host="app.localhost")),
    ("client with query", 200, lambda s: request_of(s, JS + "?v=1")),
    ("client of our own page", 200, lambda s: request_of(s, Sec_Fetch_Site="same-origin")),
    ("client typed by a person", 200, lambda s: request_of(s, Sec_Fetch_Site="none")),
    ("client with our own origin", 200, lambda s: request_of(s, Origin=f"http://localhost:{s.port}")),
    ("client by HEAD", 200, lambda s: request_of(s, method="HEAD")),
    ("overlay", 200, lambda s: request_of(s, "/__fastapi_hmr__/overlay.js")),
    ("overlay's style", 200, lambda s: request_of(s, "/__fastapi_hmr__/overlay.css")),
    ("events", 200, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}")),
    ("events by HEAD", 200, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}", "HEAD")),
    ("events of our own page", 200, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}", Sec_Fetch_Site="same-origin")),
    ("no token", 403, lambda s: request_of(s, EVENTS)),
    ("empty token", 403, lambda s: request_of(s, EVENTS + "?token=")),
    ("wrong token", 403, lambda s: request_of(s, EVENTS + "?token=" + "x" * 32)),
    ("token twice", 403, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}&token={token_of(s)}")),
    ("token with a NUL", 403, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}%00")),
    ("token in other case", 403, lambda s: request_of(s, f"{EVENTS}?token={token_of(s).swapcase()}")),
    ("token that is no UTF-8", 403, lambda s: request_of(s, EVENTS + "?token=%ff%fe")),
    ("token beyond 4 kB of query", 403, lambda s: request_of(s, f"{EVENTS}?{'a' * 5000}&token={token_of(s)}")),
    ("token in a header only", 403, lambda s: request_of(s, EVENTS, Token=token_of(s))),
    ("token and cross-site", 403, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}", Sec_Fetch_Site="cross-site")),
    ("token and same-site", 403, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}", Sec_Fetch_Site="same-site")),
    ("token and foreign origin", 403, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}", Origin="http://evil.example")),
    ("token and foreign host", 403, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}", host="evil.example")),
    ("foreign host", 403, lambda s: request_of(s, host="evil.example")),
    ("foreign host with our port", 403, lambda s: request_of(s, host=f"evil.example:{s.port}")),
    ("rebinding host that starts like ours", 403, lambda s: request_of(s, host="localhost.evil.example")),
    ("rebinding host that holds our address", 403, lambda s: request_of(s, host="127.0.0.1.nip.io")),
    ("rebinding host that ends like ours", 403, lambda s: request_of(s, host="evillocalhost")),
    ("no host", 400, lambda s: request_of(s, host=None)),
    ("empty host", 400, lambda s: request_of(s, host="")),
    ("two hosts", 400, lambda s: request_of(s).replace(b"\r\n\r\n", b"\r\nHost: localhost\r\n\r\n")),
    ("host with a path", 400, lambda s: request_of(s, host="localhost/x")),
    ("host with user", 400, lambda s: request_of(s, host="evil@localhost")),
    ("host with a bad port", 400, lambda s: request_of(s, host="localhost:99999")),
    ("host with words for a port", 400, lambda s: request_of(s, host="localhost:http")),
    ("host with a space", 400, lambda s: request_of(s, host="local host")),
    ("host with a comma", 400, lambda s: request_of(s, host="localhost, evil.example")),
    ("host beyond ASCII", 400, lambda s: request_of(s, host="localh\xf6st")),
    ("host of 300 characters", 400, lambda s: request_of(s, host="a" * 300)),
    ("host with open bracket", 400, lambda s: request_of(s, host="[::1")),
    ("host with a zone", 400, lambda s: request_of(s, host="[fe80::1%25eth0]")),
    ("cross-site", 403, lambda s: request_of(s, Sec_Fetch_Site="cross-site")),
    ("same-site, another port", 403, lambda s: request_of(s, Sec_Fetch_Site="same-site")),
    ("Sec-Fetch-Site that is nonsense", 403, lambda s: request_of(s, Sec_Fetch_Site="\xff\xfe")),
    ("two Sec-Fetch-Site", 400, lambda s: request_of(s, Sec_Fetch_Site="none").replace(b"\r\n\r\n", b"\r\nSec-Fetch-Site: none\r\n\r\n")),
    ("null origin", 403, lambda s: request_of(s, Origin="null")),
    ("origin on another port", 403, lambda s: request_of(s, Origin="http://localhost:1")),
    ("origin by address", 403, lambda s: request_of(s, Origin=f"http://127.0.0.1:{s.port}")),
    ("origin beyond ASCII", 403, lambda s: request_of(s, Origin="http://localh\xf6st")),
    ("origin that is a file", 403, lambda s: request_of(s, Origin="file://")),
    ("two origins", 400, lambda s: request_of(s, Origin="null").replace(b"\r\n\r\n", b"\r\nOrigin: null\r\n\r\n")),
    ("POST", 405, lambda s: request_of(s, method="POST", Content_Length="0")),
    ("POST to events", 405, lambda s: request_of(s, f"{EVENTS}?token={token_of(s)}", "POST", Content_Length="0")),
    ("DELETE", 405, lambda s: request_of(s, method="DELETE")),
    ("OPTIONS, as a preflight", 405, lambda s: request_of(s, method="OPTIONS", Access_Control_Request_Method="GET")),
    ("unusual method", 405, lambda s: request_of(s, method="PROPFIND")),
    ("prefix alone", 404, lambda s: request_of(s, "/__fastapi_hmr__")),
    ("prefix with slash", 404, lambda s: request_of(s, "/__fastapi_hmr__/")),
    ("Python source", 404, lambda s: request_of(s, "/__fastapi_hmr__/guard.py")),
    ("path upwards", 404, lambda s: request_of(s, "/__fastapi_hmr__/../../etc/passwd")),
    ("path upwards, encoded", 404, lambda s: request_of(s, "/__fastapi_hmr__/%2e%2e%2f%2e%2e%2fetc/passwd")),
    ("path upwards with backslashes", 404, lambda s: request_of(s, "/__fastapi_hmr__/..\\..\\etc\\passwd")),
    ("path with a NUL", 404, lambda s: request_of(s, "/__fastapi_hmr__/client.js%00")),
    ("path that is no UTF-8", 404, lambda s: request_of(s, "/__fastapi_hmr__/%ff%fe")),
    ("two slashes", 404, lambda s: request_of(s, "/__fastapi_hmr__//client.js")),
    ("slash at the end", 404, lambda s: request_of(s, JS + "/")),
    ("other case", 404, lambda s: request_of(s, "/__fastapi_hmr__/CLIENT.JS")),
    ("path of 8 kB", 404, lambda s: request_of(s, "/__fastapi_hmr__/" + "a" * 8000)),
    ("header of 16 kB", 200, lambda s: request_of(s, Cookie="a=" + "b" * 16_000)),
    ("header beyond ASCII", 200, lambda s: request_of(s, Cookie="\xff\xfe\xfd")),
]  # fmt: skip


@pytest.fixture(scope="module", params=["httptools", "h11"])
def hostile(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One site for all of them, with each of uvicorn's parsers: none may leave a mark."""
    site = Site(http=request.param)
    site.pages["/"] = lambda request: document()
    site.start()
    yield site
    site.stop()


@pytest.mark.parametrize(("status", "craft"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_crafted_request_gets_its_answer(hostile: Site, status: int, craft: Craft) -> None:
    """The status, the headers that keep other origins out, no word of CORS, nothing of the app, no exception."""
    answered, headers, body = send_raw(hostile.port, craft(hostile))
    if body == b"Invalid HTTP request received.":  # uvicorn's parser was there first
        assert (answered, status >= 400) == (400, True)
        return
    assert answered == status, body
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert not [name for name in headers if name.startswith("access-control-")]
    if status >= 400:
        assert body.endswith(b"\n")
        assert token_of(hostile).encode() not in body
    assert not hostile.errors
    assert not [request for request in hostile.requests if "__fastapi_hmr__" in request.url.path], "the app was asked"


def test_scripts_last_under_the_version_s_url_alone(hostile: Site) -> None:
    """What can't change is fetched once; any other query, and the stream, is asked for each time."""
    for target, sent in (
        (f"{JS}?v={version()}", "max-age=31536000, immutable"),
        (f"{JS}?v=0", "no-store"),
        (f"{EVENTS}?v={version()}&token={token_of(hostile)}", "no-store"),
    ):
        status, headers, _ = send_raw(hostile.port, request_of(hostile, target))
        assert (status, headers["cache-control"]) == (200, sent)
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_absolute_form_is_no_way_around_the_guard(hostile: Site) -> None:
    """Parsers read `GET http://host/path` in two ways: neither gives a foreign host anything of ours."""
    for host in ("localhost", "evil.example"):
        raw = request_of(hostile, f"http://localhost:{hostile.port}{JS}", host=host)
        status, _, body = send_raw(hostile.port, raw)
        hostile.requests.clear()
        assert status in ((200, 404) if host == "localhost" else (403, 404))
        assert (b"Keeps this page true" in body) == (status == 200)


def test_enough_requests_are_crafted() -> None:
    """At least 60, each under its own name."""
    assert len(CASES) == len({name for name, _, _ in CASES}) >= 60


def test_foreign_host_still_reaches_the_app(hostile: Site) -> None:
    """Only our own routes are guarded: the app's hosts are the app's business. It gets no script, though."""
    status, _, body = send_raw(hostile.port, request_of(hostile, "/", host="evil.example", Sec_Fetch_Mode="navigate"))
    assert status == 200
    assert b"__fastapi_hmr__" not in body
    status, _, body = send_raw(hostile.port, request_of(hostile, "/", Sec_Fetch_Mode="navigate"))
    assert b"__fastapi_hmr__" in body


def test_websocket_under_the_prefix_is_refused(hostile: Site) -> None:
    """There is none, and the app's catch-all must not get it."""
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    raw = request_of(hostile, EVENTS, Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", **upgrade)
    assert send_raw(hostile.port, raw)[0] == 403


def test_path_of_the_app_that_looks_like_ours_is_the_apps(hostile: Site) -> None:
    """Only the exact prefix at the root is ours."""
    for path in (
        "/x/__fastapi_hmr__/client.js",
        "/__fastapi_hmr__x",
        "/__FASTAPI_HMR__/client.js",
        "//__fastapi_hmr__/client.js",
    ):
        status, headers, body = send_raw(hostile.port, request_of(hostile, path))
        assert (status, body) == (404, b"no such page"), path
        assert "cross-origin-resource-policy" not in headers
    hostile.requests.clear()


def test_stale_token_is_told_the_current_id_and_nothing_else(hostile: Site) -> None:
    """A page of an earlier run learns that it is stale; a foreign one learns nothing."""
    _, headers, _ = send_raw(hostile.port, request_of(hostile, EVENTS + "?token=old", Sec_Fetch_Site="same-origin"))
    assert headers["x-fastapi-hmr-id"] == f"{hostile.generation}.0"
    _, headers, _ = send_raw(hostile.port, request_of(hostile, EVENTS + "?token=old", Sec_Fetch_Site="cross-site"))
    assert "x-fastapi-hmr-id" not in headers
