"""Layers, losses, metrics, optimizers and initializers that are compared: configurations and data."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DISTRIBUTIONS", "LAYERS", "LOSSES", "METRICS", "OPTIMIZERS", "loss_data", "metric_data"]


def _every(base: dict[str, Any], **options: list[Any]) -> list[dict[str, Any]]:
    """`base` with one option changed at a time, and each value of it."""
    return [base, *({**base, key: value} for key, values in options.items() for value in values)]


_CONV: dict[str, list[Any]] = {
    "strides": [2],
    "padding": ["same"],
    "dilation_rate": [2],
    "use_bias": [False],
    "activation": ["relu"],
}
_POOL: dict[str, list[Any]] = {"strides": [1], "padding": ["same"]}
_RECURRENT: dict[str, list[Any]] = {"return_sequences": [True], "go_backwards": [True], "use_bias": [False]}
_IMAGE, _LINE, _ROW = (2, 8, 7, 3), (2, 9, 3), (3, 5)

# Name: configurations and the shapes of inputs. Weights are drawn, and given to both.
LAYERS: dict[str, tuple[list[dict[str, Any]], list[tuple[int, ...]]]] = {
    "Dense": (_every({"units": 4}, use_bias=[False], activation=["tanh", "softmax"]), [_ROW]),
    "EinsumDense": ([{"equation": "abc,cd->abd", "output_shape": (None, 4), "bias_axes": "d"}], [_LINE]),
    "Conv1D": (_every({"filters": 4, "kernel_size": 3}, **_CONV), [_LINE]),
    "Conv2D": (_every({"filters": 6, "kernel_size": 3}, groups=[3], **_CONV), [_IMAGE]),
    "SeparableConv2D": (
        _every({"filters": 4, "kernel_size": 3}, depth_multiplier=[2], padding=["same"]),
        [_IMAGE],
    ),
    "SeparableConv1D": ([{"filters": 4, "kernel_size": 3}], [_LINE]),
    "DepthwiseConv2D": (
        _every({"kernel_size": 3}, depth_multiplier=[2], strides=[2], padding=["same"]),
        [_IMAGE],
    ),
    "DepthwiseConv1D": (_every({"kernel_size": 3}, depth_multiplier=[2]), [_LINE]),
    "Conv2DTranspose": (
        _every({"filters": 4, "kernel_size": 3}, strides=[2], padding=["same"], use_bias=[False]),
        [_IMAGE],
    ),
    "Conv1DTranspose": (_every({"filters": 4, "kernel_size": 3}, strides=[2], padding=["same"]), [_LINE]),
    "MaxPooling1D": (_every({"pool_size": 2}, **_POOL), [_LINE]),
    "MaxPooling2D": (_every({"pool_size": 2}, **_POOL), [_IMAGE]),
    "AveragePooling1D": (_every({"pool_size": 2}, **_POOL), [_LINE]),
    "AveragePooling2D": (_every({"pool_size": (3, 2)}, **_POOL), [_IMAGE]),
    "GlobalAveragePooling1D": (_every({}, keepdims=[True]), [_LINE]),
    "GlobalAveragePooling2D": (_every({}, keepdims=[True]), [_IMAGE]),
    "GlobalMaxPooling1D": ([{}], [_LINE]),
    "GlobalMaxPooling2D": (_every({}, keepdims=[True]), [_IMAGE]),
    "AdaptiveAveragePooling2D": ([{"output_size": (3, 2)}], [_IMAGE]),
    "AdaptiveMaxPooling2D": ([{"output_size": 3}], [_IMAGE]),
    "UpSampling1D": ([{"size": 2}], [_LINE]),
    "UpSampling2D": (_every({"size": 2}, interpolation=["bilinear"]), [_IMAGE]),
    "ZeroPadding1D": ([{"padding": (1, 2)}], [_LINE]),
    "ZeroPadding2D": ([{"padding": ((1, 2), (0, 3))}], [_IMAGE]),
    "Cropping1D": ([{"cropping": (1, 2)}], [_LINE]),
    "Cropping2D": ([{"cropping": ((1, 2), (0, 3))}], [_IMAGE]),
    "BatchNormalization": (
        _every({}, axis=[1], scale=[False], center=[False], epsilon=[0.1]),
        [_IMAGE, _ROW],
    ),
    "LayerNormalization": (_every({}, axis=[(1, 2)], scale=[False], center=[False]), [_LINE]),
    "GroupNormalization": (_every({"groups": 3}, scale=[False]), [_IMAGE]),
    "RMSNormalization": ([{}], [_LINE]),
    "UnitNormalization": (_every({}, axis=[1]), [_LINE]),
    "ReLU": (_every({}, max_value=[1.0], negative_slope=[0.2], threshold=[0.5]), [_ROW]),
    "LeakyReLU": (_every({}, negative_slope=[0.1]), [_ROW]),
    "PReLU": (_every({}, shared_axes=[[1]]), [_LINE]),
    "ELU": (_every({}, alpha=[0.5]), [_ROW]),
    "Softmax": (_every({}, axis=[1]), [_LINE]),
    "Activation": (
        [{"activation": name} for name in ("relu", "gelu", "swish", "mish", "softplus", "elu")],
        [_ROW],
    ),
    "Flatten": ([{}], [_IMAGE]),
    "Reshape": ([{"target_shape": (-1, 3)}], [_IMAGE]),
    "Permute": ([{"dims": (2, 3, 1)}], [_IMAGE]),
    "RepeatVector": ([{"n": 3}], [_ROW]),
    "Rescaling": (_every({"scale": 0.5}, offset=[1.0]), [_IMAGE]),
    "Resizing": (
        _every({"height": 5, "width": 9}, interpolation=["nearest", "bicubic"], crop_to_aspect_ratio=[True]),
        [_IMAGE],
    ),
    "CenterCrop": ([{"height": 5, "width": 4}], [_IMAGE]),
    "Dropout": ([{"rate": 0.5}], [_ROW]),
    "SpatialDropout2D": ([{"rate": 0.5}], [_IMAGE]),
    "GaussianNoise": ([{"stddev": 0.5}], [_ROW]),
    "GaussianDropout": ([{"rate": 0.5}], [_ROW]),
    "AlphaDropout": ([{"rate": 0.5}], [_ROW]),
    "Add": ([{}], [_ROW, _ROW]),
    "Subtract": ([{}], [_ROW, _ROW]),
    "Multiply": ([{}], [_ROW, _ROW]),
    "Average": ([{}], [_ROW, _ROW]),
    "Maximum": ([{}], [_ROW, _ROW]),
    "Minimum": ([{}], [_ROW, _ROW]),
    "Concatenate": (_every({}, axis=[0]), [_ROW, _ROW]),
    "Dot": (_every({"axes": 1}, normalize=[True]), [_ROW, _ROW]),
    "Attention": (_every({}, use_scale=[True]), [(2, 4, 3), (2, 5, 3)]),
    "AdditiveAttention": ([{}], [(2, 4, 3), (2, 5, 3)]),
    "MultiHeadAttention": (
        _every({"num_heads": 2, "key_dim": 4}, value_dim=[3], use_bias=[False], output_shape=[6]),
        [(2, 4, 3), (2, 5, 3)],
    ),
    "GroupQueryAttention": (
        [{"head_dim": 4, "num_query_heads": 4, "num_key_value_heads": 2}],
        [(2, 4, 3), (2, 5, 3)],
    ),
    "SimpleRNN": (_every({"units": 4}, **_RECURRENT), [_LINE]),
    "LSTM": (_every({"units": 4}, unit_forget_bias=[False], **_RECURRENT), [_LINE]),
    "GRU": (_every({"units": 4}, reset_after=[False], **_RECURRENT), [_LINE]),
    "ConvLSTM2D": ([{"filters": 2, "kernel_size": 3, "padding": "same"}], [(2, 3, 5, 5, 2)]),
    "RandomFlip": ([{"mode": "horizontal"}], [_IMAGE]),
    "RandomRotation": ([{"factor": 0.2}], [_IMAGE]),
    "RandomZoom": ([{"height_factor": 0.2}], [_IMAGE]),
    "RandomContrast": ([{"factor": 0.2}], [_IMAGE]),
    "RandomCrop": ([{"height": 5, "width": 4}], [_IMAGE]),
    "AutoContrast": ([{}], [_IMAGE]),
    "Solarization": ([{}], [_IMAGE]),
    "Equalization": ([{"value_range": (-1, 1)}], [_IMAGE]),
}

_REDUCTIONS: dict[str, list[Any]] = {"reduction": ["sum", "none"]}
LOSSES: dict[str, list[dict[str, Any]]] = {
    **dict.fromkeys(
        "MeanSquaredError MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredLogarithmicError LogCosh "
        "Poisson KLDivergence Hinge SquaredHinge CategoricalHinge Dice Circle".split(),
        _every({}, **_REDUCTIONS),
    ),
    "CosineSimilarity": _every({}, axis=[0], **_REDUCTIONS),
    "Huber": _every({}, delta=[0.3], **_REDUCTIONS),
    "Tversky": _every({}, alpha=[0.3]),
    "BinaryCrossentropy": _every({}, from_logits=[True], label_smoothing=[0.1], **_REDUCTIONS),
    "BinaryFocalCrossentropy": _every({}, gamma=[1.0], apply_class_balancing=[True]),
    "CategoricalCrossentropy": _every({}, from_logits=[True], label_smoothing=[0.1], **_REDUCTIONS),
    "CategoricalFocalCrossentropy": _every({}, gamma=[1.0], alpha=[0.5]),
    "CategoricalGeneralizedCrossEntropy": [{}],
    "SparseCategoricalCrossentropy": _every({}, from_logits=[True], ignore_class=[1], **_REDUCTIONS),
}

METRICS: dict[str, list[dict[str, Any]]] = {
    **dict.fromkeys(
        "MeanSquaredError RootMeanSquaredError MeanAbsoluteError MeanAbsolutePercentageError LogCoshError "
        "Poisson MeanSquaredLogarithmicError KLDivergence Hinge SquaredHinge CategoricalHinge R2Score "
        "BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy BinaryCrossentropy "
        "CategoricalCrossentropy SparseCategoricalCrossentropy "
        "Accuracy PearsonCorrelation ConcordanceCorrelation".split(),
        [{}],
    ),
    "CosineSimilarity": [{}],
    "TopKCategoricalAccuracy": [{"k": 2}],
    "SparseTopKCategoricalAccuracy": [{"k": 2}],
    **dict.fromkeys(
        "TruePositives FalsePositives TrueNegatives FalseNegatives".split(),
        _every({}, thresholds=[[0.2, 0.7]]),
    ),
    "Precision": _every({}, thresholds=[[0.2, 0.7]], top_k=[2], class_id=[1]),
    "Recall": _every({}, thresholds=[[0.2, 0.7]], top_k=[2], class_id=[1]),
    "AUC": _every({}, curve=["PR"], num_thresholds=[20], summation_method=["majoring"], multi_label=[True]),
    "F1Score": _every({}, average=["micro", "macro"]),
    "FBetaScore": _every({}, beta=[2.0], threshold=[0.4]),
    "SensitivityAtSpecificity": [{"specificity": 0.5}],
    "SpecificityAtSensitivity": [{"sensitivity": 0.5}],
    "PrecisionAtRecall": [{"recall": 0.5}],
    "RecallAtPrecision": [{"precision": 0.5}],
    "MeanIoU": [{"num_classes": 4}],
    "IoU": [{"num_classes": 4, "target_class_ids": [0, 2]}],
    "BinaryIoU": [{}],
    "OneHotIoU": [{"num_classes": 4, "target_class_ids": [0, 2]}],
    "OneHotMeanIoU": [{"num_classes": 4}],
}

_COMMON: dict[str, list[Any]] = {
    "weight_decay": [0.01],
    "clipnorm": [0.5],
    "clipvalue": [0.2],
    "global_clipnorm": [0.5],
    "use_ema": [True],
    "gradient_accumulation_steps": [2],
}
OPTIMIZERS: dict[str, list[dict[str, Any]]] = {
    "SGD": _every({"learning_rate": 0.1}, momentum=[0.9], **_COMMON) + [{"momentum": 0.9, "nesterov": True}],
    "RMSprop": _every({}, momentum=[0.9], centered=[True], **_COMMON),
    "Adam": _every({}, amsgrad=[True], beta_1=[0.5], **_COMMON),
    **dict.fromkeys(
        "AdamW Adadelta Adagrad Adamax Nadam Lion Adafactor Ftrl Lamb ScheduleFreeAdamW Muon".split(),
        _every({}, clipnorm=[0.5], weight_decay=[0.01]),
    ),
}

# Initializers whose draws are compared as distributions.
DISTRIBUTIONS: dict[str, list[dict[str, Any]]] = {
    "GlorotUniform": [{}],
    "GlorotNormal": [{}],
    "HeUniform": [{}],
    "HeNormal": [{}],
    "LecunUniform": [{}],
    "LecunNormal": [{}],
    "RandomUniform": _every({}, minval=[-1.0]),
    "RandomNormal": _every({}, mean=[1.0], stddev=[0.2]),
    "TruncatedNormal": _every({}, stddev=[0.2]),
    "VarianceScaling": _every(
        {}, mode=["fan_out", "fan_avg"], distribution=["uniform", "untruncated_normal"]
    ),
    "Orthogonal": _every({}, gain=[2.0]),
    "Identity": [{}],
    "Zeros": [{}],
    "Ones": [{}],
    "Constant": [{"value": 3.0}],
}


def loss_data(name: str, config: dict[str, Any], rng: np.random.Generator) -> tuple[Any, Any]:
    """Targets and outputs that a loss takes."""
    return metric_data(name, config, rng, rows=6)


def metric_data(
    name: str, config: dict[str, Any], rng: np.random.Generator, rows: int = 20
) -> tuple[Any, Any]:
    """Targets and outputs that a metric or loss takes."""
    classes = 4
    scores = rng.uniform(0.05, 1, (rows, classes)).astype("float32")
    probabilities = scores / scores.sum(-1, keepdims=True)
    outputs = (scores * 6 - 3).astype("float32") if config.get("from_logits") else probabilities
    labels = rng.integers(0, classes, rows).astype("int32")
    one_hot = np.eye(classes, dtype="float32")[labels]
    if name in ("MeanIoU", "IoU", "Accuracy"):
        return labels, rng.integers(0, classes, rows).astype("int32")
    if name.startswith("Sparse"):
        return labels, outputs
    if name == "Circle":
        return labels, probabilities
    binary = (
        "Binary",
        "True",
        "False",
        "Precision",
        "Recall",
        "AUC",
        "Sensitivity",
        "Specificity",
        "Dice",
        "Tversky",
    )
    if name.startswith(binary) and not (
        config.get("top_k") or "class_id" in config or config.get("multi_label")
    ):
        flags = (rng.random((rows, 1)) < 0.5).astype("float32")
        given = rng.uniform(0.02, 0.98, (rows, 1)).astype("float32")
        return flags, given * 6 - 3 if config.get("from_logits") else given
    if name.startswith(("Categorical", "TopK", "OneHot", "F1", "FBeta", "Precision", "Recall", "AUC", "KL")):
        return one_hot, outputs
    if "Hinge" in name:
        return np.sign(rng.standard_normal((rows, classes))).astype("float32"), scores
    return rng.uniform(0.1, 2, (rows, classes)).astype("float32"), rng.uniform(
        0.1, 2, (rows, classes)
    ).astype("float32")
