"""A failed edit leaves what was kept as it was, wherever the failing code had got at it."""

HIDDEN = """
def make():
    count, table = [0], []
    class Face:
        @staticmethod
        def on(value): count[0] += value
        @classmethod
        def put(cls, value): table.append(value)
        @property
        def more(self): return count.append
        @more.setter
        def more(self, value): table.append(value)
        def __call__(self, value): count.append(value)
        def __init_subclass__(cls): table.append(cls.__name__)
        @staticmethod
        def shown(): return count, table
    return Face
Face = make()
face = Face()
"""
COUNTER = """
def make():
    total, last = 0, None
    def add(value):
        nonlocal total, last
        total, last = total + value, [value]
        try:
            first
        except NameError:
            first = value
        set_first(value)
    def set_first(value):
        nonlocal first
        first = value
    def shown():
        try:
            return total, last, first
        except NameError:
            return total, last, 'no first'
    if total:
        first = 0
    return add, shown
add, shown = make()
"""
LIFESPAN = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from svc import pool, service
import svc
STATE = {state}
@asynccontextmanager
async def lifespan(app):
    {before}
    service.start()
    {after}
    yield
    service.stop()
app = FastAPI(lifespan=lifespan)
@app.get('/')
def i(): return [service.running, len(pool), svc.owner, STATE]
"""
SERVICE = """
owner, pool = None, []
class Service:
    running = 0
    def start(self):
        global owner
        if self.running or owner or pool: raise RuntimeError('it is running')
        self.running, owner = self.running + 1, 'me'
        pool.append(self)
    def stop(self):
        global owner
        self.running, owner = self.running - 1, None
        pool.clear()
