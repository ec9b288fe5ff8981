"""Error pages in the overlay's look: the 503 of a broken app and the 500 of a failed handler."""

import json
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any

from fastapi_hmr.browser.guard import Hosts
from fastapi_hmr.browser.headers import first
from fastapi_hmr.tracebacks import ErrorReport, Frame

type Response = tuple[int, list[tuple[bytes, bytes]], bytes]

_PRIVATE = "The app can't answer. Its own machine shows why: open it under localhost there, or start the server with --allowed-host."
_HEADING = {503: "The app is not running", 500: "The app raised an exception"}


@cache
def asset(name: str) -> bytes:
    """One of the files beside this module."""
    return files(__package__).joinpath(name).read_bytes()


def error_response(
    scope: Mapping[str, Any], report: ErrorReport, status: int = 503, *, hosts: Hosts | None = None
) -> Response:
    """Status, headers and body that say what is wrong: a page for a navigation, JSON for a JSON client, else text.

    Whether the request's Host may see a traceback is said by the browser layer where there is one, else by `hosts`.
    """
    exchange = scope.get("fastapi_hmr")
    trusted = exchange["trusted"] if exchange else (hosts or Hosts()).trusts(scope)
    if not trusted:
        report = ErrorReport(_HEADING.get(status, "Error"), _PRIVATE)
    accept = first(scope["headers"], b"accept").lower()
    if first(scope["headers"], b"sec-fetch-mode") == b"navigate" or accept.startswith(b"text/html"):
        media_type, body = "text/html", report_page(report, status, heals=exchange is not None)
    elif accept.startswith(b"application/json") or b"+json" in accept.split(b",")[0]:
        media_type, body = "application/json", _as_json(report)
    else:
        media_type, body = "text/plain", as_text(report)
    content = body.encode("utf-8", "backslashreplace")
    headers = [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"content-length", b"%d" % len(content)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"retry-after", b"1"),
    ]
    return status, headers, content


def as_text(report: ErrorReport) -> str:
    """The report as a traceback that a person reads in a terminal or pastes into an issue."""
    parts = [
        f'  File "{frame.file}", line {frame.line}, in {frame.function}\n    {_failing(frame)}'
        for frame in report.frames
    ]
    head = ["Traceback (most recent call last):"] if parts else []
    return (
        "\n".join([*head, *parts, f"{report.title}: {report.message}", *([report.note] if report.note else [])]) + "\n"
    )


def _failing(frame: Frame) -> str:
    return next((line.text.strip() for line in frame.source if line.number == frame.line), "")


def _as_json(report: ErrorReport) -> str:
    return json.dumps({"detail": {"error": report.title, "message": report.message, "traceback": as_text(report)}})


def report_page(report: ErrorReport, status: int, *, heals: bool) -> str:
    """A whole page with the report in it; `heals` where the client reloads it once there is something better."""
    heading = _HEADING.get(status, "The app answered with an error")
    hint = " This page shows the fix by itself." if heals else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="fastapi-hmr" content="report">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{status} {heading}</title>'
        f"<style>body {{ margin: 0 }}\n{asset('overlay.css').decode()}</style></head>\n"
        f'<body><div class="page"><main class="frame"><p>{status} {heading}.{hint}</p>'
        f"{_report(report)}</main></div></body></html>\n"
    )


def text_page(status: int, text: str) -> str:
    """A page for an app's bare error text."""
    return report_page(ErrorReport(str(status), text or _HEADING.get(status, "no text")), status, heals=True)


def _report(report: ErrorReport) -> str:
    note = f"<p>{escape(report.note)}</p>" if report.note else ""
    runs = [(library, list(run)) for library, run in groupby(reversed(report.frames), key=lambda frame: frame.library)]
    frames = [_folded(run) if library else "".join(map(_frame, run)) for library, run in runs]
    return f"<h1><b>{escape(report.title)}</b>: {escape(report.message)}</h1>{note}{''.join(frames)}"


def _folded(frames: list[Frame]) -> str:
    noun = "frame" if len(frames) == 1 else "frames"
    return f"<details><summary>{len(frames)} library {noun}</summary>{''.join(map(_frame, frames))}</details>"


def _frame(frame: Frame) -> str:
    lines = "".join(_line(frame, line.number, line.text) for line in frame.source)
    head = f"{escape(frame.file)}:{frame.line} <span>in {escape(frame.function)}</span>"
    return f"<section><h2>{head}</h2>{f'<pre>{lines}</pre>' if lines else ''}</section>"


def _line(frame: Frame, number: int, text: str) -> str:
    if number != frame.line:
        return f"<code><i>{number}</i>{escape(text)}</code>"
    marked = escape(text)
    if frame.column is not None and frame.end_column is not None and frame.column < frame.end_column:
        before, hit, after = text[: frame.column], text[frame.column : frame.end_column], text[frame.end_column :]
        marked = f"{escape(before)}<mark>{escape(hit)}</mark>{escape(after)}"
    return f'<code class="hit"><i>{number}</i>{marked}</code>'
