"""The listening socket: inherited, passed in, a UNIX socket, or a host and a port; or one line that says why not."""

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi_hmr.exceptions import BindError

if TYPE_CHECKING:
    from uvicorn import Config

SOCKET_VARIABLE = "FASTAPI_HMR_SOCKET"
"""Tells a re-executed process which file descriptor is the listening socket that it inherits."""
PORTS_TRIED = 20


@dataclass(frozen=True, slots=True)
class Bound:
    """A listening socket, where it answers, and what the user should know about it."""

    socket: socket.socket
    url: str
    notes: tuple[str, ...] = ()


def bind(config: "Config", *, port_given: bool) -> Bound:
    """The listening socket for a uvicorn.Config: inherited, by descriptor, a UNIX socket, or host and port.

    Where the port is taken and `port_given` is false, the next free one is used and a note says so.
    Raises BindError.
    """
    sock = _inherited()
    if sock is not None:
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            config.port = sock.getsockname()[1]
        return Bound(sock, _url(config, sock))
    if config.fd is not None:
        return _by_descriptor(config)
    if config.uds is not None:
        return _unix(config, config.uds)
    return _host_and_port(config, port_given=port_given)


def _inherited() -> socket.socket | None:
    """The socket that the process before us listened on; its connections that wait in the queue are ours now."""
    descriptor = os.environ.pop(SOCKET_VARIABLE, "")
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
    return Bound(sock, _url(config, sock))


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
    return Bound(sock, _url(config, sock))


def _host_and_port(config: "Config", *, port_given: bool) -> Bound:
    host, wanted = config.host or "0.0.0.0", config.port  # noqa: S104 - what uvicorn makes of an empty host
    tries = 1 if port_given or wanted == 0 else PORTS_TRIED
    for port in range(wanted, min(wanted + tries, 65536)):
        try:
            sock = _listen(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port < wanted + tries - 1:
                continue
            raise BindError(_why_not(error, host, port)) from None
        config.port = sock.getsockname()[1]
        holder = holder_of(wanted) if port != wanted else None
        by = f" by {holder}" if holder else ""
        notes = (f"port {wanted} is in use{by}, so this is {port}",) if port != wanted else ()
        return Bound(sock, _url(config, sock), notes)
    raise BindError(f"no free port from {wanted} on: choose one with --port")


def _listen(host: str, port: int) -> socket.socket:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = min(infos, key=lambda info: info[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)
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
