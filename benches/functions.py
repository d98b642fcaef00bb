"""What one function of every element costs, in nanoseconds: loops and chains of `kernels/pointwise`.

    .venv/bin/python benches/functions.py              # those below
    .venv/bin/python benches/functions.py erf tanh     # these of cnnrs.ops

The plan of each function runs on 2^18 elements, on one thread; a figure is the fastest of 60 runs. Reading
and writing the elements is part of it: `relu` costs little else.
"""

from __future__ import annotations

import argparse

import numpy as np

import cnnrs

ELEMENTS = 1 << 18
FUNCTIONS = ("relu", "exp", "erf", "gelu", "sigmoid", "silu", "tanh", "softplus", "log", "sqrt")


def nanoseconds(name: str, values: np.ndarray) -> float:
    """Of one element."""
    function = getattr(cnnrs.ops, name)
    exact = {"approximate": False} if name == "gelu" else {}
    inputs = cnnrs.Input((ELEMENTS,))
    model = cnnrs.Model(inputs, function(inputs, **exact))
    steps = cnnrs.utils.profile(model, values, repeats=60).data["steps"]
    return sum(step["seconds"] for step in steps) * 1e9 / ELEMENTS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="functions of cnnrs.ops")
    names = parser.parse_args().names or FUNCTIONS
    cnnrs.config.set_num_threads(1)
    values = np.random.default_rng(0).standard_normal((1, ELEMENTS), dtype=np.float32)
    for name in names:
        print(f"{name:12}{nanoseconds(name, values):6.2f} ns an element")


if __name__ == "__main__":
    main()
