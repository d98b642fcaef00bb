"""Attention of one head, without projections."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops, random
from cnnrs.base.arguments import number
from cnnrs.layers.base import Layer
from cnnrs.random import SeedGenerator

__all__ = ["AdditiveAttention", "Attention"]


class Attention(Layer):
    """Values, weighted by how well their keys fit a query: `softmax(query · key) · value`, as by Luong et
    al. 2015 (arXiv:1508.04025).

    Args:
        use_scale: Whether to multiply the scores by a learnt number.
        score_mode: "dot" for the product of query and key, "concat" for a learnt multiple of
            `sum(tanh(query + key))`.
        dropout: The part of the weights that training sets to 0.
        seed: Integer for the dropout; None draws one.

    It is called on a list `[query, value]` or `[query, value, key]` of shapes (batch, queries, depth),
    (batch, values, depth of values) and (batch, values, depth). `mask` is a list of a mask of the queries and
    one of the values; `use_causal_mask` lets query i see the values up to i; `return_attention_scores` gives
    the weights, too.

    Output shape: (batch, queries, depth of values).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> query, value = np.zeros((1, 2, 4)), np.arange(3.0).reshape(1, 3, 1) * np.ones(4)
    >>> layers.Attention()([query, value])[0, :, 0].tolist()
    [1.0, 1.0]
    """

    _supports_masking = True
    scale: Any
    concat_score_weight: Any

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"{self.name}: score_mode: expected 'dot' or 'concat', received {score_mode!r}")
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = number(dropout, self.name, "dropout")
        self.seed = seed
        if self.dropout > 0:
            self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        one: dict[str, Any] = {"shape": (), "initializer": "ones"}
        self.scale = self.add_weight(name="scale", **one) if self.use_scale else None
        concat = self.score_mode == "concat"
        self.concat_score_weight = self.add_weight(name="concat_score_weight", **one) if concat else None

    def _check(self, inputs: Any, mask: Any = None) -> None:
        for argument, given in (("inputs", inputs), ("mask", mask)):
            if given is None and argument == "mask":
                continue
            if not isinstance(given, list):
                raise ValueError(
                    f"{self.name}: {argument}: expected a list [query, value] or [query, value, key], "
                    f"received {given!r}"
                )
            if len(given) not in (2, 3):
                raise ValueError(
                    f"{self.name}: {argument}: expected a list of length 2 or 3, received {len(given)}"
                )

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else scores * self.scale
        total = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        if self.scale is not None:
            total = total * self.scale
        return ops.sum(ops.tanh(total), axis=-1) * self.concat_score_weight

    def _apply_scores(
        self, scores: Any, value: Any, scores_mask: Any = None, training: Any = False
    ) -> tuple[Any, Any]:
        if scores_mask is not None:
            if scores_mask.ndim == 2:
                scores_mask = ops.expand_dims(scores_mask, -2)
            # The largest number of float16.
            low = 65504.0 if scores.dtype == "float16" else 1.0e9
            scores = ops.where(ops.cast(scores_mask, "bool"), scores, scores - low)
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        return ops.matmul(weights, value), weights

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: Any = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs, mask)
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = mask[:2] if mask else (None, None)
        scores = self._calculate_scores(query, key)
        scores_mask = value_mask
        if use_causal_mask:
            scores_mask = ops.convert_to_tensor(np.tri(*scores.shape[-2:]).astype(bool)[None])
            if value_mask is not None:
                scores_mask = ops.logical_and(ops.expand_dims(value_mask, -2), scores_mask)
        outputs, weights = self._apply_scores(scores, value, scores_mask, training)
        if query_mask is not None:
            kept = ops.cast(ops.expand_dims(query_mask, -1), "bool")
            outputs = ops.where(kept, outputs, ops.zeros_like(outputs))
        return (outputs, weights) if return_attention_scores else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        self._check(inputs, mask)
        if mask is None or mask[0] is None:
            return None
        return ops.convert_to_tensor(mask[0])

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self._recorded_spec(args, kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], input_shape[1][-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


class AdditiveAttention(Attention):
    """Attention whose scores are `sum(scale * tanh(query + key))` (Bahdanau et al. 2014, arXiv:1409.0473).

    Args:
        use_scale: Whether `scale` is learnt, one number for each feature; else it is 1.
        dropout: The part of the weights that training sets to 0.
        **kwargs: `seed`, and arguments of every layer.

    It is called as `Attention` is.
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        shape = (input_shape[0][-1],)
        start: dict[str, Any] = {"shape": shape, "initializer": "glorot_uniform"}
        self.scale = self.add_weight(name="scale", **start) if self.use_scale else None

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        total = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        return ops.sum(total if self.scale is None else total * self.scale, axis=-1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config
