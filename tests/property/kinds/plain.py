"""Blocks of plain Python: constants, functions, classes, enums, exceptions, dataclasses."""

from typing import Any, ClassVar, override

from tests.property.model import Block, Kind, Param, Slot, number, one_of
from tests.property.source import Source

READABLE = frozenset({"const", "func", "cls", "enum", "data", "single", "registry", "exc", "dispatch"})
SIMPLE = frozenset({"const", "enum", "exc"})
CALLABLE = frozenset({"func", "cls"})


class Const(Kind):
    """A module-level value, now and then one whose equality or type misleads."""

    name, weight = "const", 5
    params: ClassVar = {
        "value": Param(one_of(0, 1, 2, 3, 5, True, 1.0, "s", "1", None, (1, 2), [1], {"a": 1}, -0.0)),
        "form": Param(one_of("plain", "plain", "plain", "equal", "frozen")),
    }
    slots: ClassVar = {"a": Slot(READABLE)}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"C_{block.name}": "const"}

    @override
    def render(self, block: Block, source: Source) -> None:
        value = repr(block.values["value"])
        if "a" in block.refs:
            value = f"({value}, {source.value(block.refs['a'])})"
        if block.values["form"] == "equal":
            source.add(
                f"class _Same_{block.name}(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\nC_{block.name} = _Same_{block.name}({len(value)})"
            )
        elif block.values["form"] == "frozen":
            source.add(f"C_{block.name} = frozenset([repr({value})])")
        else:
            source.add(f"C_{block.name} = {value}")
        source.probe(block, f"repr(C_{block.name})")


class Func(Kind):
    """A function: plain, cached, wrapped, nested, a generator, a lambda; maybe called at import."""

    name, weight = "func", 7
    params: ClassVar = {
        "n": Param(number(), body=True),
        "step": Param(
            one_of("n", "n + 1", "n * 2", "sum(range(n))", "len(str(n))", "[i for i in range(n % 4)]"), body=True
        ),
        "default": Param(number(9)),
        "form": Param(
            one_of(
                "plain",
                "plain",
                "plain",
                "lru",
                "cache",
                "wrapped",
                "nested",
                "generator",
                "lambda",
                "default-ref",
                "callable",
                "partial",
            )
        ),
        "called": Param(one_of(False, False, True)),
    }
    slots: ClassVar = {
        "a": Slot(READABLE),
        "b": Slot(SIMPLE),
        "late": Slot(frozenset({"const", "enum", "func", "exc", "schema", "model"}), late=True),
    }

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"f_{block.name}": "func"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        fn, form = f"f_{block.name}", v["form"]
        line, late = source.late(block.refs.get("late"))
        a, b = source.value(block.refs.get("a")), source.value(block.refs.get("b"))
        default = b if form == "default-ref" else v["default"]
        result = f"_mix({v['step']}, m, {a}, {b}, {late})"
        head = f"def {fn}(m={default}):"
        if form in ("lru", "cache"):
            source.need("import functools")
            source.add("@functools.lru_cache(maxsize=8)" if form == "lru" else "@functools.cache")
        if form == "wrapped":
            source.need("import functools")
            source.add(
                f"def _wrap_{block.name}(f):\n    @functools.wraps(f)\n    def inner(*a): return ['wrapped', f(*a)]\n    return inner\n@_wrap_{block.name}"
            )
        if form == "nested":
            source.add(
                f"{head}\n    {line}\n    n = {v['n']}\n    def inner(k):\n        return {result.replace('m,', 'k + n,')}\n    return inner(m)"
            )
        elif form == "generator":
            source.add(
                f"def _g_{block.name}(m):\n    {line}\n    n = {v['n']}\n    yield {result}\n    yield n\n{head}\n    return list(_g_{block.name}(m))"
            )
        elif form == "lambda":
            source.add(f"{fn} = lambda n={v['n']}, m={default}: _mix({v['step']}, m, {a}, {b})")
        elif form == "callable":
            source.add(
                f"class _C_{block.name}:\n    def __call__(self, m={default}):\n        {line}\n        n = {v['n']}\n        return {result}\n{fn} = _C_{block.name}()"
            )
        elif form == "partial":
            source.need("import functools")
            source.add(
                f"def _q_{block.name}(k, m={default}):\n    {line}\n    n = {v['n']}\n    return {result}\n{fn} = functools.partial(_q_{block.name}, 1)"
            )
        else:
            source.add(f"{head}\n    {line}\n    n = {v['n']}\n    return {result}")
        late_ref = block.refs.get("late")
        if v["called"] and not (late_ref and late_ref.style == "bottom"):
            source.add(f"V_{block.name} = {fn}()")
            source.probe(block, f"V_{block.name}", suffix="_called")
        source.probe(block, f"{fn}()")


