"""What the developer reads: one line for each reload, short error reports, nothing that a terminal could choke on."""

import io
import re
from pathlib import Path

import pytest

from fastapi_hmr.config import AppSource
from fastapi_hmr.events import AssetsChanged, Reloaded, ReloadFailed, ReloadLevel
from fastapi_hmr.terminal import Terminal
from fastapi_hmr.tracebacks import ErrorReport, Frame, SourceLine

NOW = "12:04:31"


class Screen:
    """A terminal on a string."""

    def __init__(self, *, color: bool = False) -> None:
        self.stream = io.StringIO()
        self.terminal = Terminal(self.stream, color=color, clock=lambda: NOW)

    def shown(self) -> str:
        """What was written since the last time."""
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        return text

    def start(self, url: str = "http://127.0.0.1:8000", *, refresh: bool = True, notes: tuple[str, ...] = ()) -> str:
        """Start up and serve for the first time; what that shows."""
        source = AppSource("main", "app", Path.cwd(), origin="found in main.py")
        self.terminal.started(url=url, source=source, roots=(Path.cwd(),), refresh=refresh, notes=notes)
        self.terminal.show(Reloaded("b.1", ReloadLevel.UPDATE, "first start", (), ("main", "helper"), 310.2))
        return self.shown()


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A screen, the working directory being an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Screen()


def reloaded(*files: str, level: ReloadLevel = ReloadLevel.UPDATE, reason: str = "", modules: str = "main") -> Reloaded:
    """A reload that worked."""
    changed = tuple(Path.cwd() / file for file in files)
    return Reloaded("b.2", level, reason or f"{files[0]} changed", changed, tuple(modules.split()), 18.4)


def failed(
    message: str = "boom", *, serving: bool = True, frames: tuple[Frame, ...] | None = None, note: str = ""
) -> ReloadFailed:
    """A reload that did not work."""
    if frames is None:
        frames = (frame("app/items.py", 3, "    return x['k']", 11, 17),)
    return ReloadFailed(ErrorReport("ValueError", message, frames, note), (Path.cwd() / "app/items.py",), 3.21, serving)


def frame(file: str, line: int, text: str, column: int | None = None, end: int | None = None) -> Frame:
    """A frame of the user's."""
    return Frame(str(Path.cwd() / file), line, "read", column, end, (SourceLine(line, text),), library=False)


def library(file: str = "/lib/site-packages/lib/core.py") -> Frame:
    """A frame of somebody else's."""
    return Frame(file, 7, "call", None, None, (), library=True)


def test_start_says_what_is_served_where_from_and_what_is_watched(screen: Screen) -> None:
    """The address, the import string and who said so, the directories, whether pages refresh; then the first line."""
    assert screen.start(notes=("port 8000 is in use, so this is 8001",)) == (
        "fastapi-hmr  http://127.0.0.1:8000\n"
        "   app       main:app  (found in main.py)\n"
        f"   watching  . ({Path.cwd()})\n"
        "   pages     refresh after each save\n"
        "   note      port 8000 is in use, so this is 8001\n"
        "12:04:31 start   2 modules (main, helper)  310 ms\n"
    )
    assert "--reload refreshes them" in screen.start(refresh=False)


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://127.1.2.3:8000", False),
        ("http://[::1]:8000", False),
        ("http://localhost:8000", False),
        ("http://app.localhost:8000", False),
        ("unix:/tmp/x.sock", False),
        ("http://0.0.0.0:8000", True),
        ("http://[::]:8000", True),
        ("https://192.168.1.3:8000", True),
        ("http://myhost:8000", True),
    ],
)
def test_start_warns_where_others_can_reach_it(screen: Screen, url: str, warns: bool) -> None:
    """A dev server shows source code: that is for this machine unless somebody wants it otherwise."""
    assert ("can be reached from other machines" in screen.start(url)) is warns


def test_reload_is_one_line(screen: Screen) -> None:
    """Level, file, modules that ran, milliseconds; a reason that says no more is left out."""
    screen.start()
    event = reloaded(
        "app/items.py", reason="app/items.py changed; 2 modules depend on it", modules="app.items app main"
    )
    screen.terminal.show(event)
    assert screen.shown() == "12:04:31 reload  update   app/items.py → 3 modules (items, app, main)  18 ms\n"


def test_reload_says_a_reason_that_is_not_obvious(screen: Screen) -> None:
    """A data file, and every step above an update."""
    screen.start()
    screen.terminal.show(reloaded("d.json", reason="d.json, which main reads, changed"))
    assert screen.shown() == "12:04:31 reload  update   d.json → main  18 ms  d.json, which main reads, changed\n"
    screen.terminal.show(reloaded("m.py", level=ReloadLevel.REIMPORT, reason="m.py changed"))
    assert screen.shown() == "12:04:31 reload  reimport m.py → main  18 ms  m.py changed\n"


