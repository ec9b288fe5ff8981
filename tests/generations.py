"""A small driver of blue/green modules for tests: imports real files, and runs some again as new module objects."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.utils import Project


class Generations:
    """The modules of one project, by the names they are imported under."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.root = project.root
        self.before: dict[str, ModuleType] = {}

    def owns(self, filename: str) -> bool:
        """What counts as first-party here."""
        return filename.startswith(f"{self.root}/") and "site-packages" not in filename

    def load(self, *names: str) -> Any:
        """Import these modules for the first time; returns the last."""
        for name in names:
            importlib.import_module(name)
        return sys.modules[names[-1]]

    def again(self, *names: str) -> Any:
        """Run these modules as new module objects, in this order, and put those into `sys.modules`; returns the last."""
        self.before = {name: sys.modules[name] for name in names}
        for name in names:
            file = Path(str(self.before[name].__file__))
            spec = spec_from_file_location(name, file)
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            sys.modules[name] = module
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, module)
            exec(compile(file.read_text(), str(file), "exec"), vars(module))
        return sys.modules[names[-1]]

    def back(self) -> None:
        """Put the modules from before the last `again` back."""
        for name, module in self.before.items():
            sys.modules[name] = module

    def forget(self) -> None:
        """Drop every module of the project."""
        for name, module in list(sys.modules.items()):
            if self.owns(str(getattr(module, "__file__", None) or "")):
                del sys.modules[name]


@contextmanager
def generations(project: Project) -> Iterator[Generations]:
    """A driver whose modules are forgotten afterwards."""
    driver = Generations(project)
    sys.path.insert(0, str(project.root))
    importlib.invalidate_caches()
    dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield driver
    finally:
        sys.dont_write_bytecode = dont_write
        sys.path.remove(str(project.root))
        driver.forget()
