"""Builds the parts, connects them and runs them: `run(config)` for the command, `dev(app)` for `__main__`."""

import asyncio
import contextlib
import contextvars
import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from fastapi_hmr import access, audit, coldstart, collector
from fastapi_hmr.blocked import Blocked
from fastapi_hmr.config import Config, config_from_kwargs
from fastapi_hmr.discover import likely, main_source
from fastapi_hmr.engine import Engine, Mechanisms
from fastapi_hmr.events import AssetsChanged, Event
from fastapi_hmr.exceptions import HmrError, NotMain
from fastapi_hmr.generation import IN_REQUEST
from fastapi_hmr.hot import host
from fastapi_hmr.ignore import Ignore, compile_globs
from fastapi_hmr.later import load_later
from fastapi_hmr.leaks import Leaks
from fastapi_hmr.lifespan import SHUTDOWN_S
from fastapi_hmr.loop import hidden, run_loop
from fastapi_hmr.poll import needs_polling
from fastapi_hmr.reload import Hooks, Reloader
from fastapi_hmr.resolve import resolve
from fastapi_hmr.server import EXIT_DRAIN_S, Beginning, Bound, HmrServer, bind, replace_process, websocket_protocol
from fastapi_hmr.settings import Settings
from fastapi_hmr.switch import Rendered, Switch
from fastapi_hmr.terminal import Terminal
from fastapi_hmr.tracebacks import ErrorReport, here, near, report
from fastapi_hmr.waiting import Waiting
from fastapi_hmr.watcher import Watcher
from fastapi_hmr.written import Written

if TYPE_CHECKING:
    from fastapi_hmr.browser import BrowserMiddleware
    from fastapi_hmr.carry import Carry

STARTUP_FAILURE = 3
"""uvicorn's exit code for an app that can't be started."""

ONLY_STARTS_VARIABLE = "FASTAPI_HMR_ONLY_STARTS"
"""Tells a re-executed process what keeps the app from being updated: it need not find out anew at each save."""

MANY_FILES = "so many files here that only the nearest and the app's own are watched: choose with --reload-dir"
"""Said where the app is started in somebody's home directory, or among a million pictures."""

GRACE_S = 0.5
"""How long what is being ended may take to end."""

LEAKS_AFTER_S = 3.0
"""How long after a reload it is looked for what the old generation left behind."""

_running = False


def run(config: Config, *, again: Callable[[], Config] | None = None) -> None:
    """Serve `config.source` and reload it until told to stop; `again` makes the Config of what is on disk by then.

    Raises HmrError for bad input; exits as uvicorn does otherwise.
    """
    DevServer(config, again=again).run()


def dev(app: Any, caller: dict[str, Any], *, reload: bool, **options: Any) -> None:
    """What `fastapi_hmr.dev()` does for a caller with these globals."""
    if _running:
        return
    if caller.get("__name__") != "__main__":
        raise NotMain(
            f"fastapi_hmr.dev() was called by {caller.get('__name__')!r}, not by the script being run: "
            'put the call under `if __name__ == "__main__":`, or use the `fastapi-hmr` command'
        )
    try:
        config = config_from_kwargs(main_source(app, caller, app_dir=options.get("app_dir")), reload=reload, **options)
        DevServer(config, preloaded=True).run()
    except HmrError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(STARTUP_FAILURE)


