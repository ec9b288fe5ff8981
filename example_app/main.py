"""Daybook: a small journal with a slow start, an API, pages and two live connections."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from db import engine, prepare_database
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from routers import entries, live, pages
from settings import STARTUP_SECONDS, TITLE
from tagger import Tagger

logger = logging.getLogger("uvicorn.error")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    prepare_database()
    logger.info("Loading the tag model (%.1f s) ...", STARTUP_SECONDS)
    app.state.tagger = await Tagger.load(STARTUP_SECONDS)
    app.state.started = time.monotonic()
    yield
    engine.dispose()


app = FastAPI(title=TITLE, summary="A small journal.", lifespan=lifespan)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
app.include_router(pages.router)
app.include_router(entries.router)
app.include_router(live.router)

if __name__ == "__main__":
    # Only here, so that in production the app does not even need the package.
    import fastapi_hmr

    fastapi_hmr.dev(app, reload=True)
