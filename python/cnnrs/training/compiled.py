"""`Compiled`: what `compile` was given, resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from cnnrs.metrics import Mean, Metric
from cnnrs.training.arguments import check_jit_compile
from cnnrs.training.compiled_loss import CompiledLoss
from cnnrs.training.compiled_metrics import CompiledMetrics

__all__ = ["Compiled"]


@dataclass(frozen=True)
class Compiled:
    """What `compile` was given, resolved. The optimizer is an attribute of the model, which may be set later.

    Attributes:
        config: The arguments of `compile` as they were given.
        loss: The loss of all outputs; None if there is none.
        metrics: The metrics of all outputs; None if there are none.
        run_eagerly: Whether Python runs at every batch.
        jit_compile: "auto", or whether steps that the user wrote are recorded.
        loss_tracker: The running mean of the loss.

    >>> compiled = Compiled.of({"loss": "mse"}, output_names=None)
    >>> [metric.name for metric in compiled.all_metrics]
    ['loss']
    """

    config: dict[str, Any]
    loss: CompiledLoss | None
    metrics: CompiledMetrics | None
    run_eagerly: bool
    jit_compile: bool | Literal["auto"]
    loss_tracker: Mean = field(default_factory=lambda: Mean(name="loss"))

    @classmethod
    def of(cls, config: dict[str, Any], output_names: list[str] | None) -> Compiled:
        """Checks and resolves arguments of `compile`.

        Args:
            config: The arguments by name; those that are absent have their defaults.
            output_names: Names of the model's outputs, if they are known before it is called.

        Raises:
            TypeError: The metrics are no list or dict.
            ValueError: An argument has another value than it may have, or a name is unknown.
        """
        given = config.get
        jit_compile, steps = given("jit_compile", "auto"), given("steps_per_execution", 1)
        jit_compile = check_jit_compile(jit_compile, "compile: jit_compile")
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(f"compile: steps_per_execution: expected an integer >= 1, received {steps!r}")
        loss, metrics, weighted = given("loss"), given("metrics"), given("weighted_metrics")
        has_metrics = metrics is not None or weighted is not None
        return cls(
            config,
            None if loss is None else CompiledLoss(loss, given("loss_weights"), output_names),
            CompiledMetrics(metrics, weighted, output_names) if has_metrics else None,
            bool(given("run_eagerly", False)),
            jit_compile,
        )

    @property
    def all_metrics(self) -> list[Metric]:
        """The loss's running mean, the metrics as one, and those of each output's loss."""
        found: list[Metric] = [self.loss_tracker]
        if self.metrics is not None:
            found.append(self.metrics)
        return found if self.loss is None else found + self.loss.metrics
