"""Finds the app without importing it: import string, path, `__main__` or the usual places."""

import ast
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi_hmr.config import AppSource, did_you_mean, read_pyproject
from fastapi_hmr.exceptions import AppNotFound, ConfigError
from fastapi_hmr.resolve import PREFERRED, PREFERRED_FACTORIES

USUAL_PLACES = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
# Compiled by those starts that need them.
_APPS = r"(?m)^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)*(?:FastAPI|Starlette)\("
_FACTORIES = r"(?m)^def\s+(\w+)"
_MAKES_AN_APP = r"(?m)^(?:app|api)\b\s*(?::[^=]+)?=|\b(?:FastAPI|Starlette)\("


def discover(argument: str | None, *, app_dir: str | None = None, factory: bool = False) -> AppSource:
    """Where the app is that the command line means, without importing anything.

    Raises AppNotFound where there is no such module or file, ConfigError where pyproject.toml is broken.
    """
    base = Path(app_dir or ".")
    if not base.is_dir():
        raise ConfigError(f"--app-dir {str(base)!r} is not a directory: give the one that holds the app's package")
    base = base.resolve()
    if argument:
        return _named(argument, base, bool(app_dir), factory, "")
    entrypoint = _entrypoint(base)
    if entrypoint:
        return _named(entrypoint, base, bool(app_dir), factory, "[tool.fastapi] entrypoint in pyproject.toml")
    found = _usual_place(base)
    if found is None:
        raise AppNotFound(
            f"no app was named, and {base} has none of {', '.join(USUAL_PLACES)}, nor src/ with one of them: "
            "name it, as in `fastapi-hmr package.module:app`"
        )
    return _from_file(found, None, base, bool(app_dir), factory, f"found in {found.relative_to(base)}")


def main_source(app: object | str, frame_globals: Mapping[str, Any], *, app_dir: str | None = None) -> AppSource:
    """Where the app is that a running script hands to `dev()`: the object itself, or an import string.

    Raises AppNotFound where the script is no file, or where the object is not one of its globals.
    """
    if isinstance(app, str):
        return _imported(app, [Path(app_dir)] if app_dir is not None else [Path(entry) for entry in sys.path])
    module, file = _real_name(frame_globals)
    names = [name for name, value in frame_globals.items() if value is app and not name.startswith("__")]
    if not names:
        raise AppNotFound(
            f"the {type(app).__name__} given to dev() is not a global of {file.name}, so it can't be found again "
            f'after a save: assign it first (`app = ...`, above the `if __name__ == "__main__"` block), '
            f'or pass an import string, as in dev("{module}:create_app", factory=True)'
        )
    lasting = [name for name in names if not _only_under_main(file, name)]
    if not lasting:
        raise AppNotFound(
            f'{names[0]!r} is made inside the `if __name__ == "__main__"` block of {file.name}, which does not run '
            "again after a save: make it above that block"
        )
    attribute = next((name for name in PREFERRED if name in lasting), lasting[0])
    return AppSource(module, attribute, _above(file, module), origin=f"dev() in {file.name}", file=file)


def likely(source: AppSource) -> AppSource:
    """With the attribute that will be found, as far as the text tells: to be shown before the module runs."""
    if source.attribute or source.file is None or not source.file.is_file():
        return source
    names = set(re.findall(_FACTORIES if source.factory else _APPS, _text(source.file)))
    found = next((name for name in (PREFERRED_FACTORIES if source.factory else PREFERRED) if name in names), None)
    if found is None and len(names) == 1 and not source.factory:
        found = names.pop()
    return source._replace(attribute=found)


def locate(module: str, search: Iterable[Path]) -> tuple[Path, Path] | None:
    """The file of a module and the entry of `search` (or folder) it is found under, importing nothing.

    None where there is no such module.  A package without `__init__.py` is its directory.
    """
    top, *rest = module.split(".")
    for entry in search:
        spec = importlib.machinery.PathFinder.find_spec(top, [str(entry.resolve())])
        if spec is not None and (file := _walk(spec, top, rest)) is not None:
            return file, entry.resolve()
    try:
        spec = importlib.util.find_spec(top)  # an editable install has a finder of its own
    except (ImportError, ValueError):
        return None
    if spec is None or (file := _walk(spec, top, rest)) is None:
        return None
    return file, _above(file, module)


def _walk(spec: importlib.machinery.ModuleSpec, name: str, rest: Sequence[str]) -> Path | None:
    for part in rest:
        if spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        inner = importlib.machinery.PathFinder.find_spec(name, list(spec.submodule_search_locations))
        if inner is None:
            return None
        spec = inner
    if spec.has_location and spec.origin:
        return Path(spec.origin).resolve()
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0]).resolve() if folders else None


