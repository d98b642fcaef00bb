"""The loop over the batches of an epoch, with the hooks of callbacks around them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from cnnrs.training.batches import Batches, BatchRunner
from cnnrs.training.model_steps import Kind
from cnnrs.training.samples import Samples

if TYPE_CHECKING:
    from cnnrs.callbacks import CallbackList

__all__ = ["BatchHooks", "Runner", "run_epoch"]

# How long many batches run before Python looks again, in seconds: for a progress bar, and for Ctrl-C alone.
_SECONDS_OF_BAR = 0.1
_SECONDS = 0.5


class Runner(Protocol):
    """What runs batches: a `StepRunner`, or something around it."""

    def group(self, batches: list[Samples]) -> Any:
        """Runs batches one after the other; gives what the last one gave."""

    def many(self, head: Samples) -> BatchRunner | None:
        """What runs many batches of the shape of `head` in one call; None if there is nothing."""

    def logs(self, outcome: Any) -> dict[str, Any]:
        """The logs that callbacks receive, from what a batch gave or from logs."""


class BatchHooks:
    """The hooks of callbacks around batches.

    Attributes:
        each: Whether the hooks are called around every batch, or every `at_once` batches.
        told: Whether something looks at the logs of batches, so that `end` is to be called.
        begin: Called before a batch, or a group of them, with its number.
        end: Called after a batch, or a group of them, with the number of the last one and its logs.
        at_once: Batches of a group.

    Args:
        callbacks: The callbacks.
        kind: The kind of step.
        bar: Whether a progress bar looks at batches, which need not be each of them.
        at_once: Batches between two calls of the hooks.
        always: Whether hooks are called even if no callback but the bar has one.
    """

    def __init__(
        self, callbacks: CallbackList, kind: Kind, *, bar: bool, at_once: int = 1, always: bool = False
    ):
        self.each = always or callbacks.has_batch_hooks
        self.told = self.each or bar
        self.begin: Callable[[int], None] = _nothing
        if self.each:
            self.begin = getattr(callbacks, f"on_{kind}_batch_begin")
        self.end: Callable[[int, dict[str, Any]], None] = getattr(callbacks, f"on_{kind}_batch_end")
        self._bar = bar
        self.at_once = at_once

    def span(self, first: int, full: int) -> tuple[int, float]:
        """How long batches from `first` on may run without a hook.

        Returns:
            The batch to stop before, at most `full`, and for how many seconds batches begin.
        """
        if self.each:
            return min(full, first + self.at_once), 1e9
        return full, _SECONDS_OF_BAR if self._bar else _SECONDS


def _nothing(batch: int) -> None:
    """Stands for hooks that nobody has."""


def run_epoch(
    batches: Batches,
    runner: Runner,
    hooks: BatchHooks,
    stop: Callable[[], bool] = lambda: False,
    before: Any = None,
) -> dict[str, Any]:
    """Runs the batches of an epoch.

    Batches of arrays that have the full size run many in one call if `runner` can; the others in groups.

    Args:
        batches: The batches; a new epoch of them is started.
        runner: Runs them.
        hooks: What is called around them.
        stop: Asked before each batch, or each call that runs many, whether to leave out the rest.
        before: The logs of the last batch that was run before an epoch was interrupted.

    Returns:
        The logs of the last batch.

    Raises:
        ValueError: There is no batch.
    """
    outcome: Any = before

    def ended(last: int, outcome: Any) -> Any:
        if not hooks.told:
            return outcome
        logs = runner.logs(outcome)
        hooks.end(last, logs)
        return logs

    batches.start()
    batch = batches.first
    head = batches.head()
    many = None if head is None else runner.many(head)
    full = 0 if many is None else batches.full
    while many is not None and batch < full and not stop():
        hooks.begin(batch)
        first = batch
        batch, outcome = batches.run(many, batch, *hooks.span(batch, full))
        # A group that ends with a short batch.
        if hooks.each and batch == full and batch - first < hooks.at_once:
            rest = list(islice(batches, hooks.at_once - (batch - first)))
            if rest:
                outcome = runner.group(rest)
                batch += len(rest)
        outcome = ended(batch - 1, outcome)
    remaining = iter(batches) if many is None or batch == full else iter(())
    # Stopping is asked before the next batch is, which may be long in coming.
    while not stop():
        group = list(islice(remaining, hooks.at_once))
        if not group or stop():
            break
        hooks.begin(batch)
        outcome = runner.group(group)
        batch += len(group)
        outcome = ended(batch - 1, outcome)
    if batch == 0:
        raise ValueError("x: expected at least one batch, received none")
    return runner.logs(outcome)
