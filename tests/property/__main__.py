"""`python -m tests.property --count 3000 --seed 1`: the long run, and single seeds to look at."""

import argparse
import os
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Run, report, and say by the exit code whether anything differed."""
    parser = argparse.ArgumentParser(prog="tests.property")
    parser.add_argument("--count", type=int, default=100, help="how many edit histories")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--edits", type=int, default=6)
    parser.add_argument("--modules", type=int, default=22)
    parser.add_argument("--engine", help="module:Class (default: the product's)")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--shrink", type=float, default=120.0, help="seconds to spend on making a failure small; 0 leaves it whole"
    )
    parser.add_argument("--out", type=Path, help="folder for the failing histories, as scenario files")
    parser.add_argument("--why", action="store_true", help="print the reason of each restart")
    parser.add_argument("--strict", action="store_true", help="count restarts as differences")
    parser.add_argument("--most", type=int, default=10, help="how many failures to shrink")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="property-cold-") as cache:
        os.environ["HOTCOLD_CACHE"] = cache
        return report(chosen)


def report(chosen: argparse.Namespace) -> int:
    """Search, shrink what was found, print."""
    from tests.property.differ import explain
    from tests.property.harness import ENGINE, bench
    from tests.property.search import search, smallest

    def told(seed: int, text: str) -> None:
        print(f"seed {seed} differs from cold:\n{text}", flush=True)

    with bench(chosen.engine or ENGINE, strict=chosen.strict) as made:
        seeds = range(chosen.seed, chosen.seed + chosen.count)
        tally = search(made, seeds, edits=chosen.edits, modules=chosen.modules, threads=chosen.j, told=told)
        for seed in sorted(tally.failed)[: chosen.most if chosen.shrink else 0]:
            small, source = smallest(made, seed, edits=chosen.edits, modules=chosen.modules, seconds=chosen.shrink)
            print(f"--- seed {seed}, shrunk\n{source}{explain(made.judge(small.scenario()))}", flush=True)
            if chosen.out:
                chosen.out.mkdir(parents=True, exist_ok=True)
                (chosen.out / f"property_{seed}.py").write_text(source)
    if chosen.why:
        print(*sorted(tally.reasons), sep="\n")
    print(
        f"{tally.sequences} histories, {tally.saves} saves, {tally.cold_errors} cold errors ({tally.dead_starts} at the start), "
        f"{tally.restarts} restarts, levels {tally.levels}, {len(tally.failed)} differ, {tally.seconds:.0f} s"
    )
    if tally.failed:
        print("failing seeds:", *sorted(tally.failed))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
