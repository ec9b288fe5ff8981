"""What the developer reads: what is served, one line for each reload, a short report on an error."""

import contextlib
import ipaddress
import re
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from fastapi_hmr.config import AppSource
from fastapi_hmr.events import NOT_IN_PLACE, AssetsChanged, Event, Reloaded, ReloadFailed, ReloadLevel
from fastapi_hmr.tracebacks import ErrorReport, Frame, caret, here, near, place

MOST_FILES = 3
MOST_MODULES = 5
MOST_FRAMES = 4
MOST_NOTES = 6
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}
_LEVELS = {
    ReloadLevel.NOTHING: "dim",
    ReloadLevel.PATCH: "green",
    ReloadLevel.UPDATE: "green",
    ReloadLevel.REIMPORT: "yellow",
    ReloadLevel.RESTART: "magenta",
}
_ORDINARY = re.compile(r"[^ ,]+ changed(?: and \d+ more)?")
"""A reason that the line shows anyway: the file that changed is in it."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Terminal:
    """Writes to `stream` itself, so that no logging configuration of the app can silence it."""

    def __init__(
        self, stream: TextIO, *, color: bool, clock: Callable[[], str] = lambda: time.strftime("%H:%M:%S")
    ) -> None:
        self._stream, self._color, self._clock = stream, color, clock
        self._arrow = "→" if _can_print(stream, "→") else "->"
        self._started = False
        self._refreshed: tuple[str, tuple[Path, ...]] | None = None
        self._last_error: tuple[object, ...] | None = None

    def started(
        self, *, url: str, source: AppSource, roots: Sequence[Path], refresh: bool, notes: Sequence[str] = ()
    ) -> None:
        """Say once what is served, where that came from, what is watched, and what is worth a warning."""
        origin = f"  ({source.origin})" if source.origin else ""
        pages = "refresh after each save" if refresh else "left alone; --reload refreshes them after each save"
        lines = [
            f"{self._paint('fastapi-hmr', 'bold', 'cyan')}  {self._paint(_clickable(url), 'bold')}",
            f"   app       {source}{' (factory)' if source.factory else ''}{self._paint(origin, 'dim')}",
            f"   watching  {', '.join(_shown_root(root) for root in roots)}",
            f"   pages     {pages}",
        ]
        warning = _exposed(url)
        lines += [
            f"   {self._paint('note', 'yellow')}      {note}" for note in (*([warning] if warning else []), *notes)
        ]
        self._write("\n".join(lines))

    def notice(self, text: str) -> None:
        """One line about something other than a reload."""
        self._line("note", "yellow", _clean(text))

    def show(self, event: Event) -> None:
        """Report an event."""
        match event:
            case Reloaded():
                self._reloaded(event)
            case ReloadFailed():
                self._failed(event)
            case AssetsChanged():
                refreshed = (self._clock(), event.changed)
                if refreshed != self._refreshed:  # an editor that writes a template twice has saved it once
                    self._line("pages", "cyan", f"refresh  {_files(event.changed)}")
                self._refreshed = refreshed

    def _reloaded(self, event: Reloaded) -> None:
        fixed = self._paint("  fixed", "green") if self._last_error else ""
        self._last_error = None
        level = self._paint(f"{event.level.name.lower():<8}", _LEVELS[event.level])
        took = self._paint(f"{_milliseconds(event.milliseconds)} ms", "dim")
        ran = _modules(event.modules)
        if event.level is ReloadLevel.PATCH and ran:
            ran += ", in place"
        if not event.changed and not self._started:
            text = f"{ran or 'ready'}  {took}"
            self._line("start", "green", text + fixed)
        else:
            what = f"{self._paint(_files(event.changed), 'bold')} {self._arrow} {ran or 'nothing to run'}"
            self._line("reload", "dim", f"{level} {what}  {took}{self._why(event)}{fixed}")
        self._started = True

    def _why(self, event: Reloaded) -> str:
        """The reason, where the line does not show it already; an escalation always says it."""
        reason, _, not_patched = event.reason.partition(NOT_IN_PLACE)
        if _ORDINARY.fullmatch(reason.partition("; ")[0]) and event.level <= ReloadLevel.UPDATE:
            reason = not_patched if event.level is ReloadLevel.UPDATE else ""
        return self._paint(f"  {_clean(reason)}", "dim") if reason else ""

    def _failed(self, event: ReloadFailed) -> None:
        report = event.report
        error = (report.title, report.message, tuple((f.file, f.line) for f in report.frames[-1:]))
        headline = _headline(report)
        state = "still serving the last good version" if event.serving else "nothing to serve yet: waiting for a fix"
        files = f"{self._paint(_files(event.changed), 'bold')} {self._arrow} " if event.changed else ""
        took = self._paint(f"  {_milliseconds(event.milliseconds)} ms", "dim")
        if error == self._last_error:
            self._line("reload", "dim", f"{self._paint('failed  ', 'red')} {files}same error: {headline}  ({state})")
            return
        self._last_error = error
        tag = "reload" if event.changed or self._started else "start"
        self._line(tag, "dim", f"{self._paint('failed  ', 'red', 'bold')} {files}{self._paint(headline, 'red')}{took}")
        details = [*_more_message(report), *self._frames(report), *_notes(report)]
        self._write(textwrap.indent("\n".join([*details, self._paint(state, "yellow")]), "    "))

    def _frames(self, report: ErrorReport) -> list[str]:
        """The user's own frames, innermost last, the failing line of each and a caret; library frames are counted."""
        base = here()
        own = [frame for frame in report.frames if not frame.library]
        library = len(report.frames) - len(own)
        shown = own[-MOST_FRAMES:]
        lines = [self._paint(f"({len(own) - len(shown)} more of your frames above)", "dim")] * (len(own) > len(shown))
        for frame in shown:
            lines.append(f"{self._paint(_clean(place(frame, base)), 'cyan')} in {_clean(frame.function)}")
            lines += [f"    {line}" for line in self._failing_line(frame)]
        if library:
            raiser = report.frames[-1]
            last = f", raised in {_tail(raiser)}" if raiser.library else ""
            lines.append(self._paint(f"({library} library frame{'s' * (library > 1)} left out{last})", "dim"))
        return lines

    def _failing_line(self, frame: Frame) -> list[str]:
        text = next((line.text for line in frame.source if line.number == frame.line), "")
        if not text.strip():
            return []
        indent = len(text) - len(text.lstrip())
        mark = caret(frame, text)[indent:] if (frame.column or 0) >= indent else ""
        return [_clean(text.strip()), *([self._paint(mark, "red")] if mark.strip() else [])]

    def _line(self, tag: str, style: str, text: str) -> None:
        self._write(f"{self._paint(self._clock(), 'dim')} {self._paint(f'{tag:<6}', style)}  {text}")

    def _paint(self, text: str, *styles: str) -> str:
        if not self._color or not text:
            return text
        return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"

    def _write(self, text: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        printable = text.encode(encoding, "replace").decode(encoding, "replace")
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone or closed: the app still serves
            self._stream.write(printable + "\n")
            self._stream.flush()


def _files(changed: Sequence[Path]) -> str:
    """Changed files relative to here; a long list is cut."""
    base = here()
    names = [near(path, base) for path in changed]
    return _clean(_elided(names, MOST_FILES)) or "files"


def _modules(names: Sequence[str]) -> str:
    """`3 modules (items, routers, main)`: the last parts of the names, unless two have the same."""
    if not names:
        return ""
    short = [name.rpartition(".")[2] for name in names]
    labels = [name if short.count(last) > 1 else last for name, last in zip(names, short, strict=True)]
    return labels[0] if len(labels) == 1 else f"{len(labels)} modules ({_elided(labels, MOST_MODULES)})"


def _elided(names: Sequence[str], most: int) -> str:
    """At most `most` names; one more is shown rather than said to be left out."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _headline(report: ErrorReport) -> str:
    lines = _clean(report.message).strip().splitlines()
    title = _clean(report.title)
    return f"{title}: {_cut(lines[0], 300)}" if lines else title


def _more_message(report: ErrorReport) -> list[str]:
    """What a message of several lines says after the first: validation errors have the field there."""
    lines = [line for line in _clean(report.message).strip().splitlines()[1:] if line.strip()]
    return [*(_cut(line, 300) for line in lines[:MOST_NOTES]), *(["..."] if len(lines) > MOST_NOTES else [])]


def _notes(report: ErrorReport) -> list[str]:
    lines = _clean(report.note).splitlines()
    return [*(_cut(line, 300) for line in lines[:MOST_NOTES]), *(["..."] if len(lines) > MOST_NOTES else [])]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _clean(text: str) -> str:
    """Without control characters: an error's text must not be able to steer the terminal."""
    return _CONTROL.sub("?", text.replace("\r\n", "\n"))


def _tail(frame: Frame) -> str:
    return f"{'/'.join(Path(frame.file).parts[-2:])}:{frame.line}"


def _shown_root(root: Path) -> str:
    if root == here():
        return f". ({root})"
    with contextlib.suppress(RuntimeError, ValueError):
        return f"~/{root.relative_to(Path.home())}"
    return str(root)


def _clickable(url: str) -> str:
    """An address that a browser takes, also where the server listens on all there are."""
    for every, one in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        if every in url:
            return f"{url.replace(every, one)} (all interfaces)"
    return url


def _exposed(url: str) -> str:
    """A warning where the address can be reached from other machines."""
    host = urlsplit(url).hostname if "://" in url else None
    if not host or host == "localhost" or host.endswith(".localhost"):
        return ""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return ""
    return f"{host} can be reached from other machines: a dev server shows source code, so use it in trusted networks"


def _can_print(stream: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
