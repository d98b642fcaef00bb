"""Rows of `test_layers.CASES` for activations of papers."""

from __future__ import annotations

from layer_checks import Case

from cnnrs import layers

IMAGE = (4, 8, 6, 4)

CASES: list[Case] = [
    (layers.FReLU, {}, IMAGE, IMAGE, [(3, 3, 4, 1), *[(4,)] * 4], {"frozen": 2}),
    (
        layers.FReLU,
        {"kernel_size": (1, 3), "data_format": "channels_first"},
        IMAGE,
        IMAGE,
        [(1, 3, 8, 1), *[(8,)] * 4],
        {"frozen": 2},
    ),
    (layers.AdaptivePReLU, {"shared_axes": [1, 2]}, IMAGE, IMAGE, [(1, 1, 4)], {}),
    (layers.Swish, {}, IMAGE, IMAGE, [(4,)], {}),
    (layers.Swish, {"shared_axes": [2, 3]}, IMAGE, IMAGE, [(8, 1, 1)], {}),
    (layers.Swish, {}, (4, 5), (4, 5), [(5,)], {}),
    (layers.Maxout, {"units": 3, "pieces": 2}, (4, 6), (4, 3), [], {}),
    (layers.Maxout, {"units": 2, "axis": 1}, IMAGE, (4, 2, 6, 4), [], {}),
    (layers.Maxout, {"pieces": 4}, IMAGE, (4, 8, 6, 1), [], {}),
]
