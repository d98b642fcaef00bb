"""A step of training, evaluation or prediction: recorded once and replayed, or run in Python."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import context, policies
from cnnrs.base.recent import Recent
from cnnrs.ops.dispatch import as_tensor
from cnnrs.training.samples import Samples, core_dtype, leaves, names, placed

__all__ = ["RecordedStep", "RecordedSteps", "Signature", "as_tensors", "computed", "python_step"]

# Signatures whose recorded steps a model keeps, those used last.
_MAX_STEPS = 64


class Signature(NamedTuple):
    """What a recorded step is for.

    Attributes:
        kind: "train", "test" or "predict".
        layout: The structures of x, targets and weights: None, 0 for an array, or a text.
        facts: Shape and element type of each array.
        plan: What plans depend on besides their graph, as `_core.plan_key` says it.
        policies: How often policies of layers had changed.
        mixing: What mixes the samples of a batch; None if nothing does.
    """

    kind: str
    layout: tuple[None | int | str, ...]
    facts: tuple[tuple[tuple[int, ...], str], ...]
    plan: tuple[str, str, str, str, int, int]
    policies: int
    mixing: Any

    @classmethod
    def of(cls, kind: str, samples: Samples, mixing: Any = None) -> Signature:
        """The signature of a kind of step on samples, under the present settings."""
        layout = tuple(_layout(part) for part in samples)
        facts = tuple((a.shape, core_dtype(a)) for a in leaves(samples))
        return cls(kind, layout, facts, _core.plan_key(), policies.changes(), mixing)


def _layout(part: Any) -> None | int | str:
    """The structure of x, targets or weights, as `Signature.layout` has it."""
    if part is None or isinstance(part, np.ndarray):
        return None if part is None else 0
    return repr(tree.map_structure(lambda a: None if a is None else 0, part))


class RecordedStep:
    """A recorded step for batches of certain shapes.

    Args:
        function: The recording.
        outputs: The structure of what the step gives.
        label: What errors call the step.
    """

    def __init__(self, function: _core.CompiledFunction, outputs: Any, label: str):
        self.function = function
        self.outputs = outputs
        self.label = label

    @classmethod
    def record(
        cls, step: Callable[[Any], Any], samples: Samples, signature: Signature, label: str
    ) -> RecordedStep:
        """Runs `step` on placeholders and compiles what it computed and assigned.

        Args:
            step: Takes `(x, y, sample_weight)` or less, gives tensors.
            samples: A batch; its values do not matter.
            signature: Its signature.
            label: What errors call the step.
        """
        with context.trace() as recorder:
            placeholders = [
                recorder.placeholder(list(shape), dtype, name)
                for (shape, dtype), name in zip(signature.facts, names(samples), strict=True)
            ]
            outputs = step(placed(samples, placeholders))
            function = recorder.compile([as_tensor(leaf) for leaf in tree.flatten(outputs)])
        return cls(function, tree.map_structure(lambda _: None, outputs), label)

    def __call__(self, arrays: list[np.ndarray]) -> Any:
        """Runs one batch."""
        try:
            values = self.function(*arrays)
        except MemoryError as error:
            raise self._too_large(error) from error
        return tree.pack_sequence_as(self.outputs, values)

    def run_batches(
        self,
        arrays: list[np.ndarray],
        order: np.ndarray,
        batch_size: int,
        first: int,
        last: int,
        seconds: float,
    ) -> tuple[int, Any]:
        """Runs batches `first` to `last - 1` of rows in `order`, as many as fit into `seconds`.

        Returns:
            The next batch, and what the step gave for the last one.
        """
        try:
            following, values = self.function.run_batches(arrays, order, batch_size, first, last, seconds)
        except MemoryError as error:
            raise self._too_large(error) from error
        return following, tree.pack_sequence_as(self.outputs, values)

    def _too_large(self, error: MemoryError) -> MemoryError:
        return MemoryError(
            f"{self.label} needs {self.function.peak_bytes:,} bytes for activations, which there are not; "
            f"a smaller batch_size needs less ({error})"
        )


class RecordedSteps(Recent[Signature, RecordedStep]):
    """The steps that a model has recorded, by their signatures.

    Attributes:
        of_arrays: Steps of prediction once more, by what can be told of an array in a microsecond: small
            networks run for no longer than it takes to make a signature.
    """

    def __init__(self) -> None:
        super().__init__(_MAX_STEPS)
        self.of_arrays: Recent[Hashable, RecordedStep] = Recent(_MAX_STEPS)


def python_step(
    step: Callable[[Any], Any], samples: Samples, assigned: Callable[[], list[_core.Variable]]
) -> Any:
    """Runs the Python of a step on a batch, then computes all that it assigned.

    Args:
        step: Takes `(x, y, sample_weight)` or less, gives tensors or numbers.
        samples: The batch.
        assigned: Gives the variables that the step may have assigned, some of which it may have made.
    """
    return computed(lambda: step(as_tensors(samples)), assigned)


def as_tensors(samples: Samples) -> Any:
    """What a step takes: `x`, `(x, y)` or `(x, y, sample_weight)`, of tensors."""
    return placed(samples, [_core.tensor(a) for a in leaves(samples)])


def computed(function: Callable[[], Any], assigned: Callable[[], list[_core.Variable]]) -> Any:
    """What a function gives, after all that it gives and assigned has been computed."""
    outputs = function()
    pending = [leaf for leaf in tree.flatten(outputs) if isinstance(leaf, _core.Tensor)]
    values = [variable.value for variable in assigned()]
    _core.realise(pending + [value for value in values if not value.is_realised])
    return outputs
