"""Blocks of SQLAlchemy and SQLModel: bases, mixins, models over several modules, event listeners."""

from typing import Any, ClassVar, override

from tests.property.model import Block, Kind, Param, Slot, number, one_of
from tests.property.source import Source

COLUMNS = one_of((), ("a",), ("a", "b"), ("b",), ("c", "a"))


class Base(Kind):
    """A declarative base with a naming convention."""

    name, weight = "base", 1
    params: ClassVar = {"prefix": Param(one_of("ix", "idx")), "n": Param(number(), body=True)}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"B_{block.name}": "sqlbase"}

    @override
    def render(self, block: Block, source: Source) -> None:
        source.need("import sqlalchemy as sa, sqlalchemy.orm as so")
        source.add(
            f"class B_{block.name}(so.DeclarativeBase):\n    metadata = sa.MetaData(naming_convention={{'ix': '{block.values['prefix']}_%(column_0_label)s'}})\n    def where(self): return [type(self).__name__, {block.values['n']}]"
        )
        source.probe(
            block,
            f"[(t.name, sorted(t.c.keys()), sorted(i.name for i in t.indexes)) for t in B_{block.name}.metadata.sorted_tables]",
        )
        source.probe(block, f"sorted(m.class_.__name__ for m in B_{block.name}.registry.mappers)", suffix="_mappers")


class Mixin(Kind):
    """Columns that several models share."""

    name, weight = "mixin", 1
    params: ClassVar = {
        "default": Param(number()),
        "n": Param(number(), body=True),
        "indexed": Param(one_of(True, False)),
    }

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"Mx_{block.name}": "mixin"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v = block.values
        source.need("import sqlalchemy as sa, sqlalchemy.orm as so")
        source.add(
            f"class Mx_{block.name}:\n    mixed_{block.name}: so.Mapped[int] = so.mapped_column(default={v['default']}, index={v['indexed']})\n    def mixed(self): return {v['n']}"
        )


class Model(Kind):
    """A mapped class, with a foreign key and a relationship to another module's where there is one."""

    name, weight = "model", 4
    params: ClassVar = {
        "columns": Param(COLUMNS),
        "n": Param(number(), body=True),
        "stored": Param(one_of(False, False, True)),
        "back": Param(one_of(False, True)),
    }
    slots: ClassVar = {
        "base": Slot(frozenset({"sqlbase"}), required=True),
        "mixin": Slot(frozenset({"mixin"})),
        "to": Slot(frozenset({"model"})),
    }

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"T_{block.name}": "model"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        base = source.use(block.refs["base"])
        bases = [base, *([source.use(block.refs["mixin"])] if "mixin" in block.refs else [])]
        source.need("import sqlalchemy as sa, sqlalchemy.orm as so")
        lines = [
            f"class T_{block.name}({', '.join(bases)}):",
            f"    __tablename__ = 't_{block.name}'",
            "    id: so.Mapped[int] = so.mapped_column(primary_key=True)",
        ]
        lines += [f"    {c}: so.Mapped[str] = so.mapped_column(default='{c}')" for c in v["columns"]]
        if "to" in block.refs:
            to = source.use(block.refs["to"])
            back = f", backref='of_{block.name}'" if v["back"] else ""
            lines += [
                f"    to_id: so.Mapped[int | None] = so.mapped_column(sa.ForeignKey({to}.id))",
                f"    to = so.relationship({to}{back})",
            ]
        lines += [f"    def label(self): return [{v['n']}, self.where()]"]
        source.lines += lines
        source.probe(
            block,
            f"[str(sa.select(T_{block.name})), sorted(sa.inspect(T_{block.name}).relationships.keys()), T_{block.name}().label()]",
        )
        if v["stored"]:
            source.lines += [
                f"def stored_{block.name}():",
                "    engine = sa.create_engine('sqlite://')",
                f"    {base}.metadata.create_all(engine)",
                "    with so.Session(engine) as session:",
                f"        session.add(T_{block.name}())",
                "        session.commit()",
                f"        return [[(c, repr(getattr(row, c))) for c in sorted(T_{block.name}.__table__.c.keys())] for row in session.scalars(sa.select(T_{block.name}))]",
            ]
            source.probe(block, f"stored_{block.name}()", suffix="_stored")


class Listens(Kind):
    """A listener on another module's model, or on every session."""

    name, weight = "listens", 2
    params: ClassVar = {
        "n": Param(number(), body=True),
        "form": Param(one_of("init", "init", "insert", "set", "engine")),
    }
    slots: ClassVar = {"a": Slot(frozenset({"model"}), required=True)}

    @override
    def render(self, block: Block, source: Source) -> None:
        v = block.values
        model = source.use(block.refs["a"])
        source.need("import sqlalchemy as sa, sqlalchemy.orm as so")
        text = {
            "init": f"@sa.event.listens_for({model}, 'init')\ndef _on_{block.name}(target, args, kwargs): target.heard_{block.name} = {v['n']}",
            "insert": f"@sa.event.listens_for({model}, 'before_insert')\ndef _on_{block.name}(mapper, connection, target): target.id = {v['n']} + 1",
            "set": f"@sa.event.listens_for({model}.id, 'set', retval=True)\ndef _on_{block.name}(target, value, old, initiator): return value + {v['n']}",
            "engine": f"@sa.event.listens_for(sa.Engine, 'before_cursor_execute', retval=True)\ndef _on_{block.name}(c, cursor, statement, parameters, context, many): return statement.replace('7', '{v['n']}'), parameters",
        }
        source.add(text[str(v["form"])])
        source.add(
            f"def ask_{block.name}():\n    with sa.create_engine('sqlite://').connect() as c: return c.scalar(sa.text('select 7'))"
        )
        source.probe(
            block,
            f"[sorted((k, x) for k, x in vars({model}(id=1)).items() if k.startswith('heard') or k == 'id'), ask_{block.name}()]",
        )


class Table(Kind):
    """A SQLModel table in the library's own, process-wide metadata, and its pydantic face."""

    name, weight = "table", 2
    params: ClassVar = {"columns": Param(COLUMNS), "default": Param(number()), "n": Param(number(), body=True)}
    slots: ClassVar = {"to": Slot(frozenset({"sqltable"}))}

    @override
    def exports(self, block: Block) -> dict[str, str]:
        return {f"H_{block.name}": "sqltable", f"HB_{block.name}": "schema"}

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import sqlmodel")
        to = (
            [
                f"    to_id: int | None = sqlmodel.Field(default=None, foreign_key='h_{block.refs['to'].export[2:]}.id')",
                f"    to: {source.use(block.refs['to'])} | None = sqlmodel.Relationship()",
            ]
            if "to" in block.refs
            else []
        )
        source.lines += [
            f"class HB_{block.name}(sqlmodel.SQLModel):",
            f"    size: int = {v['default']}",
            *(f"    {c}: str = '{c}'" for c in v["columns"]),
            f"    def label(self): return {v['n']}",
            f"class H_{block.name}(HB_{block.name}, table=True):",
            f"    __tablename__ = 'h_{block.name}'",
            "    id: int | None = sqlmodel.Field(default=None, primary_key=True)",
            *to,
        ]
        source.probe(
            block,
            f"[H_{block.name}().label(), sorted(H_{block.name}(size=3).model_dump()), sorted(t for t in sqlmodel.SQLModel.metadata.tables if t.startswith('h_')), str(sqlmodel.select(H_{block.name}))]",
        )
