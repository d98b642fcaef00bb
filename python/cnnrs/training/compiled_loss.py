"""The losses that `compile` was given, resolved against a model's outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cnnrs import losses as losses_module
from cnnrs import tree
from cnnrs.base import naming, suggest
from cnnrs.base.arguments import number
from cnnrs.losses import Loss
from cnnrs.losses.mixed import mixed_values
from cnnrs.metrics import Mean
from cnnrs.training.crossentropy import NAMES, crossentropy
from cnnrs.training.logs import track_loss
from cnnrs.training.outputs import Outputs

__all__ = ["CompiledLoss"]

# Keys and indices that lead from the outputs to one of them, or to a part of their structure.
Path = tuple[Any, ...]


def _resolve_loss(identifier: Any) -> Any:
    any_kind = isinstance(identifier, str) and identifier in NAMES
    loss = crossentropy if any_kind else losses_module.get(identifier)
    if loss is None or isinstance(loss, Loss):
        return loss
    name = identifier if isinstance(identifier, str) else naming.object_name(loss)
    return losses_module.LossFunctionWrapper(loss, name=name)


class _OutputLoss(NamedTuple):
    """A loss of one output, or of a part of the outputs' structure.

    Attributes:
        path: Where it is.
        loss: The loss.
        weight: Its factor in the total.
        name: What it is called among the logs, before `_loss`.
    """

    path: Path
    loss: Any
    weight: float
    name: str


class CompiledLoss:
    """The weighted sum of the losses of all outputs.

    Args:
        loss: A loss for all outputs; or a structure of losses, as the outputs have it. At a place where the
            outputs have no list, a list holds several losses of what is there; None stands for no loss.
        loss_weights: Factors, in the same structure or in the same order; one alone is for all.
        output_names: Names of the model's outputs, if they are known before it is called.
    """

    def __init__(self, loss: Any, loss_weights: Any, output_names: list[str] | None):
        self.given = loss
        self.weights_given = loss_weights
        self.names = output_names
        self._losses: list[_OutputLoss] | None = None
        self._trackers: dict[str, Any] = {}
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
        """With several losses, the running mean of each one."""
        return list(self._trackers.values())

    def _build(self, outputs: Outputs) -> list[_OutputLoss]:
        given, weights = self.given, self.weights_given
        if isinstance(given, dict) and not isinstance(outputs.structure, dict):
            # By the names of the outputs, of which each must be there.
            absent = [name for name in outputs.names or [] if name not in given]
            entries = outputs.named(given, "compile: loss")
            if absent:
                raise ValueError(
                    f"compile: loss: expected the names of outputs {outputs.names} as keys, received "
                    f"{list(given)}; give None as the loss of {absent[0]!r} if it has none"
                )
            given = tree.pack_sequence_as(outputs.structure, entries)
        elif not tree.is_nested(given):
            given = tree.map_structure(lambda _: self.given, outputs.structure)
        if isinstance(weights, dict) and not isinstance(given, dict):
            weights = outputs.named(weights, "compile: loss_weights")
        built: list[_OutputLoss] = []
        # Names that occur twice tell no outputs apart, but they are names.
        names: Any = outputs.names or self.names
        if names is None or len(names) != len(outputs.flat):
            names = [None] * len(outputs.flat)
        placed = _Placement(tree.pack_sequence_as(outputs.structure, names))
        for path, identifier, weight in placed.visit(
            given, _as_weights(given, weights), outputs.structure, ()
        ):
            loss = _resolve_loss(identifier)
            name = placed.label(path, loss)
            built.append(_OutputLoss(path, loss, 1.0 if weight is None else float(weight), name))
        return built

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The total, a scalar; None if no output has a loss."""
        outputs = Outputs(y_pred, self.names)
        if self._losses is None:
            self._losses = self._build(outputs)
            if len(self._losses) > 1:
                # Losses of one name, which one output has, share a mean.
                self._trackers = {entry.name: Mean(name=f"{entry.name}_loss") for entry in self._losses}
        indices = tree.pack_sequence_as(y_pred, list(range(len(outputs.flat))))
        read = {i for entry in self._losses for i in tree.flatten(_at(indices, entry.path))}
        wanted = sorted(read)
        targets = tree.pack_sequence_as(y_pred, outputs.targets(y, wanted))
        weights = outputs.weights(sample_weight, wanted)
        total = None
        by_name: dict[str, Any] = {}
        for path, loss, factor, name in self._losses:
            value = self._value(loss, path, targets, y_pred, weights, sample_weight, indices)
            by_name[name] = value if name not in by_name else by_name[name] + value
            if factor != 1.0:
                value = value * factor
            total = value if total is None else total + value
        for name, tracker in self._trackers.items():
            track_loss(tracker, by_name[name], outputs.flat[0].shape[0])
        return total

    def _value(
        self,
        loss: Any,
        path: Path,
        targets: Any,
        y_pred: Any,
        weights: list[Any],
        sample_weight: Any,
        indices: Any,
    ) -> Any:
        target, prediction, index = _at(targets, path), _at(y_pred, path), _at(indices, path)
        if not tree.is_nested(index):
            weight = weights[index]
        elif tree.is_nested(sample_weight):
            weight = tree.map_structure(lambda i: weights[i], index)
        else:
            weight = sample_weight
        try:
            if type(loss).__call__ is Loss.__call__:
                return loss(target, prediction, weight)
            # One that defines all of a loss itself does not know of mixed targets.
            return mixed_values(lambda y, p: loss(y, p, weight), loss.name, target, prediction)[0]
        except ValueError as error:
            outputs = Outputs(y_pred, self.names)
            raise ValueError(outputs.misfit("loss", loss.name, index, target, prediction, error)) from error


