"""The table of a run, as Markdown, and its chart, as SVG that reads well on light and on dark pages."""

from html import escape
from statistics import mean, median

from benchmarks.run import FAILED, Results
from benchmarks.servers import SERVERS

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.head { font-weight: 600 }
.bar { fill: #8c959f }
.ours { fill: #009485 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #2bc4b3 } }
"""
OURS = "fastapi-hmr"
LABEL, BAR, VALUE, LINE = 150, 460, 90, 20


def value(row: str, samples: list[float | None]) -> float | None:
    """One number for a cell: the median, the mean of what is counted; None where a save was never served."""
    numbers = [sample for sample in samples if sample is not None]
    if len(numbers) < len(samples) or not numbers:
        return None
    return mean(numbers) if row.startswith(FAILED.partition(",")[0]) else median(numbers)


def shown(number: float | None) -> str:
    """As it stands in the table."""
    if number is None:
        return "never"
    return f"{number:,.0f}" if number >= 10 or number == 0 else f"{number:.1f}"


def table(results: Results) -> str:
    """The table: a row for each thing measured, a column for each server; the smallest of the reloaders is bold."""
    servers = [server.name for server in SERVERS if any(server.name in cells for cells in results.values())]
    lines = ["| " + " | ".join(["", *servers]) + " |", "|---|" + "---|" * len(servers)]
    for row, cells in results.items():
        numbers = {server: value(row, cells[server]) for server in servers if server in cells}
        known = [number for number in numbers.values() if number is not None]
        texts = []
        for server in servers:
            text = shown(numbers[server]) if server in numbers else ""
            texts.append(f"**{text}**" if known and server in numbers and numbers[server] == min(known) else text)
        lines.append(f"| {row} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def chart(results: Results, begins: str = "body of a handler") -> str:
    """Bars for the rows whose name begins so: one group each, to one scale."""
    rows = {row: cells for row, cells in results.items() if row.startswith(begins)}
    longest = max((value(row, cells[name]) or 0 for row, cells in rows.items() for name in cells), default=0) or 1
    parts, top = [], 0
    for row, cells in rows.items():
        top += 2 * LINE
        parts.append(f'<text class="head" x="0" y="{top - 6}">{escape(row.removesuffix(", ms"))}</text>')
        for name, samples in sorted(cells.items(), key=lambda cell: value(row, cell[1]) or longest, reverse=True):
            number = value(row, samples)
            width = max(1, round(BAR * (longest if number is None else number) / longest))
            kind = "bar ours" if name == OURS else "bar"
            parts += [
                f'<text x="0" y="{top + 14}">{escape(name)}</text>',
                f'<rect class="{kind}" x="{LABEL}" y="{top + 4}" width="{width}" height="12" rx="2"/>',
                f'<text x="{LABEL + width + 6}" y="{top + 14}">{shown(number)}{" ms" if number is not None else ""}</text>',
            ]
            top += LINE
    size = f'viewBox="0 0 {LABEL + BAR + VALUE} {top + LINE}" width="{LABEL + BAR + VALUE}" height="{top + LINE}"'
    title = "<title>Milliseconds from a save to the first answer with the new code</title>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>{title}<style>{STYLE}</style>{"".join(parts)}</svg>\n'
