"""Error pages in the overlay's look: the 503 of a broken app and the 500 of a failed handler."""

import json
import os
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any

from fastapi_hmr.browser.editor import editor_link, editor_url
from fastapi_hmr.browser.guard import Hosts
from fastapi_hmr.browser.headers import first
from fastapi_hmr.tracebacks import ErrorReport, Frame, as_text, here, place

type Response = tuple[int, list[tuple[bytes, bytes]], bytes]

_PRIVATE = "The app can't answer. Its own machine shows why: open it under localhost there, or start the server with --allowed-host."
_HEADING = {503: "The app is not running", 500: "The app raised an exception"}


@cache
def asset(name: str) -> bytes:
    """One of the files beside this module; the client with what no page needs it without, as one script."""
    parts = [files(__package__).joinpath(part).read_bytes() for part in (*_WITH.get(name, ()), name)]
    return parts[0] if len(parts) == 1 else b"(() => {\n" + b"\n".join(parts) + b"})();\n"


_WITH = {"client.js": ("tabs.js",)}


def error_response(
    scope: Mapping[str, Any], report: ErrorReport, status: int = 503, *, hosts: Hosts | None = None
) -> Response:
    """Status, headers and body that say what is wrong: a page for a navigation, JSON for a JSON client, else text.

    `hosts` are those that may see a traceback.
    """
    if not (hosts or Hosts()).trusts(scope):
        report = ErrorReport(_HEADING.get(status, "Error"), _PRIVATE)
    accept = first(scope["headers"], b"accept").lower()
    if first(scope["headers"], b"sec-fetch-mode") == b"navigate" or accept.startswith(b"text/html"):
        media_type, body = "text/html", report_page(report, status)
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


def _as_json(report: ErrorReport) -> str:
    return json.dumps({"detail": {"error": report.title, "message": report.message, "traceback": as_text(report)}})


def report_page(report: ErrorReport, status: int) -> str:
    """A whole page with the report in it, which the client reloads once the report is another or there is none."""
    return _page(report, status, '<meta name="fastapi-hmr" content="report">')


def exception_page(report: ErrorReport, status: int) -> bytes:
    """The same look for what a handler raised, or for the bare text that it answered."""
    return _page(report, status, "").encode("utf-8", "backslashreplace")


def _page(report: ErrorReport, status: int, meta: str) -> str:
    heading = f"{status} {_HEADING.get(status, 'The app answered with an error')}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{meta}'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{heading}</title>'
        f"<style>{asset('overlay.css').decode()}</style></head>\n"
        f'<body class="page"><main class="frame"><p>{heading}. <span class="hint">This page shows the fix by itself.</span></p>'
        f"{_report(report)}</main></body></html>\n"
    )


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
    where = escape(place(frame, here()))
    if link := editor_link(editor_url(os.environ)[0], frame.file, frame.line, frame.column):
        where = f'<a href="{escape(link)}">{where}</a>'
    head = f"{where} <span>in {escape(frame.function)}</span>"
    return f"<section><h2>{head}</h2>{f'<pre>{lines}</pre>' if lines else ''}</section>"


def _line(frame: Frame, number: int, text: str) -> str:
    if number != frame.line:
        return f"<code><i>{number}</i>{escape(text)}</code>"
    marked = escape(text)
    if frame.column is not None and frame.end_column is not None and frame.column < frame.end_column:
        before, hit, after = text[: frame.column], text[frame.column : frame.end_column], text[frame.end_column :]
        marked = f"{escape(before)}<mark>{escape(hit)}</mark>{escape(after)}"
    return f'<code class="hit"><i>{number}</i>{marked}</code>'


def as_payload(report: ErrorReport, editor: str) -> dict[str, object]:
    """The report for the overlay: with a short place and a link for each frame, and as text to copy."""
    base = here()
    frames = [
        {
            **frame._asdict(),
            "source": [line._asdict() for line in frame.source],
            "place": place(frame, base),
            "link": editor_link(editor, frame.file, frame.line, frame.column),
        }
        for frame in report.frames
    ]
    return {**report._asdict(), "frames": frames, "text": as_text(report)}
