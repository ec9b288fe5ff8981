"""Shapes of import beyond the usual ones."""

CHAIN = 60
DEEP = {f"c{i}.py": f"from c{i + 1} import V\nV = V + 1\n" for i in range(CHAIN)}

SCENARIOS = [
    {
        "id": "x-module-becomes-package-and-back",
        "files": {
            "main.py": "from util import f\nimport util\ndef observe(): return [f(), hasattr(util, '__path__')]\n",
            "util.py": "def f(): return 'flat'\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "name": "package",
                "delete": ["util.py"],
                "write": {"util/__init__.py": "from .impl import f\n", "util/impl.py": "def f(): return 'nested'\n"},
            },
            {
                "name": "flat again",
                "delete": ["util/__init__.py", "util/impl.py"],
                "write": {"util.py": "def f(): return 'flat2'\n"},
            },
            {"name": "both: the package wins", "write": {"util/__init__.py": "def f(): return 'pkg wins'\n"}},
            {"name": "package goes", "delete": ["util/__init__.py"]},
        ],
    },
    {
        "id": "x-package-deleted-and-recreated",
        "files": {
            "main.py": "try:\n    from ext import V\nexcept ImportError:\n    V = 'none'\ndef observe(): return V\n",
            "ext/__init__.py": "from .a import V\n",
            "ext/a.py": "V = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"delete": ["ext/__init__.py", "ext/a.py"]},
            {"write": {"ext/__init__.py": "from .b import V\n", "ext/b.py": "V = 2\n"}},
            {"write": {"ext/b.py": "V = 3\n"}},
            {"delete": ["ext/b.py"]},
        ],
    },
    {
        "id": "x-namespace-becomes-regular-package",
        "files": {
            "main.py": "import ns.a\nfrom ns import a\ndef observe(): return [a.A, getattr(ns, 'V', None), a is ns.a]\n",
            "ns/a.py": "A = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"ns/__init__.py": "V = 1\n"}},
            {"write": {"ns/__init__.py": "V = 2\nfrom . import a\n"}},
            {"delete": ["ns/__init__.py"]},
            {"write": {"ns/a.py": "A = 2\n"}},
        ],
    },
    {
        "id": "x-circular-three-modules-with-late-import",
        "files": {
            "main.py": "import a\ndef observe(): return [a.fa(), a.b.fb(), a.b.c.fc()]\n",
            "a.py": "import b\nX = 1\ndef fa(): return X\n",
            "b.py": "import c\nY = 2\ndef fb():\n    import a\n    return a.X + Y\n",
            "c.py": "import a\nZ = 3\ndef fc(): return a.X + a.b.Y + Z\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"c.py": "import a\nZ = 30\ndef fc(): return a.X + a.b.Y + Z\n"}},
            {"write": {"a.py": "import b\nX = 100\ndef fa(): return X\n"}},
            {"write": {"b.py": "import c\nY = 20\ndef fb():\n    from a import X\n    return X + Y\n"}},
        ],
    },
    {
        "id": "x-star-import-chain-with-all",
        "files": {
            "main.py": "from top import *\ndef observe(): return sorted((k, v) for k, v in globals().items() if k.startswith('n_'))\n",
            "top.py": "from mid import *\nn_top = 1\n",
            "mid.py": "from low import *\nfrom low import __all__ as _l\n__all__ = [*_l, 'n_mid']\nn_mid = 1\n",
            "low.py": "__all__ = ['n_low']\nn_low = 1\nn_hidden = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"low.py": "__all__ = ['n_low', 'n_hidden']\nn_low = 2\nn_hidden = 2\n"}},
            {"write": {"low.py": "__all__ = []\n"}},
            {"write": {"mid.py": "n_mid = 5\n"}},
        ],
    },
    {
        "id": "x-lazy-module-getattr-with-imports",
        "files": {
            "main.py": "import lib\nfrom lib import fast\nR = fast.go()\ndef observe(): return [R, lib.slow.go(), sorted(lib.__all__)]\n",
            "lib/__init__.py": "import importlib\n__all__ = ['fast', 'slow']\ndef __getattr__(name):\n    if name in __all__: return importlib.import_module(f'lib.{name}')\n    raise AttributeError(name)\n",
            "lib/fast.py": "def go(): return 'fast'\n",
            "lib/slow.py": "def go(): return 'slow'\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"lib/fast.py": "def go(): return 'FAST'\n"}},
            {"write": {"lib/slow.py": "def go(): return 'SLOW'\n"}},
        ],
    },
    {
        "id": "x-importlib-reload-by-the-app",
        "files": {
            "main.py": "import importlib, conf\nconf.VALUE = 'changed'\nconf = importlib.reload(conf)\ndef observe(): return conf.VALUE\n",
            "conf.py": "VALUE = 'one'\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"conf.py": "VALUE = 'two'\n"}},
            {"write": {"main.py": "import conf\ndef observe(): return conf.VALUE\n"}},
        ],
    },
    {
        "id": "x-pkgutil-walk-packages",
        "files": {
            "main.py": "import pkgutil, importlib, tree\nFOUND = sorted(m.name for m in pkgutil.walk_packages(tree.__path__, 'tree.'))\nfor n in FOUND: importlib.import_module(n)\nfrom tree import REG\ndef observe(): return [FOUND, sorted(REG)]\n",
            "tree/__init__.py": "REG = []\n",
            "tree/a.py": "from tree import REG\nREG.append('a')\n",
            "tree/sub/__init__.py": "",
            "tree/sub/b.py": "from tree import REG\nREG.append('b')\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"tree/sub/c.py": "from tree import REG\nREG.append('c')\n"}},
            {"delete": ["tree/a.py"]},
            {"write": {"tree/sub/b.py": "from tree import REG\nREG.append('B')\n"}},
        ],
    },
    {
        "id": "x-plugins-by-glob",
        "files": {
            "main.py": "import importlib, pathlib\nHERE = pathlib.Path(__file__).parent\nMODS = [importlib.import_module(f'plugs.{p.stem}') for p in sorted(HERE.glob('plugs/p_*.py'))]\ndef observe(): return [m.N for m in MODS]\n",
            "plugs/__init__.py": "",
            "plugs/p_one.py": "N = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"plugs/p_two.py": "N = 2\n"}},
            {"write": {"plugs/p_one.py": "N = 11\n"}},
            {"delete": ["plugs/p_one.py"]},
        ],
    },
    {
        "id": "x-plugins-by-spec-from-file",
        "files": {
            "main.py": "import importlib.util, pathlib\ndef load(p):\n    spec = importlib.util.spec_from_file_location('plug_' + p.stem, p)\n    m = importlib.util.module_from_spec(spec)\n    spec.loader.exec_module(m)\n    return m\nMODS = [load(p) for p in sorted(pathlib.Path(__file__).parent.joinpath('ext').iterdir()) if p.suffix == '.py']\ndef observe(): return [m.N for m in MODS]\n",
            "ext/one.py": "N = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"ext/one.py": "N = 10\n"}},
            {"write": {"ext/two.py": "N = 2\n"}},
            {"delete": ["ext/one.py"]},
        ],
    },
    {
        "id": "x-exec-of-a-file",
        "files": {
            "main.py": "ns = {}\nexec(compile(open('conf_py.py').read(), 'conf_py.py', 'exec'), ns)\ndef observe(): return ns['A']\n",
            "conf_py.py": "A = 1\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"conf_py.py": "A = 2\n"}}],
    },
    {
        "id": "x-runpy-of-a-module",
        "files": {
            "main.py": "import runpy\nNS = runpy.run_module('script')\ndef observe(): return [NS['A'], NS['__name__']]\n",
            "script.py": "from helper import H\nA = H + 1\n",
            "helper.py": "H = 1\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"script.py": "from helper import H\nA = H + 10\n"}}, {"write": {"helper.py": "H = 5\n"}}],
    },
    {
        "id": "x-sys-path-insert-then-removed",
        "files": {
            "main.py": "import sys, pathlib\nLIB = str(pathlib.Path(__file__).parent / 'vendor1')\nsys.path.insert(0, LIB)\nimport vend\ndef observe(): return [vend.V, sys.path.count(LIB)]\n",
            "vendor1/vend.py": "V = 'one'\n",
            "vendor2/vend.py": "V = 'two'\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "main.py": "import sys, pathlib\nLIB = str(pathlib.Path(__file__).parent / 'vendor2')\nsys.path.insert(0, LIB)\nimport vend\ndef observe(): return [vend.V, sys.path.count(LIB), any(p.endswith('vendor1') for p in sys.path)]\n"
                }
            },
            {"write": {"vendor2/vend.py": "V = 'TWO'\n"}},
        ],
    },
    {
        "id": "x-module-replaces-itself-in-sys-modules",
        "files": {
            "main.py": "import conf\nfrom conf import name\ndef observe(): return [conf.value, name]\n",
            "conf.py": "import sys\nclass Conf:\n    value = 1\n    name = 'conf'\nsys.modules[__name__] = Conf()\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "conf.py": "import sys\nclass Conf:\n    value = 2\n    name = 'conf2'\nsys.modules[__name__] = Conf()\n"
                }
            },
            {"write": {"conf.py": "value = 3\nname = 'plain'\n"}},
        ],
    },
    {
        "id": "x-alias-in-sys-modules",
        "files": {
            "main.py": "import compat\nimport old_api\nfrom old_api import f\ndef observe(): return [f(), old_api.f()]\n",
            "compat.py": "import sys, new_api\nsys.modules['old_api'] = new_api\n",
            "new_api.py": "def f(): return 1\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"new_api.py": "def f(): return 2\n"}}, {"write": {"new_api.py": "def f(): return 3\n"}}],
    },
    {
        "id": "x-deep-chain",
        "files": {"main.py": "from c0 import V\ndef observe(): return V\n", **DEEP, f"c{CHAIN}.py": "V = 0\n"},
        "entry": "main:observe",
        "steps": [{"write": {f"c{CHAIN}.py": "V = 100\n"}}, {"write": {"c30.py": "from c31 import V\nV = V * 2\n"}}],
    },
    {
        "id": "x-import-inside-a-factory",
        "files": {
            "main.py": "from factory import create\napp = create()\n",
            "factory.py": "from fastapi import FastAPI\ndef create():\n    from routers import r\n    app = FastAPI()\n    app.include_router(r)\n    return app\n",
            "routers.py": "from fastapi import APIRouter\nr = APIRouter()\n@r.get('/')\ndef i(): return 1\n",
        },
        "observe": ["GET /"],
        "steps": [
            {
                "write": {
                    "routers.py": "from fastapi import APIRouter\nr = APIRouter()\n@r.get('/')\ndef i(): return 2\n"
                }
            },
            {"name": "broken", "write": {"routers.py": "from fastapi import APIRouter\nr = APIRouter(\n"}},
            {
                "write": {
                    "routers.py": "from fastapi import APIRouter\nr = APIRouter()\n@r.get('/')\ndef i(): return 3\n"
                }
            },
        ],
    },
    {
        "id": "x-import-in-handler-then-edited",
        "files": {
            "main.py": "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/')\ndef i():\n    from late import f\n    return f()\n@app.get('/opt')\ndef o():\n    try:\n        import optional\n    except ImportError: return 'none'\n    return optional.V\n",
            "late.py": "from later import X\ndef f(): return X\n",
            "later.py": "X = 1\n",
        },
        "observe": ["GET /", "GET /opt"],
        "steps": [
            {"write": {"later.py": "X = 2\n"}},
            {"write": {"optional.py": "V = 'here'\n"}},
            {"write": {"optional.py": "V = 'edited'\n", "late.py": "def f(): return 'no later'\n"}},
            {"delete": ["optional.py"]},
        ],
    },
    {
        "id": "x-conditional-on-python-file-present",
        "files": {
            "main.py": "import importlib.util\nif importlib.util.find_spec('extra_feature'):\n    from extra_feature import F\nelse:\n    F = 'off'\ndef observe(): return F\n"
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"extra_feature.py": "F = 'on'\n"}},
            {"write": {"extra_feature.py": "F = 'on2'\n"}},
            {"delete": ["extra_feature.py"]},
        ],
    },
    {
        "id": "x-try-two-alternatives",
        "files": {
            "main.py": "try:\n    import impl_fast as impl\nexcept ImportError:\n    import impl_slow as impl\ndef observe(): return impl.N\n",
            "impl_slow.py": "N = 'slow'\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"impl_fast.py": "import nowhere_at_all\nN = 'fast'\n"}},
            {"write": {"impl_fast.py": "N = 'fast'\n"}},
            {"write": {"impl_slow.py": "N = 'slow2'\n"}},
            {"delete": ["impl_fast.py"]},
        ],
    },
    {
        "id": "x-names-hmr-itself-uses",
        "note": "globals called load, file, instances, register_dispose_callback",
        "files": {
            "main.py": "import m\nfrom m import load, file, instances\ndef observe(): return [load(), file, instances, m.load(), m.file, m.instances, m.register_dispose_callback, hasattr(m, 'context'), sorted(n for n in vars(m) if n[0] != '_')]\n",
            "m.py": "def load(): return 1\nfile = 'f'\ninstances = []\nregister_dispose_callback = 0\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"m.py": "def load(): return 2\nfile = 'g'\ninstances = [1]\nregister_dispose_callback = 1\n"}},
            {
                "write": {
                    "main.py": "import m\ndef observe(): return [hasattr(m, n) for n in ('load', 'file', 'instances', 'nothing')]\n",
                    "m.py": "x = 1\n",
                }
            },
        ],
    },
    {
        "id": "x-relative-import-beyond-and-back",
        "files": {
            "main.py": "from app.a.b.c import run\ndef observe(): return run()\n",
            "app/__init__.py": "from .conf import NAME\n",
            "app/conf.py": "NAME = 'n1'\n",
            "app/a/__init__.py": "from .. import NAME as N\n",
            "app/a/b/__init__.py": "",
            "app/a/b/c.py": "from ... import NAME\nfrom .. import N\nfrom ...conf import NAME as M\ndef run(): return [NAME, N, M]\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"app/conf.py": "NAME = 'n2'\n"}}, {"write": {"app/__init__.py": "NAME = 'own'\n"}}],
    },
    {
        "id": "x-entry-in-a-package-main",
        "entry": "pkg.web.main:app",
        "files": {
            "pkg/__init__.py": "VERSION = '1'\n",
            "pkg/web/__init__.py": "from pkg import VERSION\n",
            "pkg/web/main.py": "from fastapi import FastAPI\nfrom . import VERSION\nfrom .routes import router\napp = FastAPI(version=VERSION)\napp.include_router(router)\n",
            "pkg/web/routes.py": "from fastapi import APIRouter\nrouter = APIRouter()\n@router.get('/')\ndef i(): return 1\n",
        },
        "observe": ["GET /", "GET /openapi.json"],
        "steps": [
            {"write": {"pkg/__init__.py": "VERSION = '2'\n"}},
            {"write": {"pkg/web/__init__.py": "VERSION = '3'\n"}},
            {
                "write": {
                    "pkg/web/routes.py": "from fastapi import APIRouter\nrouter = APIRouter()\n@router.get('/')\ndef i(): return 2\n"
                }
            },
        ],
    },
]
