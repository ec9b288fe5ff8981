"""Blocks whose import changes the process or a library: environment, logging, metrics, patches."""

from typing import Any, ClassVar, override

from tests.property.model import Block, Kind, Param, number, one_of
from tests.property.source import Source


class Environ(Kind):
    """Sets an environment variable."""

    name, weight = "environ", 1
    params: ClassVar = {
        "n": Param(number()),
        "key": Param(one_of("A", "B")),
        "form": Param(one_of("set", "default", "update", "pop")),
    }

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import os")
        key = f"'PROP_{v['key']}'"
        text = {
            "set": f"os.environ[{key}] = '{v['n']}'",
            "default": f"os.environ.setdefault({key}, '{v['n']}')",
            "update": f"os.environ.update({{{key}: '{v['n']}'}})",
            "pop": f"os.environ.pop({key}, None)",
        }
        source.add(text[v["form"]])
        source.probe(block, "[os.environ.get('PROP_A'), os.environ.get('PROP_B')]")


class Logs(Kind):
    """Configures a logger."""

    name, weight = "logs", 2
    params: ClassVar = {
        "n": Param(number()),
        "key": Param(one_of("x", "x.y")),
        "form": Param(one_of("handler", "level", "filter", "propagate")),
    }

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import logging")
        log = f"logging.getLogger('prop.{v['key']}')"
        text = {
            "handler": f"_h_{block.name} = logging.NullHandler()\n_h_{block.name}.name = '{block.name}-{v['n']}'\n{log}.addHandler(_h_{block.name})",
            "level": f"{log}.setLevel({v['n'] + 1})",
            "filter": f"{log}.addFilter(lambda record: bool({v['n']}))",
            "propagate": f"{log}.propagate = {v['n'] % 2 == 0}",
        }
        source.add(text[v["form"]])
        source.probe(block, f"[[h.name for h in {log}.handlers], {log}.level, len({log}.filters), {log}.propagate]")


class Metric(Kind):
    """A prometheus metric in the process-wide registry."""

    name, weight = "metric", 2
    params: ClassVar = {
        "text": Param(number()),
        "type": Param(one_of("Counter", "Gauge", "Histogram")),
        "labels": Param(one_of((), ("a",), ("a", "b"))),
        "start": Param(number(5)),
    }

    @override
    def render(self, block: Block, source: Source) -> None:
        v: dict[str, Any] = block.values
        source.need("import prometheus_client")
        child = f".labels(*{list(v['labels'])!r})" if v["labels"] else ""
        call = "observe" if v["type"] == "Histogram" else "inc"
        source.add(
            f"metric_{block.name} = prometheus_client.{v['type']}('prop_{block.name}', 'text {v['text']}', {list(v['labels'])!r})\nmetric_{block.name}{child}.{call}({v['start']})"
        )
        source.probe(
            block,
            "[(m.name, m.documentation, [(s.name, s.labels, s.value) for s in m.samples if not s.name.endswith('_created')]) for m in prometheus_client.REGISTRY.collect() if m.name.startswith('prop_')]",
        )


class Foreign(Kind):
    """Sets or wraps an attribute of a standard-library module."""

    name, weight = "foreign", 1
    params: ClassVar = {"n": Param(number()), "form": Param(one_of("set", "wrap", "path", "class", "shared"))}

    @override
    def render(self, block: Block, source: Source) -> None:
        n = block.values["n"]
        source.need("import html, string, sys")
        text = {
            "set": f"html.prop_{block.name} = {n}",
            "wrap": f"_old_{block.name} = html.escape\ndef _new_{block.name}(s, quote=True): return '{n}(' + _old_{block.name}(s) + ')'\nhtml.escape = _new_{block.name}",
            "path": f"sys.path.append('/prop/{n}')",
            "class": f"string.Template.prop_{block.name} = {n}",
            "shared": f"html.prop_shared = {n}",
        }
        source.add(text[str(block.values["form"])])
        source.probe(
            block,
            "[sorted(k for k in vars(html) if k.startswith('prop_')), html.escape('x'), [p for p in sys.path if p.startswith('/prop/')], sorted(k for k in vars(string.Template) if k.startswith('prop_'))]",
        )


class Glances(Kind):
    """Looks at import at what others set of the process or of a library, or calls what they put there."""

    name, weight = "glances", 2
    params: ClassVar = {"form": Param(one_of("call", "attribute", "variable", "level", "handlers", "propagate"))}

    @override
    def render(self, block: Block, source: Source) -> None:
        source.need("import html, logging, os")
        text = {
            "call": "html.escape('<')",
            "attribute": "getattr(html, 'prop_shared', None)",
            "variable": "os.environ.get('PROP_A')",
            "level": "logging.getLogger('prop.x').level",
            "handlers": "[h.name for h in logging.getLogger('prop.x').handlers]",
            "propagate": "logging.getLogger('prop.x.y').propagate",
        }
        source.add(f"G_{block.name} = {text[str(block.values['form'])]}")
        source.probe(block, f"G_{block.name}")
