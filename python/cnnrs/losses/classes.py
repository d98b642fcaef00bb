"""Losses as objects: a function of `cnnrs.losses.functions` with its arguments and a reduction."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import number
from cnnrs.losses.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_similarity,
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
from cnnrs.losses.loss import Loss
from cnnrs.serialization import deserialize_keras_object, serialize_keras_object

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]


class LossFunctionWrapper(Loss):
    """A loss that applies a function `(y_true, y_pred, **arguments)` to each sample."""

    def __init__(
        self,
        fn: Any,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._arguments = kwargs
        for argument, value in kwargs.items():
            if not hasattr(self, argument):
                setattr(self, argument, value)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self._arguments)

    def get_config(self) -> dict[str, Any]:
        own = {"fn": serialize_keras_object(self.fn)} if type(self) is LossFunctionWrapper else {}
        return {**super().get_config(), **own, **self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        if "fn" in config:
            config = {**config, "fn": deserialize_keras_object(config["fn"])}
        return cls(**config)


class BinaryCrossentropy(LossFunctionWrapper):
    """`-(y log p + (1 - y) log(1 - p))`, mean over `axis`.

    >>> from cnnrs import losses
    >>> loss = losses.BinaryCrossentropy(from_logits=True)
    >>> round(float(loss([[0.0], [1.0]], [[0.0], [0.0]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """Binary cross-entropy with easy samples weighted down (Lin et al. 2017).

    Args:
        apply_class_balancing: Whether `alpha` is applied.
        alpha: Weight of the positive class, 1 - alpha that of the negative.
        gamma: Exponent of the weight of easy samples.
        from_logits: Whether predictions are logits.
        label_smoothing: Targets become `y (1 - s) + s / 2`.
        axis: The axis to average over.
        reduction: As in `Loss`.
        name: Name.
        dtype: None or "float32".

    >>> from cnnrs import losses
    >>> round(float(losses.BinaryFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.1733
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        number(alpha, self, "alpha", least=0, most=1)
        number(gamma, self, "gamma", least=0)
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalCrossentropy(LossFunctionWrapper):
    """`-Σ y log p` for one-hot targets.

    Args:
        from_logits: Whether predictions are logits.
        label_smoothing: Targets become `y (1 - s) + s / classes`.
        axis: The axis of the classes.
        reduction: As in `Loss`.
        name: Name.
        dtype: None or "float32".

    >>> from cnnrs import losses
    >>> round(float(losses.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`-log p[label]` for integer labels; those equal to `ignore_class` count nothing.

    Args:
        from_logits: Whether predictions are logits.
        ignore_class: Class that counts nothing; means are over the other samples.
        reduction: As in `Loss`.
        axis: The axis of the classes, the last one.
        name: Name.
        dtype: As in `Loss`.
        label_smoothing: The share of a label that is spread evenly over all classes, 0..1. By name only:
            Keras has it for one-hot labels alone.

    Raises:
        ValueError: `label_smoothing` is not in 0..1.

    >>> from cnnrs import losses
    >>> loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> round(float(loss([1, 0], [[0.0, 0.0], [0.0, 0.0]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        *,
        label_smoothing: float = 0.0,
    ):
        number(label_smoothing, self, "label_smoothing", least=0, most=1)
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
            **({"label_smoothing": label_smoothing} if label_smoothing else {}),
        )


class Huber(LossFunctionWrapper):
    """Half the squared error up to `delta`, linear beyond (Huber 1964).

    Args:
        delta: Where the loss becomes linear.
        reduction: As in `Loss`.
        name: Name.
        dtype: None or "float32".

    >>> from cnnrs import losses
    >>> float(losses.Huber()([[0.0, 0.0]], [[0.5, 3.0]]))
    1.3125
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(huber, reduction, name, dtype, delta=number(delta, self, "delta", above=0))


class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between target and prediction along `axis`.

    Args:
        axis: The axis of the vectors.
        reduction: As in `Loss`.
        name: Name.
        dtype: None or "float32".

    >>> from cnnrs import losses
    >>> round(float(losses.CosineSimilarity()([[1.0, 0.0]], [[2.0, 0.0]])), 4)
    -1.0
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


def _plain(function: Any, class_name: str, default: str) -> type:
    """A class for a loss function without arguments of its own."""

    def __init__(
        self: Any, reduction: str = "sum_over_batch_size", name: str = default, dtype: Any = None
    ) -> None:
        LossFunctionWrapper.__init__(self, function, reduction, name, dtype)

    members = {"__init__": __init__, "__doc__": function.__doc__, "__module__": __name__}
    return type(class_name, (LossFunctionWrapper,), members)


MeanSquaredError = _plain(mean_squared_error, "MeanSquaredError", "mean_squared_error")
MeanAbsoluteError = _plain(mean_absolute_error, "MeanAbsoluteError", "mean_absolute_error")
MeanAbsolutePercentageError = _plain(
    mean_absolute_percentage_error, "MeanAbsolutePercentageError", "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _plain(
    mean_squared_logarithmic_error, "MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"
)
LogCosh = _plain(log_cosh, "LogCosh", "log_cosh")
KLDivergence = _plain(kl_divergence, "KLDivergence", "kl_divergence")
Poisson = _plain(poisson, "Poisson", "poisson")
Hinge = _plain(hinge, "Hinge", "hinge")
SquaredHinge = _plain(squared_hinge, "SquaredHinge", "squared_hinge")
CategoricalHinge = _plain(categorical_hinge, "CategoricalHinge", "categorical_hinge")
