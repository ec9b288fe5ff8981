"""The order in which modules touch the process: that of a cold start, whichever of them run again."""

HANDLERS = (
    "import logging, first, second, third\ndef observe(): return [h.name for h in logging.getLogger('o').handlers]\n"
)
HANDLER = "import logging\nh = logging.NullHandler()\nh.name = {0!r}\nlogging.getLogger('o').addHandler(h)\n"
KEPT = "import logging\nh = logging.NullHandler()\nh.name = '{0}'\nlogging.getLogger('o').addHandler(h)\n"
LISTENER = (
    "import sqlalchemy as sa\n"
    "@sa.event.listens_for(sa.engine.Engine, 'before_cursor_execute', retval=True)\n"
    "def add(conn, cursor, statement, parameters, context, executemany):\n"
    "    return statement.replace('select ', 'select {0} + '), parameters\n"
)
SETTINGS = "import os\ndef shown(): return sorted(name for name in NAMES if name.startswith('ORDER_'))\n"

SCENARIOS = [
    {
        "id": "x-order-of-handlers",
        "note": "the handlers of kept modules stay behind those of one that runs again, and the modules are kept",
        "files": {
            "main.py": HANDLERS,
            "first.py": HANDLER.format("first"),
            "second.py": KEPT.format("second"),
            "third.py": KEPT.format("third"),
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {"first.py": HANDLER.format("first again")},
                "must_not_execute": ["second.py", "third.py"],
            },
            {"name": "broken", "write": {"first.py": HANDLER.format("broken") + "1/0\n"}},
            {
                "name": "broken after the others",
                "write": {"first.py": HANDLER.format("1"), "main.py": HANDLERS + "1/0\n"},
            },
            {"name": "mended", "write": {"main.py": HANDLERS}, "must_not_execute": ["second.py", "third.py"]},
            {
                "name": "imports change places",
                "write": {"main.py": HANDLERS.replace("first, second, third", "third, second, first")},
                "must_not_execute": ["first.py", "second.py", "third.py"],
            },
            {"write": {"second.py": HANDLER.format("second again")}, "must_not_execute": ["first.py", "third.py"]},
            {"name": "filters too", "write": {"first.py": "import logging\nlogging.getLogger('o').addFilter(len)\n"}},
        ],
    },
    {
        "id": "x-order-of-handlers-by-way-of-a-kept-module",
        "note": "what a kept module imports comes where that module is reached, before or after its own part",
        "files": {
            "main.py": HANDLERS.replace("third", "outer"),
            "first.py": HANDLER.format("first"),
            "second.py": KEPT.format("second"),
            "outer.py": "import inner\n" + KEPT.format("outer") + "import late\n",
            "inner.py": "import second\n" + KEPT.format("inner"),
            "late.py": KEPT.format("late"),
        },
        "entry": "main:observe",
        "steps": [
            {
                "name": "second is reached through inner",
                "write": {"main.py": HANDLERS.replace("second, third", "outer")},
                "must_not_execute": ["second.py", "outer.py", "inner.py", "late.py"],
            },
            {"write": {"first.py": "import late\n" + HANDLER.format("first")}, "must_not_execute": ["late.py"]},
            {"write": {"first.py": HANDLER.format("first")}, "must_not_execute": ["late.py", "outer.py"]},
        ],
    },
    {
        "id": "x-order-on-the-search-path",
        "files": {
            "main.py": "import first, second, third\ndef observe(): return [p for p in third.path if p.startswith('/order')]\n",
            "first.py": "import sys\nsys.path.append('/order/1')\n",
            "second.py": "import sys\nsys.path.append('/order/2')\nsys.path.insert(0, '/order/0')\n",
            "third.py": "import sys\nsys.path.append('/order/1')\npath = sys.path\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"first.py": "import sys\nsys.path.append('/order/3')\n"}, "must_not_execute": ["second.py"]},
            {"write": {"first.py": "import sys\nsys.path.insert(0, '/order/3')\n"}, "must_not_execute": ["second.py"]},
            {"write": {"first.py": "import sys\nsys.path.append('/order/1')\n"}},
            {"name": "gone", "write": {"first.py": "import sys\n"}},
            {"name": "all gone", "write": {"second.py": "import sys\n", "third.py": "import sys\npath = sys.path\n"}},
        ],
    },
    {
        "id": "x-order-of-metrics",
        "files": {
            "main.py": (
                "import prometheus_client, first, second\n"
                "def observe(): return [m.name for m in prometheus_client.REGISTRY.collect() if 'order' in m.name]\n"
            ),
            "first.py": "import prometheus_client\nprometheus_client.Gauge('first_order', '1')\n",
            "second.py": "import prometheus_client\nprometheus_client.Gauge('second_order', '1')\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {"first.py": "import prometheus_client\nprometheus_client.Gauge('first_order', '2')\n"},
                "must_not_execute": ["second.py"],
            },
            {
                "name": "broken",
                "write": {"first.py": "import prometheus_client\nprometheus_client.Gauge('a_order', '')\n1/0\n"},
            },
            {
                "name": "mended",
                "write": {"first.py": "import prometheus_client\nprometheus_client.Gauge('a_order', '2')\n"},
            },
            {
                "name": "changed places",
                "write": {
                    "main.py": (
                        "import prometheus_client, second, first\n"
                        "def observe(): return [m.name for m in prometheus_client.REGISTRY.collect() if 'order' in m.name]\n"
                    )
                },
                "must_not_execute": ["first.py", "second.py"],
            },
        ],
    },
    {
        "id": "x-order-of-listeners",
        "files": {
            "main.py": (
                "import sqlalchemy as sa\nimport first, second\nengine = sa.create_engine('sqlite://')\n"
                "def observe():\n    with engine.connect() as c: return c.execute(sa.text('select 1')).scalar_one()\n"
            ),
            "first.py": LISTENER.format("10 *"),
            "second.py": LISTENER.format("3 - 2 *"),
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"first.py": LISTENER.format("20 *")}, "must_not_execute": ["second.py"]},
            {"write": {"second.py": LISTENER.format("5 - 2 *")}, "must_not_execute": ["first.py"]},
        ],
    },
    {
        "id": "x-variable-asked-for-before-it-is-set",
        "note": "a module that runs again finds the environment as a cold start would leave it up to then",
        "files": {
            "main.py": "import early, later, last\ndef observe(): return [early.A, early.ALL, last.A]\n",
            "early.py": "import os\nA = os.getenv('ORDER_A')\nALL = [k for k in os.environ if k.startswith('ORDER_')]\n",
            "later.py": "import os\nos.environ['ORDER_A'] = '1'\nos.environ['ORDER_B'] = '1'\n",
            "last.py": "import os\nA = os.getenv('ORDER_A')\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "early.py": "import os\nA = [os.getenv('ORDER_A')]\nALL = [k for k in os.environ if k.startswith('ORDER_')]\n"
                },
                "must_not_execute": ["later.py", "last.py"],
            },
            {
                "name": "broken",
                "write": {"early.py": "import os\nA = ALL = [os.environ['ORDER_A']]\n"},
                "must_not_execute": ["later.py"],
            },
            {
                "name": "only the names",
                "write": {"early.py": "import os\nA = 0\nALL = [k for k in os.environ if k.startswith('ORDER_')]\n"},
                "must_not_execute": ["later.py", "last.py"],
            },
            {
                "write": {"last.py": "import os\nA = [os.getenv('ORDER_A')]\n"},
                "must_not_execute": ["later.py", "early.py"],
            },
        ],
    },
    {
        "id": "x-variable-set-and-asked-for-by-kept-modules",
        "note": "neither changes, but the order in which main imports them",
        "files": {
            "main.py": "import other, asks, sets\ndef observe(): return asks.A\n",
            "asks.py": "import os\nA = os.getenv('ORDER_E', 'none')\n",
            "sets.py": "import os\nos.environ['ORDER_E'] = '1'\n",
            "other.py": "N = 1\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"main.py": "import other, sets, asks\ndef observe(): return asks.A\n"}},
            {"write": {"other.py": "N = 2\n"}, "must_not_execute": ["asks.py", "sets.py"]},
            {"write": {"main.py": "import other, asks, sets\ndef observe(): return asks.A\n"}},
            {"write": {"other.py": "N = 3\n"}, "must_not_execute": ["asks.py", "sets.py"]},
            {"name": "by way of another", "write": {"other.py": "import sets\n"}},
            {"name": "no more", "write": {"other.py": "N = 4\n"}},
        ],
    },
    {
        "id": "x-variable-that-a-listing-would-show",
        "files": {
            "main.py": "import early, lists\ndef observe(): return lists.shown()\n",
            "early.py": "import os\n",
            "lists.py": SETTINGS + "NAMES = set(os.environ)\n",
        },
        "entry": "main:observe",
        "steps": [
            {"name": "set", "write": {"early.py": "import os\nos.environ['ORDER_C'] = '1'\n"}},
            {"name": "gone", "write": {"early.py": "import os\n"}},
        ],
    },
    {
        "id": "x-variable-set-by-a-module-and-by-one-that-it-imports",
        "note": "undone in the order in which it was done, not in that of the modules",
        "files": {
            "main.py": "import os, outer\ndef observe(): return os.environ.get('ORDER_D')\n",
            "outer.py": "import os, inner\nos.environ['ORDER_D'] = 'outer'\n",
            "inner.py": "import os\nos.environ['ORDER_D'] = 'inner'\n",
        },
        "entry": "main:observe",
        "steps": [
            {"name": "inner no more", "write": {"inner.py": "import os\n", "outer.py": "import os, inner\n"}},
            {"name": "again", "write": {"inner.py": "import os\nos.environ['ORDER_D'] = 'inner'\n"}},
            {"name": "both", "write": {"outer.py": "import os, inner\nos.environ['ORDER_D'] = 'outer'\n"}},
            {"name": "broken", "write": {"inner.py": "import os\nos.environ['ORDER_D'] = 'broken'\n1/0\n"}},
            {"name": "mended", "write": {"inner.py": "import os\nos.environ['ORDER_D'] = 'inner'\n"}},
        ],
    },
    {
        "id": "x-state-filled-in-an-earlier-round",
        "note": "what the last round keeps has been filled by a later module in the round before",
        "files": {
            "main.py": "import reg, k, early, more, late\ndef observe(): return [early.SEEN, k.X]\n",
            "reg.py": "_items = []\ndef add(n): _items.append(n)\ndef all_(): return list(_items)\n",
            "k.py": "import os\nX = os.getenv('ORDER_X')\n",
            "early.py": "import reg, k\nSEEN = reg.all_()\n",
            "more.py": "N = 1\n",
            "late.py": "import os, reg\nreg.add('late')\nif len(reg.all_()) > 1: os.environ['ORDER_X'] = '1'\n",
        },
        "entry": "main:observe",
        "steps": [
            {"write": {"more.py": "import reg\nreg.add('more')\n"}},
            {"write": {"more.py": "N = 2\n"}},
        ],
    },
    {
        "id": "x-function-wrapped-before-a-kept-wrapper",
        "note": "a module begins to write what a kept one has written: they run again together",
        "files": {
            "main.py": "import html, first, second\ndef observe(): return html.escape('x')\n",
            "first.py": "import html\n",
            "second.py": (
                "import html\n_old = html.escape\ndef _new(s, quote=True): return 'second(' + _old(s) + ')'\nhtml.escape = _new\n"
            ),
        },
        "entry": "main:observe",
        "steps": [
            {
                "write": {
                    "first.py": (
                        "import html\n_was = html.escape\ndef _my(s, quote=True): return 'first(' + _was(s) + ')'\n"
                        "html.escape = _my\n"
                    )
                }
            },
            {"name": "gone", "write": {"first.py": "import html\n"}},
        ],
    },
    {
        "id": "x-logger-set-to-what-it-is-and-the-order-turned",
        "files": {
            "main.py": "import one\nimport two\nimport three\nimport logging\ndef observe(): return logging.getLogger('set.twice').propagate\n",
            "one.py": "import logging\nlogging.getLogger('set.twice').propagate = False\n",
            "two.py": "import logging\nlogging.getLogger('set.twice').propagate = False\n",
            "three.py": "import logging\nlogging.getLogger('set.twice').propagate = True\n",
        },
        "entry": "main:observe",
        "steps": [
            {
                "name": "turned",
                "write": {
                    "main.py": "import one\nimport three\nimport two\nimport logging\ndef observe(): return logging.getLogger('set.twice').propagate\n"
                },
            },
        ],
    },
    {
        "id": "x-logger-set-twice-and-the-first-gone",
        "files": {
            "main.py": "import one\nimport two\nimport logging\ndef observe(): return logging.getLogger('set.twice').level\n",
            "one.py": "import logging\nlogging.getLogger('set.twice').setLevel(35)\n",
            "two.py": "import logging\nlogging.getLogger('set.twice').setLevel(35)\n",
        },
        "entry": "main:observe",
        "steps": [
            {"name": "gone", "write": {"one.py": "import logging\n"}},
            {"name": "both", "write": {"two.py": "import logging\n"}},
        ],
    },
]
