"""Takes the README's pictures: the example app is run, edited, broken and mended, in a terminal and in Chromium."""

import html
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
DEADLINE_S = 60
COLUMNS = 108
COMMAND = ["fastapi-hmr", "main:app", "--reload", "--log-level", "warning"]

STYLE = """
body { margin: 0; padding: 28px; width: max-content; background: #eceae6; font: 15px/1.5 "Liberation Sans", sans-serif; }
.row { display: flex; gap: 28px; }
figure { margin: 0; }
figcaption { margin: 0 4px 12px; color: #55514b; }
figcaption code { font: 14px "DejaVu Sans Mono", monospace; color: #24221f; }
.window { border-radius: 10px; overflow: hidden; background: #fff; box-shadow: 0 2px 6px #0002, 0 14px 34px #0002; }
.bar { display: flex; align-items: center; gap: 8px; height: 36px; padding: 0 14px; background: #dedbd5; }
.bar i { width: 12px; height: 12px; border-radius: 50%; background: #b9b5ad; }
.bar span { flex: 1; margin: 0 56px 0 10px; text-align: center; font-size: 13px; color: #6b665f; }
.window img { display: block; }
.terminal { background: #1b1d21; color: #d6d9de; }
.terminal .bar { background: #2a2d33; }
.terminal .bar i { background: #4a4e57; }
.terminal .bar span { color: #9aa0aa; }
pre { margin: 0; padding: 18px 22px 22px; font: 14px/1.55 "DejaVu Sans Mono", monospace; }
"""
COLORS = ["#4a4e57", "#f0767a", "#8fce7e", "#e6c06a", "#7db3f2", "#cf9bea", "#6ecbd0", "#d6d9de"]


class Terminal:
    """The real command under a pseudo-terminal, so that it prints what a developer sees."""

    def __init__(self, argv: list[str], cwd: Path, env: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.text = ""
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb", buffering=0) as stream:
            try:
                while data := stream.read(4096):
                    self.text += data.decode(errors="replace")
            except OSError:  # Linux's way to say that the other end is closed
                return

    def stop(self) -> None:
        """Ctrl-C, and what it prints."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)


def wait_until(probe: Callable[[], object], what: str) -> None:
    """Call `probe` until it is true."""
    until = time.monotonic() + DEADLINE_S
    while not probe():
        if time.monotonic() > until:
            sys.exit(f"{what} did not happen within {DEADLINE_S} s")
        time.sleep(0.05)


def to_html(text: str) -> str:
    """Terminal text with its colours as HTML."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-LN-Za-ln-z]|\x1b\][^\x07]*\x07|\r", "", text)
    out: list[str] = []
    style: dict[str, str] = {}
    for part in re.split(r"(\x1b\[[0-9;]*m)", text):
        if part.startswith("\x1b["):
            for code in [int(number or 0) for number in part[2:-1].split(";")]:
                style = restyled(style, code)
        elif part:
            css = ";".join(f"{name}:{value}" for name, value in style.items())
            out.append(f'<span style="{css}">{html.escape(part)}</span>' if css else html.escape(part))
    return "".join(out)


def restyled(style: dict[str, str], code: int) -> dict[str, str]:
    """The style after one SGR code."""
    simple = {
        1: {"font-weight": "bold"},
        2: {"opacity": "0.6"},
        3: {"font-style": "italic"},
        4: {"text-decoration": "underline"},
    }
    if code == 0:
        return {}
    if code in simple:
        return style | simple[code]
    if code == 22:
        return {name: value for name, value in style.items() if name not in {"font-weight", "opacity"}}
    if 30 <= code <= 37 or 90 <= code <= 97:
        return style | {"color": COLORS[code % 10]}
    if code == 39:
        return {name: value for name, value in style.items() if name != "color"}
    return style


def window(title: str, body: str, kind: str = "") -> str:
    """A window around what was taken."""
    return f'<div class="window {kind}"><div class="bar"><i></i><i></i><i></i><span>{title}</span></div>{body}</div>'


def draw(browser: Browser, name: str, body: str) -> None:
    """Render the composed picture into docs/."""
    page = browser.new_page(device_scale_factor=1.5, viewport={"width": 1200, "height": 800})
    page.set_content(f"<!doctype html><style>{STYLE}</style>{body}")
    page.locator("body").screenshot(path=DOCS / name)
    page.close()


