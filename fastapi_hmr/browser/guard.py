"""Decides whom fastapi-hmr's own routes answer: known hosts, same-origin pages, holders of the token."""

import ipaddress
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from fastapi_hmr.browser.headers import values

MAX_HOST = 255
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?)(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>.+)")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Authority:
    """A parsed Host header: a lower-case name without brackets and trailing dot, and a port where one was given."""

    name: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused, in words for the person at the other end."""

    status: HTTPStatus
    text: str


def parse_authority(raw: bytes) -> Authority | None:
    """The parts of `host[:port]`; None for anything that is not exactly that."""
    if len(raw) > MAX_HOST or not raw.isascii():
        return None
    match = _HOST.fullmatch(raw.decode("ascii").lower())
    if match is None:
        return None
    name, digits = match["name"], match["port"]
    if name.startswith("["):
        name = name[1:-1]
        if not _is_ip(name, version=6):
            return None
    elif ".." in name:
        return None
    if digits is not None and int(digits) > 65535:
        return None
    return Authority(name.rstrip("."), None if digits is None else int(digits))


def _is_ip(name: str, *, version: int | None = None) -> bool:
    try:
        return version in (None, ipaddress.ip_address(name).version)
    except ValueError:
        return False


class Hosts:
    """The names by which this server may be called.

    A page of another site that rebinds its own name to this machine comes with that name in Host: it is not here.
    """

    def __init__(self, bind_host: str = "", allowed: Iterable[str] = ()) -> None:
        """`bind_host` and `allowed` come from the person who starts the server; `.example.com` allows subdomains."""
        names = [name.strip().lower().rstrip(".") for name in (bind_host, *allowed)]
        self._names = frozenset(name.strip("[]") for name in names if name and not name.startswith("."))
        self._suffixes = tuple(name for name in names if name.startswith("."))
        self._anything = "*" in self._names

    def allow(self, name: str) -> bool:
        """Whether a parsed host name is one of ours."""
        return (
            self._anything
            or name == "localhost"
            or name.endswith(".localhost")
            or name in self._names
            or (bool(self._suffixes) and name.endswith(self._suffixes))
            or _is_ip(name)
        )

    def refusal(self, scope: Mapping[str, Any]) -> Refusal | None:
        """Why the request's Host is not accepted; None where it is."""
        hosts = values(scope["headers"], b"host")
        if len(hosts) != 1:
            return Refusal(HTTPStatus.BAD_REQUEST, f"{len(hosts)} Host headers: send exactly one")
        host = parse_authority(hosts[0].strip())
        if host is None:
            return Refusal(
                HTTPStatus.BAD_REQUEST, "the Host header is not a host name with an optional port: correct it"
            )
        if not self.allow(host.name):
            return Refusal(
                HTTPStatus.FORBIDDEN,
                f"Host {host.name!r} is not allowed to use the dev server's own pages: "
                f"to allow it, start the server with --allowed-host {host.name}",
            )
        return None

    def trusts(self, scope: Mapping[str, Any]) -> bool:
        """Whether the request's Host is accepted."""
        return self.refusal(scope) is None


def site_refusal(scope: Mapping[str, Any]) -> Refusal | None:
    """Why a request that another origin's page caused is refused; None for our own pages and for people.

    `Sec-Fetch-Site` can't be forged by a page, so it decides where it is sent.  Browsers leave it out over plain http
    to anything but localhost; then `Origin` must name the very host that was asked.  A request with neither (a plain
    GET by a script of the same origin, or a command-line tool) passes here, and only the token opens the stream.
    """
    sites = values(scope["headers"], b"sec-fetch-site")
    origins = values(scope["headers"], b"origin")
    if len(sites) > 1 or len(origins) > 1:
        return Refusal(HTTPStatus.BAD_REQUEST, "more than one Sec-Fetch-Site or Origin header: send one at most")
    if sites:
        if sites[0].strip() in (b"same-origin", b"none"):
            return None
        return Refusal(HTTPStatus.FORBIDDEN, "this belongs to the dev server's own pages: other origins may not use it")
    if origins and not _same_origin(origins[0].strip(), values(scope["headers"], b"host")[0].strip()):
        return Refusal(HTTPStatus.FORBIDDEN, "the Origin header names another origin: only our own pages may use this")
    return None


def _same_origin(origin: bytes, host: bytes) -> bool:
    if not origin.isascii():
        return False
    match = _ORIGIN.fullmatch(origin.decode("ascii"))
    if match is None:  # "null", an extension, nonsense
        return False
    theirs, ours = parse_authority(match["authority"].encode()), parse_authority(host)
    default = _DEFAULT_PORTS[match["scheme"]]
    return (
        theirs is not None
        and ours is not None
        and theirs.name == ours.name
        and (theirs.port or default) == (ours.port or default)
    )


def token_refusal(scope: Mapping[str, Any], token: str) -> Refusal | None:
    """Why the request's token is not this process's; compared in constant time."""
    query = parse_qs(scope.get("query_string", b"")[:4096].decode("latin-1"), keep_blank_values=True)
    given = query.get("token", [])
    if len(given) == 1 and secrets.compare_digest(given[0].encode("utf-8", "surrogatepass"), token.encode()):
        return None
    return Refusal(HTTPStatus.FORBIDDEN, "the token is missing or of an earlier run of the server: reload the page")
