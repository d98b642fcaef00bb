"""Runs a program's text on cnnrs, with one thread and with two."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from fuzz.program import Program

__all__ = ["Verdict", "run"]


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


def run(program: Program) -> tuple[Verdict, list[dict[str, Any]]]:
    """What each run gives, "ok" if one and two threads agree to the bit; nothing to compare if hostile."""
    if program.hostile:
        return _survive(program), []
    try:
        results = _engine(program, 1)
    except Exception as error:
        if "do not broadcast" in str(error) and "(None" in str(error):
            # In a model an axis of the batch meets no other, whatever extents it has in one run.
            return Verdict("invalid", str(error)), []
        kind = "panic" if "panicked" in str(error) else "error"
        return Verdict(kind, f"{type(error).__name__}: {error}"), []
    except BaseException as error:
        return Verdict("panic", f"{type(error).__name__}: {error}"), []
    try:
        again = _engine(program, 2)
    except BaseException as error:
        return Verdict("threads", f"with two threads only: {type(error).__name__}: {error}"), []
    for index, (one, two) in enumerate(zip(results, again, strict=True)):
        for name, a in one.items():
            b = two[name]
            if (a is None) != (b is None) or (a is not None and a.tobytes() != b.tobytes()):
                message = f"{name} of run {index} differs between 1 and 2 threads: {_first(a, b)}"
                return Verdict("threads", message), []
    return Verdict("ok"), results


def _survive(program: Program) -> Verdict:
    """Absurd arguments may give any result or error, but no panic, and what comes next is right. The worker
    sees aborts and hangs.
    """
    try:
        _engine(program, 2)
    except BaseException as error:
        if "panicked" in str(error) or not isinstance(error, Exception):
            return Verdict("panic", f"{type(error).__name__}: {error}")
    from cnnrs import ops

    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    y = ops.relu(ops.matmul(x, x.T) - 14.0).numpy()
    if not np.array_equal(y, np.maximum(x @ x.T - 14, 0)):
        return Verdict("value", f"a product afterwards is {y.tolist()}")
    return Verdict("ok")


def _first(a: Any, b: Any) -> str:
    if a is None or b is None:
        return f"{a} and {b}"
    place = np.unravel_index(np.argmax(a != b), a.shape)
    return f"{a[place]!r} and {b[place]!r} at {tuple(map(int, place))}"
