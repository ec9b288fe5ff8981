"""One generation: an app, its lifespan and its requests in flight, and how those end when it is replaced."""

import asyncio
import contextvars
import sys
from collections.abc import Iterable
from typing import NamedTuple

from fastapi_hmr.exchange import ASGIApp, Exchange, Kind, MakeExchange, Receive, Scope, Send
from fastapi_hmr.lifespan import Lifespan

DRAIN_S = 2.0
"""How long ordinary requests are waited for before they are left to finish on the old generation."""
STREAM_GRACE_S = 0.5
"""How long the handler of an event stream or WebSocket has to end by itself before it is cancelled."""
STREAM_WAIT_S = 0.1
"""How long a reload waits for those handlers; the client's side has ended already."""
GOODBYE_S = 0.4
"""How long the end of a stream may wait for a client that does not read: less than its handler is given."""
CLOSE_S = 5.0
"""How long a WebSocket's closing handshake may take."""


class Start(NamedTuple):
    """What an app finds in `app.state.hmr`: which start this is, and why it came."""

    generation: str
    number: int
    reloaded: bool
    reason: str


IN_REQUEST: contextvars.ContextVar[bool] = contextvars.ContextVar("fastapi_hmr.in_request", default=False)
"""Whether the running code serves a request, and is not left from the app's start: patching must know."""

type Variables = tuple[tuple[contextvars.ContextVar[object], object], ...]


def imported(base: contextvars.Context, earlier: Variables) -> Variables:
    """The ContextVars that the app's modules have set here: under uvicorn its lifespan and requests see them.

    `earlier` are those of the generation before: of modules that did not run again.
    """
    none = object()
    context = contextvars.copy_context()
    now = {name: value for name, value in context.items() if base.get(name, none) is not value}
    names = {variable.name for variable in now}
    before = [
        (variable, value)
        for variable, value in earlier
        if variable not in now and (variable.name not in names or _is_global(variable))
    ]
    return (*before, *now.items())


def _is_global(variable: contextvars.ContextVar[object]) -> bool:
    """Whether a module has this variable; if not, one of the same name has taken its place where that was set."""
    return any(value is variable for module in list(sys.modules.values()) for value in _globals(module))


def _globals(module: object) -> list[object]:
    return list(getattr(module, "__dict__", {}).values())


class Generation:
    """An app being served: calls it, knows what is in flight, and can be retired."""

    def __init__(
        self,
        app: ASGIApp,
        lifespan: Lifespan,
        start: Start,
        variables: Variables,
        exchange: MakeExchange = Exchange,
    ) -> None:
        """`variables`: what the app's modules set while being imported; requests see it, as under uvicorn."""
        self.app, self.lifespan, self.start, self.variables = app, lifespan, start, variables
        self._exchange = exchange
        self.ending = False  # the server is: a request that is cancelled then is nobody's error
        self._exchanges: set[Exchange] = set()
        self._goodbyes: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or WebSocket."""
        exchange = self._exchange(scope, receive, send)
        scope["state"] = self.lifespan.state.copy()
        if not IN_REQUEST.get():  # uvicorn was told to give each request an empty context
            IN_REQUEST.set(True)
        for variable, value in self.variables:
            variable.set(value)
        self._exchanges.add(exchange)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if not (exchange.cut or self.ending):
                raise
            await exchange.end()
        except BaseException as error:
            if not exchange.cut:
                exchange.failed(error)
                raise
        finally:
            exchange.finish()
            self._exchanges.discard(exchange)

    @property
    def busy(self) -> bool:
        """Whether anything is in flight."""
        return bool(self._exchanges)

    async def retire(self) -> None:
        """End streams and sockets. Waits a moment for their handlers, not for clients that don't read."""
        for exchange in self._exchanges:
            exchange.retired = True
        streams = [exchange for exchange in self._exchanges if exchange.endless]
        if not streams:
            return
        self._end(streams)
        asyncio.get_running_loop().call_later(STREAM_GRACE_S, _cancel, streams)
        await asyncio.wait([exchange.ended() for exchange in streams], timeout=STREAM_WAIT_S)

    async def drain(self, seconds: float = DRAIN_S) -> None:
        """Wait a bounded time for the rest. Then bodies of unknown length are cut; others finish by themselves."""
        rest = [exchange.ended() for exchange in self._exchanges if not exchange.cut]
        if rest:
            await asyncio.wait(rest, timeout=seconds)
        growing = [exchange for exchange in self._exchanges if exchange.kind is Kind.OPEN_ENDED]
        if growing:
            self._end(growing)
            _cancel(growing)
            await asyncio.wait([exchange.ended() for exchange in growing], timeout=STREAM_WAIT_S)

    def _end(self, exchanges: Iterable[Exchange]) -> None:
        """Say the last words to each client. A task each: one that does not read must not hold up the others."""
        loop = asyncio.get_running_loop()
        for exchange in exchanges:
            task = asyncio.Task(exchange.end(), loop=loop, eager_start=True)
            if not task.done():
                self._goodbyes.add(task)
                task.add_done_callback(self._goodbyes.discard)
                loop.call_later(CLOSE_S if exchange.kind is Kind.SOCKET else GOODBYE_S, _give_up, task, exchange)

    def abort(self) -> None:
        """End whatever is still in flight: the process is about to."""
        self._end(list(self._exchanges))
        _cancel(self._exchanges)

    async def emptied(self) -> None:
        """Wait, without a bound, until nothing is in flight."""
        while self._exchanges:
            await asyncio.wait([exchange.ended() for exchange in self._exchanges])


def _cancel(exchanges: Iterable[Exchange]) -> None:
    for exchange in exchanges:
        exchange.cancel()


def _give_up(goodbye: asyncio.Task[None], exchange: Exchange) -> None:
    if not goodbye.done():
        exchange.hang_up()
        goodbye.cancel()
