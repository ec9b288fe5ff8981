"""`fastapi_hmr.dev()` as a user calls it: from a script, from a package's module, with models in other modules."""

import sys

from tests.conftest import Serve
from tests.test_end_to_end import APP, small
from tests.utils import Project

__all__ = ["small"]


def test_python_main_py_does_the_same_as_the_command(small: Project, serve: Serve) -> None:
    """`dev(app)` under `__main__`: edits are served, the module runs under its real name, its block does not run again."""
    small["main.py"] = APP + (
        "\n"
        "@app.get('/name')\n"
        "def name(): return [__name__, root.__code__.co_filename]\n"
        "if __name__ == '__main__':\n"
        "    import fastapi_hmr, sys\n"
        "    print('main block runs', flush=True)\n"
        "    fastapi_hmr.dev(app, port=int(sys.argv[1]))\n"
    )
    server = serve(argv=[sys.executable, "main.py", "{port}"])
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    assert server.json("/name") == ["main", str(small.root / "main.py")]
    small.edit("main.py", "hello", "bonjour")
    server.wait_for("/", {"value": 1, "greeting": "bonjour"})
    small["helper.py"] = "VALUE = 2\n"
    server.wait_for("/", {"value": 2, "greeting": "bonjour"})
    small["helper.py"] = "VALUE = ("
    server.wait_for_line("SyntaxError")
    assert server.json("/") == {"value": 2, "greeting": "bonjour"}
    assert server.lines.count("main block runs") == 1
    assert server.interrupt() == 0


def test_python_m_package_main_does_the_same(project: Project, serve: Serve) -> None:
    """`python -m package.main` with an import string, and relative imports."""
    project["package/__init__.py"] = ""
    project["package/helper.py"] = "VALUE = 1\n"
    project["package/main.py"] = APP.replace("from helper", "from .helper") + (
        "if __name__ == '__main__':\n"
        "    import sys\n"
        "    from fastapi_hmr import dev\n"
        "    dev('package.main:app', port=int(sys.argv[1]))\n"
    )
    server = serve(argv=[sys.executable, "-m", "package.main", "{port}"])
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    project["package/helper.py"] = "VALUE = 2\n"
    server.wait_for("/", {"value": 2, "greeting": "hello"})


def test_dev_with_models_in_other_modules(project: Project, serve: Serve) -> None:
    """`python main.py` has imported the models once already: SQLModel's tables are not defined twice."""
    project["models.py"] = (
        "from sqlmodel import Field, SQLModel\n"
        "class Hero(SQLModel, table=True):\n"
        "    id: int | None = Field(default=None, primary_key=True)\n"
        "    name: str = 'x'\n"
    )
    project["main.py"] = (
        "import sys\n"
        "from fastapi import FastAPI\n"
        "from fastapi_hmr import dev\n"
        "from models import Hero\n"
        "app = FastAPI()\n"
        "@app.get('/')\n"
        "def root(): return sorted(Hero.model_fields)\n"
        "if __name__ == '__main__':\n"
        "    dev(app, port=int(sys.argv[1]))\n"
    )
    server = serve(argv=[sys.executable, "main.py", "{port}"])
    server.wait_for("/", ["id", "name"])
    project.edit("models.py", "name: str", "title: str")
    server.wait_for("/", ["id", "title"])
