"""Runs programs on each tier and compares what they give with the reference, which all tiers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fuzz import reference
from fuzz.execute import Verdict
from fuzz.program import Program
from fuzz.rounding import STATE, UNIT
from fuzz.table import ROWS
from fuzz.worker import Worker

__all__ = ["Judge"]

# A factor of a result may be subnormal, and so 0, where the result itself is not.
FLOOR = 1e-35
DTYPES = {"float64": "float32", "int64": "int32"}
# Seeds of noisy evaluations, and their amplitude in units of the last place. A few settle most programs; only
# where they do not, many are worth their time.
ROUNDS = [
    (range(1000, 1002), 4),
    ([reference.NEAREST, *range(1002, 1012)], 4),
    (range(1012, 1040), 16),
]


class Judge:
    """A worker for each tier.

    Args:
        tiers: Instruction sets; None for the best of the machine.
        fault: See `Worker`.
    """

    def __init__(self, tiers: Sequence[str | None], fault: str | None = None):
        self.workers = [Worker(tier, fault) for tier in tiers]

    def check(self, program: Program, workers: Sequence[Worker] | None = None) -> list[Verdict]:
        """Whether one and two threads agree to the bit on each tier, and float64 as far as float32 can."""
        workers = self.workers if workers is None else workers
        expected: list[Expected] = []
        if not program.hostile:
            try:
                if program.mode == "model" and not program.arguments:
                    raise ValueError("a model without inputs")
                expected = _expected(program)
            except Exception as error:
                return [Verdict("invalid", f"{type(error).__name__}: {error}") for _ in workers]
        for worker in workers:  # all of them run at once
            worker.send(program)
        verdicts = []
        for worker in workers:
            verdict, results = worker.receive()
            for run, result in zip(expected, results, strict=False):
                verdict = run.compare(result) or verdict
                if verdict.is_finding:
                    break
            verdicts.append(verdict)
        return verdicts

    def close(self) -> None:
        for worker in self.workers:
            worker.close()


def _expected(program: Program) -> list[Expected]:
    """Of each run; of the first alone if the batch of another does not fit the program.

    Raises:
        Exception: The reference refuses the program.
    """
    runs = [Expected(program, 0)]
    try:
        return runs + [Expected(program, run) for run in range(1, len(program.batches))]
    except Exception:
        program.batches, program.assigned = [None], False
        return [Expected(program, 0)]


class Expected:
    """What one run gives without noise, and the bounds of what rounding does to it: none at first, wider
    with each round of noisy evaluations that some result needs.
    """

    def __init__(self, program: Program, run: int):
        self.program, self.run = program, run
        self.exact = reference.evaluate(program, run)
        wild = STATE.wild
        self.low = {n: v.astype(float) for n, v in self.exact.items()}
        self.high = {n: v.astype(float) for n, v in self.exact.items()}
        self.loose = {n: np.zeros(v.shape, bool) for n, v in self.exact.items()}
        if wild:
            self._leave_out()
        self.floors = {n: _floor(n, program, v) for n, v in self.exact.items()}
        self.rounds = 0

    def _leave_out(self) -> None:
        """Parts of a gradient may overflow float32 where float64 does not, or on one way to it only. Elements
        are compared to which none came past a wild number, and that are the same whatever tame numbers are
        in place of the wild ones. Under "fast", tiles of gradients carry wild numbers to others.
        """
        names = [n for n in self.exact if n.startswith("d")]
        if not names:
            return
        others = [reference.evaluate(self.program, self.run, marking=True)]
        known = self.program.precision == "strict"
        for seed in (1, 2):
            others.append(reference.evaluate(self.program, self.run, tame=seed))
            known &= not STATE.wild
        for n in names:
            x = self.exact[n]
            equal = [np.isfinite(x) & (other[n] == x) for other in others]
            self.loose[n] = ~np.logical_and.reduce(equal) if known else np.ones(x.shape, bool)

    def compare(self, result: dict[str, Any]) -> Verdict | None:
        """What is wrong with it, if anything is."""
        for name, x in self.exact.items():
            if result[name] is None:
                if np.any((x != 0) & ~self.loose[name]):
                    return self._wrong(name, "received None, expected a gradient")
                result[name] = np.zeros(x.shape, np.float32)
            a = result[name]
            if a.shape != x.shape:
                return self._wrong(name, f"received {a.shape}, expected {x.shape}", "shape")
            if str(a.dtype) != DTYPES.get(str(x.dtype), str(x.dtype)):
                message = f"received {a.dtype}, expected {x.dtype} (float64 is float32)"
                return self._wrong(name, message, "dtype")
        wrong = [n for n in self.exact if self._outside(n, result[n]).any()]
        while wrong and self.rounds < len(ROUNDS):
            self._widen()
            wrong = [n for n in wrong if self._outside(n, result[n]).any()]
        for n in wrong:
            bad = self._outside(n, result[n])
            place = tuple(int(i) for i in np.unravel_index(np.argmax(bad), bad.shape))
            return self._wrong(
                n,
                f"at {place}: received {result[n][place]!r}, expected {self.exact[n][place]!r} "
                f"({self.low[n][place]!r} to {self.high[n][place]!r} with rounding); "
                f"{int(bad.sum())} of {bad.size} elements",
            )
        return self._signs(result)

    def _wrong(self, name: str, message: str, kind: str = "value") -> Verdict:
        return Verdict(kind, f"{name} of run {self.run}: {message}")

    def _widen(self) -> None:
        seeds, amplitude = ROUNDS[self.rounds]
        self.rounds += 1
        for seed in seeds:
            noise = reference.evaluate(self.program, self.run, seed, amplitude * UNIT)
            for n, x in self.exact.items():
                v = noise[n].astype(float)
                self.loose[n] |= _kind(v) != _kind(x.astype(float))
                with np.errstate(all="ignore"):
                    self.low[n], self.high[n] = np.fmin(self.low[n], v), np.fmax(self.high[n], v)

    def _outside(self, name: str, a: Any) -> Any:
        """Where a result is outside of what rounding explains."""
        x, low, high = self.exact[name], self.low[name], self.high[name]
        if x.dtype.kind != "f":
            return (a != x) & (low == high)
        a = a.astype(np.float64)
        with np.errstate(all="ignore"):
            radius = 4 * np.maximum(high - x, x - low)
            near = np.abs(a - x) <= radius + 4 * UNIT * np.abs(x) + self.floors[name]
        same = (a == x) | (np.isnan(a) & np.isnan(x))
        return ~(near | same | self.loose[name])

    def _signs(self, result: dict[str, Any]) -> Verdict | None:
        """The signs of zeros, where each step is one rounding."""
        program = self.program
        if not program.special or any(not ROWS[s.row].exact for s in program.statements):
            return None
        for n in (f"v{i}" for i in program.outputs):
            a, x = result[n], self.exact[n]
            if x.dtype.kind != "f":
                continue
            bad = (x == 0) & (a == 0) & (np.signbit(a) != np.signbit(x))
            if bad.any():
                place = tuple(int(k) for k in np.unravel_index(np.argmax(bad), bad.shape))
                return self._wrong(n, f"at {place}: received {a[place]!r}, expected {x[place]!r}, a zero")
        return None


def _kind(v: Any) -> Any:
    """0 for finite numbers, another number for each of the infinities and NaN."""
    return np.isnan(v) * 3 + np.isposinf(v) * 2 + np.isneginf(v) * 1


def _floor(name: str, program: Program, exact: Any) -> float:
    """Parts of a gradient may be subnormal, and so 0, where it is not. Fast convolutions spread the rounding
    of large sums over small ones beside them.
    """
    floor = 1e-30 if name.startswith("d") else FLOOR
    if program.precision == "fast" and not program.special and exact.dtype.kind == "f":
        with np.errstate(all="ignore"):
            finite = np.abs(exact[np.isfinite(exact)].astype(np.float64))
        floor += 64 * UNIT * float(finite.max(initial=0.0))
    return floor
