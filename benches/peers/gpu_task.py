"""What the workers of `gpu.py` share: arguments, timing, and a line of JSON for each thing measured."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator

import gpu_rows

# A sample holds as many runs as take this long, so that waiting for the device at its end weighs little.
SAMPLE_SECONDS = 0.03


def arguments() -> argparse.Namespace:
    """The row, its variants, and how long each thing may be measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--row", required=True)
    parser.add_argument("--variants", required=True, help="with commas between")
    parser.add_argument("--seconds", type=float, default=0.5, help="of timed samples for each thing measured")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    options.row = gpu_rows.row(options.row)
    options.variants = options.variants.split(",")
    return options


def measured(run: Callable[[], object], wait: Callable[[object], object], seconds: float) -> dict:
    """Times `run`, which may return before the device has computed; `wait` waits for what it gave.

    Returns:
        `ms`: the median of samples of many runs each; `least_ms`: the least; `runs`: how many were timed;
        `first_ms`: the first run, which compiles.
    """
    begin = time.perf_counter()
    wait(run())
    first = time.perf_counter() - begin
    begin = time.perf_counter()
    wait(run())
    once = time.perf_counter() - begin
    count = max(1, round(SAMPLE_SECONDS / max(once, 1e-6)))
    samples: list[float] = []
    begun = time.perf_counter()
    # Three samples at least, unless they take far longer than was asked for.
    while not samples or time.perf_counter() - begun < seconds * (4 if len(samples) < 3 else 1):
        begin = time.perf_counter()
        for _ in range(count - 1):
            run()
        wait(run())
        samples.append((time.perf_counter() - begin) / count)
    return {
        "ms": statistics.median(samples) * 1e3,
        "least_ms": min(samples) * 1e3,
        "runs": len(samples) * count,
        "first_ms": first * 1e3,
    }


def report(engine: str, version: str, row: str, case: str, variant: str, **values: object) -> None:
    """Prints one result as a line of JSON, at once: whoever ends this process later takes nothing back."""
    line = {"engine": engine, "version": version, "row": row, "case": case, "variant": variant, **values}
    print(json.dumps(line), flush=True)


def each(
    engine: str,
    version: str,
    row: str,
    cases: list[tuple[str, str]],
    measure: Callable[[str, str], Iterator[dict]],
) -> None:
    """Measures cases one after the other, and prints what `measure` finds as it finds it.

    A case that fails is reported as an error, and the next ones run.
    """
    for case, variant in cases:
        try:
            for values in measure(case, variant):
                report(engine, version, row, case, variant, **values)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"[:600]
            report(engine, version, row, case, variant, error=message)
