"""Blocks that read, while they are imported, state that others change: before it is changed or after."""

from typing import ClassVar, override

from tests.property.kinds.plain import CALLABLE
from tests.property.model import Block, Kind, Param, Ref, Slot, number, one_of
from tests.property.source import Source

PEEKS = {
    "const": ("{0}", "repr({0})", "[*map(repr, [{0}])]"),
    "cls": (
        "{0}.level_{1}",
        "{0}().level_{1}",
        "sorted(k for k in vars({0}) if k.startswith('patched'))",
        "{0}().value()",
    ),
    "registry": ("len({0}.items)", "list({0}.table)", "bool({0}.items)", "getattr({0}, 'count', 0)"),
    "single": ("{0}.level", "list({0}.flags)", "{0}.limit", "repr({0}.opts)", "sorted(vars({0}))"),
    "func": ("{0}()", "repr({0}())"),
}
"""How a part of something of each category is read, without a function of the module that it belongs to but for some."""


class Peeks(Kind):
    """Keeps what it finds in another module at import, maybe before it imports a third."""

    name, weight = "peeks", 6
    params: ClassVar = {
        "part": Param(number(12)),
        "form": Param(one_of("value", "value", "default", "text", "class", "function", "between", "loop")),
    }
    slots: ClassVar = {
        "a": Slot(frozenset(PEEKS), required=True),
        "after": Slot(frozenset({"const", "func", "cls", "single", "registry"})),
    }

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"P_{block.name}": "const"}

    @override
    def render(self, block: Block, source: Source) -> None:
        ref, name = block.refs["a"], f"P_{block.name}"
        found = self.part(block, ref, source.use(ref))
        text = {
            "default": f"def _p_{block.name}(x={found}): return x\n{name} = _p_{block.name}()",
            "text": f"{name} = f'<{{{found}}}>'",
            "class": f"class _P_{block.name}:\n    kept = {found}\n{name} = _P_{block.name}.kept",
            "function": f"def _p_{block.name}(): return {found}\n{name} = _p_{block.name}()",
            "loop": f"{name} = []\nfor _i in (1, 2):\n    {name}.append({found})",
        }
        source.add(text.get(str(block.values["form"]), f"{name} = {found}"))
        if "after" in block.refs and block.values["form"] == "between":
            source.add(f"import {source.project.dotted(block.refs['after'].module)} as _after_{block.name}")
            source.add(f"{name} = [{name}, {found}]")
        source.probe(block, f"repr({name})")

    @staticmethod
    def part(block: Block, ref: Ref, expression: str) -> str:
        """What is read of it."""
        parts = PEEKS[ref.category]
        part = block.values["part"]
        assert isinstance(part, int)
        return parts[part % len(parts)].format(expression, ref.export[2:])


class Rewrites(Kind):
    """Sets a name of another module, or an attribute of its class, to something else while it is imported."""

    name, weight = "rewrites", 3
    params: ClassVar = {"n": Param(number()), "form": Param(one_of("set", "set", "setattr", "dict", "same"))}
    slots: ClassVar = {"a": Slot(frozenset({"const", *CALLABLE}), required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        ref, n = block.refs["a"], block.values["n"]
        module = f"sys.modules[{source.project.dotted(ref.module)!r}]"
        source.use(ref)
        source.need("import sys")
        if ref.category == "cls":
            source.add(f"{module}.{ref.export}.level_{ref.export[2:]} = {n}")
            return
        value = str(n) if ref.category == "const" else f"lambda m=0: [{n}, m]"
        text = {
            "setattr": f"setattr({module}, {ref.export!r}, {value})",
            "dict": f"vars({module})[{ref.export!r}] = {value}",
            "same": f"{module}.{ref.export} = {module}.{ref.export}",
        }
        source.add(text.get(str(block.values["form"]), f"{module}.{ref.export} = {value}"))
