"""Error pages: what they say, to whom, and in which form."""

import json
from pathlib import Path

import pytest

from fastapi_hmr.browser.guard import Hosts
from fastapi_hmr.browser.pages import as_payload, asset, error_response, exception_page, report_page
from fastapi_hmr.tracebacks import ErrorReport, Frame, SourceLine, place
from tests.browser.asgi import scope_of
from tests.browser.site import REPORT


@pytest.mark.parametrize(
    ("headers", "media_type"),
    [
        ({"sec-fetch-mode": "navigate", "accept": "*/*"}, "text/html"),
        ({"accept": "text/html,application/xhtml+xml"}, "text/html"),
        ({"accept": "application/json"}, "application/json"),
        ({"accept": "application/problem+json, */*"}, "application/json"),
        ({"accept": "*/*"}, "text/plain"),
        ({}, "text/plain"),
    ],
)
def test_report_comes_in_the_form_that_was_asked_for(headers: dict[str, str], media_type: str) -> None:
    """A page for a person, JSON for a program, text for a terminal; never cached, never sniffed."""
    status, sent, body = error_response(scope_of(headers=headers), REPORT)
    named = dict(sent)
    assert status == 503
    assert named[b"content-type"] == f"{media_type}; charset=utf-8".encode()
    assert named[b"content-length"] == str(len(body)).encode()
    assert named[b"cache-control"] == b"no-store"
    assert b"ZeroDivisionError" in body
    assert b"my code.py" in body


def test_json_report_can_be_read() -> None:
    """Title, message and traceback under `detail`, where FastAPI's clients look."""
    _, _, body = error_response(scope_of(headers={"accept": "application/json"}), REPORT)
    detail = json.loads(body)["detail"]
    assert (detail["error"], detail["message"]) == ("ZeroDivisionError", "division by zero <b>&")
    assert "my code.py" in detail["traceback"]


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
def test_foreign_host_sees_no_traceback(accept: str) -> None:
    """A rebound name gets neither source, file names nor the exception's text."""
    _, _, body = error_response(scope_of(headers={"accept": accept, "host": "evil.example"}), REPORT)
    for secret in (b"ZeroDivisionError", b"division", b"my code.py", b"total"):
        assert secret not in body
    assert b"--allowed-host" in body


def test_allowed_host_sees_the_traceback() -> None:
    """Names that the person gave are theirs."""
    scope = scope_of(headers={"accept": "*/*", "host": "dev.box"})
    assert b"ZeroDivisionError" in error_response(scope, REPORT, hosts=Hosts("dev.box"))[2]


def test_page_escapes_what_it_shows() -> None:
    """Tracebacks hold strings that others chose."""
    evil = "<script>alert(1)</script>\"'&"
    frame = Frame(evil, 1, evil, 0, 8, (SourceLine(1, evil),), False)
    page = report_page(ErrorReport(evil, evil, (frame,), evil), 503)
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") == 6, "title, message, note, file, function, source"
    assert "<mark>&lt;script&gt;</mark>" in page


def test_page_marks_the_failing_columns_and_folds_library_frames() -> None:
    """The innermost frame first; library code out of the way."""
    page = report_page(REPORT, 503)
    assert '<code class="hit"><i>3</i>    return <mark>1 / 0</mark></code>' in page
    assert page.index("my code.py") < page.index("<details><summary>1 library frame</summary>") < page.index("site.py")


def test_page_links_to_the_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the editor is known, a place is a link."""
    monkeypatch.setenv("FASTAPI_HMR_EDITOR", "vscode")
    shown = place(REPORT.frames[1], Path.cwd())
    assert f'<a href="vscode://file/app/my%20code.py:3:12">{shown}</a>' in report_page(REPORT, 503)
    monkeypatch.setenv("FASTAPI_HMR_EDITOR", "none")
    assert "<a " not in report_page(REPORT, 503)


def test_lone_surrogates_are_no_exception() -> None:
    """A message with half a character is shown with a backslash."""
    report = ErrorReport("ValueError", "\ud800")
    assert b"\\ud800" in exception_page(report, 500)
    assert b"\\ud800" in error_response(scope_of(headers={"accept": "text/html"}), report)[2]
    assert json.loads(error_response(scope_of(headers={"accept": "application/json"}), report)[2])


def test_places_below_the_working_directory_are_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person knows where the project is; the link and the copied text have the whole path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTAPI_HMR_EDITOR", "vscode")
    file = str(tmp_path / "routers" / "pages.py")
    report = ErrorReport("KeyError", "1", (Frame(file, 3, "f", None, None, (), False),))
    assert f'<a href="vscode://file{file}:3:1">routers/pages.py:3</a>' in report_page(report, 503)
    payload = json.loads(json.dumps(as_payload(report, "")))
    assert payload["frames"][0]["place"] == "routers/pages.py:3"
    assert f"{file}:3" in payload["text"]


def test_pages_share_the_overlay_s_look() -> None:
    """One stylesheet for all three."""
    style = asset("overlay.css").decode()
    assert style in report_page(REPORT, 503)
    assert style in exception_page(REPORT, 500).decode()


def test_payload_is_what_the_overlay_needs() -> None:
    """Frames with links, and the report as text to copy."""
    payload = json.loads(json.dumps(as_payload(REPORT, "zed://file{file}:{line}:{column}")))
    assert payload["frames"][1]["link"] == "zed://file/app/my%20code.py:3:12"
    assert "my code.py" in payload["text"]
