"""Makes a failing edit history small: fewer saves, blocks, files, lines, as long as it fails in the same way."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.property.model import KINDS, Project
from tests.property.project import render
from tests.property.scenario import History, Tree

type Failure = str
type Ask = Callable[[History], Failure | None]


def failure(result: dict[str, Any]) -> Failure | None:
    """In which way a history fails; None where it passes, or where it never starts."""
    verdicts = result["verdicts"]
    if "error" in verdicts[0]["cold"]:
        return None
    for verdict in verdicts:
        if not verdict["ok"]:
            raised = verdict["cold"].get("error") or ""
            return f"{'; '.join(sorted(verdict['why']))} | {raised.partition(':')[0]}"
    return None


def shrink(history: History, ask: Ask, seconds: float = 60.0) -> History:
    """The smallest history found in the time given that fails as this one does."""
    wanted = ask(history)
    if wanted is None:
        return history
    until = time.monotonic() + seconds

    def fails(candidate: History) -> bool:
        return time.monotonic() < until and ask(candidate) == wanted

    history = fewer_saves(history, fails)
    history = fewer_blocks(history, fails)
    history = fewer_saves(history, fails)
    history = replace(history, trees=[render(p) for p in history.projects])
    history = fewer_files(history, fails)
    return fewer_lines(history, fails)


def fewer_saves(history: History, fails: Callable[[History], bool]) -> History:
    """Drop whole saves, the last first; ask for less."""
    for index in range(len(history.projects) - 1, -1, -1):
        if len(history.projects) < 3:
            break
        projects = history.projects[:index] + history.projects[index + 1 :]
        labels = list(history.labels)
        del labels[max(index - 1, 0)]
        candidate = replace(history, projects=projects, labels=labels)
        if fails(candidate):
            history = candidate
    for request in history.observe:
        candidate = replace(history, observe=[request, request])
        if fails(candidate):
            return candidate
    return history


def fewer_blocks(history: History, fails: Callable[[History], bool]) -> History:
    """Drop blocks of the generated modules from all states, and the modules that are left empty."""
    born = list(dict.fromkeys(b.born for p in history.projects for m in p.modules.values() for b in m.blocks))
    run = len(born) // 2
    while run:
        start = 0
        while start < len(born):
            gone = set(born[start : start + run])
            candidate = replace(history, projects=[without_blocks(p, gone) for p in history.projects])
            if fails(candidate):
                history, born = candidate, born[:start] + born[start + run :]
            else:
                start += run
        run //= 2
    return history


def without_blocks(project: Project, born: set[str]) -> Project:
    """A copy without these blocks, what needs them, and modules that hold nothing more."""
    project = copy.deepcopy(project)
    exports: set[tuple[str, str]] = set()
    for module in project.modules.values():
        exports |= {(module.ident, e) for b in module.blocks if b.born in born for e in KINDS[b.kind].exports(b)}
        module.blocks = [b for b in module.blocks if b.born not in born]
    project.forget(exports)
    for module in [m for m in project.modules.values() if not m.blocks and m.path not in project.broken]:
        project.graves[module.ident] = module.dotted
        del project.modules[module.ident]
    return project


def fewer_files(history: History, fails: Callable[[History], bool]) -> History:
    """Drop files from all trees at once, with every line that names them."""
    for path in sorted({p for tree in history.trees for p in tree}, reverse=True):
        dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        leaf = dotted.rpartition(".")[2].encode()
        without = [{p: drop_naming(c, leaf) for p, c in tree.items() if p != path} for tree in history.trees]
        candidate = replace(history, trees=without)
        if fails(candidate):
            history = candidate
    return history


def drop_naming(content: bytes, word: bytes) -> bytes:
    """The lines that do not name this module."""
    return b"\n".join(line for line in content.split(b"\n") if word not in line)


def fewer_lines(history: History, fails: Callable[[History], bool]) -> History:
    """Drop runs of lines from a file, in all trees at once, halving the runs."""
    for path in sorted({p for tree in history.trees for p in tree}, key=lambda p: (p == "main.py", p)):
        lines = list(dict.fromkeys(line for tree in history.trees for line in tree.get(path, b"").split(b"\n")))
        run = max(len(lines) // 2, 1)
        while run:
            start = 0
            while start < len(lines):
                gone = set(lines[start : start + run])
                candidate = replace(history, trees=[without_lines(tree, path, gone) for tree in history.trees])
                if fails(candidate):
                    history, lines = candidate, lines[:start] + lines[start + run :]
                else:
                    start += run
            run //= 2
    return history


def without_lines(tree: Tree, path: str, gone: set[bytes]) -> Tree:
    """The tree with these lines taken out of one file."""
    if path not in tree:
        return tree
    return {**tree, path: b"\n".join(line for line in tree[path].split(b"\n") if line not in gone)}


def as_source(history: History) -> str:
    """The history as a scenario file of the conformance suite."""
    scenario = history.scenario()
    files: Any = scenario["files"]
    steps: Any = scenario["steps"]
    lines = [
        "SCENARIOS = [",
        "    {",
        f"        'id': {scenario['id']!r},",
        f"        'tags': {scenario['tags']!r},",
        f"        'entry': {scenario['entry']!r},",
        f"        'observe': {scenario['observe']!r},",
        "        'files': {",
    ]
    lines += [f"            {path!r}: {content!r}," for path, content in files.items()]
    lines += ["        },", "        'steps': ["]
    lines += [f"            {step!r}," for step in steps]
    return "\n".join([*lines, "        ],", "    },", "]"]) + "\n"
