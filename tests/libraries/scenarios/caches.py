"""cachetools, aiocache, cashews: results of a function, which a body patched in place does not reach."""

from typing import Any

from tests.libraries.scenarios.databases import changed

SERVICE = """
IMPORT
from rates import rate

DECORATOR
ASYNCdef price(amount):
    return amount * rate() + 1
"""
RATES = "def rate():\n    return 2\n"
SOLD = """
from fastapi import FastAPI
import service

app = FastAPI()

@app.get("/")
async def index():
    price = service.price(10)
    return await price if hasattr(price, "__await__") else price
"""


def scenario(name: str, imports: str, decorator: str, kind: str) -> dict[str, Any]:
    """The function itself changes, what it calls, and its decorator."""
    service = SERVICE.replace("IMPORT", imports).replace("DECORATOR", decorator).replace("ASYNC", kind)
    steps: list[tuple[str, dict[str, str]]] = [
        ("its body", {"service.py": changed(service, ("+ 1", "+ 3"))}),
        ("what it calls", {"rates.py": changed(RATES, ("2", "7"))}),
        ("not cached", {"service.py": changed(service, (decorator, ""), ("+ 1", "+ 5"))}),
        ("cached again", {"service.py": service}),
    ]
    return {
        "id": name,
        "requires": [name.partition("-")[0]],
        "timeout": 60.0,
        "files": {"main.py": SOLD, "service.py": service, "rates.py": RATES},
        "observe": ["GET /"],
        "steps": [{"name": step, "write": write} for step, write in steps],
    }


SCENARIOS = [
    scenario("cachetools-cached", "from cachetools import TTLCache, cached", "@cached(TTLCache(10, 1000))", ""),
    scenario("aiocache-cached", "from aiocache import cached", "@cached(ttl=1000, key='price')", "async "),
    scenario(
        "cashews-cached", "from cashews import cache\ncache.setup('mem://')", "@cache(ttl='1h', key='price')", "async "
    ),
]
