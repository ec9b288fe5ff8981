"""An app that is what its module `helper` says: the answer, and what is done when it starts and stops."""

MAIN = """
from contextlib import asynccontextmanager
import helper
from fastapi import FastAPI

def nothing(): pass

@asynccontextmanager
async def lifespan(app):
    getattr(helper, "start", nothing)()
    yield
    getattr(helper, "stop", nothing)()
    print("stopped", helper.VALUE, flush=True)

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def root():
    return helper.VALUE
"""
