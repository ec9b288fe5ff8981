"""Builds a project of more than twenty modules, and renders it to a tree of files."""

import random
from typing import Any

import tests.property.kinds  # noqa: F401 - importing it is what fills KINDS
from tests.property.model import KINDS, Block, Module, Project
from tests.property.source import Source

FOLDERS = ("core", "db", "schemas", "services", "routers", "ns")
PACKAGES = ("app", *(f"app.{folder}" for folder in FOLDERS if folder != "ns"), "app.plugins")
FIRST = ("base", "registry", "single", "const", "enum", "raises", "klass", "dispatch", "ids")
"""What the first modules hold, so that later ones find something to refer to."""

LIFESPAN = """
@contextlib.asynccontextmanager
async def lifespan(_api):
    {started}
    api.state.started = {value}
    yield
"""
MAIN = """
def _safe(f):
    try:
        return f()
    except Exception as e:
        return f'raised {type(e).__name__}'
def collect(module):
    return {k: _safe(v) for k, v in sorted(vars(module).items()) if k.startswith('probe_')}
@api.get('/state')
async def state():
    return {name: collect(module) for name, module in MODULES.items()}
@api.get('/life')
async def life():
    return api.state.started
@api.get('/page')
async def page():
    return templates.get_template('page.html').render(n=NUMBER)
"""


def create(rng: random.Random, modules: int) -> Project:
    """A project that starts."""
    project = Project(main={"note": 0, "number": rng.randrange(9), "started": rng.randrange(9)})
    project.files = {
        "data/a.json": '{"n": 1}',
        "data/b.json": '{"n": 2}',
        "data/c.json": '{"n": 3}',
        ".env": "PROP_NAME=env\n",
        "templates/page.html": "<p>{{ n }}</p>",
    }
    for _ in range(rng.randrange(3)):
        add_plugin(rng, project)
    for index in range(modules):
        module = add_module(rng, project, rank=(index + 1) / (modules + 1))
        if index < len(FIRST):
            add_block(rng, project, module, FIRST[index])
        for _ in range(rng.randrange(1, 4)):
            add_block(rng, project, module)
    return project


def add_module(rng: random.Random, project: Project, rank: float | None = None) -> Module:
    """A new, empty module somewhere in the package."""
    ident = project.fresh("m")
    module = Module(ident, f"app.{rng.choice(FOLDERS)}.{ident}", rng.random() if rank is None else rank)
    module.package = rng.random() < 0.1
    module.direct = rng.random() < 0.8
    project.modules[ident] = module
    return module


def add_block(rng: random.Random, project: Project, module: Module, kind: str | None = None) -> Block | None:
    """A new block at the end of a module."""
    names = [kind] if kind else rng.choices(list(KINDS), [k.weight for k in KINDS.values()], k=4)
    for name in names:
        block = KINDS[name].make(rng, project, module)
        if block is not None:
            module.blocks.append(block)
            return block
    return None


def add_plugin(rng: random.Random, project: Project) -> None:
    """A plugin that is found by looking into the folder."""
    name = project.fresh("plug")
    project.files[f"app/plugins/{name}.py"] = f"PLUGIN = {rng.randrange(50)}\n"


def render(project: Project) -> dict[str, bytes]:
    """The whole tree as bytes."""
    tree = {f"{name.replace('.', '/')}/__init__.py": b"" for name in PACKAGES}
    tree |= {path: text.encode() for path, text in project.files.items()}
    for module in project.modules.values():
        tree[module.path] = Source(project, module).text().encode()
    tree["main.py"] = main_text(project).encode()
    for path, how in project.broken.items():
        if path in tree:
            tree[path] = damage(tree[path], how)
    return tree


def damage(content: bytes, how: str) -> bytes:
    """What a save that went wrong leaves."""
    match how:
        case "syntax":
            return content + b"def (:\n"
        case "raise":
            return content + b"raise RuntimeError('half done')\n"
        case "exit":
            return content + b"raise SystemExit(3)\n"
        case "name":
            return content + b"no_such_name\n"
        case "empty":
            return b""
        case "half":
            return content[: len(content) * 2 // 3]
        case "encoding":
            return b"# \xff\xfe\n" + content
        case "import":
            return b"from app.core import nowhere\n" + content
        case "crlf":
            return content.replace(b"\n", b"\r\n")
        case "bom":
            return b"\xef\xbb\xbf" + content
        case _:
            return content + f"# {how}\n".encode()


def main_text(project: Project) -> str:
    """The entry module: imports, the app, and the endpoints that show everything."""
    head = [
        f'"""Main {project.main["note"]}."""',
        "import contextlib, jinja2",
        "from fastapi import FastAPI",
        "from fastapi.responses import JSONResponse",
    ]
    tail: list[str] = ["MODULES = {"]
    for module in main_modules(project):
        head.append(f"import {module.dotted}")
        tail.append(f"    {module.dotted!r}: {module.dotted},")
    tail.append("}")
    started = "raise RuntimeError('no start')" if project.main.get("fails") else "pass"
    functions = [f"{m.dotted}.{e}()" for m, _, e, c in project.exports() if m.direct and c == "func"]
    value = functions[project.main["started"] % len(functions)] if functions else "0"
    body = LIFESPAN.format(started=started, value=f"[{project.main['started']}, repr({value})]").strip().splitlines()
    body += [
        "api = FastAPI(lifespan=lifespan)",
        "templates = jinja2.Environment(loader=jinja2.FileSystemLoader('templates'))",
        f"NUMBER = {project.main['number']}",
    ]
    body += wiring(project)
    return "\n".join([*head, *body, *tail]) + MAIN


def main_modules(project: Project) -> list[Module]:
    """What main imports, in order.

    Also what functions import late: what such a module did to others at the first request would be state of requests,
    which a kept app has and a cold start has not.
    """
    late = {
        ref.module
        for module in project.modules.values()
        for block in module.blocks
        for slot, ref in block.refs.items()
        if KINDS[block.kind].slots[slot].late
    }
    found = [m for m in project.modules.values() if m.direct or m.ident in late]
    return found[::-1] if project.main["note"] % 5 == 4 else found


def wiring(project: Project) -> list[str]:
    """Routers, sub-apps, middleware, overrides and exception handlers of the modules that main imports."""
    lines = []
    for module, block, export, category in project.exports():
        if not module.direct:
            continue
        name = f"{module.dotted}.{export}"
        if category == "router" and block.values["tag"] == "one":
            lines.append(f"api.include_router({name}, prefix='/r')")
        elif category == "mount":
            lines.append(f"api.mount('/{export}', {name})")
        elif category == "middleware":
            lines.append(f"api.add_middleware({name})")
        elif category == "override":
            lines.append(f"api.dependency_overrides.update({name})")
        elif category == "exc":
            lines.append(
                f"api.add_exception_handler({name}, lambda request, e: JSONResponse([{export!r}, e.code, list(e.args)], 418))"
            )
    return lines


def paths(project: Project) -> list[str]:
    """The URLs worth asking for."""
    found = []
    for module, block, export, category in project.exports():
        if category == "router" and module.direct:
            values: dict[str, Any] = block.values
            found += [f"/r/{block.name}{values['prefix']}/{route}" for route in (*values["routes"], "extra")]
        if category == "mount" and module.direct:
            found.append(f"/{export}/")
    return found
