"""Which answers get the script tag, which don't, and what else changes about them."""

import pytest

from tests.browser.asgi import NAVIGATION, TAG, around, ask, scope_of

PAGE = b"<!doctype html>\n<html><head><title>t</title></head><body>x</body></html>"


def without_tag(body: bytes) -> bytes:
    """The body with the whole tag cut out."""
    start = body.index(TAG)
    return body[:start] + body[body.index(b"</script>", start) + len(b"</script>") :]


def test_document_gets_the_tag_right_after_head() -> None:
    """A page that a person navigates to carries the id of what answered it."""
    answer = ask([PAGE])
    assert answer.body.startswith(b"<!doctype html>\n<html><head>" + TAG)
    assert without_tag(answer.body) == PAGE
    assert answer.headers["x-fastapi-hmr"] == "injected"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
def test_other_methods_are_left_alone(method: str) -> None:
    """Nobody navigates by them."""
    answer = ask([PAGE], scope=scope_of(method=method))
    assert answer.body == PAGE
    assert "x-fastapi-hmr" not in answer.headers


def test_result_of_a_form_is_marked() -> None:
    """So that the client never reloads it, which would send the form again; a script's POST stays as it is."""
    answer = ask([PAGE], scope=scope_of(method="POST"))
    assert without_tag(answer.body) == PAGE
    assert b' data-posted="yes"' in answer.body
    assert b"data-posted" not in ask([PAGE]).body
    for headers in ({"accept": "text/html"}, {"accept": "text/html", "sec-fetch-mode": "cors"}):
        assert ask([PAGE], scope=scope_of(method="POST", headers=headers)).body == PAGE


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-mode": "cors", "accept": "text/html"},
        {"sec-fetch-mode": "same-origin", "accept": "text/html"},
        {"sec-fetch-mode": "no-cors", "accept": "text/html"},
        {"accept": "*/*"},
        {"accept": "application/json, text/html"},
        {"accept": "text/html", "hx-request": "true"},
        {"accept": "text/html", "x-requested-with": "XMLHttpRequest"},
        {"accept": "text/html", "turbo-frame": "list"},
        {"accept": "text/html", "x-up-target": ".main"},
        {**NAVIGATION, "range": "bytes=0-10"},
        {},
    ],
)
def test_requests_that_are_no_navigation_are_left_alone(headers: dict[str, str]) -> None:
    """Scripts' requests, fragments and parts of files get what the app answers, byte for byte."""
    assert ask([PAGE], scope=scope_of(headers=headers)).body == PAGE


def test_page_without_sec_fetch_headers_is_known_by_accept() -> None:
    """Over plain http to another machine browsers leave Sec-Fetch out: Accept decides, for whole documents only."""
    plain = scope_of(headers={"accept": "text/html,application/xhtml+xml"})
    assert ask([PAGE], scope=plain).injected
    assert not ask([b"<p>a fragment</p>"], scope=plain).injected
    assert ask([b"<p>a fragment</p>"]).injected, "a navigation shows it as a page, whatever it is"


@pytest.mark.parametrize("status", [204, 205, 206, 301, 302, 303, 307, 308, 304])
def test_statuses_without_a_document_are_left_alone(status: int) -> None:
    """Redirects, empty answers and parts are passed on."""
    assert ask([PAGE], status=status).body == PAGE


@pytest.mark.parametrize("status", [200, 201, 400, 401, 404, 422, 500, 503])
def test_error_pages_in_html_get_the_tag(status: int) -> None:
    """A 404 page must heal too once its route exists."""
    assert ask([PAGE], status=status).injected


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "text/plain"},
        {"content-type": "application/xhtml+xml"},
        {"content-type": "text/html-sandboxed"},
        {"content-type": ""},
        {"content-type": "text/html; charset=utf-16"},
        {"content-type": "text/html; charset=UTF-16LE"},
        {"content-disposition": 'attachment; filename="page.html"'},
        {"content-encoding": "gzip"},
        {"content-encoding": "br"},
        {"x-fastapi-hmr": "off"},
    ],
)
def test_answers_that_are_no_readable_document_are_left_alone(headers: dict[str, str]) -> None:
    """Other types, downloads, encoded bodies, wide charsets and an explicit opt-out."""
    answer = ask([PAGE], headers=headers)
    assert answer.body == PAGE
    assert "x-fastapi-hmr" not in answer.headers


def test_identity_encoding_and_quoted_charset_are_readable() -> None:
    """`identity` encodes nothing, and a charset may be quoted."""
    assert ask([PAGE], headers={"content-encoding": "identity", "content-type": 'text/html; charset="utf-8"'}).injected


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf16_body_is_left_alone(mark: bytes) -> None:
    """A byte order mark says what the header did not."""
    body = mark + PAGE
    assert ask([body], headers={"content-type": "text/html"}).body == body


