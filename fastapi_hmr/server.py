"""The one uvicorn Server of the process, its listening socket, and how both survive or end."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import uvicorn

from fastapi_hmr.exceptions import BindError

SOCKET_VARIABLE = "FASTAPI_HMR_SOCKET"
"""Tells a re-executed process which file descriptor is the listening socket that it inherits."""
PORTS_TRIED = 20
ABORT_S = 2.0
"""After the second Ctrl-C, or when all is shut down: how long threads that don't end may keep the process alive."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A listening socket, where it answers, and what the user should know about it."""

    socket: socket.socket
    url: str
    notes: tuple[str, ...] = ()


def bind(config: uvicorn.Config, *, port_given: bool) -> Bound:
    """The listening socket for a uvicorn.Config: inherited, by descriptor, a UNIX socket, or host and port.

    Where the port is taken and `port_given` is false, the next free one is used and a note says so.
    Raises BindError.
    """
    inherited = os.environ.pop(SOCKET_VARIABLE, "")
    if inherited.isdecimal():
        sock = socket.socket(fileno=int(inherited))
        sock.setblocking(False)
        os.set_inheritable(sock.fileno(), False)
        return Bound(sock, _url(config, sock))
    if config.fd is not None:
        return _by_descriptor(config)
    if config.uds is not None:
        return _unix(config, config.uds)
    return _host_and_port(config, port_given=port_given)


def _by_descriptor(config: uvicorn.Config) -> Bound:
    assert config.fd is not None
    try:
        sock = socket.socket(fileno=os.dup(config.fd))
    except OSError as error:
        raise BindError(f"--fd {config.fd} is not an open socket ({error.strerror}): pass one that is") from None
    sock.setblocking(False)
    return Bound(sock, _url(config, sock))


def _unix(config: uvicorn.Config, path: str) -> Bound:
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


def _host_and_port(config: uvicorn.Config, *, port_given: bool) -> Bound:
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
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if any(os.readlink(fd) in inodes for fd in (process / "fd").iterdir()):  # noqa: PTH115 - not a path
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                    return f"{command[:60] or 'a process'} (process {process.name})"
    return None


def _url(config: uvicorn.Config, sock: socket.socket) -> str:
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    if config.fd is None and config.host:
        host = config.host
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if config.is_ssl else 'http'}://{shown}:{port}"


class HmrServer(uvicorn.Server):
    """uvicorn's Server, which never restarts; only its end is ours, so that open streams can't hold it up.

    `end_streams` is called first, `close` after the ordinary requests have been waited for.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        end_streams: Callable[[], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._end_streams, self._close = end_streams, close

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams, let uvicorn wait for the requests in flight, then shut the app down."""
        await self._end_streams()
        await super().shutdown(sockets)
        if not self.force_exit:
            await self._close()
        _end_with_deaf_threads(self._captured_signals)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: a clean exit. A second Ctrl-C aborts, even where the loop no longer runs."""
        if self.should_exit and sig == signal.SIGINT:
            _end_with_deaf_threads([sig], abort=True)
        super().handle_exit(sig, frame)

    def stop_accepting(self) -> None:
        """Leave new connections in the kernel's queue, from where a new process on the same socket takes them."""
        for server in self.servers:
            server.close()


def _end_with_deaf_threads(signals: list[int], *, abort: bool = False) -> None:
    """End the process if threads that ignore its end keep it alive; exit code as uvicorn's.

    The main thread may have other things to do after the server, so it is waited for, unless the user aborts.
    """

    def bark() -> None:
        if threading.main_thread().is_alive() and not abort:
            return _end_with_deaf_threads(signals)
        code = 128 + signals[-1] if signals and signals[-1] != signal.SIGINT else 0
        print("Threads are still running: the process is ended without them.", file=sys.stderr, flush=True)
        os._exit(code)

    timer = threading.Timer(ABORT_S, bark)
    timer.daemon = True
    timer.start()


@dataclass(frozen=True, slots=True)
class Beginning:
    """How this process began, so that it can begin again: what the app did to either must not reach the next."""

    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path = field(default_factory=Path.cwd)


async def replace_process(server: HmrServer, sock: socket.socket, beginning: Beginning) -> None:
    """Re-execute this process on the same listening socket. Only returns by raising OSError."""
    descriptor = os.dup(sock.fileno())  # asyncio closes the original when it stops accepting
    os.set_inheritable(descriptor, True)
    server.stop_accepting()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    await asyncio.sleep(0)  # closed connections write their last bytes
    sys.stdout.flush()
    sys.stderr.flush()
    environment = {**beginning.environment, SOCKET_VARIABLE: str(descriptor)}
    os.chdir(beginning.folder)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - ourselves
