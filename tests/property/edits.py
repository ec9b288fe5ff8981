"""Edits: each changes the project as one save would."""

import random
from collections.abc import Callable

from tests.property.model import EARLY_STYLES, KINDS, LATE_STYLES, Block, Module, Project
from tests.property.project import FOLDERS, add_block, add_module, add_plugin

type Edit = Callable[[random.Random, Project], None]


def any_module(rng: random.Random, project: Project) -> Module:
    """One of the modules."""
    return rng.choice(list(project.modules.values()))


def any_block(
    rng: random.Random, project: Project, *, body: bool | None = None
) -> tuple[Module, Block, list[str]] | None:
    """A block with parameters that show only in a body (True), elsewhere (False), or whatever (None)."""
    found = []
    for module in project.modules.values():
        for block in module.blocks:
            names = [k for k, p in KINDS[block.kind].params.items() if body is None or p.body is body]
            if names:
                found.append((module, block, names))
    return rng.choice(found) if found else None


def vary(rng: random.Random, project: Project, *, body: bool) -> None:
    """Give one parameter of one block another value."""
    found = any_block(rng, project, body=body)
    if found is None:
        return
    _, block, names = found
    name = rng.choice(names)
    for _ in range(4):
        value = KINDS[block.kind].params[name].pick(rng)
        if repr(value) != repr(block.values[name]):
            block.values[name] = value
            return


def body(rng: random.Random, project: Project) -> None:
    """Only the body of a function changes."""
    vary(rng, project, body=True)


def value(rng: random.Random, project: Project) -> None:
    """A constant, a field, a decorator, a registration changes."""
    vary(rng, project, body=False)


def two(rng: random.Random, project: Project) -> None:
    """Two files in one save."""
    vary(rng, project, body=rng.random() < 0.5)
    vary(rng, project, body=False)


def many(rng: random.Random, project: Project) -> None:
    """A checkout: many files at once."""
    for _ in range(rng.randrange(4, 10)):
        vary(rng, project, body=rng.random() < 0.4)


def grow(rng: random.Random, project: Project) -> None:
    """A new block in a module."""
    add_block(rng, project, any_module(rng, project))


def shrink(rng: random.Random, project: Project) -> None:
    """A block goes; what refers to it may or may not follow."""
    module = any_module(rng, project)
    if not module.blocks:
        return
    block = module.blocks.pop(rng.randrange(len(module.blocks)))
    if rng.random() < 0.75:
        project.forget({(module.ident, e) for e in KINDS[block.kind].exports(block)})


def rename(rng: random.Random, project: Project) -> None:
    """A block's names change; references follow, or not."""
    module = any_module(rng, project)
    if not module.blocks:
        return
    block = rng.choice(module.blocks)
    old = KINDS[block.kind].exports(block)
    block.name = project.fresh(block.kind[0])
    new = KINDS[block.kind].exports(block)
    follow = rng.random() < 0.7
    for other in project.modules.values():
        for ref in (r for b in other.blocks for r in b.refs.values()):
            if follow and ref.module == module.ident and ref.export in old:
                ref.export = list(new)[list(old).index(ref.export)]


def restyle(rng: random.Random, project: Project) -> None:
    """An import is written in another way."""
    refs = [(b, name, r) for m in project.modules.values() for b in m.blocks for name, r in b.refs.items()]
    if refs:
        block, name, ref = rng.choice(refs)
        late = KINDS[block.kind].slots[name].late
        fallback = () if late or ref.category not in ("const", "func") else ("fallback", "fallback")
        ref.style = rng.choice((*LATE_STYLES,) if late else (*EARLY_STYLES, *fallback))


def reorder(rng: random.Random, project: Project) -> None:
    """Imports or blocks change places."""
    module = any_module(rng, project)
    if rng.random() < 0.5:
        module.flipped = not module.flipped
    else:
        rng.shuffle(module.blocks)


def move(rng: random.Random, project: Project) -> None:
    """A module gets another name or folder; the references follow, mostly."""
    module = any_module(rng, project)
    follow = rng.random() < 0.75
    new = f"app.{rng.choice(FOLDERS)}.{module.ident if rng.random() < 0.5 else project.fresh('m')}"
    if follow:
        module.dotted = new
        return
    ghost = project.fresh("gone")
    project.graves[ghost] = module.dotted
    for other in project.modules.values():
        for ref in (r for b in other.blocks for r in b.refs.values() if r.module == module.ident):
            ref.module = ghost
    module.dotted = new


