"""The campaign: `python -m fuzz --programs 20000 --seed 1`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import Any

from fuzz import draw
from fuzz.execute import Verdict
from fuzz.judge import Judge
from fuzz.program import Program
from fuzz.shrink import shrink
from fuzz.table import ROWS, rows
from fuzz.worker import Worker


def tiers() -> list[str]:
    """The instruction sets of this machine."""
    flags = set()
    try:
        with open("/proc/cpuinfo") as file:
            flags = set(file.read().split())
    except OSError:
        return []
    found = {"avx512": "avx512f", "avx2": "avx2"}
    return [tier for tier, flag in found.items() if flag in flags] + ["scalar"]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=2000, help="how many")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first; programs of other seeds are others"
    )
    parser.add_argument(
        "--tiers", default="", help="instruction sets, comma-separated; by default this machine's"
    )
    parser.add_argument("--seconds", type=float, default=0, help="end after so long; 0 for no limit")
    parser.add_argument("--shrink", type=float, default=60, help="seconds to shrink a failing program")
    parser.add_argument("--findings", type=int, default=50, help="end after so many different findings")
    parser.add_argument("--only", type=int, help="the program of this number alone")
    parser.add_argument("--show", action="store_true", help="with --only: print the program as it was drawn")
    parser.add_argument("--fault", help="a function of cnnrs.ops that is to be wrong, to test the fuzzer")
    return parser.parse_args(given)


def campaign(options: argparse.Namespace) -> int:
    """Checks programs in turn, each on every tier; the number of different findings."""
    rows()
    judge = Judge(options.tiers.split(",") if options.tiers else tiers() or [None], options.fault)
    drawn: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    findings: dict[Any, int] = {}
    start = time.monotonic()
    first = options.seed * 10_000_000
    numbers = [options.only] if options.only is not None else range(options.programs)
    done = 0
    for index in numbers:
        program, _ = draw.program(first + index)
        if options.show:
            print(program.text())
        verdicts = judge.check(program)
        done += 1
        kinds.update(verdict.kind for verdict in verdicts)
        drawn.update(s.row for s in program.statements)
        for worker, verdict in zip(judge.workers, verdicts, strict=True):
            if verdict.is_finding:
                _report(index, verdict, program, judge, worker, options, findings)
        spent = time.monotonic() - start
        if options.seconds and spent > options.seconds or len(findings) >= options.findings:
            break
        if done % 1000 == 0:
            print(f"{done} programs, {len(findings)} findings, {spent:.0f} s", flush=True)
    judge.close()
    _summary(
        drawn, f"{done} programs on {len(judge.workers)} tiers", kinds, findings, time.monotonic() - start
    )
    return len(findings)


def _report(
    index: int,
    verdict: Verdict,
    program: Program,
    judge: Judge,
    worker: Worker,
    options: argparse.Namespace,
    findings: dict[Any, int],
) -> None:
    known = (verdict.signature, tuple(sorted({s.row for s in program.statements})))
    if verdict.kind in ("error", "panic") and any(verdict.signature == k[0] for k in findings):
        known = next(k for k in findings if k[0] == verdict.signature)
        findings[known] += 1
        return
    last = verdict

    def fails(candidate: Program) -> bool:
        nonlocal last
        [found] = judge.check(candidate, [worker])
        if found.is_finding and found.signature == verdict.signature:
            last = found
            return True
        return False

    small = shrink(program, fails, options.shrink) if options.shrink else program
    known = (last.signature, tuple(sorted(s.row for s in small.statements)))
    findings[known] = findings.get(known, 0) + 1
    if findings[known] > 1:
        return
    print(f"\n==== finding: program {index} of seed {options.seed}, tier {worker.tier}: {last.kind}")
    print(f"# {last.message}")
    print(small.text(), flush=True)


def _summary(
    drawn: Counter[str], done: str, kinds: Counter[str], findings: dict[Any, int], seconds: float
) -> None:
    print("\nRows by how often they were drawn:")
    names = sorted(ROWS, key=lambda n: -drawn[n])
    for k in range(0, len(names), 6):
        print("  " + "  ".join(f"{n} {drawn[n]}" for n in names[k : k + 6]))
    print(f"\n{done} in {seconds:.0f} s: " + ", ".join(f"{n} {k}" for k, n in kinds.most_common()))
    for (signature, statements), n in findings.items():
        print(f"  {n} x {signature} {' '.join(statements)}")
    print(f"{len(findings)} findings")


if __name__ == "__main__":
    sys.exit(1 if campaign(arguments()) else 0)
