"""Models: pydantic builds a model's schema, validator and serializer at their first use, where it will not refuse them.

Building them takes a third of a millisecond, half of what a model costs, and a reload of a module that all others import
defines every model anew.  What is built is needed by whoever validates or dumps; whether it can be built must show when
the module runs.  So it is put off only for models of a shape that was built before in this process.  A model is built
from what it said when it was made, whatever was done to its fields since, as it would have been then.  Nobody sees that
it is late: its attributes are there, and what reads one builds them.  Whether this version of pydantic can do without is
tried at the first of them.

Ledger of what is used beyond pydantic's documented API.  Last version checked: 2.14.  Each entry has a test of the same
number in tests/engine/test_models.py; where a version lacks one, pydantic does as it always does.

 1. `pydantic._internal._model_construction.complete_model_class(cls, ...)`: `ModelMetaclass.__new__` finds it by this name,
    calls it once the fields are known, and all that it sets on the class is in `BUILT`.
 2. `BUILT[0]` is looked up in the class's own `__dict__`, and read as a dict by `["type"]` first; it may be of a subclass.
 3. `pydantic._internal._mock_val_ser.MockValSer`: what is one in the class's own `__dict__` is no validator to build upon.
 4. `__pydantic_fields__`, `__pydantic_fields_complete__`, `__pydantic_generic_metadata__`, `__pydantic_root_model__`,
    `__pydantic_decorators__` (a dataclass of dicts), `__pydantic_complete__`: what a model is.
 5. `FieldInfo.__slots__`: all that a field says.
 6. `BaseModel.model_rebuild(_parent_namespace_depth=2)`: the only way to build a model again, other than `build` itself.
"""

import dataclasses
import functools
import sys
from collections.abc import Callable
from contextlib import ExitStack
from operator import attrgetter
from threading import RLock
from typing import Any, Final
from weakref import WeakSet

from fastapi_hmr.engine.shapes import Shape, Shapes

BUILT: Final = (
    "__pydantic_core_schema__",
    "__pydantic_validator__",
    "__pydantic_serializer__",
    "__signature__",
    "__pydantic_complete__",
    "__pydantic_computed_fields__",
)
"""What building sets; the last two are there from the start."""
OWN: Final = ("__get_pydantic_core_schema__", "__get_pydantic_json_schema__", "__pydantic_on_complete__")
"""How a model has a say in it."""
NAMES: Final = ("__name__", "__qualname__", "__module__")
READ: Final = (*NAMES, "__init__", *OWN)
"""What building reads of the class, besides its fields and its settings."""
KNOWN: Final = 50_000
"""Shapes to remember: more are not one app's."""
type Tool = Callable[["Late", str], Any]

_building: Final = RLock()
_ABSENT: Final = object()


