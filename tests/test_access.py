"""The access log names who called it, and leaves out what is ours."""

import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import uvicorn.logging

from fastapi_hmr import access


@pytest.fixture
def logger(caplog: pytest.LogCaptureFixture) -> Iterator[logging.Logger]:
    """One of our own, whose records are caught."""
    logger = logging.getLogger("tests.access")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    access.quicken(logger, hide_ours=True)
    yield logger
    del logger.info
    logger.handlers.clear()
    logger.filters.clear()


def line() -> int:
    """The line that calls this."""
    return sys._getframe(1).f_lineno


def test_caller_is_the_one_that_it_was(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """From one line again and again, from another, and through functions of `logging` itself."""
    adapter = logging.LoggerAdapter(logger)
    first = line()
    for _ in range(3):
        logger.info("one")
    logger.info("two")
    logger.log(logging.INFO, "three")
    for _ in range(2):
        adapter.info("four")
    expected = [first + offset for offset in (2, 2, 2, 3, 4, 6, 6)]
    assert [(record.filename, record.lineno) for record in caplog.records] == [
        ("test_access.py", number) for number in expected
    ]
    assert {record.funcName for record in caplog.records} == {"test_caller_is_the_one_that_it_was"}


def test_caller_of_the_caller_can_be_asked_for(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """`stacklevel` and `stack_info` mean what they do elsewhere, also once a line is known."""

    def inner(**options: bool | int) -> None:
        logger.info("said", **options)  # type: ignore[arg-type]  # what is tested

    inner()
    inner(stacklevel=2)
    expected = line() - 1
    inner(stack_info=True)
    inner()
    here = sys._getframe().f_code.co_name
    assert [record.funcName for record in caplog.records] == ["inner", here, "inner", "inner"]
    assert caplog.records[1].lineno == expected
    assert "inner" in (caplog.records[2].stack_info or "")
    assert caplog.records[3].stack_info is None


def test_the_stack_is_searched_once(logger: logging.Logger) -> None:
    """Reading a frame or its code calls every audit hook: once a line is known, neither is read."""
    counts: list[int] = []
    events: list[str] = []
    counting, here = True, threading.get_ident()

    def hook(event: str, _arguments: object) -> None:
        if counting and event in {"object.__getattr__", "sys._getframe"} and threading.get_ident() == here:
            events.append(event)

    sys.addaudithook(hook)
    for _ in range(3):
        events.clear()
        logger.info("said")
        counts.append(len(events))
    counting = False
    assert counts[0] > counts[1] == counts[2] == 0


def test_one_text_in_two_lines_has_two_callers(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """The compiler makes one constant of equal texts: then who says it is looked for each time."""
    first = line()
    for _ in range(2):
        logger.info("same")
        logger.info("same")
    assert [record.lineno - first for record in caplog.records] == [2, 3, 2, 3]


def test_text_of_a_variable_has_the_caller_that_says_it(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """A text that is handed around is no line's own."""
    text = "one"
    first = line()
    for _ in range(2):
        logger.info(text)
    logger.info(text)
    assert [record.lineno - first for record in caplog.records] == [2, 2, 3]


def test_level_and_filters_count(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """A line that is known already is still said only where the logger says such lines."""
    said = []
    for level in (logging.INFO, logging.INFO, logging.WARNING, logging.INFO):
        logger.setLevel(level)
        logger.info("said")
        said.append(len(caplog.records))
    logger.addFilter(lambda _record: False)
    logger.info("filtered")
    assert said == [1, 2, 2, 3]
    assert len(caplog.records) == 3


def test_our_own_requests_are_not_logged(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """The page's questions would fill the log, and the token in their URL is nobody's business."""
    for path in ("/", "/__fastapi_hmr__/events?token=x", "/items/__fastapi_hmr__"):
        logger.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", path, "1.1", 200)
    logger.info("no request")
    assert [record.getMessage().partition("GET ")[2] for record in caplog.records] == [
        '/ HTTP/1.1" 200', '/items/__fastapi_hmr__ HTTP/1.1" 200', "",
    ]  # fmt: skip


FORMATS = (
    '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s',
    "%(asctime)s %(levelprefix)s [%(levelname)s] %(message)s %(status_code)s %(lineno)d",
)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("colors", [True, False])
@pytest.mark.parametrize("level", [logging.INFO, logging.CRITICAL, uvicorn.logging.TRACE_LOG_LEVEL, 23])
@pytest.mark.parametrize("extra", [{}, {"color_message": "%s: %s %s %s %d"}])
def test_line_is_the_one_that_uvicorn_writes(
    logger: logging.Logger, format_: str, colors: bool, level: int, extra: dict[str, str]
) -> None:
    """To the last character, and nothing is left on the record that other handlers get too."""
    handler = logging.StreamHandler()
    handler.setFormatter(uvicorn.logging.AccessFormatter(format_, use_colors=colors))
    logger.addHandler(handler)
    lines = []
    left = []
    for _ in ("uvicorn's", "ours"):
        records = [
            logger.makeRecord("x", level, "f.py", 7, '%s - "%s %s HTTP/%s" %d', args, None, "f", extra)
            for args in (("1.2.3.4:5", "GET", "/%20?a=%s", "1.1", status) for status in (101, 200, 307, 404, 500, 799))
        ]
        for record in records:
            record.created = record.msecs = 0.0
        lines.append([handler.format(record) for record in records])
        left.append(
            [{key: value for key, value in vars(record).items() if key[-7:] != "Created"} for record in records]
        )
        access.quicken(logger, hide_ours=True)
    assert type(handler.formatter) is not uvicorn.logging.AccessFormatter
    assert lines[0] == lines[1]
    assert left[0] == left[1]
    assert len(set(lines[0])) == 6


def test_formatter_of_ones_own_is_left_alone(logger: logging.Logger) -> None:
    """A class made from uvicorn's may do other things with the record."""

    class Own(uvicorn.logging.AccessFormatter):
        pass

    handler = logging.StreamHandler()
    handler.setFormatter(Own())
    logger.addHandler(handler)
    access.quicken(logger, hide_ours=True)
    assert type(handler.formatter) is Own