def _named(argument: str, base: Path, chosen: bool, factory: bool, origin: str) -> AppSource:
    """What somebody wrote: a path, perhaps with `:attribute`, or an import string."""
    left, colon, right = argument.rpartition(":")
    location, attribute = (left, right) if colon else (argument, None)
    if colon and not (left and right):
        raise AppNotFound(f"{argument!r} is not complete: write `package.module:app` or `path/to/file.py:app`")
    path = _as_path(location, base) if _is_path(location) else _as_name(location, attribute, base)
    if path is None:
        return _import_string(argument, location, attribute, base, chosen, factory, origin)
    if path.is_dir():
        return _from_directory(path, attribute, base, chosen, factory, origin)
    return _from_file(path, attribute, base, chosen, factory, origin)


def _is_path(location: str) -> bool:
    return "/" in location or "\\" in location or location.endswith(".py") or location.startswith(("~", "."))


def _as_path(location: str, base: Path) -> Path:
    """The file or directory that is meant, from here or from --app-dir."""
    for path in (Path(location).expanduser(), base / location):
        if path.exists():
            return path.resolve()
    parent = (base / location).parent
    near = did_you_mean(Path(location).name, [p.name for p in parent.iterdir()]) if parent.is_dir() else ""
    raise AppNotFound(f"path {location!r} does not exist under {base}{near}: correct it, or name a module")


def _as_name(location: str, attribute: str | None, base: Path) -> Path | None:
    """The directory that a bare name means, which may have its app in one of the usual places; None for a module."""
    folder = base / location
    if attribute or not folder.is_dir():
        return None
    package_first = (folder / "__init__.py").is_file() or not folder.with_suffix(".py").is_file()
    return folder if package_first else None


def _from_directory(
    path: Path, attribute: str | None, base: Path, chosen: bool, factory: bool, origin: str
) -> AppSource:
    init = path / "__init__.py"
    if init.is_file() and (attribute or re.search(_MAKES_AN_APP, _text(init))):
        return _from_file(init, attribute, base, chosen, factory, origin)
    inside = _usual_place(path)
    if inside is not None:
        return _from_file(inside, attribute, base, chosen, factory, f"found in {_short(inside, base)}")
    if init.is_file():
        return _from_file(init, attribute, base, chosen, factory, origin)
    raise AppNotFound(f"directory {str(path)!r} has none of {', '.join(USUAL_PLACES)}: name the file that has the app")


def _from_file(path: Path, attribute: str | None, base: Path, chosen: bool, factory: bool, origin: str) -> AppSource:
    """A file's module name: below --app-dir where that was given, else by the packages that it is in."""
    if path.suffix != ".py":
        raise AppNotFound(f"{str(path)!r} is not a Python file: name the module or the .py file that has the app")
    names = _dotted_below(path, base) if chosen else None
    if names is None:
        names = _package_names(path) or _namespace_names(path, base) or [path.stem]
    depth = len(names) + (path.name == "__init__.py")
    return AppSource(".".join(names), attribute, path.parents[depth - 1], factory, origin, path)


def _dotted_below(path: Path, base: Path) -> list[str] | None:
    if not path.is_relative_to(base):
        return None
    parts = list(path.relative_to(base).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return parts if parts and all(part.isidentifier() for part in parts) else None


def _package_names(path: Path) -> list[str] | None:
    """The dotted name by `__init__.py` files upwards; None outside any package."""
    names = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return names if names and (len(names) > 1 or path.name == "__init__.py") else None


def _namespace_names(path: Path, base: Path) -> list[str] | None:
    """The dotted name in a package without `__init__.py`: told by imports of the package's own name, or relative ones.

    `app/main.py` that says `from app.routers import items` only works as `app.main`.
    """
    text = _text(path)
    folder = path.parent
    names = [path.stem]
    while folder != base and base in folder.parents and folder.name.isidentifier():
        names.insert(0, folder.name)
        if re.search(rf"^\s*(?:from|import)\s+{folder.name}\b", text, re.MULTILINE):
            return names
        folder = folder.parent
    if re.search(r"^\s*from\s+\.", text, re.MULTILINE) and path.parent != base and path.parent.name.isidentifier():
        return [path.parent.name, path.stem]
    return None


def _import_string(
    argument: str, module: str, attribute: str | None, base: Path, chosen: bool, factory: bool, origin: str
) -> AppSource:
    if not all(part.isidentifier() for part in module.split(".")):
        raise AppNotFound(f"{argument!r} is neither a path that exists nor an import string like `package.module:app`")
    if attribute and not all(part.isidentifier() for part in attribute.split(".")):
        raise AppNotFound(f"{attribute!r} in {argument!r} is not an attribute: write `package.module:app`")
    search = [base] if chosen else [base, base / "src"]
    found = locate(module, [*search, *map(Path, sys.path)])
    if found is None:
        raise AppNotFound(_no_module(argument, module, attribute, search))
    file, folder = found
    if file.is_dir():
        inside = _usual_place(file)
        inner = ".".join(inside.relative_to(file).with_suffix("").parts) if inside else ""
        near = f"did you mean `{module}.{inner}:{attribute or 'app'}`?" if inner else "name a module in it"
        raise AppNotFound(f"module {module!r} is the directory {str(file)!r}, which has no __init__.py: {near}")
    return AppSource(module, attribute, folder if folder in search else base, factory, origin, file)


def _imported(text: str, search: Sequence[Path]) -> AppSource:
    """An import string in a script: found as an import in that script would be."""
    module, _, attribute = text.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *(attribute or "x").split("."))):
        raise AppNotFound(f'{text!r} is not an import string: write dev("package.module:app")')
    found = locate(module, search)
    if found is None:
        raise AppNotFound(_no_module(text, module, attribute, search[:1]))
    return AppSource(module, attribute or None, found[1], origin=f"dev({text!r})", file=found[0])