service = Service()
"""


def kept(name: str, module: str, uses: dict[str, str], shown: str) -> dict[str, object]:
    """A scenario where `use` does something to the kept module `reg`: fails while it does, then does it, then goes."""
    steps = []
    for title, use in uses.items():
        steps += [
            {"name": f"{title}, broken", "write": {"use.py": f"{use}1/0\n"}},
            {"name": f"{title}, broken again", "write": {"use.py": f"{use}0/0\n"}},
            {"name": title, "write": {"use.py": use}},
            {"name": f"no {title}", "write": {"use.py": f"x = {title!r}\n"}},
        ]
    return {
        "id": f"x-failed-edit-and-{name}",
        "files": {
            "main.py": f"import reg\nimport use\nfrom reg import *\ndef observe(): return {shown}\n",
            "reg.py": module,
            "use.py": "x = 1\n",
        },
        "entry": "main:observe",
        "steps": steps,
    }


SCENARIOS = [
    kept(
        "closures-of-a-class",
        HIDDEN,
        {
            "static method": "from reg import Face\nFace.on(2)\n",
            "class method": "from reg import Face\nFace.put(3)\n",
            "property": "from reg import face\nface.more(4)\n",
            "setter": "from reg import face\nface.more = 5\n",
            "special method": "from reg import face\nface(6)\n",
            "implicit class method": "from reg import Face\nclass Sub(Face): ...\n",
        },
        "face.shown()",
    ),
    kept(
        "descriptors-of-our-own",
        HIDDEN.replace("@property", "@prop").replace("def make():", "class prop(property): ...\ndef make():", 1),
        {
            "property": "from reg import face\nface.more(4)\n",
            "setter": "from reg import face\nface.more = 5\n",
        },
        "face.shown()",
    ),
    kept(
        "variables-of-a-closure",
        COUNTER,
        {"call": "from reg import add\nadd(2)\n", "two": "from reg import add\nadd(3)\nadd(4)\n"},
        "shown()",
    ),
    kept(
        "functions",
        "def f(a=1, *, b=2): return a, b, sorted(vars(f).items())\nf.kept = 1\n",
        {
            "defaults": "from reg import f\nf.__defaults__ = (3,)\n",
            "keyword defaults": "from reg import f\nf.__kwdefaults__['b'] = 4\n",
            "attribute": "from reg import f\nf.other = 5\n",
            "kept attribute": "from reg import f\nf.kept = 6\n",
        },
        "f()",
    ),
    kept(
        "slots",
        "class Slots:\n    __slots__ = ('a', 'b')\ns = Slots()\ns.a = 1\n",
        {
            "new": "from reg import s\ns.b = 2\n",
            "set": "from reg import s\ns.a = 3\n",
            "deleted": "from reg import s\ndel s.a\n",
        },
        "[getattr(s, name, None) for name in 'ab']",
    ),
    kept(
        "an-object-of-a-library",
        "from fastapi import FastAPI\nfrom types import SimpleNamespace\nfrom string import Template\n"
        "app, bag, text = FastAPI(title='t'), SimpleNamespace(), Template('x')\n",
        {
            "new attribute": "from reg import app\napp.flavour = 'one'\n",
            "attribute": "from reg import app\napp.title = 'two'\n",
            "bag": "from reg import bag\nbag.x = 1\n",
            "plain object": "from reg import text\ntext.template = 'y'\n",
            "deleted": "from reg import app\ndel app.title\n",
            "state": "from reg import app\napp.state.x = 1\n",
        },
        "[getattr(app, 'flavour', 0), getattr(app, 'title', 0), vars(bag), text.template, app.state._state]",
    ),
    kept(
        "what-is-of-c",
        "import itertools\nfrom contextvars import ContextVar\nvar, raw = ContextVar('v'), bytearray(b'1')\nvar.set(1)\n",
        {
            "variable": "from reg import var\nvar.set(2)\n",
            "bytes": "from reg import raw\nraw += b'2'\n",
        },
        "[var.get(0), raw.decode()]",
    ),
    kept(
        "containers-that-know-more",
        "from collections import OrderedDict, defaultdict\nfrom functools import singledispatch\n"
        "order, lists, plain = OrderedDict(a=1, b=2), defaultdict(list), {'a': None, 'b': None}\n"
        "@singledispatch\ndef single(x): return 'object'\n",
        {
            "order": "from reg import order\norder.move_to_end('a')\n",
            "entry": "from reg import order\norder['c'] = 3\n",
            "default": "from reg import lists\nlists['a'].append(1)\n",
            "same values": "from reg import plain\nplain['c'] = plain.pop('a')\n",
            "dispatch": "from reg import single\n@single.register\ndef f(x: int): return 'int'\n",
        },
        "[list(order), list(reversed(order)), dict(lists), list(plain), single(1)]",
    ),
    kept(
        "attributes-of-a-module",
        "import json\nimport reg as own\nV = 1\n",
        {
            "set": "import reg\nreg.V = 2\n",
            "new": "import reg\nreg.W = 2\n",
            "deleted": "import reg\ndel reg.V\n",
            "module": "import reg, html\nreg.json = html\n",
            "no module": "import reg\ndel reg.json\n",
            "special": "import reg\nreg.__all__ = ['V']\nreg.__getattr__ = lambda name: name\n",
        },
        "[*(getattr(reg, name, None) for name in ('V', 'W', '__all__', 'x')), getattr(reg.json, '__name__', reg.json)] "
        "if hasattr(reg, 'json') else 'no json'",
    ),
    kept(
        "special-methods",
        "class A:\n    def __len__(self): return 1\na = A()\n",
        {
            "new": "from reg import A\nA.__bool__ = lambda self: False\n",
            "set": "from reg import A\nA.__len__ = lambda self: 2\n",
            "deleted": "from reg import A\ndel A.__len__\n",
            "of the class": "from reg import A\nA.__class_getitem__ = classmethod(lambda cls, item: item)\n",
        },
        "[bool(a), len(a) if hasattr(A, '__len__') else None, A[1] if hasattr(A, '__class_getitem__') else None]",
    ),
    kept(
        "private-attributes-of-a-model",
        "import pydantic\nclass S(pydantic.BaseModel):\n    a: int = 1\n    _p: int = pydantic.PrivateAttr(0)\ns = S()\n"
        "class P:\n    __slots__ = ('__x',)\n    def put(self, x): self.__x = x\n    def got(self): return self.__x\n"
        "p = P()\np.put(0)\n",
        {
            "private": "from reg import s\ns._p = 5\n",
            "field": "from reg import s\ns.a = 6\n",
            "private slot": "from reg import p\np.put(7)\n",
        },
        "[s.a, s._p, sorted(s.model_fields_set), p.got()]",
    ),
    {
        "id": "x-failed-lifespan-and-what-lifespans-do-to-kept-modules",
        "note": "what a lifespan did is its own to undo: the service that stopped is not running because it once was",
        "files": {"main.py": LIFESPAN.format(state=1, before="", after=""), "svc.py": SERVICE},
        "observe": ["GET /"],
        "steps": [
            {"name": "fails at once", "write": {"main.py": LIFESPAN.format(state=2, before="1/0", after="")}},
            {"name": "mended", "write": {"main.py": LIFESPAN.format(state=3, before="", after="")}},
            {
                "name": "fails and stops",
                "write": {"main.py": LIFESPAN.format(state=4, before="", after="service.stop(); 1/0")},
            },
            {"name": "mended again", "write": {"main.py": LIFESPAN.format(state=5, before="", after="")}},
        ],
    },
]