@pytest.mark.parametrize("value", ['"off"', "'off'", "off"])
def test_page_can_opt_out(value: str) -> None:
    """`<html data-fastapi-hmr="off">` keeps the script out of this page."""
    body = f"<!doctype html><html lang=en data-fastapi-hmr={value}><head></head></html>".encode()
    answer = ask([body], headers={"etag": '"1"', "content-length": str(len(body))})
    assert answer.body == body
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["content-length"] == str(len(body))


def test_foreign_host_gets_no_tag() -> None:
    """A name that was rebound to this machine learns no token."""
    assert ask([PAGE], scope=scope_of(headers={**NAVIGATION, "host": "evil.example"})).body == PAGE


def test_content_length_is_exact() -> None:
    """A given length grows by the tag; where there was none, none is made up."""
    answer = ask([PAGE], headers={"content-length": str(len(PAGE))})
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert "content-length" not in ask([PAGE]).headers


def test_validators_and_digests_are_dropped() -> None:
    """The injected page is another entity: what the app said of its own bytes is not true of it."""
    about = {
        "etag": '"1"', "last-modified": "x", "digest": "x", "content-digest": "x", "repr-digest": "x",
        "content-md5": "x", "accept-ranges": "bytes",
    }  # fmt: skip
    headers = ask([PAGE], headers={**about, "set-cookie": "a=1"}).headers
    assert not about.keys() & headers.keys()
    assert headers["set-cookie"] == "a=1"


@pytest.mark.parametrize(
    ("given", "sent"), [("", "no-cache"), ("public, max-age=3600", "no-cache"), ("private, no-store", "no-store")]
)
def test_injected_page_is_never_fresh(given: str, sent: str) -> None:
    """`no-cache`, or `no-store` where the app says so."""
    assert ask([PAGE], headers={"cache-control": given, "expires": "x"}).headers["cache-control"] == sent
    assert "expires" not in ask([PAGE], headers={"expires": "x"}).headers


def test_app_is_asked_for_a_plain_whole_page() -> None:
    """No compression, no 304, no file sent past us; everything else of the request is untouched."""
    conditional = {"accept-encoding": "gzip", "if-none-match": '"1"', "if-modified-since": "x", "cookie": "a=1"}
    extensions: dict[str, object] = {
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
        "http.response.trailers": {},
    }
    answer = ask([PAGE], scope=scope_of(headers={**NAVIGATION, **conditional}, extensions=extensions))
    names = {name for name, _ in answer.seen["headers"]}
    assert not names & {b"accept-encoding", b"if-none-match", b"if-modified-since"}
    assert b"cookie" in names
    assert answer.seen["extensions"] == {"http.response.trailers": {}}


def test_request_of_a_script_reaches_the_app_unchanged() -> None:
    """A fetch keeps its compression and its conditions."""
    headers = {"sec-fetch-mode": "cors", "accept-encoding": "gzip", "if-none-match": '"1"'}
    answer = ask([PAGE], scope=scope_of(headers=headers, extensions={"http.response.pathsend": {}}))
    assert {b"accept-encoding", b"if-none-match"} <= {name for name, _ in answer.seen["headers"]}
    assert answer.seen["extensions"] == {"http.response.pathsend": {}}


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"etag": '"1"'}, "no-cache"),
        ({"last-modified": "x"}, "no-cache"),
        ({"etag": '"1"', "cache-control": "max-age=60"}, "max-age=60"),
        ({}, None),
        ({"etag": '"1"', "expires": "x"}, None),
    ],
)
def test_static_file_is_asked_for_again_each_time(headers: dict[str, str], sent: str | None) -> None:
    """Validators without a rule make browsers guess a lifetime, of months for an old file."""
    scope = scope_of("/site.css", headers={"sec-fetch-mode": "no-cors"})
    answer = ask([b"a{}"], headers={"content-type": "text/css", **headers}, scope=scope)
    assert answer.headers.get("cache-control") == sent
    assert answer.body == b"a{}"


def test_tag_carries_root_path_and_nonce() -> None:
    """Behind a proxy's prefix the script is under that prefix; a policy's nonce is the tag's."""
    scope = scope_of("/api/", root_path="/api")
    body = ask([PAGE], scope=scope, headers={"content-security-policy": "script-src 'nonce-abc'"}).body
    assert b'<script src="/api/__fastapi_hmr__/client.js?v=' in body
    assert b' nonce="abc"></script>' in body