def _no_module(argument: str, module: str, attribute: str | None, search: Sequence[Path]) -> str:
    where = " or ".join(str(folder) for folder in search if folder.is_dir())
    parent, _, last = module.rpartition(".")
    if parent and not attribute and locate(parent, search) is not None:
        return f"no module {module!r} in {where}: for {last!r} in module {parent!r} write `{parent}:{last}`"
    near = did_you_mean(module, _module_names(search))
    return f"no module {module!r} in {where}{near}: correct {argument!r}, or give the folder with --app-dir"


def _module_names(search: Iterable[Path]) -> Iterator[str]:
    for folder in search:
        if folder.is_dir():
            for path in folder.iterdir():
                if path.suffix == ".py":
                    yield path.stem
                elif path.is_dir() and path.name.isidentifier():
                    yield path.name
                    yield from (f"{path.name}.{inner.stem}" for inner in path.glob("*.py"))


def _entrypoint(base: Path) -> str | None:
    """`[tool.fastapi] entrypoint`, from where the app is or from here."""
    for folder in dict.fromkeys((Path.cwd(), base)):
        entrypoint = read_pyproject(folder, "fastapi").get("entrypoint")
        if entrypoint is not None:
            if not isinstance(entrypoint, str) or not entrypoint:
                raise ConfigError(
                    f"{folder / 'pyproject.toml'}: `tool.fastapi.entrypoint` is {entrypoint!r}; "
                    'write it as entrypoint = "package.module:app"'
                )
            return entrypoint
    return None


def _usual_place(base: Path) -> Path | None:
    """The first of the usual files, here, in src/, or in the one package of src/."""
    candidates = [base / place for place in USUAL_PLACES]
    for folder in (base / "src", *sorted(p for p in (base / "src").glob("*/") if (p / "__init__.py").is_file())):
        candidates += [folder / place for place in USUAL_PLACES]
    return next((path for path in candidates if path.is_file()), None)


def _only_under_main(file: Path, name: str) -> bool:
    """Whether a script binds this global in its `__main__` block and nowhere else."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    blocks = [node for node in tree.body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
    inside = {id(node) for block in blocks for statement in block.body for node in ast.walk(statement)}
    binding = [node for node in ast.walk(tree) if name in _bound_by(node)]
    return bool(binding) and all(id(node) in inside for node in binding)


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=renamed):
            yield renamed or name.partition(".")[0]


def _real_name(frame_globals: Mapping[str, Any]) -> tuple[str, Path]:
    """The dotted name that the running script has when it is imported, and its file."""
    name = frame_globals.get("__file__")
    if not name or not Path(name).is_file():
        raise AppNotFound("dev() needs a script in a file, to reload it: put the code into a .py file and run that")
    file = Path(name).resolve()
    spec = frame_globals.get("__spec__")
    if spec is not None and spec.name != "__main__" and spec.origin and Path(spec.origin).resolve() == file:
        return spec.name, file
    return ".".join(_package_names(file) or [file.stem]), file


def _above(file: Path, module: str) -> Path:
    """The folder that a module of this name and file is imported from."""
    depth = module.count(".") + 1 + (file.name == "__init__.py")
    return file.parents[depth - 1] if len(file.parents) >= depth else file.parent


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _short(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
