"""Turns a seed into an edit history in the conformance suite's data format."""

import copy
import random
from dataclasses import dataclass, field

from tests.property.edits import apply
from tests.property.model import Project
from tests.property.project import create, paths, render

type Tree = dict[str, bytes]

SHOWN = ["GET /state", "GET /state", "GET /life", "GET /page", "GET /openapi.json"]
"""`/state` twice, of which the second answer counts: the first may configure mappers, and a kept app has had it before."""


@dataclass
class History:
    """A project and what it becomes, save by save."""

    name: str
    projects: list[Project]
    labels: list[str]
    trees: list[Tree] = field(default_factory=list)
    """The files of each state, where they are no longer what the projects give."""
    observe: list[object] = field(default_factory=lambda: list[object](SHOWN))

    def scenario(self) -> dict[str, object]:
        """The suite's form of it."""
        steps = []
        trees = self.trees or [render(project) for project in self.projects]
        for label, before, after in zip(self.labels, trees[:-1], trees[1:], strict=True):
            step: dict[str, object] = {
                "name": label,
                "write": {p: c for p, c in after.items() if before.get(p) != c},
                "delete": [p for p in before if p not in after],
            }
            if not step["write"] and not step["delete"]:
                step["touch"] = [max(after, key=lambda p: (p.endswith(".py"), len(after[p])))]
            steps.append(step)
        return {
            "id": self.name,
            "tags": ["property"],
            "entry": "main:api",
            "observe": self.observe,
            "files": trees[0],
            "steps": steps,
            "timeout": 60.0,
        }


def history(seed: int, edits: int = 6, modules: int = 22) -> History:
    """The edit history of this seed."""
    rng = random.Random(seed)
    project = create(rng, modules)
    past = [copy.deepcopy(project)]
    asked = set(paths(project))
    labels: list[str] = []
    for _ in range(edits):
        chance = rng.random()
        if chance < 0.1 and len(past) > 1:
            serial, project = project.serial, copy.deepcopy(past[-2])
            label = "undo"
        elif chance < 0.13:
            serial, project = project.serial, copy.deepcopy(past[0])
            label = "back to the start"
        elif chance < 0.16:
            serial, label = project.serial, "touch"
        else:
            label = apply(rng, project)
            serial = project.serial
        project.serial = serial
        past.append(copy.deepcopy(project))
        labels.append(label)
        asked |= set(paths(project))
    some = rng.sample(sorted(asked), min(len(asked), 4))
    observe: list[object] = [*SHOWN, *({"method": "GET", "path": p, "show_headers": ["x-one", "x-two"]} for p in some)]
    return History(f"property-{seed}", past, labels, observe=observe)
