"""What a module that runs again comes to know of kept ones which a cold start would not have reached by then."""

from typing import Any

SHOWN = "import kept, early, later\ndef observe(): return [repr(early.V), repr(kept.shown())]\n"
KEPT = """\
class Base: level = 0
class Kept(Base):
    items, table = [], {'a': 0}
    def value(self): return [self.level, self.items]
class Settings:
    debug = False
LEVEL = 0
SETTINGS, REGISTRY, TABLE, NESTED = Settings(), [], {'a': 0}, {'a': {'b': []}}
def put(item):
    REGISTRY.append(item)
def filled(): return len(REGISTRY)
def make():
    state = []
    def add(item): state.append(item)
    def all_(): return list(state)
    return add, all_
ADD, ALL = make()
def shown(): return [LEVEL, vars(SETTINGS), Settings.debug, len(REGISTRY), TABLE, NESTED, Kept().value(), Kept.table, ALL()]
"""


def read(name: str, write: str, *expressions: str, third: str = "") -> dict[str, Any]:
    """`early` reads what `later` changes; edits of `early` find it unchanged, edits of `later` too."""
    early = "import kept\nfrom kept import *\n" + ("import third\n" if third else "") + "V = [{}, {!r}]\n"
    first, *others = expressions
    return {
        "id": f"x-early-{name}",
        "files": {
            "main.py": SHOWN,
            "kept.py": KEPT,
            "early.py": early.format(first, 0),
            "later.py": f"import kept\nfrom kept import *\n{write}\n",
            **({"third.py": third} if third else {}),
        },
        "entry": "main:observe",
        "steps": [
            *({"name": text, "write": {"early.py": early.format(text, 1)}} for text in [first, *others]),
            {"name": "broken", "write": {"early.py": early.format(first, 2) + "1/0\n"}},
            {"name": "mended", "write": {"early.py": early.format(first, 3)}},
            {"name": "in another order", "write": {"main.py": SHOWN.replace("early, later", "later, early")}},
            {"name": "and back", "write": {"main.py": SHOWN}},
        ],
    }