def _at(structure: Any, path: Path) -> Any:
    """What is at the end of a path."""
    for key in path:
        structure = structure[key]
    return structure


def _as_weights(losses: Any, weights: Any) -> Any:
    """Factors in the structure of the losses; one alone is for all.

    Raises:
        ValueError: There are more or fewer than losses.
    """
    if not tree.is_nested(weights):
        return tree.map_structure(lambda _: weights, losses)
    if isinstance(weights, dict) and isinstance(losses, dict):
        unknown = [key for key in weights if key not in losses]
        if unknown:
            raise ValueError(
                f"compile: loss_weights: expected keys of the losses {list(losses)}, "
                f"received {unknown[0]!r}{suggest.did_you_mean(str(unknown[0]), list(losses))}"
            )
        return {key: _as_weights(loss, weights.get(key)) for key, loss in losses.items()}
    flat = tree.flatten(weights)
    if isinstance(losses, (list, tuple)) and len(losses) == len(flat) == len(weights):
        return [_as_weights(loss, weight) for loss, weight in zip(losses, weights, strict=True)]
    count = len(tree.flatten(losses))
    if len(flat) != count:
        raise ValueError(
            f"compile: loss_weights: expected {count} entries, one per loss, received {len(flat)}"
        )
    return tree.pack_sequence_as(losses, flat)


class _UnknownOutputError(KeyError):
    """A loss for what is not among the outputs. A plain KeyError would show its message in quotes."""

    def __str__(self) -> str:
        return str(self.args[0])


def _wrong_number(expected: int, received: int) -> ValueError:
    return ValueError(f"compile: loss: expected {expected} entries, one per output, received {received}")


class _Placement:
    """Finds the places of losses among outputs.

    Args:
        names: Names in the structure of the outputs, None where there is none.
    """

    def __init__(self, names: Any):
        self._names = names

    def visit(self, losses: Any, weights: Any, outputs: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
        """Path, identifier and factor of each loss.

        Raises:
            KeyError: Losses are given for what is not among the outputs.
            ValueError: There are more or fewer losses than outputs.
        """
        if not tree.is_nested(losses):
            if losses is not None:
                yield path, losses, weights
            return
        flat = tree.flatten(outputs)
        if isinstance(losses, (list, tuple)):
            if len(losses) == len(flat) and not any(tree.is_nested(loss) for loss in losses):
                losses = tree.pack_sequence_as(outputs, list(losses))
                weights = tree.pack_sequence_as(outputs, list(weights))
                if not tree.is_nested(losses):
                    yield from self.visit(losses, weights, outputs, path)
                    return
            elif not isinstance(outputs, type(losses)):
                if tree.is_nested(outputs) and any(isinstance(loss, str) for loss in losses):
                    raise _wrong_number(len(flat), len(losses))
                for loss, weight in zip(losses, weights, strict=True):
                    yield from self.visit(loss, weight, outputs, path)
                return
        if isinstance(losses, dict):
            for key, loss in losses.items():
                if loss is None:
                    continue
                if not isinstance(outputs, dict) or key not in outputs:
                    keys = sorted(outputs) if isinstance(outputs, dict) else []
                    raise _UnknownOutputError(
                        f"compile: loss: expected keys of the outputs {keys}, received {key!r}"
                        f"{suggest.did_you_mean(str(key), keys)}"
                    )
                yield from self.visit(loss, weights[key], outputs[key], (*path, key))
            return
        if len(losses) != len(outputs):
            raise _wrong_number(len(outputs), len(losses))
        for i, (loss, weight) in enumerate(zip(losses, weights, strict=True)):
            yield from self.visit(loss, weight, outputs[i], (*path, i))

    def label(self, path: Path, loss: Any) -> str:
        """The name of a loss: keys of the path, and the names of outputs instead of indices at its end."""
        names = _at(self._names, path)
        if tree.is_nested(names):
            leaves = list(names) if isinstance(names, dict) else tree.flatten(names)
            return "/".join(str(key) for key in path) or "_".join(str(leaf) for leaf in leaves)
        name = loss.name if names is None else names
        if not path or isinstance(path[-1], int):
            path = (*path[:-1], name)
        return "/".join(str(key) for key in path)
