"""Which editor a source line opens in, and by which URL."""

import pytest

from fastapi_hmr.browser.editor import EDITORS, editor_link, editor_url


@pytest.mark.parametrize("name", EDITORS)
def test_editor_can_be_named(name: str) -> None:
    """Each known name gives a link with file, line and column."""
    template, complaint = editor_url({"FASTAPI_HMR_EDITOR": name.upper(), "TERM_PROGRAM": "zed"})
    assert not complaint
    link = editor_link(template, "/a b/c.py", 7, 2)
    assert "/a%20b/c.py" in link
    assert "7" in link
    assert "{" not in link


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"TERM_PROGRAM": "vscode"}, "vscode"),
        (
            {
                "TERM_PROGRAM": "vscode",
                "TERM_PROGRAM_VERSION": "1.9-insider",
                "VSCODE_GIT_ASKPASS_NODE": "/x/Code - Insiders",
            },
            "vscode-insiders",
        ),
        ({"TERM_PROGRAM": "vscode", "CURSOR_TRACE_ID": "x"}, "cursor"),
        ({"TERM_PROGRAM": "vscode", "VSCODE_GIT_ASKPASS_NODE": "/opt/Cursor/cursor"}, "cursor"),
        ({"TERM_PROGRAM": "vscode", "VSCODE_GIT_ASKPASS_NODE": "/opt/windsurf/x"}, "windsurf"),
        ({"TERM_PROGRAM": "vscode", "VSCODE_GIT_ASKPASS_MAIN": "/opt/VSCodium/x"}, "vscodium"),
        ({"TERM_PROGRAM": "zed"}, "zed"),
        ({"ZED_TERM": "true"}, "zed"),
        ({"TERMINAL_EMULATOR": "JetBrains-JediTerm"}, "pycharm"),
        ({"PYCHARM_HOSTED": "1"}, "pycharm"),
        ({"VISUAL": "code --wait"}, "vscode"),
        ({"EDITOR": "/usr/local/bin/subl -w"}, "sublime"),
        ({"EDITOR": "C:\\Apps\\zed.exe"}, "zed"),
        ({"VISUAL": "vim", "EDITOR": "emacsclient -t"}, "emacs"),
    ],
)
def test_editor_is_guessed(environ: dict[str, str], name: str) -> None:
    """From the terminal, then from the usual variables."""
    assert editor_url(environ) == (EDITORS[name], "")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"EDITOR": "vim"},
        {"EDITOR": ""},
        {"TERM_PROGRAM": "Apple_Terminal"},
        {"FASTAPI_HMR_EDITOR": "none", "EDITOR": "code"},
    ],
)
def test_no_editor_no_link(environ: dict[str, str]) -> None:
    """Unknown, or not wanted: plain text."""
    assert editor_url(environ) == ("", "")
    assert editor_link("", "/a.py", 1, 0) == ""


@pytest.mark.parametrize(
    "template",
    [
        "my-editor://open?f={file}&l={line}",
        "nvim://file/{file}:{line}",
        "vscode://vscode-remote/wsl+Debian{file}:{line}",
    ],
)
def test_editor_can_be_a_template(template: str) -> None:
    """Any URL scheme of one's own; with or without a slash before {file}."""
    assert editor_url({"FASTAPI_HMR_EDITOR": template}) == (template, "")
    assert "//a" not in editor_link(template, "/a.py", 3, None).replace("://a", "")


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert('{file}')",
        "JavaScript:{file}",
        "data:text/html,{file}",
        "http://x/{file}",
        "file://{file}",
        "vscode://file",
        "notepad",
        "x y://{file}",
        "{file}",
        'a:"{file}',
    ],
)
def test_template_that_is_none_is_refused_in_words(template: str) -> None:
    """No script, no web page, nothing without a file; the complaint says what would do."""
    url, complaint = editor_url({"FASTAPI_HMR_EDITOR": template})
    assert url == ""
    assert repr(template) in complaint
    assert "vscode" in complaint


@pytest.mark.parametrize(
    ("file", "link"),
    [
        ("/app/a b.py", "vscode://file/app/a%20b.py:3:5"),
        ("/app/<x>?#.py", "vscode://file/app/%3Cx%3E%3F%23.py:3:5"),
        ("/app/\u00fc.py", "vscode://file/app/%C3%BC.py:3:5"),
        ("C:\\app\\a.py", "vscode://file/C:/app/a.py:3:5"),
        ("/app/{line}.py", "vscode://file/app/%7Bline%7D.py:3:5"),
        ("<string>", ""),
        ("<frozen importlib._bootstrap>", ""),
    ],
)
def test_link_is_a_url(file: str, link: str) -> None:
    """Percent-encoded, columns from 1; what is no file has none."""
    assert editor_link(EDITORS["vscode"], file, 3, 4) == link
