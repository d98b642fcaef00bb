"""`Lookahead`: slow weights that follow the fast ones of another optimizer."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import integer, number
from cnnrs.ops import raw
from cnnrs.optimizers.loss_scale import LossScaleOptimizer
from cnnrs.optimizers.optimizer import is_overwritten
from cnnrs.optimizers.wrapper import OptimizerWrapper

__all__ = ["Lookahead"]


class Lookahead(OptimizerWrapper):
    """Another optimizer's steps; after each `sync_period` of them, slow weights go a part of the way.

    The inner optimizer moves the fast weights `θ`, which are the model's. After `k` of its updates the slow
    weights `φ` follow, `φ ← φ + α (θ - φ)`, and the fast ones start from there, `θ ← φ` (Zhang et al. 2019,
    "Lookahead optimizer: k steps forward, 1 step back", arXiv:1907.08610, algorithm 1). The slots of the
    inner optimizer stay as they are.

    Args:
        inner_optimizer: The optimizer that updates the weights, by name or object.
        sync_period: Updates between two steps of the slow weights, `k`; 5 in the paper.
        slow_step_size: The part of the way, `α`, above 0 and at most 1; 0.5 in the paper.
        name: Name.
        **kwargs: None; the other arguments of optimizers belong to `inner_optimizer`.

    Raises:
        ValueError: An argument is out of its range, or `inner_optimizer` scales the loss, which belongs
            around `Lookahead`.

    >>> import cnnrs
    >>> w = cnnrs.Variable([1.0])
    >>> optimizer = cnnrs.optimizers.Lookahead(cnnrs.optimizers.SGD(0.1), sync_period=2)
    >>> for _ in range(2):
    ...     optimizer.apply([[1.0]], [w])
    >>> w.numpy().round(4).tolist()
    [0.8999999761581421]
    """

    def __init__(
        self,
        inner_optimizer: Any,
        sync_period: int = 5,
        slow_step_size: float = 0.5,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(inner_optimizer, name, kwargs)
        if isinstance(self.inner_optimizer, LossScaleOptimizer):
            raise ValueError(
                f"Lookahead: inner_optimizer: expected one that goes inside of Lookahead, received "
                f"{self.inner_optimizer!r}"
            )
        self.sync_period = integer(sync_period, self, "sync_period", least=1)
        self.slow_step_size = number(slow_step_size, self, "slow_step_size", above=0, most=1)

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._slow_weights = self._own_slots("slow", "copy")

    def _apply(self, pairs: list[Any]) -> None:
        followed = [v for _, v in pairs if not is_overwritten(v) and self.updates(v)]
        start, count = [v.value for v in followed], self._updates()
        self.inner_optimizer._apply(pairs)
        updates = self._updates()
        # An update that was skipped, or that only adds to accumulated gradients, does not count.
        due = (count < updates) & raw.equal(raw.mod(updates, int(self.sync_period)), 0)
        for variable, first in zip(followed, start, strict=True):
            slot = self._slow_weights[self._index(variable)]
            # The first update starts from the weights as they are then.
            slow = raw.where(raw.equal(count, 0), first.astype(slot.dtype), slot.value)
            fast = variable.value.astype(slot.dtype)
            slow = raw.where(due, slow + float(self.slow_step_size) * (fast - slow), slow)
            slot.assign(slow)
            variable.assign(raw.where(due, slow.astype(variable.dtype), variable.value))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            **super().get_config(),
            "sync_period": self.sync_period,
            "slow_step_size": self.slow_step_size,
        }
