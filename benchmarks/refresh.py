"""Measures in Chromium how long a save takes to reach an open page of the example app, here and under uvicorn-hmr.

    python -m benchmarks.refresh --saves 200 --peer /path/to/bin/uvicorn-hmr

The peer's environment needs `uvicorn-hmr`, `fastapi-reloader`, `uvicorn[standard]` and the example app's dependencies.
Each save puts another number into what the page shows, and each page reports itself: none may be lost, none doubled.
"""

import argparse
import contextlib
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
DEADLINE_S = 20
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
(width) => new Promise((done) => {
  const look = () => {
    if (getComputedStyle(document.querySelector("h1")).borderLeftWidth !== width) requestAnimationFrame(look);
    else setTimeout(() => done(performance.timeOrigin + performance.now())); // after the frame that shows it
  };
  look();
})
"""


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
        """One save of what the heading says."""
        number = self.numbers[kind]
        self.numbers[kind] += 1
        saved = self.save(EDITS[kind], (f"{kind}{number}", f"{kind}{number + 1}"))
        return self.wait(saved)

    def wait(self, began: float) -> Took:
        """Wait until a page that shows the heading is painted; `began` in ms of the epoch."""
        until = time.monotonic() + DEADLINE_S
        while True:
            at = {when: at_ms for when, text, at_ms in self.reports if text == self.heading}
            if len(at) == 2:  # in any order: a page may be painted before its deferred scripts have run
                return Took(at["ready"] - began, at["painted"] - began)
            if time.monotonic() > until:
                return Took(math.inf, math.inf)
            self.page.wait_for_timeout(1)

    def by_hand(self) -> Took:
        """A reload without a save: what of all this is the page's own time."""
        first, self.reports = self.reports[:1], []
        began = float(self.page.evaluate(RELOAD))
        took = self.wait(began)
        self.reports = first
        return took

    def restyle(self, number: int) -> Took:
        """One save of a stylesheet; the open page takes it in."""
        loaded = len(self.pages)
        waiting = self.page.evaluate_handle(f"(width) => ({{ painted: ({PAINTED})(width) }})", f"{number + 1}px")
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
        server = subprocess.Popen(
            [*argv, "--port", str(port)], cwd=app, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(port)
            case.page.expose_function("reportPage", case.hear)
            case.page.add_init_script(REPORT)
            case.page.goto(f"http://localhost:{port}/")
            case.wait(0)
            case.page.wait_for_timeout(2000)  # the other client does not say when it is connected
            yield case
        finally:
            server.kill()
            server.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until the server accepts connections."""
    until = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > until:
            sys.exit(f"nothing listens on port {port} after {DEADLINE_S} s")
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
    """Run it and print the table."""
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
        browser.close()
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
