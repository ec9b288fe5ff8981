"""prometheus_client, pydantic-settings, Jinja2, structlog: metrics, settings, templates, logging."""

from tests.libraries.scenarios.databases import changed

METRICS = """
from prometheus_client import Counter, Gauge, Histogram, Info

HITS = Counter("shop_hits", "Hits of the shop.", ["path"])
QUEUE = Gauge("shop_queue", "Waiting.")
QUEUE.set_function(lambda: 3)
TOOK = Histogram("shop_took", "Seconds.", buckets=(0.1, 1))
Info("shop_build", "The build.").info({"version": "1"})
"""

MEASURED = """
from fastapi import FastAPI
from prometheus_client import REGISTRY, Counter, generate_latest
from metrics import HITS, QUEUE, TOOK
import pages

app = FastAPI()
ORDERS = Counter("shop_orders", "Orders.")

@app.get("/")
def index():
    HITS.labels("/").inc(0)
    return pages.title()

@app.get("/metrics")
def metrics():
    return [line for line in generate_latest().decode().splitlines() if "shop_" in line and "_created" not in line]

@app.get("/names")
def names():
    return sorted(n for n in REGISTRY._names_to_collectors if n.startswith("shop_"))
"""

SETTINGS = """
from functools import lru_cache
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

class Database(BaseModel):
    url: str = "sqlite://"
    pool: int = 5

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=(".env", ".env.local"), env_prefix="SHOP_", env_nested_delimiter="__", extra="ignore")
    title: str = "Shop"
    debug: bool = False
    database: Database = Field(default_factory=Database)

@lru_cache
def get_settings():
    return Settings()

settings = get_settings()
"""

CONFIGURED = """
from fastapi import Depends, FastAPI
from settings import Settings, get_settings, settings

app = FastAPI(title=settings.title, debug=settings.debug)

@app.get("/")
def index(current: Settings = Depends(get_settings)):
    return [current.model_dump(), current is settings, app.title]
"""

FILTERS = """
def money(cents):
    return f"{cents / 100:.2f} EUR"

def environment(templates):
    templates.env.filters["money"] = money
    templates.env.globals["shop"] = "Corner shop"
    return templates
"""

RENDERED = """
from fastapi import FastAPI, Request
from fastapi.templating import Jinja2Templates
from jinja2 import DictLoader, Environment
from filters import environment, money

app = FastAPI()
templates = environment(Jinja2Templates("templates"))
small = Environment(loader=DictLoader({"mail": "Dear {{ name }}, you owe {{ 1250|money }}"}))
small.filters["money"] = money

@app.get("/")
async def index(request: Request):
    return templates.TemplateResponse(request, "page.html", {"cents": 1999})

@app.get("/mail")
async def mail():
    return small.get_template("mail").render(name="Ada")
"""

LOGGING = """
import structlog

SEEN = []

def keep(logger, name, event):
    SEEN.append(sorted(event.items()))
    raise structlog.DropEvent

def stamp(logger, name, event):
    event["service"] = "shop"
    return event

structlog.configure(processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, stamp, keep], cache_logger_on_first_use=True)
"""

LOGGED = """
from fastapi import FastAPI
import structlog
import logs
import service

app = FastAPI()
log = structlog.get_logger(part="main")

@app.get("/")
async def index():
    logs.SEEN.clear()
    with structlog.contextvars.bound_contextvars(request="r1"):
        log.info("begin")
        service.work()
    return list(logs.SEEN)
"""

