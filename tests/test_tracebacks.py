"""Error reports: the user's frames with source and columns, whatever the exception is like."""

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastapi_hmr.tracebacks import ErrorReport, Frame, SourceLine, as_text, report
from tests.utils import Project


def raised(project: Project, source: str, name: str = "app.py") -> BaseException:
    """What this source raises when it runs as a file of the project."""
    project[name] = source
    path = project.root / name
    return caught(lambda: exec(compile(path.read_bytes(), str(path), "exec"), {"__name__": "app"}))


def caught(action: Callable[[], Any]) -> BaseException:
    """What `action` raises."""
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def described(project: Project, source: str) -> ErrorReport:
    """The report of what this source raises."""
    return report(raised(project, source), roots=[project.root])


def own(found: ErrorReport) -> list[Frame]:
    """The frames of the project."""
    return [frame for frame in found.frames if not frame.library]


def marked(frame: Frame) -> str:
    """The part of the failing line that the columns mean."""
    text = next(line.text for line in frame.source if line.number == frame.line)
    assert frame.column is not None
    assert frame.end_column is not None
    return text[frame.column : frame.end_column]


def test_frames_are_outermost_first_with_source_around(project: Project) -> None:
    """File, line, function, three lines before and after."""
    found = described(project, "a = 1\nb = 2\nc = 3\ndef fail(x):\n    return x['k']\nd = 4\nfail({})\n")
    assert (found.title, found.message) == ("KeyError", "'k'")
    outer, inner = own(found)
    assert (outer.line, outer.function, inner.line, inner.function) == (7, "<module>", 5, "fail")
    assert inner.file == str(project.root / "app.py")
    assert [line.number for line in inner.source] == [2, 3, 4, 5, 6, 7]
    assert inner.source[3] == SourceLine(5, "    return x['k']")
    assert marked(inner) == "x['k']"


def test_columns_are_characters_not_bytes(project: Project) -> None:
    """Python counts bytes of UTF-8; an editor, a terminal and a browser do not."""
    assert marked(own(described(project, "'äöü€😀', {}['ключ'], 'ß'\n"))[0]) == "{}['ключ']"


def test_columns_of_an_expression_over_several_lines_end_with_the_line(project: Project) -> None:
    """The end belongs to another line."""
    frame = own(described(project, "x = dict(\n    a=1,\n)['no' +\n 'thing']\n"))[0]
    assert marked(frame) == "x = dict("[4:]


def test_tabs_are_one_character(project: Project) -> None:
    """The caret must stand under the right letter, so columns count what is in the line."""
    assert marked(own(described(project, "if True:\n\tx = [][1]\n"))[0]) == "[][1]"


def test_syntax_error_is_a_frame_of_its_own(project: Project) -> None:
    """The place of the error, not that of the import statement; its text without the file and line again."""
    found = described(project, "def ok(): ...\nvalue = (1,\n")
    assert (found.title, found.message) == ("SyntaxError", "'(' was never closed")
    frame = found.frames[-1]
    assert (frame.file, frame.line, frame.library, marked(frame)) == (str(project.root / "app.py"), 2, False, "(")


def test_syntax_error_columns_are_characters(project: Project) -> None:
    """After letters of several bytes too."""
    frame = described(project, "x = 'äöü€' + (\n").frames[-1]
    assert (marked(frame), frame.column) == ("(", 13)


