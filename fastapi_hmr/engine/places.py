"""Places: which files are first-party, and under which dotted names a file can be imported."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

NEVER = frozenset(("site-packages", "dist-packages", "node_modules", ".git", "__pycache__"))
REPOSITORY = (".git", ".hg", ".jj", ".svn")
CODE = (".py", ".pyc", ".pyi", ".pyd", ".so")
"""Files of modules: those outside of the roots are libraries, which run once per process."""


class Places:
    """Decides by directory, and remembers: asked for every import and every opened file."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(dict.fromkeys(root.resolve() for root in roots))
        standard = Path(os.__file__).resolve().parent  # those of other libraries have names of NEVER
        # A project that lies inside the standard library is the user's own choice.
        self._library = str(standard) if any(root in standard.parents for root in self.roots) else None
        self._roots = tuple(str(root) for root in self.roots)
        self._directories: dict[str, bool] = {}
        self._repositories = tuple(dict.fromkeys(filter(None, map(_repository, self.roots))))
        self._near: dict[str, bool] = {}
        self.elsewhere: set[Path] = set()
        """Files outside of the roots that were asked for and count: an env file above the backend's directory, say."""
        self.on_elsewhere: Callable[[Path], None] = lambda _path: None
        """Called with each of them once, in whatever thread."""
        self._bases: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._real: dict[str, str] = {}

    def refresh(self) -> None:
        """Files changed: links may lead elsewhere."""
        self._real.clear()

    def resolved(self, path: str) -> str:
        """The path without links.  Directories are looked up once until `refresh`, for a package has many files."""
        directory, name = os.path.split(path)
        file = os.path.join(self._resolved_directory(directory), name)  # noqa: PTH118 - hot path: no Path objects
        return os.path.realpath(file) if os.path.islink(file) else file  # noqa: PTH114 - as above

    def _resolved_directory(self, directory: str) -> str:
        """Likewise, each from the one above it: a framework comes from fifty directories, seven levels down."""
        base = self._real.get(directory)
        if base is None:
            above, name = os.path.split(directory)
            plain = name not in {"", os.curdir, os.pardir} and above != directory
            base = self._real[directory] = self.resolved(directory) if plain else os.path.realpath(directory)
        return base

    def owns(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file is first-party: under a root, and not in an environment or a library."""
        directory = (
            path.rpartition("/")[0] if type(path) is str else ""
        )  # a name that is absolute is looked up as it is
        known = self._directories.get(directory) if directory[:1] == "/" else None
        if known is not None:
            return known
        if directory.endswith("/__pycache__"):  # every second one while a framework is imported
            return False
        directory = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 - hot path: no Path objects
        known = self._directories.get(directory)
        if known is None:
            known = self._directories[directory] = self._ours(self._resolved_directory(directory))
        return known

    def reads(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file counts where a module reads it or looks for it: a first-party one, or data beside the roots.

        A project may have its env file or its data above the directory that the app is started in. Such a file is
        the user's own if it is in the same repository.
        """
        if self.owns(path):
            return True
        if not self._repositories:
            return False
        text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - asked for every file that a library is made of
        directory, name = os.path.split(text)
        near = self._near.get(directory)
        if near is None:
            resolved = self._resolved_directory(directory)
            near = self._near[directory] = any(self._below(resolved, top) for top in self._repositories)
        if not near or name.endswith(CODE) or os.path.isdir(text):  # noqa: PTH112 - as above
            return False
        if (found := real(text)) not in self.elsewhere:
            self.elsewhere.add(found)
            self.on_elsewhere(found)
        return True

    def owns_directory(self, path: str | os.PathLike[str]) -> bool:
        """Whether a directory holds first-party files."""
        return self.owns(os.path.join(path, "x"))  # noqa: PTH118 - as above

    def _ours(self, directory: str) -> bool:
        for root in self._roots:
            if directory == root or directory.startswith(root.rstrip(os.sep) + os.sep):
                return self._below(directory, root)
        return False

    def _below(self, directory: str, top: str) -> bool:
        if directory == top:
            return True
        return directory.startswith(top.rstrip(os.sep) + os.sep) and self._clean(directory, top)

    def _clean(self, directory: str, root: str) -> bool:
        if self._library is not None and f"{directory}{os.sep}".startswith(f"{self._library}{os.sep}"):
            return False
        here = Path(directory)
        while str(here) != root:
            if here.name in NEVER or (here / "pyvenv.cfg").exists():
                return False
            here = here.parent
        return True

    def dotted(self, path: Path) -> set[str]:
        """Every module name that the import system would look for in this file, by today's sys.path."""
        if path.suffix != ".py":
            return set()
        names = set()
        text = str(path)
        for base in self._search_path():
            if text.startswith(base):
                parts = text[len(base) :].removesuffix(".py").split(os.sep)  # noqa: PTH206 - the rest of a path, as text
                if parts[-1] == "__init__":
                    parts.pop()
                if parts and all(part.isidentifier() for part in parts):
                    names.add(".".join(parts))
        return names

    def _search_path(self) -> Iterable[str]:
        current = tuple(map(os.fspath, sys.path))
        if self._bases[0] != current:
            resolved = (os.path.realpath(entry or os.curdir).rstrip(os.sep) + os.sep for entry in current)
            self._bases = (current, tuple(dict.fromkeys(resolved)))
        return self._bases[1]


def _repository(root: Path) -> str | None:
    """The top of the repository that a root is below; a home directory that is one holds more than the project."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none, as in a container
    for folder in (root, *root.parents):
        if folder == home:
            return None
        if any((folder / name).exists() for name in REPOSITORY):
            return str(folder) if folder != root else None
    return None


def real(path: str | os.PathLike[str]) -> Path:
    """The path with its directory resolved and its own name kept, so that a missing or linked file keeps its name."""
    text = os.path.abspath(path)  # noqa: PTH100 - hot path
    return Path(os.path.realpath(os.path.dirname(text)), os.path.basename(text))  # noqa: PTH119, PTH120
