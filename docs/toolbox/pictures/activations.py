"""The picture of docs/toolbox/activations.md: curves, and dead units of a network that starts badly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import cnnrs
from cnnrs import activations, layers
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent


def network() -> cnnrs.Model:
    """A small network whose biases start far below 0, as after a step that was too large."""
    bias = cnnrs.initializers.RandomNormal(-2.0, 1.5, seed=4)
    way = {"activation": "relu", "bias_initializer": bias}
    return cnnrs.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(32, 3, kernel_initializer=cnnrs.initializers.HeNormal(1), **way),
            layers.Conv2D(32, 3, kernel_initializer=cnnrs.initializers.HeNormal(2), **way),
            layers.GlobalAveragePooling2D(),
            layers.Dense(64, kernel_initializer=cnnrs.initializers.HeNormal(3), **way),
        ]
    )


if __name__ == "__main__":
    plt = pyplot("pictures/activations.py")
    plt.rcParams["svg.hashsalt"] = "cnnrs"
    data = np.random.default_rng(0).normal(size=(64, 16, 16, 3)).astype(np.float32)
    found = activations.compare(model=network(), data=data)
    print(found)
    found.plot().savefig(HERE / "activations_compared.svg", metadata={"Date": None})
