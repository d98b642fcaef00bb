"""`SAM`: steps from gradients that are taken where the loss is largest nearby."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from cnnrs import _core
from cnnrs.base.arguments import flag, number
from cnnrs.ops import raw
from cnnrs.optimizers.loss_scale import LossScaleOptimizer
from cnnrs.optimizers.optimizer import is_overwritten, tensor_of
from cnnrs.optimizers.wrapper import OptimizerWrapper

__all__ = ["SAM"]

# Keeps a gradient of zero from a division by zero.
_TINY = 1e-12


class SAM(OptimizerWrapper):
    """Sharpness-aware minimization: another optimizer's step, with the gradient at the worst point nearby.

    A step computes the gradient `g` at the weights `w`, goes up to `w + e` with `e = ρ · g / ‖g‖₂`, computes
    the gradient there, goes back to `w`, and lets the inner optimizer take its step with that gradient
    (Foret et al. 2021, "Sharpness-aware minimization for efficiently improving generalization",
    arXiv:2010.01412, equation 2 and algorithm 1). The norm is that of all weights together. With
    `adaptive=True` the neighbourhood follows the size of each weight, `e = ρ · T² g / ‖T g‖₂` with
    `T = |w| + η` (Kwon et al. 2021, "ASAM: Adaptive sharpness-aware minimization for scale-invariant learning
    of deep neural networks", arXiv:2102.11600, equation 7).

    A step costs two passes. Both see the same random numbers; moving statistics and metrics follow the first.
    `fit` makes both passes in one recorded step. A loop of your own takes the second gradient within
    `perturbed`.

    Args:
        inner_optimizer: The optimizer that updates the weights, by name or object.
        rho: The radius of the neighbourhood: 0.05 is the paper's for ImageNet; 0.5 to 2 with `adaptive`.
        adaptive: Whether the neighbourhood follows the size of each weight.
        eta: Added to `|w|` with `adaptive`.
        name: Name.
        **kwargs: None; the other arguments of optimizers belong to `inner_optimizer`.

    Raises:
        ValueError: `rho` is not above 0, or `inner_optimizer` scales the loss, which belongs around `SAM`.

    >>> import cnnrs
    >>> w = cnnrs.Variable([1.0, 2.0])
    >>> optimizer = cnnrs.optimizers.SAM(cnnrs.optimizers.SGD(0.1), rho=0.5)
    >>> def gradient():
    ...     with cnnrs.GradientTape() as tape:
    ...         loss = cnnrs.ops.sum(w * w)
    ...     return tape.gradient(loss, [w])
    >>> with optimizer.perturbed(gradient(), [w]):
    ...     gradients = gradient()
    >>> optimizer.apply(gradients, [w])
    >>> w.numpy().round(4).tolist()
    [0.755299985408783, 1.510599970817566]
    """

    def __init__(
        self,
        inner_optimizer: Any,
        rho: float = 0.05,
        adaptive: bool = False,
        eta: float = 0.01,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(inner_optimizer, name, kwargs)
        if isinstance(self.inner_optimizer, (LossScaleOptimizer, SAM)):
            raise ValueError(
                "SAM: inner_optimizer: expected one that goes inside of SAM, received "
                f"{self.inner_optimizer!r}"
            )
        self.rho = number(rho, self, "rho", above=0)
        self.adaptive = flag(adaptive, self, "adaptive")
        self.eta = number(eta, self, "eta", least=0)
        self._has_second_gradient = False

    @property
    def passes(self) -> int:
        """How often a step computes the loss: twice."""
        return 2

    def gradients(self, loss: Any, variables: list[Any], again: Callable[[], Any]) -> list[Any]:
        """The gradients at the worst point nearby."""
        with self.perturbed(_core.gradients(loss, variables), variables):
            return _core.gradients(again(), variables)

    @contextlib.contextmanager
    def perturbed(self, gradients: Any, variables: Any) -> Iterator[None]:
        """Within it, the weights are at the worst point nearby; afterwards they are what they were.

        Args:
            gradients: Those at the weights.
            variables: The weights, in the same order.

        Raises:
            ValueError: The numbers differ, or no gradient is there.
        """
        gradients, variables = list(gradients), list(variables)
        if len(gradients) != len(variables):
            raise ValueError(
                f"{self.name}: perturbed: expected {len(variables)} gradients, received {len(gradients)}"
            )
        if not self.built:
            self.build(variables)
        pairs = [
            (tensor_of(g), v)
            for g, v in zip(gradients, variables, strict=True)
            if g is not None and not is_overwritten(v) and self.updates(v)
        ]
        if not pairs:
            raise ValueError(
                f"{self.name}: perturbed: no variable has a gradient; does the loss depend on them?"
            )
        before = [(v, v.value) for _, v in pairs]
        with _core.no_grad(), _core.layer_scope(self.name):
            for (_, variable), step in zip(pairs, self._ascent(pairs), strict=True):
                variable.assign((variable.value.astype("float32") + step).astype(variable.dtype))
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)
        self._has_second_gradient = True

    def _ascent(self, pairs: list[Any]) -> list[Any]:
        """`e` of each weight."""
        if not self.adaptive:
            scale = self.rho / (raw.sqrt(_total(g for g, _ in pairs)) + _TINY)
            return [g * scale for g, _ in pairs]
        sizes = [raw.abs(v.value.astype("float32")) + float(self.eta) for _, v in pairs]
        scaled = [g * size for (g, _), size in zip(pairs, sizes, strict=True)]
        scale = self.rho / (raw.sqrt(_total(scaled)) + _TINY)
        return [g * size * scale for g, size in zip(scaled, sizes, strict=True)]

    def _apply(self, pairs: list[Any]) -> None:
        if not self._has_second_gradient:
            raise ValueError(
                f"{self.name}: apply: expected gradients that were taken within `perturbed`; a train_step of "
                "your own computes them twice, see SAM"
            )
        self._has_second_gradient = False
        self.inner_optimizer._apply(pairs)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "rho": self.rho, "adaptive": self.adaptive, "eta": self.eta}


def _total(gradients: Any) -> Any:
    """The sum of the squares of all elements of all gradients."""
    total: Any = None
    for gradient in gradients:
        square = raw.sum(raw.square(gradient)).astype("float32")
        total = square if total is None else total + square
    return total
