"""Blocks of a FastAPI app: schemas, dependencies, routers, overrides, settings, sub-apps."""

from typing import Any, ClassVar, override

from tests.property.kinds.plain import READABLE, SIMPLE
from tests.property.model import Block, Kind, Param, Slot, number, one_of
from tests.property.source import Source

TYPES = one_of("int", "str", "float", "bool", "list[int]")


class Schema(Kind):
    """A pydantic model: parent and nested model from other modules, validators, generics, a forward reference."""

    name, weight = "schema", 5
    params: ClassVar = {
        "fields": Param(one_of(("a",), ("a", "b"), ("a", "b", "c"), ("c",), ())),
        "type": Param(TYPES),
        "n": Param(number(), body=True),
        "form": Param(one_of("plain", "plain", "validator", "generic", "forward", "computed", "adapter")),
        "config": Param(one_of("", "extra='forbid'", "from_attributes=True", "frozen=True")),
    }
    slots: ClassVar = {
        "base": Slot(frozenset({"schema"})),
        "nested": Slot(frozenset({"schema"})),
        "enum": Slot(frozenset({"enum"})),
    }

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"P_{block.name}": "schema"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import pydantic, typing")
        name, form = f"P_{block.name}", v["form"]
        bases = [source.use(block.refs["base"])] if "base" in block.refs else ["pydantic.BaseModel"]
        if form == "generic":
            source.add(f"_T_{block.name} = typing.TypeVar('_T_{block.name}')")
            bases.append(f"typing.Generic[_T_{block.name}]")
        default = {"int": "1", "str": "'s'", "float": "1.5", "bool": "True", "list[int]": "[1]"}[v["type"]]
        lines = [f"class {name}({', '.join(bases)}):"]
        lines += [f"    model_config = pydantic.ConfigDict({v['config']})"] if v["config"] else []
        lines += [f"    {f}: {v['type']} = {default}" for f in v["fields"]]
        if "nested" in block.refs:
            lines.append(f"    nested: {source.use(block.refs['nested'])} | None = None")
        if "enum" in block.refs:
            lines.append(f"    choice: {source.use(block.refs['enum'])} | None = None")
        lines += {
            "validator": [
                f"    v_{block.name}: int = pydantic.Field(default=2, validate_default=True)",
                f"    @pydantic.field_validator('v_{block.name}')",
                "    @classmethod",
                f"    def check_{block.name}(cls, x): return x + {v['n']}",
            ],
            "generic": [f"    item: _T_{block.name} | None = None"],
            "forward": [f"    other: 'Q_{block.name} | None' = None"],
            "computed": [
                "    @pydantic.computed_field",
                "    @property",
                f"    def twice(self) -> int: return {v['n']}",
            ],
        }.get(form, ["    pass"])
        source.lines += lines
        if form == "forward":
            source.add(
                f"class Q_{block.name}(pydantic.BaseModel):\n    deep: '{name} | None' = None\n    z: int = {v['n']}\n{name}.model_rebuild()"
            )
        shown = f"{name}[int]" if form == "generic" else name
        if form == "adapter":
            source.add(f"TA_{block.name} = pydantic.TypeAdapter(list[{name}])")
            source.probe(block, f"[x.model_dump() for x in TA_{block.name}.validate_python([{{}}])]", suffix="_adapter")
        source.probe(
            block, f"[{shown}().model_dump(mode='json'), _mix(sorted(map(str, {shown}.model_json_schema().items())))]"
        )


class Dep(Kind):
    """A dependency: a function, a generator, a class."""

    name, weight = "dep", 2
    params: ClassVar = {
        "n": Param(number(), body=True),
        "default": Param(number(9)),
        "form": Param(one_of("def", "async", "yield", "class")),
    }
    slots: ClassVar = {"a": Slot(READABLE), "sub": Slot(frozenset({"dep"}))}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"dep_{block.name}": "dep"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import fastapi")
        a = source.value(block.refs.get("a"))
        sub = f", sub=fastapi.Depends({source.use(block.refs['sub'])})" if "sub" in block.refs else ", sub=None"
        args, result = f"q_{block.name}: int = {v['default']}{sub}", f"_mix(q_{block.name}, {v['n']}, {a}, sub)"
        text = {
            "def": f"def dep_{block.name}({args}): return {result}",
            "async": f"async def dep_{block.name}({args}): return {result}",
            "yield": f"def dep_{block.name}({args}):\n    yield {result}",
            "class": f"class dep_{block.name}:\n    def __init__(self, {args}): self.got = {result}\n    def __repr__(self): return f'got {{self.got}}'",
        }
        source.add(text[v["form"]])


