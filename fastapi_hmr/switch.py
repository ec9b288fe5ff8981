"""The ASGI app that uvicorn serves: a gate, and behind it the current generation."""

import asyncio
import contextlib
import contextvars
import logging
import secrets
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from inspect import markcoroutinefunction
from typing import TYPE_CHECKING, Any

from fastapi_hmr.exceptions import StartupFailed
from fastapi_hmr.exchange import ASGIApp, Exchange, MakeExchange, Receive, Scope, Send
from fastapi_hmr.generation import DRAIN_S, Generation, Start, Variables, imported
from fastapi_hmr.interface import adapt
from fastapi_hmr.interop import Threads, is_starlette, rebuild_middleware, reset_globals, signal_fastapi_reloader
from fastapi_hmr.lifespan import Lifespan, Patience, Starts, does_nothing
from fastapi_hmr.loop import hidden
from fastapi_hmr.tracebacks import ErrorReport

if TYPE_CHECKING:
    from fastapi_hmr.carry import Carry

GATE_S = 60.0
"""How long a request waits for a reload before it is answered with 503."""
LEFT_S = 0.1
"""How long what an app has left running may take to end before the next starts."""

type Rendered = tuple[int, list[tuple[bytes, bytes]], bytes]
type Render = Callable[[Scope, ErrorReport, int], Rendered]

logger = logging.getLogger("uvicorn.error")

_STARTING = ErrorReport("Starting", "the app has not started yet: this page comes back by itself when it has")
_ENDING = ErrorReport("Ending", "the server is shutting down, or about to start afresh: try again")