def test_reload_by_patch_and_by_nothing(screen: Screen) -> None:
    """The gentlest levels say what they did not do."""
    screen.start()
    screen.terminal.show(reloaded("m.py", level=ReloadLevel.PATCH))
    assert screen.shown() == "12:04:31 reload  patch    m.py → main, in place  18 ms\n"
    screen.terminal.show(reloaded("m.py", level=ReloadLevel.NOTHING, reason="only comments", modules=""))
    assert screen.shown() == "12:04:31 reload  nothing  m.py → nothing to run  18 ms  only comments\n"


def test_long_lists_are_cut(screen: Screen) -> None:
    """A checkout of another branch is one line as well; leaving out a single name would not be shorter."""
    screen.start()
    files = [f"f{n}.py" for n in range(40)]
    screen.terminal.show(reloaded(*files, modules=" ".join(f"p.m{n}" for n in range(17))))
    line = screen.shown()
    assert "f0.py, f1.py, f2.py and 37 more → 17 modules (m0, m1, m2, m3, m4 and 12 more)" in line
    screen.terminal.show(reloaded(*files[:4], modules=" ".join(f"p.m{n}" for n in range(6))))
    assert "f0.py, f1.py, f2.py, f3.py → 6 modules (m0, m1, m2, m3, m4, m5)" in screen.shown()


def test_modules_of_the_same_name_are_told_apart(screen: Screen) -> None:
    """`users.models` and `items.models`."""
    screen.start()
    screen.terminal.show(reloaded("x.py", modules="users.models items.models shop.main"))
    assert "3 modules (users.models, items.models, main)" in screen.shown()


def test_a_file_outside_is_shown_in_full(screen: Screen) -> None:
    """Relative to here only what is here."""
    screen.start()
    screen.terminal.show(Reloaded("b.2", ReloadLevel.UPDATE, "", (Path("/other/x.py"),), ("x",), 1.26))
    assert screen.shown() == "12:04:31 reload  update   /other/x.py → x  1.3 ms\n"


def test_assets_are_told_once(screen: Screen) -> None:
    """An editor that writes a file twice within a second has saved it once; another file is another line."""
    screen.start()
    for name in ("site.css", "site.css", "a.html", "site.css"):
        screen.terminal.show(AssetsChanged((Path.cwd() / "static" / name,)))
    assert screen.shown() == (
        "12:04:31 pages   refresh  static/site.css\n"
        "12:04:31 pages   refresh  static/a.html\n"
        "12:04:31 pages   refresh  static/site.css\n"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://0.0.0.0:8000", "http://127.0.0.1:8000 (all interfaces)"),
        ("https://[::]:8000", "https://[::1]:8000 (all interfaces)"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("unix:/tmp/x.sock", "unix:/tmp/x.sock"),
    ],
)
def test_address_can_be_clicked(screen: Screen, url: str, shown: str) -> None:
    """No browser goes to 0.0.0.0 on every system."""
    assert screen.start(url).splitlines()[0] == f"fastapi-hmr  {shown}"


def test_update_says_why_it_was_no_patch(screen: Screen) -> None:
    """A reason that names a file and no more gives way to it; one that says more does not."""
    screen.start()
    why = "m.py changed; 2 modules depend on it; not in place: n.py is new"
    screen.terminal.show(reloaded("m.py", "n.py", reason=why))
    assert screen.shown() == "12:04:31 reload  update   m.py, n.py → main  18 ms  n.py is new\n"
    screen.terminal.show(reloaded("m.py", "d.json", reason="d.json, which main reads, changed; not in place: x"))
    assert screen.shown().endswith("18 ms  d.json, which main reads, changed\n")


def test_a_file_nearby_is_shown_relative(screen: Screen) -> None:
    """A sibling of the working directory, say: three absolute paths fill a line."""
    screen.start()
    screen.terminal.show(Reloaded("b.2", ReloadLevel.UPDATE, "", (Path.cwd().parent / "src/x.py",), ("x",), 1.26))
    assert screen.shown() == "12:04:31 reload  update   ../src/x.py → x  1.3 ms\n"


def test_error_shows_the_users_frames(screen: Screen) -> None:
    """What, where, the line with a caret under the column, library frames counted, and what serves."""
    screen.start()
    screen.terminal.show(failed(frames=(library(), frame("app/items.py", 3, "    return x['k']", 11, 17), library())))
    assert screen.shown() == (
        "12:04:31 reload  failed   app/items.py → ValueError: boom  3.2 ms\n"
        "    app/items.py:3 in read\n"
        "        return x['k']\n"
        "               ^^^^^^\n"
        "    (2 library frames left out, raised in lib/core.py:7)\n"
        "    still serving the last good version\n"
    )


