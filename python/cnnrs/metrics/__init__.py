"""Metrics: state in variables, updated batch by batch."""

from __future__ import annotations

from typing import Any

from cnnrs import _core, identifiers, losses, naming
from cnnrs.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    resolve_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from cnnrs.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from cnnrs.metrics.metric import Mean, MeanMetricWrapper, Metric, Sum

__all__ = ["deserialize", "get", "resolve_accuracy", "serialize"]

from cnnrs.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)


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
            losses.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
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
            losses.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean categorical cross-entropy of integer labels.

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
            losses.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


def _cosine(y_true: Any, y_pred: Any, axis: int) -> Any:
    """The loss is the negative."""
    return -losses.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between target and prediction.

    >>> from cnnrs import metrics
    >>> round(float(metrics.CosineSimilarity()([[1.0, 0.0]], [[2.0, 0.0]])), 4)
    1.0
    """

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(_cosine, name, dtype, axis=axis)


class RootMeanSquaredError(Mean):
    """`√mean((y_true - y_pred)²)`.

    >>> from cnnrs import metrics
    >>> float(metrics.RootMeanSquaredError()([[0.0, 0.0]], [[3.0, 3.0]]))
    3.0
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(losses.mean_squared_error(y_true, y_pred), sample_weight)

    def result(self) -> Any:
        return _core.apply("sqrt", [super().result()])


def _plain(function: Any, class_name: str, default: str) -> type:
    """The mean of a loss function without arguments of its own."""

    def __init__(self: Any, name: str = default, dtype: Any = None) -> None:
        MeanMetricWrapper.__init__(self, function, name, dtype)

    members = {"__init__": __init__, "__doc__": function.__doc__, "__module__": __name__}
    return type(class_name, (MeanMetricWrapper,), members)


MeanSquaredError = _plain(losses.mean_squared_error, "MeanSquaredError", "mean_squared_error")
MeanAbsoluteError = _plain(losses.mean_absolute_error, "MeanAbsoluteError", "mean_absolute_error")
MeanAbsolutePercentageError = _plain(
    losses.mean_absolute_percentage_error, "MeanAbsolutePercentageError", "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _plain(
    losses.mean_squared_logarithmic_error, "MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"
)
LogCoshError = _plain(losses.log_cosh, "LogCoshError", "logcosh")
KLDivergence = _plain(losses.kl_divergence, "KLDivergence", "kl_divergence")
Poisson = _plain(losses.poisson, "Poisson", "poisson")
Hinge = _plain(losses.hinge, "Hinge", "hinge")
SquaredHinge = _plain(losses.squared_hinge, "SquaredHinge", "squared_hinge")
CategoricalHinge = _plain(losses.categorical_hinge, "CategoricalHinge", "categorical_hinge")

_CLASSES = (
    AUC,
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    FalseNegatives,
    FalsePositives,
    Hinge,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    Precision,
    Recall,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
)
_FUNCTIONS = (
    binary_accuracy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_accuracy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_accuracy,
    sparse_categorical_crossentropy,
    sparse_top_k_categorical_accuracy,
    squared_hinge,
    top_k_categorical_accuracy,
)
__all__ += ["MeanMetricWrapper", "Metric", *(item.__name__ for item in (*_CLASSES, *_FUNCTIONS))]
_BY_NAME = {cls.__name__: cls for cls in _CLASSES}
_BY_NAME.update({naming.to_snake_case(cls.__name__): cls for cls in _CLASSES})
_BY_NAME.update(
    {
        "acc": Accuracy,
        "auc": AUC,
        "mse": MeanSquaredError,
        "MSE": MeanSquaredError,
        "mae": MeanAbsoluteError,
        "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError,
        "bce": BinaryCrossentropy,
        "rmse": RootMeanSquaredError,
        "kl_divergence": KLDivergence,
        "logcosh": LogCoshError,
    }
)


def serialize(metric: Any) -> Any:
    """The config of a metric.

    >>> from cnnrs import metrics
    >>> metrics.serialize(metrics.BinaryAccuracy(threshold=0.3))["config"]["threshold"]
    0.3
    """
    from cnnrs import saving

    return saving.serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The metric of a config.

    >>> from cnnrs import metrics
    >>> metrics.deserialize(metrics.serialize(metrics.Mean(name="loss"))).name
    'loss'
    """
    return identifiers.deserialize(config, _BY_NAME, "metric", custom_objects)


def get(identifier: Any) -> Any:
    """The metric that a name, config, class or function stands for.

    >>> from cnnrs import metrics
    >>> metrics.get("mae").name
    'mean_absolute_error'
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = identifiers.lookup(identifier, _BY_NAME, "metric")
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"metric: expected a name, an object or a function, received {identifier!r}")


_WRITE_IT = "write it as a subclass of Metric, with cnnrs.ops"
_THRESHOLDS = "give thresholds to Precision and Recall"
__getattr__ = identifiers.without(
    "cnnrs.metrics",
    {
        "IoU BinaryIoU MeanIoU OneHotIoU OneHotMeanIoU": _WRITE_IT,
        "F1Score FBetaScore R2Score": _WRITE_IT,
        "PearsonCorrelation ConcordanceCorrelation": _WRITE_IT,
        "pearson_correlation concordance_correlation": _WRITE_IT,
        "PrecisionAtRecall RecallAtPrecision": _THRESHOLDS,
        "SensitivityAtSpecificity SpecificityAtSensitivity": _THRESHOLDS,
    },
    __all__,
)
