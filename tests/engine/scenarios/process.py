"""Effects on the process and on libraries, at import."""

SCENARIOS = [
    {
        "id": "x-logging-dictconfig",
        "files": {
            "main.py": "import logging, logconf\nfrom svc import log\ndef observe():\n    r = logging.getLogger('app')\n    return [r.level, r.propagate, [(type(h).__name__, h.level) for h in r.handlers], log.disabled]\n",
            "svc.py": "import logging\nlog = logging.getLogger('svc')\n",
            "logconf.py": "import logging.config\nlogging.config.dictConfig({'version': 1, 'disable_existing_loggers': False, 'handlers': {'h': {'class': 'logging.StreamHandler', 'level': 'INFO'}}, 'loggers': {'app': {'level': 'DEBUG', 'handlers': ['h'], 'propagate': False}}})\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "logconf.py": "import logging.config\nlogging.config.dictConfig({'version': 1, 'disable_existing_loggers': False, 'handlers': {'h': {'class': 'logging.StreamHandler', 'level': 'ERROR'}}, 'loggers': {'app': {'level': 'WARNING', 'handlers': ['h']}}})\n"
                }
            },
            {"name": "gone", "write": {"logconf.py": "x = 1\n"}},
            {"write": {"svc.py": "import logging\nlog = logging.getLogger('svc')\nlog.setLevel(10)\n"}},
        ],
    },
    {
        "id": "x-logging-filter-and-root-level",
        "files": {
            "main.py": "import logging, a, b\ndef observe(): return [logging.root.level, len(logging.getLogger('q').filters), logging.getLogger('q').level]\n",
            "a.py": "import logging\nlogging.root.setLevel(10)\n",
            "b.py": "import logging\nclass F(logging.Filter): ...\nlogging.getLogger('q').addFilter(F())\nlogging.getLogger('q').setLevel(30)\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "b.py": "import logging\nclass F(logging.Filter): ...\nlogging.getLogger('q').addFilter(F())\n"
                }
            },
            {"write": {"a.py": "import logging\nlogging.root.setLevel(40)\n"}},
            {"write": {"a.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-logging-level-name",
        "files": {
            "main.py": "import logging, lv\ndef observe(): return [logging.getLevelName(5), logging.getLevelName(6)]\n",
            "lv.py": "import logging\nlogging.addLevelName(5, 'TRACE')\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"lv.py": "import logging\nlogging.addLevelName(6, 'FINE')\n"}}],
    },
    {
        "id": "x-warnings-filters",
        "files": {
            "main.py": "import warnings, wf\ndef observe():\n    return [f[0] for f in warnings.filters if f[2] in (ResourceWarning, wf.Mine)][:3]\n",
            "wf.py": "import warnings\nclass Mine(Warning): ...\nwarnings.filterwarnings('ignore', category=Mine)\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "wf.py": "import warnings\nclass Mine(Warning): ...\nwarnings.filterwarnings('error', category=Mine)\n"
                }
            },
            {"write": {"wf.py": "class Mine(Warning): ...\n"}},
        ],
    },
    {
        "id": "x-chdir-at-import",
        "files": {
            "main.py": "import os, cd\ndef observe(): return [os.path.basename(os.getcwd()), open('name.txt').read()]\n",
            "cd.py": "import os, pathlib\nos.chdir(pathlib.Path(__file__).parent / 'one')\n",
            "one/name.txt": "1",
            "two/name.txt": "2",
            "name.txt": "root",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {"cd.py": "import os, pathlib\nos.chdir(pathlib.Path(__file__).parent / 'two')\n"},
                "expect": ["two", "2"],
            }
        ],
    },
    {
        "id": "x-codecs-register",
        "files": {
            "main.py": "import enc\ndef observe():\n    out = []\n    for n in ('alpha_enc', 'beta_enc'):\n        try: out.append(b'x'.decode(n))\n        except LookupError: out.append('unknown')\n    return out\n",
            "enc.py": "import codecs\ndef search(name):\n    if name == 'alpha_enc': return codecs.CodecInfo(lambda s, e='strict': (b'', 0), lambda b, e='strict': ('A', 1))\ncodecs.register(search)\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "enc.py": "import codecs\ndef search(name):\n    if name == 'beta_enc': return codecs.CodecInfo(lambda s, e='strict': (b'', 0), lambda b, e='strict': ('B', 1))\ncodecs.register(search)\n"
                }
            }
        ],
    },
    {
        "id": "x-json-encoder-class-patched",
        "files": {
            "main.py": "import json, patch\ndef observe():\n    try: return json.dumps({'a': {1, 2}})\n    except TypeError: return 'TypeError'\n",
            "patch.py": "import json\n_old = json.JSONEncoder.default\ndef default(self, o):\n    if isinstance(o, set): return sorted(o)\n    return _old(self, o)\njson.JSONEncoder.default = default\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "patch.py": "import json\n_old = json.JSONEncoder.default\ndef default(self, o):\n    if isinstance(o, set): return ['set', *sorted(o)]\n    return _old(self, o)\njson.JSONEncoder.default = default\n"
                }
            },
            {"name": "gone", "write": {"patch.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-plain-value-set-on-a-library-module",
        "files": {
            "main.py": "import html, tune\ndef observe(): return [getattr(html, 'MARK', 'none'), tune.N]\n",
            "tune.py": "import html\nhtml.MARK = 'one'\nN = 1\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"tune.py": "import html\nhtml.MARK = 'two'\nN = 2\n"}}, {"write": {"tune.py": "N = 3\n"}}],
    },
    {
        "id": "x-fastapi-encoders-by-type",
        "files": {
            "main.py": "from fastapi import FastAPI\nimport enc\nfrom money import Money\napp = FastAPI()\n@app.get('/')\ndef i():\n    from fastapi.encoders import jsonable_encoder\n    try: return jsonable_encoder({'m': Money(3)})\n    except Exception as e: return type(e).__name__\n",
            "money.py": "class Money:\n    __slots__ = ('v',)\n    def __init__(self, v): self.v = v\n",
            "enc.py": "from fastapi.encoders import ENCODERS_BY_TYPE\nfrom money import Money\nimport fastapi.encoders as fe\nENCODERS_BY_TYPE[Money] = lambda m: f'{m.v} EUR'\n",
        },
        "observe": ["GET /"],
        "steps": [
            {
                "write": {
                    "enc.py": "from fastapi.encoders import ENCODERS_BY_TYPE\nfrom money import Money\nENCODERS_BY_TYPE[Money] = lambda m: f'{m.v} USD'\n"
                }
            },
            {
                "write": {
                    "money.py": "class Money:\n    __slots__ = ('v',)\n    def __init__(self, v): self.v = v * 2\n"
                }
            },
        ],
    },
    {
        "id": "x-yaml-constructor",
        "files": {
            "main.py": "import yaml, tags\ndef observe():\n    try: return yaml.safe_load('a: !up x')\n    except yaml.YAMLError: return 'error'\n",
            "tags.py": "import yaml\nyaml.SafeLoader.add_constructor('!up', lambda l, n: l.construct_scalar(n).upper())\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "tags.py": "import yaml\nyaml.SafeLoader.add_constructor('!up', lambda l, n: l.construct_scalar(n) + '!')\n"
                }
            },
            {"write": {"tags.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-jinja-default-filters",
        "files": {
            "main.py": "import jinja2, flt\ndef observe():\n    try: return jinja2.Environment().from_string('{{ \"a\"|loud }}').render()\n    except Exception as e: return type(e).__name__\n",
            "flt.py": "import jinja2.defaults\njinja2.defaults.DEFAULT_FILTERS['loud'] = lambda s: s.upper()\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "flt.py": "import jinja2.defaults\njinja2.defaults.DEFAULT_FILTERS['loud'] = lambda s: s + '!'\n"
                }
            },
            {"write": {"flt.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-mimetypes-and-guess-extension",
        "files": {
            "main.py": "import mimetypes, t\ndef observe(): return [mimetypes.guess_type('a.zzz')[0], mimetypes.guess_extension('text/x-zzz'), mimetypes.guess_type('a.css')[0]]\n",
            "t.py": "import mimetypes\nmimetypes.add_type('text/x-zzz', '.zzz')\nmimetypes.add_type('text/weird', '.css')\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"t.py": "import mimetypes\nmimetypes.add_type('text/x-zzz', '.zzz')\n"}},
            {"write": {"t.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-environ-read-by-a-kept-module",
        "files": {
            "main.py": "import env\nimport reader\ndef observe(): return [reader.MODE, reader.mode()]\n",
            "env.py": "import os\nos.environ['X_MODE'] = 'one'\n",
            "reader.py": "import os\nMODE = os.environ.get('X_MODE', 'unset')\ndef mode(): return os.environ.get('X_MODE', 'unset')\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"env.py": "import os\nos.environ['X_MODE'] = 'two'\n"}},
            {"name": "not set", "write": {"env.py": "x = 1\n"}},
            {"write": {"env.py": "import os\nos.environ['X_MODE'] = 'three'\n1/0\n"}},
            {"write": {"env.py": "import os\nos.environ['X_MODE'] = 'four'\n"}},
        ],
    },
    {
        "id": "x-environ-from-dotenv-by-hand",
        "files": {
            "main.py": "import loadenv\nfrom conf import C\ndef observe(): return C\n",
            "loadenv.py": "import os\nfor line in open('.env'):\n    k, _, v = line.strip().partition('=')\n    if k: os.environ[k] = v\n",
            "conf.py": "import os\nC = {k: os.environ.get(k) for k in ('DB_URL', 'DB_POOL')}\n",
            ".env": "DB_URL=a\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {".env": "DB_URL=b\nDB_POOL=3\n"}}, {"write": {".env": "DB_POOL=4\n"}}],
    },
    {
        "id": "x-two-modules-set-one-variable",
        "files": {
            "main.py": "import a, b, os\ndef observe(): return os.environ.get('X_TWO')\n",
            "a.py": "import os\nos.environ['X_TWO'] = 'a'\n",
            "b.py": "import os\nos.environ['X_TWO'] = os.environ.get('X_TWO', '') + 'b'\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"a.py": "import os\nos.environ['X_TWO'] = 'A'\n"}},
            {"write": {"b.py": "x = 1\n"}},
            {"write": {"b.py": "import os\nos.environ['X_TWO'] = os.environ.get('X_TWO', '') + 'B'\n"}},
        ],
    },
    {
        "id": "x-excepthook-and-stdlib-function-replaced",
        "files": {
            "main.py": "import threading, hook\ndef observe(): return [threading.excepthook.__name__, getattr(threading.excepthook, 'v', None)]\n",
            "hook.py": "import threading\ndef mine(*a): ...\nmine.v = 1\nthreading.excepthook = mine\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"hook.py": "import threading\ndef mine(*a): ...\nmine.v = 2\nthreading.excepthook = mine\n"}},
            {"write": {"hook.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-socket-default-timeout-and-recursion-limit",
        "files": {
            "main.py": "import socket, sys, s\ndef observe(): return [socket.getdefaulttimeout(), sys.getrecursionlimit()]\n",
            "s.py": "import socket, sys\nsocket.setdefaulttimeout(3)\nsys.setrecursionlimit(4321)\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"s.py": "import socket\nsocket.setdefaulttimeout(4)\n"}}, {"write": {"s.py": "x = 1\n"}}],
    },
    {
        "id": "x-atexit-and-failed-edit",
        "files": {
            "main.py": "import atexit, ex\ndef observe(): return [ex.N, atexit._ncallbacks() - ex.BASE]\n",
            "ex.py": "import atexit\nBASE = atexit._ncallbacks()\nN = 1\ndef bye(): ...\natexit.register(bye)\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "ex.py": "import atexit\nBASE = atexit._ncallbacks()\nN = 2\ndef bye(): ...\natexit.register(bye)\natexit.register(bye)\n"
                }
            },
            {"write": {"ex.py": "import atexit\nBASE = atexit._ncallbacks()\nN = 3\n"}},
        ],
    },
    {
        "id": "x-prometheus-labels-over-two-modules-and-error",
        "files": {
            "main.py": "from prometheus_client import REGISTRY\nimport m1, m2\ndef observe(): return sorted((m.name, m.documentation) for m in REGISTRY.collect() if m.name.startswith('x_'))\n",
            "m1.py": "from prometheus_client import Counter, Histogram\nA = Counter('x_a', 'a1', ['k'])\nH = Histogram('x_h', 'h1')\n",
            "m2.py": "from prometheus_client import Gauge\nG = Gauge('x_g', 'g1')\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "m1.py": "from prometheus_client import Counter, Histogram\nA = Counter('x_a', 'a2', ['k'])\nH = Histogram('x_h', 'h2')\n1/0\n"
                }
            },
            {"write": {"m2.py": "from prometheus_client import Gauge\nG = Gauge('x_g', 'g2')\n"}},
            {"write": {"m1.py": "from prometheus_client import Counter\nA = Counter('x_a', 'a3')\n"}},
            {
                "name": "truly duplicate",
                "write": {"m2.py": "from prometheus_client import Counter\nG = Counter('x_a', 'twice')\n"},
            },
            {"write": {"m2.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-sqlalchemy-event-on-session-and-pool",
        "files": {
            "main.py": "from sqlalchemy import create_engine, text\nfrom sqlalchemy.orm import Session\nimport ev\ndef observe():\n    ev.SEEN.clear()\n    with Session(create_engine('sqlite://')) as s:\n        s.execute(text('select 1')); s.commit()\n    return list(ev.SEEN)\n",
            "ev.py": "from sqlalchemy import event\nfrom sqlalchemy.orm import Session\nfrom sqlalchemy.pool import Pool\nSEEN = []\n@event.listens_for(Session, 'after_commit')\ndef c(s): SEEN.append('commit1')\n@event.listens_for(Pool, 'connect')\ndef p(a, b): SEEN.append('connect1')\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "ev.py": "from sqlalchemy import event\nfrom sqlalchemy.orm import Session\nSEEN = []\n@event.listens_for(Session, 'after_commit')\ndef c(s): SEEN.append('commit2')\n"
                }
            },
            {"write": {"ev.py": "SEEN = []\n"}},
        ],
    },
    {
        "id": "x-sqlmodel-two-related-tables",
        "files": {
            "main.py": "from sqlmodel import SQLModel, Session, create_engine, select\nfrom models.team import Team\nfrom models.hero import Hero\ndef observe():\n    e = create_engine('sqlite://')\n    SQLModel.metadata.create_all(e)\n    with Session(e) as s:\n        t = Team(name='t'); h = Hero(name='h', team=t)\n        s.add(h); s.commit()\n        return [sorted(SQLModel.metadata.tables), [x.name for x in s.exec(select(Team)).one().heroes], sorted(Hero.model_fields)]\n",
            "models/__init__.py": "",
            "models/team.py": "from __future__ import annotations\nfrom sqlmodel import Field, Relationship, SQLModel\nfrom typing import Optional\nclass Team(SQLModel, table=True):\n    id: int | None = Field(default=None, primary_key=True)\n    name: str\n    heroes: list['Hero'] = Relationship(back_populates='team')\n".replace(
                "from __future__ import annotations\n", ""
            ),
            "models/hero.py": "from sqlmodel import Field, Relationship, SQLModel\nfrom models.team import Team\nclass Hero(SQLModel, table=True):\n    id: int | None = Field(default=None, primary_key=True)\n    name: str\n    team_id: int | None = Field(default=None, foreign_key='team.id')\n    team: Team | None = Relationship(back_populates='heroes')\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "models/hero.py": "from sqlmodel import Field, Relationship, SQLModel\nfrom models.team import Team\nclass Hero(SQLModel, table=True):\n    id: int | None = Field(default=None, primary_key=True)\n    name: str\n    power: int = 3\n    team_id: int | None = Field(default=None, foreign_key='team.id')\n    team: Team | None = Relationship(back_populates='heroes')\n"
                }
            },
            {
                "name": "broken",
                "write": {
                    "models/hero.py": "from sqlmodel import Field, SQLModel\nclass Hero(SQLModel, table=True):\n    name: str\n"
                },
            },
            {
                "name": "fixed, renamed",
                "write": {
                    "models/hero.py": "from sqlmodel import Field, Relationship, SQLModel\nfrom models.team import Team\nclass Hero(SQLModel, table=True):\n    __tablename__ = 'heroes'\n    id: int | None = Field(default=None, primary_key=True)\n    name: str\n    team_id: int | None = Field(default=None, foreign_key='team.id')\n    team: Team | None = Relationship(back_populates='heroes')\n"
                },
            },
        ],
    },
    {
        "id": "x-sqlalchemy-imperative-registry-and-mixins",
        "files": {
            "main.py": "from sqlalchemy import create_engine, inspect\nimport user\nfrom base import reg\ndef observe():\n    e = create_engine('sqlite://'); reg.metadata.create_all(e)\n    return {t: [c['name'] for c in inspect(e).get_columns(t)] for t in inspect(e).get_table_names()}\n",
            "base.py": "from sqlalchemy.orm import registry\nreg = registry()\nBase = reg.generate_base()\n",
            "mixins.py": "from sqlalchemy import Column, Integer\nclass Stamped:\n    created = Column(Integer)\n",
            "user.py": "from sqlalchemy import Column, Integer\nfrom base import Base\nfrom mixins import Stamped\nclass User(Stamped, Base):\n    __tablename__ = 'u'\n    id = Column(Integer, primary_key=True)\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "mixins.py": "from sqlalchemy import Column, Integer\nclass Stamped:\n    created = Column(Integer)\n    updated = Column(Integer)\n"
                }
            },
            {
                "write": {
                    "user.py": "from sqlalchemy import Column, Integer\nfrom base import Base\nclass User(Base):\n    __tablename__ = 'users'\n    id = Column(Integer, primary_key=True)\n"
                }
            },
        ],
    },
    {
        "id": "x-thread-timer-of-a-library",
        "files": {
            "main.py": "import w, threading\ndef observe(): return [w.N, sum(t.name == 'ours' for t in threading.enumerate())]\n",
            "w.py": "import threading, time\nclass T(threading.Thread):\n    def run(self):\n        while True: time.sleep(0.05)\nT(name='ours', daemon=True).start()\nN = 1\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"w.py": "import threading\nN = 2\n"}}],
    },
    {
        "id": "x-executor-at-import-idle",
        "files": {
            "main.py": "import pool\ndef observe(): return pool.run()\n",
            "pool.py": "from concurrent.futures import ThreadPoolExecutor\nEX = ThreadPoolExecutor(1)\nEX.submit(lambda: 1).result()\ndef run(): return EX.submit(lambda: 'one').result()\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "pool.py": "from concurrent.futures import ThreadPoolExecutor\nEX = ThreadPoolExecutor(1)\nEX.submit(lambda: 1).result()\ndef run(): return EX.submit(lambda: 'two').result()\n"
                }
            }
        ],
    },
    {
        "id": "x-meta-path-finder-by-the-app",
        "files": {
            "main.py": "import finder\nimport virtual_mod\ndef observe():\n    import sys\n    return [virtual_mod.V, sum(type(f).__name__ == 'Mine' for f in sys.meta_path)]\n",
            "finder.py": "import sys, importlib.abc, importlib.machinery\nclass Mine(importlib.abc.MetaPathFinder, importlib.abc.Loader):\n    def find_spec(self, n, p=None, t=None):\n        if n == 'virtual_mod': return importlib.machinery.ModuleSpec(n, self)\n    def create_module(self, spec): return None\n    def exec_module(self, m): m.V = 1\nsys.meta_path.append(Mine())\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "finder.py": "import sys, importlib.abc, importlib.machinery\nclass Mine(importlib.abc.MetaPathFinder, importlib.abc.Loader):\n    def find_spec(self, n, p=None, t=None):\n        if n == 'virtual_mod': return importlib.machinery.ModuleSpec(n, self)\n    def create_module(self, spec): return None\n    def exec_module(self, m): m.V = 2\nsys.meta_path.append(Mine())\n"
                }
            }
        ],
    },
    {
        "id": "x-lazy-loader-of-the-library-documentation",
        "files": {
            "main.py": "from lazily import lazy\nservice = lazy('service')\nrates = lazy('rates')\ndef observe(): return [service.price(), rates.RATE]\n",
            "lazily.py": "import importlib.util, sys\ndef lazy(name):\n    spec = importlib.util.find_spec(name)\n    loader = importlib.util.LazyLoader(spec.loader)\n    spec.loader = loader\n    module = importlib.util.module_from_spec(spec)\n    sys.modules[name] = module\n    loader.exec_module(module)\n    return module\n",
            "service.py": "import rates\ndef price(): return rates.RATE\n",
            "rates.py": "RATE = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"service.py": "import rates\ndef price(): return rates.RATE * 10\n"}},
            {"write": {"rates.py": "RATE = 2\n"}},
            {"write": {"service.py": "import rates\ndef price(): return rates.RATE * 100\n"}},
            {"write": {"service.py": "def price(:\n"}},
            {"write": {"service.py": "def price(): return 7\n", "rates.py": "RATE = 3\n"}},
        ],
    },
    {
        "id": "x-settings-of-the-interpreter",
        "files": {
            "main.py": "import settings, sys\ndef observe(): return [sys.getswitchinterval(), sys.get_int_max_str_digits()]\n",
            "settings.py": "import sys\nsys.setswitchinterval(0.01)\nsys.set_int_max_str_digits(5000)\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"settings.py": "import sys\nsys.setswitchinterval(0.02)\n"}},
            {"write": {"settings.py": "import sys\nsys.set_int_max_str_digits(6000)\n"}},
            {"write": {"settings.py": "X = 1\n"}},
        ],
    },
    {
        "id": "x-class-of-a-module",
        "files": {
            "main.py": "import money\ndef observe(): return [money.rate, money.base, isinstance(money, money.Rated)]\n",
            "money.py": "import sys\nfrom types import ModuleType\nbase = 2\nclass Rated(ModuleType):\n    @property\n    def rate(self): return self.base * 2\nsys.modules[__name__].__class__ = Rated\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "money.py": "import sys\nfrom types import ModuleType\nbase = 2\nclass Rated(ModuleType):\n    @property\n    def rate(self): return self.base * 3\nsys.modules[__name__].__class__ = Rated\n"
                }
            },
            {
                "write": {
                    "money.py": "import sys\nfrom types import ModuleType\nbase = 5\nclass Rated(ModuleType):\n    rate = 1\n    def __getattribute__(self, name): return 9 if name == 'base' else super().__getattribute__(name)\nsys.modules[__name__].__class__ = Rated\n"
                }
            },
            {"write": {"money.py": "base = 6\nrate = 7\nclass Rated: ...\n"}},
        ],
    },
    {
        "id": "x-subclass-hook-of-a-library-class",
        "files": {
            "main.py": "import handlers\nfrom string import Template\ndef observe(): return sorted(c.__name__ for c in Template.__subclasses__() if c.__module__ == 'handlers')\n",
            "handlers.py": "from string import Template\nclass A(Template): ...\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"handlers.py": "from string import Template\nclass B(Template): ...\n"}}],
    },
    {
        "id": "x-builtins-name",
        "files": {
            "main.py": "import inst\ndef observe():\n    try: return tr('x')\n    except NameError: return 'NameError'\n",
            "inst.py": "import builtins\nbuiltins.tr = lambda s: s + '1'\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"inst.py": "import builtins\nbuiltins.tr = lambda s: s + '2'\n"}},
            {"write": {"inst.py": "x = 1\n"}},
        ],
    },
]
