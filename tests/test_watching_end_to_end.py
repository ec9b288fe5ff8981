"""How files come and change, and by whose hand: what is an edit is served, what is none reloads nothing."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.utils import Project, Server, wait_until

MAIN = """
import os
from fastapi import FastAPI
from value import VALUE

app = FastAPI()

@app.get("/")
def root():
    return VALUE

@app.get("/process")
def process():
    return [os.getpid(), os.environ.get("COLOUR")]
"""


def text(value: int) -> str:
    """A version of the module that is saved."""
    return f"VALUE = {value}\n"


def in_place(path: Path, new: str) -> None:
    """The file is emptied and written: most small editors."""
    path.write_text(new)


def slowly(path: Path, new: str) -> None:
    """The same by a slow disk: for a moment it is empty."""
    with path.open("w") as file:
        time.sleep(0.03)
        file.write(new)


def by_rename(path: Path, new: str) -> None:
    """Written beside it and renamed: VS Code's atomic writes, PyCharm, gedit."""
    beside = path.with_name(f"{path.name}___jb_tmp___")
    beside.write_text(new)
    path.rename(path.with_name(f"{path.name}___jb_old___"))
    beside.rename(path)
    path.with_name(f"{path.name}___jb_old___").unlink()


def as_vim(path: Path, new: str) -> None:
    """A swap file, a trial of the folder, a backup, and for a moment there is no such file."""
    swap, trial, backup = path.with_name(f".{path.name}.swp"), path.with_name("4913"), path.with_name(f"{path.name}~")
    swap.write_bytes(b"b0VIM")
    trial.touch()
    trial.unlink()
    path.rename(backup)
    time.sleep(0.01)
    path.write_text(new)
    backup.unlink()
    swap.unlink()


def as_emacs(path: Path, new: str) -> None:
    """A dangling link for a lock, an autosave file, a backup that stays."""
    lock, autosave = path.with_name(f".#{path.name}"), path.with_name(f"#{path.name}#")
    lock.unlink(missing_ok=True)
    lock.symlink_to("somebody@somewhere.4711:1")
    autosave.write_text(new)
    path.with_name(f"{path.name}~").write_text(path.read_text())
    path.write_text(new)
    autosave.unlink()
    lock.unlink()


STYLES = [in_place, slowly, by_rename, as_vim, as_emacs]


def reloads(server: Server) -> list[str]:
    """What the terminal says about edits."""
    return [line for line in list(server.lines) if any(word in line for word in ("reload  ", "failed", "restart  "))]


@pytest.fixture(params=["", "true"], ids=["events", "polling"])
def server(request: pytest.FixtureRequest, project: Project, serve: Serve) -> Server:
    """A small app, watched by events, or by looking where events do not arrive."""
    project["main.py"], project["value.py"] = MAIN, text(0)
    env = {"WATCHFILES_FORCE_POLLING": request.param} if request.param else {}
    server = serve("main:app", "--no-access-log", **env)
    server.wait_for("/", 0)
    return server


def test_each_way_to_save_is_one_reload(server: Server, project: Project) -> None:
    """None of the states in between is taken for an edit, nor are an editor's own files."""
    save: Callable[[Path, str], None]
    for value, save in enumerate(STYLES * 2, start=1):
        save(project.root / "value.py", text(value))
        server.wait_for("/", value)
    server.wait_for_line(r"reload .*value\.py", count=2 * len(STYLES))
    assert not [line for line in reloads(server) if "value.py" not in line or "failed" in line], server.output


def test_new_folder_is_watched(server: Server, project: Project) -> None:
    """A package that was not there at the start, and one in it."""
    project["new/__init__.py"], project["new/deeper/value.py"] = "", text(1)
    project["value.py"] = "from new.deeper.value import VALUE\n"
    server.wait_for("/", 1)
    project["new/deeper/value.py"] = text(2)
    server.wait_for("/", 2)


def test_link_is_followed(server: Server, project: Project) -> None:
    """A module that is a link: an edit of the file it leads to counts, and so does a link that leads elsewhere."""
    real, other = project.root.parent / "real.py", project.root.parent / "other.py"
    real.write_text(text(1))
    other.write_text(text(3))
    link = project.root / "value.py"
    link.unlink()
    link.symlink_to(real)
    server.wait_for("/", 1)
    real.write_text(text(2))
    server.wait_for("/", 2)
    staged = project.root.parent / "staged"
    staged.symlink_to(other)
    staged.replace(link)
    server.wait_for("/", 3)
    other.write_text(text(4))
    server.wait_for("/", 4)


