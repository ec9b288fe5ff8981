"""What there is to test of FastAPI's routes by its version, and a fixture for it."""

from collections.abc import Iterator
from importlib.metadata import version

import pytest

from fastapi_hmr.engine.routes import Routes

KEEPS_ROUTERS = (0, 137)
"""Before, an app kept no included router: nothing is put off until its first request."""
ANALYSES = (0, 141)
"""Before, an endpoint was analysed in another way: its analysis is not put off."""
LATE_MODELS = (2, 12)
"""Before, pydantic had another way to complete a model: none is built late."""
PYDANTIC = tuple(int(part) for part in version("pydantic").split(".")[:2])
FASTAPI = tuple(int(part) for part in version("fastapi").split(".")[:2])
collect_ignore = [
    *(["test_routes.py", "test_heads.py"] if KEEPS_ROUTERS > FASTAPI else []),
    *(["test_analyses.py", "test_analyses_random.py", "test_routes_ledger.py"] if ANALYSES > FASTAPI else []),
    *(["test_models.py"] if LATE_MODELS > PYDANTIC else []),
]


@pytest.fixture
def routes() -> Iterator[Routes]:
    """Routes in FastAPI's place, for one test."""
    found = Routes()
    found.install()
    try:
        yield found
    finally:
        found.uninstall()
