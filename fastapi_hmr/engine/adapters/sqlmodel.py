"""SQLModel: tables and mapped classes of the metadata and registry that the library itself owns."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect, Owned


def _metadata() -> Any:
    from sqlmodel import SQLModel

    return SQLModel.metadata


def _registry() -> Any:
    from sqlmodel.main import default_registry

    return default_registry


def _classes() -> dict[str, Any]:
    """Names of mapped classes, as relationships look them up, and the classes."""
    registry: dict[str, Any] = _registry()._class_registry  # noqa: SLF001 - the only list of names there is
    return {name: value for name, value in registry.items() if isinstance(value, type)}


def _name_table(function: str) -> Callable[[str, Any, dict[str, Any]], None]:
    """`add_class` and `remove_class`, which later versions of SQLAlchemy 2 call by private names."""
    from sqlalchemy.orm import clsregistry

    found: Callable[[str, Any, dict[str, Any]], None] | None = getattr(clsregistry, function, None)
    return found or getattr(clsregistry, f"_{function}")


def _managers() -> Any:
    """What is to be configured when the next mapped class is used: not classes that are gone, they may fail."""
    return _registry()._managers  # noqa: SLF001 - as above


def _manager(cls: Any) -> Any:
    return vars(cls).get("_sa_class_manager")


class Tables:
    """The tables and class names that are known now."""

    def take(self) -> tuple[dict[Any, Any], dict[str, Any]]:
        """Both, by key."""
        return dict(_metadata().tables), _classes()

    def effects(self, before: Any, now: Any) -> Iterator[Effect]:
        """One effect for all: modules that share the registry run again together, for they may be related."""
        tables = [table for key, table in now[0].items() if before[0].get(key) is not table]
        classes = {name: cls for name, cls in now[1].items() if before[1].get(name) is not cls}
        slots: frozenset[Hashable] = frozenset((("sqlmodel",),))
        what = "tables " + ", ".join(table.name for table in tables)
        if tables or classes:
            yield Effect(what, _forgetting(tables, classes), _adding(tables, classes), slots)


def _forgetting(tables: list[Any], classes: dict[str, Any]) -> Callable[[], None]:
    def forget() -> None:
        for table in tables:
            if _metadata().tables.get(table.key) is table:
                _metadata().remove(table)
        for name, cls in classes.items():
            _managers().pop(_manager(cls), None)
            if _classes().get(name) is cls:
                _name_table("remove_class")(name, cls, _registry()._class_registry)  # noqa: SLF001 - as above

    return forget


def _adding(tables: list[Any], classes: dict[str, Any]) -> Callable[[], None]:
    def add() -> None:
        for table in tables:
            _metadata()._add_table(table.name, table.schema, table)  # noqa: SLF001 - the reverse of remove()
        for name, cls in classes.items():
            if _manager(cls) is not None:
                _managers()[_manager(cls)] = True
            _name_table("add_class")(name, cls, _registry()._class_registry)  # noqa: SLF001 - as above

    return add


def _forget(owned: Owned) -> None:
    classes = {name: cls for name, cls in _classes().items() if owned(cls)}
    tables = [cls.__table__ for cls in classes.values() if hasattr(cls, "__table__")]
    _forgetting(tables, classes)()


ADAPTER = Adapter("sqlmodel", Tables, _forget)
