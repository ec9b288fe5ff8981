"""strawberry-graphql, sqladmin, fastapi-users, slowapi, Dash: what builds routes and pages out of the app's own classes."""

from tests.libraries.scenarios.databases import changed

TYPES = """
import enum
import strawberry

@strawberry.enum
class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"

@strawberry.type
class Author:
    name: str

@strawberry.type
class Book:
    title: str
    size: Size = Size.SMALL

    @strawberry.field
    def author(self) -> Author:
        return Author(name=f"author of {self.title}")
"""

SCHEMA = """
import strawberry
from graph.types import Book, Size

@strawberry.type
class Query:
    @strawberry.field
    def books(self, first: int = 2) -> list[Book]:
        return [Book(title=f"Book {i}", size=Size.LARGE) for i in range(first)]

schema = strawberry.Schema(query=Query)
"""

GRAPH = """
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from graph.schema import schema

app = FastAPI()
app.include_router(GraphQLRouter(schema), prefix="/graphql")

@app.get("/sdl")
def sdl():
    return schema.as_str()
"""

MODELS = """
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import StaticPool

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="Ada")
"""

VIEWS = """
from sqladmin import ModelView
from models import User

class UserAdmin(ModelView, model=User):
    column_list = [User.id, User.name]
    name = "Customer"
    name_plural = "Customers"
"""

ADMIN = """
import re
from contextlib import asynccontextmanager
from fastapi import FastAPI
from sqladmin import Admin
from sqlalchemy.orm import Session
from models import Base, User, engine
from views import UserAdmin

@asynccontextmanager
async def lifespan(app):
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(User())
        session.commit()
    yield
    Base.metadata.drop_all(engine)

app = FastAPI(lifespan=lifespan)
admin = Admin(app, engine, title="Back office")
admin.add_view(UserAdmin)
"""

USERS = """
from fastapi import Depends
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin, InvalidPasswordException
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase
from accounts.models import User

class Memory(BaseUserDatabase):
    async def get(self, id):
        return User(id=id, email="ada@example.org", hashed_password="x")
    async def get_by_email(self, email):
        return self.made(email=email) if email.startswith("taken") else None
    async def create(self, create_dict):
        return self.made(**create_dict)
    def made(self, **values):
        return User(**({"id": 1, "hashed_password": "x"} | values))

class Manager(IntegerIDMixin, BaseUserManager):
    reset_password_token_secret = verification_token_secret = "secret" * 8

    async def validate_password(self, password, user):
        if len(password) < 4:
            raise InvalidPasswordException("too short")

async def get_db():
    yield Memory()

async def get_manager(db=Depends(get_db)):
    yield Manager(db)

def strategy():
    return JWTStrategy("secret" * 8, lifetime_seconds=3600)

backend = AuthenticationBackend("jwt", BearerTransport("auth/login"), strategy)
users = FastAPIUsers(get_manager, [backend])
current = users.current_user(active=True)
"""

ACCOUNT = """
from dataclasses import dataclass

@dataclass
class User:
    id: int
    email: str
    hashed_password: str
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False
    nick: str = "none"
"""

ACCOUNT_SCHEMAS = """
from fastapi_users import schemas

class UserRead(schemas.BaseUser[int]):
    nick: str

class UserCreate(schemas.BaseUserCreate):
    nick: str = "new"
"""

ACCOUNTS = """
from fastapi import Depends, FastAPI
from accounts.manager import backend, current, users
from accounts.schemas import UserCreate, UserRead

app = FastAPI()
app.include_router(users.get_auth_router(backend), prefix="/auth")
app.include_router(users.get_register_router(UserRead, UserCreate), prefix="/auth")

@app.get("/me")
def me(user=Depends(current)):
    return user.email
"""

LIMITS = """
from slowapi import Limiter
from slowapi.util import get_remote_address

limiter = Limiter(key_func=get_remote_address, headers_enabled=True, default_limits=["500/minute"])
"""

LIMITED = """
from fastapi import APIRouter, Request, Response
from limits_ import limiter

router = APIRouter()

@router.get("/slow")
@limiter.limit("100/minute")
async def slow(request: Request, response: Response):
    return "slow"
"""

