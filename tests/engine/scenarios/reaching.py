"""State of a kept module that another one changes by an unusual way: its namespace, a class without a name, heirs."""

SCENARIOS = [
    {
        "id": "x-namespace-of-a-module-written-as-a-dict",
        "files": {
            "main.py": "import kept, writer\ndef observe(): return [kept.shown(), kept.A]\n",
            "kept.py": "A = 1\ndef shown(): return sorted(name for name in globals() if name.startswith('patched'))\n",
            "writer.py": "import sys\nsys.modules['kept'].__dict__['patched'] = 1\nvars(sys.modules['kept'])['A'] = 2\n",
        },
        "entry": "main:observe",
        "steps": [
            {"name": "another", "write": {"writer.py": "import sys\nvars(sys.modules['kept'])['patched_too'] = 1\n"}},
            {
                "name": "gone",
                "write": {"main.py": "import kept\ndef observe(): return [kept.shown(), kept.A]\n"},
                "delete": ["writer.py"],
            },
        ],
    },
    {
        "id": "x-class-attribute-set-through-an-instance",
        "files": {
            "main.py": "import kept, user\ndef observe(): return kept.LIMITS.shown()\n",
            "kept.py": (
                "class _Limits:\n    def __init__(self): self.names = []\n"
                "    def shown(self): return getattr(self, 'limit', None)\n"
                "LIMITS = _Limits()\n"
            ),
            "user.py": "from setting import V\n",
            "setting.py": "from kept import *\nV = 1\ntype(LIMITS).limit = 18\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "name": "renamed",
                "write": {"setting.py": "from kept import *\nV = 1\nLIMITS.__class__.other = 18\n"},
            },
            {"write": {"setting.py": "from kept import *\nV = 1\ntype(LIMITS).limit = 19\n"}},
            {"name": "gone", "write": {"main.py": "import kept\ndef observe(): return kept.LIMITS.shown()\n"}},
        ],
    },
    *(
        {
            "id": f"x-changed-in-a-cache-{name}",
            "note": "what a cached function gave is changed, by the one who called it first or by another",
            "files": {
                "main.py": "import kept, early, user\ndef observe(): return [repr(kept.get()), early.V]\n",
                "kept.py": (
                    "import functools\nclass Settings:\n    level = 0\n    def __repr__(self): return str(vars(self))\n"
                    f"{cache}\ndef get(n=0): return {made}\n"
                ),
                "early.py": "V = 0\n",
                "user.py": f"import kept\nfirst = kept.get()\n{change.format(1)}\n",
            },
            "entry": "main:observe",
            "steps": [
                {"name": "early", "write": {"early.py": "from kept import get\nV = repr(get())\n"}},
                {"name": "more", "write": {"user.py": f"import kept\nfirst = kept.get()\n{change.format(2)}\n"}},
                {"name": "no more", "write": {"user.py": "import kept\nfirst = kept.get()\n"}},
                {
                    "name": "nothing but asked",
                    "write": {"user.py": "import kept\nfirst = [kept.get()]\n"},
                    "must_not_execute": ["kept.py", "early.py"],
                },
            ],
        }
        for name, cache, made, change in (
            ("of-one", "@functools.lru_cache", "Settings()", "first.level = {}"),
            ("without-end", "@functools.cache", "{'level': 0}", "first['level'] = {}"),
            ("of-a-few-tables", "@functools.lru_cache(maxsize=2)", "{'level': [0]}", "first['level'].append({})"),
        )
    ),
    {
        "id": "x-heir-made-before-its-base-is-asked",
        "note": "the running module has looked at the base before it makes the heir, and at more of its module after that",
        "files": {
            "main.py": (
                "import base, heir\nfrom fastapi import FastAPI\napp = FastAPI()\n"
                "@app.get('/')\ndef heirs(): return base.heirs()\n"
            ),
            "base.py": (
                "class Base: ...\nclass Store:\n    def __init__(self): self.items = []\n"
                "    def all(self): return list(self.items)\nSTORE = Store()\n"
                "def heirs(): return [cls.__name__ for cls in Base.__subclasses__()]\n"
            ),
            "heir.py": "import base\nclass Heir(base.Base): N = 1\nSEEN = base.STORE.all()\n",
        },
        "entry": "main:app",
        "observe": ["GET /"],
        "steps": [
            {"write": {"heir.py": "import base\nclass Heir(base.Base): N = 2\nSEEN = base.STORE.all()\n"}},
            {"write": {"heir.py": "import base\nclass Heir(base.Base): N = 3\nSEEN = base.STORE.all()\n"}},
        ],
    },
    {
        "id": "x-type-variable-in-a-module-that-is-called",
        "note": "it has no attributes of its own to look at, though others of its kind may",
        "files": {
            "main.py": "import user\ndef observe(): return user.SEEN\n",
            "kept.py": "from typing import TypeVar\nT = TypeVar('T')\nITEMS = []\ndef add(item: T) -> list[T]:\n    ITEMS.append(item)\n    return list(ITEMS)\n",
            "user.py": "import kept\nSEEN = kept.add(1)\n",
        },
        "entry": "main:observe",
        "steps": [{"write": {"user.py": "import kept\nSEEN = kept.add(2)\n"}}],
    },
    {
        "id": "x-namespace-package-of-a-broken-start",
        "files": {
            "main.py": "import app.spaced.part\ndef observe(): return app.spaced.part.V\n",
            "app/__init__.py": "",
            "app/spaced/part.py": "import nowhere_to_be_found\nV = 1\n",
        },
        "entry": "main:observe",
        "steps": [{"name": "mended", "write": {"app/spaced/part.py": "V = 2\n"}}],
    },
]
