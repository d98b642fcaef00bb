"""Runs a program's text on cnnrs and compares what it gives with the reference."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from fuzz import reference
from fuzz.program import Program
from fuzz.rounding import STATE, UNIT
from fuzz.table import ROWS

__all__ = ["Verdict", "check"]

# A factor of a result may be subnormal, and so 0, where the result itself is not.
FLOOR = 1e-35


@dataclass
class Verdict:
    """What a check found.

    Attributes:
        kind: "ok", "invalid" where the reference refuses the program, or what is wrong: "error", "panic",
            "value", "dtype", "shape", "threads", "crash", "hang".
        message: What was expected and received.
    """

    kind: str
    message: str = ""

    @property
    def is_finding(self) -> bool:
        return self.kind not in ("ok", "invalid")

    @property
    def signature(self) -> tuple[str, str]:
        """Equal for findings that are probably one."""
        return self.kind, re.sub(r"[-+]?\d[\d.e+-]*", "#", self.message)[:60] if self.kind in (
            "error",
            "panic",
        ) else ""


def _engine(program: Program, threads: int) -> list[dict[str, Any]]:
    import cnnrs

    cnnrs.config.set_num_threads(threads)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(program.text(run=False), "program", "exec"), names)
    return [
        {k: None if v is None else np.asarray(v) for k, v in result.items()} for result in names["results"]
    ]


def check(program: Program) -> Verdict:
    """Whether one and two threads agree to the bit, and float64 as far as float32 can."""
    if program.hostile:
        return _survive(program)
    exact: list[dict[str, Any]] = []
    wild: list[bool] = []
    for run in range(len(program.batches)):
        try:
            exact.append(reference.evaluate(program, run))
        except Exception as error:
            if run:  # another batch than the one that was drawn does not fit
                program.batches, program.assigned = [None], False
                return check(program)
            return Verdict("invalid", f"{type(error).__name__}: {error}")
        wild.append(STATE.wild)
    try:
        results = _engine(program, 1)
    except Exception as error:
        if "do not broadcast" in str(error) and "(None" in str(error):
            # In a model an axis of the batch meets no other, whatever extents it has in one run.
            return Verdict("invalid", str(error))
        kind = "panic" if "panicked" in str(error) else "error"
        return Verdict(kind, f"{type(error).__name__}: {error}")
    except BaseException as error:
        return Verdict("panic", f"{type(error).__name__}: {error}")
    try:
        again = _engine(program, 2)
    except BaseException as error:
        return Verdict("threads", f"with two threads only: {type(error).__name__}: {error}")
    for run, (one, two) in enumerate(zip(results, again, strict=True)):
        for name, a in one.items():
            b = two[name]
            if (a is None) != (b is None) or (a is not None and a.tobytes() != b.tobytes()):
                return Verdict(
                    "threads", f"{name} of run {run} differs between 1 and 2 threads: {_first(a, b)}"
                )
    for run, result in enumerate(results):
        wrong = _compare(program, run, result, exact[run], wild[run])
        if wrong is not None:
            return wrong
    return Verdict("ok")


def _survive(program: Program) -> Verdict:
    """Absurd arguments may give any result or error, but no panic; the worker sees aborts and hangs."""
    try:
        _engine(program, 2)
    except Exception as error:
        return Verdict("panic", str(error)) if "panicked" in str(error) else Verdict("ok")
    except BaseException as error:
        return Verdict("panic", f"{type(error).__name__}: {error}")
    return Verdict("ok")


def _first(a: Any, b: Any) -> str:
    if a is None or b is None:
        return f"{a} and {b}"
    place = np.unravel_index(np.argmax(a != b), a.shape)
    return f"{a[place]!r} and {b[place]!r} at {tuple(map(int, place))}"


DTYPES = {"float64": "float32", "int64": "int32"}


def _compare(
    program: Program, run: int, result: dict[str, Any], exact: dict[str, Any], wild: bool
) -> Verdict | None:
    names = [n for n in result if not (n.startswith("d") and wild)]
    for name in names:
        a, x = result[name], exact[name]
        if a is None:
            if np.any(x != 0):
                return Verdict("value", f"{name} of run {run}: received None, expected a gradient")
            result[name] = np.zeros(x.shape, np.float32)
            continue
        if a.shape != x.shape:
            return Verdict("shape", f"{name} of run {run}: received {a.shape}, expected {x.shape}")
        if str(a.dtype) != DTYPES.get(str(x.dtype), str(x.dtype)):
            return Verdict(
                "dtype", f"{name} of run {run}: received {a.dtype}, expected {x.dtype} (float64 is float32)"
            )
    low = {n: exact[n].astype(float) for n in names}
    high = {n: exact[n].astype(float) for n in names}
    loose = {n: np.zeros(exact[n].shape, bool) for n in names}
    floors = {n: _floor(n, program, exact[n]) for n in names}
    wrong = names
    # A few noisy evaluations settle most programs; only where they do not, many are worth their time.
    few, some, many = range(1000, 1002), [reference.NEAREST, *range(1002, 1012)], range(1012, 1040)
    for rounds, amplitude in ((few, 4), (some, 4), (many, 16)):
        wrong = [n for n in wrong if _wrong(result[n], exact[n], low[n], high[n], loose[n], floors[n]).any()]
        if not wrong:
            break
        for k in rounds:
            noise = reference.evaluate(program, run, k, amplitude * UNIT)
            for n in wrong:
                v = noise[n].astype(float)
                loose[n] |= _kind(v) != _kind(exact[n].astype(float))
                with np.errstate(all="ignore"):
                    low[n], high[n] = np.fmin(low[n], v), np.fmax(high[n], v)
    for n in wrong:
        bad = _wrong(result[n], exact[n], low[n], high[n], loose[n], floors[n])
        if bad.any():
            place = tuple(int(i) for i in np.unravel_index(np.argmax(bad), bad.shape))
            return Verdict(
                "value",
                f"{n} of run {run} at {place}: received {result[n][place]!r}, expected {exact[n][place]!r} "
                f"({low[n][place]!r} to {high[n][place]!r} with rounding); "
                f"{int(bad.sum())} of {bad.size} elements",
            )
    return _signs(program, run, result, exact)


def _kind(v: Any) -> Any:
    """0 for finite numbers, another number for each of the infinities and NaN."""
    return np.isnan(v) * 3 + np.isposinf(v) * 2 + np.isneginf(v) * 1


def _floor(name: str, program: Program, exact: Any) -> float:
    """Parts of a gradient may be subnormal, and so 0, where it is not. Fast convolutions spread the rounding
    of large sums over small ones beside them.
    """
    floor = 1e-30 if name.startswith("d") else FLOOR
    if program.precision == "fast" and exact.dtype.kind == "f":
        with np.errstate(all="ignore"):
            finite = np.abs(exact[np.isfinite(exact)].astype(np.float64))
        floor += 64 * UNIT * float(finite.max(initial=0.0))
    return floor


def _wrong(a: Any, x: Any, low: Any, high: Any, loose: Any, floor: float) -> Any:
    """Where the result is outside of what rounding explains."""
    if x.dtype.kind != "f":
        return (a != x) & (low == high)
    a = a.astype(np.float64)
    with np.errstate(all="ignore"):
        radius = 4 * np.maximum(high - x, x - low)
        tolerance = radius + 4 * UNIT * np.abs(x) + floor
        near = np.abs(a - x) <= tolerance
    same = (a == x) | (np.isnan(a) & np.isnan(x))
    return ~(near | same | loose)


def _signs(program: Program, run: int, result: dict[str, Any], exact: dict[str, Any]) -> Verdict | None:
    """The signs of zeros, where each step is one rounding."""
    if not program.special or any(not ROWS[s.row].exact for s in program.statements):
        return None
    for i in program.outputs:
        a, x = result[f"v{i}"], exact[f"v{i}"]
        if x.dtype.kind != "f":
            continue
        bad = (x == 0) & (a == 0) & (np.signbit(a) != np.signbit(x))
        if bad.any():
            place = tuple(int(k) for k in np.unravel_index(np.argmax(bad), bad.shape))
            return Verdict(
                "value",
                f"v{i} of run {run} at {place}: received {a[place]!r}, expected {x[place]!r}, a zero",
            )
    return None