LIMITED_APP = """
from fastapi import FastAPI
from slowapi import _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware
from limits_ import limiter
import routes

app = FastAPI()
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
app.add_middleware(SlowAPIASGIMiddleware)
app.include_router(routes.router)

@app.get("/known")
async def known():
    return sorted(limiter._route_limits), [[str(l.limit) for l in ls] for _, ls in sorted(limiter._route_limits.items())]
"""

SHOWN = ["x-ratelimit-limit"]

CACHED = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache
import prices

@asynccontextmanager
async def lifespan(app):
    FastAPICache.init(InMemoryBackend())
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/price")
@cache(expire=600)
async def price():
    return [prices.PRICE, 1]

@app.get("/sum")
@cache(expire=600)
async def total():
    return prices.total([1, 2])
"""

PRICES = """
PRICE = 3

def total(known):
    return sum(known)
"""

PLOTS = """
from dash import Dash, dcc, html
import callbacks

dash_app = Dash("shop", requests_pathname_prefix="/dash/")
dash_app.layout = html.Div([html.Div("one", id="shown"), dcc.Input(id="typed")])
"""
CALLBACKS = """
from dash import Input, Output, callback

@callback(Output("shown", "children"), Input("typed", "value"))
def show(value):
    return f"one {value}"
"""
PLOTTED = """
from fastapi import FastAPI
from plots import dash_app

app = FastAPI()

@app.get("/")
def index():
    client = dash_app.server.test_client()
    layout = client.get("/_dash-layout").json["props"]["children"][0]["props"]["children"]
    inputs = [each["inputs"][0] for each in client.get("/_dash-dependencies").json]
    typed = {
        "output": "shown.children",
        "outputs": {"id": "shown", "property": "children"},
        "inputs": [{**each, "value": 3} for each in inputs],
        "changedPropIds": ["typed.value"],
    }
    return [layout, inputs, client.post("/_dash-update-component", json=typed).get_data(as_text=True)]
