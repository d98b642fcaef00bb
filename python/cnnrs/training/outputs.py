"""A model's outputs, and what is given for each of them: losses, metrics, targets, weights."""

from __future__ import annotations

from typing import Any

from cnnrs import ops, tree
from cnnrs.base import suggest
from cnnrs.losses.mixed import MixedTargets

__all__ = ["Outputs"]


class Outputs:
    """A model's outputs, flat, and what is given for each of them: losses, targets, weights, metrics.

    Attributes:
        flat: The outputs.
        names: Their names: the keys if the outputs are a dict, else those of a functional model; None if
            they have none.
        keyed: Whether the outputs are a dict of tensors.
    """

    def __init__(self, y_pred: Any, names: list[str] | None):
        self.structure = y_pred
        self.flat = tree.flatten(y_pred)
        self.keyed = isinstance(y_pred, dict) and len(y_pred) == len(self.flat)
        if self.keyed:
            self.names: list[str] | None = sorted(y_pred)
        else:
            fits = names is not None and len(names) == len(set(names)) == len(self.flat)
            self.names = names if fits else None

    def misfit(self, what: str, name: str, index: Any, y_true: Any, y_pred: Any, error: Exception) -> str:
        """The message of a loss or a metric that does not take its targets and predictions.

        Args:
            what: "loss" or "metric".
            name: Its name.
            index: The number of the output, or of several.
            y_true: The targets.
            y_pred: The predictions.
            error: What it raised.
        """
        shown = tree.map_structure(lambda x: None if x is None else tuple(x.shape), [y_true, y_pred])
        where = index if self.names is None or tree.is_nested(index) else repr(self.names[index])
        return f"{what} {name!r} of output {where} with shape {shown[1]} and y with shape {shown[0]}: {error}"

    def named(self, given: dict[str, Any], argument: str) -> list[Any]:
        """The entries of a dict by output name, in the order of the outputs; None where a name is absent.

        Raises:
            ValueError: A key is not the name of an output.
        """
        if self.names is None:
            raise ValueError(
                f"{argument}: expected a list, one entry per output, for the outputs have no names; "
                f"received a dict with the keys {list(given)}"
            )
        for key in given:
            if key not in self.names:
                raise ValueError(
                    f"{argument}: expected the names of outputs {self.names} as keys, "
                    f"received {key!r}{suggest.did_you_mean(key, self.names)}"
                )
        return [given.get(name) for name in self.names]

    def each(self, given: Any, argument: str, wanted: list[int] | None = None) -> list[Any]:
        """One entry for each output, from a dict by name, from a list, or for a single output from itself.

        Args:
            given: What was given.
            argument: What errors call it.
            wanted: Outputs that need an entry. A list may hold entries for these alone.

        Raises:
            ValueError: Keys are not the outputs' names, the number is wrong, or a wanted entry is absent.
        """
        wanted = [] if wanted is None else wanted
        if isinstance(given, dict) and isinstance(self.structure, dict) and not self.keyed:
            if given.keys() != self.structure.keys():
                raise ValueError(
                    f"{argument}: expected the keys {sorted(self.structure)}, received {sorted(given)}"
                )
        elif isinstance(given, dict):
            entries = self.named(given, argument)
            for output in wanted:
                if entries[output] is None:
                    assert self.names is not None
                    raise ValueError(
                        f"{argument}: expected the names of outputs {self.names} as keys, "
                        f"received {list(given)} without {self.names[output]!r}"
                    )
            return entries
        entries = tree.flatten(given)
        if len(entries) == len(wanted) < len(self.flat):
            by_output = dict(zip(wanted, entries, strict=True))
            entries = [by_output.get(output) for output in range(len(self.flat))]
        if len(entries) != len(self.flat):
            raise ValueError(
                f"{argument}: expected {len(self.flat)} entries, one per output, received {len(entries)}"
            )
        for output in wanted:
            if entries[output] is None:
                raise ValueError(f"{argument}: expected an entry for output {output}, received None")
        return entries

    def targets(self, y: Any, wanted: list[int]) -> list[Any]:
        """The targets; those of shape (n,) for outputs of shape (n, 1) get the missing axis."""

        def expanded(y_true: Any) -> Any:
            return ops.expand_dims(y_true, -1)

        return [
            (y_true.map(expanded) if isinstance(y_true, MixedTargets) else expanded(y_true))
            if y_true is not None and len(y_pred.shape) == len(y_true.shape) + 1 and y_pred.shape[-1] == 1
            else y_true
            for y_true, y_pred in zip(self.each(y, "y", wanted), self.flat, strict=True)
        ]

    def weights(self, sample_weight: Any, wanted: list[int]) -> list[Any]:
        """The sample weights; one array is for all outputs, None for none."""
        if tree.is_nested(sample_weight):
            entries = sample_weight if isinstance(sample_weight, dict) else tree.flatten(sample_weight)
            # None in a list says that an output's samples count alike; an absent key says nothing.
            return self.each(entries, "sample_weight", wanted if isinstance(entries, dict) else None)
        return [sample_weight] * len(self.flat)
