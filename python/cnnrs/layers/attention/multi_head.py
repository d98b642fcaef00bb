"""Attention of several heads, with projections."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from cnnrs import ops, regularizers
from cnnrs.base.arguments import integer, number
from cnnrs.base.naming import auto_name
from cnnrs.layers.activation import Softmax
from cnnrs.layers.arguments import Parts, looked_up
from cnnrs.layers.base import Layer
from cnnrs.layers.einsum import EinsumDense
from cnnrs.layers.regularization import Dropout
from cnnrs.ops.dispatch import standardize_axis
from cnnrs.ops.masks import without_mask

__all__ = ["GroupQueryAttention", "MultiHeadAttention"]


class _HeadAttention(Layer):
    """Masks, projections and products that attention of several heads has."""

    _supports_masking = True
    _equations = ("", "")
    _attention_axes: Any = (1,)
    _query_dense: EinsumDense
    _key_dense: EinsumDense
    _value_dense: EinsumDense
    _gate_dense: EinsumDense
    _output_dense: EinsumDense

    def _share(
        self,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: Any,
        activity_regularizer: Any,
        use_gate: bool,
        seed: Any,
        parts: dict[str, Any],
    ) -> None:
        if flash_attention:
            raise ValueError(f"{self.name}: flash_attention: expected None or False; there is one form")
        self.dropout = number(dropout, self.name, "dropout")
        self.use_bias = bool(use_bias)
        self.use_gate = bool(use_gate)
        self.sliding_window = (
            None if sliding_window is None else integer(sliding_window, self.name, "sliding_window", least=1)
        )
        self.seed = seed
        self._parts = Parts(self, **parts)
        self._projection_regularizer = looked_up(
            activity_regularizer, regularizers, self.name, "activity_regularizer"
        )

    def _project(self, equation: str, shape: Any, bias_axes: str, name: str, **more: Any) -> EinsumDense:
        """A projection, which takes copies of the initializers."""
        part, bias = self._parts.of("kernel"), self._parts.of("bias")
        return EinsumDense(
            equation,
            output_shape=shape,
            bias_axes=bias_axes if self.use_bias else None,
            kernel_initializer=part["initializer"],
            bias_initializer=bias["initializer"],
            kernel_regularizer=part["regularizer"],
            bias_regularizer=bias["regularizer"],
            kernel_constraint=part["constraint"],
            bias_constraint=bias["constraint"],
            activity_regularizer=self._projection_regularizer,
            dtype=self.dtype_policy,
            name=name,
            **more,
        )

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        attention_mask = self._compute_attention_mask(
            query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask
        )
        query, value, key = without_mask(query), without_mask(value), without_mask(key)
        gate = self._gate_dense(query) if self.use_gate else None
        projected = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        outputs, scores = self._attend(*projected, attention_mask, training, return_attention_scores)
        outputs = self._output_dense(outputs if gate is None else outputs * gate)
        return (outputs, scores) if return_attention_scores else outputs

    def _attend(
        self, query: Any, key: Any, value: Any, mask: Any, training: Any, return_attention_scores: bool
    ) -> tuple[Any, Any]:
        # A class that overrides it need not have the last argument.
        scores = {"return_attention_scores": True} if return_attention_scores else {}
        return self._compute_attention(query, key, value, mask, training, **scores)

    def _compute_attention_mask(
        self,
        query: Any,
        value: Any,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Which keys a query may see, of shape (batch or 1, queries, keys); None if it may see all."""
        masks = []
        if query_mask is not None:
            masks.append(ops.expand_dims(ops.cast(query_mask, "bool"), -1))
        for mask in (value_mask, key_mask):
            if mask is not None:
                masks.append(ops.expand_dims(ops.cast(mask, "bool"), -2))
        if use_causal_mask:
            masks.append(self._compute_causal_mask(query, value))
        if self.sliding_window is not None:
            masks.append(self._compute_sliding_window_mask(query, value))
        if not masks:
            return attention_mask
        if attention_mask is not None:
            masks.insert(0, ops.cast(attention_mask, "bool"))
        merged = masks[0]
        for mask in masks[1:]:
            merged = ops.logical_and(merged, mask)
        return merged

    def _compute_causal_mask(self, query: Any, value: Any = None) -> Any:
        keys = (query if value is None else value).shape[1]
        return ops.convert_to_tensor(np.tri(query.shape[1], keys, dtype=bool)[None])

    def _compute_sliding_window_mask(self, query: Any, value: Any = None) -> Any:
        keys = (query if value is None else value).shape[1]
        distance = np.abs(np.arange(query.shape[1])[:, None] - np.arange(keys)[None])
        return ops.convert_to_tensor((distance < self.sliding_window)[None])

    def _over_heads(self, mask: Any, rank: int) -> Any:
        """A mask with the axis of the heads, and those before it that it lacks."""
        if mask is not None:
            for _ in range(rank - mask.ndim):
                mask = ops.expand_dims(mask, -len(self._attention_axes) * 2 - 1)
            mask = ops.cast(mask, "bool")
        return mask

    def _masked_softmax(self, attention_scores: Any, attention_mask: Any = None) -> Any:
        return self._softmax(attention_scores, mask=self._over_heads(attention_mask, attention_scores.ndim))

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """Outputs and scores of projected inputs of shape (batch, ..., heads, depth). May be overridden."""
        if use_causal_mask:
            causal = self._compute_causal_mask(query, value)
            given = attention_mask
            attention_mask = causal if given is None else ops.logical_and(ops.cast(given, "bool"), causal)
        scale = 1.0 / math.sqrt(query.shape[-1])
        if query.ndim == 4 and not return_attention_scores and self.dropout == 0.0:
            mask = self._over_heads(attention_mask, 4)
            return ops.dot_product_attention(query, key, value, mask=mask, scale=scale), None
        product, combination = self._equations
        scores = self._masked_softmax(ops.einsum(product, key, query * scale), attention_mask)
        weights = self._dropout_layer(scores, training=training) if self.dropout > 0.0 else scores
        return ops.einsum(combination, weights, value), scores

    def _make_weights_of(self, axes: tuple[int, ...]) -> None:
        self._softmax = Softmax(axis=axes, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self._recorded_spec(args, kwargs)

    def _shared_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "sliding_window": self.sliding_window,
            **self._parts.config(),
            "activity_regularizer": regularizers.serialize(self._projection_regularizer),
            "seed": self.seed,
        }