class Models:
    """Takes the place of `complete_model_class`."""

    def __init__(self, construction: Any, shapes: Shapes, replace: Callable[[Any, str, Any], None]) -> None:
        pydantic = sys.modules["pydantic"]
        self._base: Any = pydantic.BaseModel
        self._metaclass = type(self._base)
        self._own = [getattr(self._base, name).__func__ for name in OWN]
        self._build: Callable[..., Any] = construction.complete_model_class
        self._construction = construction
        self._decorators = attrgetter(*[field.name for field in dataclasses.fields(self._base.__pydantic_decorators__)])
        self._said = attrgetter(*sys.modules["pydantic.fields"].FieldInfo.__slots__)
        mocks = sys.modules["pydantic._internal._mock_val_ser"]
        self._tool, self._open = _late_tool(mocks.MockValSer), _late_tool(mocks.MockCoreSchema)
        self._plugins = sys.modules["pydantic.plugin._loader"].get_plugins
        self._shapes = shapes
        self._accepted: set[Shape] = set()
        self._active = self._trying = False
        self._works: bool | None = None
        """Whether this version can do without; None until that was tried."""
        self._pending: WeakSet[Late] = WeakSet()
        self._rebuild = self._base.model_rebuild.__func__
        replace(construction, "complete_model_class", self._complete)
        replace(self._base, "model_rebuild", classmethod(self._rebuilding()))

    def run(self, running: bool) -> None:
        """Modules run, or have run: only meanwhile is anything put off."""
        self._active = running and not list(self._plugins())

    def _rebuilding(self) -> Callable[..., Any]:
        """Before a model is rebuilt, all others are built: of what it was until then."""

        @functools.wraps(self._rebuild)
        def model_rebuild(model: Any, **options: Any) -> Any:
            for late in [*self._pending]:
                late.ensure()
            depth = options.get("_parent_namespace_depth", 2)
            options["_parent_namespace_depth"] = depth and depth + 1  # names are looked up where the caller is
            return self._rebuild(model, **options)

        return model_rebuild

    def _complete(self, model: Any, *args: Any, **options: Any) -> Any:
        if not self._active:
            return self._build(model, *args, **options)
        if self._trying:
            return self._put_off(model, functools.partial(self._build, model, *args, **options))
        shape = self._shapes.of_model(model) if self._is_plain(model, options) else None
        if shape is not None and shape in self._accepted and self._can_wait():
            return self._put_off(model, functools.partial(self._build, model, *args, **options))
        done = self._build(model, *args, **options)
        if shape is not None and model.__pydantic_complete__ and len(self._accepted) < KNOWN:
            self._accepted.add(shape)
        return done

    def _is_plain(self, model: Any, options: dict[str, Any]) -> bool:
        """Whether a model is new, and only its fields and settings decide about what is built."""
        schema, description, hook = self._own
        return (
            type(model) is self._metaclass
            and "__signature__" not in vars(model)
            and not options.get("create_model_module")
            and "<" not in model.__qualname__
            and model.__get_pydantic_core_schema__.__func__ is schema
            and model.__get_pydantic_json_schema__.__func__ is description
            and model.__pydantic_on_complete__.__func__ is hook
            and model.__pydantic_fields_complete__
            and not model.__pydantic_root_model__
            and not any(model.__pydantic_generic_metadata__.values())
            and not any(self._decorators(model.__pydantic_decorators__))
            and model.model_config.get("extra") != "allow"
        )

    def _can_wait(self) -> bool:
        if self._works is None:
            try:
                self._works = self._tried()
            except Exception:  # noqa: BLE001 - a version that works in another way, and whatever comes of that
                self._works = False
        return self._works

    def _tried(self) -> bool:
        """Whether models that are built late are those that are built at once."""
        active, self._active = self._active, False
        try:
            inner, outer = _samples(self._base)
            self._active = self._trying = True
            late_inner, late_outer = _samples(self._base)
        finally:
            self._active, self._trying = active, False
        mine = [vars(each).keys() for each in (inner, outer, late_inner, late_outer)]
        same = mine[0] == mine[2] and mine[1] == mine[3] and mine[0] >= {*BUILT}
        given = {"one": "1", "two": [{"one": 2}]}
        dumped = late_outer(**given).model_dump_json() == outer(**given).model_dump_json()
        schema = late_outer.model_json_schema() == outer.model_json_schema()
        built = vars(late_inner)
        whole = type(built[BUILT[1]]) is type(vars(inner)[BUILT[1]]) and built[BUILT[0]]["type"] == "model"
        return same and dumped and schema and whole

    def _put_off(self, model: Any, build: Callable[[], Any]) -> bool:
        late = Late(model, build, self._said, self._open)
        for name, value in zip(
            BUILT, (late.schema, self._tool(late, BUILT[1]), self._tool(late, BUILT[2]), Signature(late)), strict=False
        ):
            setattr(model, name, value)
        model.__pydantic_complete__ = True
        self._pending.add(late)
        return True


