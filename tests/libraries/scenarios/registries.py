"""marshmallow, mongoengine, hydra, Django: classes that the library finds by their names."""

from typing import Any

from tests.libraries.scenarios.databases import changed

AUTHORS = """
from marshmallow import Schema, fields

class Author(Schema):
    name = fields.Str()
"""
BOOKS = """
from marshmallow import Schema, fields
import authors

class Book(Schema):
    author = fields.Nested("Author")
    others = fields.List(fields.Nested("authors.Author"))
"""
LIBRARY = """
from fastapi import FastAPI
from books import Book

app = FastAPI()

@app.get("/")
def index():
    return Book().dump({"author": {"name": "x", "age": 3}, "others": [{"name": "y", "age": 4}]})
"""
USERS = """
from mongoengine import Document, StringField

class User(Document):
    name = StringField()
    meta = {"allow_inheritance": True}
"""
POSTS = """
from mongoengine import Document, ReferenceField, StringField
from users import User

class Admin(User):
    level = StringField()

class Post(Document):
    user = ReferenceField("User")
"""
DOCUMENTS = """
from fastapi import FastAPI
from mongoengine.base import get_document
from mongoengine.errors import NotRegistered
import posts

app = FastAPI()

@app.get("/")
def index():
    try:
        admin = sorted(get_document("User.Admin")._fields)
    except NotRegistered:
        admin = "none"
    return [sorted(get_document("User")._fields), sorted(posts.Post.user.document_type._fields), admin]
"""
CONFIGURATION = """
from dataclasses import dataclass
from hydra.core.config_store import ConfigStore

@dataclass
class Shop:
    port: int = 1

store = ConfigStore.instance()
store.store(name="shop", node=Shop)
store.store(group="db", name="sqlite", node={"url": "sqlite://"})
"""
CONFIGURED = """
from fastapi import FastAPI
from hydra import compose, initialize
import configuration

app = FastAPI()

@app.get("/")
def index():
    with initialize(version_base=None, config_path=None):
        config = dict(compose(config_name="shop"))
    return [config, sorted(configuration.store.list("")), sorted(configuration.store.list("db"))]
"""
SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
MODELS = """
from django.db import models

class Item(models.Model):
    name = models.CharField(max_length=9)

class Order(models.Model):
    item = models.ForeignKey(Item, on_delete=models.CASCADE)
"""
DJANGO = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
django.setup()
from django.apps import apps
from fastapi import FastAPI
from shop.models import Item

app = FastAPI()

@app.get("/")
def index():
    fields = {field.name: getattr(field, "max_length", None) for field in Item._meta.get_fields()}
    return [fields, sorted(model.__name__ for model in apps.get_models()), apps.get_model("shop", "Item") is Item]
"""


def scenario(
    name: str, package: str, files: dict[str, str], steps: list[tuple[str, dict[str, str]]], **more: Any
) -> dict[str, Any]:
    """One that asks for the root only."""
    return {
        "id": name,
        "requires": [package],
        "timeout": 60.0,
        "files": files,
        "observe": ["GET /"],
        "steps": [{"name": step, "write": write} for step, write in steps],
        **more,
    }


AGED = AUTHORS + "    age = fields.Int()\n"
SCENARIOS = [
    scenario(
        "marshmallow-nested-by-name",
        "marshmallow",
        {"main.py": LIBRARY, "books.py": BOOKS, "authors.py": AUTHORS},
        [
            ("a field", {"authors.py": AGED}),
            (
                "a name",
                {
                    "authors.py": changed(AUTHORS, ("Author(", "Writer(")),
                    "books.py": changed(BOOKS, ('"Author"', '"Writer"'), ("authors.Author", "authors.Writer")),
                },
            ),
            (
                "another module",
                {
                    "authors.py": "from people import Author\n",
                    "people.py": AGED,
                    "books.py": changed(BOOKS, ("authors.Author", "people.Author")),
                },
            ),
        ],
    ),
    scenario(
        "mongoengine-documents",
        "mongoengine",
        {"main.py": DOCUMENTS, "users.py": USERS, "posts.py": POSTS},
        [
            ("a field", {"users.py": changed(USERS, ("    meta", "    age = StringField()\n    meta"))}),
            ("a name", {"posts.py": changed(POSTS, ("Admin", "Chief"))}),
            ("the name again", {"posts.py": POSTS}),
        ],
    ),
    scenario(
        "hydra-config-store",
        "hydra",
        {"main.py": CONFIGURED, "configuration.py": CONFIGURATION},
        [
            ("a default", {"configuration.py": changed(CONFIGURATION, ("= 1", "= 2"))}),
            ("one more", {"configuration.py": CONFIGURATION + 'store.store(group="db", name="postgres", node={})\n'}),
            ("one less", {"configuration.py": CONFIGURATION}),
            ("a name", {"configuration.py": changed(CONFIGURATION, ('"sqlite"', '"file"'))}),
        ],
    ),
    scenario(
        "django-models",
        "django",
        {"main.py": DJANGO, "settings.py": SETTINGS, "shop/__init__.py": "", "shop/models.py": MODELS},
        [
            ("a field", {"shop/models.py": changed(MODELS, ("=9)", "=8)\n    age = models.IntegerField(default=1)"))}),
            ("a name", {"shop/models.py": changed(MODELS, ("Order(", "Purchase("))}),
            ("the name again", {"shop/models.py": MODELS}),
        ],
    ),
]
