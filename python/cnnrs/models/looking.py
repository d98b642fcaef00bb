"""Columns of `model.summary()` that need the model looked into."""

from __future__ import annotations

from typing import Any

from cnnrs import analysis
from cnnrs.models.summary import FurtherColumns, size_text

__all__ = ["look_into"]


def look_into(
    model: Any, flops: bool, receptive_field: bool, output_stride: bool, memory: bool, input_shape: Any
) -> FurtherColumns:
    """What `cnnrs.analysis` finds, as columns of layers.

    Args:
        model: The model.
        flops: Whether floating-point operations are shown.
        receptive_field: Whether receptive fields are shown.
        output_stride: Whether output strides are shown.
        memory: Whether the memory of results is shown.
        input_shape: The shape of a sample, where the model's inputs have none that is known.
    """
    titles: list[str] = []
    cells: list[dict[str, str]] = []
    totals: list[str] = []

    def add(title: str, column: dict[str, str]) -> None:
        titles.append(title)
        cells.append(column)

    if flops or memory:
        costs = analysis.costs(model, input_shape=input_shape)
        sample = f"one sample of {', '.join(map(str, costs.sample_shapes))}"
        if flops:
            add("FLOPs", {c.path: f"{c.flops:,}" for c in costs})
            totals.append(f" FLOPs: {costs.flops:,} for {sample}, {costs.macs:,} multiply-adds among them")
        if memory:
            add("Memory", {c.path: size_text(c.activation_bytes, 1) for c in costs})
            parts = [
                f"results {size_text(costs.activation_bytes, 1)}",
                f"a prediction {size_text(costs.inference_bytes, 1)}",
                f"gradients {size_text(costs.training_bytes, 1)}",
            ]
            totals.append(f" Memory for {sample}: {', '.join(parts)} at most, beside the weights")
    if receptive_field or output_stride:
        fields = analysis.receptive_field(model, input_shape=input_shape)
        if receptive_field:
            add("Receptive Field", {f.path: f.text for f in fields})
        if output_stride:
            add("Stride", {f.path: f.stride_text for f in fields})
        names = getattr(model, "input_names", None) or []
        if len(names) > 1:
            totals.append(
                f" Receptive fields: of what is seen of {names[0]!r}, the first of {len(names)} inputs"
            )
    return FurtherColumns(titles, cells, totals)
