"""Shapes: what decides whether FastAPI can analyse an endpoint, as values that can be compared and hold nothing alive.

FastAPI refuses some endpoints when they are defined: a path parameter with a default, a type that pydantic can't make a
schema for.  Two endpoints of equal shapes are both refused or both accepted.  Where more may count than is looked at
(code of the app's own that makes schemas, names in quotes, decorated callables), there is no shape.
"""

import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable
from enum import Enum
from operator import attrgetter
from types import EllipsisType, FunctionType, ModuleType, NoneType, UnionType
from typing import Any, Final

from fastapi_hmr.engine.identity import address

type Shape = tuple[Any, ...]

ATOMS: Final = frozenset((str, int, float, bool, bytes, NoneType, EllipsisType))
EMPTY: Final = inspect.Parameter.empty
ANNOTATED: Final[Any] = type(typing.Annotated[int, 0])
UNION: Final = frozenset((typing.Union, UnionType))
KINDS: Final = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
STARRED: Final = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
ANNOTATIONS: Final = frozenset(("annotation", "_original_annotation", "_original_assignment", "_attributes_set"))
"""Of a field: looked at where it is used; and the rest a second time."""
PLAIN: Final = frozenset(("annotated_types", "fastapi", "pydantic", "pydantic_core"))
"""Whose objects are what their attributes say."""
DEPTH: Final = 30
"""Dependencies of dependencies: more are a mistake."""


class UnknownShapeError(Exception):
    """More may count than is looked at."""


