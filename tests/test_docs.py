"""What the documents say is so: snippets run, options exist, files are there, the pictures are pictures."""

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import uvicorn

import fastapi_hmr
from tests.conftest import Serve
from tests.utils import ROOT, Project, Server, free_port, hmr_argv, wait_until

DOCUMENTS = sorted(
    path.relative_to(ROOT) for folder in (ROOT, ROOT / "docs", ROOT / "example_app") for path in folder.glob("*.md")
)
UVICORN_RELOAD = {"--reload", "--reload-dir", "--reload-include", "--reload-exclude"}
"""Names of uvicorn's that mean something else here, so that they count as ours."""


def blocks(document: str | Path, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


def options(text: str) -> set[str]:
    """The long options named in a text."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))


@pytest.fixture(scope="module")
def help_text() -> str:
    """What `fastapi-hmr --help` prints, in a terminal wide enough."""
    env = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(hmr_argv("--help"), check=True, capture_output=True, text=True, env=env).stdout


def our_options(help_text: str) -> set[str]:
    """The options that are not uvicorn's, or not in uvicorn's meaning."""
    theirs = {name for parameter in uvicorn.main.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return options(help_text) - (theirs - UVICORN_RELOAD) - {"--help"}


def test_readme_names_every_option_of_ours(help_text: str) -> None:
    """No option of ours has to be found by reading the source."""
    ours = our_options(help_text)
    assert ours >= UVICORN_RELOAD
    assert ours - options((ROOT / "README.md").read_text()) == set()


def test_commands_in_the_documents_use_options_that_exist(help_text: str) -> None:
    """Every option in a `fastapi-hmr` or `python -m fastapi_hmr` command, and every one in README's prose, is real."""
    named = options((ROOT / "README.md").read_text())
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for command in re.findall(r"(?:fastapi-hmr|-m fastapi_hmr) [^\n`]*", text):
            named |= options(command.split(" #")[0])
    assert named - options(help_text) == set()


def test_the_two_commands_exist_and_are_executable() -> None:
    """README's `./scripts/...` can be typed as they stand, and CI runs the second."""
    commands = [line.split()[0] for line in "".join(blocks("README.md", "sh")).splitlines() if line.startswith("./")]
    assert commands == ["./scripts/example", "./scripts/test"]
    for command in [*commands, ".ci/run"]:
        assert os.access(ROOT / command, os.X_OK), f"{command} is not executable"
        assert subprocess.run(["bash", "-n", ROOT / command], check=False).returncode == 0
    assert "scripts/test" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link and picture of a document exists, and so does every heading linked to."""
    text = (ROOT / document).read_text()
    headings = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, f"{document} has no heading {target}"
        elif "://" not in target:
            assert ((ROOT / document).parent / target.split("#")[0]).exists(), f"{document} links to {target}"


@pytest.mark.parametrize("picture", re.findall(r"!\[.+?\]\((.+?)\)", (ROOT / "README.md").read_text()))
def test_pictures_are_pictures(picture: str) -> None:
    """README's pictures are PNG or SVG files, wide enough to read and small enough to load."""
    data = (ROOT / picture).read_bytes()
    if picture.endswith(".svg"):
        assert int(ET.fromstring(data).attrib["width"]) >= 600
        assert b"prefers-color-scheme: dark" in data
        return
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    assert width >= 1000
    assert height >= 400
    assert len(data) < 600_000


def test_json_and_python_snippets_can_be_read() -> None:
    """The launch configuration is JSON and starts this package; Python snippets compile."""
    (launch,) = (json.loads(block) for block in blocks("README.md", "json"))
    (configuration,) = launch["configurations"]
    assert configuration["module"] == "fastapi_hmr"
    for document in DOCUMENTS:
        for snippet in blocks(document, "python"):
            compile(snippet, str(document), "exec")


def test_the_dev_snippet_serves(project: Project, serve: Serve) -> None:
    """README's `python main.py` is a dev server."""
    (snippet,) = (block for block in blocks("README.md", "python") if "dev(app" in block)
    project["main.py"] = snippet.replace(
        "dev(app, reload=True)", "import sys; dev(app, reload=True, port=int(sys.argv[1]))"
    )
    assert "int(sys.argv[1])" in project["main.py"]
    server = serve(argv=[sys.executable, "main.py", "{port}"])
    assert server.json("/openapi.json")


def test_the_settings_snippet_sets(project: Project) -> None:
    """README's table in pyproject.toml switches refresh on and chooses the port."""
    (snippet,) = blocks("README.md", "toml")
    port = free_port()
    project["pyproject.toml"] = snippet.replace("9000", str(port))
    project["main.py"] = "from fastapi import FastAPI\n\napp = FastAPI()\n"
    server = Server(hmr_argv("main:app"), project.root, port=port)
    try:
        server.wait_ready()
        server.wait_for_line("pages     refresh after each save")
    finally:
        server.stop()


def test_the_lifespan_snippet_tells_a_reload(project: Project, serve: Serve) -> None:
    """README's lifespan prints nothing at the first start, and the number and reason at the second."""
    (snippet,) = (block for block in blocks("README.md", "python") if "app.state" in block)
    project["main.py"] = snippet
    server = serve("main:app")
    wait_until(lambda: server.get("/openapi.json").status_code == 200, "the first start")
    assert not re.search(r"^start \d", server.output, re.MULTILINE)
    project["main.py"] = snippet + "\nanswer = 42\n"
    server.wait_for_line(r"^start 2, because \S")


def test_the_lifespan_snippet_runs_in_production(project: Project) -> None:
    """Without fastapi-hmr the same lifespan starts and stops."""
    (snippet,) = (block for block in blocks("README.md", "python") if "app.state" in block)
    project["main.py"] = snippet
    program = "import anyio, main\nasync def go():\n async with main.lifespan(main.app): print('up')\nanyio.run(go)"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=project.root, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "up\n", "")


def edits() -> Iterator[tuple[str, list[str]]]:
    """The files of the example's 'edit this, see that' table, each with the code its row names."""
    for row in re.findall(r"^\| (`.+?) \|", (ROOT / "example_app/README.md").read_text(), re.MULTILINE):
        name, *code = re.findall(r"`([^`]+)`", row)
        yield name, code


def test_the_example_table_names_what_is_there() -> None:
    """Each file that the table says to edit exists, and holds what it says to change."""
    rows = dict(edits())
    assert {"routers/pages.py", "templates/day.html", "static/site.css", "models.py", "main.py"} <= set(rows)
    for name, there in {
        "routers/pages.py": "def greeting(",
        "static/site.css": "--accent:",
        "tagger.py": "KEYWORDS = {",
        "models.py": "class EntryBase(",
        "main.py": "def lifespan(",
        "settings.py": '"1.5"',
    }.items():
        assert name in rows
        assert there in (ROOT / "example_app" / name).read_text()
    assert (ROOT / "example_app/templates/day.html").exists()


def test_changelog_has_this_version_and_no_other_newer() -> None:
    """The first version in the changelog is the package's."""
    versions = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == fastapi_hmr.__version__
