"""Vectors of integers, and the mask of steps that do not count."""

from __future__ import annotations

from typing import Any

from cnnrs import ops, serialization
from cnnrs.base.arguments import flag
from cnnrs.base.user_warnings import warn_user
from cnnrs.layers.arguments import NoLora, Parts, positive, refuse_lora
from cnnrs.layers.base import Layer
from cnnrs.ops.masks import with_mask

__all__ = ["Embedding", "Masking", "ReversibleEmbedding"]


class Embedding(NoLora, Layer):
    """A learnt vector for each integer.

    Args:
        input_dim: Number of integers, which are 0 to `input_dim - 1`.
        output_dim: Length of the vectors.
        embeddings_initializer: How the vectors start.
        embeddings_regularizer: Their penalty.
        embeddings_constraint: Applied to them after each update.
        mask_zero: Whether 0 stands for no step: the output has a mask that is False there.
        weights: Array of shape (input_dim, output_dim) to start with; None for the initializer's.

    Input shape: any shape of integers. Output shape: that shape with a last axis of `output_dim`. Weights:
    embeddings (input_dim, output_dim).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Embedding(10, 4)(np.array([[1, 2, 0]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ):
        if kwargs.pop("input_length", None) is not None:
            warn_user("Embedding: input_length is deprecated, and has no effect; leave it out")
        refuse_lora("Embedding", kwargs)
        super().__init__(**kwargs)
        self.input_dim = positive(input_dim, self.name, "input_dim")
        self.output_dim = positive(output_dim, self.name, "output_dim")
        self._parts = Parts(
            self,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
        )
        self.mask_zero = flag(mask_zero, self.name, "mask_zero")
        self.supports_masking = self.mask_zero
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_weight(shape=shape, **self._parts.of("embeddings"))

    def _casts_inputs(self) -> bool:
        # 16 bits do not hold every index.
        return False

    def call(self, inputs: Any) -> Any:
        if inputs.dtype not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        return ops.cast(ops.take(self.embeddings, inputs, axis=0), self.compute_dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            **self._parts.config(),
            "mask_zero": self.mask_zero,
        }


class ReversibleEmbedding(Embedding):
    """An embedding that also goes back: from vectors to a score for each integer.

    Args:
        input_dim, output_dim: As for `Embedding`.
        tie_weights: Whether the way back multiplies by the transposed embeddings, or by a weight of its own.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero: As for `Embedding`.
        reverse_dtype: Element type of the way back; None for that of the layer.
        logit_soft_cap: Bound c of the scores, which become `c * tanh(scores / c)`; None for none.

    It is called with `reverse=True` for the way back.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.ReversibleEmbedding(10, 4)
    >>> layer(layer(np.array([[1, 2]])), reverse=True).shape
    (1, 2, 10)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **kwargs,
        )
        self.tie_weights = flag(tie_weights, self.name, "tie_weights")
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                shape=(self.output_dim, self.input_dim),
                initializer=self._parts.of("embeddings")["initializer"],
                name="reverse_embeddings",
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            outputs = super().call(inputs)
            mask = super().compute_mask(inputs)
            return outputs if mask is None else with_mask(outputs, mask)
        kernel = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        dtype = self.compute_dtype if self.reverse_dtype is None else self.reverse_dtype
        scores = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel, dtype))
        cap = self.logit_soft_cap
        return scores if cap is None else ops.tanh(scores / cap) * cap

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        # `call` knows which way it goes.
        return None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tie_weights": self.tie_weights,
            "reverse_dtype": self.reverse_dtype,
            "logit_soft_cap": self.logit_soft_cap,
        }


class Masking(Layer):
    """Marks steps all of whose features equal a value as steps that do not count.

    Args:
        mask_value: The value.

    Input shape: (batch, steps, features). Output: the input, 0 where its mask of shape (batch, steps) is
    False. Layers such as LSTM and the losses leave these steps out.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.Masking()(np.array([[[1.0, 2.0], [0.0, 0.0]]]))._keras_mask.tolist()
    [[True, False]]
    """

    _supports_masking = True

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(mask_value, dict) and mask_value.get("config"):
            mask_value = serialization.deserialize_keras_object(mask_value)
        self.mask_value = mask_value
        self._build_at_init()

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        counts = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.where(counts, inputs, ops.zeros_like(inputs))

    def get_config(self) -> dict[str, Any]:
        value = self.mask_value
        if not isinstance(value, (int, float)):
            value = serialization.serialize_keras_object(value)
        return {**super().get_config(), "mask_value": value}
