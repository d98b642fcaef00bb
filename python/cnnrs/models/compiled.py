"""The losses and metrics that `compile` was given, resolved against a model's outputs."""

from __future__ import annotations

from typing import Any

from cnnrs import naming, ops, tree
from cnnrs.losses import Loss
from cnnrs.metrics import Mean, Metric

__all__ = ["CompiledLoss", "CompiledMetrics"]


class _FunctionLoss(Loss):
    """A function of targets and predictions as a loss: the mean of what it gives."""

    def __init__(self, function: Any):
        super().__init__(name=getattr(function, "__name__", type(function).__name__))
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)


def _resolve_loss(identifier: Any) -> Any:
    from cnnrs import losses

    if identifier is None or isinstance(identifier, Loss):
        return identifier
    loss = losses.get(identifier)
    return loss if isinstance(loss, Loss) else _FunctionLoss(loss)


def _per_output(given: Any, names: list[str], argument: str) -> list[Any]:
    """One entry for each output, from a list or a dict by output name."""
    if isinstance(given, dict):
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ValueError(
                f"compile: {argument}: no output is called {unknown[0]!r}"
                f"{naming.did_you_mean(unknown[0], names)}"
            )
        return [given.get(name) for name in names]
    if len(given) != len(names):
        raise ValueError(
            f"compile: {argument}: expected {len(names)} entries, one per output, received {len(given)}"
        )
    return list(given)


def _output_names(y_pred: Any, names: list[str] | None) -> list[str]:
    if isinstance(y_pred, dict):
        return sorted(y_pred)
    count = len(tree.flatten(y_pred))
    if names is not None and len(names) == count and len(set(names)) == count:
        return names
    return [f"output_{i}" for i in range(count)]


def _targets(y: Any, y_pred: Any, names: list[str]) -> list[Any]:
    if isinstance(y, dict):
        missing = [name for name in names if name not in y]
        return (
            [y.get(name) for name in names] if not missing or len(missing) < len(names) else tree.flatten(y)
        )
    flat = tree.flatten(y)
    if len(flat) != len(names):
        raise ValueError(f"y: expected {len(names)} targets, one per output, received {len(flat)}")
    return flat


def _fit_target(y_true: Any, y_pred: Any) -> Any:
    """A target of shape (n,) for an output of shape (n, 1) gets the missing axis."""
    if len(y_pred.shape) == len(y_true.shape) + 1 and y_pred.shape[-1] == 1:
        return ops.expand_dims(y_true, -1)
    return y_true