def _letters(first: int, count: int) -> str:
    return string.ascii_lowercase[first : first + count]


class MultiHeadAttention(_HeadAttention):
    """Attention of several heads (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        num_heads: Number of heads.
        key_dim: Depth of queries and keys in each head.
        value_dim: Depth of values in each head; None for `key_dim`.
        dropout: The part of the attention's weights that training sets to 0.
        use_bias: Whether the projections have biases.
        output_shape: Shape of an output without batch and sequence; None for the queries' depth.
        attention_axes: Axes over which queries attend; None for all but batch and features.
        sliding_window: Queries see keys at less than this distance; None for all.
        flash_attention: None or False; there is one form.
        kernel_initializer, bias_initializer: How the weights start.
        kernel_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of what each projection gives.
        kernel_constraint, bias_constraint: Applied to the weights after each update.
        use_gate: Whether a projection of the queries, through a sigmoid, multiplies what the heads give.
        seed: Integer for the dropout; None draws one.

    It is called on `query` (batch, queries, depth), `value` (batch, keys, depth) and maybe `key`, with
    `attention_mask` (batch, queries, keys), `use_causal_mask`, `return_attention_scores`. Masks of the inputs
    are kept to; that of the query passes on.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.MultiHeadAttention(num_heads=2, key_dim=3)
    >>> x = np.zeros((2, 5, 8))
    >>> layer(x, x, use_causal_mask=True).shape, layer.count_params()
    ((2, 5, 8), 218)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads = integer(num_heads, self.name, "num_heads", least=1)
        self.key_dim = integer(key_dim, self.name, "key_dim", least=1)
        self.value_dim = (
            self.key_dim if value_dim is None else integer(value_dim, self.name, "value_dim", least=1)
        )
        if isinstance(output_shape, int):
            output_shape = (output_shape,)
        if output_shape and not isinstance(output_shape, (list, tuple)):
            raise ValueError(
                f"{self.name}: output_shape: expected an integer or a tuple, received {output_shape!r}"
            )
        self._output_shape = tuple(output_shape) if output_shape else None
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        elif attention_axes and not isinstance(attention_axes, (list, tuple)):
            raise ValueError(
                f"{self.name}: attention_axes: expected an integer or a list, received {attention_axes!r}"
            )
        self._attention_axes = attention_axes
        parts = {
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        self._share(
            dropout, use_bias, sliding_window, flash_attention, activity_regularizer, use_gate, seed, parts
        )

    @property
    def query_dense(self) -> EinsumDense:
        """The projection of queries."""
        return self._query_dense

    @property
    def key_dense(self) -> EinsumDense:
        """The projection of keys."""
        return self._key_dense

    @property
    def value_dense(self) -> EinsumDense:
        """The projection of values."""
        return self._value_dense

    @property
    def output_dense(self) -> EinsumDense:
        """The projection of the outputs."""
        return self._output_dense

    @property
    def attention_axes(self) -> Any:
        """Axes over which queries attend."""
        return self._attention_axes

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # type: ignore[override]  # three inputs
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"{self.name}: expected values and keys of one shape but for the last axis, "
                f"received {value_shape} and {key_shape}"
            )
        rank = len(query_shape)
        heads, key_dim, value_dim = self.num_heads, self.key_dim, self.value_dim
        self._query_dense = self._into_heads(query_shape, key_dim, "query")
        self._key_dense = self._into_heads(key_shape, key_dim, "key")
        if self.use_gate:
            self._gate_dense = self._into_heads(query_shape, value_dim, "gate", activation="sigmoid")
        self._value_dense = self._into_heads(value_shape, value_dim, "value")
        self._plan_attention(rank + 1)
        shape = self._output_shape or (query_shape[-1],)
        free, summed, made = _letters(0, rank - 1), _letters(rank - 1, 2), _letters(rank + 1, len(shape))
        self._output_dense = self._project(
            f"{free}{summed},{summed}{made}->{free}{made}",
            (*[None] * (rank - 2), *shape),
            made,
            "attention_output",
        )
        self._output_dense._build_with((*query_shape[:-1], heads, value_dim))

    def _into_heads(self, shape: Any, depth: int, name: str, **more: Any) -> EinsumDense:
        rank = len(shape)
        free, summed, made = _letters(0, rank - 1), _letters(rank - 1, 1), _letters(rank, 2)
        layer = self._project(
            f"{free}{summed},{summed}{made}->{free}{made}",
            (*[None] * (rank - 2), self.num_heads, depth),
            made,
            name,
            **more,
        )
        layer._build_with(tuple(shape))
        return layer

    def _plan_attention(self, rank: int) -> None:
        """Equations of the products between projections of `rank` axes, the last two of heads and depth."""
        given = self._attention_axes
        axes = tuple(range(1, rank - 2))
        if given is not None:
            # Of the inputs, whose last axis becomes two.
            axes = tuple(standardize_axis(a, rank - 1, f"{self.name}: attention_axes") for a in given)
            if rank - 2 in axes:
                raise ValueError(
                    f"{self.name}: attention_axes: expected axes before the features, received {given}"
                )
        self._attention_axes = axes
        queries = _letters(0, rank)
        keys = list(queries)
        for place, axis in enumerate(axes):
            keys[axis] = _letters(rank + place, 1)
        source = "".join(keys)
        batch = [i for i in range(rank - 1) if i not in axes]
        scores = "".join(
            [*(queries[i] for i in batch), *(queries[a] for a in axes), *(source[a] for a in axes)]
        )
        self._equations = (f"{source},{queries}->{scores}", f"{scores},{source}->{queries}")
        self._make_weights_of(tuple(range(len(scores) - len(axes), len(scores))))

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"{self.name}: expected values and keys of one shape but for the last axis, "
                f"received {value_shape} and {key_shape}"
            )
        return (*query_shape[:-1], *(self._output_shape or (query_shape[-1],)))

    def get_config(self) -> dict[str, Any]:
        return {
            **self._shared_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "output_shape": self._output_shape,
            "attention_axes": self._attention_axes,
        }


class GroupQueryAttention(_HeadAttention):
    """Attention in which several heads of queries share keys and values (Ainslie et al. 2023).

    Args:
        head_dim: Depth of a head.
        num_query_heads: Number of heads of queries.
        num_key_value_heads: Number of heads of keys and values, a divisor of `num_query_heads`.
        dropout, use_bias, sliding_window, flash_attention: As for `MultiHeadAttention`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer: Likewise.
        activity_regularizer, kernel_constraint, bias_constraint, use_gate, seed: Likewise.

    It is called as `MultiHeadAttention` is.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.GroupQueryAttention(head_dim=3, num_query_heads=4, num_key_value_heads=2)
    >>> layer(np.zeros((2, 5, 8)), np.zeros((2, 6, 8))).shape
    (2, 5, 8)
    """

    _equations = ("bkuh,bquh->buqk", "buqk,bkuh->bquh")

    # Keras's own name of the class, by which its files number layers.
    _name_in_files = "GroupedQueryAttention"

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ):
        if kwargs.get("name") is None and type(self) is GroupQueryAttention:
            kwargs["name"] = auto_name("grouped_query_attention")
        super().__init__(**kwargs)
        self.head_dim = integer(head_dim, self.name, "head_dim", least=1)
        self.num_query_heads = integer(num_query_heads, self.name, "num_query_heads", least=1)
        self.num_key_value_heads = integer(num_key_value_heads, self.name, "num_key_value_heads", least=1)
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"{self.name}: num_query_heads: expected a multiple of num_key_value_heads "
                f"{num_key_value_heads}, received {num_query_heads}"
            )
        parts = {
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        self._share(
            dropout, use_bias, sliding_window, flash_attention, activity_regularizer, use_gate, seed, parts
        )

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:  # type: ignore[override]  # three inputs
        key_shape = value_shape if key_shape is None else key_shape
        self.feature_dim = query_shape[-1]
        queries = (None, self.num_query_heads, self.head_dim)
        keys = (None, self.num_key_value_heads, self.head_dim)
        self._query_dense = self._project("bqm,muh->bquh", queries, "uh", "query")
        self._query_dense._build_with(tuple(query_shape))
        self._key_dense = self._project("bkm,mvh->bkvh", keys, "vh", "key")
        self._key_dense._build_with(tuple(key_shape))
        if self.use_gate:
            self._gate_dense = self._project("bqm,muh->bquh", queries, "uh", "gate", activation="sigmoid")
            self._gate_dense._build_with(tuple(query_shape))
        self._value_dense = self._project("bkm,mvh->bkvh", keys, "vh", "value")
        self._value_dense._build_with(tuple(value_shape))
        self._make_weights_of((-1,))
        self._output_dense = self._project("bquh,uhm->bqm", (None, self.feature_dim), "m", "attention_output")
        self._output_dense._build_with((None, None, self.num_query_heads, self.head_dim))

    def _attend(
        self, query: Any, key: Any, value: Any, mask: Any, training: Any, return_attention_scores: bool
    ) -> tuple[Any, Any]:
        shared = self.num_query_heads // self.num_key_value_heads
        key, value = ops.repeat(key, shared, axis=2), ops.repeat(value, shared, axis=2)
        return super()._attend(query, key, value, mask, training, return_attention_scores)

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        key_shape = value_shape if key_shape is None else key_shape
        if query_shape[-1] != value_shape[-1] or tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"{self.name}: expected queries and values of one depth, and values and keys of one length, "
                f"received {query_shape}, {value_shape} and {key_shape}"
            )
        return query_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **self._shared_config(),
            "head_dim": self.head_dim,
            "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads,
        }
