"""Numbers as the bins they lie in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import integer
from cnnrs.layers.base import Layer
from cnnrs.layers.preprocessing.encoding import encode, limited

__all__ = ["Discretization"]

_MODES = ("int", "one_hot", "multi_hot", "count")


class Discretization(Layer):
    """The bin of each number, as an index or in vectors; the boundaries are given or measured by `adapt`.

    Args:
        bin_boundaries: Where bins after the first begin, in rising order.
        num_bins: How many bins `adapt` makes, with about as many numbers in each; in place of boundaries.
        epsilon: How exact quantiles are: numbers are kept at about `1 / epsilon` places.
        output_mode: "int" for indices, "one_hot" for a vector of each, "multi_hot" and "count" for one of
            each sample.
        sparse: False; there are no sparse tensors.
        dtype: The dtype of vectors.
        name: The layer's name.

    Returns:
        A tensor when called, of int32 for "int".

    Raises:
        ValueError: Both of `bin_boundaries` and `num_bins` are given, or none.

    >>> from cnnrs import layers
    >>> layers.Discretization([0.0, 1.0])([-1.5, 0.0, 3.4]).tolist()
    [0, 1, 2]
    """

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if sparse:
            raise ValueError(f"{self.name}: sparse: expected False; sparse tensors are not supported")
        if output_mode not in _MODES:
            raise ValueError(
                f"{self.name}: output_mode: expected one of {', '.join(_MODES)}, received {output_mode!r}"
            )
        if (num_bins is None) == (bin_boundaries is None):
            raise ValueError(
                f"{self.name}: num_bins, bin_boundaries: expected one of them, "
                f"received {num_bins!r} and {bin_boundaries!r}"
            )
        if not 0 < epsilon <= 1:
            raise ValueError(
                f"{self.name}: epsilon: expected a number above 0, at most 1, received {epsilon!r}"
            )
        self.bin_boundaries = None if bin_boundaries is None else np.asarray(bin_boundaries).tolist()
        if self.bin_boundaries is not None and not np.all(np.diff(self.bin_boundaries) >= 0):
            raise ValueError(
                f"{self.name}: bin_boundaries: expected numbers in rising order, received {bin_boundaries!r}"
            )
        self.num_bins = None if num_bins is None else integer(num_bins, self.name, "num_bins", least=1)
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = False
        self.reset_state()
        self._build_at_init()

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Measures the boundaries of bins that hold about as many numbers each.

        Args:
            data: An array, or batches of arrays.
            steps: How many batches count; None for all of them.

        Raises:
            ValueError: The layer was made with boundaries, or there are no numbers.
        """
        if self.num_bins is None:
            raise ValueError(f"{self.name}: adapt: expected a layer made with num_bins, not bin_boundaries")
        self.reset_state()
        if hasattr(data, "shape") and hasattr(data, "dtype"):
            self.update_state(data)
        elif isinstance(data, Iterable):
            for batch in limited(data, steps):
                self.update_state(batch)
        else:
            raise TypeError(
                f"{self.name}: adapt: expected an array or batches of them, received {type(data).__name__}"
            )
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets the numbers that `update_state` has seen."""
        self._summary = np.zeros((2, 0), np.float32)

    def update_state(self, data: Any) -> None:
        """Takes the numbers of a batch into account.

        Args:
            data: An array.
        """
        values = np.sort(np.asarray(data.numpy() if hasattr(data, "numpy") else data, np.float32), axis=None)
        step = max(values.size * self.epsilon, 1)
        places = values[int(step - 1) :: int(step)]
        new = np.stack([places, np.full_like(places, step)])
        merged = np.concatenate([new, self._summary], axis=1)
        self._summary = _compressed(merged[:, np.argsort(merged[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Makes the boundaries of what `update_state` has seen."""
        if self.num_bins is None:
            return
        if not self._summary.size:
            raise ValueError(f"{self.name}: adapt: expected at least one number, received none")
        self.bin_boundaries = _compressed(self._summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise ValueError(f"{self.name}: expected bin_boundaries, or a call of adapt")
        bins = np.asarray(self.bin_boundaries, np.float32)
        # Without boundaries all numbers are in one bin.
        x = ops.cast(inputs, "float32")
        indices = ops.digitize(x, bins) if len(bins) else ops.zeros_like(x, dtype="int32")
        dtype = "int32" if self.output_mode == "int" else self.compute_dtype
        return encode(indices, self.output_mode, len(bins) + 1, dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("bin_boundaries", "num_bins", "epsilon", "output_mode", "sparse")
        base = super().get_config()
        return {"name": base["name"], "dtype": base["dtype"], **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer of a configuration, which has boundaries beside `num_bins` after `adapt`."""
        boundaries = config.get("bin_boundaries")
        if boundaries is None or config.get("num_bins") is None:
            return super().from_config(config)
        layer = super().from_config({k: v for k, v in config.items() if k != "bin_boundaries"})
        layer.bin_boundaries = boundaries
        return layer


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """Numbers and how many each stands for, at the quantiles that are `epsilon` apart."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    totals = summary[1].cumsum()
    relative = totals / totals[-1]
    places = np.interp(shares, relative, summary[0])
    weights = np.diff(np.interp(shares, relative, totals), prepend=0)
    return np.stack([places, weights]).astype(np.float32)