"""

SCENARIOS = [
    {
        "id": "strawberry-graphql",
        "requires": ["strawberry"],
        "timeout": 60.0,
        "files": {"main.py": GRAPH, "graph/__init__.py": "", "graph/types.py": TYPES, "graph/schema.py": SCHEMA},
        "observe": [
            "GET /sdl",
            {"method": "POST", "path": "/graphql", "json": {"query": "{ books { title size author { name } } }"}},
        ],
        "steps": [
            {"name": "a resolver's body", "write": {"graph/types.py": changed(TYPES, ("author of", "the author of"))}},
            {
                "name": "a field",
                "write": {"graph/types.py": changed(TYPES, ("    title: str", "    title: str\n    pages: int = 10"))},
            },
            {
                "name": "an argument",
                "write": {"graph/schema.py": changed(SCHEMA, ("first: int = 2", "first: int = 1"))},
            },
            {
                "name": "a member of the enum",
                "write": {"graph/types.py": changed(TYPES, ('LARGE = "l"', 'LARGE = "l"\n    HUGE = "h"'))},
            },
            {
                "name": "a type that is not there",
                "write": {"graph/types.py": changed(TYPES, ("-> Author", "-> 'Writer'"))},
            },
            {"name": "mended, the type renamed", "write": {"graph/types.py": changed(TYPES, ("Author", "Writer"))}},
        ],
    },
    {
        "id": "sqladmin-views",
        "requires": ["sqladmin"],
        "timeout": 60.0,
        "files": {"main.py": ADMIN, "models.py": MODELS, "views.py": VIEWS},
        "observe": ["GET /admin/", "GET /admin/user/list", "GET /admin/user/details/1", "GET /admin/user/create"],
        "steps": [
            {"name": "a name", "write": {"views.py": changed(VIEWS, ('"Customers"', '"Clients"'))}},
            {"name": "a column shown", "write": {"views.py": changed(VIEWS, ("[User.id, User.name]", "[User.name]"))}},
            {
                "name": "a column of the model",
                "write": {
                    "models.py": changed(
                        MODELS,
                        ('default="Ada")', 'default="Ada")\n    city: Mapped[str] = mapped_column(default="Rome")'),
                    ),
                    "views.py": changed(VIEWS, ("User.name]", "User.name, User.city]")),
                },
            },
            {"name": "a column that is not there", "write": {"models.py": MODELS}},
            {
                "name": "mended, another title",
                "write": {"views.py": VIEWS, "main.py": changed(ADMIN, ("Back office", "Front office"))},
            },
        ],
    },
    {
        "id": "fastapi-users",
        "requires": ["fastapi_users"],
        "timeout": 60.0,
        "files": {
            "main.py": ACCOUNTS,
            "accounts/__init__.py": "",
            "accounts/models.py": ACCOUNT,
            "accounts/schemas.py": ACCOUNT_SCHEMAS,
            "accounts/manager.py": USERS,
        },
        "observe": [
            {"method": "POST", "path": "/auth/register", "json": {"email": "ada@example.org", "password": "abc12"}},
            {"method": "POST", "path": "/auth/register", "json": {"email": "ada@example.org", "password": "abc"}},
            {"method": "POST", "path": "/auth/register", "json": {"email": "taken@example.org", "password": "abc12"}},
            "GET /me",
            "GET /openapi.json",
        ],
        "steps": [
            {"name": "the password rule", "write": {"accounts/manager.py": changed(USERS, ("< 4", "< 6"))}},
            {
                "name": "the model and the schema",
                "write": {
                    "accounts/models.py": changed(ACCOUNT, ("nick: str", "alias: str")),
                    "accounts/schemas.py": changed(ACCOUNT_SCHEMAS, ("nick", "alias")),
                },
            },
            {
                "name": "the schema alone",
                "write": {
                    "accounts/schemas.py": changed(ACCOUNT_SCHEMAS, ("nick: str\n", "alias: str\n    age: int = 3\n"))
                },
            },
            {
                "name": "half done",
                "write": {"accounts/manager.py": changed(USERS, ("import User\n", "import Person\n"))},
            },
            {"name": "mended", "write": {"accounts/manager.py": changed(USERS, ("auth/login", "auth/jwt/login"))}},
        ],
    },
    {
        "id": "fastapi-cache",
        "requires": ["fastapi_cache"],
        "timeout": 60.0,
        "files": {"main.py": CACHED, "prices.py": PRICES},
        "observe": ["GET /price", "GET /price", "GET /sum"],
        "steps": [
            {"name": "a body", "write": {"main.py": changed(CACHED, ("PRICE, 1", "PRICE, 2"))}},
            {"name": "what it calls", "write": {"prices.py": changed(PRICES, ("sum(known)", "max(known)"))}},
            {"name": "a constant", "write": {"prices.py": changed(PRICES, ("PRICE = 3", "PRICE = 4"))}},
            {"name": "half done", "write": {"prices.py": PRICES + "def ("}},
            {"name": "mended", "write": {"prices.py": PRICES}},
        ],
    },
    {
        "id": "slowapi-limits",
        "requires": ["slowapi"],
        "timeout": 60.0,
        "files": {"main.py": LIMITED_APP, "limits_.py": LIMITS, "routes.py": LIMITED},
        "observe": [
            {"method": "GET", "path": "/slow", "show_headers": SHOWN},
            {"method": "GET", "path": "/known", "show_headers": SHOWN},
        ],
        "steps": [
            {"name": "a limit", "write": {"routes.py": changed(LIMITED, ("100/minute", "200/minute"))}},
            {"name": "a handler's body", "write": {"routes.py": changed(LIMITED, ('"slow"\n', '"slower"\n'))}},
            {"name": "another path", "write": {"routes.py": changed(LIMITED, ("async def slow", "async def slowly"))}},
            {"name": "the default", "write": {"limits_.py": changed(LIMITS, ("500", "400"))}},
        ],
    },
    {
        "id": "dash-callbacks",
        "requires": ["dash"],
        "timeout": 60.0,
        "files": {"main.py": PLOTTED, "plots.py": PLOTS, "callbacks.py": CALLBACKS},
        "observe": ["GET /"],
        "steps": [
            {"name": "the layout", "write": {"plots.py": changed(PLOTS, ('"one"', '"two"'))}},
            {"name": "a callback's body", "write": {"callbacks.py": changed(CALLBACKS, ("one", "two"))}},
            {"name": "its input", "write": {"callbacks.py": changed(CALLBACKS, ('"value"', '"n_submit"'))}},
            {"name": "broken", "write": {"plots.py": PLOTS + "1 / 0\n"}},
            {"name": "mended", "write": {"plots.py": changed(PLOTS, ('"one"', '"three"'))}},
            {"name": "both", "write": {"plots.py": PLOTS, "callbacks.py": CALLBACKS}},
        ],
    },
]