class Late:
    """A model that is still to be built, and what it said when it was made."""

    def __init__(
        self, model: Any, build: Callable[[], Any], said: Callable[[Any], tuple[Any, ...]], unknown: Tool
    ) -> None:
        self.model, self.schema = model, Schema(self)
        self._build: Callable[[], Any] | None = build
        self._unknown, self._said = unknown, said
        self._fields = dict(model.__pydantic_fields__)
        self._contents = [said(field) for field in self._fields.values()]
        self._settings = dict(model.model_config)
        self._read = _read(model)

    def ensure(self) -> None:
        """Build it, once, whichever thread comes first."""
        with _building:
            build, self._build = self._build, None
            if build is None:
                return
            model = self.model
            model.__pydantic_complete__ = False
            model.__pydantic_core_schema__ = self._unknown(self, BUILT[0])
            try:
                with ExitStack() as undo:
                    self._go_back(undo.callback)
                    build()
            except BaseException:  # it was interrupted: who asks next builds it
                self._build = build
                model.__pydantic_core_schema__, model.__pydantic_complete__ = self.schema, True
                raise
            found = vars(model)[BUILT[0]]
            if type(found) is dict:
                dict.update(self.schema, found)
                model.__pydantic_core_schema__ = self.schema  # one and the same for as long as the model is

    def _go_back(self, later: Callable[..., Any]) -> None:
        """Let the model say what it said, and what it says now `later`."""
        model, config = self.model, self.model.model_config
        later(setattr, model, "__pydantic_fields__", model.__pydantic_fields__)
        model.__pydantic_fields__ = self._fields
        for field, contents in zip(self._fields.values(), self._contents, strict=True):
            for name, then, now in zip(type(field).__slots__, contents, self._said(field), strict=True):
                if then is not now:
                    later(setattr, field, name, now)
                    setattr(field, name, then)
        if config != self._settings:
            later(_settle, config, dict(config))
            _settle(config, self._settings)
        for name, then, now in zip(READ, self._read, _read(model), strict=True):
            if then is not now:
                later(_own, model, name, vars(model).get(name, now if name in NAMES else _ABSENT))
                _own(model, name, classmethod(then) if name in OWN else then)


def _read(model: Any) -> list[Any]:
    """What building reads of a class."""
    return [getattr(getattr(model, name), "__func__", None) if name in OWN else getattr(model, name) for name in READ]


def _own(model: Any, name: str, value: Any) -> None:
    """Let a class have this of its own, or nothing."""
    if value is _ABSENT:
        delattr(model, name)
    else:
        setattr(model, name, value)


def _settle(config: dict[str, Any], settings: dict[str, Any]) -> None:
    config.clear()
    config.update(settings)


class Schema(dict[str, Any]):
    """The schema of a model, which is built when it is asked for anything, or is got from the model.

    pydantic finds it in the class's own `__dict__`, without asking the class; its core takes a dict as it is.
    """

    __slots__ = ("_late",)

    def __init__(self, late: Late) -> None:
        super().__init__()
        self._late = late

    def __get__(self, instance: object, owner: type) -> "Schema":
        self._late.ensure()
        return self

    def __missing__(self, key: str) -> Any:
        self._late.ensure()
        if key in self:
            return self[key]
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        """As a dict."""
        self._late.ensure()
        return dict.get(self, key, default)


class Signature:
    """A model's signature, which belongs to what is built."""

    __slots__ = ("_late",)

    def __init__(self, late: Late) -> None:
        self._late = late

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is not None:
            raise AttributeError("__signature__")
        self._late.ensure()
        return self._late.model.__signature__


def _late_tool(mock: type) -> Tool:
    """The class of what is built at its first use, and by which pydantic knows that it can't build upon it yet."""

    class LateTool(mock):  # type: ignore[misc]  # whichever of the two
        __slots__ = ("_fastapi_hmr_late", "_fastapi_hmr_name")

        def __init__(self, late: Late, name: str) -> None:
            self._fastapi_hmr_late, self._fastapi_hmr_name = late, name

        def __get__(self, instance: object, owner: type) -> Any:
            self._fastapi_hmr_late.ensure()
            return getattr(self._fastapi_hmr_late.model, self._fastapi_hmr_name)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__get__(None, object), name)

    return LateTool


def _samples(base: Any) -> tuple[Any, Any]:
    """A model, and one that has it within and above."""

    class Inner(base):  # type: ignore[misc]  # pydantic is not imported for us
        one: int = 0

    class Outer(Inner):
        two: tuple[Inner, ...] = ()

    return Inner, Outer
