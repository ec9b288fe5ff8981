"""The generated app as data: modules made of blocks that refer to one another's exports."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from tests.property.source import Source

EARLY_STYLES = ("from", "from", "from-as", "module", "alias", "package", "relative", "star", "importlib", "getattr")
LATE_STYLES = ("lazy", "lazy-module", "bottom")
EVERYWHERE = frozenset({"const", "enum", "exc", "schema", "model"})
"""What may be used from any module inside a function: reading it calls nothing, so calls stay free of cycles."""


@dataclass
class Ref:
    """One use of another module's export: which, and in what style it is imported."""

    module: str
    export: str
    category: str
    style: str


@dataclass
class Block:
    """A few lines of a module: a kind, its parameters and what it refers to."""

    kind: str
    name: str
    values: dict[str, object]
    refs: dict[str, Ref]
    born: str = ""
    """The first name: what the block is known by whatever it is renamed to."""

    def __post_init__(self) -> None:
        self.born = self.born or self.name

    def drop(self, gone: set[tuple[str, str]]) -> bool:
        """Remove references to these exports; whether the block cannot do without one of them."""
        hit = [slot for slot, ref in self.refs.items() if (ref.module, ref.export) in gone]
        for slot in hit:
            del self.refs[slot]
        return any(KINDS[self.kind].slots[slot].required for slot in hit)


@dataclass
class Module:
    """One file; imports at module level only point to modules of lower rank."""

    ident: str
    dotted: str
    rank: float
    package: bool = False
    direct: bool = True
    note: int = 0
    flipped: bool = False
    blocks: list[Block] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where it lies, relative to the project."""
        return self.dotted.replace(".", "/") + ("/__init__.py" if self.package else ".py")


@dataclass
class Project:
    """All that is on disk: modules, main.py, other files, and saves that went wrong."""

    modules: dict[str, Module] = field(default_factory=dict)
    graves: dict[str, str] = field(default_factory=dict)
    main: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    serial: int = 0

    def fresh(self, prefix: str) -> str:
        """A name that nothing has had before."""
        self.serial += 1
        return f"{prefix}{self.serial}"

    def dotted(self, ident: str) -> str:
        """The import path of a module, also of one that is gone."""
        found = self.modules.get(ident)
        return found.dotted if found else self.graves[ident]

    def forget(self, gone: set[tuple[str, str]]) -> None:
        """Remove every reference to these (module, export), and the blocks that cannot do without."""
        while gone:
            lost: set[tuple[str, str]] = set()
            for module in self.modules.values():
                for block in list(module.blocks):
                    if block.drop(gone):
                        module.blocks.remove(block)
                        lost |= {(module.ident, e) for e in KINDS[block.kind].exports(block)}
            gone = lost

    def exports(self) -> Iterator[tuple[Module, Block, str, str]]:
        """Every (module, block, export, category)."""
        for module in self.modules.values():
            for block in module.blocks:
                for export, category in KINDS[block.kind].exports(block).items():
                    yield module, block, export, category


@dataclass(frozen=True)
class Param:
    """A value that an edit can change; `body` where it only shows in the body of a function."""

    pick: Callable[[random.Random], object]
    body: bool = False


@dataclass(frozen=True)
class Slot:
    """A place for a reference: what fits, whether the block needs it, and whether it is imported late."""

    categories: frozenset[str]
    required: bool = False
    late: bool = False


class Kind:
    """A kind of block. Subclasses say what varies, what is referred to, what is exported, and the text."""

    name: ClassVar[str]
    weight: ClassVar[int] = 2
    homes: ClassVar[tuple[str, ...]] = ()
    params: ClassVar[dict[str, Param]] = {}
    slots: ClassVar[dict[str, Slot]] = {}

    def __init_subclass__(cls) -> None:
        KINDS[cls.name] = cls()

    def exports(self, block: Block) -> dict[str, str]:
        """Exported name -> category."""
        return {}

    def render(self, block: Block, source: "Source") -> None:
        """Write the block."""
        raise NotImplementedError

    def make(self, rng: random.Random, project: Project, module: Module) -> Block | None:
        """A new block for this module, or None where the project has nothing that it needs."""
        refs: dict[str, Ref] = {}
        for slot_name, slot in self.slots.items():
            ref = find_ref(rng, project, module, slot)
            if ref is None and slot.required:
                return None
            if ref is not None and (slot.required or rng.random() < 0.5):
                refs[slot_name] = ref
        values = {key: param.pick(rng) for key, param in self.params.items()}
        return Block(self.name, project.fresh(self.name[0]), values, refs)


KINDS: dict[str, Kind] = {}


def find_ref(rng: random.Random, project: Project, module: Module, slot: Slot) -> Ref | None:
    """Something that fits the slot, from a module that this one may import."""
    found = [
        (other, export, category)
        for other, _, export, category in project.exports()
        if category in slot.categories
        and other is not module
        and (other.rank < module.rank or (slot.late and category in EVERYWHERE))
    ]
    if not found:
        return None
    other, export, category = rng.choice(found)
    return Ref(other.ident, export, category, rng.choice(LATE_STYLES if slot.late else EARLY_STYLES))


def number(top: int = 50) -> Callable[[random.Random], object]:
    """Pick a small number."""
    return lambda rng: rng.randrange(top)


def one_of(*choices: object) -> Callable[[random.Random], object]:
    """Pick one of these."""
    return lambda rng: rng.choice(choices)