def test_sandboxed_page_is_left_alone() -> None:
    """No script runs there, or none of our origin."""
    for policy in ("sandbox", "sandbox allow-scripts", "sandbox allow-same-origin"):
        assert ask([PAGE], headers={"content-security-policy": policy}).body == PAGE
    assert ask([PAGE], headers={"content-security-policy": "sandbox allow-scripts allow-same-origin"}).injected


def test_policy_extension_is_sent_and_told_once() -> None:
    """What had to be added is in the header, and in one line for the person at the terminal."""
    answer = ask([PAGE], headers={"content-security-policy": "default-src 'none'"})
    policy = answer.headers["content-security-policy"]
    assert policy == "default-src 'none'; script-src-elem 'self'; connect-src 'self'"
    assert len(answer.notices) == 1
    assert "script-src-elem 'self', connect-src 'self'" in answer.notices[0]


def test_chunks_keep_their_timing() -> None:
    """Once the place is known nothing is held: each chunk goes on as it came."""
    answer = ask([b"<!doctype html><ht", b"ml><head><title>", b"t</title>", b"", b"<p>1", b"<p>2"])
    bodies = [message["body"] for message in answer.messages[1:]]
    assert bodies[0].startswith(b"<!doctype html><html><head>" + TAG)
    assert bodies[1:] == [b"t</title>", b"", b"<p>1", b"<p>2"]
    assert [message.get("more_body") for message in answer.messages[1:]] == [True] * 4 + [False]


def test_endless_comment_puts_the_tag_at_the_end() -> None:
    """A beginning that does not end is passed on after 64 kB; the script comes last, the length is right."""
    chunks = [b"<!-- " + b"x" * 40_000, b"x" * 40_000, b" --><html><head></head>", b"</html>"]
    answer = ask(chunks, headers={"content-length": str(len(b"".join(chunks)))})
    assert without_tag(answer.body) == b"".join(chunks)
    assert answer.body.endswith(b"</script>")
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_unfinished_beginning_is_still_sent() -> None:
    """A body that ends inside what might have become a tag loses nothing."""
    for body in (b"", b"<", b"<!doc", b"<html", b"<!-- open"):
        answer = ask([body])
        assert answer.injected
        assert without_tag(answer.body) == body


def test_plain_server_error_becomes_a_page_that_heals() -> None:
    """A browser shows `Internal Server Error` as bare text, which could not hear of the fix."""
    plain = {"content-type": "text/plain; charset=utf-8", "content-length": "21", "x-kept": "1"}
    answer = ask([b"Internal Server Error"], status=500, headers=plain)
    assert answer.injected
    assert answer.status == 500
    assert b"Internal Server Error" in answer.body
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["x-kept"] == "1"


def test_plain_server_error_is_unchanged_for_tools() -> None:
    """curl sees what the app answered."""
    answer = ask(
        [b"Internal Server Error"],
        status=500,
        headers={"content-type": "text/plain"},
        scope=scope_of(headers={"accept": "*/*"}),
    )
    assert answer.body == b"Internal Server Error"


def test_plain_client_error_is_unchanged() -> None:
    """A 404 in plain text is an answer like any other."""
    assert ask([b"gone"], status=404, headers={"content-type": "text/plain"}).body == b"gone"


def test_exception_of_a_handler_is_shown_and_still_raised() -> None:
    """The page shows what was raised; the server hears of it as ever."""
    answer = ask(
        [b"Internal Server Error"], status=500, headers={"content-type": "text/plain"}, raises=ValueError("<b>13")
    )
    assert isinstance(answer.error, ValueError)
    assert answer.injected
    assert b"ValueError" in answer.body
    assert b"&lt;b&gt;13" in answer.body


def test_exception_before_any_answer_is_shown() -> None:
    """An app that raises without answering: the page is ours, status 500."""
    answer = ask(raises=ValueError("13"), started=False)
    assert answer.status == 500
    assert answer.injected
    assert isinstance(answer.error, ValueError)


def test_exception_in_a_started_page_ends_it_as_ever() -> None:
    """What has been sent can't be taken back."""
    answer = ask([PAGE], raises=ValueError("13"))
    assert answer.status == 200
    assert answer.injected
    assert isinstance(answer.error, ValueError)


async def test_unknown_messages_pass() -> None:
    """Trailers, debug data and what ASGI will have next reach the server."""

    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.debug", "info": {}})  # type: ignore[operator]  # it is the send of ASGI

    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {}

    middleware = around(app, bind_host="", notice=print)
    await middleware(scope_of(), receive, send)
    assert sent == [{"type": "http.response.debug", "info": {}}]
