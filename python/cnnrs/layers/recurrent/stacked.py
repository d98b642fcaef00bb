"""Cells on top of each other."""

from __future__ import annotations

from typing import Any

from cnnrs import ops, serialization, tree
from cnnrs.layers.base import Layer
from cnnrs.layers.calls import _call_signature

__all__ = ["StackedRNNCells"]


class StackedRNNCells(Layer):
    """Cells, each of which takes what the one before gives.

    Args:
        cells: The cells.

    >>> from cnnrs import layers
    >>> layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(5)]).state_size
    [[3, 3], 5]
    """

    def __init__(self, cells: Any, **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            for needed in ("call", "state_size"):
                if not hasattr(cell, needed):
                    raise ValueError(
                        f"{self.name}: cells: expected objects with {needed!r}, received {cell!r}"
                    )
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of the cells."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """Features of the last cell's output."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The states of the cells before the first step."""
        states = []
        for cell in self.cells:
            size = cell.state_size
            if hasattr(cell, "get_initial_state"):
                states.append(cell.get_initial_state(batch_size=batch_size))
            elif isinstance(size, int):
                states.append(ops.zeros((batch_size, size), dtype=self.compute_dtype))
            else:
                states.append([ops.zeros((batch_size, part), dtype=self.compute_dtype) for part in size])
        return states

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell._build_with(input_shape)
            input_shape = (tree.flatten(input_shape)[0], _output_size(cell))

    def call(self, inputs: Any, states: Any, training: Any = False, **kwargs: Any) -> Any:
        after = []
        for cell, own in zip(self.cells, states, strict=True):
            nested = tree.is_nested(own)
            given = dict(kwargs)
            if isinstance(cell, Layer) and _call_signature(type(cell)).training_position is not None:
                given["training"] = training
            call = cell if callable(cell) else cell.call
            inputs, new = call(inputs, list(own) if nested else [own], **given)
            after.append(new[0] if len(new) == 1 and not nested else new)
        return inputs, after

    def get_config(self) -> dict[str, Any]:
        cells = [serialization.serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        cells = [
            serialization.deserialize_keras_object(cell, custom_objects=custom_objects)
            if isinstance(cell, dict)
            else cell
            for cell in config.pop("cells")
        ]
        return cls(cells, **config)


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
    return size[0] if isinstance(size, (list, tuple)) else size