SCENARIOS = [
    {
        "id": "prometheus-client",
        "requires": ["prometheus_client"],
        "timeout": 60.0,
        "files": {"main.py": MEASURED, "metrics.py": METRICS, "pages.py": "def title(): return 'one'\n"},
        "observe": ["GET /", "GET /metrics", "GET /names"],
        "steps": [
            {"name": "elsewhere", "write": {"pages.py": "def title(): return 'two'\n"}},
            {
                "name": "help and buckets",
                "write": {"metrics.py": changed(METRICS, ("Seconds.", "Seconds spent."), ("(0.1, 1)", "(0.5, 5)"))},
            },
            {
                "name": "a label",
                "write": {
                    "metrics.py": changed(METRICS, ('["path"]', '["path", "code"]')),
                    "main.py": changed(MEASURED, ('labels("/")', 'labels("/", "200")')),
                },
            },
            {
                "name": "renamed",
                "write": {
                    "metrics.py": changed(METRICS, ("shop_hits", "shop_visits"), ("lambda: 3", "lambda: 4")),
                    "main.py": MEASURED,
                },
            },
            {"name": "truly twice", "write": {"metrics.py": METRICS + "Counter('shop_hits', 'again')\n"}},
            {"name": "mended", "write": {"metrics.py": METRICS}},
            {"name": "the app's own", "write": {"main.py": changed(MEASURED, ("shop_orders", "shop_baskets"))}},
        ],
    },
    {
        "id": "pydantic-settings",
        "requires": ["pydantic_settings"],
        "timeout": 60.0,
        "files": {
            "main.py": CONFIGURED,
            "settings.py": SETTINGS,
            ".env": "SHOP_TITLE=From the file\nSHOP_DATABASE__POOL=7\n",
        },
        "observe": ["GET /", "GET /openapi.json"],
        "steps": [
            {"name": "the file", "write": {".env": "SHOP_TITLE=Edited\nSHOP_DEBUG=true\n"}},
            {
                "name": "a field",
                "write": {"settings.py": changed(SETTINGS, ("    debug:", "    workers: int = 4\n    debug:"))},
            },
            {"name": "a second file appears", "write": {".env.local": "SHOP_TITLE=Local\nSHOP_WORKERS=9\n"}},
            {"name": "not valid", "write": {".env": "SHOP_DEBUG=maybe\n"}},
            {"name": "mended", "write": {".env": "SHOP_DEBUG=false\n"}},
            {
                "name": "the prefix",
                "write": {
                    "settings.py": changed(SETTINGS, ('"SHOP_"', '"STORE_"')),
                    ".env": "STORE_DATABASE__URL=other\n",
                },
            },
            {"name": "the files go", "delete": [".env", ".env.local"]},
        ],
    },
    {
        "id": "jinja2-templates",
        "requires": ["jinja2"],
        "timeout": 60.0,
        "files": {
            "main.py": RENDERED,
            "filters.py": FILTERS,
            "templates/base.html": "<h1>{{ shop }}</h1>{% block body %}{% endblock %}",
            "templates/macros.html": "{% macro price(c) %}<b>{{ c|money }}</b>{% endmacro %}",
            "templates/page.html": "{% extends 'base.html' %}{% import 'macros.html' as m %}{% block body %}{{ m.price(cents) }}{% endblock %}",
        },
        "observe": ["GET /", "GET /mail"],
        "steps": [
            {
                "name": "a template",
                "write": {
                    "templates/page.html": "{% extends 'base.html' %}{% block body %}only {{ cents|money }}{% endblock %}"
                },
            },
            {
                "name": "the parent",
                "write": {"templates/base.html": "<h2>{{ shop }}</h2>{% block body %}{% endblock %}"},
            },
            {"name": "a filter's body", "write": {"filters.py": changed(FILTERS, ("EUR", "CHF"))}},
            {
                "name": "a new filter and its use",
                "write": {
                    "filters.py": changed(
                        FILTERS,
                        ("    return templates", "    templates.env.filters['loud'] = str.upper\n    return templates"),
                    ),
                    "templates/base.html": "{{ shop|loud }}{% block body %}{% endblock %}",
                },
            },
            {"name": "the template in the code", "write": {"main.py": changed(RENDERED, ("you owe", "please pay"))}},
        ],
    },
    {
        "id": "structlog-configured-at-import",
        "requires": ["structlog"],
        "timeout": 60.0,
        "files": {
            "main.py": LOGGED,
            "logs.py": LOGGING,
            "service.py": "import structlog\nlog = structlog.get_logger()\ndef work(): log.warning('work', n=1)\n",
        },
        "observe": ["GET /"],
        "steps": [
            {
                "name": "the service",
                "write": {
                    "service.py": "import structlog\nlog = structlog.get_logger()\ndef work(): log.error('work', n=2)\n"
                },
            },
            {"name": "a processor's body", "write": {"logs.py": changed(LOGGING, ('"shop"', '"store"'))}},
            {
                "name": "a processor goes",
                "write": {"logs.py": changed(LOGGING, ("structlog.processors.add_log_level, ", ""))},
            },
            {"name": "half done", "write": {"logs.py": changed(LOGGING, ("cache_logger", "cash_logger"))}},
            {"name": "mended", "write": {"logs.py": LOGGING}},
        ],
    },
]
