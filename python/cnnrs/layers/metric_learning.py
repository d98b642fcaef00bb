"""Heads for embeddings: cosines to a vector of each class, ArcFace's margin, and centres of classes."""

from __future__ import annotations

from typing import Any

from cnnrs import initializers, losses, ops
from cnnrs.base.arguments import number
from cnnrs.layers.arguments import Parts, looked_up, positive
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.losses.margins import changed_at, check_margin, wider_angles

__all__ = ["ArcFace", "CenterLoss", "CosineDense"]


class CosineDense(Layer):
    """The cosine of the angle between an input and the vector of each unit: a `Dense` layer of directions.

    Neither the length of an input nor that of a vector counts. `losses.ArcFace` and `losses.CosFace` take it
    as predictions, and the layer before it gives embeddings that are compared by their cosine.

    Args:
        units: How many vectors: the classes.
        kernel_initializer: How they start.
        kernel_regularizer: Penalty of them.
        kernel_constraint: Applied to them after each update.
        **kwargs: As for `Layer`. With mixed precision, `dtype="float32"` keeps the cosines exact.

    Input shape:
        (batch, ..., features).

    Output shape:
        (batch, ..., units), numbers of -1..1. An input of zeros has the cosine 0.

    Weights: kernel (features, units).

    Reference:
        Wang, Xiang, Cheng and Yuille 2017, "NormFace: L2 Hypersphere Embedding for Face Verification",
        arXiv:1704.06369.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.CosineDense(2, kernel_initializer="identity")
    >>> layer(np.array([[6.0, 8.0]])).numpy().round(4)
    array([[0.6, 0.8]], dtype=float32)
    """

    _supports_masking = True

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = positive(units, self.name, "units")
        self._parts = Parts(
            self,
            kernel_initializer=kernel_initializer,
            kernel_regularizer=kernel_regularizer,
            kernel_constraint=kernel_constraint,
        )
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"{self.name}: expected a known extent of the last axis, received shape {input_shape}"
            )
        self.kernel = self.add_weight(shape=(features, self.units), **self._parts.of("kernel"))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs: Any) -> Any:
        return self._cosines(inputs)

    def _cosines(self, inputs: Any) -> Any:
        return ops.matmul(ops.normalize(inputs, axis=-1), ops.normalize(self.kernel, axis=0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, **self._parts.config()}


class ArcFace(CosineDense):
    """The head of ArcFace: logits `scale · cos θ`, in training `scale · cos(θ + margin)` for the label.

    It is called with the labels in training, and without them for inference. The loss is a cross-entropy of
    logits. `losses.ArcFace` with `CosineDense` does the same without labels as an input, with the margin in
    the loss of the validation data, too.

    Args:
        classes: How many classes.
        scale: Factor of the cosines, above 0.
        margin: Radians that are added to the angle of the label, 0 to π.
        easy_margin: Whether angles of more than a right one are left as they are. Otherwise
            `cos θ - margin sin margin` stands in beyond θ + margin = π, where the cosine would grow again.
        kernel_initializer: How the vectors of the classes start.
        kernel_regularizer: Penalty of them.
        kernel_constraint: Applied to them after each update.
        **kwargs: As for `Layer`. With mixed precision, `dtype="float32"` keeps the cosines exact.

    Call arguments:
        inputs: Embeddings, (batch, features).
        labels: Integer labels, (batch,) or (batch, 1); None for no margin.
        training: Whether the margin is added.

    Output shape:
        (batch, classes).

    Weights: kernel (features, classes).

    Raises:
        ValueError: An argument is none of these, or labels do not fit embeddings.

    Reference:
        Deng, Guo, Xue and Zafeiriou 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
        arXiv:1801.07698.

    >>> import numpy as np
    >>> import cnnrs
    >>> from cnnrs import layers
    >>> image, label = cnnrs.Input((8,)), cnnrs.Input((), dtype="int32")
    >>> embedding = layers.Dense(4)(image)
    >>> head = layers.ArcFace(10, scale=16.0)
    >>> training = cnnrs.Model([image, label], head(embedding, label))
    >>> inference = cnnrs.Model(image, head(embedding))
    >>> x, y = np.random.default_rng(0).normal(size=(20, 8)).astype("float32"), np.arange(20) % 10
    >>> training.compile("adam", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> history = training.fit([x, y], y, verbose=0)
    >>> inference.predict(x, verbose=0).shape
    (20, 10)
    """

    def __init__(
        self,
        classes: int,
        scale: float = 64.0,
        margin: float = 0.5,
        easy_margin: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        **kwargs: Any,
    ):
        self.classes = positive(classes, kwargs.get("name") or "ArcFace", "classes")
        super().__init__(classes, kernel_initializer, kernel_regularizer, kernel_constraint, **kwargs)
        check_margin(self.name, scale, margin, easy_margin)
        self.scale, self.margin, self.easy_margin = scale, margin, easy_margin
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any, labels: Any = None, training: Any = None) -> Any:
        cosines = self._cosines(inputs)
        if labels is not None:
            labels = _checked(labels, cosines, self.name)
        if labels is not None and training:
            margin = float(self.margin)
            cosines = changed_at(labels, cosines, lambda own: wider_angles(own, margin, self.easy_margin))
        return cosines * float(self.scale)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "classes": self.classes, "scale": self.scale}
        del config["units"]
        return {**config, "margin": self.margin, "easy_margin": self.easy_margin}


