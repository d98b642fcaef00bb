"""Rows of `test_layers.CASES` for heads of embeddings."""

from __future__ import annotations

from layer_checks import Case

from cnnrs import layers

CASES: list[Case] = [
    (layers.CosineDense, {"units": 3}, (4, 6), (4, 3), [(6, 3)], {}),
    (layers.CosineDense, {"units": 3, "kernel_regularizer": None}, (4, 5, 6), (4, 5, 3), [(6, 3)], {}),
    (layers.ArcFace, {"classes": 3, "scale": 2.0}, (4, 6), (4, 3), [(6, 3)], {}),
    (layers.CenterLoss, {"classes": 3}, (4, 6), (4, 6), [(3, 6)], {"frozen": 1}),
]
