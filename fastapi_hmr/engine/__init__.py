"""The engine: builds the next set of modules beside the serving one, on hmr's module objects and tracking."""

from fastapi_hmr.engine.engine import Engine
from fastapi_hmr.engine.mechanisms import Mechanisms
from fastapi_hmr.engine.outcome import Broken, Built, NeedsRestart, Outcome, Overtaken, Unchanged
from fastapi_hmr.engine.places import Places

__all__ = ["Broken", "Built", "Engine", "Mechanisms", "NeedsRestart", "Outcome", "Overtaken", "Places", "Unchanged"]
