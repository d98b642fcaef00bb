"""Losses as metrics: their means over the batches so far."""

from __future__ import annotations

from typing import Any

from cnnrs.losses import functions
from cnnrs.losses.loss import as_tensor, squeeze_or_expand
from cnnrs.metrics.metric import Mean, MeanMetricWrapper
from cnnrs.ops import raw

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]


class BinaryCrossentropy(MeanMetricWrapper):
    """Mean binary cross-entropy.

    >>> from cnnrs import metrics
    >>> round(float(metrics.BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            functions.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean categorical cross-entropy of one-hot targets.

    >>> from cnnrs import metrics
    >>> round(float(metrics.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(
            functions.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean categorical cross-entropy of integer labels; those equal to `ignore_class` do not count.

    >>> from cnnrs import metrics
    >>> round(float(metrics.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
    0.6931
    """

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(
            functions.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


def _cosine(y_true: Any, y_pred: Any, axis: int) -> Any:
    """The loss is the negative."""
    return -functions.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between target and prediction.

    >>> from cnnrs import metrics
    >>> round(float(metrics.CosineSimilarity()([[1.0, 0.0]], [[2.0, 0.0]])), 4)
    1.0
    """

    _direction = "up"

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(_cosine, name, dtype, axis=axis)


class RootMeanSquaredError(Mean):
    """`√mean((y_true - y_pred)²)`.

    >>> from cnnrs import metrics
    >>> float(metrics.RootMeanSquaredError()([[0.0, 0.0]], [[3.0, 3.0]]))
    3.0
    """

    _direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    # A metric of targets and predictions, made of a mean of values.
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_true, y_pred = (as_tensor(y).astype("float32") for y in (y_true, y_pred))
        y_true, y_pred = squeeze_or_expand(y_true, y_pred)
        super().update_state(raw.square(y_pred - y_true), sample_weight)

    def result(self) -> Any:
        return raw.sqrt(super().result())


def _plain(function: Any, class_name: str, default: str) -> type:
    """The mean of a loss function without arguments of its own."""

    def __init__(self: Any, name: str = default, dtype: Any = None) -> None:
        MeanMetricWrapper.__init__(self, function, name, dtype)

    members = {"__init__": __init__, "__doc__": function.__doc__, "__module__": __name__}
    return type(class_name, (MeanMetricWrapper,), members)


MeanSquaredError = _plain(functions.mean_squared_error, "MeanSquaredError", "mean_squared_error")
MeanAbsoluteError = _plain(functions.mean_absolute_error, "MeanAbsoluteError", "mean_absolute_error")
MeanAbsolutePercentageError = _plain(
    functions.mean_absolute_percentage_error, "MeanAbsolutePercentageError", "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _plain(
    functions.mean_squared_logarithmic_error, "MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"
)
LogCoshError = _plain(functions.log_cosh, "LogCoshError", "logcosh")
KLDivergence = _plain(functions.kl_divergence, "KLDivergence", "kl_divergence")
Poisson = _plain(functions.poisson, "Poisson", "poisson")
Hinge = _plain(functions.hinge, "Hinge", "hinge")
SquaredHinge = _plain(functions.squared_hinge, "SquaredHinge", "squared_hinge")
CategoricalHinge = _plain(functions.categorical_hinge, "CategoricalHinge", "categorical_hinge")
