"""The kinds of block that a generated module is made of; importing this registers them all."""

from tests.property.kinds import database, early, effects, plain, shared, web

__all__ = ["database", "early", "effects", "plain", "shared", "web"]