class DevServer:
    """One run of the dev server: its parts, and how they are wired."""

    def __init__(self, config: Config, *, preloaded: bool = False, again: Callable[[], Config] | None = None) -> None:
        """`preloaded`: the script has imported first-party modules before us, as plain modules."""
        self.config = config
        self.beginning = Beginning()  # before uvicorn reads an env file
        self.terminal = Terminal(sys.stderr, color=_use_color(config))
        self.settings = None if again is None else Settings(config, again, self.terminal.notice)
        self.engine = _engine(config, self._before_attempt)
        self.preloaded = preloaded
        self.owns = self.engine.owns
        self.leaks = Leaks(self.owns, IN_REQUEST)
        self.engine.starts.tasks, self.engine.starts.on_cancel = self.leaks.of_starts, self.leaks.cancelled
        self.written = Written()
        self.bind_host = config.uvicorn.get("host") or "127.0.0.1"
        self.engine.only_starts.update(filter(None, os.environ.pop(ONLY_STARTS_VARIABLE, "").split("\n")))
        self.engine.watchdog.on_late = lambda file, line: self.terminal.notice(f"still importing {_place(file, line)}")
        self.blocked = Blocked(self.owns, self._blocks)
        keep = self._carry if config.keep_lifespan else None
        self.switch = Switch(
            lifespan=config.lifespan,
            interface=config.interface,
            render=self._render,
            keep=keep,
            starts=self.engine.starts,
            patience=Waiting(self._waits, self.owns, later=self._waits_still),
        )
        self.browser: BrowserMiddleware | None = None  # only with --reload: it costs a slower start
        self.server = HmrServer(
            self._uvicorn_config(),
            end_streams=self._end_streams,
            close=self._close,
            on_signal=self.engine.watchdog.end,
            blocked=self._end_blocked,
        )

    def run(self) -> None:
        """Bind, serve, reload; returns when the server has ended."""
        global _running  # noqa: PLW0603 - one server per process, and `dev()` must know
        bound = bind(self.server.config, port_given=self.config.port_given)
        _running = True
        search_path = str(self.config.source.search_path)
        if search_path not in sys.path:
            sys.path.insert(0, search_path)
        if self.preloaded:
            self.engine.evict_preloaded()
        else:
            audit.put_off()  # until there is code that could do anything
        host.open(record=self._record, report=self._callback_failed, limit=self._limit)
        self.leaks.open()
        self.written.open()
        with contextlib.suppress(KeyboardInterrupt):
            run_loop(self._serve(bound), factory=self.server.config.get_loop_factory())

    def _uvicorn_config(self) -> uvicorn.Config:
        app: Any = self.switch
        if self.config.refresh:
            from fastapi_hmr.browser import BrowserMiddleware

            app = self.browser = BrowserMiddleware(
                app,
                generation=lambda: self.switch.generation,
                bind_host=self.bind_host,
                allowed_hosts=self.config.allowed_hosts,
                roots=self.config.roots,
                notice=self.terminal.notice,
                audit=audit,
            )
            self.switch.exchange = self.browser.exchange
        options = dict(self.config.uvicorn)
        if self.config.interface == "wsgi":
            options["ws"] = "none"  # as uvicorn does: a WSGI app has no WebSockets
        elif options.get("ws") in {None, "auto"} and any(map(find_spec, ("websockets", "wsproto"))):
            options["ws"] = websocket_protocol
        config = uvicorn.Config(app, lifespan="off", interface="asgi3", **options)
        access.quicken(logging.getLogger("uvicorn.access"), hide_ours=self.config.refresh)  # as that has set it up
        return config

    async def _serve(self, bound: Bound) -> None:
        polling = needs_polling(self.config.watched)
        watcher = Watcher(
            self.config.watched,
            ignore=Ignore((*self.config.roots, *self.config.watched), self.config.excludes, self.config.includes),
            files=(*self._restart_files(), *self.server.certificate_files),
            polling=polling is not None,
            notice=self.terminal.notice,
        )
        self.terminal.started(
            url=bound.url,
            source=likely(self.config.source),
            roots=self.config.watched,
            refresh=self.config.refresh,
            notes=(
                *bound.notes,
                *((f"polling for changes: {polling}",) if polling else ()),
                *((MANY_FILES,) if watcher.partial else ()),
            ),
        )
        hooks = Hooks(
            show=self._show,
            notice=self.terminal.notice,
            describe=self._describe,
            restart=partial(self._restart, bound),
            loaded=self._loaded,
            settled=self._look_for_leaks,
            deaf=self.blocked.waited_for,
            ran=self.server.recapture_signals,
        )
        reloader = Reloader(
            self.engine,
            self.switch,
            watcher,
            hooks,
            restart_files=self._restart_files(),
            included=compile_globs(self.config.includes, self.config.watched),
            own=self.written,
            renewed=dict.fromkeys(self.server.certificate_files, self.server.renew_certificate),
        )
        with self.blocked:
            serving = hidden(self.server.serve(sockets=list(bound.sockets)), _of_requests())
            reloading = hidden(reloader.run())
            try:
                await asyncio.wait({serving, reloading}, return_when=asyncio.FIRST_COMPLETED)
                if reloading.done() and not serving.done():
                    self.server.should_exit = True
                    await serving
                    reloading.result()  # raises what ended it: never silently without reloads
                await serving
            finally:
                reloading.cancel()
                await asyncio.wait({reloading}, timeout=GRACE_S)  # it may have a child process to end
                watcher.close()

    def _restart_files(self) -> dict[Path, Callable[[], str | None]]:
        """Files that are read once per process, and why a change of each needs a new one."""
        files: dict[Path, Callable[[], str | None]] = {}
        if self.settings is not None:
            files[self.settings.file] = self.settings.why_restart
        if self.config.uvicorn.get("env_file"):
            path = Path(self.config.uvicorn["env_file"]).resolve()
            files[path] = lambda: f"{path.name} changed, and it is read once per process"
        return files

    def _show(self, event: Event) -> None:
        told = self.browser is not None and self.browser.publish(event)
        if told or not isinstance(event, AssetsChanged):
            self.terminal.show(event)

    def _describe(self, error: BaseException) -> ErrorReport:
        if isinstance(error, ModuleNotFoundError) and error.name == "fastapi_reloader":
            error.add_note(
                "fastapi-reloader is an extra: pip install 'fastapi-hmr[all]' (or drop it: --reload is enough)"
            )
        return report(error, roots=self.config.roots)

    async def _end_streams(self) -> None:
        """First step of an exit: nothing open may hold it up, neither theirs nor ours."""
        if self.browser is not None:
            await self.browser.close()
        await self.switch.end_streams()

    async def _close(self) -> None:
        """Last step of an exit: the app's lifespan, then what it kept over reloads."""
        await self.switch.close()
        await host.close()
        self.leaks.close()
        self.written.close()

    def _carry(self, app: Any) -> "Carry":
        from fastapi_hmr.carry import Carry  # only with --keep-lifespan

        return Carry(app, self.owns, self.engine.pin)

    def _record(self, factory: object, name: str) -> Any:
        from fastapi_hmr.touched import Touched  # only where something is kept

        return Touched(self.owns, pin=self.engine.pin).about(factory, name)

    def _waits(self, what: str, line: tuple[str, int] | None) -> None:
        where = "" if line is None else f" ({_place(*line)})"
        self.terminal.notice(f"waiting for the lifespan's {what}{where}")

    def _waits_still(self, what: str, seconds: float) -> None:
        """A shutdown is cancelled when its time is over, which does not end one that blocks the loop."""
        if what == "shutdown" and seconds > SHUTDOWN_S + GRACE_S:
            self.blocked.end()

    def _blocks(self, file: str, line: int) -> None:
        self.terminal.notice(f"waiting for {_place(file, line)}, which blocks the event loop: nothing is served")

    def _end_blocked(self, seconds: float) -> None:
        """An exit waits for the loop: for a request as long as for any, for a startup that nobody wants not at all."""
        if self.switch.starting or seconds > EXIT_DRAIN_S:
            self.blocked.end(anyway=True)

    def _limit(self, seconds: float) -> Callable[[], None]:
        timer = threading.Timer(seconds + GRACE_S, self.blocked.end)
        timer.daemon = True
        timer.start()
        return timer.cancel

    def _callback_failed(self, text: str, error: BaseException) -> None:
        self.terminal.notice(f"{text}: {error!r}")

    def _before_attempt(self) -> None:
        self.beginning.come_back()
        host.begin()

    def _loaded(self) -> None:
        collector.take_up()
        audit.take_up()
        load_later()

    def _look_for_leaks(self) -> None:
        """Some time after a reload: what the old generation was to end may take a moment to do so."""
        generation = self.switch.generation
        asyncio.get_running_loop().call_later(LEAKS_AFTER_S, self._report_leaks, generation)

    def _report_leaks(self, generation: str) -> None:
        if self.switch.generation == generation and self.switch.serving:
            for line in self.leaks.left_behind():
                self.terminal.notice(line)

    def _render(self, scope: dict[str, Any], report: ErrorReport, status: int) -> Rendered:
        # Only needed when there is an error to show.
        from fastapi_hmr.browser.guard import Hosts
        from fastapi_hmr.browser.pages import error_response

        hosts = Hosts(self.bind_host, self.config.allowed_hosts)
        return error_response(scope, report, status, hosts=hosts)

    async def _restart(self, bound: Bound, reason: str) -> None:
        if _debugger():
            return  # a new process would leave the debugger behind
        self.terminal.notice(f"restart  {reason}")
        known = {ONLY_STARTS_VARIABLE: "\n".join(sorted(self.engine.only_starts))}
        await replace_process(self.server, bound.sockets, self.beginning, **known)


def _engine(config: Config, before_attempt: Callable[[], None]) -> Engine:
    target: Callable[[Any], object] = partial(resolve, config.source)
    return Engine(
        roots=config.roots,
        module=config.source.module,
        resolve=target,
        cold=coldstart.command(config.source),
        in_request=IN_REQUEST.get,
        before_attempt=before_attempt,
        mechanisms=Mechanisms(patch=not config.strict, keep=not config.strict),
    )


def _of_requests() -> contextvars.Context:
    """What uvicorn serves in, and so each request: to say there what it is costs nothing for each."""
    context = contextvars.copy_context()
    context.run(IN_REQUEST.set, True)
    return context


def _place(file: str | Path, line: int) -> str:
    return f"{near(file, here())}:{line}"


def _debugger() -> bool:
    return (
        sys.gettrace() is not None
        or "pydevd" in sys.modules
        or sys.monitoring.get_tool(sys.monitoring.DEBUGGER_ID) is not None
    )


def _use_color(config: Config) -> bool:
    chosen = config.uvicorn.get("use_colors")
    if chosen is not None:
        return bool(chosen)
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ
