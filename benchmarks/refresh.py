"""Measures in Chromium how long a save takes to reach an open page of the example app, here and under uvicorn-hmr.

    python -m benchmarks.refresh --saves 200 --peer /path/to/bin/uvicorn-hmr

The peer's environment needs `uvicorn-hmr`, `fastapi-reloader`, `uvicorn[standard]` and the example app's dependencies.
Each save puts another number into what the page shows, and each page reports itself: none may be lost, none doubled.
"""

import argparse
import contextlib
import math
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Error, Frame, Page, Response, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
DEADLINE_S = 60
LOOK_MS = 20
"""Between two looks at what the page has reported, with its own clock: looking takes a core from what is measured."""
STREAMS = "/__fastapi_hmr__/events", "/---fastapi-reloader---"
"""What a page asks for to hear of saves, here and there."""
STYLE, RULE = "static/site.css", "h1 {{ border-left: {}px solid }}"
EDITS = {"handler": "routers/pages.py", "module": "routers/pages.py", "template": "templates/day.html"}
LIVE = """<script src="{{ url_for('static', path='live.js').path }}" type="module"></script>"""
GREETINGS = ("Up late", "Good morning", "Good afternoon", "Good evening")

REPORT = """
const report = (when) => window.reportPage?.(when, document.querySelector("h1")?.textContent ?? "", performance.timeOrigin + performance.now());
addEventListener("DOMContentLoaded", () => report("ready"));
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") report("painted");
}).observe({ type: "paint", buffered: true });
"""
"""In every page: says when it holds its text, and when that is on the screen."""
RELOAD = "() => { setTimeout(() => location.reload()); return performance.timeOrigin + performance.now(); }"
PAINTED = """
([width, deadline]) => new Promise((done, fail) => {
  const look = () => {
    if (performance.now() > deadline) fail(new Error(`no border of ${width}`));
    else if (getComputedStyle(document.querySelector("h1")).borderLeftWidth !== width) requestAnimationFrame(look);
    else setTimeout(() => done(performance.timeOrigin + performance.now())); // after the frame that shows it
  };
  look();
})
"""


class Failed(Exception):
    """What is to be measured does not happen; the text says what."""


class Took(NamedTuple):
    """Milliseconds from the save until a page holds the new text, and until it is painted; inf if never."""

    read: float
    painted: float


@dataclass
class Case:
    """One server with one open page, edited again and again."""

    name: str
    page: Page
    folder: Path
    reports: list[tuple[str, str, float]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EDITS, 0))
    listening: bool = False

    def open(self, url: str) -> None:
        """Show the page, and listen to what it reports."""
        self.page.expose_function("reportPage", self.hear)
        self.page.add_init_script(REPORT)
        self.page.on("framenavigated", self._on_navigated)
        self.page.on("response", self._on_response)
        self.page.goto(url)
        self.wait(0)

    def _on_navigated(self, frame: Frame) -> None:
        self.listening = self.listening and frame != self.page.main_frame

    def _on_response(self, response: Response) -> None:
        self.listening = self.listening or (urlsplit(response.url).path in STREAMS and response.ok)

    @property
    def heading(self) -> str:
        """What the page has to show by now."""
        return "template{template} handler{handler} module{module}".format(**self.numbers)

    @property
    def pages(self) -> list[str]:
        """What each page that was loaded showed, in order."""
        return [text for when, text, _ in self.reports if when == "ready"]

    def hear(self, when: str, text: str, at_ms: float) -> None:
        """A page says what it shows."""
        self.reports.append((when, text, at_ms))

    def save(self, name: str, *changes: tuple[str, str]) -> float:
        """Replace texts in a file, as an editor does: at once. Returns when, in ms of the epoch."""
        path = self.folder / name
        text = path.read_text()
        for old, new in changes:
            if old not in text:
                sys.exit(f"{old!r} is not in {name}: the example app has changed, change this script too")
            text = text.replace(old, new)
        staged = self.folder.parent / f".staged-{os.getpid()}"
        staged.write_text(text)
        saved = time.time() * 1000
        staged.replace(path)
        return saved

    def refresh(self, kind: str) -> Took:
        """One save of what the heading says, by a person who has seen the page."""
        self._until(lambda: self.listening, "listens for saves")
        number = self.numbers[kind]
        self.numbers[kind] += 1
        saved = self.save(EDITS[kind], (f"{kind}{number}", f"{kind}{number + 1}"))
        return self.wait(saved)

    def wait(self, began: float) -> Took:
        """Wait until a page that shows the heading is painted; `began` in ms of the epoch."""
        with contextlib.suppress(Failed):
            self._until(lambda: len(self._times) == 2, f"shows {self.heading!r}")
            return Took(self._times["ready"] - began, self._times["painted"] - began)
        return Took(math.inf, math.inf)

    @property
    def _times(self) -> dict[str, float]:
        """When a page that shows the heading was ready and painted: in any order, for its deferred scripts may be late."""
        return {when: at_ms for when, text, at_ms in self.reports if text == self.heading}

    def _until(self, probe: Callable[[], object], what: str) -> None:
        until = time.monotonic() + DEADLINE_S
        while not probe():
            if time.monotonic() > until:
                raise Failed(f"{self.name}: no page that {what} within {DEADLINE_S} s")
            self.page.wait_for_timeout(LOOK_MS)

    def by_hand(self) -> Took:
        """A reload without a save: what of all this is the page's own time."""
        self._until(lambda: self.listening, "listens for saves")
        first, self.reports = self.reports[:1], []
        began = float(self.page.evaluate(RELOAD))
        took = self.wait(began)
        self.reports = first
        return took

    def restyle(self, number: int) -> Took:
        """One save of a stylesheet; the open page takes it in."""
        loaded = len(self.pages)
        script = f"(width) => ({{ painted: ({PAINTED})([width, performance.now() + {DEADLINE_S * 1000}]) }})"
        waiting = self.page.evaluate_handle(script, f"{number + 1}px")
        saved = self.save(STYLE, (RULE.format(number), RULE.format(number + 1)))
        painted = float(self.page.evaluate("(waiting) => waiting.painted", waiting))
        if len(self.pages) > loaded:
            sys.exit(f"{self.name}: the page navigated for a stylesheet")
        return Took(painted - saved, painted - saved)


@contextlib.contextmanager
def serving(name: str, argv: list[str], browser: Browser, *, live: bool = True) -> Iterator[Case]:
    """A copy of the example app under this server, and a page that has it open.

    Not `live`: without the app's own event stream and WebSocket, for whose end uvicorn-hmr waits before it reloads.
    """
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "daybook"
        shutil.copytree(ROOT / "example_app", app, ignore=shutil.ignore_patterns("__pycache__"))
        port = free_port()
        case = Case(name, browser.new_page(), app)
        marked = [(f'"{text}"', 'f"handler0 {HEADING}"') for text in GREETINGS]
        case.save("routers/pages.py", *marked, ("router = ", 'HEADING = "module0"\nrouter = '))
        case.save("templates/day.html", ("{{ greeting }}.", "template0 {{ greeting }}"))
        case.save(STYLE, (":root", f"{RULE.format(0)}\n:root"))
        if not live:
            case.save("templates/base.html", (LIVE, ""))
        env = os.environ | {"DAYBOOK_DATABASE": f"{folder}/daybook.db", "DAYBOOK_STARTUP_SECONDS": "0"}
        server = started(name, [*argv, "--port", str(port)], port, app, env)
        try:
            case.open(f"http://localhost:{port}/")
            yield case
        finally:
            case.page.close()
            server.kill()
            server.wait()


def started(name: str, argv: list[str], port: int, app: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """The server once it listens; started again once where it does not."""
    for attempt in (1, 2):
        path = app.parent / f"{attempt}.log"
        with path.open("wb") as log:
            server = subprocess.Popen(argv, cwd=app, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(port, server)
        except Failed as failure:
            server.kill()
            server.wait()
            output = path.read_text(errors="replace").strip()[-4000:] or "nothing"
            print(f"{name}: {failure}; `{shlex.join(argv)}` printed:\n{output}", file=sys.stderr, flush=True)
        else:
            return server
    raise Failed(f"{name} did not start in two attempts: see above")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server accepts connections."""
    until = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if server.poll() is not None:
            raise Failed(f"ended with status {server.returncode}")
        if time.monotonic() > until:
            raise Failed(f"nothing listens on port {port} after {DEADLINE_S} s")
        time.sleep(0.02)


def measure(cases: list[Case], kind: str, saves: int) -> dict[str, list[Took]]:
    """So many saves of each, ten of one and ten of the other in turn."""
    found: dict[str, list[Took]] = {case.name: [] for case in cases}
    for start in range(0, saves, 10):
        for case in cases:
            case.page.bring_to_front()
            found[case.name] += [case.refresh(kind) for _ in range(min(10, saves - start))]
    return found


def show(kind: str, found: dict[str, list[Took]]) -> None:
    """Print one row for each server: medians, and the slowest."""
    for name, took in found.items():
        read, painted = (statistics.median(each) for each in zip(*took, strict=True))
        slowest = max(each.painted for each in took)
        print(f"| {kind} | {name} | {len(took)} | {read:.0f} | {painted:.0f} | {slowest:.0f} |", flush=True)


def check(case: Case) -> bool:
    """Whether each save was one page; prints what was lost or doubled."""
    case.page.wait_for_timeout(1500)  # a second refresh for the last save would come now
    pages, saves = case.pages[1:], sum(case.numbers.values())
    lost, doubled = saves - len(set(pages)), len(pages) - len(set(pages))
    print(f"{case.name}: {saves} saves, {len(pages)} refreshes, {lost} lost, {doubled} doubled")
    return not (lost or doubled)


def main() -> None:
    """Measure, and end with one line where that fails."""
    try:
        sound = run()
    except (Failed, Error) as failure:
        sys.exit(str(failure))
    sys.exit(0 if sound else 1)


def run() -> bool:
    """Print the table; whether no refresh of ours was lost or doubled."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--saves", type=int, default=30, help="saves of each kind (default: 30)")
    parser.add_argument("--peer", help="path of a uvicorn-hmr to compare with")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with contextlib.ExitStack() as stack:
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=chromium, args=FLAGS)
        command = [sys.executable, "-m", "fastapi_hmr", "main:app", "--reload"]
        print("| save of a | server | saves | in the page, ms | painted, ms | slowest, ms |\n|---|---|---|---|---|---|")
        with serving("fastapi-hmr", command, browser) as ours:
            show("(reload by hand)", {ours.name: [ours.by_hand() for _ in range(options.saves)]})
            for kind in EDITS:
                show(kind, measure([ours], kind, options.saves))
            show("stylesheet", {ours.name: [ours.restyle(number) for number in range(options.saves)]})
            sound = check(ours)
        if options.peer:
            here = stack.enter_context(serving("fastapi-hmr, not live", command, browser, live=False))
            command = [options.peer, "main:app", "--refresh"]
            there = stack.enter_context(serving("uvicorn-hmr, not live", command, browser, live=False))
            for kind in ("handler", "module"):
                show(kind, measure([here, there], kind, options.saves))
            sound = check(here) and sound
            check(there)
        return sound


if __name__ == "__main__":
    main()