def _checked(labels: Any, beside: Any, layer: str) -> Any:
    """Labels (batch,) or (batch, 1) as integers (batch,).

    Raises:
        ValueError: They do not fit what stands beside them.
    """
    labels, rows = ops.convert_to_tensor(labels), beside.shape[0]
    if tuple(labels.shape) not in ((rows,), (rows, 1)):
        raise ValueError(
            f"{layer}: labels: expected integers of shape ({rows},) or ({rows}, 1), "
            f"received shape {tuple(labels.shape)}"
        )
    return ops.reshape(ops.cast(labels, "int32"), (-1,))


class CenterLoss(Layer):
    """The input itself, whose distance from the centre of its class is added to the loss.

    `weight · mean(½ |x - c|²)`, beside a softmax loss, draws the features of a class together. The centres
    are weights of the layer, so that they are saved and go on with training. In training they follow their
    features by `c -= alpha Σ(c - x) / (1 + n)` over the n samples of their class in a batch; or the optimizer
    moves them.

    Args:
        classes: How many classes.
        alpha: How fast centres follow, 0..1; None to train them with the other weights.
        weight: Factor of the loss, at least 0: λ in the paper.
        centers_initializer: How centres start.
        **kwargs: As for `Layer`.

    Call arguments:
        inputs: Features, (batch, width).
        labels: Integer labels, (batch,) or (batch, 1); None, for inference, adds no loss.
        training: Whether the centres follow.

    Output shape:
        That of the input.

    Weights: centers (classes, width), not trainable unless `alpha` is None.

    Raises:
        ValueError: An argument is none of these, or labels do not fit features.

    Reference:
        Wen, Zhang, Li and Qiao 2016, "A Discriminative Feature Learning Approach for Deep Face Recognition",
        ECCV, equations 2 to 4.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.CenterLoss(3, alpha=0.5, weight=1.0)
    >>> y = layer(np.array([[2.0, 0.0]]), labels=np.array([1]), training=True)
    >>> float(layer.losses[0]), layer.get_weights()[0].tolist()
    (2.0, [[0.0, 0.0], [0.5, 0.0], [0.0, 0.0]])
    """

    _supports_masking = True

    def __init__(
        self,
        classes: int,
        alpha: float | None = 0.5,
        weight: float = 0.003,
        centers_initializer: Any = "zeros",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.classes = positive(classes, self.name, "classes")
        self.alpha = None if alpha is None else number(alpha, self.name, "alpha", least=0, most=1)
        self.weight = number(weight, self.name, "weight", least=0)
        self.centers_initializer = looked_up(
            centers_initializer, initializers, self.name, "centers_initializer"
        )
        self.input_spec = InputSpec(ndim=2)

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        if width is None:
            raise ValueError(f"{self.name}: expected a known width of features, received shape {input_shape}")
        self.centers = self.add_weight(
            name="centers",
            shape=(self.classes, width),
            initializer=self.centers_initializer,
            trainable=self.alpha is None,
        )
        self.input_spec = InputSpec(ndim=2, axes={-1: width})

    def call(self, inputs: Any, labels: Any = None, training: Any = None) -> Any:
        if labels is None:
            return inputs
        # Squares and running means are more than 16 bits hold.
        features = ops.cast(inputs, self.variable_dtype)
        labels, centers = _checked(labels, features, self.name), self.centers.value
        values = losses.center(labels, features, centers)
        self.add_loss(self.weight * ops.sum(values) / max(1, features.shape[0]))
        if training and self.trainable and self.alpha is not None:
            features = ops.stop_gradient(features)
            hot = ops.one_hot(labels, self.classes, dtype=features.dtype)
            many = ops.expand_dims(ops.sum(hot, axis=0), 1)
            change = (many * centers - ops.matmul(ops.transpose(hot), features)) / (1.0 + many)
            self.centers.assign(centers - self.alpha * change)
        return inputs

    def get_config(self) -> dict[str, Any]:
        own = {"classes": self.classes, "alpha": self.alpha, "weight": self.weight}
        initializer = initializers.serialize(self.centers_initializer)
        return {**super().get_config(), **own, "centers_initializer": initializer}