def test_syntax_error_in_an_imported_module_has_both_places(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who imports it, and where the error is; the import machinery is left out."""
    monkeypatch.syspath_prepend(str(project.root))
    project["broken_by_test.py"] = "def (\n"
    found = described(project, "import broken_by_test\n")
    assert [Path(frame.file).name for frame in own(found)] == ["app.py", "broken_by_test.py"]
    assert not [frame for frame in found.frames if "importlib" in frame.file]


def test_syntax_error_in_no_file_shows_its_text(project: Project) -> None:
    """`ast.parse` of a string."""
    found = report(caught(lambda: ast.parse("1 +")), roots=[project.root])
    assert found.frames[-1].source == (SourceLine(1, "1 +"),)


def test_machinery_and_our_own_frames_are_left_out(project: Project) -> None:
    """importlib, hmr and this package are not the user's business; libraries are there, marked."""
    found = described(project, "import importlib, json\nimportlib.import_module('json').loads('{')\n")
    assert not [frame for frame in found.frames if "importlib" in frame.file or "fastapi_hmr" in frame.file]
    assert [Path(frame.file).parent.name for frame in found.frames if frame.library][-1] == "json"
    assert [frame.line for frame in own(found)] == [2]


def test_a_virtualenv_in_the_project_is_library(project: Project) -> None:
    """site-packages below a root is not first-party."""
    error = raised(project, "1 / 0\n", "env/lib/site-packages/lib.py")
    assert report(error, roots=[project.root]).frames[-1].library


def test_the_source_is_that_of_the_present_file(project: Project) -> None:
    """Two errors in one file, with an edit between them: the second report shows the new text."""
    assert own(described(project, "old = {}['first']\n"))[0].source[0].text == "old = {}['first']"
    assert own(described(project, "new = 1\n{}['second']\n"))[0].source[0].text == "new = 1"


def test_did_you_mean_is_part_of_the_message(project: Project) -> None:
    """Python's own hint is not in str(error), and too good to lose."""
    assert "Did you mean: 'response'" in described(project, "response = 1\nrespnse\n").message
    assert "Did you mean: 'append'" in described(project, "[].apend\n").message


def test_causes_are_summarised_with_their_places(project: Project) -> None:
    """`raise ... from`, implicit context, and `from None`."""
    source = "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('outer') %s\n"
    by_cause = described(project, source % "from e")
    assert by_cause.title == "ValueError"
    assert by_cause.note.startswith("caused by KeyError: 'k' (")
    assert by_cause.note.endswith("app.py:2)")
    assert described(project, source % "").note.startswith("while handling KeyError: 'k'")
    assert described(project, source % "from None").note == ""


def test_notes_of_the_exception_are_kept(project: Project) -> None:
    """`add_note()`."""
    assert "try this" in described(project, "e = ValueError('x')\ne.add_note('try this')\nraise e\n").note


def test_a_group_of_one_is_that_one(project: Project) -> None:
    """A lifespan with a TaskGroup raises a group: the error inside is what matters."""
    source = "async def fail():\n    raise ValueError('inner')\n"
    source += "async def main():\n    import asyncio\n    async with asyncio.TaskGroup() as group:\n"
    source += "        group.create_task(fail())\n"
    project["app.py"] = source
    space: dict[str, Any] = {}
    exec(compile(source, str(project.root / "app.py"), "exec"), space)
    found = report(caught(lambda: asyncio.run(space["main"]())), roots=[project.root])
    assert (found.title, found.message) == ("ValueError", "inner")
    assert "unhandled errors in a TaskGroup" in found.note
    assert [frame.function for frame in own(found)] == ["main", "fail"]


def test_a_group_of_several_names_each(project: Project) -> None:
    """One line for each, a long list cut."""
    found = described(project, "raise ExceptionGroup('many', [ValueError(n) for n in range(9)])\n")
    assert found.title == "ExceptionGroup"
    assert "9 errors together" in found.note
    assert "ValueError: 0" in found.note
    assert "and 3 more" in found.note


class UnprintableError(Exception):
    """Its text can't be had."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no text")


class HostileError(Exception):
    """Its text ends the process."""

    def __str__(self) -> str:
        """Exit."""
        raise SystemExit(9)


@pytest.mark.parametrize(
    ("error", "title", "says"),
    [
        (UnprintableError(), "tests.test_tracebacks.UnprintableError", "RuntimeError in __str__"),
        (HostileError(), "tests.test_tracebacks.HostileError", "SystemExit in __str__"),
        (SystemExit(3), "SystemExit", "sys.exit(3)"),
        (SystemExit(), "SystemExit", "sys.exit()"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (SyntaxError("no place"), "SyntaxError", "no place"),
        (SyntaxError("odd", ("nowhere.py", 99, -1, None)), "SyntaxError", "odd"),
        (SyntaxError("odd", ("nowhere.py", 0, 0, "")), "SyntaxError", "odd"),
        (ImportError(), "ImportError", ""),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError", "bad"),
        (ValueError("\ud800 surrogate"), "ValueError", "surrogate"),
    ],
)
def test_odd_exceptions_are_described(error: BaseException, title: str, says: str) -> None:
    """A report never raises."""
    found = report(error, roots=[])
    assert found.title == title
    assert says in found.message
    assert title in as_text(found)


def test_a_huge_message_is_cut() -> None:
    """A validation error with a megabyte of input in it."""
    found = report(ValueError("x" * 1_000_000 + "end"), roots=[])
    assert len(found.message) < 5000
    assert found.message.endswith("end")
    assert "characters left out" in found.message


def test_a_recursion_has_its_middle_left_out(project: Project) -> None:
    """A thousand equal frames say no more than a few."""
    found = described(project, "def again():\n    again()\nagain()\n")
    assert found.title == "RecursionError"
    assert len(found.frames) < 70
    assert any("frames left out" in frame.function for frame in found.frames)
    assert own(found)[0].function == "<module>"


def test_a_cycle_of_causes_ends(project: Project) -> None:
    """Exceptions can be chained into a ring."""
    found = described(project, "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a\n")
    assert found.note == "caused by ValueError: b"


def test_a_source_that_is_not_utf_8_is_shown_as_far_as_possible(project: Project) -> None:
    """A file saved as Latin-1 without saying so is a SyntaxError about its encoding."""
    path = project.root / "latin.py"
    path.write_bytes(b"name = 1\ntext = 'caf\xe9'\n")
    error = caught(lambda: compile(path.read_bytes(), str(path), "exec"))
    found = report(error, roots=[project.root])
    assert found.title == "SyntaxError"
    assert "latin.py" in as_text(found)


def test_a_deleted_file_has_frames_without_source(project: Project) -> None:
    """The code ran, and its file is gone."""
    error = raised(project, "1 / 0\n")
    del project["app.py"]
    frame = own(report(error, roots=[project.root]))[0]
    assert (frame.source, frame.column) == ((), None)


def test_locals_are_never_shown(project: Project) -> None:
    """A report may reach a browser or a chat: secrets stay out."""
    error = raised(project, "def f():\n    password = 'hunter' + str(2)\n    raise ValueError('x')\nf()\n")
    found = report(error, roots=[project.root])
    assert "hunter2" not in repr(found)
    assert "hunter2" not in as_text(found)


def test_text_marks_the_failing_line(project: Project) -> None:
    """Plain text for curl and logs."""
    text = as_text(described(project, "a = 1\nb = {}['ä']\n"))
    assert "KeyError: 'ä'" in text.splitlines()[0]
    assert "    > 2 | b = {}['ä']\n        |     ^^^^^^^\n" in text
    assert f"{project.root / 'app.py'}:2 in <module>" in text


def test_names_of_exceptions_are_as_python_says_them(project: Project) -> None:
    """With their module, but for built-in ones and ours."""
    assert described(project, "class Mine(Exception): ...\nraise Mine('x')\n").title == "app.Mine"
    from fastapi_hmr.exceptions import AppNotFound

    assert report(AppNotFound("x"), roots=[]).title == "AppNotFound"
