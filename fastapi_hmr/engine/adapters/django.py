"""Django: the models of each of its apps by their names, from which it also finds who refers to a model."""

import sys
from collections.abc import Iterable
from typing import Any

from fastapi_hmr.engine.adapters import Adapter
from fastapi_hmr.engine.adapters.names import Names

_MODULE = "django.apps.registry"


def _models() -> Iterable[dict[str, Any]]:
    return list(sys.modules[_MODULE].apps.all_models.values())


def _ask_anew() -> None:
    sys.modules[_MODULE].apps.clear_cache()


ADAPTER = Adapter(_MODULE, lambda: Names("the model", _models, _ask_anew))