class Shapes:
    """Looks at endpoints, remembering the dependencies that many have in common until `forget`."""

    def __init__(self) -> None:
        params, pydantic = sys.modules["fastapi.params"], sys.modules["pydantic"]
        self._depends: Any = params.Depends
        self._field: Any = sys.modules["pydantic.fields"].FieldInfo
        unsaid = self._field()
        self._names = [name for name in self._field.__slots__ if name not in ANNOTATIONS and hasattr(unsaid, name)]
        self._attributes = attrgetter(*self._names)
        self._unsaid = self._attributes(unsaid)
        """What a field says of which nothing was said."""
        self._model: Any = pydantic.BaseModel
        self._metaclass = type(self._model)
        self._kinds = frozenset((type, self._metaclass))
        self._own_schema: object = self._model.__get_pydantic_core_schema__.__func__
        self._placeholder: type = sys.modules["fastapi.datastructures"].DefaultPlaceholder
        self._undefined = type(sys.modules["pydantic_core"].PydanticUndefined)
        self._models = 0
        """How many models were looked at."""
        self._calls: dict[int, tuple[object, Shape]] = {}
        self._types: dict[int, tuple[object, tuple[str, str, int]]] = {}
        self._complete: dict[int, tuple[object, Shape]] = {}
        """Models."""

    def forget(self) -> None:
        """Hold nothing."""
        self._calls.clear()
        self._types.clear()
        self._complete.clear()

    def of(self, path: str, endpoint: Callable[..., Any], options: dict[str, Any]) -> Shape | None:
        """The shape of a route, from what `APIRoute` is made with; None where it has none."""
        if type(endpoint) is not FunctionType:  # an object as endpoint is seldom, and has no signature to keep
            return None
        try:
            model = options.get("response_model", EMPTY)
            shape = (
                tuple(sorted(re.findall("{(.*?)}", path))) if "{" in path else (),
                self._call(endpoint, 0),
                self._returned(endpoint) if isinstance(model, self._placeholder) else self._annotation(model),
                self._value(options.get("status_code")),
                tuple([self._dependency(each, EMPTY, 0) for each in options.get("dependencies") or ()]),
                tuple([self._response(*each) for each in (options.get("responses") or {}).items()]),
            )
            hash(shape)
        except (UnknownShapeError, TypeError, AttributeError, RecursionError):
            return None
        return shape

    def of_model(self, model: Any) -> Shape | None:
        """The shape of a model whose fields are known; None where it has none."""
        try:
            shape = (
                model.__module__,
                model.__qualname__,
                self._value(model.model_config),
                tuple([(name, self._field_of(field)) for name, field in model.__pydantic_fields__.items()]),
            )
            hash(shape)
        except (UnknownShapeError, TypeError, AttributeError, RecursionError):
            return None
        return shape

    def _field_of(self, field: Any) -> Shape:
        if type(field) is not self._field or field.deprecated:
            raise UnknownShapeError
        models = self._models
        shape = self._annotation(field.annotation)
        if self._models != models and (field.metadata or field.discriminator is not None):
            raise UnknownShapeError  # as below
        each = [
            (name, self._value(value))
            for name, value, unsaid in zip(self._names, self._attributes(field), self._unsaid, strict=True)
            if value is not unsaid
        ]
        return shape, *each

    def _call(self, call: Any, depth: int) -> Shape:
        known = self._calls.get(address(call))
        if known is None:
            known = self._calls[address(call)] = call, self._called(call, depth)
        return known[1]

    def _called(self, call: Any, depth: int) -> Shape:
        if depth > DEPTH:
            raise UnknownShapeError
        if isinstance(call, type):
            return ("class", self._library(call))
        if type(call) is not FunctionType:
            return ("object", self._object(call))
        code = call.__code__
        if code.co_flags & STARRED or not call.__dict__.keys().isdisjoint(("__wrapped__", "__signature__")):
            raise UnknownShapeError
        count, annotations = code.co_argcount, call.__annotations__
        names = code.co_varnames[: count + code.co_kwonlyargcount]
        if not names:
            return code.co_flags & KINDS, 0, 0
        positional = call.__defaults__ or ()
        defaults = dict(
            zip(names[count - len(positional) : count], positional, strict=True), **call.__kwdefaults__ or {}
        )
        each = [
            (name, self._parameter(annotations.get(name, EMPTY), defaults.get(name, EMPTY), depth)) for name in names
        ]
        return code.co_flags & KINDS, code.co_posonlyargcount, count, *each

    def _object(self, call: Any) -> Shape:
        """An object whose class says how it is called."""
        method = inspect.getattr_static(type(call), "__call__", None)
        if type(method) is not FunctionType or not vars(call).keys().isdisjoint(("__wrapped__", "__signature__")):
            raise UnknownShapeError
        return self._library(type(call))

    def _returned(self, endpoint: Any) -> Shape:
        return self._annotation(endpoint.__annotations__.get("return", EMPTY))

    def _parameter(self, annotation: Any, default: Any, depth: int) -> Shape:
        said = annotation.__metadata__ if type(annotation) is ANNOTATED else ()
        depending = [each for each in said if isinstance(each, self._depends)]
        if isinstance(default, self._depends):
            if said:
                raise UnknownShapeError
            return self._dependency(default, annotation, depth)
        if depending:
            if len(said) > 1 or default is not EMPTY:
                raise UnknownShapeError
            return self._dependency(depending[0], annotation.__origin__, depth)
        models = self._models
        shape = self._annotation(annotation)
        if isinstance(default, self._field):
            if default.annotation is not None and default.annotation is not annotation:
                raise UnknownShapeError  # FastAPI writes it in: two parameters have this in common
            return ("field", shape, self._said(default, plainly=self._models != models))
        return ("given" if default is EMPTY else "default", shape)

    def _dependency(self, depends: Any, annotation: Any, depth: int) -> Shape:
        if not isinstance(depends, self._depends):
            raise UnknownShapeError
        call = depends.dependency if depends.dependency is not None else annotation
        more = [self._value(value) for name, value in sorted(vars(depends).items()) if name != "dependency"]
        return ("depends", self._library(type(depends)), self._call(call, depth + 1), *more)

    def _response(self, status: Any, response: Any) -> Shape:
        return self._value(status), type(response) is dict, self._annotation(response.get("model"))

    def _annotation(self, annotation: Any) -> Shape:
        if annotation is None or annotation is EMPTY or annotation is typing.Any:
            return (annotation,)
        if type(annotation) in self._kinds or (isinstance(annotation, type) and typing.get_origin(annotation) is None):
            return self._class(annotation)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Literal:
            return ("literal", *map(self._value, arguments))
        if origin is typing.Annotated:
            models = self._models
            shape = self._annotation(arguments[0])
            plainly = self._models != models
            return ("annotated", shape, *[self._said(each, plainly=plainly) for each in arguments[1:]])
        if origin in UNION:
            return ("union", *map(self._annotation, arguments))
        if origin is None or not arguments:
            raise UnknownShapeError
        return (self._library(origin), *[... if each is ... else self._annotation(each) for each in arguments])

    def _class(self, one: Any) -> Shape:
        if one in ATOMS:
            return (one,)
        if type(one) is not self._metaclass:
            return (self._library(one),)
        known = self._complete.get(address(one))
        if known is None:
            own = one.__get_pydantic_core_schema__.__func__ is self._own_schema
            if not own or not one.__pydantic_complete__ or one.__pydantic_root_model__:
                raise UnknownShapeError
            # It has its schema: what is in it makes no difference.
            known = self._complete[address(one)] = one, ("model", one.__module__, one.__qualname__)
        self._models += 1
        return known[1]

    def _library(self, one: Any) -> tuple[str, str, int]:
        """A class that is the same one after a reload."""
        known = self._types.get(address(one))
        if known is None:
            module, name = sys.modules.get(one.__module__), one.__name__
            if type(module) is not ModuleType or module.__dict__.get(name) is not one:
                raise UnknownShapeError
            known = self._types[address(one)] = one, (one.__module__, name, address(one))
        return known[1]

    def _said(self, said: Any, *, plainly: bool = False) -> Shape:
        """What is said about a parameter: a field, a constraint.

        `plainly`: nothing that is checked against what is in a model, such as a discriminator.
        """
        if plainly and (not isinstance(said, self._field) or said.metadata or said.discriminator is not None):
            raise UnknownShapeError
        if type(said) in ATOMS:
            return (type(said), said)
        if type(said).__module__.partition(".")[0] not in PLAIN:
            raise UnknownShapeError
        names: Iterable[str] = {**getattr(said, "__dict__", {}), **dict.fromkeys(getattr(said, "__slots__", ()))}
        each = [(name, self._value(getattr(said, name, EMPTY))) for name in names if name not in ANNOTATIONS]
        return (self._library(type(said)), *each)

    def _value(self, value: Any) -> Any:
        kind = type(value)
        if kind in ATOMS:
            return kind, value
        if kind is self._undefined or value is EMPTY:
            return (EMPTY,)
        if kind in {list, tuple, set, frozenset}:
            return (kind, *map(self._value, value))
        if kind is dict:
            return (kind, *[(self._value(key), self._value(each)) for key, each in value.items()])
        if isinstance(value, Enum):
            return (*self._library(kind), value.name)
        return self._said(value)