BESIDE = """
from functools import lru_cache
from pathlib import Path
from fastapi import FastAPI

name = Path("../.env").read_text().strip()
app = FastAPI()

@lru_cache
def late():
    return Path("../late.txt").read_text()

@app.get("/")
def root():
    return [name, late()]
"""


@pytest.mark.parametrize("polling", ["", "true"], ids=["events", "polling"])
def test_data_above_the_project_counts_where_the_repository_is_one(
    polling: str, project: Project, serve: Serve
) -> None:
    """An env file beside the backend's folder, as templates of two halves have it: read at import, or by a request."""
    top = project.root.parent
    (top / ".git").mkdir()
    (top / ".env").write_text("one")
    (top / "late.txt").write_text("a")
    project["main.py"] = BESIDE
    server = serve("main:app", **({"WATCHFILES_FORCE_POLLING": polling} if polling else {}))
    server.wait_for("/", ["one", "a"])
    for value, save in enumerate(STYLES):
        save(top / ".env", str(value))
        server.wait_for("/", [str(value), "a"])
    (top / "late.txt").write_text("b")
    server.wait_for("/", [str(len(STYLES) - 1), "b"])
    (top / ".env").unlink()
    server.wait_for_line("failed .*FileNotFoundError")
    (top / ".env").write_text("back")
    server.wait_for("/", ["back", "b"])
    assert r"../.env, which main reads, changed" in server.output


def test_environment_file_costs_a_new_process(project: Project, serve: Serve) -> None:
    """It was read before anything else; nobody is refused meanwhile, and the next save needs none."""
    project["main.py"], project["value.py"], project[".env"] = MAIN, text(0), "COLOUR=red\n"
    server = serve("main:app", "--env-file", ".env")
    assert server.json("/process") == [server.process.pid, "red"]
    project[".env"] = "COLOUR=blue\n"
    server.wait_for_line(r"restart +\.env")
    wait_until(lambda: server.json("/process") == [server.process.pid, "blue"], "the new process")
    project["value.py"] = text(1)
    server.wait_for("/", 1)
    assert server.interrupt() == 0


WRITES = """
import logging, os, pathlib, shutil, sqlite3, tempfile
from fastapi import FastAPI, Request
from value import VALUE

database = sqlite3.connect("app.db", check_same_thread=False)
database.execute("pragma journal_mode=wal")
database.execute("create table if not exists notes (text)")
logging.basicConfig(filename="app.log", force=True)
pathlib.Path("uploads").mkdir(exist_ok=True)
START = os.times().elapsed
app = FastAPI()

@app.get("/")
def root():
    return VALUE

@app.get("/start")
def start():
    return START

@app.post("/upload")
async def upload(request: Request, name: str):
    body = await request.body()
    with database:
        database.execute("insert into notes values (?)", (name,))
    logging.warning("uploaded %s", name)
    pathlib.Path("uploads", name).write_bytes(body)
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(body)
    shutil.move(file.name, f"uploads/moved-{name}")
    pathlib.Path("uploads/new").mkdir(exist_ok=True)
    return len(os.listdir("uploads"))
"""


def test_what_the_app_writes_reloads_nothing(project: Project, serve: Serve) -> None:
    """SQLite with its -wal, a log, uploads of every kind, modules among them: no reload, and no request that waits."""
    project["main.py"], project["value.py"] = WRITES, text(0)
    server = serve("main:app", "--reload")
    server.wait_for("/", 0)
    start = server.json("/start")
    for number in range(20):
        for suffix in ("txt", "html", "json", "css", "py", "sqlite3"):
            server.post(f"/upload?name={number}.{suffix}", content=b"x = 1\n")
        time.sleep(0.05)
    assert (project.root / "app.db-wal").exists()
    time.sleep(1.2)  # as long as the news of our own writes counts as such
    server.post("/upload?name=last.txt", content=b"x")
    assert server.json("/start") == start
    assert reloads(server) == []
    project["value.py"] = text(1)
    server.wait_for("/", 1)
    assert len(reloads(server)) == 1
