"""What can be set from outside, by environment variables."""

import getpass
import os
import tempfile
from pathlib import Path

TITLE = "Daybook"

DATABASE = Path(
    os.environ.get("DAYBOOK_DATABASE") or Path(tempfile.gettempdir()) / f"daybook-{getpass.getuser()}.db",
)
"""Outside the project, so that what the app writes is never mistaken for an edit."""

STARTUP_SECONDS = float(os.environ.get("DAYBOOK_STARTUP_SECONDS", "1.5"))
"""How long the tag model pretends to load."""
