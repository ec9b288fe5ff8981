"""Identity of classes, enums and exceptions; inheritance; caches and registries that hold them."""

SCENARIOS = [
    {
        "id": "x-enum-flag-and-auto",
        "files": {
            "main.py": "from perms import Perm\nfrom roles import ADMIN, can\ndef observe(): return [ADMIN is (Perm.R | Perm.W), can(Perm.W), [p.name for p in Perm]]\n",
            "perms.py": "from enum import Flag, auto\nclass Perm(Flag):\n    R = auto()\n    W = auto()\n",
            "roles.py": "import perms\nADMIN = perms.Perm.R | perms.Perm.W\ndef can(p): return p in ADMIN\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "perms.py": "from enum import Flag, auto\nclass Perm(Flag):\n    X = auto()\n    R = auto()\n    W = auto()\n"
                }
            },
            {"write": {"roles.py": "import perms\nADMIN = perms.Perm.R\ndef can(p): return p in ADMIN\n"}},
        ],
    },
    {
        "id": "x-exception-hierarchy-over-three-modules",
        "files": {
            "main.py": "import svc\nfrom errors.base import AppError\ndef observe():\n    try: svc.run()\n    except AppError as e: return ['caught', e.code, type(e).__name__]\n",
            "errors/__init__.py": "",
            "errors/base.py": "class AppError(Exception):\n    code = 1\n",
            "errors/db.py": "from .base import AppError\nclass DbError(AppError):\n    code = 2\n",
            "svc.py": "from errors.db import DbError\ndef run(): raise DbError()\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "errors/base.py": "class AppError(Exception):\n    code = 10\n    def __str__(self): return 'x'\n"
                }
            },
            {
                "write": {
                    "errors/db.py": "from .base import AppError\nclass DbError(AppError):\n    code = 20\nclass Dead(DbError): ...\n"
                }
            },
            {"write": {"svc.py": "from errors.db import Dead\ndef run(): raise Dead()\n"}},
        ],
    },
    {
        "id": "x-abc-registration-from-outside",
        "files": {
            "main.py": "import impl\nfrom proto import Store\nfrom impl import Mem\ndef observe(): return [issubclass(Mem, Store), isinstance(Mem(), Store), Mem().get()]\n",
            "proto.py": "from abc import ABC, abstractmethod\nclass Store(ABC):\n    @abstractmethod\n    def get(self): ...\n",
            "impl.py": "from proto import Store\n@Store.register\nclass Mem:\n    def get(self): return 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "impl.py": "from proto import Store\n@Store.register\nclass Mem:\n    def get(self): return 2\n"
                }
            },
            {"name": "no longer registered", "write": {"impl.py": "class Mem:\n    def get(self): return 3\n"}},
            {
                "name": "by inheritance",
                "write": {"impl.py": "from proto import Store\nclass Mem(Store):\n    def get(self): return 4\n"},
            },
            {
                "name": "abstract grows: instantiation fails",
                "write": {
                    "proto.py": "from abc import ABC, abstractmethod\nclass Store(ABC):\n    @abstractmethod\n    def get(self): ...\n    @abstractmethod\n    def put(self): ...\n"
                },
            },
        ],
    },
    {
        "id": "x-metaclass-registry",
        "files": {
            "main.py": "import plugins\nfrom meta import Meta\ndef observe(): return sorted((k, v.n) for k, v in Meta.seen.items())\n",
            "meta.py": "class Meta(type):\n    seen = {}\n    def __new__(m, name, bases, ns):\n        cls = super().__new__(m, name, bases, ns)\n        if bases: m.seen[name] = cls\n        return cls\nclass Base(metaclass=Meta): ...\n",
            "plugins.py": "from meta import Base\nclass A(Base): n = 1\nclass B(Base): n = 2\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"plugins.py": "from meta import Base\nclass A(Base): n = 10\n"}},
            {"write": {"plugins.py": "from meta import Base\nclass A(Base): n = 11\nclass C(Base): n = 3\n"}},
        ],
    },
    {
        "id": "x-init-subclass-with-counter-over-files",
        "files": {
            "main.py": "import a, b\nfrom base import Base, total\ndef observe(): return [total(), [c.__name__ for c in Base.order]]\n",
            "base.py": "_n = 0\nclass Base:\n    order = []\n    def __init_subclass__(cls, **kw):\n        global _n\n        _n += 1\n        Base.order.append(cls)\ndef total(): return _n\n",
            "a.py": "from base import Base\nclass A(Base): ...\n",
            "b.py": "from base import Base\nclass B(Base): ...\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"a.py": "from base import Base\nclass A1(Base): ...\nclass A2(Base): ...\n"}},
            {"write": {"b.py": "x = 1\n"}},
            {
                "write": {
                    "main.py": "import b, a\nfrom base import Base, total\ndef observe(): return [total(), [c.__name__ for c in Base.order]]\n"
                }
            },
        ],
    },
    {
        "id": "x-singledispatch-on-a-class-that-changes",
        "files": {
            "main.py": "import handlers\nfrom events import Created, Deleted\nfrom dispatch import handle\ndef observe(): return [handle(Created()), handle(Deleted()), handle(1)]\n",
            "dispatch.py": "from functools import singledispatch\n@singledispatch\ndef handle(e): return 'none'\n",
            "events.py": "class Created: ...\nclass Deleted: ...\n",
            "handlers.py": "from dispatch import handle\nfrom events import Created\n@handle.register(Created)\ndef _(e): return 'created1'\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"events.py": "class Created:\n    v = 2\nclass Deleted(Created): ...\n"}},
            {
                "write": {
                    "handlers.py": "from dispatch import handle\nfrom events import Created, Deleted\n@handle.register(Deleted)\ndef _(e): return 'deleted2'\n"
                }
            },
        ],
    },
    {
        "id": "x-weak-value-registry",
        "files": {
            "main.py": "import things\nfrom pool import POOL\ndef observe():\n    import gc; gc.collect()\n    return sorted((k, v.n) for k, v in POOL.items())\n",
            "pool.py": "import weakref\nPOOL = weakref.WeakValueDictionary()\n",
            "things.py": "from pool import POOL\nclass T:\n    def __init__(self, n): self.n = n\nKEEP = [T(1), T(2)]\nfor t in KEEP: POOL[f't{t.n}'] = t\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "things.py": "from pool import POOL\nclass T:\n    def __init__(self, n): self.n = n\nKEEP = [T(7)]\nfor t in KEEP: POOL[f't{t.n}'] = t\n"
                }
            }
        ],
    },
    {
        "id": "x-cached-property-and-slots",
        "files": {
            "main.py": "from m import Box\nimport other\ndef observe(): return [Box(2).big, other.BOX.big, isinstance(other.BOX, Box)]\n",
            "m.py": "from functools import cached_property\nclass Box:\n    def __init__(self, n): self.n = n\n    @cached_property\n    def big(self): return self.n * 10\n",
            "other.py": "import m\nBOX = m.Box(1)\nBOX.big\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "m.py": "from functools import cached_property\nclass Box:\n    def __init__(self, n): self.n = n\n    @cached_property\n    def big(self): return self.n * 100\n"
                }
            }
        ],
    },
    {
        "id": "x-dataclass-default-from-another-module",
        "files": {
            "main.py": "from cfg import Cfg\nfrom sub import SubCfg\nfrom dataclasses import asdict\ndef observe(): return [asdict(Cfg()), asdict(SubCfg())]\n",
            "defaults.py": "PORT = 1\ndef tags(): return ['a']\n",
            "cfg.py": "from dataclasses import dataclass, field\nimport defaults\n@dataclass(frozen=True)\nclass Cfg:\n    port: int = defaults.PORT\n    tags: list = field(default_factory=defaults.tags)\n",
            "sub.py": "from dataclasses import dataclass\nfrom cfg import Cfg\n@dataclass(frozen=True)\nclass SubCfg(Cfg):\n    extra: int = 3\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"defaults.py": "PORT = 2\ndef tags(): return ['b']\n"}},
            {
                "write": {
                    "cfg.py": "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Cfg:\n    host: str = 'h'\n"
                }
            },
        ],
    },
    {
        "id": "x-pydantic-generic-parametrised-elsewhere",
        "files": {
            "main.py": "from fastapi import FastAPI\nfrom api import router\napp = FastAPI()\napp.include_router(router)\n",
            "envelope.py": "from typing import Generic, TypeVar\nfrom pydantic import BaseModel\nT = TypeVar('T')\nclass Envelope(BaseModel, Generic[T]):\n    data: T\n    ok: bool = True\n",
            "models.py": "from pydantic import BaseModel\nclass User(BaseModel):\n    name: str = 'u'\n",
            "types_.py": "from envelope import Envelope\nfrom models import User\nUserEnvelope = Envelope[User]\n",
            "api.py": "from fastapi import APIRouter\nfrom types_ import UserEnvelope\nfrom models import User\nrouter = APIRouter()\n@router.get('/', response_model=UserEnvelope)\ndef get(): return UserEnvelope(data=User())\n",
        },
        "observe": ["GET /", "GET /openapi.json"],
        "steps": [
            {
                "write": {
                    "models.py": "from pydantic import BaseModel\nclass User(BaseModel):\n    name: str = 'u'\n    age: int = 3\n"
                }
            },
            {
                "write": {
                    "envelope.py": "from typing import Generic, TypeVar\nfrom pydantic import BaseModel\nT = TypeVar('T')\nclass Envelope(BaseModel, Generic[T]):\n    data: T\n    version: int = 2\n"
                }
            },
        ],
    },
    {
        "id": "x-pydantic-validators-and-computed-fields",
        "files": {
            "main.py": "from fastapi import FastAPI\nfrom order import Order\napp = FastAPI()\n@app.post('/')\ndef f(o: Order): return o\n",
            "rules.py": "def check(v):\n    if v < 0: raise ValueError('negative')\n    return v\nVAT = 0.2\n",
            "order.py": "from pydantic import BaseModel, computed_field, field_validator\nimport rules\nclass Order(BaseModel):\n    net: float\n    @field_validator('net')\n    @classmethod\n    def ok(cls, v): return rules.check(v)\n    @computed_field\n    def gross(self) -> float: return self.net * (1 + rules.VAT)\n",
        },
        "observe": [
            {"method": "POST", "path": "/", "json": {"net": 10}},
            {"method": "POST", "path": "/", "json": {"net": -1}},
        ],
        "steps": [
            {"write": {"rules.py": "def check(v): return v\nVAT = 0.5\n"}},
            {"write": {"rules.py": "def check(v): raise ValueError('never')\nVAT = 0.5\n"}},
        ],
    },
    {
        "id": "x-functools-caches-hold-settings",
        "files": {
            "main.py": "from fastapi import FastAPI\nfrom settings import get_settings\nimport uses\napp = FastAPI(title=get_settings().title)\n@app.get('/')\ndef i(): return [get_settings().title, uses.title(), get_settings() is uses.S]\n",
            "settings.py": "from functools import lru_cache\nfrom pydantic_settings import BaseSettings, SettingsConfigDict\nclass Settings(BaseSettings):\n    model_config = SettingsConfigDict(env_file='.env')\n    title: str = 'none'\n@lru_cache\ndef get_settings(): return Settings()\n",
            "uses.py": "from settings import get_settings\nS = get_settings()\ndef title(): return S.title\n",
            "leaf.py": "x = 1\n",
            ".env": "TITLE=one\n",
        },
        "observe": ["GET /", "GET /openapi.json"],
        "steps": [{"write": {".env": "TITLE=two\n"}}, {"delete": [".env"]}, {"write": {".env": "TITLE=three\n"}}],
    },
    {
        "id": "x-cache-over-imported-plugin",
        "files": {
            "main.py": "from loader import load\nimpl = load('plug_a')\ndef observe(): return [impl.run(), load('plug_a').run()]\n",
            "loader.py": "from functools import cache\nimport importlib\n@cache\ndef load(name): return importlib.import_module(name)\n",
            "plug_a.py": "def run(): return 1\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"plug_a.py": "def run(): return 2\n"}}, {"write": {"plug_a.py": "def run(): return 3\n"}}],
    },
    {
        "id": "x-type-alias-and-newtype",
        "files": {
            "main.py": "import typing\nfrom ids import UserId, Pair\nfrom svc import get\ndef observe(): return [typing.get_type_hints(get)['u'] is UserId, str(Pair.__value__), get(UserId(3))]\n",
            "ids.py": "from typing import NewType\nUserId = NewType('UserId', int)\ntype Pair = tuple[int, str]\n",
            "svc.py": "from ids import UserId\ndef get(u: UserId): return u + 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "ids.py": "from typing import NewType\nUserId = NewType('UserId', int)\ntype Pair = tuple[int, int]\n"
                }
            }
        ],
    },
    {
        "id": "x-monkeypatched-first-party-class-from-third-module",
        "files": {
            "main.py": "import patch1, patch2\nfrom core import Thing\ndef observe(): return [Thing().a(), Thing().b(), hasattr(Thing, 'extra')]\n",
            "core.py": "class Thing:\n    def a(self): return 'a'\n    def b(self): return 'b'\n",
            "patch1.py": "from core import Thing\nThing.a = lambda self: 'A1'\nThing.extra = 1\n",
            "patch2.py": "import core\n_old = core.Thing.b\ncore.Thing.b = lambda self: '<' + _old(self) + '>'\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "patch2.py": "import core\n_old = core.Thing.b\ncore.Thing.b = lambda self: '[' + _old(self) + ']'\n"
                }
            },
            {"write": {"patch1.py": "x = 1\n"}},
            {"write": {"core.py": "class Thing:\n    def a(self): return 'aa'\n    def b(self): return 'bb'\n"}},
        ],
    },
    {
        "id": "x-generator-as-id-source",
        "files": {
            "main.py": "import a, b\ndef observe(): return [a.ID, b.ID]\n",
            "ids.py": "def _gen():\n    n = 0\n    while True:\n        n += 1\n        yield n\n_g = _gen()\ndef take(): return next(_g)\n",
            "a.py": "from ids import take\nID = take()\n",
            "b.py": "from ids import take\nID = take()\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"a.py": "from ids import take\nID = [take(), take()]\n"}},
            {"write": {"b.py": "from ids import take\nID = ('b', take())\n"}},
        ],
    },
    {
        "id": "x-bound-method-as-api-of-a-hidden-object",
        "files": {
            "main.py": "import h\nfrom bus import fire\ndef observe(): return fire()\n",
            "bus.py": "class _Bus:\n    def __init__(self): self.fs = []\n    def on(self, f): self.fs.append(f); return f\n    def fire(self): return [f() for f in self.fs]\non = _Bus().on\nfire = on.__self__.fire\n",
            "h.py": "from bus import on\n@on\ndef f(): return 1\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"h.py": "from bus import on\n@on\ndef f(): return 2\n"}}, {"write": {"h.py": "x = 1\n"}}],
    },
    {
        "id": "x-contextvar-set-at-import",
        "files": {
            "main.py": "import tune\nfrom ctx import level\ndef observe(): return level.get('unset')\n",
            "ctx.py": "from contextvars import ContextVar\nlevel = ContextVar('level')\n",
            "tune.py": "from ctx import level\nlevel.set('one')\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"tune.py": "from ctx import level\nlevel.set('two')\n"}},
            {"write": {"tune.py": "x = 1\n"}},
        ],
    },
    {
        "id": "x-default-argument-holds-registry",
        "files": {
            "main.py": "import h\nfrom reg import all_, add\ndef observe(): return sorted(all_())\n",
            "reg.py": "def add(name, _store={}):\n    _store[name] = 1\n    return _store\ndef all_(): return list(add.__defaults__[0])\n",
            "h.py": "from reg import add\nadd('one')\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"h.py": "from reg import add\nadd('two')\n"}}],
    },
    {
        "id": "x-function-attribute-registry",
        "files": {
            "main.py": "import a, b\nfrom core import run\ndef observe(): return [f() for f in run.steps]\n",
            "core.py": "def run(): ...\nrun.steps = []\n",
            "a.py": "from core import run\nrun.steps.append(lambda: 'a')\n",
            "b.py": "import core\ncore.run.steps.append(lambda: 'b')\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"a.py": "from core import run\nrun.steps.append(lambda: 'A')\n"}},
            {"write": {"b.py": "import core\n"}},
        ],
    },
]