class CompiledLoss:
    """The weighted sum of the losses of all outputs.

    Attributes:
        trackers: With several outputs, the running mean of each one's loss.
    """

    def __init__(self, loss: Any, loss_weights: Any, output_names: list[str] | None):
        self.given = loss
        self.weights_given = loss_weights
        self.names = output_names
        self.losses: list[Any] | None = None
        self.weights: list[float] = []
        self.trackers: list[Any] = []
        # A wrong name is reported by compile, not by the first batch.
        if not isinstance(loss, (list, tuple, dict)):
            self.single = _resolve_loss(loss)
        else:
            for entry in tree.flatten(loss):
                _resolve_loss(entry)

    def _build(self, names: list[str]) -> None:
        if isinstance(self.given, (list, tuple, dict)):
            self.losses = [_resolve_loss(entry) for entry in _per_output(self.given, names, "loss")]
        else:
            self.losses = [self.single] * len(names)
        if self.weights_given is None:
            self.weights = [1.0] * len(names)
        elif isinstance(self.weights_given, (int, float)):
            self.weights = [float(self.weights_given)] * len(names)
        else:
            weights = _per_output(self.weights_given, names, "loss_weights")
            self.weights = [1.0 if weight is None else float(weight) for weight in weights]
        if len(names) > 1:
            self.trackers = [
                Mean(name=f"{name}_loss") if loss is not None else None
                for name, loss in zip(names, self.losses, strict=True)
            ]

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The total, a scalar; None if no output has a loss."""
        names = _output_names(y_pred, self.names)
        if self.losses is None:
            self._build(names)
        assert self.losses is not None
        predictions = tree.flatten(y_pred)
        targets = _targets(y, y_pred, names)
        weights = _weights(sample_weight, names)
        total = None
        for i, loss in enumerate(self.losses):
            if loss is None:
                continue
            y_true = _fit_target(targets[i], predictions[i])
            value = loss(y_true, predictions[i], weights[i])
            if self.trackers:
                self.trackers[i].update_state(value, sample_weight=float(predictions[i].shape[0]))
            if self.weights[i] != 1.0:
                value = value * self.weights[i]
            total = value if total is None else total + value
        return total


def _weights(sample_weight: Any, names: list[str]) -> list[Any]:
    if isinstance(sample_weight, dict):
        return [sample_weight.get(name) for name in names]
    if isinstance(sample_weight, (list, tuple)):
        if len(sample_weight) != len(names):
            raise ValueError(f"sample_weight: expected {len(names)} entries, received {len(sample_weight)}")
        return list(sample_weight)
    return [sample_weight] * len(names)


def _resolve_metric(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    from cnnrs import metrics

    if identifier in ("accuracy", "acc") if isinstance(identifier, str) else False:
        found = metrics.resolve_accuracy(tuple(y_true.shape), tuple(y_pred.shape))
    else:
        found = metrics.get(identifier)
    if isinstance(found, type):
        found = found()
    if not isinstance(found, Metric):
        found = metrics.MeanMetricWrapper(found, name=getattr(found, "__name__", type(found).__name__))
    if isinstance(identifier, str):
        found.name = identifier
    return found


class CompiledMetrics:
    """The metrics of all outputs.

    Attributes:
        metrics: The metrics, in the order in which they were given, weighted ones last.
    """

    def __init__(self, metrics: Any, weighted_metrics: Any, output_names: list[str] | None):
        self.given = metrics
        self.weighted_given = weighted_metrics
        self.names = output_names
        self.built = False
        # (output index, metric, weighted)
        self.entries: list[tuple[int, Any, bool]] = []
        self.labels: list[str] = []
        for argument, entries in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if entries is not None and not isinstance(entries, (list, tuple, dict)):
                raise TypeError(f"compile: {argument}: expected a list or a dict, received {entries!r}")
            for entry in tree.flatten(entries or []):
                if entry not in ("accuracy", "acc") if isinstance(entry, str) else False:
                    from cnnrs import metrics as registry

                    registry.get(entry)

    @property
    def metrics(self) -> list[Any]:
        """The metrics; those given as objects exist before the first batch."""
        if self.built:
            return [metric for _, metric, _ in self.entries]
        given = tree.flatten([self.given or [], self.weighted_given or []])
        return [metric for metric in given if isinstance(metric, Metric)]

    def _build(self, targets: list[Any], predictions: list[Any], names: list[str]) -> None:
        for given, weighted in ((self.given, False), (self.weighted_given, True)):
            if given is None:
                continue
            for output, identifiers in enumerate(self._split(given, names)):
                for identifier in identifiers:
                    metric = _resolve_metric(identifier, targets[output], predictions[output])
                    self.entries.append((output, metric, weighted))
                    prefix = f"{names[output]}_" if len(names) > 1 else ""
                    self.labels.append(f"{prefix}{metric.name}")
        self.built = True

    def _split(self, given: Any, names: list[str]) -> list[list[Any]]:
        def as_list(entry: Any) -> list[Any]:
            return [] if entry is None else list(entry) if isinstance(entry, (list, tuple)) else [entry]

        if isinstance(given, dict):
            return [as_list(entry) for entry in _per_output(given, names, "metrics")]
        if len(names) == 1:
            return [tree.flatten(list(given))]
        if not any(isinstance(entry, (list, tuple)) for entry in given) and len(given) != len(names):
            raise ValueError(
                f"compile: metrics: expected {len(names)} entries, one per output, received {len(given)}"
            )
        return [as_list(entry) for entry in given]

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        """Takes a batch into account."""
        names = _output_names(y_pred, self.names)
        predictions = tree.flatten(y_pred)
        targets = [_fit_target(t, p) for t, p in zip(_targets(y, y_pred, names), predictions, strict=True)]
        if not self.built:
            self._build(targets, predictions, names)
        weights = _weights(sample_weight, names)
        for output, metric, weighted in self.entries:
            if weighted and weights[output] is not None:
                metric.update_state(targets[output], predictions[output], sample_weight=weights[output])
            else:
                metric.update_state(targets[output], predictions[output])

    def result(self) -> dict[str, Any]:
        """Values by name."""
        results: dict[str, Any] = {}
        for label, (_, metric, _) in zip(self.labels, self.entries, strict=True):
            value = metric.result()
            results.update(value if isinstance(value, dict) else {label: value})
        return results
