"""marshmallow: schemas by their names, for `Nested("Author")`; the first class of a name and module stays for ever.

Private name (checked: 3.26.1 to 4.3.0; the scenario in tests/libraries holds it): `marshmallow.class_registry._registry`.
"""

import sys

from fastapi_hmr.engine.adapters import Adapter
from fastapi_hmr.engine.adapters.names import Names

_MODULE = "marshmallow.class_registry"

ADAPTER = Adapter(_MODULE, lambda: Names("the schema", lambda: [getattr(sys.modules[_MODULE], "_registry", {})]))
