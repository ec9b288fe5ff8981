"""`python -m benchmarks`: measures the dev servers that are installed, prints a table and draws the README's chart."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.report import chart, table
from benchmarks.run import FULL, QUICK, Results, Run
from benchmarks.servers import SERVERS, Server, installed

DESCRIPTION = """Measure dev servers on generated apps of 1, 200 and 2,000 routes: milliseconds from a save to the first
answer with the new code, requests that fail meanwhile, cold start, and CPU when idle. Medians; Linux only.
A run takes about six minutes and should have the machine for itself. What was measured is kept in a file, and a run
that was cut short goes on from there. An interpreter that has them all, but for this project:
pip install 'fastapi[standard]' granian hypercorn jurigged uvicorn-hmr"""


def main() -> None:
    """Parse the arguments and do it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=DESCRIPTION)
    parser.add_argument("--quick", action="store_true", help="only the app of one route and two saves: half a minute")
    parser.add_argument(
        "--servers", help=f"only these, separated by commas: {', '.join(each.name for each in SERVERS)}"
    )
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the servers (default: this)")
    parser.add_argument("--results", type=Path, default=Path("benchmarks.json"), help="the file with what was measured")
    parser.add_argument("--fresh", action="store_true", help="measure again what is in that file")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the chart there, as SVG")
    options = parser.parse_args()
    chosen: tuple[Server, ...] = SERVERS
    if options.servers is not None:
        names = [name.strip() for name in options.servers.split(",")]
        chosen = tuple(each for each in SERVERS if each.name in names)
        if unknown := set(names) - {each.name for each in chosen}:
            parser.error(f"no server is called {' or '.join(map(repr, sorted(unknown)))}: see --help")
    there = installed(options.python, chosen)
    if missing := ", ".join(each.name for each in chosen if each not in there):
        print(f"not installed, left out: {missing}", file=sys.stderr)
    results: Results = {}
    if options.results.exists() and not options.fresh:
        results = json.loads(options.results.read_text())

    def keep(taken: Results) -> None:
        options.results.write_text(json.dumps(taken, indent=1))

    Run(options.python, there, QUICK if options.quick else FULL, keep).take(results)
    print(table(results))
    if options.chart is not None:
        options.chart.write_text(chart(results))


if __name__ == "__main__":
    main()
