"""FastAPI apps: overrides, mounts, tasks, big checkouts, errors in between."""

MANY = {f"lib/m{i}.py": f"V = {i}\n" for i in range(100)}
ALL = "import importlib\nTOTAL = sum(importlib.import_module(f'lib.m{i}').V for i in range(100))\ndef observe(): return TOTAL\n"
R = "from fastapi import APIRouter\nrouter = APIRouter()\n@router.get('/{p}')\ndef h(): return '{v}'\n"

SCENARIOS = [
    {
        "id": "x-checkout-of-a-hundred-files",
        "files": {"main.py": ALL, "lib/__init__.py": "", **MANY},
        "entry": "main:observe",
        "steps": [
            {"name": "checkout", "write": {f"lib/m{i}.py": f"V = {i * 2}\n" for i in range(100)}},
            {"name": "one", "write": {"lib/m7.py": "V = 0\n"}, "must_not_execute": ["lib/m8.py"]},
            {"name": "back", "write": {f"lib/m{i}.py": f"V = {i}\n" for i in range(100)}},
        ],
    },
    {
        "id": "x-a-b-a",
        "files": {
            "main.py": "from fastapi import FastAPI\nfrom r import router\napp = FastAPI()\napp.include_router(router)\n",
            "r.py": R.replace("{p}", "a").replace("{v}", "A"),
        },
        "observe": ["GET /a", "GET /b"],
        "steps": [
            {"write": {"r.py": R.replace("{p}", "b").replace("{v}", "B")}},
            {"write": {"r.py": R.replace("{p}", "a").replace("{v}", "A")}},
            {"write": {"r.py": "1/0\n"}},
            {"write": {"r.py": R.replace("{p}", "a").replace("{v}", "A")}},
            {"write": {"r.py": R.replace("{p}", "b").replace("{v}", "BB")}},
        ],
    },
    {
        "id": "x-overrides-and-mounted-sub-app",
        "files": {
            "main.py": "from fastapi import FastAPI\nimport sub, wiring\napp = FastAPI()\napp.mount('/sub', sub.app)\n",
            "sub.py": "from fastapi import Depends, FastAPI\nfrom deps import db\napp = FastAPI()\n@app.get('/')\ndef i(d=Depends(db)): return d\n",
            "deps.py": "def db(): return 'real'\n",
            "wiring.py": "import sub, deps\nsub.app.dependency_overrides[deps.db] = lambda: 'fake'\n",
        },
        "observe": ["GET /sub/"],
        "steps": [
            {"write": {"wiring.py": "x = 1\n"}},
            {"write": {"deps.py": "def db(): return 'real2'\n"}},
            {"write": {"wiring.py": "import sub, deps\nsub.app.dependency_overrides[deps.db] = lambda: 'fake2'\n"}},
        ],
    },
    {
        "id": "x-middleware-order-and-exception-handlers-from-modules",
        "files": {
            "main.py": "from core import app\nimport mw_a, mw_b, handlers\n@app.get('/')\ndef i(): raise KeyError('x')\n",
            "core.py": "from fastapi import FastAPI\napp = FastAPI()\n",
            "mw_a.py": "from core import app\n@app.middleware('http')\nasync def a(request, call_next):\n    r = await call_next(request); r.headers['x-order'] = r.headers.get('x-order', '') + 'a'; return r\n",
            "mw_b.py": "from core import app\n@app.middleware('http')\nasync def b(request, call_next):\n    r = await call_next(request); r.headers['x-order'] = r.headers.get('x-order', '') + 'b'; return r\n",
            "handlers.py": "from core import app\nfrom fastapi.responses import JSONResponse\n@app.exception_handler(KeyError)\nasync def k(request, exc): return JSONResponse({'k': 1}, 418)\n",
        },
        "observe": [{"method": "GET", "path": "/", "show_headers": ["x-order"]}],
        "steps": [
            {
                "write": {
                    "mw_a.py": "from core import app\n@app.middleware('http')\nasync def a(request, call_next):\n    r = await call_next(request); r.headers['x-order'] = r.headers.get('x-order', '') + 'A'; return r\n"
                }
            },
            {
                "write": {
                    "handlers.py": "from core import app\nfrom fastapi.responses import JSONResponse\n@app.exception_handler(LookupError)\nasync def k(request, exc): return JSONResponse({'k': 2}, 419)\n"
                }
            },
            {
                "write": {
                    "main.py": "from core import app\nimport mw_b, mw_a, handlers\n@app.get('/')\ndef i(): raise KeyError('x')\n"
                }
            },
        ],
    },
    {
        "id": "x-two-edits-during-an-error-then-fix-elsewhere",
        "files": {
            "main.py": "from a import A\nfrom b import B\nfrom c import C\ndef observe(): return [A, B, C]\n",
            "a.py": "A = 1\n",
            "b.py": "from a import A\nB = A + 1\n",
            "c.py": "C = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"a.py": "A = 'one'\n"}},
            {"write": {"c.py": "C = 2\n"}},
            {"write": {"c.py": "C = (\n"}},
            {"write": {"b.py": "from a import A\nB = A + '!'\n"}},
            {"write": {"c.py": "C = 3\n"}},
        ],
    },
    {
        "id": "x-failed-edit-leaves-kept-registry-and-submodule-alone",
        "files": {
            "main.py": "import reg, pkg.a\nimport use\ndef observe(): return [sorted(reg.R), hasattr(pkg, 'b'), use.N]\n",
            "reg.py": "R = {'base': 1}\n",
            "pkg/__init__.py": "",
            "pkg/a.py": "import reg\nreg.R['a'] = 1\n",
            "pkg/b.py": "import reg\nreg.R['b'] = 1\n",
            "use.py": "N = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"use.py": "import pkg.b\nN = 2\n1/0\n"}},
            {"write": {"use.py": "N = 3\n"}},
            {"write": {"use.py": "import pkg.b\nN = 4\n"}},
            {"write": {"use.py": "N = 5\n"}},
        ],
    },
    {
        "id": "x-lifespan-fails-after-registering",
        "files": {
            "main.py": "from contextlib import asynccontextmanager\nfrom fastapi import FastAPI\nimport reg, life\n@asynccontextmanager\nasync def lifespan(app):\n    life.up()\n    yield\napp = FastAPI(lifespan=lifespan)\n@app.get('/')\ndef i(): return [life.V, reg.R]\n",
            "reg.py": "R = []\n",
            "life.py": "import reg\nV = 1\nreg.R.append('import1')\ndef up(): ...\n",
        },
        "observe": ["GET /"],
        "steps": [
            {
                "write": {
                    "life.py": "import reg\nV = 2\nreg.R.append('import2')\ndef up():\n    raise RuntimeError('down')\n"
                }
            },
            {"write": {"life.py": "import reg\nV = 3\nreg.R.append('import3')\ndef up(): ...\n"}},
        ],
    },
    {
        "id": "x-websocket-and-background-state",
        "files": {
            "main.py": "from fastapi import BackgroundTasks, FastAPI\nimport jobs\napp = FastAPI()\n@app.post('/go')\ndef go(bg: BackgroundTasks):\n    bg.add_task(jobs.work); return jobs.NAME\n@app.get('/done')\ndef done():\n    out = list(jobs.DONE); jobs.DONE.clear(); return out\n",
            "jobs.py": "from inner import label\nNAME = 'j1'\nDONE = []\ndef work(): DONE.append(label())\n",
            "inner.py": "def label(): return 'l1'\n",
        },
        "observe": ["POST /go", "GET /done"],
        "steps": [
            {"write": {"inner.py": "def label(): return 'l2'\n"}},
            {
                "write": {
                    "jobs.py": "from inner import label\nNAME = 'j2'\nDONE = []\ndef work(): DONE.append([label()])\n"
                }
            },
        ],
    },
    {
        "id": "x-global-dependencies-and-app-state",
        "files": {
            "main.py": "from fastapi import FastAPI, Request\nfrom guards import guard\nimport boot\napp = FastAPI(dependencies=[guard])\nboot.init(app)\n@app.get('/')\ndef i(request: Request): return [request.app.state.name, request.app.state.flags]\n",
            "guards.py": "from fastapi import Depends, HTTPException\ndef check(key: str = 'no'):\n    if key != 'yes': raise HTTPException(403, 'no')\nguard = Depends(check)\n",
            "boot.py": "def init(app):\n    app.state.name = 'n1'\n    app.state.flags = ['f1']\n",
        },
        "observe": ["GET /?key=yes", "GET /"],
        "steps": [
            {"write": {"boot.py": "def init(app):\n    app.state.name = 'n2'\n    app.state.flags = []\n"}},
            {
                "write": {
                    "guards.py": "from fastapi import Depends\ndef check(key: str = 'no'): ...\nguard = Depends(check)\n"
                }
            },
        ],
    },
    {
        "id": "x-starlette-app-and-plain-asgi",
        "files": {
            "main.py": "from starlette.applications import Starlette\nfrom starlette.routing import Mount, Route\nfrom views import home, raw\napp = Starlette(routes=[Route('/', home), Mount('/raw', raw)])\n",
            "views.py": "from starlette.responses import JSONResponse, PlainTextResponse\nasync def home(request): return JSONResponse({'v': 1})\nasync def raw(scope, receive, send): await PlainTextResponse('raw1')(scope, receive, send)\n",
        },
        "observe": ["GET /", "GET /raw/"],
        "steps": [
            {
                "write": {
                    "views.py": "from starlette.responses import JSONResponse, PlainTextResponse\nasync def home(request): return JSONResponse({'v': 2})\nasync def raw(scope, receive, send): await PlainTextResponse('raw2')(scope, receive, send)\n"
                }
            }
        ],
    },
    {
        "id": "x-data-csv-sqlite-and-directory",
        "files": {
            "main.py": "import csv, os, pathlib\nROWS = list(csv.reader(open('rows.csv')))\nNAMES = sorted(os.listdir('things'))\nSQL = pathlib.Path('q.sql').read_bytes().decode()\ndef observe(): return [ROWS, NAMES, SQL]\n",
            "rows.csv": "a,b\n",
            "things/one.txt": "1",
            "q.sql": "select 1",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"rows.csv": "a,c\n"}},
            {"write": {"things/two.txt": "2"}},
            {"delete": ["things/one.txt"]},
            {"write": {"q.sql": "select 2"}},
        ],
    },
    {
        "id": "x-data-read-by-a-helper-with-cache",
        "files": {
            "main.py": "from load import load\nA = load('a.json')\ndef observe(): return [A, load('a.json')]\n",
            "load.py": "import json, functools\n@functools.cache\ndef load(p):\n    with open(p) as f: return json.load(f)\n",
            "a.json": "1",
        },
        "entry": "main:observe",
        "steps": [{"write": {"a.json": "2"}}, {"write": {"a.json": "{"}}, {"write": {"a.json": "3"}}],
    },
    {
        "id": "x-optional-override-file-and-directory-probe",
        "files": {
            "main.py": "import os, json, pathlib\nP = pathlib.Path('override.json')\nC = {'base': 1, **(json.loads(P.read_text()) if P.is_file() else {})}\nHAS = os.path.isdir('extras')\ndef observe(): return [C, HAS]\n"
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"override.json": '{"x": 1}'}},
            {"write": {"extras/readme.txt": "r"}},
            {"write": {"override.json": '{"x": 2}'}},
            {"delete": ["extras/readme.txt"]},
            {"delete": ["override.json"]},
        ],
    },
    {
        "id": "x-economy-of-a-layered-app",
        "files": {
            "main.py": "from fastapi import FastAPI\nimport api.items, api.users\napp = FastAPI()\nfor m in (api.items, api.users): app.include_router(m.router)\n",
            "api/__init__.py": "",
            "api/items.py": "from fastapi import APIRouter\nfrom services.items import find\nrouter = APIRouter()\n@router.get('/items')\ndef items(): return find()\n",
            "api/users.py": "from fastapi import APIRouter\nfrom services.users import find\nrouter = APIRouter()\n@router.get('/users')\ndef users(): return find()\n",
            "services/__init__.py": "",
            "services/items.py": "from db import query\ndef find(): return query('items1')\n",
            "services/users.py": "from db import query\ndef find(): return query('users1')\n",
            "db.py": "import functools, logging\nlog = logging.getLogger(__name__)\n@functools.lru_cache\ndef pool(): return object()\ndef query(q): return [q, pool() is pool()]\n",
        },
        "observe": ["GET /items", "GET /users"],
        "steps": [
            {
                "write": {"services/items.py": "from db import query\ndef find(): return query('items2')\n"},
                "must_not_execute": ["db.py", "services/users.py", "api/users.py"],
            },
            {
                "write": {
                    "api/users.py": "from fastapi import APIRouter\nrouter = APIRouter()\n@router.get('/users')\ndef users(): return 'nobody'\n"
                },
                "must_not_execute": ["db.py", "api/items.py", "services/items.py"],
            },
            {
                "write": {"unrelated.txt": "x", "notes.md": "y", "tests/test_x.py": "def test(): ...\n"},
                "must_not_execute": ["main.py", "db.py"],
            },
        ],
    },
    {
        "id": "x-economy-with-cached-settings",
        "files": {
            "main.py": "from fastapi import FastAPI\nfrom settings import get_settings\nfrom leaf import router\napp = FastAPI(title=get_settings()['title'])\napp.include_router(router)\n",
            "settings.py": "import functools\n@functools.lru_cache\ndef get_settings(): return {'title': 'T'}\n",
            "heavy.py": "from settings import get_settings\nMODEL = get_settings()['title'] * 2\n",
            "leaf.py": "from fastapi import APIRouter\nimport heavy\nrouter = APIRouter()\n@router.get('/')\ndef i(): return heavy.MODEL\n",
        },
        "observe": ["GET /"],
        "steps": [
            {
                "write": {
                    "leaf.py": "from fastapi import APIRouter\nimport heavy\nrouter = APIRouter()\n@router.get('/')\ndef i(): return [heavy.MODEL]\n"
                },
                "must_not_execute": ["heavy.py", "settings.py"],
            }
        ],
    },
    {
        "id": "x-in-flight-over-two-modules-and-classes",
        "files": {
            "main.py": "import asyncio, pathlib\nfrom fastapi import FastAPI\nimport models, svc\napp = FastAPI()\n@app.get('/slow')\nasync def slow():\n    m = models.M()\n    while not pathlib.Path('.gate').exists(): await asyncio.sleep(0.01)\n    return [svc.check(m), svc.NAME, models.M().v]\n@app.get('/')\ndef i(): return [svc.check(models.M()), svc.NAME]\n",
            "models.py": "class M:\n    v = 1\n",
            "svc.py": "from models import M\nNAME = 's1'\ndef check(m): return isinstance(m, M)\n",
        },
        "observe": ["GET /"],
        "steps": [
            {
                "write": {
                    "models.py": "class M:\n    v = 2\n",
                    "svc.py": "from models import M\nNAME = 's2'\ndef check(m): return isinstance(m, M)\n",
                },
                "inflight": ["GET /slow"],
            }
        ],
    },
    {
        "id": "x-encodings-in-one-save",
        "files": {
            "main.py": "from a import A\nfrom b import B\ndef observe(): return [A, B]\n",
            "a.py": "A = 'x'\n",
            "b.py": "B = 'y'\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "a.py": b"\xef\xbb\xbf# -*- coding: utf-8 -*-\r\nA = '\xc3\xa9'\r\n",
                    "b.py": "# coding: cp1252\nB = '\u20ac'\n".encode("cp1252"),
                }
            },
            {"write": {"b.py": b"B = 'a\x00b'\n"}},
            {"write": {"b.py": b"B = 'fine'"}},
            {"write": {"a.py": b""}},
            {"write": {"a.py": b"# coding: nonsense\nA = 1\n"}},
            {"write": {"a.py": b"A = 2\n"}},
        ],
    },
]
