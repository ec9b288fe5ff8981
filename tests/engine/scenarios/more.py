"""Odds and ends: bags of state, tasks at import, names that shadow one another, tables without classes."""

SCENARIOS = [
    {
        "id": "x-simple-namespace-and-thread-local",
        "files": {
            "main.py": "import tune\nfrom box import NS, TL, Q\ndef observe(): return [vars(NS), getattr(TL, 'v', None), list(Q.queue)]\n",
            "box.py": "import queue, threading, types\nNS = types.SimpleNamespace()\nTL = threading.local()\nQ = queue.Queue()\n",
            "tune.py": "from box import NS, TL, Q\nNS.a = 1\nTL.v = 1\nQ.put(1)\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"tune.py": "from box import NS, TL, Q\nNS.b = 2\nQ.put(2)\n"}},
            {"write": {"tune.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-attribute-on-a-library-instance",
        "files": {
            "main.py": "from core import app\nimport tune\n@app.get('/')\ndef i(): return [getattr(app, 'flavour', 'none'), app.title]\n",
            "core.py": "from fastapi import FastAPI\napp = FastAPI(title='t')\n",
            "tune.py": "from core import app\napp.flavour = 'one'\n",
        },
        "observe": ["GET /"],
        "steps": [
            {"write": {"tune.py": "from core import app\napp.title = 'two'\n"}},
            {"write": {"tune.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-task-started-at-import",
        "files": {
            "main.py": "import asyncio\nfrom fastapi import FastAPI\nimport tick\napp = FastAPI()\n@app.get('/')\nasync def i():\n    await asyncio.sleep(0)\n    return sorted(t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith('tick-'))\n",
            "tick.py": "import asyncio\nasync def run():\n    while True: await asyncio.sleep(0.01)\nT = asyncio.get_running_loop().create_task(run(), name='tick-1')\n",
        },
        "observe": ["GET /"],
        "steps": [
            {
                "write": {
                    "tick.py": "import asyncio\nasync def run():\n    while True: await asyncio.sleep(0.01)\nT = asyncio.get_running_loop().create_task(run(), name='tick-2')\n"
                }
            },
            {"write": {"tick.py": "1/0\n"}},
            {"write": {"tick.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-decimal-context-and-argv",
        "files": {
            "main.py": "import decimal, sys, p\ndef observe(): return [str(decimal.Decimal(1) / 3) if p.HERE else '', decimal.getcontext().prec if False else p.PREC, '--flag' in sys.argv]\n",
            "p.py": "import decimal, sys\nHERE = 0\ndecimal.getcontext().prec = 5\nPREC = decimal.getcontext().prec\nsys.argv.append('--flag')\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"p.py": "import decimal\nHERE = 0\nPREC = decimal.getcontext().prec\n"}}],
    },
    {
        "id": "x-core-tables-on-shared-metadata",
        "files": {
            "main.py": "import t_user, t_post\nfrom db import metadata\ndef observe(): return {t.name: [c.name for c in t.columns] for t in metadata.sorted_tables}\n",
            "db.py": "from sqlalchemy import MetaData\nmetadata = MetaData()\n",
            "t_user.py": "from sqlalchemy import Column, Integer, Table\nfrom db import metadata\nuser = Table('user', metadata, Column('id', Integer, primary_key=True))\n",
            "t_post.py": "from sqlalchemy import Column, ForeignKey, Integer, Table\nfrom db import metadata\npost = Table('post', metadata, Column('id', Integer, primary_key=True), Column('u', ForeignKey('user.id')))\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "t_user.py": "from sqlalchemy import Column, Integer, String, Table\nfrom db import metadata\nuser = Table('user', metadata, Column('id', Integer, primary_key=True), Column('name', String))\n"
                }
            },
            {"write": {"t_post.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-package-renamed-with-all-its-files",
        "files": {
            "main.py": "from old.api import f\nfrom old import NAME\ndef observe(): return [f(), NAME]\n",
            "old/__init__.py": "NAME = 'old'\n",
            "old/api.py": "from .impl import g\ndef f(): return g()\n",
            "old/impl.py": "def g(): return 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "rename": {
                    "old/__init__.py": "new/__init__.py",
                    "old/api.py": "new/api.py",
                    "old/impl.py": "new/impl.py",
                }
            },
            {"write": {"main.py": "from new.api import f\nfrom new import NAME\ndef observe(): return [f(), NAME]\n"}},
            {"write": {"new/impl.py": "def g(): return 2\n"}},
        ],
    },
    {
        "id": "x-name-shadows-submodule",
        "files": {
            "main.py": "import pkg\nfrom pkg import tool\ndef observe(): return [str(type(tool).__name__), pkg.use()]\n",
            "pkg/__init__.py": "from .tool import tool\nfrom .user import use\n",
            "pkg/tool.py": "def tool(): return 1\n",
            "pkg/user.py": "from . import tool\ndef use(): return tool()\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"pkg/tool.py": "def tool(): return 2\n"}},
            {"write": {"pkg/user.py": "from . import tool as t\ndef use(): return [t()]\n"}},
            {
                "write": {
                    "pkg/__init__.py": "from . import tool\nfrom .user import use\n",
                    "pkg/user.py": "from .tool import tool\ndef use(): return tool()\n",
                }
            },
        ],
    },
    {
        "id": "x-deleted-from-sys-modules-and-imported-again",
        "files": {
            "main.py": "import sys, count, m\ndel sys.modules['m']\nimport m\ndef observe(): return [m.N, count.C]\n",
            "count.py": "C = []\n",
            "m.py": "import count\ncount.C.append(1)\nN = len(count.C)\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"m.py": "import count\ncount.C.append(2)\nN = len(count.C)\n"}},
            {"write": {"main.py": "import count, m\ndef observe(): return [m.N, count.C]\n"}},
        ],
    },
    {
        "id": "x-jinja-env-globals-from-modules",
        "files": {
            "main.py": "from views import env\nimport extras\ndef observe(): return env.from_string('{{ name() }} {{ v }}').render()\n",
            "views.py": "import jinja2\nenv = jinja2.Environment()\nenv.globals['v'] = 1\n",
            "extras.py": "from views import env\nenv.globals['name'] = lambda: 'one'\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "extras.py": "from views import env\nenv.globals['name'] = lambda: 'two'\nenv.globals['v'] = 2\n"
                }
            },
            {"write": {"extras.py": "from views import env\nenv.globals['name'] = lambda: 'three'\n"}},
        ],
    },
    {
        "id": "x-create-model-and-model-fields",
        "files": {
            "main.py": "from fastapi import FastAPI\nfrom gen import Dyn\napp = FastAPI()\n@app.post('/')\ndef f(d: Dyn): return d\n",
            "spec_.py": "FIELDS = {'a': (int, 1)}\n",
            "gen.py": "from pydantic import create_model\nfrom spec_ import FIELDS\nDyn = create_model('Dyn', **FIELDS)\n",
        },
        "observe": [{"method": "POST", "path": "/", "json": {"a": 2, "b": "x"}}],
        "steps": [
            {"write": {"spec_.py": "FIELDS = {'a': (int, 1), 'b': (str, 'd')}\n"}},
            {
                "write": {
                    "gen.py": "from pydantic import create_model\nfrom spec_ import FIELDS\nDyn = create_model('Dyn', c=(int, 9), **FIELDS)\n"
                }
            },
        ],
    },
    {
        "id": "x-version-from-a-text-file-through-a-package",
        "files": {
            "main.py": "import app\ndef observe(): return [app.__version__, app.info.__name__]\n",
            "app/__init__.py": "from .meta import version, info\n__version__ = version()\n",
            "app/meta.py": "import importlib.resources\ndef version(): return importlib.resources.files('app').joinpath('VERSION').read_text().strip()\ndef info(): return version()\n",
            "app/VERSION": "1.0\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"app/VERSION": "2.0\n"}},
            {"delete": ["app/VERSION"]},
            {"write": {"app/VERSION": "3.0\n"}},
        ],
    },
    {
        "id": "x-partial-import-of-cycle-breaks-and-heals",
        "files": {
            "main.py": "import a\ndef observe(): return [a.A, a.get()]\n",
            "a.py": "import b\nA = 1\ndef get(): return b.B\n",
            "b.py": "import a\nB = 2\n",
        },
        "entry": "main:observe",
        "steps": [
            {"name": "needs a too early", "write": {"b.py": "import a\nB = a.A + 1\n"}},
            {"write": {"a.py": "A = 1\nimport b\ndef get(): return b.B\n"}},
            {"write": {"a.py": "A = 5\nimport b\ndef get(): return b.B\n"}},
        ],
    },
    {
        "id": "x-registered-from-a-failing-optional-module",
        "files": {
            "main.py": "import reg\ntry:\n    import opt\nexcept Exception as e:\n    ERR = type(e).__name__\nelse:\n    ERR = None\ndef observe(): return [reg.R, ERR]\n",
            "reg.py": "R = []\n",
            "opt.py": "import reg\nreg.R.append('opt1')\n1/0\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"opt.py": "import reg\nreg.R.append('opt2')\n[][0]\n"}},
            {"write": {"opt.py": "import reg\nreg.R.append('opt3')\n"}},
            {"write": {"reg.py": "R = ['base']\n"}},
        ],
    },
    {
        "id": "x-hundred-registrations-one-edited",
        "files": {
            "main.py": "".join(f"import h{i}\n" for i in range(30))
            + "from bus import B\ndef observe(): return [f() for f in B]\n",
            "bus.py": "B = []\ndef on(f):\n    B.append(f)\n    return f\n",
            **{f"h{i}.py": f"from bus import on\n@on\ndef f(): return {i}\n" for i in range(30)},
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"h7.py": "from bus import on\n@on\ndef f(): return 'seven'\n"}},
            {"write": {"h8.py": "x = 1\n"}},
        ],
    },
]

SCENARIOS += [
    {
        "id": "x-namespace-inside-a-package-that-runs-again",
        "files": {
            "main.py": "import app.conf\nimport app.ns.a\nfrom app.ns import b\ndef observe(): return [app.NAME, app.ns.a.A, b.B, app.conf.C]\n",
            "app/__init__.py": "NAME = 1\n",
            "app/conf.py": "from app import NAME\nC = NAME\n",
            "app/ns/a.py": "A = 1\n",
            "app/ns/b.py": "from app.conf import C\nB = C + 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"app/__init__.py": "NAME = 2\n"}, "must_not_execute": ["app/ns/a.py"]},
            {
                "write": {
                    "app/__init__.py": "NAME = 3\n",
                    "app/ns/a.py": "A = 2\n",
                    "app/ns/b.py": "from app.conf import C\nB = C + 2\n",
                }
            },
            {"write": {"app/__init__.py": "NAME = (\n"}},
            {"write": {"app/__init__.py": "from app.ns import a\nNAME = a.A\n"}},
            {"write": {"app/ns/c.py": "X = 1\n", "app/conf.py": "from app.ns.c import X\nC = X\n"}},
        ],
    },
    {
        "id": "x-failing-optional-module-tried-twice",
        "files": {
            "main.py": "import reg, a, b\nfrom prometheus_client import REGISTRY\ndef observe(): return [a.E, b.E, reg.R, sorted(m.name for m in REGISTRY.collect() if m.name.startswith('tt_'))]\n",
            "reg.py": "R = []\n",
            "a.py": "try:\n    import opt\n    E = None\nexcept Exception as e: E = type(e).__name__\n",
            "b.py": "try:\n    import opt\n    E = None\nexcept Exception as e: E = type(e).__name__\n",
            "opt.py": "import reg\nfrom prometheus_client import Counter\nC = Counter('tt_one', 'x')\nreg.R.append(1)\n1/0\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "opt.py": "import reg\nfrom prometheus_client import Counter\nC = Counter('tt_one', 'x')\nreg.R.append(2)\n[][1]\n"
                }
            },
            {
                "write": {
                    "main.py": "import reg, b, a\nfrom prometheus_client import REGISTRY\ndef observe(): return [a.E, b.E, reg.R, sorted(m.name for m in REGISTRY.collect() if m.name.startswith('tt_'))]\n1/0\n"
                }
            },
            {
                "write": {
                    "main.py": "import reg, b, a\nfrom prometheus_client import REGISTRY\ndef observe(): return [a.E, b.E, reg.R, sorted(m.name for m in REGISTRY.collect() if m.name.startswith('tt_'))]\n"
                }
            },
            {"write": {"opt.py": "from prometheus_client import Counter\nC = Counter('tt_two', 'x')\n"}},
        ],
    },
]

SCENARIOS += [
    {
        "id": "x-state-asked-for-before-it-would-be-filled",
        "note": "early.py runs again and asks a registry that a kept, later module has filled",
        "files": {
            "main.py": "import early, late\nimport reg\ndef observe(): return [early.SEEN, reg.all_()]\n",
            "reg.py": "_items = []\ndef add(x): _items.append(x)\ndef all_(): return list(_items)\n",
            "early.py": "import leaf, reg\nSEEN = [leaf.V, reg.all_()]\n",
            "leaf.py": "V = 1\n",
            "late.py": "import reg\nreg.add('late')\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"leaf.py": "V = 2\n"}},
            {"write": {"main.py": "import late, early\nimport reg\ndef observe(): return [early.SEEN, reg.all_()]\n"}},
        ],
    },
    {
        "id": "x-subclasses-asked-of-a-kept-base",
        "files": {
            "main.py": "import base, sub, other\ndef observe(): return [base.names(), other.V]\n",
            "base.py": "class B: ...\ndef names(): return sorted(c.__name__ for c in B.__subclasses__())\n",
            "sub.py": "from base import B\nclass S(B):\n    def m(self): return 1\n",
            "other.py": "V = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"sub.py": "from base import B\nclass S(B):\n    def m(self): return 2\n"}},
            {"write": {"other.py": "V = 2\n"}},
            {"write": {"sub.py": "from base import B\nclass S(B):\n    def m(self): return 3\nclass T(S): ...\n"}},
        ],
    },
]