class Router(Kind):
    """A router with a few routes, and another's router inside it."""

    name, weight = "router", 4
    params: ClassVar = {
        "routes": Param(one_of(("x",), ("x", "y"), ("y",), ("x", "y", "z"))),
        "n": Param(number(), body=True),
        "prefix": Param(one_of("", "", "/p")),
        "tag": Param(one_of("one", "two")),
        "form": Param(one_of("async", "def")),
        "error": Param(one_of(False, False, True)),
    }
    slots: ClassVar = {
        "dep": Slot(frozenset({"dep"})),
        "guard": Slot(frozenset({"dep"})),
        "schema": Slot(frozenset({"schema"})),
        "a": Slot(READABLE),
        "inner": Slot(frozenset({"router"})),
        "exc": Slot(frozenset({"exc"})),
        "late": Slot(frozenset({"const", "func", "exc"}), late=True),
    }

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"router_{block.name}": "router"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        r = block.refs
        source.need("import fastapi")
        guard = f", dependencies=[fastapi.Depends({source.use(r['guard'])})]" if "guard" in r else ""
        source.lines.append(
            f"router_{block.name} = fastapi.APIRouter(prefix='/{block.name}{v['prefix']}', tags=['{v['tag']}']{guard})"
        )
        dep = f"d=fastapi.Depends({source.use(r['dep'])})" if "dep" in r else "d=None"
        schema = source.use(r["schema"]) if "schema" in r else None
        line, late = source.late(r.get("late"))
        for route in v["routes"]:
            model = f", response_model={schema}" if schema and route == "x" else ""
            result = "{}" if model else f"[{route!r}, {v['n']}, str(d), repr({source.value(r.get('a'))}), repr({late})]"
            source.lines += [
                f"@router_{block.name}.get('/{route}'{model})",
                f"{'async ' * (v['form'] == 'async')}def {route}_{block.name}({dep}):",
                f"    {line}",
            ]
            if v["error"] and "exc" in r and route == "y":
                source.lines.append(f"    raise {source.use(r['exc'])}({v['n']})")
            source.lines.append(f"    return {result}")
        if schema:
            source.lines += [f"@router_{block.name}.post('/in')", f"def in_{block.name}(body: {schema}): return body"]
        if "inner" in r:
            source.lines.append(f"router_{block.name}.include_router({source.use(r['inner'])}, prefix='/inner')")


class RouteElsewhere(Kind):
    """A route added to another module's router."""

    name, weight = "elsewhere", 2
    params: ClassVar = {"n": Param(number(), body=True), "path": Param(one_of("/extra", "/more"))}
    slots: ClassVar = {"a": Slot(frozenset({"router"}), required=True), "b": Slot(SIMPLE)}

    @override
    def render(self, block: Block, source: Source) -> None:
        router, b = source.use(block.refs["a"]), source.value(block.refs.get("b"))
        source.add(
            f"_r_{block.name} = {router}\n@_r_{block.name}.get('{block.values['path']}')\nasync def e_{block.name}(): return [{block.values['n']}, repr({b})]"
        )


class Override(Kind):
    """An entry for the app's dependency_overrides."""

    name, weight = "override", 1
    params: ClassVar = {"n": Param(number(), body=True)}
    slots: ClassVar = {"a": Slot(frozenset({"dep"}), required=True)}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"over_{block.name}": "override"}

    @override
    def render(self, block: Block, source: Source) -> None:
        source.add(
            f"def _o_{block.name}(): return {block.values['n']}\nover_{block.name} = {{{source.use(block.refs['a'])}: _o_{block.name}}}"
        )


class Settings(Kind):
    """Settings from the environment and a .env file."""

    name, weight = "settings", 1
    params: ClassVar = {"default": Param(number()), "more": Param(one_of(True, False))}

    @override
    def render(self, block: Block, source: Source) -> None:
        source.need("import pydantic_settings")
        more = "\n    extra_value: str = 'none'" if block.values["more"] else ""
        source.add(
            f"class Settings_{block.name}(pydantic_settings.BaseSettings):\n    model_config = pydantic_settings.SettingsConfigDict(env_file='.env', env_prefix='prop_', extra='ignore')\n    a: int = {block.values['default']}\n    name: str = 'x'{more}\nset_{block.name} = Settings_{block.name}()"
        )
        source.probe(block, f"set_{block.name}.model_dump()")


class Mount(Kind):
    """A sub-application of its own."""

    name, weight = "mount", 1
    params: ClassVar = {"n": Param(number(), body=True), "title": Param(one_of("sub", "other"))}
    slots: ClassVar = {"a": Slot(READABLE)}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"sub_{block.name}": "mount"}

    @override
    def render(self, block: Block, source: Source) -> None:
        source.need("import fastapi")
        source.add(
            f"sub_{block.name} = fastapi.FastAPI(title='{block.values['title']}')\n@sub_{block.name}.get('/')\nasync def at_{block.name}(): return [{block.values['n']}, repr({source.value(block.refs.get('a'))})]"
        )


class Middleware(Kind):
    """A pure ASGI middleware that answers with a header."""

    name, weight = "middleware", 1
    params: ClassVar = {"n": Param(number(), body=True), "name": Param(one_of("x-one", "x-two"))}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"Mw_{block.name}": "middleware"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v = block.values
        source.add(
            f"class Mw_{block.name}:\n    def __init__(self, app): self.app = app\n    async def __call__(self, scope, receive, send):\n        async def out(message):\n"
            f"            if message['type'] == 'http.response.start': message['headers'] = [*message['headers'], (b'{v['name']}', b'{v['n']}')]\n            await send(message)\n        await self.app(scope, receive, out)"
        )
