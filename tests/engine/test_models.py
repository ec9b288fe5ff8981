"""Models that are built at their first use: what pydantic refuses is refused at once, the rest is the same."""

import gc
import inspect
import random
import re
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import fastapi
import pydantic
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic._internal import _mock_val_ser, _model_construction
from pydantic.fields import FieldInfo

from fastapi_hmr.engine.models import BUILT, Models, Schema
from fastapi_hmr.engine.shapes import Shapes

HEAD = """
import enum
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar
from pydantic import *

T = TypeVar("T")


class Alien:
    pass


class Color(enum.Enum):
    RED = "red"


class Part(BaseModel):
    name: str = Field(max_length=8)
    size: float = Field(1.5, ge=0, alias="Size")
"""

WHOLE = """
class Whole(BaseModel):
    part: Part
    parts: list[Part] = []
    named: dict[str, Part] | None = None
    when: datetime | None = None
    kind: Literal["a", "b"] = "a"
    count: Annotated[int, Field(gt=0)] = 3


class Larger(Whole):
    model_config = ConfigDict(from_attributes=True, title="Very large", str_strip_whitespace=True)
    text: str = Field("x", description="What it says", json_schema_extra={"example": " y "})
"""

GIVEN: list[dict[str, Any]] = [
    {},
    {"name": "one", "Size": "2"},
    {"name": "far too long", "Size": -1},
    {"part": {"name": "p"}, "parts": [{"name": "q", "Size": 1}], "kind": "b", "count": "4", "text": " z "},
    {"part": {"name": "p"}, "named": {"x": {"name": 3}}, "count": 0},
]


@pytest.fixture
def late() -> Iterator[Models]:
    """Models in pydantic's place, for one test."""
    assert "fastapi.params" in sys.modules, fastapi
    undo: list[Callable[[], None]] = []

    def replace(owner: Any, name: str, value: Any) -> None:
        before = vars(owner)[name]
        setattr(owner, name, value)
        undo.append(lambda: setattr(owner, name, before))

    models = Models(_model_construction, Shapes(), replace)
    try:
        yield models
    finally:
        for each in undo:
            each()
        sys.modules.pop("shop", None)


class Module(types.ModuleType):
    """A module of the app's, which are of a type of their own."""


def run(source: str) -> dict[str, Any]:
    """The namespace of a module."""
    module = sys.modules["shop"] = Module("shop")
    exec(compile(HEAD + source, "shop.py", "exec"), vars(module))
    return vars(module)


def twice(late: Models, source: str) -> dict[str, Any]:
    """The namespace of a module that ran before in this process."""
    for _ in range(2):
        late.run(True)
        try:
            namespace = run(source)
        finally:
            late.run(False)
    return namespace


def is_late(model: Any) -> bool:
    """Whether a model is still to be built."""
    return isinstance(vars(model)["__pydantic_validator__"], _mock_val_ser.MockValSer)


def facts(model: Any) -> Any:
    """What a model does, in a form that can be compared."""
    found: list[Any] = [str(inspect.signature(model)), model.__pydantic_complete__, model.__doc__]
    found += [attempt(model.model_json_schema, mode=mode) for mode in ("validation", "serialization")]
    for given in GIVEN:
        found += [
            attempt(model, **given),
            attempt(model.model_validate, given),
            attempt(model.model_validate_json, "{}"),
        ]
        found.append(attempt(TypeAdapter(list[model]).validate_python, [given]))
    return found, sorted(vars(model))


