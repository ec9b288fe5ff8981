"""Which files went into which answers, as far as can be seen."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from fastapi_hmr import audit
from fastapi_hmr.browser.usage import MAX_URLS, Answer, Usage


async def _discard(_message: object) -> None:
    """For answers that nobody gets."""


async def _receive() -> dict[str, Any]:
    return {}


class Made(Answer):
    """An answer to this path that is being made."""

    def __init__(self, usage: Usage, path: str, send: Any = _discard) -> None:
        super().__init__({"type": "http", "path": path}, _receive, send)
        self.usage = usage

    def over(self, *, page: bool) -> None:
        """It has been sent."""
        kind = b"text/html" if page else b"text/javascript"
        self._head({"type": "http.response.start", "headers": [(b"content-type", kind)]})
        self.finish()


@pytest.fixture
def usage(tmp_path: Path) -> Iterator[Usage]:
    """What is seen below a folder with one file."""
    (tmp_path / "a.js").write_text("1")
    usage = Usage([tmp_path], audit)
    yield usage
    usage.close()


async def test_file_opened_for_an_answer_has_its_path(usage: Usage, tmp_path: Path) -> None:
    """A script that pages load by its URL."""
    answer = Made(usage, "/static/a.js")
    (tmp_path / "a.js").read_text()
    answer.over(page=False)
    assert usage.urls(tmp_path / "a.js") == ["/static/a.js"]
    assert not usage.in_page(tmp_path / "a.js")


async def test_file_of_a_page_may_be_in_any_page(usage: Usage, tmp_path: Path) -> None:
    """Template engines open a file once and render it for many."""
    for page in (True, False):
        answer = Made(usage, "/")
        (tmp_path / "a.js").read_text()
        answer.over(page=page)
    assert usage.in_page(tmp_path / "a.js")
    assert usage.urls(tmp_path / "a.js") is None


async def test_file_that_nobody_opened_may_be_anywhere(usage: Usage, tmp_path: Path) -> None:
    """Opened outside an answer, written, outside the roots, or never: unsure."""
    (tmp_path / "a.js").read_text()
    answer = Made(usage, "/")
    (tmp_path / "a.js").write_text("2")
    Path(__file__).read_text()
    answer.over(page=False)
    assert usage.urls(tmp_path / "a.js") is None
    assert usage.urls(Path(__file__)) is None


async def test_without_a_hook_any_page_may_use_any_file(tmp_path: Path) -> None:
    """Unsure means reload."""
    usage = Usage([tmp_path], None)
    answer = Made(usage, "/")
    answer.over(page=False)
    assert usage.urls(tmp_path / "a.js") is None
    usage.close()


async def test_file_of_many_answers_may_be_anywhere(usage: Usage, tmp_path: Path) -> None:
    """What is read for a hundred paths is not a file that a page loads."""
    for number in range(MAX_URLS * 2):
        answer = Made(usage, f"/{number}")
        (tmp_path / "a.js").read_text()
        answer.over(page=False)
    assert usage.urls(tmp_path / "a.js") is None


def test_worker_threads_count_for_the_answer_they_work_for(usage: Usage, tmp_path: Path) -> None:
    """Static files and `def` handlers are read there; two answers at once are kept apart."""
    (tmp_path / "b.js").write_text("1")

    async def make(name: str) -> None:
        answer = Made(usage, f"/{name}")
        await anyio.to_thread.run_sync((tmp_path / name).read_text)
        answer.over(page=False)

    async def both() -> None:
        await asyncio.gather(make("a.js"), make("b.js"))

    asyncio.run(both())
    assert usage.urls(tmp_path / "a.js") == ["/a.js"]
    assert usage.urls(tmp_path / "b.js") == ["/b.js"]


async def test_headers_may_come_one_by_one(usage: Usage, tmp_path: Path) -> None:
    """ASGI wants an iterable: what is looked at here reaches the server all the same."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    answer = Made(usage, "/a", send)
    (tmp_path / "a.js").read_text()
    headers = [(b"content-type", b"text/html")]
    await answer.send({"type": "http.response.start", "status": 200, "headers": iter(headers)})
    assert list(sent[0]["headers"]) == headers
    assert usage.in_page(tmp_path / "a.js")
