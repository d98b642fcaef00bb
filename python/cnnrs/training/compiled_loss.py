"""The losses that `compile` was given, resolved against a model's outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs import losses as losses_module
from cnnrs import tree
from cnnrs.base import naming
from cnnrs.base.arguments import number
from cnnrs.losses import Loss
from cnnrs.metrics import Mean
from cnnrs.training.outputs import Outputs

__all__ = ["CompiledLoss"]


def _resolve_loss(identifier: Any) -> Any:
    loss = losses_module.get(identifier)
    if loss is None or isinstance(loss, Loss):
        return loss
    name = identifier if isinstance(identifier, str) else naming.object_name(loss)
    return losses_module.LossFunctionWrapper(loss, name=name)


class _OutputLoss(NamedTuple):
    """The loss of one output.

    Attributes:
        output: Index of the output.
        loss: The loss.
        weight: Its factor in the total.
        tracker: Its running mean, if several outputs have losses.
    """

    output: int
    loss: Any
    weight: float
    tracker: Any


class CompiledLoss:
    """The weighted sum of the losses of all outputs."""

    def __init__(self, loss: Any, loss_weights: Any, output_names: list[str] | None):
        self.given = loss
        self.weights_given = loss_weights
        self.names = output_names
        self._losses: list[_OutputLoss] | None = None
        if loss_weights is not None and not isinstance(loss_weights, (int, float, list, tuple, dict)):
            raise ValueError(
                "compile: loss_weights: expected a number, a list or a dict by output name, "
                f"received {loss_weights!r}"
            )
        for weight in tree.flatten(loss_weights):
            if weight is not None:
                number(weight, "compile", "loss_weights")
        # A wrong name of a loss is reported by compile, not by the first batch.
        for entry in tree.flatten(loss):
            _resolve_loss(entry)

    @property
    def metrics(self) -> list[Any]:
        """With losses on several outputs, the running mean of each one's loss."""
        return [entry.tracker for entry in self._losses or [] if entry.tracker is not None]

    def _build(self, outputs: Outputs) -> list[_OutputLoss]:
        every = list(range(len(outputs.flat)))
        if isinstance(self.given, dict):
            # Outputs that are a dict may have losses on a part of the keys; of a list, each must be named.
            absent = [name for name in outputs.names or [] if name not in self.given]
            losses = outputs.each(self.given, "compile: loss")
            if absent and not outputs.keyed:
                raise ValueError(
                    f"compile: loss: expected the names of outputs {outputs.names} as keys, received "
                    f"{list(self.given)}; give None as the loss of {absent[0]!r} if it has none"
                )
        elif isinstance(self.given, (list, tuple)):
            losses = outputs.each(self.given, "compile: loss")
        else:
            losses = [self.given for _ in every]
        losses = [_resolve_loss(loss) for loss in losses]
        weights = self.weights_given
        if not isinstance(weights, (list, tuple, dict)):
            weights = [weights for _ in every]
        weights = outputs.each(weights, "compile: loss_weights")
        several = sum(loss is not None for loss in losses) > 1
        built = []
        for output, (loss, weight) in enumerate(zip(losses, weights, strict=True)):
            if loss is not None:
                name = outputs.names[output] if outputs.names is not None else loss.name
                tracker = Mean(name=f"{name}_loss") if several else None
                built.append(_OutputLoss(output, loss, 1.0 if weight is None else float(weight), tracker))
        return built

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The total, a scalar; None if no output has a loss."""
        outputs = Outputs(y_pred, self.names)
        if self._losses is None:
            self._losses = self._build(outputs)
        wanted = [entry.output for entry in self._losses]
        targets = outputs.targets(y, wanted)
        weights = outputs.weights(sample_weight, wanted)
        total = None
        for output, loss, factor, tracker in self._losses:
            prediction = outputs.flat[output]
            try:
                value = loss(targets[output], prediction, weights[output])
            except ValueError as error:
                which = output if outputs.names is None else repr(outputs.names[output])
                raise ValueError(
                    f"loss {loss.name!r} of output {which} with shape {tuple(prediction.shape)} and "
                    f"y with shape {tuple(targets[output].shape)}: {error}"
                ) from error
            if tracker is not None:
                tracker.update_state(value, sample_weight=float(prediction.shape[0]))
            if factor != 1.0:
                value = value * factor
            total = value if total is None else total + value
        return total
