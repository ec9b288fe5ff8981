"""OpenTelemetry, Celery, APScheduler: what keeps process-wide registries, providers and jobs."""

from tests.libraries.scenarios.databases import changed

TRACING = """
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider(resource=Resource({"service.name": "shop"}))
provider.add_span_processor(SimpleSpanProcessor(exporter))
"""

GLOBAL = "trace.set_tracer_provider(provider)\n"

HANDLERS = """
from fastapi import APIRouter
from opentelemetry import trace

router = APIRouter()
tracer = trace.get_tracer("shop")

@router.get("/work")
async def work():
    with tracer.start_as_current_span("inner") as span:
        span.set_attribute("size", 1)
    return "worked"
"""

TRACED = """
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from tracing import exporter, provider
import handlers

app = FastAPI()
app.include_router(handlers.router)

@app.get("/spans")
async def spans():
    done = exporter.get_finished_spans()
    exporter.clear()
    return sorted([s.name, s.resource.attributes["service.name"], s.attributes.get("size"), s.attributes.get("http.route")] for s in done)

FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls="spans")
"""

CELERY = """
from celery import Celery

app = Celery("shop", broker="memory://", backend="cache+memory://")
app.conf.update(task_always_eager=True, timezone="Europe/Berlin", beat_schedule={"clean": {"task": "tasks.clean", "schedule": 60.0}})
"""

TASKS = """
from celery import shared_task
from celery_app import app

@app.task(name="tasks.add")
def add(a, b):
    return a + b

@shared_task(name="tasks.clean")
def clean():
    return "clean"

@app.task(name="tasks.chain", bind=True, max_retries=2)
def chained(self, n):
    return [self.max_retries, add(n, 1)]
"""

QUEUED = """
from fastapi import FastAPI
from celery_app import app as queue
import tasks

app = FastAPI()

@app.get("/")
async def index():
    return [tasks.add.delay(1, 2).get(), tasks.clean.delay().get(), tasks.chained.delay(5).get()]

@app.get("/tasks")
async def names():
    queue.finalize()
    return [sorted(n for n in queue.tasks if not n.startswith("celery.")), queue.conf.timezone, {k: v["schedule"] for k, v in queue.conf.beat_schedule.items()}, queue.tasks["tasks.chain"].max_retries]
"""

BROKER = """
import dramatiq
from dramatiq.brokers.stub import StubBroker

broker = StubBroker()
dramatiq.set_broker(broker)
"""

ACTORS = """
import dramatiq
import broker

@dramatiq.actor(max_retries=3)
def add(a, b):
    return a + b
"""

ACTED = """
import dramatiq
from fastapi import FastAPI
import actors

app = FastAPI()

@app.get("/")
async def index():
    registered = dramatiq.get_broker().actors
    return [actors.add.fn(1, 2), registered["add"].fn(1, 2), {n: a.options for n, a in registered.items()}]
"""

JOBS = """
from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="UTC")

@scheduler.scheduled_job("interval", seconds=3600, id="clean")
def clean():
    return "clean"

@scheduler.scheduled_job("cron", hour=4, id="report")
async def report():
    return "report"
"""

SCHEDULED = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from jobs import scheduler

@asynccontextmanager
async def lifespan(app):
    scheduler.start()
    yield
    scheduler.shutdown(wait=False)

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def index():
    found = []
    for job in scheduler.get_jobs():
        value = job.func()
        if hasattr(value, "__await__"):
            value = await value
        found.append([job.id, str(job.trigger), value])
    return [scheduler.running, sorted(found)]