class Holder(Kind):
    """Things that hold on to another module's function or class: tables, bound methods, partials."""

    name, weight = "holder", 2
    params: ClassVar = {"form": Param(one_of("table", "bound", "partial", "closure", "identity"))}
    slots: ClassVar = {"a": Slot(frozenset({"cls"}), required=True), "b": Slot(frozenset({"func"}), required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        cls, fn = source.use(block.refs["a"]), source.use(block.refs["b"])
        source.need("import functools")
        text = {
            "table": f"_h_{block.name} = {{'k': {fn}}}['k']",
            "bound": f"_h_{block.name} = {cls}().value",
            "partial": f"_h_{block.name} = functools.partial({fn})",
            "closure": f"_h_{block.name} = (lambda f: lambda: f())({fn})",
            "identity": f"def _h_{block.name}(one={cls}): return [one is {cls}, isinstance(one(), {cls})]",
        }
        source.add(text[str(block.values["form"])])
        source.probe(block, f"_h_{block.name}()")


class Klass(Kind):
    """A class, maybe a child of another module's, maybe one that keeps a list of its children."""

    name, weight = "klass", 5
    params: ClassVar = {
        "n": Param(number(), body=True),
        "level": Param(number(9)),
        "form": Param(one_of("plain", "plain", "tracks", "property", "classmethod", "slots")),
    }
    slots: ClassVar = {"base": Slot(frozenset({"cls"})), "a": Slot(SIMPLE)}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"K_{block.name}": "cls"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        base = f"({source.use(block.refs['base'])})" if "base" in block.refs else ""
        a = source.value(block.refs.get("a"))
        up = "super().value()" if base else "0"
        form = {
            "tracks": f"    children_{block.name} = []\n    def __init_subclass__(cls, **k):\n        super().__init_subclass__(**k)\n        K_{block.name}.children_{block.name}.append(cls.__name__)\n",
            "property": f"    @property\n    def shown(self): return {v['n']}\n",
            "classmethod": f"    @classmethod\n    def shown(cls): return [cls.__name__, {v['n']}]\n    @staticmethod\n    def fixed(): return {v['n']}\n",
            "slots": "    __slots__ = ('x',)\n",
        }.get(v["form"], "")
        source.lines += f"class K_{block.name}{base}:\n    level_{block.name} = {v['level']}\n{form}    def value(self):\n        return _mix({v['n']}, self.level_{block.name}, {a}, {up})".splitlines()
        source.probe(
            block,
            f"[K_{block.name}().value(), [c.__name__ for c in K_{block.name}.__mro__], sorted(c.__name__ for c in K_{block.name}.__subclasses__()), [isinstance(K_{block.name}(), b) for b in K_{block.name}.__bases__]]",
        )
        if v["form"] == "tracks":
            source.probe(block, f"K_{block.name}.children_{block.name}", suffix="_children")


class EnumBlock(Kind):
    """An enum whose members are compared by identity from elsewhere."""

    name, weight = "enum", 2
    params: ClassVar = {
        "size": Param(one_of(1, 2, 3)),
        "flag": Param(one_of("Enum", "IntEnum", "StrEnum")),
        "start": Param(number(5)),
    }

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"E_{block.name}": "enum"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import enum")
        member = "'s{}'" if v["flag"] == "StrEnum" else "{}"
        source.lines += [
            f"class E_{block.name}(enum.{v['flag']}):",
            *(f"    {'ABC'[i]} = {member.format(v['start'] + i)}" for i in range(v["size"])),
        ]
        source.probe(block, f"[(m.name, m.value) for m in E_{block.name}]")


class Member(Kind):
    """A default that is a member of another module's enum."""

    name, weight = "member", 2
    params: ClassVar = {"extra": Param(number(9))}
    slots: ClassVar = {"a": Slot(frozenset({"enum"}), required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        enum = source.use(block.refs["a"])
        source.add(
            f"M_{block.name} = {enum}.A\ndef is_{block.name}(x=M_{block.name}): return [x is {enum}.A, x in {enum}, {block.values['extra']}]"
        )
        source.probe(block, f"[is_{block.name}(), is_{block.name}({enum}.A)]")


class Raises(Kind):
    """An exception class, child of another's where there is one, and a function that raises it."""

    name, weight = "raises", 2
    params: ClassVar = {"code": Param(number()), "n": Param(number(), body=True)}
    slots: ClassVar = {"base": Slot(frozenset({"exc"}))}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"X_{block.name}": "exc"}

    @override
    def render(self, block: Block, source: Source) -> None:
        base = source.use(block.refs["base"]) if "base" in block.refs else "Exception"
        source.add(
            f"class X_{block.name}({base}):\n    code = {block.values['code']}\ndef raise_{block.name}():\n    raise X_{block.name}({block.values['n']})"
        )


class Catches(Kind):
    """Raises through one import and catches through another."""

    name, weight = "catches", 3
    params: ClassVar = {"n": Param(number(), body=True), "base": Param(one_of(False, True))}
    slots: ClassVar = {"a": Slot(frozenset({"exc"}), required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        ref = block.refs["a"]
        caught = source.use(ref) + (".__bases__[0]" if block.values["base"] else "")
        dotted = source.project.dotted(ref.module)
        source.add(
            f"def catch_{block.name}():\n    import {dotted} as where\n    try:\n        where.raise_{ref.export[2:]}()\n"
            f"    except {caught} as e:\n        return ['caught', type(e).__name__, e.args, {block.values['n']}]"
        )
        source.probe(block, f"catch_{block.name}()")


class Data(Kind):
    """A dataclass, maybe with a parent in another module."""

    name, weight = "data", 2
    params: ClassVar = {
        "n": Param(number()),
        "more": Param(one_of(0, 1, 2)),
        "frozen": Param(one_of("", "(kw_only=True)", "(slots=True)")),
    }
    slots: ClassVar = {"base": Slot(frozenset({"data"})), "a": Slot(SIMPLE)}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"D_{block.name}": "data"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import dataclasses")
        base = f"({source.use(block.refs['base'])})" if "base" in block.refs else ""
        source.lines += [
            f"@dataclasses.dataclass{v['frozen']}",
            f"class D_{block.name}{base}:",
            f"    x_{block.name}: int = {v['n']}",
            *(
                f"    y{i}: object = dataclasses.field(default_factory=lambda: {source.value(block.refs.get('a'))})"
                for i in range(v["more"])
            ),
        ]
        source.probe(
            block, f"[dataclasses.asdict(D_{block.name}()), [f.name for f in dataclasses.fields(D_{block.name})]]"
        )


class Pull(Kind):
    """Imports a module that main does not, and shows what it holds."""

    name, weight = "pull", 2
    slots: ClassVar = {"a": Slot(READABLE | {"schema", "model"}, required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        source.use(block.refs["a"])
        dotted = source.project.dotted(block.refs["a"].module)
        source.need("import sys")
        source.probe(block, f"sorted(k for k in vars(sys.modules[{dotted!r}]) if k.startswith('probe_'))")


class Lazy(Kind):
    """A module `__getattr__` that fetches from elsewhere; at most the last of a module counts."""

    name, weight = "lazy", 1
    params: ClassVar = {"n": Param(number(), body=True)}
    slots: ClassVar = {"late": Slot(frozenset({"const", "enum", "exc"}), required=True, late=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        line, value = source.late(block.refs["late"])
        source.need("import sys")
        source.add(
            f"def __getattr__(name):\n    if name.startswith('lazy_'):\n        {line}\n        return [name, {block.values['n']}, {value}]\n    raise AttributeError(name)"
        )
        source.probe(block, f"sys.modules[__name__].lazy_{block.name}")


class Branch(Kind):
    """Which module is imported depends on another module's value."""

    name, weight = "branch", 2
    params: ClassVar = {"flip": Param(one_of("", "not "))}
    slots: ClassVar = {
        "a": Slot(frozenset({"const"}), required=True),
        "b": Slot(frozenset({"func", "const"}), required=True),
        "c": Slot(frozenset({"func", "const"}), required=True),
    }

    @override
    def render(self, block: Block, source: Source) -> None:
        test = source.use(block.refs["a"])
        arms = [(source.project.dotted(r.module), r.export) for r in (block.refs["b"], block.refs["c"])]
        source.add(
            f"if {block.values['flip']}{test}:\n    from {arms[0][0]} import {arms[0][1]} as _br_{block.name}\nelse:\n    from {arms[1][0]} import {arms[1][1]} as _br_{block.name}"
        )
        source.probe(block, f"repr(_br_{block.name}() if callable(_br_{block.name}) else _br_{block.name})")


class Dispatch(Kind):
    """A singledispatch function that other modules extend."""

    name, weight = "dispatch", 1
    params: ClassVar = {"n": Param(number(), body=True)}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"show_{block.name}": "dispatch"}

    @override
    def render(self, block: Block, source: Source) -> None:
        source.need("import functools")
        source.add(f"@functools.singledispatch\ndef show_{block.name}(x): return ['any', {block.values['n']}]")
        source.probe(block, f"[show_{block.name}(x) for x in (1, 's', 1.5, [])]")


class Extends(Kind):
    """Registers an implementation on another module's singledispatch function."""

    name, weight = "extends", 2
    params: ClassVar = {"n": Param(number(), body=True), "type": Param(one_of("int", "str", "float", "list"))}
    slots: ClassVar = {"a": Slot(frozenset({"dispatch"}), required=True), "b": Slot(SIMPLE)}

    @override
    def render(self, block: Block, source: Source) -> None:
        fn = source.use(block.refs["a"])
        b = source.value(block.refs.get("b"))
        source.add(
            f"_show_{block.name} = {fn}\n@_show_{block.name}.register({block.values['type']})\ndef _s_{block.name}(x): return [{block.values['type']!r}, {block.values['n']}, {b}]"
        )
        source.probe(block, f"_show_{block.name}({block.values['type']}())")
