"""Where an app is served by something else, `dev()` refuses to run: it can't be active in production by mistake."""

import subprocess
import sys

import pytest

from tests.utils import Project, Server, free_port


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An app whose author forgot the `if`."""
    project = Project(tmp_path_factory.mktemp("inert"))
    project["main.py"] = """
        from fastapi import FastAPI
        from fastapi_hmr import dev

        app = FastAPI()
        dev(app, reload=True)
        """
    return project


def test_dev_outside_the_main_block_is_refused_with_the_remedy(project: Project) -> None:
    """One clear line, nothing bound, nothing served."""
    done = subprocess.run(
        [sys.executable, "-c", "import main"], cwd=project.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "fastapi_hmr.dev() was called by 'main'" in last
    assert 'put the call under `if __name__ == "__main__":`' in last
    assert "http://" not in done.stdout + done.stderr


def test_app_with_dev_in_its_main_block_is_its_own_in_production(project: Project) -> None:
    """Plain uvicorn serves it without a byte or a thread of ours."""
    project.edit("main.py", "dev(app, reload=True)", "if __name__ == '__main__':\n    dev(app, reload=True)")
    project["main.py"] += (
        "import sys, threading\n"
        "@app.get('/ours')\n"
        "def ours():\n"
        "    modules = [name for name in sys.modules if name.startswith('fastapi_hmr.')]\n"
        "    return [modules, [thread.name for thread in threading.enumerate() if 'hmr' in thread.name]]\n"
    )
    port = free_port()
    server = Server([sys.executable, "-m", "uvicorn", "main:app", "--port", str(port)], project.root, port=port)
    try:
        server.wait_ready()
        modules, threads = server.json("/ours")
        assert set(modules) <= {"fastapi_hmr.hot", "fastapi_hmr.exceptions"}, "what apps import, and no more"
        assert threads == []
        assert server.get("/__fastapi_hmr__/client.js").status_code == 404
    finally:
        server.stop()