def delete(rng: random.Random, project: Project) -> None:
    """A module goes; what refers to it may or may not follow."""
    if len(project.modules) < 12:
        return
    module = any_module(rng, project)
    if rng.random() < 0.7:
        project.forget({(module.ident, e) for b in module.blocks for e in KINDS[b.kind].exports(b)})
    project.graves[module.ident] = module.dotted
    del project.modules[module.ident]


def create(rng: random.Random, project: Project) -> None:
    """A new module, imported by main or by nobody yet."""
    module = add_module(rng, project)
    for _ in range(rng.randrange(1, 4)):
        add_block(rng, project, module)


def direct(rng: random.Random, project: Project) -> None:
    """Main starts or stops importing a module."""
    module = any_module(rng, project)
    module.direct = not module.direct


def package(rng: random.Random, project: Project) -> None:
    """A module becomes a package, or a package a module."""
    module = any_module(rng, project)
    module.package = not module.package


def comment(rng: random.Random, project: Project) -> None:
    """A docstring changes."""
    any_module(rng, project).note += 1


def main(rng: random.Random, project: Project) -> None:
    """Something in main.py changes."""
    key = rng.choice(list(project.main))
    project.main[key] = rng.randrange(20)


def startup(rng: random.Random, project: Project) -> None:
    """The lifespan fails, or is mended."""
    if project.main.pop("fails", None) is None:
        project.main["fails"] = 1


def broken(rng: random.Random, project: Project) -> None:
    """A save that cannot work, maybe with a change beside it."""
    damaged = any_module(rng, project).path if rng.random() < 0.9 else "main.py"
    project.broken[damaged] = rng.choice(
        ("syntax", "syntax", "raise", "raise", "exit", "name", "empty", "half", "encoding", "import")
    )
    if rng.random() < 0.3:
        vary(rng, project, body=rng.random() < 0.5)


def format_(rng: random.Random, project: Project) -> None:
    """Other line ends, a byte-order mark, a comment at the end."""
    project.broken[any_module(rng, project).path] = rng.choice(("crlf", "bom", "later", "todo"))


def data(rng: random.Random, project: Project) -> None:
    """A data file changes, goes, comes, or is damaged."""
    path = rng.choice(("data/a.json", "data/b.json", "data/c.json", "data/d.json", ".env", "templates/page.html"))
    text = {
        ".env": f"PROP_NAME=env{rng.randrange(9)}\nPROP_A={rng.randrange(9)}\n",
        "templates/page.html": f"<b>{{{{ n }}}} {rng.randrange(99)}</b>",
    }.get(path, f'{{"n": {rng.randrange(99)}}}')
    if rng.random() < 0.15:
        text = "{"
    if rng.random() < 0.15:
        project.files.pop(path, None)
    else:
        project.files[path] = text


def plugin(rng: random.Random, project: Project) -> None:
    """A plugin or an optional module comes, changes or goes."""
    found = [p for p in project.files if p.startswith(("app/plugins/", "app/opt"))]
    choice = rng.random()
    if found and choice < 0.3:
        del project.files[rng.choice(found)]
    elif found and choice < 0.5:
        path = rng.choice(found)
        project.files[path] = f"{'PLUGIN' if 'plugins' in path else 'SPEED'} = {rng.randrange(99)}\n"
    elif choice < 0.8:
        project.files[f"app/opt{rng.randrange(1, 4)}.py"] = f"SPEED = {rng.randrange(99)}\n"
    else:
        add_plugin(rng, project)


EDITS: dict[Edit, int] = {
    body: 60, value: 18, two: 4, many: 2, grow: 5, shrink: 4, rename: 4, restyle: 4, reorder: 4, move: 3, delete: 2, create: 3,
    direct: 2, package: 3, comment: 1, main: 3, startup: 1, broken: 8, format_: 2, data: 5, plugin: 4,
}  # fmt: skip


def apply(rng: random.Random, project: Project) -> str:
    """One random edit; most broken saves are mended by the next one. Returns its name."""
    mended = ""
    if (project.broken or project.main.get("fails")) and rng.random() < 0.85:
        project.broken.clear()
        project.main.pop("fails", None)
        mended = "mend + "
        if rng.random() < 0.5:
            return "mend"
    edit = rng.choices(list(EDITS), list(EDITS.values()))[0]
    edit(rng, project)
    return mended + edit.__name__.strip("_")
