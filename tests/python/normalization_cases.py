"""Rows of `test_layers.CASES` for normalisations of papers."""

from __future__ import annotations

from layer_checks import Case

from cnnrs import layers

IMAGE = (4, 8, 6, 4)
VOLUME = (2, 3, 4, 3, 2)
CHANNELS = (4,)

CASES: list[Case] = [
    (layers.InstanceNormalization, {}, IMAGE, IMAGE, [CHANNELS, CHANNELS], {}),
    (layers.InstanceNormalization, {"axis": 1, "scale": False}, IMAGE, IMAGE, [(8,)], {}),
    (layers.InstanceNormalization, {"center": False}, VOLUME, VOLUME, [(2,)], {}),
    (layers.SwitchableNormalization, {}, IMAGE, IMAGE, [(4,), (4,), (3,), (3,), (4,), (4,)], {"frozen": 2}),
    (
        layers.SwitchableNormalization,
        {"axis": 1, "using": ["instance", "layer"], "scale": False},
        IMAGE,
        IMAGE,
        [(8,), (2,), (2,)],
        {},
    ),
    (layers.FilterResponseNormalization, {}, IMAGE, IMAGE, [CHANNELS, CHANNELS], {}),
    (
        layers.FilterResponseNormalization,
        {"axis": 1, "learned_epsilon": True, "epsilon": 1e-3},
        IMAGE,
        IMAGE,
        [(8,), (8,), (8,)],
        {},
    ),
    (layers.TLU, {}, IMAGE, IMAGE, [CHANNELS], {}),
    (layers.TLU, {"axis": 1, "affine": True}, IMAGE, IMAGE, [(8,), (8,)], {}),
    (
        layers.WeightStandardization,
        {"layer": layers.Conv2D(5, 3, activation="relu")},
        IMAGE,
        (4, 6, 4, 5),
        [(3, 3, 4, 5), (5,)],
        {},
    ),
    (layers.WeightStandardization, {"layer": layers.Dense(3)}, (6, 5), (6, 3), [(5, 3), (3,)], {}),
    (
        layers.WeightStandardization,
        {"layer": layers.DepthwiseConv2D(3, data_format="channels_first")},
        IMAGE,
        (4, 8, 4, 2),
        [(3, 3, 8, 1), (8,)],
        {},
    ),
    (
        layers.WeightStandardization,
        {"layer": layers.Conv2DTranspose(3, 3, use_bias=False)},
        SMALL := (3, 4, 4, 2),
        (3, 6, 6, 3),
        [(3, 3, 3, 2)],
        {},
    ),
]
