"""The measurements behind the README's comparison run, say what they lack, and go on where they were cut short."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.apps import Edit, body, model, save, signature, write
from benchmarks.report import chart, table
from benchmarks.run import Results
from tests.utils import ROOT


def benchmarks(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_a_quick_run_measures_a_server_and_keeps_what_it_measured(tmp_path: Path) -> None:
    """A real server, saves that it serves, a table and a chart; a second run has nothing left to measure."""
    kept, picture = tmp_path / "kept.json", tmp_path / "chart.svg"
    words = ("--quick", "--servers", "fastapi-hmr", "--results", str(kept), "--chart", str(picture))
    first = benchmarks(*words)
    assert first.returncode == 0, first.stderr
    results = json.loads(kept.read_text())
    saves = results["body of a handler, 1 route, ms"]["fastapi-hmr"]
    assert len(saves) == 2
    assert all(milliseconds > 0 for milliseconds in saves)
    assert results["failed requests per save, 1 route"]["fastapi-hmr"] == [0, 0]
    assert len(results["cold start, 1 route, ms"]["fastapi-hmr"]) == 1
    assert first.stdout.splitlines()[0] == "|  | fastapi-hmr |"
    assert "fastapi-hmr" in "".join(ET.fromstring(picture.read_text()).itertext())
    again = benchmarks(*words)
    assert again.stdout == first.stdout
    assert json.loads(kept.read_text()) == results


def test_an_unknown_server_is_refused_by_name() -> None:
    """A typing error must not measure nothing and look done."""
    refused = benchmarks("--servers", "unicorn")
    assert refused.returncode == 2
    assert "'unicorn'" in refused.stderr


def test_the_table_says_never_and_marks_the_best() -> None:
    """A save that was not served is no number, and no server's best."""
    results: Results = {"body of a handler, 1 route, ms": {"jurigged": [12.0, None], "fastapi-hmr": [8.0, 30.0, 9.0]}}
    assert table(results).splitlines()[-1] == "| body of a handler, 1 route, ms | never | **9.0** |"
    assert "never" in chart(results)


@pytest.mark.parametrize("edit", [body, signature, model])
def test_each_edit_changes_what_the_app_answers(edit: Edit, tmp_path: Path) -> None:
    """Or a save would never be seen."""
    folder = tmp_path / "app"
    write(folder, 200)
    code = "from fastapi.testclient import TestClient; import main; print(TestClient(main.app).get('/0/0').text, main.app.openapi())"
    save(edit, folder, "token77")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert "token77" in done.stdout.partition("}")[0]