def figure(caption: str, url: str, shot: bytes, width: int) -> str:
    """A browser window with a line above it that says what was done."""
    image = f'<img width="{width}" src="data:image/png;base64,{b64encode(shot).decode()}">'
    return f"<figure><figcaption>{caption}</figcaption>{window(url, image)}</figure>"


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Save the file with each first text replaced by the second, as an editor does: at once."""
    text = path.read_text()
    for old, new in changes:
        if old not in text:
            sys.exit(f"{old!r} is not in {path.name}: the example app has changed, change this script too")
        text = text.replace(old, new)
    staged = Path(tempfile.gettempdir()) / f".staged-{os.getpid()}"
    staged.write_text(text)
    staged.replace(path)


def take(app: Path, page: Page, url: str) -> list[str]:
    """The story: a handler, a stylesheet, a broken save and its fix; returns the two browser figures."""
    page.goto(url)
    page.wait_for_selector("#pulse:not(.off)")
    page.fill("#text", "Walked to the river")
    greetings = ("Up late", "Good morning", "Good afternoon", "Good evening")
    edit(app / "routers/pages.py", *((text, "Hello again") for text in greetings))
    page.wait_for_function("document.querySelector('h1').textContent.startsWith('Hello again')")
    edit(app / "static/site.css", ("--accent: light-dark(#b4532a", "--accent: light-dark(#2f6db0"))
    page.wait_for_function("getComputedStyle(document.querySelector('button')).backgroundColor === 'rgb(47, 109, 176)'")
    with page.expect_navigation():
        edit(app / "tagger.py", ("walk walked", "walk walked walking"))
    page.wait_for_selector("#pulse:not(.off)")
    page.wait_for_selector(".suggested")
    good = page.screenshot()
    edit(app / "models.py", ("class EntryCreate(EntryBase):", "class EntryCreate(EntryBase:"))
    page.wait_for_function("document.querySelector('fastapi-hmr-overlay')")
    page.wait_for_timeout(300)  # its entrance
    broken = page.screenshot()
    edit(app / "models.py", ("class EntryCreate(EntryBase:", "class EntryCreate(EntryBase):"))
    page.wait_for_function("!document.querySelector('fastapi-hmr-overlay')")
    return [
        figure("Saved: a word in <code>pages.py</code>, a colour in <code>site.css</code>", url, good, 700),
        figure("Saved: a bracket too few in <code>models.py</code>", url, broken, 700),
    ]


def take_docs(app: Path, page: Page, url: str) -> str:
    """A request that was tried out in Swagger UI is still there when an operation changes; returns the figure."""
    page.route("https://cdn.jsdelivr.net/**", offline)
    page.goto(f"{url}docs")
    page.click("text=Read Entry")
    page.click("button.try-out__btn")
    page.fill("tr[data-param-name=entry_id] input", "2")
    page.click("button.execute")
    page.wait_for_selector(".live-responses-table")
    edit(
        app / "routers/entries.py",
        ('get("/entries/{entry_id}"', 'get("/entries/{entry_id}", summary="One entry, by number"'),
    )
    changed = page.locator("[data-fastapi-hmr-changed]")
    changed.get_by_text("One entry, by number").wait_for()
    changed.evaluate("(element) => scrollTo(0, element.getBoundingClientRect().top + scrollY - 110)")
    shot = page.screenshot()
    return figure("Saved: a summary in <code>entries.py</code>, with a request tried out", f"{url}docs", shot, 700)


def offline(route: Route) -> None:
    """Swagger UI's files from a package instead of the network."""
    name = route.request.url.rpartition("/")[2]
    file = resources.files("fastapi_offline") / "static" / name
    route.fulfill(body=file.read_bytes(), content_type="text/css" if name.endswith(".css") else "text/javascript")


def take_unavailable(app: Path, browser: Browser) -> str:
    """An app that never ran: its page says why, and becomes the app with the fix; returns the figure."""
    broken = "from models import Entry, now\nfrom models import Mood"
    edit(app / "db.py", ("from models import Entry, now", broken))
    with served(app) as (_, url):
        page = new_page(browser)
        page.goto(url)
        page.wait_for_selector("text=This page shows the fix by itself.")
        shot = page.screenshot()
        edit(app / "db.py", (broken, "from models import Entry, now"))
        page.wait_for_selector("#pulse:not(.off)")
        page.close()
    return figure("Started: with a name that <code>models.py</code> does not have", url, shot, 700)


@contextmanager
def served(app: Path) -> Iterator[tuple[Terminal, str]]:
    """The real command over this copy of the example app, and where it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {
        "DAYBOOK_DATABASE": f"{app.parent}/daybook.db",
        "DAYBOOK_STARTUP_SECONDS": "0",
        "TERM": "xterm-256color",
        "COLUMNS": str(COLUMNS),
    }
    terminal = Terminal([sys.executable, "-m", "fastapi_hmr", *COMMAND[1:], "--port", str(port)], app, env)
    try:
        wait_until(lambda: "http://" in terminal.text, "the start")
        yield terminal, f"http://127.0.0.1:{port}/"
    except Exception:
        print(terminal.text, file=sys.stderr)
        raise
    finally:
        terminal.process.kill()


def new_page(browser: Browser) -> Page:
    """A tab that is patient on a busy machine."""
    page = browser.new_page(viewport={"width": 700, "height": 580}, device_scale_factor=1.5)
    page.set_default_timeout(DEADLINE_S * 1000)
    return page


def main() -> None:
    """Run the story once and draw the pictures."""
    DOCS.mkdir(exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = Path(folder) / "daybook"
        shutil.copytree(ROOT / "example_app", app, ignore=shutil.ignore_patterns("__pycache__"))
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        with served(app) as (terminal, url):
            page = new_page(browser)
            refreshed = take(app, page, url)
            page.goto("about:blank")
            shown = terminal.text
            documented = take_docs(app, page, url)
            page.close()
            terminal.stop()
        port = url.rstrip("/").rpartition(":")[2]
        shown = to_html(shown.replace(f":{port}", ":8000").replace(folder, "~"))
        prompt = f'<span style="color:{COLORS[2]}">~/daybook $</span> DAYBOOK_STARTUP_SECONDS=0 {" ".join(COMMAND)}\n'
        draw(browser, "terminal.png", window("daybook", f"<pre>{prompt}{shown}</pre>", "terminal"))
        draw(browser, "refresh.png", row(refreshed))
        draw(browser, "pages.png", row([take_unavailable(app, browser), documented]))
        browser.close()


def row(figures: list[str]) -> str:
    """Figures beside each other, as if each server had the usual port."""
    return f'<div class="row">{re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", "".join(figures))}</div>'


if __name__ == "__main__":
    main()
