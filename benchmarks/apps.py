"""The generated apps, and the edits that are made to them."""

import os
from collections.abc import Callable
from pathlib import Path

ONE = """from fastapi import FastAPI

app = FastAPI()


@app.get("/0/0")
def read() -> dict[str, str]:
    return {"value": "{token}"}
"""
ROUTE = """

@router.get("/{route}")
def read_{route}(item: int = 0{parameter}) -> Item:
    return Item(name="{token}", number=item + {route})
"""
MODEL = """from pydantic import BaseModel


class Item(BaseModel):
    name: str
    number: int
    note: str = "{token}"
"""
PER_MODULE = 10

type Edit = Callable[[Path, str], tuple[Path, str]]
"""From the app's folder and a token to the file and its new text."""


def write(folder: Path, routes: int) -> None:
    """An app of so many routes: in one file, or in modules of ten with a model that all of them import."""
    folder.mkdir(parents=True)
    modules = range(routes // PER_MODULE)
    if routes == 1:
        (folder / "main.py").write_text(ONE.replace("{token}", "first"))
        return
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").write_text("")
    (folder / "shop" / "models.py").write_text(MODEL.replace("{token}", "first"))
    for number in modules:
        (folder / "shop" / f"part{number}.py").write_text(_module())
    imports = "".join(f"from shop import part{number}\n" for number in modules)
    included = "".join(f'app.include_router(part{number}.router, prefix="/{number}")\n' for number in modules)
    (folder / "main.py").write_text(f"from fastapi import FastAPI\n{imports}\napp = FastAPI()\n{included}")


def _module(token: str = "first", parameter: str = "") -> str:
    text = "from fastapi import APIRouter\nfrom shop.models import Item\n\nrouter = APIRouter()\n"
    for route in range(PER_MODULE):
        values = {"route": str(route), "token": token if route == 0 else "other", "parameter": parameter}
        piece = ROUTE
        for name, value in values.items():
            piece = piece.replace(f"{{{name}}}", value)
        text += piece
    return text


def body(folder: Path, token: str) -> tuple[Path, str]:
    """The body of a handler."""
    if (folder / "shop").exists():
        return folder / "shop" / "part0.py", _module(token)
    return folder / "main.py", ONE.replace("{token}", token)


def signature(folder: Path, token: str) -> tuple[Path, str]:
    """The signature of the handlers of one module."""
    return folder / "shop" / "part0.py", _module(token, f", {token}: int = 0")


def model(folder: Path, token: str) -> tuple[Path, str]:
    """A model that every module imports."""
    return folder / "shop" / "models.py", MODEL.replace("{token}", token)


def save(edit: Edit, folder: Path, token: str) -> None:
    """As most editors do it: write beside, then rename over the file."""
    path, text = edit(folder, token)
    beside = folder.parent / f"{folder.name}.saving"
    beside.write_text(text)
    os.replace(beside, path)  # noqa: PTH105 - the call itself is what is timed