def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What comes of a call."""
    try:
        found = function(*args, **kwargs)
    except ValidationError as error:
        return error.errors(include_url=False, include_context=False)
    except Exception as error:
        return type(error), str(error)
    return found.model_dump_json(warnings=False) if isinstance(found, BaseModel) else repr(found)


def test_models_are_built_at_their_first_use_and_are_the_same(late: Models) -> None:
    """Inherited, within others, with settings: each builds what it needs, and nobody sees a difference."""
    plain, again = run(WHOLE), twice(late, WHOLE)
    names = ("Part", "Whole", "Larger")
    assert [is_late(again[name]) for name in names] == [True] * 3
    again["Part"](name="x")
    assert [is_late(again[name]) for name in names] == [False, True, True]
    again["Larger"](part={"name": "x"})
    assert [is_late(again[name]) for name in names] == [False, True, False]
    for name in names:
        assert facts(again[name]) == facts(plain[name])
        assert normal(again[name]) == normal(plain[name])


def normal(model: Any) -> str:
    """The core schema, without identities."""
    text = repr(model.__pydantic_core_schema__)
    for cls in (model, *(field.annotation for field in model.model_fields.values())):
        text = text.replace(str(id(cls)), "")
    return "".join(part for part in text.split("0x")[0] if not part.isdigit())


@pytest.mark.parametrize("first", ["signature", "schema", "adapter", "dump", "attribute", "construct"])
def test_whatever_comes_first_builds_the_model(late: Models, first: str) -> None:
    """Each way to ask a model for something finds the whole of it."""
    model = twice(late, WHOLE)["Larger"]
    whole = run(WHOLE)["Larger"]
    ask: dict[str, Callable[[Any], Any]] = {
        "signature": lambda m: str(inspect.signature(m)),
        "schema": lambda m: m.model_json_schema(),
        "adapter": lambda m: TypeAdapter(m).json_schema(),
        "dump": lambda m: m.model_construct(part=None, parts=[]).model_dump_json(warnings=False),
        "attribute": lambda m: m.__pydantic_core_schema__["type"],
        "construct": lambda m: m.__pydantic_validator__.title,
    }
    assert is_late(model)
    assert ask[first](model) == ask[first](whole)
    assert facts(model) == facts(whole)


@pytest.mark.parametrize(
    "source",
    [
        "class Bad(BaseModel):\n    one: Alien\n",
        "class Bad(BaseModel):\n    one: int = Field(0, union_mode='smart')\n",
        "class Bad(BaseModel):\n    one: Literal['x'] | Part = Field(discriminator='name')\n",
        "class Bad(BaseModel):\n    @field_validator('nothing')\n    def check(cls, value): return value\n",
    ],
)
def test_what_pydantic_refuses_is_refused_when_the_module_runs(late: Models, source: str) -> None:
    """A shape that was not accepted before is built at once."""
    good = "class Bad(BaseModel):\n    one: int = 0\n"
    assert is_late(twice(late, good)["Bad"])
    with pytest.raises(Exception) as cold:  # noqa: PT011 - of whatever type
        run(source)
    late.run(True)
    with pytest.raises(type(cold.value)) as hot:
        run(source)
    assert re.sub(r"\d", "", str(hot.value)) == re.sub(r"\d", "", str(cold.value))


@pytest.mark.parametrize(
    "source",
    [
        "class Own(Part):\n    @field_validator('name')\n    def check(cls, value): return value.upper()\n",
        "class Own(Part):\n    @computed_field\n    @property\n    def twice(self) -> float: return 2 * self.size\n",
        "class Own(Part):\n    old: int = Field(1, deprecated=True)\n",
        "class Own(RootModel[int]):\n    pass\n",
        "class Box(BaseModel, Generic[T]):\n    what: T\n\n\nOwn = Box[int]\n",
        "class Own(BaseModel):\n    more: 'list[Own]' = []\n",
        "class Own(BaseModel):\n    more: 'Later'\n\n\nclass Later(BaseModel):\n    one: int = 0\n",
        "class Own(BaseModel):\n    model_config = ConfigDict(extra='allow')\n    __pydantic_extra__: dict[str, int]\n",
        "class Own(BaseModel):\n    model_config = ConfigDict(alias_generator=str.upper)\n    one: int = 0\n",
        "class Own(BaseModel):\n    made: list[int] = Field(default_factory=list)\n",
        "class Own(BaseModel):\n    def __init__(self, **data): super().__init__(**data, name='n')\n    name: str\n",
        "class Own(BaseModel):\n    _hidden: int = PrivateAttr(3)\n    one: int = 0\n",
        "class Own(BaseModel):\n    one: Color = Color.RED\n",
        "Own = create_model('Own', one=(int, 3))\n",
        "class Own(BaseModel):\n    done: int = 0\n    @classmethod\n    def __pydantic_on_complete__(cls): cls.seen = True\n",
        "class Own(Part):\n    @classmethod\n    def __pydantic_init_subclass__(cls, **k): cls.kept = cls.model_json_schema()\n",
        "class Own(BaseModel):\n    @classmethod\n    def __get_pydantic_json_schema__(cls, s, h): return {'type': 'x'}\n",
        "def make():\n    class Own(BaseModel):\n        one: int = 1\n    return Own\n\n\nOwn = make()\n",
        "class Part(Part):\n    size: int = Field(2, frozen=True, exclude=True)\n\n\nclass Own(Part):\n    part: Part | None = None\n",
    ],
)
def test_models_of_every_kind_are_as_without(late: Models, source: str) -> None:
    """Late or not: they do the same."""
    assert facts(twice(late, source)["Own"]) == facts(run(source)["Own"])


CHANGES = {
    "default": "Whole.model_fields['count'].default = 9",
    "description": "Whole.model_fields['kind'].description = 'late'",
    "settings": "Whole.model_config['str_max_length'] = 0",
    "fields": "Whole.__pydantic_fields__ = {}",
    "within": "Part.model_fields['name'].title = 'late'",
    "initialiser": "Whole.__init__ = lambda self, only: None",
    "name": "Whole.__name__ = 'Other'",
    "rebuilt": "Whole.model_fields['count'].default = 9\nWhole.model_rebuild(force=True)",
    "above": "Part.model_fields['name'].default = 'n'\nPart.model_rebuild(force=True)",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_is_built_from_what_it_said_when_it_was_made(late: Models, change: str) -> None:
    """As at once: what is done to its fields afterwards counts with `model_rebuild()` only, and is still there."""
    source = WHOLE + CHANGES[change] + "\n"
    plain, again = run(source), twice(late, source)
    for name in ("Whole", "Larger", "Part"):
        assert facts(again[name]) == facts(plain[name])
        assert again[name].model_config == plain[name].model_config
        assert repr(again[name].__pydantic_fields__) == repr(plain[name].__pydantic_fields__)
        assert again[name].__name__ == plain[name].__name__


def test_the_schema_is_one_object_and_complete_before_and_after(late: Models) -> None:
    """Whoever looks at the model to see whether somebody changed it sees no change when it is built."""
    model = twice(late, WHOLE)["Whole"]
    before = [vars(model)[name] for name in ("__pydantic_core_schema__", "__pydantic_complete__")]
    model(part={"name": "x"})
    after = [vars(model)[name] for name in ("__pydantic_core_schema__", "__pydantic_complete__")]
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert type(after[0]) is Schema
    model.model_rebuild(force=True)
    assert vars(model)["__pydantic_core_schema__"] is not before[0]


def test_many_threads_build_a_model_once(late: Models) -> None:
    """The first requests for a model may come at the same time."""
    model = twice(late, WHOLE)["Larger"]
    built: list[Any] = []
    make = _model_construction.create_schema_validator  # type: ignore[attr-defined]  # imported there
    gate = threading.Barrier(8)
    results: list[Any] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        built.append(args[1])
        return make(*args, **kwargs)

    def ask() -> None:
        gate.wait()
        results.append(model(part={"name": "x"}).model_dump_json())

    _model_construction.create_schema_validator = counted  # type: ignore[attr-defined]
    try:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        _model_construction.create_schema_validator = make  # type: ignore[attr-defined]
    assert len(results) == 8
    assert len(set(results)) == 1
    assert built.count(model) == 1


def test_building_that_is_interrupted_is_done_by_who_asks_next(late: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C, or a request that took too long, may come in the midst of it."""
    model = twice(late, WHOLE)["Whole"]
    make = _model_construction.SchemaSerializer  # type: ignore[attr-defined]  # imported there

    def interrupted(*_args: Any, **_kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(_model_construction, "SchemaSerializer", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            model(part={"name": "x"})
    monkeypatch.setattr(_model_construction, "SchemaSerializer", make)
    assert facts(model) == facts(run(WHOLE)["Whole"])


def test_a_model_that_was_never_used_is_let_go(late: Models) -> None:
    """Nothing of ours keeps it."""
    namespace = twice(late, WHOLE)
    gone = [weakref.ref(namespace[name]) for name in ("Part", "Larger")]
    namespace.clear()
    sys.modules.pop("shop")
    late._shapes.forget()
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


PIECES = {
    "annotation": [
        *("int", "str", "Part", "list[int]", "list[Part]", "Part | None", "Alien", "datetime", "Any", "Color"),
        *("Literal['a', 1]", "dict[str, Part]", "tuple[int, ...]", "Annotated[int, Field(ge=1)]", "set[str]", "'Part'"),
    ],
    "default": [
        *("", "", "= 3", "= None", "= 'x'", "= []", "= Field()", "= Field(3, ge=1)", "= Field(max_length=2)"),
        *(
            "= Field('a', alias='b')",
            "= Field(None, title='t')",
            "= Field(frozen=True)",
            "= Field(discriminator='name')",
        ),
    ],
    "settings": [
        "",
        "",
        "frozen=True",
        "extra='forbid'",
        "extra='allow'",
        "title='T'",
        "strict=True",
        "use_enum_values=True",
    ],
}


def drawn(rng: random.Random) -> str:
    """The source of two models."""
    source = ""
    for name, base in (("First", "BaseModel"), ("Own", rng.choice(["BaseModel", "Part", "First"]))):
        source += f"class {name}({base}):\n    model_config = ConfigDict({rng.choice(PIECES['settings'])})\n"
        for field in rng.sample(["part", "parts", "kind", "count"], rng.randint(0, 3)):
            source += f"    {field}: {rng.choice(PIECES['annotation'])} {rng.choice(PIECES['default'])}\n"
    return source


def test_drawn_models_are_as_without(late: Models) -> None:
    """300 of them, refused or not."""
    rng = random.Random(7)
    seen = {"late": 0, "refused": 0}
    for _ in range(300):
        source = drawn(rng)
        try:
            plain = facts(run(source)["Own"])
        except Exception as error:
            with pytest.raises(type(error)) as hot:
                twice(late, source)
            assert str(hot.value) == str(error), source  # noqa: PT017 - the two are compared
            seen["refused"] += 1
            continue
        again = twice(late, source)["Own"]
        seen["late"] += is_late(again)
        assert facts(again) == plain, source
    assert min(seen.values()) > 50


def test_a_version_that_works_in_another_way_builds_at_once(late: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried first decides."""
    monkeypatch.setattr(Models, "_tried", lambda _: 1 / 0)
    assert not is_late(twice(late, WHOLE)["Whole"])


def test_entry_1_what_building_sets() -> None:
    """1: all of `BUILT`, and nothing else."""
    assert "complete_model_class" in _model_construction.ModelMetaclass.__new__.__code__.co_names
    build = _model_construction.complete_model_class
    seen: list[tuple[set[str], set[str]]] = []

    def watched(model: Any, *args: Any, **kwargs: Any) -> Any:
        before = set(vars(model))
        done = build(model, *args, **kwargs)
        seen.append((before, set(vars(model))))
        return done

    _model_construction.complete_model_class = watched  # type: ignore[assignment]
    try:
        run(WHOLE)
    finally:
        _model_construction.complete_model_class = build
    assert [after - before for before, after in seen] == [{*BUILT[:4]}] * 3
    assert all({*BUILT[4:]} <= before for before, _ in seen)


def test_entry_2_a_schema_may_be_of_a_subclass_of_dict() -> None:
    """2: found in the class's own dictionary, and asked for its type."""
    namespace = run("")
    asked: list[str] = []

    class Asked(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            asked.append(key)
            return super().__getitem__(key)

    namespace["Part"].__pydantic_core_schema__ = Asked(namespace["Part"].__pydantic_core_schema__)
    exec("class Whole(BaseModel):\n    part: Part\n", namespace)
    assert asked[0] == "type"
    assert namespace["Whole"](part={"name": "x"}).part.name == "x"


def test_entry_3_what_is_no_validator_to_build_upon() -> None:
    """3: a TypeAdapter makes its own where the model has none yet."""
    model = run("")["Part"]
    assert TypeAdapter(model).validator is model.__pydantic_validator__
    model.__pydantic_validator__ = _mock_val_ser.MockValSer("none", code="undefined-annotation", val_or_ser="validator")
    assert TypeAdapter(model).validate_python({"name": "x"}).name == "x"


def test_entry_4_what_a_model_is() -> None:
    """4: its fields, and that it is neither generic nor a root, and has no validators of its own."""
    plain = run(WHOLE)["Whole"]
    assert [*plain.__pydantic_fields__] == ["part", "parts", "named", "when", "kind", "count"]
    assert plain.__pydantic_fields_complete__
    assert plain.__pydantic_complete__
    assert not plain.__pydantic_root_model__
    assert not any(plain.__pydantic_generic_metadata__.values())
    source = "class Box(BaseModel, Generic[T]):\n    what: T\n    @field_validator('what')\n    def check(cls, value): return value\n"
    box = run(source)["Box"]
    assert any(box.__pydantic_generic_metadata__.values())
    assert box.__pydantic_decorators__.field_validators
    assert pydantic.RootModel[int].__pydantic_root_model__


def test_entry_5_all_that_a_field_says_is_in_its_slots() -> None:
    """5: there is no other place for it."""
    assert not hasattr(FieldInfo(annotation=int), "__dict__")
    assert {"annotation", "default", "metadata", "deprecated", "discriminator"} <= {*FieldInfo.__slots__}


def test_entry_6_a_rebuild_looks_names_up_where_its_caller_is() -> None:
    """6: as deep as it is told."""
    assert inspect.signature(BaseModel.model_rebuild).parameters["_parent_namespace_depth"].default == 2


def test_a_rebuild_still_finds_the_callers_names(late: Models) -> None:
    """One more frame is between them."""
    source = "class Own(BaseModel):\n    more: 'Local'\n\n\ndef complete():\n    class Local(BaseModel):\n        one: int = 3\n"
    namespace = twice(late, source + "    Own.model_rebuild()\n\n\ncomplete()\n")
    assert namespace["Own"](more={}).more.one == 3