SCENARIOS = [
    read("method", "Kept.value = lambda self: 'later'", "Kept().value()", "kept.Kept().value()"),
    read(
        "class-attribute",
        "Kept.level = 3",
        "Kept.level",
        "getattr(kept, 'Kept').level",
        "f'{Kept.level}'",
        "(lambda level=Kept.level: level)()",
        "type(Kept()).level",
        "vars(Kept).get('level')",
    ),
    read("attribute-of-a-base", "Base.level = 3", "Kept.level", "Kept().level", "kept.Base.level"),
    read("list", "REGISTRY.append(1)", "len(REGISTRY)", "list(kept.REGISTRY)", "bool(REGISTRY)", "kept.filled()"),
    read("list-by-a-function", "put(1)", "len(REGISTRY)", "kept.filled()"),
    read("list-of-a-class", "Kept.items.append(1)", "list(Kept.items)", "Kept().value()"),
    read("item", "TABLE['b'] = 1", "dict(TABLE)", "TABLE.get('b')", "[*kept.TABLE]"),
    read("item-deep-below", "NESTED['a']['b'].append(1)", "repr(NESTED)", "len(NESTED['a']['b'])"),
    read("item-deleted", "del TABLE['a']", "'a' in TABLE"),
    read("instance", "SETTINGS.debug = True", "SETTINGS.debug", "getattr(SETTINGS, 'debug')"),
    read("class-of-an-instance", "Settings.debug = True", "SETTINGS.debug"),
    read("name", "kept.LEVEL = 3", "LEVEL", "kept.LEVEL", "getattr(kept, 'LEVEL')", "vars(kept)['LEVEL']"),
    read(
        "name-that-is-new",
        "kept.EXTRA = 3",
        "getattr(kept, 'EXTRA', 0)",
        "'EXTRA' in globals()",
        "hasattr(kept, 'EXTRA')",
    ),
    read("function", "kept.filled = lambda: 'later'", "kept.filled()", "filled()"),
    read("closure", "ADD(1)", "ALL()", "kept.ALL()"),
    read(
        "by-way-of-a-third-module",
        "REGISTRY.append(1)\nKept.level = 3\nkept.LEVEL = 4\nSETTINGS.debug = 5",
        "third.count()",
        "third.level()",
        "third.name()",
        "third.debug()",
        "third.held.level",
        third=(
            "import kept\nfrom kept import REGISTRY, Kept, SETTINGS\ndef count(): return len(REGISTRY)\n"
            "def level(): return Kept.level\ndef name(): return kept.LEVEL\n"
            "def debug():\n    def inner(): return [SETTINGS.debug for _ in 'x']\n    return inner()\nheld = Kept\n"
        ),
    ),
    {
        "id": "x-early-held-and-used-in-time",
        "note": "main holds the base before the models are there, and uses it after that: they stay",
        "files": {
            "main.py": (
                "from db import TABLES as T, tables as all_tables\nfrom settings import *\nimport one, two\n"
                "def observe(): return [all_tables(), NAMES, one.V, two.V, COUNT]\nCOUNT = len(NAMES)\n"
            ),
            "db.py": (
                "TABLES = {}\nclass Base:\n    def __init_subclass__(cls): TABLES[cls.__name__] = cls.__module__\n"
                "def tables(): return sorted(TABLES)\n"
            ),
            "settings.py": "NAMES = []\n",
            "models_one.py": "from db import Base\nfrom settings import NAMES\nclass One(Base): ...\nNAMES.append('one')\n",
            "models_two.py": "from db import Base\nfrom settings import NAMES\nclass Two(Base): ...\nNAMES.append('two')\n",
            "one.py": "from models_one import One\nV = [One.__name__, 0]\n",
            "two.py": "from models_two import Two\nV = [Two.__name__, 0]\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {"one.py": "from models_one import One\nV = [One.__name__, 1]\n"},
                "must_not_execute": ["settings.py", "two.py"],
            },
        ],
    },
    {
        "id": "x-early-held-and-used-too-soon",
        "note": "by a function of its own, by a loop, by another's function, under another name",
        "files": {
            "main.py": "import kept, user, more\ndef observe(): return [user.V, kept.ITEMS]\n",
            "kept.py": "ITEMS = []\ndef count(items): return len(items)\n",
            "more.py": "import other\nfrom kept import ITEMS\nITEMS.append('more')\n",
            "other.py": "from kept import ITEMS\nITEMS.append('other')\n",
            "user.py": "V = 0\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "user.py": "from kept import ITEMS as I\ndef seen(): return len(I)\nV = seen()\nimport other\n"
                }
            },
            {
                "write": {
                    "user.py": "from kept import ITEMS as I\ndef seen(): return len(I)\nimport other\nV = seen()\n"
                }
            },
            {
                "write": {
                    "user.py": (
                        "from kept import *\nimport importlib\nV = []\nfor name in ['json', 'other', 'html']:\n"
                        "    importlib.import_module(name)\n    V.append(len(ITEMS))\n"
                    )
                }
            },
            {"write": {"user.py": "from kept import ITEMS, count\nV = [1, count(ITEMS)]\nimport more\n"}},
            {"write": {"user.py": "from kept import ITEMS as I\nclass C: V = len(I)\nV = [2, C.V]\nimport more\n"}},
            {"write": {"user.py": "from kept import ITEMS as I\nV = [3, len(globals()['I'])]\n"}},
            {"write": {"user.py": "from kept import ITEMS as I\nV = [4, *(len(x) for x in [I])]\n"}},
            {
                "write": {
                    "user.py": "from kept import ITEMS as I\ndef seen(): return len(globals()['I'])\nV = [5, seen()]\n"
                }
            },
            {"write": {"user.py": "from kept import ITEMS as I\nV = I\n"}},
            {
                "name": "the name stands for something else",
                "write": {
                    "more.py": "import kept\nkept.count = lambda items: 'more'\n",
                    "user.py": "from kept import count\nclass V:\n    def __str__(self): return str(count([]))\nV = V()\n",
                },
            },
            {
                "write": {
                    "user.py": "from kept import count\nclass V:\n    def __str__(self): return str([count([])])\nV = V()\n"
                },
            },
        ],
    },
    {
        "id": "x-early-held-and-used-in-an-annotation",
        "note": "which is a text until a library evaluates it",
        "files": {
            "main.py": "import early, later\ndef observe(): return early.V\n",
            "kept.py": "class Kept: level = 0\n",
            "early.py": "V = 0\n",
            "later.py": "from kept import Kept\nKept.level = 3\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "early.py": (
                        "from __future__ import annotations\nimport typing\nfrom kept import Kept\n"
                        "def f(x: list[Kept], y: Kept): ...\nV = typing.get_type_hints(f)['y'].level\n"
                    )
                }
            },
            {
                "write": {
                    "early.py": (
                        "from __future__ import annotations\nimport typing\nfrom kept import Kept\n"
                        "class C:\n    x: list[Kept]\nV = [typing.get_type_hints(C)['x'].__args__[0].level]\n"
                    )
                }
            },
        ],
    },
    {
        "id": "x-early-function-reached-through-a-library",
        "note": "what the running module calls belongs to a module that a cold start would not have reached",
        "files": {
            "main.py": "import early, later\ndef observe(): return early.V\n",
            "early.py": "import html\nV = html.escape('<')\n",
            "later.py": "import html\n_old = html.escape\ndef escape(text): return 'later' + _old(text)\nhtml.escape = escape\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"early.py": "import html\nV = [1, html.escape('<')]\n"}},
            {"write": {"early.py": "import html\nV = [2, html.escape('<')]\n"}},
            {"write": {"main.py": "import later, early\ndef observe(): return early.V\n"}},
            {"write": {"main.py": "import early, later\ndef observe(): return early.V\n"}},
        ],
    },
    {
        "id": "x-early-module-that-nothing-has-imported-yet",
        "files": {
            "main.py": "import early, later\ndef observe(): return early.V\n",
            "early.py": "import sys\nV = getattr(sys.modules.get('later'), 'N', 0)\n",
            "later.py": "N = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"early.py": "import sys\nV = [1, getattr(sys.modules.get('later'), 'N', 0)]\n"}},
            {"write": {"early.py": "import sys\nV = [2, getattr(sys.modules.get('later'), 'N', 0)]\n"}},
        ],
    },
    {
        "id": "x-early-heirs",
        "note": "only who asks for the heirs of a class sees them",
        "files": {
            "main.py": "import base, plain, asks, heir\ndef observe(): return [plain.V, asks.V, base.heirs()]\n",
            "base.py": "class Base:\n    level = 1\ndef heirs(): return [cls.__name__ for cls in Base.__subclasses__()]\n",
            "plain.py": "from base import Base\nV = Base.level\n",
            "asks.py": "import base\nV = base.heirs()\n",
            "heir.py": "from base import Base\nclass Heir(Base): ...\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {"plain.py": "from base import Base\nV = [Base.level]\n"},
                "must_not_execute": ["base.py", "heir.py", "asks.py"],
            },
            {"write": {"asks.py": "import base\nV = [base.heirs()]\n"}},
            {"write": {"asks.py": "from base import Base\nV = len(Base.__subclasses__())\n"}},
        ],
    },
    {
        "id": "x-early-attribute-of-a-library",
        "files": {
            "main.py": "import early, later\ndef observe(): return early.V\n",
            "early.py": "import html\nV = getattr(html, 'x_early', 0)\n",
            "later.py": "import html\nhtml.x_early = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"early.py": "import html\nV = [1, getattr(html, 'x_early', 0)]\n"}},
            {"write": {"main.py": "import later, early\ndef observe(): return early.V\n"}},
        ],
    },
    {
        "id": "x-early-settings-of-the-process",
        "files": {
            "main.py": "import early, later\ndef observe(): return early.V\n",
            "early.py": "import logging, sys\nV = 0\n",
            "later.py": (
                "import logging, sys, socket\nlogging.getLogger('early').setLevel(35)\n"
                "logging.getLogger('early').addHandler(logging.NullHandler())\n"
                "sys.setrecursionlimit(1234)\nsocket.setdefaulttimeout(7)\n"
            ),
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"early.py": "import logging\nV = logging.getLogger('early').level\n"}},
            {"write": {"early.py": "import logging\nV = len(logging.getLogger('early').handlers)\n"}},
            {"write": {"early.py": "import sys\nV = sys.getrecursionlimit()\n"}},
            {"write": {"early.py": "import socket\nV = socket.getdefaulttimeout()\n"}},
        ],
    },
    {
        "id": "x-early-on-the-search-path",
        "note": "a module is found where only a later one lets it be looked for",
        "files": {
            "main.py": "import early, later, last\ndef observe(): return [early.V, last.V]\n",
            "early.py": "V = 0\n",
            "later.py": "import sys\nsys.path.append('vendor')\n",
            "last.py": "from extra import V\n",
            "vendor/extra.py": "V = 1\n",
            "vendor/other.py": "V = 2\n",
        },
        "entry": "main:observe",
        "steps": [
            {"name": "too early", "write": {"early.py": "from other import V\n"}},
            {"name": "not needed", "write": {"early.py": "try: from other import V\nexcept ImportError: V = 3\n"}},
            {"name": "in time", "write": {"last.py": "from other import V\n"}, "must_not_execute": ["later.py"]},
        ],
    },
    {
        "id": "x-set-in-a-library-and-read-by-a-kept-module",
        "files": {
            "main.py": "import sets, reads, idle\ndef observe(): return [reads.V, reads.W]\n",
            "sets.py": "import html\nhtml.x_set = 1\ndef f(): return 1\nhtml.x_call = f\n",
            "reads.py": "import html\nV, W = html.x_set, html.x_call()\n",
            "idle.py": "import html\nV = html.escape('<')\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "name": "an attribute",
                "write": {"sets.py": "import html\nhtml.x_set = 2\ndef f(): return 1\nhtml.x_call = f\n"},
                "must_not_execute": ["idle.py"],
            },
            {
                "name": "a function",
                "write": {"sets.py": "import html\nhtml.x_set = 2\ndef f(): return 2\nhtml.x_call = f\n"},
                "must_not_execute": ["idle.py"],
            },
        ],
    },
    {
        "id": "x-logger-read-by-a-kept-module",
        "note": "what a module makes of a logger is found there by one that asks, after it or before",
        "files": {
            "main.py": "import before, sets, after, idle\ndef observe(): return [before.V, after.V, after.W]\n",
            "before.py": "import logging\nV = [h.name for h in logging.getLogger('x.log').handlers]\n",
            "sets.py": "import logging\n",
            "after.py": (
                "import logging\nlog = logging.getLogger('x.log')\n"
                "V, W = [h.name for h in log.handlers], log.getEffectiveLevel()\n"
            ),
            "idle.py": "import logging\nlog = logging.getLogger('x.idle')\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "name": "a handler",
                "write": {
                    "sets.py": (
                        "import logging\nh = logging.NullHandler()\nh.name = 'one'\n"
                        "logging.getLogger('x.log').addHandler(h)\n"
                    )
                },
                "must_not_execute": ["idle.py"],
            },
            {
                "name": "asked before",
                "write": {"before.py": "import logging\nV = [1, *map(repr, logging.getLogger('x.log').handlers)]\n"},
                "must_not_execute": ["idle.py"],
            },
            {
                "name": "a level",
                "write": {"sets.py": "import logging\nlogging.getLogger('x.log').setLevel(10)\n"},
                "must_not_execute": ["idle.py"],
            },
            {"name": "nothing", "write": {"sets.py": ""}, "must_not_execute": ["idle.py"]},
        ],
    },
    {
        "id": "x-settings-of-libraries-asked-for-before-and-after",
        "note": "mimetypes and the decimal context: set by one module, found by others",
        "files": {
            "main.py": "import before, sets, after, idle\ndef observe(): return [before.V, after.V]\n",
            "before.py": "V = 0\n",
            "sets.py": (
                "import decimal, mimetypes\nmimetypes.add_type('a/b', '.xearly')\ndecimal.getcontext().prec = 7\n"
            ),
            "after.py": (
                "import mimetypes\nfrom decimal import getcontext\n"
                "V = [mimetypes.guess_type('x.xearly'), getcontext().prec]\n"
            ),
            "idle.py": "import decimal, mimetypes\nV = decimal.Decimal(1)\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "name": "asked before",
                "write": {"before.py": "import mimetypes\nV = mimetypes.guess_type('x.xearly')\n"},
                "must_not_execute": ["idle.py"],
            },
            {
                "name": "and of the other",
                "write": {"before.py": "import decimal\nV = decimal.getcontext().prec\n"},
                "must_not_execute": ["idle.py"],
            },
            {
                "name": "set otherwise",
                "write": {"sets.py": "import mimetypes\nmimetypes.add_type('a/c', '.xearly')\n"},
                "must_not_execute": ["idle.py"],
            },
        ],
    },
]
