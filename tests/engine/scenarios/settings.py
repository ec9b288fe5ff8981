"""What a module makes of the process or of a library is found there by those that ask after it, and not before."""


def asked(name: str, sets: str, asks: str, idle: str) -> dict[str, object]:
    """A scenario where one module sets a thing, and two ask for it: the one that runs first and the one that runs last."""
    return {
        "id": f"x-asked-before-and-after-{name}",
        "files": {
            "main.py": "import before, sets, after, idle\ndef observe(): return [before.V, after.V]\n",
            "before.py": "V = 0\n",
            "sets.py": sets.format("x_one"),
            "after.py": asks,
            "idle.py": idle,
        },
        "entry": "main:observe",
        "steps": [
            {"name": "asked before", "write": {"before.py": asks}, "must_not_execute": ["idle.py"]},
            {"name": "set otherwise", "write": {"sets.py": sets.format("x_two")}, "must_not_execute": ["idle.py"]},
            {"name": "asked before again", "write": {"before.py": f"{asks}W = 1\n"}, "must_not_execute": ["idle.py"]},
            {"name": "no longer set", "write": {"sets.py": "x = 1\n"}, "must_not_execute": ["idle.py"]},
        ],
    }


SCENARIOS = [
    asked(
        "warning-filters",
        "import warnings\nwarnings.filterwarnings('ignore', '{0}')\n",
        "import warnings\nV = [str(entry[1]) for entry in warnings.filters if 'x_' in str(entry[1])]\n",
        "V = 1\n",
    ),
    asked(
        "warnings-that-are-errors",
        "import warnings\nwarnings.filterwarnings('error', 'x_one|{0}')\n",
        "import warnings\nV = []\nfor text in 'x_one', 'x_two':\n    try: warnings.warn(text)\n    except UserWarning: V.append(text)\n",
        "V = 1\n",
    ),
    asked(
        "metrics",
        "from prometheus_client import Counter\nC = Counter('{0}', 'of a kind')\n",
        "from prometheus_client import REGISTRY\nV = [m.name for m in REGISTRY.collect() if m.name.startswith('x_')]\n",
        "from prometheus_client import Counter\n",
    ),
    asked(
        "metrics-as-text",
        "from prometheus_client import Counter\nC = Counter('{0}', 'of a kind')\n",
        "import prometheus_client\nV = [w for w in prometheus_client.generate_latest().decode().split() if w.startswith('x_')]\n",
        "import prometheus_client\n",
    ),
    asked(
        "entries-of-a-library",
        "import jinja2.defaults\njinja2.defaults.DEFAULT_FILTERS['{0}'] = lambda value: '{0}'\n",
        "from jinja2.defaults import DEFAULT_FILTERS\nV = [name for name in DEFAULT_FILTERS if name.startswith('x_')]\n",
        "import jinja2.defaults\n",
    ),
    asked(
        "same-entry-of-a-library",
        "import jinja2.defaults\njinja2.defaults.DEFAULT_FILTERS['x_f'] = lambda value: '{0}'\n",
        "from jinja2.defaults import DEFAULT_FILTERS\nV = DEFAULT_FILTERS['x_f'](1) if 'x_f' in DEFAULT_FILTERS else 0\n",
        "import jinja2.defaults\n",
    ),
    asked(
        "argv",
        "import sys\nsys.argv.append('{0}')\n",
        "import sys\nV = [word for word in sys.argv if word.startswith('x_')]\n",
        "import sys\nV = sys.version\n",
    ),
    asked(
        "signals",
        "import signal\ndef {0}(*_): ...\nsignal.signal(signal.SIGUSR2, {0})\n",
        "import signal\nV = getattr(signal.getsignal(signal.SIGUSR2), '__name__', 'none')\n",
        "V = 1\n",
    ),
    asked(
        "the-environment",
        "import os\nos.environ['X_ASKED'] = '{0}'\n",
        "import os\nV = os.environ.get('X_ASKED')\n",
        "import os\n",
    ),
]
