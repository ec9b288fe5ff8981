"""What is never watched: tools' folders, virtualenvs, editors' leftovers, what the app writes, and the user's globs."""

import functools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

FOLDERS = frozenset(
    ".git .hg .svn .jj .bzr _darcs .venv .virtualenv .direnv .tox .nox .eggs __pycache__ __pypackages__ node_modules "
    "bower_components jspm_packages site-packages dist-packages .cache .mypy_cache .ruff_cache .pytest_cache .pytype "
    ".pyre .hypothesis .ipynb_checkpoints .idea .vscode .vs .fleet .zed .parcel-cache .next .nuxt .svelte-kit .turbo "
    ".yarn .pnpm-store .terraform .uv-cache htmlcov".split()
)
"""Names of directories that hold no source of the app, wherever they are."""
FILES = r"""
      .*\.py[co] | .*\.pyd\.tmp
    | .*~ | \#.*\# | \.\#.* | 4913
    | .*\.sw[a-px] | .*\.kate-swp | .*\.crswap
    | .*\.tmp\d* | .*\.tmp\.[\w.]+ | .*\.vsctmp | .*\.bak | .*\.orig | .*\.rej
    | sed\w{6} | .*___jb_(?:tmp|old|bak)___ | \.goutputstream-.* | \.fuse_hidden.* | \.nfs[0-9a-f]+ | \.~lock\..*
    | .*\..*-(?:wal|shm|journal)
    | .*\.log(?:\.\w+)* | .*\.pid | .*\.sock
    | \.coverage(?:\..*)? | \.DS_Store | Thumbs\.db | desktop\.ini
    """
"""Names of files that editors, interpreters, databases and the app itself write beside the source."""


@functools.cache
def _files() -> re.Pattern[str]:
    """Compiled for the first name that is no Python file's: that takes longer than to look through a small project."""
    return re.compile(FILES, re.VERBOSE)


class Ignore:
    """Says of a path below `roots` whether to leave it alone; cheap enough to be asked about every file event.

    `excludes` are globs as in .gitignore, relative to each root and to the working directory (`!` takes one back);
    `includes` are globs of files that the defaults would leave out.
    """

    def __init__(self, roots: Sequence[Path], excludes: Iterable[str] = (), includes: Iterable[str] = ()) -> None:
        self._roots = frozenset(str(root) for root in roots)
        self._excluded = compile_globs(excludes, roots)
        self._included = compile_globs(includes, roots)
        self._folders: dict[str, bool] = {}

    def __call__(self, path: Path) -> bool:
        """Whether this file or directory is not to be watched."""
        text = str(path)
        if text in self._roots:
            return False
        parent, name = os.path.split(text)
        if name == "pyvenv.cfg":
            self._folders.clear()  # a virtualenv is being made: what was said of this folder no longer holds
        if self._folder(parent) or self._excluded(text):
            return True
        if name.endswith(".py") and name[0] not in ".#":
            return False  # by far the most, and none of the names below
        if name in FOLDERS or _files().fullmatch(name):
            return not self._included(text)
        # Names with a dot in them are rarely folders; those of virtualenvs are found out by what is in them.
        return "." not in name and _is_virtualenv(text)

    def _folder(self, folder: str) -> bool:
        """Whether a directory is left alone as a whole: asked once for each."""
        known = self._folders.get(folder)
        if known is None:
            parent, name = os.path.split(folder)
            if folder in self._roots or parent == folder:
                known = False
            else:
                own = name in FOLDERS or self._excluded(folder) or _is_virtualenv(folder)
                known = own or self._folder(parent) if self._below_a_root(parent) else own
            self._folders[folder] = known
        return known

    def _below_a_root(self, folder: str) -> bool:
        return any(folder == root or folder.startswith(root.rstrip(os.sep) + os.sep) for root in self._roots)


def compile_globs(globs: Iterable[str], roots: Sequence[Path]) -> Callable[[str], bool]:
    """A test for absolute paths by globs as in .gitignore: the last one that matches decides.

    A glob without a slash matches a name at any depth, one with a slash is relative to a root or to the working
    directory, and one that matches a directory matches everything in it.
    """
    bases = list(dict.fromkeys([*(str(root) for root in roots), os.getcwd()]))  # noqa: PTH109 - strings throughout
    rules: list[tuple[bool, re.Pattern[str]]] = []
    for glob in globs:
        negated = glob.startswith("!")
        text = (glob[1:] if negated else glob).strip().removeprefix("./").rstrip("/")
        if not text:
            continue
        if text.startswith("../"):
            text = os.path.normpath(os.path.join(bases[-1], text))  # noqa: PTH118 - a glob, not a path
        body = _translate(text.lstrip("/"))
        if os.path.isabs(text) and any(_related(text, base) for base in bases):  # noqa: PTH117 - a glob, not a path
            starts = ["/"]
        elif "/" in text:
            starts = [re.escape(base.rstrip("/")) + "/" for base in bases]
        else:
            starts = [re.escape(base.rstrip("/")) + "/(?:.*/)?" for base in bases]
        rules.append((not negated, re.compile(f"(?s:(?:{'|'.join(starts)}){body}(?:/.*)?)")))

    def matches(path: str) -> bool:
        for verdict, pattern in reversed(rules):
            if pattern.fullmatch(path):
                return verdict
        return False

    return matches


def _related(glob: str, base: str) -> bool:
    """Whether an absolute glob can be about something in `base`; else `/data` means `data` at the root, as in git."""
    fixed = re.split(r"[*?\[]", glob, maxsplit=1)[0].rstrip("/")
    return fixed != "" and (fixed.startswith(base) or base.startswith(f"{fixed}/"))


def _translate(glob: str) -> str:
    """A glob as a regular expression: `**` crosses directories, `*` and `?` do not."""
    out: list[str] = []
    at = 0
    while at < len(glob):
        rest = glob[at:]
        if rest.startswith("**/"):
            out.append("(?:.*/)?")
            at += 3
        elif rest.startswith("**"):
            out.append(".*")
            at += 2
        elif (found := re.match(r"\[(!?)(\]?[^\]]*)\]", rest)) is not None:
            inside = found[2].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{'^' if found[1] else ''}{inside}]")
            at += found.end()
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0])))
            at += 1
    return "".join(out)


def _is_virtualenv(folder: str) -> bool:
    return os.path.exists(folder + "/pyvenv.cfg")  # noqa: PTH110 - asked for every new file: a Path costs more
