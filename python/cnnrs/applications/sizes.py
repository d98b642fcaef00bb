"""Sizes and widths of networks of which there are trained weights for several."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs.applications.building import channel_axis, input_shape_of
from cnnrs.applications.networks import NETWORKS, STORE, Weights, weights_at
from cnnrs.base.arguments import number
from cnnrs.base.user_warnings import warn_user

__all__ = ["Choice", "Sizes"]


class Choice(NamedTuple):
    """What the arguments of a network ask for.

    Attributes:
        size: Height and width by default.
        height: Height in the names of the model and of its files; None if it is unknown.
        folder: Address of the folder of files.
    """

    size: int
    height: int | None
    folder: str

    def files(self, stem: str) -> Weights:
        """The two files whose names begin with `stem`. Keras publishes no checksums of them."""
        return weights_at(self.folder, stem, None, None, "_no_top")


class Sizes(NamedTuple):
    """The sizes and widths of which there are trained weights.

    Attributes:
        network: Name in the table of networks.
        sizes: Heights and widths.
        alphas: Widths.
    """

    network: str
    sizes: tuple[int, ...]
    alphas: tuple[float, ...]

    def choose(
        self, input_shape: Any, input_tensor: Any, alpha: Any, weights: Any, include_top: Any
    ) -> Choice:
        """The sizes for arguments of a network; 224 where there are no weights for those of the images.

        Raises:
            ValueError: An argument does not fit.
        """
        row = NETWORKS[self.network]
        number(alpha, self.network, "alpha", above=0)
        axis = 1 if channel_axis() == 1 else 0
        known = getattr(input_tensor, "shape", (None,))[1:] if input_shape is None else input_shape
        # What is no shape is refused below.
        extents = set(known[axis : axis + 2]) if isinstance(known, (tuple, list)) else set()
        size = extents.pop() if len(extents) == 1 and extents <= set(self.sizes) else row.size
        shape = input_shape_of(input_shape, self.network, size, row.least, weights, bool(include_top))
        height, width = shape[axis : axis + 2]
        if weights == "imagenet":
            if alpha not in self.alphas:
                widths = ", ".join(map(str, self.alphas))
                raise ValueError(
                    f"{self.network}: alpha: expected one of {widths} with weights='imagenet', received "
                    f"{alpha!r}"
                )
            if height != width or height not in self.sizes:
                height = row.size
                warn_user(
                    f"{self.network}: there are weights for square images of {self.sizes}; for another size, "
                    f"or an unknown one, those for {height} are taken"
                )
        return Choice(size, height, f"{STORE}/{row.module}")
