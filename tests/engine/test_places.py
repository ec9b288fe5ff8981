"""First-party means: under a root, and not in an environment, a library or a tool's folder."""

import sysconfig
from pathlib import Path

import pytest

from fastapi_hmr.engine.places import Places, real


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("main.py", True),
        ("pkg/sub/mod.py", True),
        ("data.json", True),
        ("venv/lib/python3.13/site-packages/x.py", False),
        ("myenv/bin/activate_this.py", False),
        ("node_modules/x/y.py", False),
        (".git/hooks/x.py", False),
        ("../elsewhere.py", False),
    ],
)
def test_owns_by_folder(tmp_path: Path, path: str, *, ours: bool) -> None:
    """Each kind of folder is told apart; an environment is known by its pyvenv.cfg, whatever its name."""
    root = tmp_path / "project"
    (root / "myenv").mkdir(parents=True)
    (root / "myenv" / "pyvenv.cfg").write_text("")
    assert Places([root]).owns(root / path) is ours


def test_owns_files_of_every_root(tmp_path: Path) -> None:
    """Several roots are possible."""
    places = Places([tmp_path / "one", tmp_path / "two"])
    assert places.owns(tmp_path / "one" / "a.py")
    assert places.owns(tmp_path / "two" / "b.py")
    assert not places.owns(tmp_path / "three" / "c.py")


def test_owns_no_library_even_under_a_root() -> None:
    """The standard library is not first-party, though a root may lie above it."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    assert not Places([library.parent]).owns(library / "json" / "__init__.py")


def test_dotted_names_by_search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has a name for each entry of the search path above it; a package's __init__ has the package's."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    places = Places([tmp_path])
    assert places.dotted(tmp_path / "src" / "pkg" / "mod.py") == {"src.pkg.mod", "pkg.mod"}
    assert places.dotted(tmp_path / "src" / "pkg" / "__init__.py") == {"src.pkg", "pkg"}
    assert places.dotted(tmp_path / "notes.md") == set()


def test_real_keeps_the_name_of_a_link(tmp_path: Path) -> None:
    """A linked folder is resolved; the file's own name stays, so that it can be recognised when it is missing."""
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert real(tmp_path / "link" / "missing.py") == tmp_path.resolve() / "target" / "missing.py"


def test_resolved_follows_every_link_on_the_way(tmp_path: Path) -> None:
    """A link to a folder, a folder in it, a link to a file in that: each is followed, also with dots between."""
    real_folder = tmp_path / "target" / "pkg"
    real_folder.mkdir(parents=True)
    (real_folder / "mod.py").write_text("")
    (real_folder / "alias.py").symlink_to(real_folder / "mod.py")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    places, there = Places([tmp_path]), str((real_folder / "mod.py").resolve())
    for path in ("link/pkg/mod.py", "link/pkg/alias.py", "link/../link/./pkg/mod.py", "link//pkg/mod.py"):
        assert places.resolved(f"{tmp_path}/{path}") == there
    (tmp_path / "link").unlink()
    (tmp_path / "other" / "pkg").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "other")
    places.refresh()
    assert places.resolved(f"{tmp_path}/link/pkg/mod.py") == str((tmp_path / "other" / "pkg" / "mod.py").resolve())


def test_data_of_the_same_repository_counts_and_code_of_it_does_not(tmp_path: Path) -> None:
    """What is read above or beside the roots is the user's own where one repository holds both; each is told once."""
    top, root = tmp_path / "top", tmp_path / "top/backend"
    (top / ".git").mkdir(parents=True)
    (top / "venv").mkdir()
    (top / "venv/pyvenv.cfg").touch()
    (root / "app").mkdir(parents=True)
    places, told = Places([root]), list[Path]()
    places.on_elsewhere = told.append
    assert places.reads(root / "app/x.json")
    assert not told
    assert places.reads(top / ".env")
    assert places.reads(f"{root}/../.env")
    assert places.reads(top / "shared/settings.yaml")
    assert told == [top / ".env", top / "shared/settings.yaml"]
    assert not places.owns(top / ".env")
    assert not places.reads(top / "shared/lib.py")
    assert not places.reads(top / "backend")
    assert not places.reads(top / ".git/HEAD")
    assert not places.reads(top / "venv/x.json")
    assert not places.reads(tmp_path / "x.json")


def test_no_data_elsewhere_counts_without_a_repository_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where the root itself is one, nor where it is the home directory."""
    root = tmp_path / "top/backend"
    root.mkdir(parents=True)
    assert not Places([root]).reads(tmp_path / "top/.env")
    (tmp_path / ".git").mkdir()
    assert Places([root]).reads(tmp_path / "top/.env")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not Places([root]).reads(tmp_path / "top/.env")
    monkeypatch.undo()
    (root / ".git").touch()
    assert not Places([root]).reads(tmp_path / "top/.env")
