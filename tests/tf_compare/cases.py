"""Expressions that mean the same with TensorFlow and with `cnnrs.compat.tf`: the lines of cases.txt.

`f(2, 3)` is a tensor of floats, `n` one of integers, `b` one of booleans. Gradients are compared too, unless
`# values` stands behind the expression, with the reason.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["CASES"]

_LINES = (Path(__file__).parent / "cases.txt").read_text("utf-8").splitlines()
CASES = [line for line in _LINES if line and not line.startswith("## ")]
