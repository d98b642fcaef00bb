"""The metrics that `compile` was given, resolved against a model's outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs import metrics as metrics_module
from cnnrs import tree
from cnnrs.base import naming
from cnnrs.metrics import Metric
from cnnrs.training.crossentropy import NAMES, crossentropy
from cnnrs.training.outputs import Outputs

__all__ = ["CompiledMetrics"]


def _resolve_metric(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    if isinstance(identifier, str) and identifier in ("accuracy", "acc"):
        found = metrics_module.resolve_accuracy(tuple(y_true.shape), tuple(y_pred.shape))
    elif isinstance(identifier, str) and identifier in NAMES:
        found = metrics_module.MeanMetricWrapper(crossentropy)
        found._direction = "down"
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


def _hint(y_true: Any, y_pred: Any, told: str) -> str:
    """What to say besides where targets are numbers of classes and predictions are scores of each."""
    true, found = tuple(y_true.shape), tuple(y_pred.shape)
    numbers = "int" in y_true.dtype and found[-1:] != (1,) and true in (found[:-1], (*found[:-1], 1))
    return (
        "; numbers of classes go with metrics called 'sparse_…'" if numbers and "sparse_" not in told else ""
    )


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
                if not (isinstance(entry, str) and entry in ("accuracy", "acc", *NAMES)):
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

    def _state(self) -> list[Any]:
        return [variable for metric in self.metrics for variable in metric._state()]

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def _build(self, outputs: Outputs, y: Any) -> list[_OutputMetric]:
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

    def _split(self, given: Any, outputs: Outputs, argument: str) -> list[list[Any]]:
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
        outputs = Outputs(y_pred, self.names)
        if self._entries is None:
            self._entries = self._build(outputs, y)
        targets = outputs.targets(y, sorted({entry.output for entry in self._entries}))
        weighted = sorted({entry.output for entry in self._entries if entry.weighted})
        weights = outputs.weights(sample_weight, weighted)
        for entry in self._entries:
            y_true, prediction = targets[entry.output], outputs.flat[entry.output]
            weight = weights[entry.output] if entry.weighted else None
            given = {} if weight is None else {"sample_weight": weight}
            try:
                entry.metric.update_state(y_true, prediction, **given)
            except ValueError as error:
                if type(error) is not ValueError:
                    raise
                told = outputs.misfit("metric", entry.metric.name, entry.output, y_true, prediction, error)
                raise ValueError(told + _hint(y_true, prediction, told)) from error

    def result(self) -> dict[str, Any]:
        """Values by name; none before the first batch."""
        results: dict[str, Any] = {}
        for entry in self._entries or []:
            value = entry.metric.result()
            results.update(value if isinstance(value, dict) else {entry.label: value})
        return results
