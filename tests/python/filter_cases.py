"""Rows of `test_layers.CASES` for classic filters."""

from __future__ import annotations

from layer_checks import Case

from cnnrs import layers

IMAGE = (4, 8, 6, 4)

CASES: list[Case] = [
    (layers.Sobel2D, {}, IMAGE, IMAGE, [(3, 3, 4, 2)], {"frozen": 1}),
    (layers.Sobel2D, {"output": "xy", "trainable": True}, IMAGE, (4, 8, 6, 8), [(3, 3, 4, 2)], {}),
    (
        layers.Scharr2D,
        {"output": "x", "fill_mode": "wrap", "normalize": True},
        IMAGE,
        IMAGE,
        [(3, 3, 4, 2)],
        {"frozen": 1},
    ),
    (
        layers.Prewitt2D,
        {"output": "xy", "data_format": "channels_first", "fill_mode": "constant", "fill_value": 0.5},
        IMAGE,
        (4, 16, 6, 4),
        [(3, 3, 8, 2)],
        {"frozen": 1},
    ),
    (layers.Laplacian2D, {"fill_mode": "mirror"}, IMAGE, IMAGE, [(3, 3, 4, 1)], {"frozen": 1}),
    (layers.Laplacian2D, {"neighbors": 8, "trainable": True}, IMAGE, IMAGE, [(3, 3, 4, 1)], {}),
    (
        layers.GaussianBlur2D,
        {"sigma": 0.7, "fill_mode": "nearest"},
        IMAGE,
        IMAGE,
        [(7, 1, 4, 1), (1, 7, 4, 1)],
        {"frozen": 2},
    ),
    (
        layers.GaborBank2D,
        {"orientations": 3, "kernel_size": 5},
        IMAGE,
        (4, 8, 6, 24),
        [(5, 5, 4, 6)],
        {"frozen": 1},
    ),
    (
        layers.GaborBank2D,
        {"frequencies": 0.3, "orientations": [0.0, 0.5], "output": "magnitude", "trainable": True},
        IMAGE,
        (4, 8, 6, 8),
        [(13, 13, 4, 2)] * 2,
        {},
    ),
]
