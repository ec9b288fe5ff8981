"""Blocks that change one another at import: registries, singletons, counters, plugins, data files."""

from typing import Any, ClassVar, override

from tests.property.kinds.plain import SIMPLE
from tests.property.model import Block, Kind, Module, Param, Project, Slot, number, one_of
from tests.property.source import LIVE, Source

REGISTRY = """
    class _R_{0}:
        def __init__(self):
            self.table = {{}}
            self.items = []
            self.count = {1}
        def on(self, key):
            def register(f):
                {2}
                self.table[key] = f
                self.count += 1
                return f
            return register
        def add(self, f):
            self.items.append(f)
            return f
        def dump(self):
            return [[(k, f()) for k, f in self.table.items()], [f() for f in self.items], self.count]
    R_{0} = _R_{0}()
"""
CLOSURE = """
    def _make_{0}():
        table, items, count = {{}}, [], [{1}]
        class Face:
            @staticmethod
            def on(key):
                def register(f):
                    table[key] = f
                    count[0] += 1
                    return f
                return register
            add = staticmethod(items.append)
            @staticmethod
            def dump():
                return [[(k, f()) for k, f in table.items()], [f() for f in items], count[0]]
        Face.table, Face.items = table, items
        return Face
    R_{0} = _make_{0}()
"""


class Registry(Kind):
    """A registry object: by decorator, by append, by setitem; as a class or in a closure."""

    name, weight = "registry", 3
    params: ClassVar = {"start": Param(number(5)), "form": Param(one_of("class", "closure", "strict"))}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"R_{block.name}": "registry"}

    @override
    def render(self, block: Block, source: Source) -> None:
        form = block.values["form"]
        check = "if key in self.table: raise ValueError('twice: ' + key)" if form == "strict" else "pass"
        source.add((CLOSURE if form == "closure" else REGISTRY).format(block.name, block.values["start"], check))
        source.probe(block, f"R_{block.name}.dump()")


class Registers(Kind):
    """Puts a function of its own into another module's registry."""

    name, weight = "registers", 7
    params: ClassVar = {
        "n": Param(number(), body=True),
        "key": Param(number(40)),
        "style": Param(one_of("deco", "add", "append", "setitem", "lambda", "insert")),
    }
    slots: ClassVar = {"a": Slot(frozenset({"registry"}), required=True), "b": Slot(SIMPLE)}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        reg, b = source.use(block.refs["a"]), source.value(block.refs.get("b"))
        fn, key = f"_h_{block.name}", f"'k{v['key']}'"
        define = f"def {fn}(): return [{v['n']}, {b}]\n"
        if v["style"] == "deco":
            source.add(f"_reg_{block.name} = {reg}\n@_reg_{block.name}.on({key})\n{define}")
            return
        tail = {
            "add": f"{reg}.add({fn})",
            "append": f"{reg}.items.append({fn})",
            "setitem": f"{reg}.table[{key}] = {fn}",
            "insert": f"{reg}.items.insert(0, {fn})",
        }
        source.add(define + tail[v["style"]] if v["style"] in tail else f"{reg}.add(lambda: [{v['n']}, {b}])")


class Single(Kind):
    """An object of which there is one, made at import or on first use."""

    name, weight = "single", 3
    params: ClassVar = {
        "level": Param(number(9)),
        "n": Param(number(), body=True),
        "form": Param(one_of("plain", "plain", "getter", "module")),
    }
    slots: ClassVar = {"a": Slot(SIMPLE)}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"S_{block.name}": "single"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        a = source.value(block.refs.get("a"))
        source.add(
            f"class _S_{block.name}:\n    limit = {v['level']}\n    def __init__(self):\n        self.flags = [{a}]\n        self.level = {v['level']}\n        self.opts = {{'deep': {{'deeper': []}}}}\n    def dump(self):\n        return [{v['n']}, self.limit, *sorted((k, repr(x)) for k, x in vars(self).items())]"
        )
        if v["form"] == "getter":
            source.need("import functools")
            source.add(
                f"@functools.lru_cache\ndef get_{block.name}(): return _S_{block.name}()\nS_{block.name} = get_{block.name}()"
            )
            source.probe(block, f"get_{block.name}() is S_{block.name}", suffix="_same")
        else:
            source.add(f"S_{block.name} = _S_{block.name}()")
        source.probe(block, f"S_{block.name}.dump()")


