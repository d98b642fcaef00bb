"""Patches of images as tokens of a transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import initializers, ops
from cnnrs.base.arguments import integer
from cnnrs.layers.arguments import looked_up
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec

__all__ = ["PatchTokens"]


class PatchTokens(Layer):
    """Patches in a row behind a class token, to each of which an embedding of its place is added.

    Equation 1 of Dosovitskiy, Beyer, Kolesnikov and others, An image is worth 16x16 words: Transformers for
    image recognition at scale, ICLR 2021, arXiv 2010.11929, behind a convolution that makes the patches.
    Where an image has another grid of patches than the embeddings, these are interpolated bicubically, as
    section 3.2 says: in each call, and once where a file holds those of another grid.

    Args:
        grid: Rows and columns of patches of which places have embeddings; None for those of the input.
        class_token: Whether a learned token stands in front.
        initializer: Of the embeddings: a normal distribution cut off at two deviations of 0.02 by default.
        The class
            token starts at 0.
        **kwargs: `name` and `dtype`.

    Input shape:
        (batch, rows, columns, channels).

    Output shape:
        (batch, 1 + rows * columns, channels); without the class token (batch, rows * columns, channels).

    Raises:
        ValueError: `grid` is no pair of numbers, or it is None and the input's is unknown.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> tokens = layers.PatchTokens()
    >>> tokens(np.zeros((2, 14, 14, 8))).shape, tokens.count_params()
    ((2, 197, 8), 1584)
    >>> tokens(np.zeros((1, 7, 9, 8))).shape  # 14 x 14 embeddings, interpolated
    (1, 64, 8)
    """

    def __init__(self, grid: Any = None, class_token: bool = True, initializer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.grid = None if grid is None else self._checked(grid)
        self.class_token = bool(class_token)
        standard = initializers.TruncatedNormal(stddev=0.02)
        self.initializer = (
            standard
            if initializer is None
            else looked_up(initializer, initializers, self.name, "initializer")
        )
        self.input_spec = InputSpec(ndim=4)

    def _checked(self, grid: Any) -> tuple[int, int]:
        pair = (grid, grid) if isinstance(grid, int) else grid
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"{self.name}: grid: expected rows and columns, or None, received {grid!r}")
        rows, columns = (integer(n, self.name, "grid", least=1) for n in pair)
        return rows, columns

    def build(self, input_shape: Any) -> None:
        _, rows, columns, channels = input_shape
        if self.grid is None and None in (rows, columns):
            raise ValueError(
                f"{self.name}: grid: expected rows and columns of the embeddings for images of unknown "
                "size, received None"
            )
        self._built_grid: tuple[int, int] = self.grid or (rows, columns)
        rows, columns = self._built_grid
        if self.class_token:
            self.token = self.add_weight(shape=(1, 1, channels), initializer="zeros", name="class_token")
        self.embedding = self.add_weight(
            shape=(1, self.class_token + rows * columns, channels),
            initializer=self.initializer,
            name="position_embedding",
        )

    def call(self, inputs: Any) -> Any:
        sizes: tuple[Any, ...] = ops.shape(inputs)
        batch, rows, columns, channels = sizes
        first = int(self.class_token)
        patches = self.embedding[:, first:]
        if (rows, columns) != self._built_grid:
            patches = _resized(patches, self._built_grid, (rows, columns))
        x = ops.reshape(inputs, (batch, rows * columns, channels)) + ops.cast(patches, inputs.dtype)
        if not self.class_token:
            return x
        token = ops.cast(self.token + self.embedding[:, :1], inputs.dtype)
        return ops.concatenate([ops.broadcast_to(token, (batch, 1, channels)), x], axis=1)

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        batch, rows, columns, channels = input_shape
        known = None not in (rows, columns)
        return (batch, self.class_token + rows * columns if known else None, channels)

    def load_own_variables(self, store: Any) -> None:
        """Takes the weights of a file, whose embeddings may be of another grid, of equal rows and columns."""
        own = [variable.path.rsplit("/", 1)[-1] for variable in self.weights]
        keys = list(store.keys())
        named = all(name in keys for name in own)
        for number, variable in enumerate(self.weights):
            value = np.asarray(store[own[number] if named else str(number)])
            if variable is self.embedding:
                value = self.resampled(value)
            variable.assign(value)

    def resampled(self, embedding: np.ndarray) -> np.ndarray:
        """Embeddings of a square grid for this layer's grid, (1, tokens, channels).

        Args:
            embedding: Those of another grid, behind that of the class token, if the layer has one.

        Raises:
            ValueError: The other grid is not square, or has other channels.
        """
        wanted = tuple(self.embedding.shape)
        if embedding.shape == wanted:
            return embedding
        first = int(self.class_token)
        side = round(max(embedding.shape[1] - first, 0) ** 0.5) if embedding.ndim == 3 else 0
        if side == 0 or (1, first + side * side, wanted[2]) != embedding.shape:
            raise ValueError(
                f"{self.name}: position_embedding: expected shape {wanted}, or that of a square grid of "
                f"patches, received {embedding.shape}"
            )
        patches = _resized(ops.convert_to_tensor(embedding[:, first:]), (side, side), self._built_grid)
        return np.concatenate([embedding[:, :first], ops.convert_to_numpy(patches)], axis=1)

    def get_config(self) -> dict[str, Any]:
        own = {"grid": self.grid, "class_token": self.class_token}
        return {**super().get_config(), **own, "initializer": initializers.serialize(self.initializer)}


def _resized(patches: Any, grid: tuple[int, int], wanted: tuple[int, int]) -> Any:
    """Embeddings (1, places, channels) of a grid, interpolated for another one."""
    channels = patches.shape[2]
    image = ops.reshape(patches, (1, *grid, channels))
    image = ops.image.resize(image, wanted, interpolation="bicubic")
    return ops.reshape(image, (1, wanted[0] * wanted[1], channels))
