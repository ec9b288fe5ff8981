"""What there is to test of FastAPI's routes: before 0.137 it kept no included router, and has nothing to put off."""

from importlib.metadata import version

KEEPS_ROUTERS = (0, 137)
FASTAPI = tuple(int(part) for part in version("fastapi").split(".")[:2])
collect_ignore = ["test_routes.py", "test_routes_ledger.py"] if KEEPS_ROUTERS > FASTAPI else []
