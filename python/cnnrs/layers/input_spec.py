"""What a layer demands of its inputs."""

from __future__ import annotations

from typing import Any

from cnnrs import tree

__all__ = ["InputSpec", "check_inputs"]


class InputSpec:
    """Rank, extents and dtype that an input must have; None where anything is accepted.

    Args:
        dtype: Name of the element type.
        shape: Extents, None for any.
        ndim: Number of axes.
        max_ndim: Most axes.
        min_ndim: Fewest axes.
        axes: Extents of some axes, by axis.
        allow_last_axis_squeeze: Accept a shape that lacks, or adds, a last axis of extent 1.
        name: Key of the input, when inputs are a dict.
        optional: Whether the input may be None.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): extent for axis, extent in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def __repr__(self) -> str:
        parts = [f"{k}={v}" for k, v in vars(self).items() if v not in (None, False, {})]
        return f"InputSpec({', '.join(parts)})"

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {k: v for k, v in vars(self).items() if k != "ndim" or self.shape is None}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The spec with these arguments."""
        return cls(**config)


def check_inputs(specs: Any, inputs: Any, layer: str) -> None:
    """Compares inputs with what a layer demands.

    Raises:
        ValueError: One of them does not fit; the message names the layer, what it expected and received.
    """
    if isinstance(specs, InputSpec) and isinstance(inputs, dict):
        raise ValueError(f"{layer}: expected one input, received a dict with the keys {sorted(inputs)}")
    wanted, given = tree.flatten(specs), tree.flatten(inputs)
    if len(wanted) != len(given):
        raise ValueError(f"{layer}: expected {len(wanted)} inputs, received {len(given)}")
    for spec, x in zip(wanted, given, strict=True):
        if spec is None or (x is None and spec.optional):
            continue
        if not hasattr(x, "shape"):
            raise ValueError(f"{layer}: expected a tensor, received {type(x).__name__}")
        _check(spec, tuple(x.shape), str(x.dtype), layer)


def _check(spec: InputSpec, shape: tuple[int | None, ...], dtype: str, layer: str) -> None:
    wanted = spec.shape
    if spec.allow_last_axis_squeeze and wanted:
        if len(shape) == len(wanted) + 1 and shape[-1] == 1:
            shape = shape[:-1]
        elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
            shape = (*shape, 1)
    rank = len(shape)
    if spec.ndim is not None and rank != spec.ndim:
        raise ValueError(f"{layer}: expected an input of {spec.ndim} axes, received {rank}: shape {shape}")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ValueError(
            f"{layer}: expected an input of at least {spec.min_ndim} axes, received shape {shape}"
        )
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ValueError(
            f"{layer}: expected an input of at most {spec.max_ndim} axes, received shape {shape}"
        )
    if spec.dtype is not None and dtype != spec.dtype:
        raise ValueError(f"{layer}: expected an input of dtype {spec.dtype}, received {dtype}")
    for axis, extent in spec.axes.items():
        if extent is not None and shape[axis] not in (extent, None):
            raise ValueError(
                f"{layer}: expected an input with extent {extent} on axis {axis}, received shape {shape}"
            )
    if wanted is not None:
        for extent, received in zip(wanted, shape, strict=True):
            if extent is not None and received is not None and extent != received:
                raise ValueError(f"{layer}: expected an input of shape {wanted}, received shape {shape}")
