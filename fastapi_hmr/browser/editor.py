"""Where a click on a source line leads: an editor's own URL scheme, so that no endpoint of ours runs a command."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from urllib.parse import quote

VARIABLE = "FASTAPI_HMR_EDITOR"
EDITORS = {  # {file} begins with a slash
    "vscode": "vscode://file{file}:{line}:{column}",
    "vscode-insiders": "vscode-insiders://file{file}:{line}:{column}",
    "vscodium": "vscodium://file{file}:{line}:{column}",
    "cursor": "cursor://file{file}:{line}:{column}",
    "windsurf": "windsurf://file{file}:{line}:{column}",
    "zed": "zed://file{file}:{line}:{column}",
    "pycharm": "pycharm://open?file={file}&line={line}&column={column}",
    "idea": "idea://open?file={file}&line={line}&column={column}",
    "sublime": "subl://open?url=file://{file}&line={line}&column={column}",
    "textmate": "txmt://open?url=file://{file}&line={line}&column={column}",
    "emacs": "emacs://open?url=file://{file}&line={line}&column={column}",
}
_COMMANDS = {
    "code": "vscode", "code-insiders": "vscode-insiders", "codium": "vscodium", "vscodium": "vscodium",
    "cursor": "cursor", "windsurf": "windsurf", "zed": "zed", "zeditor": "zed", "charm": "pycharm",
    "pycharm": "pycharm", "idea": "idea", "subl": "sublime", "sublime_text": "sublime", "mate": "textmate",
    "emacs": "emacs", "emacsclient": "emacs",
}  # fmt: skip
_UNSAFE = ("javascript", "data", "vbscript", "http", "https", "blob", "file")
_TEMPLATE = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):[^\s\"<>]*", re.IGNORECASE)


def editor_url(environ: Mapping[str, str]) -> tuple[str, str]:
    """The URL template with {file}, {line}, {column}, and a complaint; both empty where nothing is known or wrong.

    `FASTAPI_HMR_EDITOR` is a name of the list above, a template, or `none`; without it the terminal and the usual
    variables are asked.
    """
    chosen = environ.get(VARIABLE, "").strip()
    if not chosen:
        return EDITORS.get(_guess(environ), ""), ""
    if chosen.lower() in EDITORS:
        return EDITORS[chosen.lower()], ""
    if chosen.lower() == "none":
        return "", ""
    match = _TEMPLATE.fullmatch(chosen)
    if match and match["scheme"].lower() not in _UNSAFE and "{file}" in chosen:
        return chosen, ""
    return "", (
        f"{VARIABLE}={chosen!r} is neither an editor's name nor a URL with {{file}} in it: "
        f"use one of {', '.join(EDITORS)}, or something like 'vscode://file/{{file}}:{{line}}:{{column}}'"
    )


def editor_link(template: str, file: str, line: int, column: int | None) -> str:
    """The URL that opens this place; empty where there is no template or the file is none (`<string>`)."""
    path = file.replace("\\", "/")
    drive = re.match(r"[A-Za-z]:/", path)
    if not template or not (path.startswith("/") or drive):
        return ""
    parts = {
        "file": quote(f"/{path}" if drive else path, safe="/:"),
        "line": str(line),
        "column": str((column or 0) + 1),
    }
    # "/{file}" is what people write who think of a path without its first slash
    return re.sub(
        r"\{(file|line|column)\}", lambda part: parts[part[1]], re.sub(r"(?<!/)/\{file\}", "{file}", template)
    )


def _guess(environ: Mapping[str, str]) -> str:
    if environ.get("TERM_PROGRAM") == "vscode":
        return _vscode_family(environ)
    if environ.get("TERM_PROGRAM", "").lower() == "zed" or environ.get("ZED_TERM"):
        return "zed"
    if "jetbrains" in environ.get("TERMINAL_EMULATOR", "").lower() or environ.get("PYCHARM_HOSTED"):
        return "pycharm"
    for variable in ("VISUAL", "EDITOR", "GIT_EDITOR"):
        command = environ.get(variable, "").split()
        name = PurePath(command[0].replace("\\", "/")).name.lower() if command else ""
        if known := _COMMANDS.get(name.removesuffix(".exe").removesuffix(".cmd")):
            return known
    return ""


def _vscode_family(environ: Mapping[str, str]) -> str:
    """VS Code's descendants set its TERM_PROGRAM too, and give themselves away elsewhere."""
    if environ.get("CURSOR_TRACE_ID"):
        return "cursor"
    home = (environ.get("VSCODE_GIT_ASKPASS_NODE", "") + environ.get("VSCODE_GIT_ASKPASS_MAIN", "")).lower()
    for mark, editor in (("cursor", "cursor"), ("windsurf", "windsurf"), ("codium", "vscodium")):
        if mark in home:
            return editor
    return "vscode-insiders" if "insiders" in home + environ.get("TERM_PROGRAM_VERSION", "") else "vscode"