"""

SCENARIOS = [
    {
        "id": "opentelemetry-instrumented-app",
        "requires": ["opentelemetry.instrumentation.fastapi", "opentelemetry.sdk"],
        "timeout": 60.0,
        "files": {
            "main.py": TRACED,
            "tracing.py": TRACING,
            "handlers.py": changed(
                HANDLERS,
                ("from opentelemetry import trace", "from tracing import provider"),
                ("trace.get_tracer", "provider.get_tracer"),
            ),
        },
        "observe": ["GET /work", "GET /spans"],
        "steps": [
            {
                "name": "the span",
                "write": {
                    "handlers.py": changed(
                        HANDLERS,
                        ("from opentelemetry import trace", "from tracing import provider"),
                        ("trace.get_tracer", "provider.get_tracer"),
                        ('"size", 1', '"size", 2'),
                    )
                },
            },
            {"name": "the resource", "write": {"tracing.py": changed(TRACING, ('"shop"', '"store"'))}},
            {"name": "what is excluded", "write": {"main.py": changed(TRACED, ('"spans"', '"spans,work"'))}},
            {
                "name": "half done",
                "write": {"main.py": changed(TRACED, ("tracer_provider=provider", "tracer_provider=nobody"))},
            },
            {"name": "mended", "write": {"main.py": TRACED}},
        ],
    },
    {
        "id": "opentelemetry-global-provider",
        "requires": ["opentelemetry.instrumentation.fastapi", "opentelemetry.sdk"],
        "timeout": 60.0,
        "note": "the provider can be set once in a process",
        "files": {"main.py": TRACED, "tracing.py": TRACING + GLOBAL, "handlers.py": HANDLERS},
        "observe": ["GET /work", "GET /spans"],
        "steps": [
            {"name": "the span", "write": {"handlers.py": changed(HANDLERS, ('"size", 1', '"size", 2'))}},
            {
                "name": "the span's name",
                "write": {"handlers.py": changed(HANDLERS, ('"inner"', '"core"'), ('"/work"', '"/work" '))},
            },
            {"name": "the resource", "write": {"tracing.py": changed(TRACING, ('"shop"', '"store"')) + GLOBAL}},
            {"name": "half done", "write": {"tracing.py": changed(TRACING, ("Resource(", "Source(")) + GLOBAL}},
            {"name": "mended", "write": {"tracing.py": TRACING + GLOBAL}},
        ],
    },
    {
        "id": "celery-tasks",
        "requires": ["celery"],
        "timeout": 60.0,
        "files": {"main.py": QUEUED, "celery_app.py": CELERY, "tasks.py": TASKS},
        "observe": ["GET /", "GET /tasks"],
        "steps": [
            {"name": "a task's body", "write": {"tasks.py": changed(TASKS, ("a + b", "a * 10 + b"))}},
            {
                "name": "a shared task's body",
                "write": {"tasks.py": changed(TASKS, ('return "clean"', 'return "spotless"'))},
            },
            {"name": "an option", "write": {"tasks.py": changed(TASKS, ("max_retries=2", "max_retries=5"))}},
            {"name": "a shared task renamed", "write": {"tasks.py": changed(TASKS, ("tasks.clean", "tasks.sweep"))}},
            {"name": "a setting", "write": {"celery_app.py": changed(CELERY, ("60.0", "30.0"), ("Berlin", "Rome"))}},
            {"name": "half done", "write": {"tasks.py": TASKS + "\n@app.task(\n"}},
            {"name": "mended", "write": {"tasks.py": TASKS, "celery_app.py": CELERY}},
        ],
    },
    {
        "id": "dramatiq-actors",
        "requires": ["dramatiq"],
        "timeout": 60.0,
        "files": {"main.py": ACTED, "broker.py": BROKER, "actors.py": ACTORS},
        "observe": ["GET /"],
        "steps": [
            {"name": "an actor's body", "write": {"actors.py": changed(ACTORS, ("a + b", "a * 10 + b"))}},
            {"name": "an option", "write": {"actors.py": changed(ACTORS, ("retries=3", "retries=5"))}},
            {
                "name": "an actor renamed",
                "write": {"actors.py": ACTORS + "\nsub = dramatiq.actor(lambda: 1, actor_name='sub')\n"},
            },
            {"name": "half done", "write": {"actors.py": ACTORS + "\n@dramatiq.actor\ndef add(): pass\n"}},
            {"name": "mended", "write": {"actors.py": ACTORS}},
        ],
    },
    {
        "id": "apscheduler-jobs",
        "requires": ["apscheduler"],
        "timeout": 60.0,
        "files": {"main.py": SCHEDULED, "jobs.py": JOBS},
        "observe": ["GET /"],
        "steps": [
            {"name": "a job's body", "write": {"jobs.py": changed(JOBS, ('return "clean"', 'return "spotless"'))}},
            {"name": "an interval", "write": {"jobs.py": changed(JOBS, ("3600", "1800"))}},
            {"name": "a job less", "write": {"jobs.py": JOBS.rpartition("\n@scheduler")[0]}},
            {"name": "twice the same id", "write": {"jobs.py": changed(JOBS, ('id="report"', 'id="clean"'))}},
            {"name": "mended", "write": {"jobs.py": JOBS}},
        ],
    },
]