def test_error_at_the_first_start_says_that_nothing_serves(screen: Screen) -> None:
    """The server waits for the fix."""
    screen.terminal.show(failed(serving=False))
    assert "nothing to serve yet: waiting for a fix" in screen.shown()


def test_the_same_error_again_is_one_line(screen: Screen) -> None:
    """Saving twice does not push the report off the screen; another error is told in full, and so after a fix."""
    screen.terminal.show(failed())
    screen.shown()
    screen.terminal.show(failed())
    again = screen.shown()
    assert again.count("\n") == 1
    assert "same error: ValueError: boom" in again
    assert "still serving the last good version" in again
    screen.terminal.show(failed("other"))
    assert screen.shown().count("\n") > 3
    screen.terminal.show(reloaded("m.py"))
    assert screen.shown().endswith("18 ms  fixed\n")
    screen.terminal.show(failed("other"))
    assert screen.shown().count("\n") > 3
    screen.terminal.show(reloaded("m.py"))
    screen.shown()
    screen.terminal.show(reloaded("m.py"))
    assert "fixed" not in screen.shown()


def test_many_frames_are_cut_from_above(screen: Screen) -> None:
    """The innermost matter most."""
    frames = tuple(frame(f"m{n}.py", n + 1, "x()", 0, 3) for n in range(9))
    screen.terminal.show(failed(frames=frames))
    text = screen.shown()
    assert "(5 more of your frames above)" in text
    assert re.findall(r"m\d\.py:\d", text) == ["m5.py:6", "m6.py:7", "m7.py:8", "m8.py:9"]


def test_caret_stands_right_after_tabs_and_wide_positions(screen: Screen) -> None:
    """Tabs are kept under the text, an unknown column has no caret, an empty range has one."""
    screen.terminal.show(failed(frames=(frame("a.py", 1, "\tf(a,\tb)", 6, 7),)))
    assert "        f(a,\tb)\n            \t^\n" in screen.shown()
    screen.terminal.show(failed("no column", frames=(frame("a.py", 1, "  f()"),)))
    assert "^" not in screen.shown()
    screen.terminal.show(failed("at the end", frames=(frame("a.py", 1, "x = (", 5, 5),)))
    assert "        x = (\n             ^\n" in screen.shown()


def test_message_of_several_lines_and_notes_are_short(screen: Screen) -> None:
    """The first line is the headline, a few more follow, the rest is in the browser."""
    message = "\n".join(f"line {n}" for n in range(20))
    screen.terminal.show(failed(message, note="caused by KeyError: 'k' (a.py:1)"))
    text = screen.shown()
    assert "ValueError: line 0  3.2 ms\n" in text
    assert "    line 1\n" in text
    assert "line 12" not in text
    assert "    ...\n" in text
    assert "    caused by KeyError: 'k' (a.py:1)\n" in text


def test_control_characters_do_not_reach_the_terminal(screen: Screen) -> None:
    """A message, a file name or a source line must not move the cursor or change the title."""
    evil = "\x1b]0;owned\x07 \x9b2J \r gone"
    screen.terminal.show(failed(evil, frames=(frame("a.py", 1, evil, 0, 2),), note=evil))
    screen.terminal.show(reloaded("a\x1b[2J.py", reason=f"x: {evil}"))
    screen.terminal.notice(evil)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", screen.shown())


def test_notice_is_one_line(screen: Screen) -> None:
    """Something else worth knowing."""
    screen.terminal.notice("CSP: added a nonce")
    assert screen.shown() == "12:04:31 note    CSP: added a nonce\n"


def test_colours_only_where_wanted(screen: Screen) -> None:
    """Without them there is no escape sequence at all; with them the text is the same."""
    coloured = Screen(color=True)
    for each in (screen, coloured):
        each.start()
        each.terminal.show(reloaded("m.py", level=ReloadLevel.REIMPORT))
        each.terminal.show(failed())
        each.terminal.show(failed())
        each.terminal.notice("x")
    plain, painted = screen.shown(), coloured.shown()
    assert "\x1b[" not in plain
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain


def test_a_terminal_without_unicode_gets_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`LANG=C`, or a log file in Latin-1."""
    monkeypatch.chdir(tmp_path)
    raw = io.BytesIO()
    terminal = Terminal(io.TextIOWrapper(raw, encoding="ascii"), color=False, clock=lambda: NOW)
    terminal.show(reloaded("m.py"))
    terminal.show(failed("mist€ake \ud800"))
    assert b"m.py -> main" in raw.getvalue()
    assert b"mist?ake ?" in raw.getvalue()


def test_a_terminal_that_is_gone_does_not_stop_the_server() -> None:
    """A closed stream, a broken pipe."""

    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    closed = io.StringIO()
    closed.close()
    for stream in (closed, Broken()):
        Terminal(stream, color=False).notice("x")
