"""Who may use fastapi-hmr's own routes: parsing and rules."""

import random

import pytest

from fastapi_hmr.browser.guard import Hosts, parse_authority, site_refusal, token_refusal
from tests.browser.asgi import scope_of


@pytest.mark.parametrize(
    ("raw", "name", "port"),
    [
        (b"localhost", "localhost", None),
        (b"LocalHost:8000", "localhost", 8000),
        (b"localhost.:8000", "localhost", 8000),
        (b"127.0.0.1:65535", "127.0.0.1", 65535),
        (b"[::1]:80", "::1", 80),
        (b"[fe80::1]", "fe80::1", None),
        (b"my_host-1.example", "my_host-1.example", None),
    ],
)
def test_authority_is_parsed(raw: bytes, name: str, port: int | None) -> None:
    """Names, addresses, ports."""
    parsed = parse_authority(raw)
    assert parsed is not None
    assert (parsed.name, parsed.port) == (name, port)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b":80", b"localhost:", b"localhost:65536", b"localhost:-1", b"localhost:8000:1", b"localhost:abc", b"a b",
        b"user@localhost", b"http://localhost", b"localhost/", b"localhost?x", b"localhost#x", b"::1", b"[::1", b"[::1]x",
        b"[127.0.0.1]", b"[zz]", b"[fe80::1%25eth0]", b"a..b", b"-a.example", b"a,b", b"a;b", b"\xc3\xa9.example", b"\xff",
        b"local\x00host", b"localhost\t", b"%6cocalhost", b"a" * 256, b"*",
    ],
)  # fmt: skip
def test_authority_that_is_none_is_refused(raw: bytes) -> None:
    """Strictly: whatever two parsers could read in two ways."""
    assert parse_authority(raw) is None


def test_authority_parser_never_raises() -> None:
    """Whatever bytes come: each answer is a name of the allowed letters, or none."""
    chance = random.Random(7)
    letters = b"[]:.%@/ -_azAZ019\x00\xff"
    for _ in range(20_000):
        raw = bytes(chance.choices(letters, k=chance.randrange(12)))
        parsed = parse_authority(raw)
        assert parsed is None or (parsed.name and parsed.name.isascii() and not set(parsed.name) & set("[]%@/ \x00"))


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "app.localhost",
        "a.b.localhost",
        "127.0.0.1",
        "192.168.1.7",
        "::1",
        "0.0.0.0",
        "dev.box",
        "x.lan.example",
    ],
)
def test_known_hosts_are_allowed(name: str) -> None:
    """Loopback names, addresses, the bind host, allowed hosts and their subdomains where written with a dot."""
    assert Hosts("dev.box", [".lan.example"]).allow(name)


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io",
        "dev.box.evil",
        "lan.example",
        "",
    ],
)
def test_other_hosts_are_not(name: str) -> None:
    """Names that only look like ours."""
    assert not Hosts("dev.box", [".lan.example"]).allow(name)


def test_star_allows_every_host() -> None:
    """For those who know what they do."""
    assert Hosts("127.0.0.1", ["*"]).allow("anything.example")


def test_refusal_names_the_host_and_the_option() -> None:
    """The person who meant it learns how to allow it."""
    refusal = Hosts().refusal(scope_of(headers={"host": "my.box:8000"}))
    assert refusal is not None
    assert "'my.box'" in refusal.text
    assert "--allowed-host my.box" in refusal.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "http://whatever.example"},
        {"origin": "http://localhost:8000"},
        {"origin": "HTTP://LOCALHOST:8000".lower()},
        {},
    ],
)
def test_own_pages_and_people_pass(headers: dict[str, str]) -> None:
    """Sec-Fetch-Site decides where it is sent, Origin where it isn't."""
    assert site_refusal(scope_of(headers=headers)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "Same-Origin"},
        {"sec-fetch-site": "same-origin, none"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost"},
        {"origin": "http://localhost:8001"},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "http://localhost:8000.evil.example"},
        {"origin": "http://localhost:8000/"},
        {"origin": "http://localhost:8000@evil.example"},
        {"origin": "chrome-extension://abc"},
        {"origin": "file://"},
        {"origin": "\xe9"},
    ],
)
def test_foreign_pages_are_refused(headers: dict[str, str]) -> None:
    """Another origin, an opaque one, or something that is no origin."""
    assert site_refusal(scope_of(headers=headers)) is not None


@pytest.mark.parametrize(
    ("origin", "host"),
    [("http://dev.box", "dev.box:80"), ("https://dev.box", "dev.box:443"), ("https://dev.box", "dev.box")],
)
def test_default_ports_are_equal_to_none(origin: str, host: str) -> None:
    """`http://x` and `x:80` are the same place."""
    assert site_refusal(scope_of(headers={"origin": origin, "host": host})) is None


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"token=",
        b"token=wrong",
        b"token=secret&token=secret",
        b"TOKEN=secret",
        b"token=secret%00",
        b"token=\xff",
        b"a" * 9000,
        b"token=%ff",
    ],
)
def test_token_must_be_this_process_s(query: bytes) -> None:
    """Exactly one, exactly equal."""
    assert token_refusal(scope_of(query_string=query), "secret") is not None


def test_token_that_is_right_passes() -> None:
    """Other parameters don't matter."""
    assert token_refusal(scope_of(query_string=b"t=1&token=secret"), "secret") is None
