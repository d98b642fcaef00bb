"""Rows of `test_layers.CASES` for poolings of papers."""

from __future__ import annotations

import math

from layer_checks import Case

from cnnrs import layers

IMAGE = (4, 8, 6, 4)
SMALL = (3, 5, 6, 3)
FIRST = {"data_format": "channels_first"}
SAME = {"pool_size": 3, "strides": 2, "padding": "same"}

CASES: list[Case] = [
    (layers.MixedPooling2D, {}, IMAGE, (4, 4, 3, 4), [(1,)], {}),
    (layers.MixedPooling2D, {"alpha": 0.25, **SAME}, SMALL, (3, 3, 3, 3), [], {}),
    (layers.MixedPooling2D, {"per": "channel", **FIRST}, IMAGE, (4, 8, 3, 2), [(8, 1, 1)], {}),
    (layers.MixedPooling2D, {"per": "region"}, IMAGE, (4, 4, 3, 4), [(4, 3, 1)], {}),
    (layers.MixedPooling2D, {"per": "channel_region"}, IMAGE, (4, 4, 3, 4), [(4, 3, 4)], {}),
    (layers.GlobalMixedPooling2D, {}, IMAGE, (4, 4), [(1,)], {}),
    (layers.GlobalMixedPooling2D, {"alpha": 0.25, "keepdims": True}, IMAGE, (4, 1, 1, 4), [], {}),
    (layers.GlobalMixedPooling2D, {"per": "channel", **FIRST}, IMAGE, (4, 8), [(8,)], {}),
    (layers.GatedPooling2D, {}, IMAGE, (4, 4, 3, 4), [(2, 2, 1, 1)], {}),
    (layers.GatedPooling2D, {"per": "channel", **SAME}, SMALL, (3, 3, 3, 3), [(3, 3, 3, 1)], {}),
    (
        layers.GatedPooling2D,
        {"gate": "pointwise", "per": "channel", "use_bias": True, **FIRST},
        IMAGE,
        (4, 8, 3, 2),
        [(1, 1, 8, 8), (8,)],
        {},
    ),
    (layers.GatedPooling2D, {"gate": "pointwise"}, IMAGE, (4, 4, 3, 4), [(1, 1, 4, 1)], {}),
    (layers.StochasticPooling2D, {"seed": 1}, IMAGE, (4, 4, 3, 4), [], {"random": True}),
    (layers.StochasticPooling2D, {"seed": 1, **SAME, **FIRST}, SMALL, (3, 5, 3, 2), [], {"random": True}),
    (layers.FractionalMaxPooling2D, {"seed": 1}, IMAGE, (4, 5, 4, 4), [], {"random": True}),
    (
        layers.FractionalMaxPooling2D,
        {"pool_ratio": (1.0, 2.5), "overlapping": False, "pseudo_random": False, "seed": 1, **FIRST},
        IMAGE,
        (4, 8, 6, 1),
        [],
        {"random": True},
    ),
    (layers.FractionalAveragePooling2D, {"seed": 1}, IMAGE, (4, 5, 4, 4), [], {"random": True}),
    (layers.LearnablePooling2D, {}, IMAGE, (4, 4, 3, 4), [(2, 2, 4, 1)], {}),
    (
        layers.LearnablePooling2D,
        {"use_bias": True, **SAME, **FIRST},
        SMALL,
        (3, 5, 3, 2),
        [(3, 3, 5, 1), (5,)],
        {},
    ),
    (layers.AttentionPooling2D, {}, IMAGE, (4, 4, 3, 4), [(1, 1, 4, 1)], {}),
    (
        layers.AttentionPooling2D,
        {"per": "channel", **SAME, **FIRST},
        SMALL,
        (3, 5, 3, 2),
        [(1, 1, 5, 5)],
        {},
    ),
    (layers.GlobalAttentionPooling2D, {}, IMAGE, (4, 4), [(1, 1, 4, 1)], {}),
    (
        layers.GlobalAttentionPooling2D,
        {"per": "channel", "keepdims": True, **FIRST},
        IMAGE,
        (4, 8, 1, 1),
        [(1, 1, 8, 8)],
        {},
    ),
    (layers.LpPooling2D, {}, IMAGE, (4, 4, 3, 4), [], {}),
    (layers.LpPooling2D, {"p": 3, "mean": True, **SAME, **FIRST}, SMALL, (3, 5, 3, 2), [], {}),
    (layers.LpPooling2D, {"p": 1}, IMAGE, (4, 4, 3, 4), [], {}),
    (layers.LpPooling2D, {"p": math.inf}, IMAGE, (4, 4, 3, 4), [], {}),
    (layers.GlobalLpPooling2D, {}, IMAGE, (4, 4), [], {}),
    (layers.GlobalLpPooling2D, {"p": 2.5, "mean": True, "keepdims": True}, IMAGE, (4, 1, 1, 4), [], {}),
    (layers.GlobalLpPooling2D, {"p": math.inf, **FIRST}, IMAGE, (4, 8), [], {}),
    (layers.GeMPooling2D, {}, IMAGE, (4, 4, 3, 4), [(1,)], {}),
    (layers.GeMPooling2D, {"per": "channel", **SAME, **FIRST}, SMALL, (3, 5, 3, 2), [(5,)], {}),
    (layers.GeMPooling2D, {"learn_p": False, "p": 2}, IMAGE, (4, 4, 3, 4), [], {}),
    (layers.GlobalGeMPooling2D, {}, IMAGE, (4, 4), [(1,)], {}),
    (layers.GlobalGeMPooling2D, {"per": "channel", "keepdims": True}, IMAGE, (4, 1, 1, 4), [(4,)], {}),
]
