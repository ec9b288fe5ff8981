"""beartype, typeguard: libraries whose loader makes other code of the app's modules than Python does."""

from typing import Any

from tests.libraries.scenarios.databases import changed
from tests.libraries.scenarios.registries import scenario

SERVICE = """
def price(amount: int) -> int:
    return amount
"""
SHOP = """
from fastapi import FastAPI
from shop import service

app = FastAPI()

@app.get("/")
def index():
    found = []
    for amount in (3, "a"):
        try:
            found.append(service.price(amount))
        except Exception as error:
            found.append(type(error).__name__)
    return found
"""
BEARTYPE = "from beartype.claw import beartype_this_package\nbeartype_this_package()\n"
TYPEGUARD = "from typeguard import install_import_hook\ninstall_import_hook('shop')\n"


def checked(name: str, files: dict[str, str], off: dict[str, str], on: dict[str, str]) -> dict[str, Any]:
    """Edits of a module that is checked, then without the checks, and with them again."""
    steps = [
        ("a body", {"shop/service.py": changed(SERVICE, ("return amount", "return amount * 2"))}),
        ("a signature", {"shop/service.py": changed(SERVICE, ("amount: int", "amount: str | int"))}),
        ("a type of the answer", {"shop/service.py": changed(SERVICE, (": int) -> int", ": str | int) -> str | int"))}),
        ("as before", {"shop/service.py": SERVICE}),
        ("unchecked", off),
        ("a body, unchecked", {"shop/service.py": changed(SERVICE, ("return amount", "return amount * 3"))}),
        ("checked again", on),
    ]
    return scenario(name, name.partition("-")[0], {"main.py": SHOP, "shop/service.py": SERVICE, **files}, steps)


SCENARIOS = [
    checked(
        "beartype-package", {"shop/__init__.py": BEARTYPE}, {"shop/__init__.py": ""}, {"shop/__init__.py": BEARTYPE}
    ),
    checked(
        "typeguard-import-hook",
        {"main.py": TYPEGUARD + SHOP, "shop/__init__.py": ""},
        {"main.py": SHOP},
        {"main.py": TYPEGUARD + SHOP},
    ),
]
