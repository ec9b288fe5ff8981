"""fastapi-cache: the answers that it keeps in memory are those of the code before.

Private name (checked: 0.2.2; the scenario in tests/libraries holds it): `InMemoryBackend._store`, of the class. What
is kept elsewhere, in Redis say, a cold start finds too.
"""

import sys
from typing import Any

from fastapi_hmr.engine.adapters import Adapter

_BACKEND = "fastapi_cache.backends.inmemory"


def _forget_answers() -> None:
    backend: Any = sys.modules[_BACKEND]
    getattr(backend.InMemoryBackend, "_store", {}).clear()


ADAPTER = Adapter(_BACKEND, lambda: None, renew=_forget_answers)
