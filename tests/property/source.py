"""Writes a module's text: imports in every style, the blocks, and the probes that observe them."""

import textwrap

from tests.property.model import KINDS, Block, Module, Project, Ref

VALUES = {
    "const": "{0}",
    "func": "{0}()",
    "cls": "{0}().value()",
    "enum": "[m.name for m in {0}]",
    "exc": "{0}.code",
    "data": "repr({0}())",
    "dispatch": "{0}(1)",
    "registry": "{0}.dump()",
    "single": "{0}.dump()",
    "schema": "sorted({0}.model_fields)",
    "model": "sorted({0}.__table__.c.keys())",
    "router": "{0}.prefix",
}
"""How something of each category is turned into plain data."""

LIVE = "_live"
"""At the end of a probe's name: it reads a file whenever it is asked."""

FALLBACK = {"const": "-1", "func": "lambda: -1"}


class Source:
    """One module being written."""

    def __init__(self, project: Project, module: Module) -> None:
        self.project = project
        self.module = module
        self.imports: list[str] = []
        self.lines: list[str] = []
        self.bottom: list[str] = []
        self.probed: list[str] = []

    def add(self, text: str) -> None:
        """Append lines, dedented."""
        self.lines += textwrap.dedent(text).strip("\n").splitlines()

    def need(self, line: str) -> None:
        """Import something that is not part of the app."""
        if line not in self.imports:
            self.imports.append(line)

    def probe(self, block: Block, expression: str, *, suffix: str = "") -> None:
        """Let `/state` show what this expression gives."""
        self.probed += [f"def probe_{block.name}{suffix}():", f"    return {expression}"]

    def use(self, ref: Ref) -> str:
        """Import at module level; returns the expression that names the export."""
        dotted = self.project.dotted(ref.module)
        package, _, leaf = dotted.rpartition(".")
        alias = f"_{leaf}_{ref.export}"
        match ref.style:
            case "from":
                line, name = f"from {dotted} import {ref.export}", ref.export
            case "from-as":
                line, name = f"from {dotted} import {ref.export} as {alias}", alias
            case "module":
                line, name = f"import {dotted}", f"{dotted}.{ref.export}"
            case "alias":
                line, name = f"import {dotted} as _{leaf}", f"_{leaf}.{ref.export}"
            case "package":
                line, name = f"from {package} import {leaf} as _p{leaf}", f"_p{leaf}.{ref.export}"
            case "relative":
                line, name = f"from {self.relative(dotted)} import {ref.export}", ref.export
            case "star":
                line, name = f"from {dotted} import *", ref.export
            case "importlib":
                self.need("import importlib")
                line, name = f"_i{leaf} = importlib.import_module({dotted!r})", f"_i{leaf}.{ref.export}"
            case "fallback":
                line = f"try:\n    from {dotted} import {ref.export} as {alias}\nexcept ImportError:\n    {alias} = {FALLBACK.get(ref.category, 'None')}"
                name = alias
            case _:
                line, name = f"import {dotted} as _g{leaf}", f"getattr(_g{leaf}, {ref.export!r})"
        self.need(line)
        return name

    def relative(self, dotted: str) -> str:
        """The relative form of an absolute import."""
        here = self.module.dotted.split(".")
        if not self.module.package:
            here = here[:-1]
        there = dotted.split(".")
        common = 0
        while common < min(len(here), len(there)) and here[common] == there[common]:
            common += 1
        return "." * (len(here) - common + 1) + ".".join(there[common:])

    def value(self, ref: Ref | None) -> str:
        """Plain data out of an export imported at module level; `0` for none."""
        if ref is None:
            return "0"
        return VALUES[ref.category].format(self.use(ref))

    def late(self, ref: Ref | None) -> tuple[str, str]:
        """An import statement for a function's body, and the value that it gives."""
        if ref is None:
            return "pass", "0"
        dotted = self.project.dotted(ref.module)
        leaf = dotted.rpartition(".")[2]
        if ref.style == "lazy":
            line, name = f"from {dotted} import {ref.export} as _late", "_late"
        elif ref.style == "lazy-module":
            line, name = f"import {dotted}", f"{dotted}.{ref.export}"
        else:
            self.bottom.append(f"import {dotted} as _b{leaf}")
            line, name = "pass", f"_b{leaf}.{ref.export}"
        return line, VALUES[ref.category].format(name)

    def text(self) -> str:
        """The whole module."""
        for block in self.module.blocks:
            KINDS[block.kind].render(block, self)
        imports = self.imports[::-1] if self.module.flipped else self.imports
        imports = sorted(imports, key=lambda line: line.startswith("_i"))
        head = [
            f'"""Module {self.module.note}."""',
            "from zlib import crc32 as _crc",
            "def _mix(*parts):",
            "    return _crc(repr(parts).encode()) % 99991",
        ]
        return "\n".join([*head, *imports, *self.lines, *self.probed, *dict.fromkeys(self.bottom)]) + "\n"
