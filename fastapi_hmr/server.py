"""The one uvicorn Server of the process: it never restarts, and it ends within bounds."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from fastapi_hmr.listen import SOCKET_VARIABLE, Bound, bind
from fastapi_hmr.loop import hidden
from fastapi_hmr.watchdog import Watchdog

__all__ = ["Beginning", "Bound", "HmrServer", "bind", "replace_process", "websocket_protocol"]

logger = logging.getLogger("uvicorn.error")

EXIT_DRAIN_S = 2.0
"""How long an exit waits for requests in flight, unless `--timeout-graceful-shutdown` says otherwise."""
TICK_S = 0.01
FIRST_REQUEST_S = 0.5
"""How long a connection without any request so far may take to send one before a new process takes over."""
ABORT_S = 0.5
"""How long cancelled requests, and then connections that were cut, may take to be gone."""


def websocket_protocol(**options: Any) -> asyncio.Protocol:
    """What uvicorn's `--ws auto` stands for; only a WebSocket needs it, and loading it takes a thirtieth of a start."""
    from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

    assert AutoWebSocketsProtocol is not None
    return AutoWebSocketsProtocol(**options)


class HmrServer(uvicorn.Server):
    """uvicorn's Server, of which only the end is ours, so that nothing that is open can hold it up.

    `end_streams` is called first, `close` after the ordinary requests have been waited for. `on_signal` is called by
    the handler of each signal that asks for the end; it may raise what ends the code in the frame that it gets.
    `blocked` is called in a thread while the event loop does not notice such a signal, with for how many seconds.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        end_streams: Callable[[], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
        on_signal: Callable[[FrameType | None], None] = lambda _frame: None,
        blocked: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        super().__init__(config)
        self._end_streams, self._close, self._on_signal = end_streams, close, on_signal
        self._watchdog = Watchdog(blocked)
        self._process = os.getpid()
        self._captured: list[int] = []
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn, and the same for SIGHUP: a terminal that is closed is a clean exit too."""
        with super().capture_signals(), self._capture_hangup():
            numbers = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
            self._captured = [number for number in numbers if signal.getsignal(number) == self.handle_exit]
            try:
                yield
            finally:
                self._captured = []

    def recapture_signals(self) -> None:
        """Take back the signals for which the app has set a handler: it is called too, but can't keep them from us."""
        for number in self._captured:
            handler = signal.getsignal(number)
            if handler != self.handle_exit and handler is not None:
                signal.signal(number, self.handle_exit)
                if callable(handler):
                    self._handlers[number] = handler

    @contextlib.contextmanager
    def _capture_hangup(self) -> Iterator[None]:
        number = getattr(signal, "SIGHUP", None)
        try:
            before = signal.getsignal(number) if number is not None else None
            if before is signal.SIG_DFL and number is not None:  # with nohup it is ignored, and stays so
                signal.signal(number, self.handle_exit)
        except ValueError:  # not the main thread
            before = None
        try:
            yield
        finally:
            if before is signal.SIG_DFL and number is not None:
                signal.signal(number, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: a clean exit. A second Ctrl-C aborts; neither depends on the event loop.

        A child that was forked has inherited this handler, but is none of our server: it ends.
        """
        if os.getpid() != self._process:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
            return
        if sig in self._handlers:
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                self._handlers[sig](sig, frame)
        self._watchdog.on_signal(sig, again=self.should_exit and sig == signal.SIGINT)
        super().handle_exit(sig, frame)
        self._on_signal(frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams, wait for the requests in flight, then shut the app down; each within a bound."""
        self._watchdog.on_exit(self.config.timeout_graceful_shutdown or 0.0)
        try:
            await self._end_streams()
        except Exception:  # an exit goes on whatever happens
            logger.exception("Ending the open streams failed.")
        ending = hidden(super().shutdown(sockets))
        await self._until_forced(ending)
        forced = self.force_exit
        if not ending.done():
            await self._abort(ending)
        if not forced:
            await self._close()
        self._remove_socket_file()

    async def _until_forced(self, ending: asyncio.Task[None]) -> None:
        grace = self.config.timeout_graceful_shutdown
        until = asyncio.get_running_loop().time() + (EXIT_DRAIN_S if grace is None else grace + ABORT_S)
        while not ending.done() and not self.force_exit and asyncio.get_running_loop().time() < until:
            await asyncio.wait({ending}, timeout=0.05)

    async def _abort(self, ending: asyncio.Task[None]) -> None:
        """Cancel what is still in flight, then cut the connections of what is deaf to that."""
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.wait({ending}, timeout=ABORT_S)
        if ending.done():
            return
        self.force_exit = True
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.wait({ending}, timeout=ABORT_S)
        ending.cancel()

    def _remove_socket_file(self) -> None:
        if self.config.uds:
            Path(self.config.uds).unlink(missing_ok=True)

    @property
    def certificate_files(self) -> frozenset[Path]:
        """The files that `renew_certificate` reads: to be watched."""
        files = (self.config.ssl_certfile, self.config.ssl_keyfile)
        return frozenset(Path(file).resolve() for file in files if file)

    def renew_certificate(self) -> str | None:
        """Let new connections see the certificate that is on disk now; open ones go on.

        Returns why it can't be used, if so; then the old one stays. One file of two being written is such a case.
        """
        context = self.config.ssl
        if context is None or not self.config.ssl_certfile:
            return None
        files = (self.config.ssl_certfile, self.config.ssl_keyfile, self.config.ssl_keyfile_password)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*files)  # on failure it would be half changed
            context.load_cert_chain(*files)
        except OSError as error:  # an SSLError is one
            return f"can't use the certificate in {files[0]} ({error.strerror or error}): the one before stays in use"
        return None

    async def finish_connections(self) -> None:
        """Take no more connections, end those that there are, and shut the app down; listening goes on elsewhere."""
        connections = self.server_state.connections
        await self._stop_accepting()
        # Clients that have just connected are about to send something, and would be reset.
        await _while(lambda: any(_is_new(connection) for connection in connections), FIRST_REQUEST_S)
        for connection in list(connections):
            connection.shutdown()
        await self._end_streams()
        await self._close()
        await _while(lambda: bool(connections), ABORT_S)  # the last bytes are written

    async def _stop_accepting(self) -> None:
        """Leave connections in the kernel's queue.

        asyncio drops those that it has accepted but not yet connected when its server is closed, so that it is told
        first to accept no more; uvloop, which has no reader for it, does not.
        """
        loop = asyncio.get_running_loop()
        for sock in [sock for server in self.servers for sock in server.sockets]:
            with contextlib.suppress(RuntimeError, NotImplementedError):  # other loops may refuse to be asked
                loop.remove_reader(sock.fileno())
        await asyncio.sleep(TICK_S)
        for server in self.servers:
            server.close()


