"""Pieces of modules whose numbers are edited: text, then expressions that show what it does."""

PIECES = '''
=====
def plain$i(x):
    total = [n * $b0 for n in range(x)]
    return sum(total) + (lambda y: y + $b1)(x) + sum(v for v in (x, $b2))
-----
plain$i(3)
=====
def ran$i(x):
    return x + $x0
T$i = ran$i(1)
-----
T$i
ran$i(5)
=====
class Base$i:
    def m(self): return $b0
    @property
    def p(self): return self.m() + $b1
    @classmethod
    def c(cls): return (cls.__name__, $b2)
    @staticmethod
    def s(x): return x * $b3
class Sub$i(Base$i):
    limit = $x0
    def m(self):
        self.seen = $b4
        return super().m() + self.seen + __class__.limit
-----
(Sub$i().m(), Sub$i().p, Sub$i.c(), Sub$i.s(2), Base$i().p)
=====
def make$i(n):
    n = n + $x0
    def inner(x):
        def deep():
            return n * $b0
        return x * n + $b1 + deep()
    return inner
A$i = make$i(2)
B$i = [make$i(3), {"k": make$i(4)}]
-----
(A$i(1), B$i[0](2), B$i[1]["k"](3), make$i(5)(1))
=====
def deco$i(fn):
    extra = $x0
    @functools.wraps(fn)
    def wrapper(*args):
        return [fn(*args), $b0, extra]
    return wrapper
@deco$i
def decorated$i(x):
    """A docstring."""
    return x - $b1
-----
(decorated$i(9), decorated$i.__wrapped__(9))
=====
def rate$i():
    return $b0
@functools.cache
def price$i(n):
    return rate$i() * n + $b1
@functools.lru_cache(maxsize=3)
def other$i(n):
    return price$i(n) - 1
-----
(price$i(2), other$i(3))
=====
@functools.cache
def setting$i():
    return {"value": $x0}
FIRST$i = setting$i()
def show$i():
    return setting$i() is FIRST$i, FIRST$i["value"] + $b0
-----
show$i()
=====
def source$i(x): return x + $b0
def user$i(x, fn=source$i, key=lambda v: v * $b1):
    return fn(x) + key(x) + $b2
K$i = user$i.__defaults__
-----
(user$i(4), K$i[1](2))
=====
def three$i(x=$x0): return x + $b0
P$i = functools.partial(three$i, 7)
class Box$i:
    def get(self): return $b1
M$i = Box$i().get
-----
(P$i(), M$i(), three$i())
=====
def ids$i():
    while True:
        yield $x0
IDS$i = ids$i()
-----
next(IDS$i)
=====
async def one$i(x):
    await asyncio.sleep(0)
    return x + $b0
async def many$i(n):
    for k in range(n):
        yield await one$i(k) * $b1
@contextlib.contextmanager
def managed$i():
    yield $b2
def use$i():
    with managed$i() as value:
        return value
-----
(run(one$i(1)), collect(many$i(3)), use$i())
=====
@functools.singledispatch
def show_any$i(x): return "any", $b0
@show_any$i.register
def _(x: int): return "int", $b1
@show_any$i.register
def _(x: str): return "str", $b2
-----
(show_any$i(1), show_any$i("s"), show_any$i(1.5))
=====
if len("x" * $x0) % 2:
    def choice$i(): return $b0
else:
    def choice$i(): return -$b1
-----
choice$i()
=====
def local_class$i():
    class Inner:
        value = $b0
        def m(self): return self.value + $b1
    return Inner
def first_class$i():
    class Other:
        value = $x0
        def m(self): return self.value + $b2
    return Other
O$i = first_class$i()
-----
(local_class$i()().m(), O$i().m(), O$i.value)
=====
def generic$i[T](x: T) -> list[T]:
    return [x] * ($b0 % 7)
class Generic$i[T]:
    def first(self, x: T) -> T:
        self.last = x
        return self.last or $b1
type Alias$i = list[int]
-----
(generic$i(1), Generic$i().first(0))
=====
class Secret$i:
    def __init__(self): self.__x = $b0
    def __hidden(self): return self.__x + $b1
    def open(self): return self.__hidden()
-----
Secret$i().open()
=====
class Lazy$i:
    @functools.cached_property
    def value(self): return $b0
L$i = Lazy$i()
-----
(Lazy$i().value,)
=====
class Keeper$i:
    @functools.cached_property
    def value(self): return $b0
KEEPER$i = Keeper$i()
-----
KEEPER$i.value
=====
@dataclasses.dataclass
class Point$i:
    x: int
    y: int = $x0
    def size(self): return self.x * $b0
    @property
    def area(self): return self.x * self.y
    @area.setter
    def area(self, value): self.x = value + $b1
    def set(self, value):
        self.area = value
        return self.x
-----
(Point$i(2), Point$i(3).size(), Point$i(1).set(5))
=====
def counter$i():
    n = $b0
    def add():
        nonlocal n
        n += 1
        return n
    return [add(), add()]
-----
counter$i()
=====
def documented$i():
    """Documentation number $b0."""
    return 1
-----
documented$i.__doc__
=====
def described$i():
    """Description number $x0."""
D$i = {"get": described$i}
-----
D$i["get"].__doc__
=====
def gone$i(): return $b0
del gone$i
def twice$i(): return $b1
def twice$i(): return $b2
-----
twice$i()
=====
def body$i(x):
    try:
        match x:
            case {"k": k}: return k + $b0
            case [a, *_] if (b := a + $b1): return b
        return f"{x!r:>{10}} {$b2}"
    finally:
        (lambda: $b3)()
-----
(body$i({"k": 1}), body$i([1]), body$i(3))
=====
REG$i = {}
def register$i(fn): REG$i[fn.__name__] = fn
@register$i
def registered$i(): return $b0
-----
REG$i["registered$i"]()
=====
TABLE$i = {"a": lambda x: x + $b0, "b": lambda x: x + $b1, "c": $x0}
HIDDEN$i = iter([lambda: $b2])
class Holder$i:
    __slots__ = ("call",)
H$i = Holder$i()
H$i.call = lambda: [$b3, *(q for q in range(3))]
-----
(TABLE$i["a"](1), TABLE$i["b"](1), TABLE$i["c"], H$i.call())
=====
@typing.overload
def over$i(x: int) -> int: ...
@typing.overload
def over$i(x: str) -> str: ...
def over$i(x): return x * ($b0 % 5)
N$i = $x0
-----
(over$i("a"), over$i(2), N$i)
=====
def outer$i(flag):
    if flag:
        return [helper$i(n) for n in range($b0 % 9)]
    return None
def helper$i(n):
    return n, $b1
async def started$i():
    await asyncio.sleep(0)
    return $b2
PENDING$i = started$i()
PENDING$i.close()
-----
outer$i(True)
'''
