"""Columns of `model.summary()` that need the model looked into."""

from __future__ import annotations

from typing import Any

from cnnrs import analysis
from cnnrs.models.summary import size_text

__all__ = ["LookedInto"]


class LookedInto:
    """Columns of what `cnnrs.analysis` finds: of layers by their paths, and lines below the table.

    Args:
        model: The model.
        flops: Whether floating-point operations are shown.
        receptive_field: Whether receptive fields are shown.
        output_stride: Whether output strides are shown.
        memory: Whether the memory of results is shown.
        input_shape: The shape of a sample, where the model's inputs have none that is known.
    """

    def __init__(
        self,
        model: Any,
        flops: bool,
        receptive_field: bool,
        output_stride: bool,
        memory: bool,
        input_shape: Any,
    ):
        self.titles: list[str] = []
        self.totals: list[str] = []
        self._cells: list[dict[str, str]] = []
        if flops or memory:
            costs = analysis.costs(model, input_shape=input_shape)
            sample = f"one sample of {', '.join(map(str, costs.sample_shapes))}"
            if flops:
                self._add("FLOPs", {c.path: f"{c.flops:,}" for c in costs})
                self.totals.append(
                    f" FLOPs: {costs.flops:,} for {sample}, {costs.macs:,} multiply-adds among them"
                )
            if memory:
                self._add("Memory", {c.path: size_text(c.activation_bytes, 1) for c in costs})
                parts = [
                    f"results {size_text(costs.activation_bytes, 1)}",
                    f"a prediction {size_text(costs.inference_bytes, 1)}",
                    f"gradients {size_text(costs.training_bytes, 1)}",
                ]
                self.totals.append(f" Memory for {sample}: {', '.join(parts)} at most, beside the weights")
        if receptive_field or output_stride:
            fields = analysis.receptive_field(model, input_shape=input_shape)
            if receptive_field:
                self._add("Receptive Field", {f.path: f.text for f in fields})
            if output_stride:
                self._add("Stride", {f.path: f.stride_text for f in fields})

    def _add(self, title: str, cells: dict[str, str]) -> None:
        self.titles.append(title)
        self._cells.append(cells)

    def row(self, path: str) -> list[str]:
        """The cells of a layer; "-" where there is nothing to say."""
        return [cells.get(path) or "-" for cells in self._cells]
