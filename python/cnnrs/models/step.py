"""A step of training, evaluation or prediction: recorded once and replayed, or run in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import context
from cnnrs.models.data_adapter import pack_x_y_sample_weight
from cnnrs.ops.dispatch import as_tensor

__all__ = ["Step", "run_eagerly"]


def _pack(structure: Any, leaves: list[Any]) -> Any:
    """`(x, y, sample_weight)` as a step takes it, with leaves in place of the arrays."""
    rest = iter(leaves)

    def place(part: Any) -> Any:
        if isinstance(part, dict):
            placed = {key: place(part[key]) for key in sorted(part)}
            return {key: placed[key] for key in part}
        if isinstance(part, (list, tuple)):
            return [place(item) for item in part]
        return None if part is None else next(rest)

    return pack_x_y_sample_weight(*(place(part) for part in structure))


class Step:
    """A recorded step for batches of certain shapes."""

    def __init__(self, function: Any, structure: Any, label: str):
        self.function = function
        self.structure = structure
        self.label = label

    @classmethod
    def record(cls, step: Callable[[Any], Any], structure: Any, facts: Any, names: list[str]) -> Step:
        """Runs `step` on placeholders and compiles what it computed and assigned.

        Args:
            step: Takes `(x, y, sample_weight)` or less, gives tensors.
            structure: `(x, y, sample_weight)` with arrays at the leaves.
            facts: Shape and dtype of each leaf.
            names: Name of each leaf, for errors.
        """
        with context.trace() as recorder:
            placeholders = [
                recorder.placeholder(list(shape), dtype, name)
                for (shape, dtype), name in zip(facts, names, strict=True)
            ]
            outputs = step(_pack(structure, placeholders))
            leaves = [as_tensor(leaf) for leaf in tree.flatten(outputs)]
            function = recorder.compile(leaves)
        label = f"{step.__self__.name}: {step.__name__} on {facts[0][0][0]} samples"  # type: ignore[attr-defined]
        return cls(function, tree.map_structure(lambda _: None, outputs), label)

    def __call__(self, arrays: list[np.ndarray]) -> Any:
        """Runs one batch."""
        try:
            values = self.function(*arrays)
        except MemoryError as error:
            raise self._too_large(error) from error
        return tree.pack_sequence_as(self.structure, values)

    def _too_large(self, error: MemoryError) -> MemoryError:
        return MemoryError(
            f"{self.label} needs {self.function.peak_bytes:,} bytes for activations, which there are not; "
            f"a smaller batch_size needs less ({error})"
        )

    def run_batches(
        self, arrays: list[np.ndarray], order: Any, batch_size: int, first: int, last: int, seconds: float
    ) -> tuple[int, Any]:
        """Runs batches `first` to `last - 1` of rows in `order`, as many as fit into `seconds`.

        Returns:
            The next batch, and what the step gave for the last one.
        """
        try:
            following, values = self.function.run_batches(arrays, order, batch_size, first, last, seconds)
        except MemoryError as error:
            raise self._too_large(error) from error
        return following, tree.pack_sequence_as(self.structure, values)


def run_eagerly(model: Any, step: Callable[[Any], Any], structure: Any) -> Any:
    """Runs the Python of a step on a batch, then computes all that it assigned."""
    leaves = [_core.tensor(a) for a in tree.flatten(list(structure)) if a is not None]
    outputs = step(_pack(structure, leaves))
    pending = [leaf for leaf in tree.flatten(outputs) if isinstance(leaf, _core.Tensor)]
    variables = list(model.variables)
    for metric in model.metrics:
        variables += metric.variables
    if model.optimizer is not None:
        variables += model.optimizer.variables
    pending += [value for value in (variable.value for variable in variables) if not value.is_realised]
    _core.realise(pending)
    return outputs