class Switch:
    """Serves one generation at a time; requests that arrive while it is being replaced wait for the next.

    `lifespan` and `interface` are uvicorn's options of that name; `render` makes the answer while nothing good runs.
    With `keep`, a running lifespan goes on for the next app where what `keep` made of it says that this is sound.
    """

    def __init__(
        self,
        *,
        lifespan: str = "auto",
        interface: str = "auto",
        render: Render,
        gate_timeout: float = GATE_S,
        drain_timeout: float = DRAIN_S,
        keep: "Callable[[Any], Carry] | None" = None,
        starts: Starts | None = None,
        patience: Patience = lambda _what, _task: contextlib.nullcontext(),
    ) -> None:
        self._mode, self._interface, self._render = lifespan, interface, render
        self._gate_timeout, self._drain_timeout = gate_timeout, drain_timeout
        self._keep, self._starts, self._patience = keep, starts, patience
        self._carries: weakref.WeakKeyDictionary[Lifespan, Carry] = weakref.WeakKeyDictionary()
        self.exchange: MakeExchange = Exchange  # makes each request's
        self.carried = False
        """Whether the last `replace` let the lifespan go on."""
        self.not_carried: str | None = None
        """Why it did not, where it was to."""
        self._boot = secrets.token_hex(4)
        self._number = 0
        self._current: Generation | None = None
        self._previous: Generation | None = None  # the last good one, while no other is
        self._stopped = False  # whether the lifespan of `_previous` has been shut down
        self._stopping: asyncio.Task[None] | None = None
        self._leaving: dict[asyncio.Task[None], Generation] = {}  # replaced, but something is still in flight
        self._starting: asyncio.Task[Generation] | None = None
        self._gate: asyncio.Future[None] | None = None
        self._at_gate = 0
        self._gate_left = asyncio.Event()
        self._report = _STARTING
        self._ending = False
        self._base = contextvars.copy_context()
        self._threads = Threads()
        self.generation = f"{self._boot}.0"

    @property
    def serving(self) -> bool:
        """Whether there is a good generation to answer requests."""
        return self._current is not None

    @property
    def starting(self) -> bool:
        """Whether an app is starting."""
        return self._starting is not None

    @property
    def stopped(self) -> bool:
        """Whether no generation runs, and the last good one has to be started again to serve."""
        return self._previous is not None and self._stopped

    def close_gate(self) -> None:
        """From now on requests wait."""
        if self._gate is None and not self._ending:
            self._gate = asyncio.get_running_loop().create_future()

    def open_gate(self) -> None:
        """Let the waiting requests go on."""
        gate, self._gate = self._gate, None
        if gate is not None and not gate.done():
            gate.set_result(None)

    async def replace(self, app: Any, *, reason: str, commit: Callable[[], None] = lambda: None) -> str:
        """Retire the current generation, start `app` as the next and serve it; returns its id.

        `commit` is called once that is certain, before the first request is let through.

        Raises StartupFailed; then, as after a cancellation, no generation runs and the gate stays closed until
        `restore()`, `fail()` or another `replace()`.
        """
        self.close_gate()
        signal_fastapi_reloader()
        if self._carry(app, reason):
            commit()
            self.open_gate()
            return self.generation
        if self._current is not None:
            self._step_down(self._current)
        await self._old_stopped()
        start = self._next(reason)
        _tell(app, start)
        idle = does_nothing(app, self._mode)
        new = await self._started(self._start(adapt(app, self._interface), app, idle, start, self._imported()))
        if new is None:  # an exit, which is no failure of this app
            raise asyncio.CancelledError
        old, self._previous = self._previous, None
        self._current, self.generation = new, start.generation
        if old is not None:
            self._let_go(old)
        commit()
        self.open_gate()
        return start.generation

    async def restore(self) -> None:
        """Let the last good generation serve again, its lifespan started anew where it had been shut down.

        Raises StartupFailed if that fails, or if nothing was ever good; the gate stays closed.
        """
        if self._current is None:
            await self._old_stopped()
            if self._previous is None:
                raise StartupFailed("no version of the app has started yet")
            old = self._previous
            again: Generation | None = old
            if self._stopped:
                carry = self._carries.get(old.lifespan)
                rebuild_middleware(old.app)
                again = await self._started(
                    self._start(old.app, carry and carry.app, old.lifespan.idle, old.start, old.variables, carry)
                )
                if again is None:
                    raise StartupFailed("the server is shutting down")
                self._let_go(old)
            self._current, self._previous = again, None
        self.open_gate()

    def _next(self, reason: str) -> Start:
        self._number += 1
        return Start(f"{self._boot}.{self._number}", self._number, self._number > 1, reason)

    def _carry(self, app: Any, reason: str) -> bool:
        """Let the running lifespan go on for `app`, if that is sound. Nothing is waited for, so nothing can fail."""
        self.carried, self.not_carried = False, None
        old = self._current
        carry = None if old is None else self._carries.get(old.lifespan)
        if old is None or carry is None or not old.lifespan.running:
            return False
        self.not_carried = carry.refusal(app) or (None if self._starts is None else self._starts.bound)
        if self.not_carried is not None:
            return False
        carry.hand_over(app)
        start = self._next(reason)
        _tell(app, start)
        self._threads.renew()
        reset_globals()
        self._current = Generation(adapt(app, self._interface), old.lifespan, start, self._imported(), self.exchange)
        self.generation, self.carried = start.generation, True
        self._let_go(old, carried=True)
        return True

    def renew(self) -> str:
        """The running generation serves new code without having been replaced: give it a new id."""
        carry = None if self._current is None else self._carries.get(self._current.lifespan)
        if carry is not None:
            carry.patched()
        self._number += 1
        self.generation = f"{self._boot}.{self._number}"
        signal_fastapi_reloader()
        reset_globals()  # FastAPI remembers on which line an endpoint was
        return self.generation

    def fail(self, report: ErrorReport) -> None:
        """There is nothing good to serve: answer every request with the report."""
        self._report = report
        self.open_gate()

    async def _started(self, starting: Coroutine[Any, Any, Generation]) -> Generation | None:
        """A generation that has started, or None where the exit interrupts that. A cancellation does it too."""
        if self._ending:
            starting.close()
            return None
        if self._starts is not None:
            self._starts.begin()
        up = False
        self._starting = task = hidden(starting)
        try:
            await asyncio.wait({task})
            up = not task.cancelled() and task.exception() is None
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})  # bounded: a lifespan that is deaf to it is left behind
            if not task.cancelled() and task.exception() is None:
                await task.result().lifespan.shutdown()
            raise
        finally:
            self._starting = None
            if self._starts is not None:
                self._starts.succeeded() if up else self._starts.failed()
        return None if task.cancelled() else task.result()

    def _step_down(self, current: Generation) -> None:
        self._current, self._previous = None, current
        self._stopped = not current.lifespan.idle
        self._stopping = hidden(self._stop(current))

    async def _stop(self, old: Generation) -> None:
        """End what is open, wait for what is under way, shut down.

        What still runs then may rely on nothing that the lifespan held, so it is given its time before. Where the
        lifespan holds nothing, there is no reason to keep the new generation waiting for it.
        """
        await old.retire()
        if not old.lifespan.idle:
            await old.drain(self._drain_timeout)
            await old.lifespan.shutdown()
            left = () if self._starts is None else self._starts.ended()
            if left:
                await asyncio.wait(left, timeout=LEFT_S)

    def _let_go(self, old: Generation, *, carried: bool = False) -> None:
        task = hidden(self._leave(old, carried=carried))
        self._leaving[task] = old
        task.add_done_callback(self._leaving.pop)

    async def _leave(self, old: Generation, *, carried: bool) -> None:
        """The old generation's last requests. Until they are over, an exit must know of them."""
        if carried:
            await old.retire()
            await old.drain(self._drain_timeout)
        elif old.lifespan.idle:
            await old.drain(self._drain_timeout)
            await old.lifespan.shutdown()
        await old.emptied()

    async def _old_stopped(self) -> None:
        """Wait until the old generation is down. It goes down to the end even where we are cancelled."""
        if self._stopping is not None:
            await asyncio.shield(self._stopping)
            self._stopping = None

    def _imported(self) -> Variables:
        old = self._current or self._previous
        return imported(self._base, old.variables if old is not None else ())

    async def _start(
        self,
        app: ASGIApp,
        target: Any,
        idle: bool,
        start: Start,
        variables: Variables,
        earlier: "Carry | None" = None,
    ) -> Generation:
        context = self._base.copy()
        for variable, value in variables:
            context.run(variable.set, value)
        self._threads.renew()
        carry = None if self._keep is None else self._keep(target)
        if carry is not None and earlier is not None:
            carry.repeats(earlier)
        watched = app if carry is None else carry.watch(app)
        lifespan = Lifespan(
            watched,
            self._mode,
            context,
            idle=idle,
            must_answer=lambda: self._must_answer(target),
            patience=self._patience,
        )
        await lifespan.startup()
        reset_globals()
        if carry is not None:
            self._carries[lifespan] = carry
        return Generation(app, lifespan, start, variables, self.exchange)

    def _must_answer(self, app: Any) -> bool:
        """Whether an app has a lifespan for sure: the version before had; or it could not even build its middleware."""
        old = self._previous
        return (old is not None and old.lifespan.answered) or (is_starlette(app) and app.middleware_stack is None)

    @markcoroutinefunction
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer by the current generation, after the gate."""
        exchange = scope.pop("fastapi_hmr", None)
        current = self._current
        if self._gate is not None or current is None:
            return self._answer_later(exchange, scope, receive, send)
        if exchange is not None:
            exchange["generation"] = self.generation
        return current(scope, receive, send)

    async def _answer_later(self, exchange: dict[str, Any] | None, scope: Scope, receive: Receive, send: Send) -> None:
        if self._gate is not None and not await self._through_gate():
            late = f"the app has not come up within {self._gate_timeout:g} s: see what it waits for in its startup"
            return await self._unavailable(ErrorReport("StillReloading", late), scope, send)
        current = self._current
        if current is None:
            return await self._unavailable(self._report, scope, send)
        if exchange is not None:
            exchange["generation"] = self.generation
        return await current(scope, receive, send)

    async def _through_gate(self) -> bool:
        """Whether the gate opened in time. A gate that closes again meanwhile is waited for too."""
        self._at_gate += 1
        self._gate_left.clear()
        try:
            async with asyncio.timeout(self._gate_timeout):
                while self._gate is not None:
                    await asyncio.shield(self._gate)
        except TimeoutError:
            return False
        finally:
            self._at_gate -= 1
            if not self._at_gate:
                self._gate_left.set()
        return True

    async def _unavailable(self, report: ErrorReport, scope: Scope, send: Send) -> None:
        prefix = ""
        if scope["type"] == "websocket":
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1013, "reason": "no version of the app is running"})
                return
            prefix = "websocket."
        status, headers, body = self._render(scope, report, 503)
        await send({"type": f"{prefix}http.response.start", "status": status, "headers": headers})
        await send({"type": f"{prefix}http.response.body", "body": body})

    async def end_streams(self) -> None:
        """First step of an exit: streams and sockets end, a startup under way is given up, nobody waits at the gate."""
        self._ending, self._report = True, _ENDING
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})  # bounded, as above
        self.open_gate()
        if self._at_gate:  # who waited is answered by what still runs
            await self._gate_left.wait()
        for generation in self._all():
            generation.ending = True
            await generation.retire()

    def abort(self) -> None:
        """End whatever is still in flight."""
        for generation in self._all():
            generation.abort()

    def _all(self) -> list[Generation]:
        return [x for x in (self._current, self._previous, *self._leaving.values()) if x is not None]

    async def close(self) -> None:
        """Last step of an exit: the rest is waited for within bounds and then ended, the lifespan shut down."""
        if not self._ending:
            await self.end_streams()
        await self._old_stopped()
        if any(generation.busy for generation in self._all()):
            await asyncio.gather(*(generation.drain(self._drain_timeout) for generation in self._all()))
            self.abort()
        current, self._current = self._current, None
        if current is None and not self._stopped:
            current = self._previous
        if current is not None and current.lifespan.running:
            logger.info("Waiting for application shutdown.")
            await current.lifespan.shutdown()
            logger.info("Application shutdown complete.")


def _tell(app: Any, start: Start) -> None:
    """Let the app find out about its start, where it has a place for such things."""
    state = getattr(app, "state", None)
    if state is not None:
        with contextlib.suppress(Exception):  # an object of the user's: it may refuse attributes
            state.hmr = start
