"""SQLAlchemy declarative over several modules, and SQLModel."""

BASE = """
from sqlalchemy import MetaData, create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker
from sqlalchemy.pool import StaticPool

class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={"ix": "ix_%(column_0_label)s", "fk": "fk_%(table_name)s_%(column_0_name)s"})

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(engine)
"""

MIXIN = """
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

class Stamped:
    created_by: Mapped[str] = mapped_column(default="system")

    @declared_attr.directive
    def __tablename__(cls):
        return cls.__name__.lower() + "s"

    def describe(self):
        return f"{type(self).__name__} by {self.created_by}"
"""

USER = """
from typing import TYPE_CHECKING
from sqlalchemy.orm import Mapped, mapped_column, relationship
from shop.base import Base
from shop.mixins import Stamped
if TYPE_CHECKING:
    from shop.order import Order

class User(Stamped, Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(index=True)
    orders: Mapped[list["Order"]] = relationship(back_populates="user", order_by="Order.id")
"""

ORDER = """
from sqlalchemy import ForeignKey
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates
from shop.base import Base
from shop.mixins import Stamped

class Order(Stamped, Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    cents: Mapped[int] = mapped_column(default=100)
    user: Mapped["User"] = relationship(back_populates="orders")

    @hybrid_property
    def euros(self):
        return self.cents / 100

    @validates("cents")
    def positive(self, key, value):
        return max(value, 1)
"""

EVENTS = """
from sqlalchemy import event
from sqlalchemy.orm import Session
from shop.order import Order
from shop.user import User

@event.listens_for(User, "before_insert")
def lower(mapper, connection, target):
    target.email = target.email.lower()

@event.listens_for(Session, "before_flush")
def sign(session, context, instances):
    for row in session.new:
        row.created_by = "session"

@event.listens_for(Order.cents, "set", retval=True)
def raise_price(target, value, old, initiator):
    return value + 1
"""

SHOP = """
from contextlib import asynccontextmanager
from fastapi import Depends, FastAPI
from sqlalchemy import func, inspect, select
from shop import events
from shop.base import Base, SessionLocal, engine
from shop.order import Order
from shop.user import User

@asynccontextmanager
async def lifespan(app):
    Base.metadata.create_all(engine)
    with SessionLocal() as session:
        session.add(User(email="A@B.C", orders=[Order(cents=250), Order(cents=-5)]))
        session.commit()
    yield
    Base.metadata.drop_all(engine)

app = FastAPI(lifespan=lifespan)

def db():
    with SessionLocal() as session:
        yield session

@app.get("/users")
def users(session=Depends(db)):
    return [{"email": u.email, "is": u.describe(), "orders": [[o.cents, o.euros, o.user is u] for o in u.orders]} for u in session.scalars(select(User))]

@app.get("/total")
def total(session=Depends(db)):
    return session.scalar(select(func.sum(Order.euros)))

@app.get("/tables")
def tables():
    return {t.name: [[c.name, str(c.type), sorted(str(f.target_fullname) for f in c.foreign_keys)] for c in t.c] + [sorted(i.name for i in t.indexes)] for t in Base.metadata.sorted_tables} | {"mappers": sorted(m.class_.__name__ for m in Base.registry.mappers), "in the database": sorted(inspect(engine).get_table_names())}
"""

INVOICE = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship
from shop.base import Base
from shop.mixins import Stamped

