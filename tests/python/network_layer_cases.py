"""Rows of `test_layers.CASES` for layers that networks of papers brought."""

from __future__ import annotations

from layer_checks import Case

from cnnrs import layers

IMAGE = (4, 8, 6, 4)

CASES: list[Case] = [
    (layers.LocalResponseNormalization, {}, IMAGE, IMAGE, [], {}),
    (
        layers.LocalResponseNormalization,
        {"size": 3, "alpha": 0.5, "beta": 0.6, "k": 1.0, "data_format": "channels_first"},
        IMAGE,
        IMAGE,
        [],
        {},
    ),
    (layers.PatchTokens, {}, IMAGE, (4, 49, 4), [(1, 1, 4), (1, 49, 4)], {}),
    (layers.PatchTokens, {"grid": (3, 5), "class_token": False}, IMAGE, (4, 48, 4), [(1, 15, 4)], {}),
]
