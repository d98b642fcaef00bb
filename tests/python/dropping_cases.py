"""Rows of `test_layers.CASES` for layers that drop blocks and branches."""

from __future__ import annotations

from layer_checks import Case

from cnnrs import layers
from cnnrs.optimizers import schedules

IMAGE = (4, 8, 6, 4)
DRAWS = {"random": True}
COUNTS = {"random": True, "frozen": 1}
RISING = schedules.CosineDecay(0.0, 100, warmup_target=0.3, warmup_steps=10)

CASES: list[Case] = [
    (layers.DropBlock2D, {"rate": 0.2, "block_size": 3, "seed": 1}, IMAGE, IMAGE, [], DRAWS),
    (
        layers.DropBlock2D,
        {
            "rate": 0.2,
            "block_size": (2, 3),
            "ramp_steps": 10,
            "shared": True,
            "data_format": "channels_first",
        },
        IMAGE,
        IMAGE,
        [()],
        COUNTS,
    ),
    (layers.DropBlock2D, {"rate": RISING, "block_size": 4}, IMAGE, IMAGE, [()], COUNTS),
    (layers.StochasticDepth, {"rate": 0.4, "seed": 1}, IMAGE, IMAGE, [], DRAWS),
    (
        layers.StochasticDepth,
        {"rate": 0.4, "per_sample": False, "ramp_steps": 5},
        (4, 5),
        (4, 5),
        [()],
        COUNTS,
    ),
    (layers.ShakeDrop, {"rate": 0.5, "seed": 1}, IMAGE, IMAGE, [], DRAWS),
    (
        layers.ShakeDrop,
        {"rate": RISING, "alpha": (0.0, 1.0), "beta": (-1.0, 1.0), "per_sample": False},
        IMAGE,
        IMAGE,
        [()],
        COUNTS,
    ),
]