class Mutates(Kind):
    """Changes another module's singleton while it is imported."""

    name, weight = "mutates", 4
    params: ClassVar = {"n": Param(number()), "style": Param(one_of("append", "iadd", "attr", "deep", "class", "swap"))}
    slots: ClassVar = {"a": Slot(frozenset({"single"}), required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        one, n = source.use(block.refs["a"]), block.values["n"]
        text = {
            "append": f"{one}.flags.append({n})",
            "iadd": f"_o_{block.name} = {one}\n_o_{block.name}.level += {n}",
            "attr": f"_o_{block.name} = {one}\n_o_{block.name}.extra_{block.name} = {n}",
            "deep": f"{one}.opts['deep']['deeper'].append({n})",
            "class": f"type({one}).limit = {n}",
            "swap": f"_o_{block.name} = {one}\n_o_{block.name}.flags = [*_o_{block.name}.flags, {n}]",
        }
        source.add(text[str(block.values["style"])])


class Patches(Kind):
    """Sets an attribute of another module or class from outside."""

    name, weight = "patches", 2
    params: ClassVar = {"n": Param(number()), "style": Param(one_of("module", "class", "method", "constant"))}
    slots: ClassVar = {"a": Slot(frozenset({"cls"}), required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        cls, n = source.use(block.refs["a"]), block.values["n"]
        dotted = source.project.dotted(block.refs["a"].module)
        source.need("import sys")
        text = {
            "module": f"sys.modules[{dotted!r}].patched_{block.name} = {n}",
            "class": f"_c_{block.name} = {cls}\n_c_{block.name}.patched_{block.name} = {n}",
            "method": f"_c_{block.name} = {cls}\n_c_{block.name}.value = lambda self: ['patched', {n}]",
            "constant": f"sys.modules[{dotted!r}].__dict__['patched_{block.name}'] = {n}",
        }
        source.add(text[str(block.values["style"])])
        source.probe(
            block,
            f"[[k for k in vars(sys.modules[{dotted!r}]) if k.startswith('patched')], [k for k in vars({cls}) if k.startswith('patched')], {cls}().value()]",
        )


class Ids(Kind):
    """Numbers handed out in the order of imports."""

    name, weight = "ids", 1
    params: ClassVar = {"start": Param(number(5))}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"ids_{block.name}": "ids"}

    @override
    def render(self, block: Block, source: Source) -> None:
        source.need("import itertools")
        source.add(f"ids_{block.name} = itertools.count({block.values['start']})")


class TakesId(Kind):
    """Takes a number at import."""

    name, weight = "takes", 2
    params: ClassVar = {"times": Param(one_of(1, 2))}
    slots: ClassVar = {"a": Slot(frozenset({"ids"}), required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        ids = source.use(block.refs["a"])
        source.add(f"ID_{block.name} = [next({ids}) for _ in range({block.values['times']})]")
        source.probe(block, f"ID_{block.name}")


class DataFile(Kind):
    """A file read at import or at each call, required or not."""

    name, weight = "datafile", 3
    params: ClassVar = {
        "file": Param(one_of("a.json", "b.json", "c.json")),
        "form": Param(one_of("import", "import", "call", "optional", "listing", "exists")),
    }

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import json, os, pathlib")
        path = f"'data/{v['file']}'"
        read = f"json.loads(pathlib.Path({path}).read_text())"
        text = {
            "import": f"DATA_{block.name} = {read}",
            "call": f"class DATA_{block.name}:\n    def __class_getitem__(cls, k): return {read}[k]",
            "optional": f"try:\n    DATA_{block.name} = json.load(open({path}))\nexcept FileNotFoundError:\n    DATA_{block.name} = {{'n': 'none'}}",
            "listing": f"DATA_{block.name} = {{'n': sorted(os.listdir('data'))}}",
            "exists": f"DATA_{block.name} = {{'n': [os.path.exists({path}), pathlib.Path({path}).is_file()]}}",
        }
        source.add(text[v["form"]])
        source.probe(block, f"DATA_{block.name}['n']", suffix=LIVE if v["form"] == "call" else "")


class Optional(Kind):
    """Uses a module that may not be there."""

    name, weight = "optional", 2
    params: ClassVar = {"which": Param(one_of(1, 2, 3)), "form": Param(one_of("try", "find_spec", "loop"))}

    @override
    def render(self, block: Block, source: Source) -> None:
        name = f"app.opt{block.values['which']}"
        source.need("import importlib, importlib.util")
        text = {
            "try": f"try:\n    from {name} import SPEED as O_{block.name}\nexcept ImportError:\n    O_{block.name} = 'slow'",
            "find_spec": f"O_{block.name} = importlib.import_module({name!r}).SPEED if importlib.util.find_spec({name!r}) else 'absent'",
            "loop": f"O_{block.name} = None\nfor _n in ({name!r}, 'app.opt1', 'app.opt2'):\n    try:\n        O_{block.name} = importlib.import_module(_n).SPEED\n        break\n    except ModuleNotFoundError:\n        continue",
        }
        source.add(text[str(block.values["form"])])
        source.probe(block, f"O_{block.name}")


class Discovers(Kind):
    """Imports whatever lies in a package of plugins."""

    name, weight = "discovers", 1
    params: ClassVar = {"form": Param(one_of("pkgutil", "glob"))}

    @override
    def make(self, rng: Any, project: Project, module: Module) -> Block | None:
        if module.rank < 0.5:
            return None
        return super().make(rng, project, module)

    @override
    def render(self, block: Block, source: Source) -> None:
        source.need("import importlib, pathlib, pkgutil")
        names = (
            "[m.name for m in pkgutil.iter_modules(_pl.__path__)]"
            if block.values["form"] == "pkgutil"
            else "[p.stem for p in pathlib.Path(_pl.__file__).parent.glob('*.py') if p.stem != '__init__']"
        )
        source.add(
            f"import app.plugins as _pl\nFOUND_{block.name} = {{n: importlib.import_module('app.plugins.' + n).PLUGIN for n in sorted({names})}}"
        )
        source.probe(block, f"FOUND_{block.name}")
