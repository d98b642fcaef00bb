"""Rows of `test_layers.CASES` for convolutions, pooling and resampling of 1 and 3 spatial axes."""

from __future__ import annotations

from typing import Any

from cnnrs import layers

STEPS = (4, 7, 3)
VOLUME = (2, 4, 5, 6, 3)

CASES: list[tuple[type, dict[str, Any], Any, tuple[int, ...], list[tuple[int, ...]], dict[str, Any]]] = [
    (layers.Conv1D, {"filters": 5, "kernel_size": 3}, STEPS, (4, 5, 5), [(3, 3, 5), (5,)], {}),
    (
        layers.Conv1D,
        {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2, "activation": "relu"},
        STEPS,
        (4, 7, 4),
        [(3, 3, 4), (4,)],
        {},
    ),
    (
        layers.Conv1D,
        {"filters": 4, "kernel_size": 2, "strides": 2, "data_format": "channels_first"},
        STEPS,
        (4, 4, 1),
        [(2, 7, 4), (4,)],
        {},
    ),
    (layers.Conv3D, {"filters": 2, "kernel_size": 2}, VOLUME, (2, 3, 4, 5, 2), [(2, 2, 2, 3, 2), (2,)], {}),
    (
        layers.Conv1DTranspose,
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"},
        STEPS,
        (4, 14, 2),
        [(3, 2, 3), (2,)],
        {},
    ),
    (
        layers.Conv3DTranspose,
        {"filters": 2, "kernel_size": 2, "strides": 2},
        VOLUME,
        (2, 8, 10, 12, 2),
        [(2, 2, 2, 2, 3), (2,)],
        {},
    ),
    (
        layers.DepthwiseConv1D,
        {"kernel_size": 3, "depth_multiplier": 2},
        STEPS,
        (4, 5, 6),
        [(3, 3, 2), (6,)],
        {},
    ),
    (
        layers.SeparableConv1D,
        {"filters": 4, "kernel_size": 3, "padding": "same"},
        STEPS,
        (4, 7, 4),
        [(3, 3, 1), (1, 3, 4), (4,)],
        {},
    ),
    (layers.MaxPooling1D, {}, STEPS, (4, 3, 3), [], {}),
    (layers.MaxPooling1D, {"data_format": "channels_first"}, STEPS, (4, 7, 1), [], {}),
    (layers.MaxPooling3D, {}, VOLUME, (2, 2, 2, 3, 3), [], {}),
    (layers.AveragePooling1D, {"pool_size": 3, "strides": 2, "padding": "same"}, STEPS, (4, 4, 3), [], {}),
    (layers.AveragePooling3D, {"pool_size": 2}, VOLUME, (2, 2, 2, 3, 3), [], {}),
    (layers.GlobalMaxPooling1D, {}, STEPS, (4, 3), [], {}),
    (layers.GlobalMaxPooling3D, {"keepdims": True}, VOLUME, (2, 1, 1, 1, 3), [], {}),
    (layers.GlobalAveragePooling1D, {"data_format": "channels_first"}, STEPS, (4, 7), [], {}),
    (layers.GlobalAveragePooling3D, {}, VOLUME, (2, 3), [], {}),
    (layers.SpatialDropout1D, {"rate": 0.4, "seed": 1}, STEPS, STEPS, [], {"random": True}),
    (layers.SpatialDropout3D, {"rate": 0.4, "seed": 1}, VOLUME, VOLUME, [], {"random": True}),
    (layers.AlphaDropout, {"rate": 0.4, "seed": 1}, STEPS, STEPS, [], {"random": True}),
    (layers.ZeroPadding1D, {"padding": (1, 2)}, STEPS, (4, 10, 3), [], {}),
    (layers.ZeroPadding3D, {}, VOLUME, (2, 6, 7, 8, 3), [], {}),
    (layers.Cropping1D, {"cropping": (1, 2)}, STEPS, (4, 4, 3), [], {}),
    (layers.Cropping3D, {}, VOLUME, (2, 2, 3, 4, 3), [], {}),
    (layers.UpSampling1D, {"size": 3}, STEPS, (4, 21, 3), [], {}),
    (layers.UpSampling3D, {"data_format": "channels_first"}, VOLUME, (2, 4, 10, 12, 6), [], {}),
    (layers.AdaptiveAveragePooling1D, {"output_size": 3}, STEPS, (4, 3, 3), [], {}),
    (layers.AdaptiveAveragePooling2D, {"output_size": (3, 2)}, (2, 5, 6, 3), (2, 3, 2, 3), [], {}),
    (
        layers.AdaptiveAveragePooling3D,
        {"output_size": 2, "data_format": "channels_first"},
        VOLUME,
        (2, 4, 2, 2, 2),
        [],
        {},
    ),
    (
        layers.AdaptiveMaxPooling1D,
        {"output_size": 3, "data_format": "channels_first"},
        STEPS,
        (4, 7, 3),
        [],
        {},
    ),
    (layers.AdaptiveMaxPooling2D, {"output_size": 2}, (2, 5, 6, 3), (2, 2, 2, 3), [], {}),
    (layers.AdaptiveMaxPooling3D, {"output_size": (2, 3, 2)}, VOLUME, (2, 2, 3, 2, 3), [], {}),
]
