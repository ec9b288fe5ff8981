"""What a library does while first-party code imports it: only what is ours, or could be, is anybody's dependency."""

import pytest

from fastapi_hmr.engine import Built
from tests.engine.test_engine import App, app  # noqa: F401 - a fixture


def test_what_a_library_imports_counts_where_it_is_or_could_be_ours(
    app: App,  # noqa: F811 - the fixture
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A first-party module that a library imports, and one that it looks for in vain, belong to who imported the library."""
    library = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(str(library))
    (library / "shelf_a").mkdir()
    (library / "shelf_a" / "__init__.py").write_text("import shelf_a.inner\n")
    (library / "shelf_a" / "inner.py").write_text(
        "import shelf_b\nimport plugin\ntry:\n    import local_settings\nexcept ImportError:\n    pass\n"
    )
    (library / "shelf_b.py").write_text("from pathlib import Path\nTEXT = Path('note.txt').read_text()\n")
    (app.root / "note.txt").write_text("one")
    app.write(
        main="import shelf_a\nimport plugin\napp = plugin.V\n", plugin="import helper\nV = helper.V\n", helper="V = 1\n"
    )
    assert isinstance(app.start(), Built)
    assert app.engine is not None
    asked = list(app.engine.records["main"].statements)
    assert "shelf_a.inner" not in asked
    assert {"plugin", "local_settings", "shelf_b"} <= set(asked)
    assert list(app.engine.records["plugin"].statements) == ["helper"]
    assert app.engine.concerns(app.root / "local_settings.py")
    assert app.engine.concerns(app.root / "note.txt")
    outcome = app.save(helper="V = 2\n")
    assert isinstance(outcome, Built)
    assert (outcome.modules, app.target) == (("main", "plugin", "helper"), 2)


def test_calls_are_heard_where_first_party_code_runs_and_not_in_a_library_that_is_imported(
    app: App,  # noqa: F811 - the fixture
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A framework calls thousands of functions while it is imported, of which none is anybody's dependency."""
    library = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(str(library))
    heard = (
        "import sys\n"
        "def heard():\n"
        "    mine = [tool for tool in range(6) if sys.monitoring.get_tool(tool) == 'fastapi-hmr']\n"
        "    return any(sys.monitoring.get_events(tool) for tool in mine)\n"
    )
    (library / "ear.py").write_text(heard)
    (library / "framework.py").write_text("import ear\nBEFORE = ear.heard()\nimport plugin\nAFTER = ear.heard()\n")
    app.write(
        main="import ear\nFIRST = ear.heard()\nimport framework as f\n"
        "app = [FIRST, f.BEFORE, f.plugin.HEARD, f.AFTER, ear.heard()]\n",
        plugin="import ear\nHEARD = ear.heard()\n",
    )
    assert isinstance(app.start(), Built)
    assert app.target == [True, False, True, False, True]
