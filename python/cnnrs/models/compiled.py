"""The losses and metrics that `compile` was given, resolved against a model's outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs import losses as losses_module
from cnnrs import metrics as metrics_module
from cnnrs import ops, tree
from cnnrs.base import naming, suggest
from cnnrs.losses import Loss
from cnnrs.metrics import Mean, Metric

__all__ = ["CompiledLoss", "CompiledMetrics"]


class _Outputs:
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
        return [
            ops.expand_dims(y_true, -1)
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
        # A wrong name of a loss is reported by compile, not by the first batch.
        for entry in tree.flatten(loss):
            _resolve_loss(entry)

    @property
    def metrics(self) -> list[Any]:
        """With losses on several outputs, the running mean of each one's loss."""
        return [entry.tracker for entry in self._losses or [] if entry.tracker is not None]

    def _build(self, outputs: _Outputs) -> list[_OutputLoss]:
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
        outputs = _Outputs(y_pred, self.names)
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


def _resolve_metric(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    if isinstance(identifier, str) and identifier in ("accuracy", "acc"):
        found = metrics_module.resolve_accuracy(tuple(y_true.shape), tuple(y_pred.shape))
    else:
        found = metrics_module.get(identifier)
    if isinstance(found, type):
        found = found()
    if not isinstance(found, Metric):
        found = metrics_module.MeanMetricWrapper(found, name=naming.object_name(found))
    if isinstance(identifier, str):
        found.name = identifier
    return found


class _OutputMetric(NamedTuple):
    """A metric of one output.

    Attributes:
        output: Index of the output.
        metric: The metric.
        weighted: Whether it takes sample weights into account.
        label: Its name among the results.
    """

    output: int
    metric: Any
    weighted: bool
    label: str


class CompiledMetrics(Metric):
    """The metrics of all outputs: those of `metrics`, then those of `weighted_metrics`."""

    def __init__(self, metrics: Any, weighted_metrics: Any, output_names: list[str] | None):
        super().__init__(name="compile_metrics")
        self.given = metrics
        self.weighted_given = weighted_metrics
        self.names = output_names
        self._entries: list[_OutputMetric] | None = None
        for argument, entries in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if entries is not None and not isinstance(entries, (list, tuple, dict)):
                raise TypeError(f"compile: {argument}: expected a list or a dict, received {entries!r}")
            for entry in tree.flatten(entries or []):
                if not (isinstance(entry, str) and entry in ("accuracy", "acc")):
                    metrics_module.get(entry)

    @property
    def metrics(self) -> list[Any]:
        """The metrics; those given as objects exist before the first batch."""
        if self._entries is not None:
            return [entry.metric for entry in self._entries]
        given = tree.flatten([self.given or [], self.weighted_given or []])
        return [metric for metric in given if isinstance(metric, Metric)]

    @property
    def variables(self) -> list[Any]:
        return [variable for metric in self.metrics for variable in metric.variables]

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def _build(self, outputs: _Outputs, y: Any) -> list[_OutputMetric]:
        split = [
            (weighted, self._split(given, outputs, argument))
            for given, argument, weighted in (
                (self.given, "metrics", False),
                (self.weighted_given, "weighted_metrics", True),
            )
            if given is not None
        ]
        wanted = [i for i in range(len(outputs.flat)) if any(by_output[i] for _, by_output in split)]
        targets = outputs.targets(y, wanted)
        built: list[_OutputMetric] = []
        taken: set[str] = set()
        for weighted, by_output in split:
            for output, identifiers in enumerate(by_output):
                several = outputs.names is not None and len(outputs.flat) > 1
                prefix = f"{outputs.names[output]}_" if several and outputs.names is not None else ""
                for identifier in identifiers:
                    metric = _resolve_metric(identifier, targets[output], outputs.flat[output])
                    label = f"{prefix}{metric.name}"
                    if weighted and label in taken:
                        label = f"{prefix}weighted_{metric.name}"
                    label = naming.unique(label, taken)
                    taken.add(label)
                    built.append(_OutputMetric(output, metric, weighted, label))
        return built

    def _split(self, given: Any, outputs: _Outputs, argument: str) -> list[list[Any]]:
        """The identifiers of each output's metrics."""
        if isinstance(given, dict):
            entries = outputs.named(given, f"compile: {argument}")
        elif len(outputs.flat) == 1:
            return [tree.flatten(list(given))]
        elif len(given) == len(outputs.flat) or not given:
            entries = list(given) or [None] * len(outputs.flat)
        else:
            raise ValueError(
                f"compile: {argument}: expected {len(outputs.flat)} entries, one per output, "
                f"received {len(given)}"
            )
        return [[] if entry is None else tree.flatten(entry) for entry in entries]

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account."""
        outputs = _Outputs(y_pred, self.names)
        if self._entries is None:
            self._entries = self._build(outputs, y)
        targets = outputs.targets(y, sorted({entry.output for entry in self._entries}))
        weighted = sorted({entry.output for entry in self._entries if entry.weighted})
        weights = outputs.weights(sample_weight, weighted)
        for entry in self._entries:
            y_true, prediction = targets[entry.output], outputs.flat[entry.output]
            weight = weights[entry.output] if entry.weighted else None
            if weight is None:
                entry.metric.update_state(y_true, prediction)
            else:
                entry.metric.update_state(y_true, prediction, sample_weight=weight)

    def result(self) -> dict[str, Any]:
        """Values by name; none before the first batch."""
        results: dict[str, Any] = {}
        for entry in self._entries or []:
            value = entry.metric.result()
            results.update(value if isinstance(value, dict) else {entry.label: value})
        return results
