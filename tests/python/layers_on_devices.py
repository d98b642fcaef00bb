"""A program: every layer of `test_layers.CASES` on the processor and on a GPU, forwards and backwards.

It prints a line for each layer whose results differ, and the number of layers compared at the end. Arguments
are parts of names of layers; without one, all run.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import test_layers
from layer_checks import host, sample

import cnnrs
from cnnrs import ops


def run(layer: Any, arrays: list[np.ndarray], several: bool, device: str) -> list[np.ndarray]:
    """Output and gradients of inputs and weights on a device."""
    with cnnrs.device(device):
        x = [ops.convert_to_tensor(a) for a in arrays]
        with cnnrs.GradientTape() as tape:
            tape.watch(x)
            output = layer(x if several else x[0], training=False)
            loss = ops.sum(ops.square(output))
        return [host(output), *map(host, tape.gradient(loss, [*layer.trainable_weights, *x]))]


def main(names: list[str]) -> None:
    """Compares."""
    compared = 0
    for kind, arguments, shapes, *_ in test_layers.CASES:
        if names and not any(name in kind.__name__ for name in names):
            continue
        several = isinstance(shapes, list)
        arrays = [sample(shape, i) for i, shape in enumerate(shapes if several else [shapes])]
        cnnrs.utils.set_random_seed(1)
        layer = kind(**arguments)
        try:
            results = zip(*(run(layer, arrays, several, at) for at in ("cpu", "gpu:0")), strict=True)
            for number, (cpu, gpu) in enumerate(results):
                bound = 1e-4 * max(1.0, float(np.abs(cpu).max(initial=0)))
                difference = float(np.abs(cpu - gpu).max(initial=0))
                if not difference <= bound:
                    print(f"{kind.__name__} {arguments}: result {number} differs by {difference:.3g}")
        except Exception as error:
            print(f"{kind.__name__} {arguments}: {type(error).__name__}: {error}")
        compared += 1
    print(f"{compared} compared")


if __name__ == "__main__":
    main(sys.argv[1:])