async def _while(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition no longer holds, within a bound. uvicorn tells nobody of its connections."""
    until = asyncio.get_running_loop().time() + seconds
    while condition() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - there is no event of it
        await asyncio.sleep(TICK_S)


def _is_new(connection: object) -> bool:
    """Whether a connection of HTTP has had no request yet; uvicorn makes a `cycle` of each."""
    return getattr(connection, "cycle", connection) is None


class Beginning:
    """How this process began, so that it can begin again: what the app did to either must not reach the next."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self.folder = Path.cwd()

    def come_back(self) -> None:
        """Where the folder was removed under us, go to the one that has its name now."""
        try:
            Path.cwd()
        except OSError:
            with contextlib.suppress(OSError):
                os.chdir(self.folder)


async def replace_process(
    server: HmrServer, sockets: Iterable[socket.socket], beginning: Beginning, **variables: str
) -> None:
    """Re-execute this process on the same listening sockets, with these variables. Only returns by raising OSError.

    Where the end of the server is asked for meanwhile, it waits to be cancelled: the next process would not know of it.

    From its begin new connections wait in the kernel's queue, for the new process; what was accepted before is
    still answered by the old code, within the bounds of an exit.
    """
    descriptors = [os.dup(sock.fileno()) for sock in sockets]  # asyncio closes the originals when it stops accepting
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    await server.finish_connections()
    if server.should_exit:
        await asyncio.Event().wait()
    sys.stdout.flush()
    sys.stderr.flush()
    environment = {**beginning.environment, SOCKET_VARIABLE: ",".join(map(str, descriptors)), **variables}
    try:
        os.chdir(beginning.folder)
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - ourselves
    except OSError:
        server.should_exit = True  # it has stopped to listen
        raise
