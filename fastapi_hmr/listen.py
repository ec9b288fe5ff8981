"""The listening sockets: inherited, passed in, a UNIX socket, or a host and a port; or one line that says why not."""

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi_hmr.exceptions import BindError

if TYPE_CHECKING:
    from uvicorn import Config

SOCKET_VARIABLE = "FASTAPI_HMR_SOCKET"
"""Tells a re-executed process which file descriptors are the listening sockets that it inherits."""
PORTS_TRIED = 20
LOOPBACKS = ("127.0.0.1", "::1")
"""What browsers take `localhost` for, whatever the system says: some try the second first."""


class Bound(NamedTuple):
    """The listening sockets, one for each address, where they answer, and what the user should know about them."""

    sockets: tuple[socket.socket, ...]
    url: str
    notes: tuple[str, ...] = ()


def bind(config: "Config", *, port_given: bool) -> Bound:
    """The listening sockets for a uvicorn.Config: inherited, by descriptor, a UNIX socket, or host and port.

    Where the port is taken and `port_given` is false, the next free one is used and a note says so.
    Raises BindError.
    """
    sockets = _inherited()
    if sockets:
        if sockets[0].family in {socket.AF_INET, socket.AF_INET6}:
            config.port = sockets[0].getsockname()[1]
        return Bound(sockets, _url(config, sockets[0]))
    if config.fd is not None:
        return _by_descriptor(config)
    if config.uds is not None:
        return _unix(config, config.uds)
    return _host_and_port(config, port_given=port_given)


def _inherited() -> tuple[socket.socket, ...]:
    """The sockets that the process before us listened on; their connections that wait in the queue are ours now."""
    found = map(_from_descriptor, os.environ.pop(SOCKET_VARIABLE, "").split(","))
    return tuple(sock for sock in found if sock is not None)


def _from_descriptor(descriptor: str) -> socket.socket | None:
    if not descriptor.isdecimal():
        return None
    try:
        sock = socket.socket(fileno=int(descriptor))
    except OSError:  # a variable that outlived its process
        return None
    if not _listens(sock):
        sock.detach()  # somebody else's: leave it open
        return None
    sock.setblocking(False)
    sock.set_inheritable(False)
    return sock


def _listens(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def _by_descriptor(config: "Config") -> Bound:
    assert config.fd is not None
    try:
        # Not `socket.dup()`: it makes the description that both share blocking again, and the loop waits in accept().
        sock = socket.socket(fileno=os.dup(config.fd))
    except OSError as error:
        raise BindError(f"--fd {config.fd} is not an open socket ({error.strerror}): pass one that is") from None
    sock.setblocking(False)
    return Bound((sock,), _url(config, sock))


def _unix(config: "Config", path: str) -> Bound:
    """As `loop.create_unix_server` does it: a socket that nobody listens on any more is taken over."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mode = 0o666
    try:
        if Path(path).is_socket():
            mode = Path(path).stat().st_mode & 0o777
            Path(path).unlink()
        sock.bind(path)
        Path(path).chmod(mode)
    except OSError as error:
        sock.close()
        raise BindError(f"can't make the UNIX socket {path!r} ({error.strerror}): choose another --uds path") from None
    sock.setblocking(False)
    return Bound((sock,), _url(config, sock))


def _host_and_port(config: "Config", *, port_given: bool) -> Bound:
    host, wanted = config.host or "0.0.0.0", config.port  # noqa: S104 - what uvicorn makes of an empty host
    if wanted == 0:
        ports = [0] * PORTS_TRIED  # one that is free at the first address may not be at the second
    else:
        ports = list(range(wanted, min(wanted + (1 if port_given else PORTS_TRIED), 65536)))
    for tries_left, port in zip(reversed(range(len(ports))), ports, strict=True):
        try:
            sockets = _listen(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and tries_left:
                continue
            raise BindError(_why_not(error, host, port)) from None
        config.port = sockets[0].getsockname()[1]
        holder = holder_of(wanted) if port != wanted else None
        by = f" by {holder}" if holder else ""
        notes = (f"port {wanted} is in use{by}, so this is {port}",) if port != wanted else ()
        return Bound(sockets, _url(config, sockets[0]), notes)
    raise BindError(f"no free port from {wanted} on: choose one with --port")


def _listen(host: str, port: int) -> tuple[socket.socket, ...]:
    """On all addresses of a host that this machine has, those of IPv4 first; as asyncio does it, but on one port."""
    names = LOOPBACKS if host == "localhost" else (host,)
    infos = [
        info
        for name in names
        for info in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    ]
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in dict.fromkeys(
        (info[0], info[4]) for info in sorted(infos, key=lambda info: info[0] != socket.AF_INET)
    ):
        try:
            sockets.append(_listen_at(family, (address[0], port, *address[2:])))
        except OSError as error:
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                for sock in sockets:
                    sock.close()
                raise
            missing = error
        else:
            port = sockets[0].getsockname()[1]
    if missing is not None and not sockets:
        raise missing
    return tuple(sockets)


def _listen_at(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(2048)  # bound sockets may share a port with SO_REUSEADDR; listening ones may not
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        by = f" by {holder}" if holder else ""
        return f"port {port} on {host} is in use{by}: stop that, or choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than you have: choose one above 1023 with --port"
    return f"can't listen on {host}:{port} ({error.strerror or error}): choose another --host or --port"


def holder_of(port: int) -> str | None:
    """Who listens on a TCP port, as `name (pid)`, where that can be known (Linux, a process of ours)."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and _holds(process, inodes):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"{command[:60] or 'a process'} (process {process.name})"
    return None


def _holds(process: Path, inodes: set[str]) -> bool:
    """Whether a process has one of these sockets open. Others' processes can't be looked into; files come and go."""
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(descriptor) in inodes:  # noqa: PTH115 - not a path
                    return True
    return False


def _url(config: "Config", sock: socket.socket) -> str:
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    if config.fd is None and config.host:
        host = config.host
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if config.is_ssl else 'http'}://{shown}:{port}"
