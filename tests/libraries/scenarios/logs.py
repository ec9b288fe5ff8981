"""loguru: sinks, levels and settings of the one logger that there is."""

from tests.libraries.scenarios.databases import changed

LOGS = """
from loguru import logger

LINES = []
logger.remove()
logger.add(LINES.append, format="{level}|{extra[shop]}|{message}", level="INFO")
logger.level("AUDIT", no=33)
logger.configure(extra={"shop": "one"})
"""
SERVICE = """
from loguru import logger

def work():
    logger.log("AUDIT", "worked")
    logger.debug("in detail")
"""
LOGGED = """
from fastapi import FastAPI
from loguru import logger
from logs import LINES
import service

app = FastAPI()

@app.get("/")
def index():
    LINES.clear()
    service.work()
    return [str(line).strip() for line in LINES]

@app.get("/sinks")
def sinks():
    core = logger._core
    return [len(core.handlers), core.min_level, sorted(core.levels), core.extra]
"""
FILED = """
import uuid
from fastapi import FastAPI
from loguru import logger

logger.add("app.log", format="{message}")
app = FastAPI()

@app.get("/")
async def index():
    token = uuid.uuid4().hex
    logger.info(token)
    with open("app.log") as log:
        return [log.read().count(token), len(logger._core.handlers)]
"""
PATCHED = """
from loguru import logger
logger.configure(patcher=lambda record: record["extra"].update(shop="patched"))
logger.disable("service")
"""

SCENARIOS = [
    {
        "id": "loguru-configured-at-import",
        "requires": ["loguru"],
        "timeout": 60.0,
        "files": {"main.py": LOGGED, "logs.py": LOGS, "service.py": SERVICE},
        "observe": ["GET /", "GET /sinks"],
        "steps": [
            {"name": "the service", "write": {"service.py": changed(SERVICE, ("worked", "done"))}},
            {"name": "a level's number", "write": {"logs.py": changed(LOGS, ("no=33", "no=15"))}},
            {"name": "a level more", "write": {"logs.py": LOGS + "\nlogger.level('OTHER', no=3, color='<red>')\n"}},
            {"name": "mended, with another value", "write": {"logs.py": changed(LOGS, ('"one"', '"two"'))}},
            {"name": "the default sink stays", "write": {"logs.py": changed(LOGS, ("logger.remove()\n", ""))}},
            {"name": "a sink more", "write": {"service.py": SERVICE + "\nlogger.add(lambda line: None, level=5)\n"}},
            {"name": "half done", "write": {"logs.py": LOGS + "\nlogger.level('AUDIT', no=7)\n"}},
            {"name": "mended", "write": {"logs.py": LOGS, "service.py": SERVICE}},
            {"name": "a patcher", "write": {"service.py": PATCHED + SERVICE}},
            {"name": "no patcher", "write": {"service.py": SERVICE}},
        ],
    },
    {
        "id": "loguru-file",
        "requires": ["loguru"],
        "timeout": 60.0,
        "files": {"main.py": FILED},
        "observe": ["GET /"],
        "steps": [
            {"name": "a file more", "write": {"main.py": changed(FILED, ("app = ", 'logger.add("b.log")\napp = '))}},
            {"name": "as before", "write": {"main.py": FILED}},
            {"name": "two for one file", "write": {"main.py": FILED + '\nlogger.add("app.log", format="{message}")\n'}},
            {"name": "half done", "write": {"main.py": FILED + '\nlogger.add("c.log")\nraise OSError\n'}},
            {"name": "mended", "write": {"main.py": FILED}},
        ],
    },
]