class Invoice(Stamped, Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    order = relationship("Order", backref="invoices")
"""

TEAM = """
from sqlmodel import Field, Relationship, SQLModel

class TeamBase(SQLModel):
    name: str = Field(index=True)

class Team(TeamBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    heroes: list["Hero"] = Relationship(back_populates="team")

class TeamRead(TeamBase):
    id: int
"""

HERO = """
from sqlmodel import Field, Relationship, SQLModel
from team import Team, TeamRead

class HeroBase(SQLModel):
    name: str = Field(min_length=2)
    age: int = 30
    team_id: int | None = Field(default=None, foreign_key="team.id")

class Hero(HeroBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    team: Team | None = Relationship(back_populates="heroes")

class HeroRead(HeroBase):
    id: int
    team: TeamRead | None = None
"""

HEROES = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from sqlalchemy.pool import StaticPool
from sqlmodel import Session, SQLModel, create_engine, select
from hero import Hero, HeroBase, HeroRead
from team import Team

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})

@asynccontextmanager
async def lifespan(app):
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Hero(name="Deadpond", team=Team(name="Preventers")))
        session.commit()
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/heroes", response_model=list[HeroRead])
def heroes():
    with Session(engine) as session:
        return [HeroRead.model_validate(h) for h in session.exec(select(Hero))]

@app.post("/check")
def check(hero: HeroBase):
    return hero

@app.get("/tables")
def tables():
    return {name: [c.name for c in t.c] for name, t in SQLModel.metadata.tables.items()}
"""

CARDS = """
from tortoise import fields, models

class Card(models.Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20)

class Note(models.Model):
    id = fields.IntField(primary_key=True)
    card = fields.ForeignKeyField("models.Card", related_name="notes")
"""

SHAPES = """
from cards import Card
from tortoise.contrib.pydantic import pydantic_model_creator

CardOut = pydantic_model_creator(Card, name="CardOut")
CardIn = pydantic_model_creator(Card, name="CardIn", exclude_readonly=True)
"""

BOX = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from tortoise.contrib.fastapi import RegisterTortoise
from cards import Card
from shapes import CardIn, CardOut

@asynccontextmanager
async def lifespan(app):
    async with RegisterTortoise(app, db_url="sqlite://:memory:", modules={"models": ["cards"]}, generate_schemas=True):
        await Card.create(name="first")
        yield

app = FastAPI(lifespan=lifespan)

@app.get("/cards", response_model=list[CardOut])
async def cards():
    return [await CardOut.from_tortoise_orm(card) for card in await Card.all()]

@app.post("/cards")
async def add(card: CardIn):
    return (await Card.create(**card.model_dump())).name
"""


def changed(text: str, *pairs: tuple[str, str]) -> str:
    """The text with some replacements, each of which must be there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


SCENARIOS = [
    {
        "id": "tortoise-orm",
        "requires": ["tortoise"],
        "timeout": 60.0,
        "files": {"main.py": BOX, "shapes.py": SHAPES, "cards.py": CARDS},
        "observe": ["GET /cards", "GET /openapi.json"],
        "steps": [
            {"name": "a field's length", "write": {"cards.py": changed(CARDS, ("length=20", "length=30"))}},
            {
                "name": "a column, which rows need",
                "write": {
                    "cards.py": changed(
                        CARDS, ("length=20)", 'length=20)\n    kind = fields.CharField(max_length=9, default="plain")')
                    )
                },
            },
            {
                "name": "a shape of models that were started",
                "write": {"shapes.py": changed(SHAPES, ('"CardIn"', '"In"'))},
            },
            {"name": "a relation", "write": {"cards.py": changed(CARDS, ('"notes"', '"remarks"'))}},
            {"name": "half done", "write": {"cards.py": changed(CARDS, ("models.Card", "models.Crd"))}},
            {"name": "mended", "write": {"cards.py": CARDS, "shapes.py": SHAPES}},
        ],
    },
    {
        "id": "sqlalchemy-declarative",
        "requires": ["sqlalchemy"],
        "timeout": 60.0,
        "files": {
            "main.py": SHOP,
            "shop/__init__.py": "",
            "shop/base.py": BASE,
            "shop/mixins.py": MIXIN,
            "shop/user.py": USER,
            "shop/order.py": ORDER,
            "shop/events.py": EVENTS,
        },
        "observe": ["GET /users", "GET /total", "GET /tables"],
        "steps": [
            {
                "name": "a column",
                "write": {
                    "shop/user.py": changed(
                        USER, ("    orders:", '    nick: Mapped[str] = mapped_column(default="none")\n    orders:')
                    )
                },
            },
            {"name": "a listener's body", "write": {"shop/events.py": changed(EVENTS, (".lower()", ".upper()"))}},
            {
                "name": "the mixin",
                "write": {"shop/mixins.py": changed(MIXIN, ('default="system"', 'default="nobody"'), ("by {", "of {"))},
            },
            {
                "name": "a hybrid and a validator",
                "write": {"shop/order.py": changed(ORDER, ("/ 100", "/ 200"), ("max(value, 1)", "max(value, 7)"))},
            },
            {
                "name": "half done",
                "write": {"shop/order.py": changed(ORDER, ("class Order(", "class Order(Missing, "))},
            },
            {
                "name": "mended, a listener gone",
                "write": {"shop/order.py": ORDER, "shop/events.py": EVENTS.rpartition("\n@event")[0]},
            },
            {
                "name": "a third model with a backref",
                "write": {
                    "shop/invoice.py": INVOICE,
                    "main.py": changed(SHOP, ("from shop import events", "from shop import events, invoice")),
                },
            },
            {"name": "and it goes", "write": {"main.py": SHOP}, "delete": ["shop/invoice.py"]},
            {"name": "the base", "write": {"shop/base.py": changed(BASE, ("ix_%", "idx_%"))}},
        ],
    },
    {
        "id": "sqlmodel-two-tables",
        "requires": ["sqlmodel"],
        "timeout": 60.0,
        "files": {"main.py": HEROES, "team.py": TEAM, "hero.py": HERO},
        "observe": [
            "GET /heroes",
            "GET /tables",
            "GET /openapi.json",
            {"method": "POST", "path": "/check", "json": {"name": "x"}},
        ],
        "steps": [
            {
                "name": "a field of the table",
                "write": {
                    "hero.py": changed(HERO, ("    age: int = 30", '    age: int = 31\n    power: str = "none"'))
                },
            },
            {"name": "a constraint", "write": {"hero.py": changed(HERO, ("min_length=2", "min_length=1"))}},
            {
                "name": "the other table",
                "write": {"team.py": changed(TEAM, ("    name: str", '    city: str = "Berlin"\n    name: str'))},
            },
            {"name": "half done", "write": {"team.py": changed(TEAM, ("SQLModel):", "SQLModel, nothing=here(:"))}},
            {"name": "mended", "write": {"team.py": TEAM}},
            {"name": "fails after the table", "write": {"hero.py": HERO + "\nraise RuntimeError('not yet')\n"}},
            {
                "name": "mended, the table renamed",
                "write": {
                    "hero.py": changed(
                        HERO,
                        (
                            "class Hero(HeroBase, table=True):",
                            'class Hero(HeroBase, table=True):\n    __tablename__ = "heroine"',
                        ),
                    )
                },
            },
            {"name": "as at first", "write": {"hero.py": HERO}},
        ],
    },
]
