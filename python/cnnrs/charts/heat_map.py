"""A matrix of counts as coloured cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.charts.axes import COLOURS, shortened
from cnnrs.charts.html import Markup, tag
from cnnrs.charts.png import data_url

__all__ = ["HeatMap"]

# Beyond so many classes, cells are pixels of a picture.
_CELLS = 30


class HeatMap:
    """A square matrix of counts, coloured by the share of its row. A pointer over a cell is told what it is.

    Args:
        matrix: Counts: rows are true classes, columns are predicted ones.
        names: Names of the classes.
        title: What stands above.

    >>> "cat taken for dog: 2 (40.0%)" in HeatMap(np.array([[3, 2], [0, 4]]), ["cat", "dog"]).svg()
    True
    """

    def __init__(self, matrix: Any, names: list[str], title: str = "Confusion matrix"):
        self.matrix, self.names, self.title = np.asarray(matrix), names, title
        self.shares = self.matrix / np.maximum(self.matrix.sum(axis=1, keepdims=True), 1)

    def svg(self) -> Markup:
        """The drawing."""
        count = len(self.names)
        longest = max(len(shortened(name, 14)) for name in self.names)
        margin = 30 + int(6.6 * longest) if count <= _CELLS else 40
        cell = max(13, min(44, 420 // count)) if count <= _CELLS else 420 / count
        side = cell * count
        width, height = margin + side + 8, margin + side + 8
        parts = [
            tag("text", "predicted", x=margin + side / 2, y=12, text_anchor="middle", fill_opacity="0.7"),
            tag(
                "text",
                "true",
                x=12,
                y=margin + side / 2,
                text_anchor="middle",
                fill_opacity="0.7",
                transform=f"rotate(-90 12 {margin + side / 2:.0f})",
            ),
            *(self._cells(margin, cell) if count <= _CELLS else [self._picture(margin, side)]),
            tag(
                "rect",
                x=margin,
                y=margin,
                width=side,
                height=side,
                fill="none",
                stroke="currentColor",
                stroke_opacity="0.4",
            ),
        ]
        return tag(
            "svg",
            tag("title", f"{self.title} of {count} classes"),
            *parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {width:.0f} {height:.0f}",
            width=f"{width:.0f}",
            height=f"{height:.0f}",
            role="img",
            style="max-width:100%",
            font_family="system-ui,sans-serif",
            font_size="12",
            fill="currentColor",
        )

    def _cells(self, margin: int, cell: float) -> list[Markup]:
        parts = []
        for k, name in enumerate(self.names):
            middle = margin + (k + 0.5) * cell
            text = shortened(name, 14)
            whole = tag("title", name)
            parts.append(
                tag(
                    "text",
                    whole,
                    text,
                    x=margin - 6,
                    y=f"{middle + 4:.1f}",
                    text_anchor="end",
                    font_size="11",
                )
            )
            parts.append(
                tag(
                    "text",
                    whole,
                    text,
                    x=f"{middle + 4:.1f}",
                    y=margin - 6,
                    font_size="11",
                    transform=f"rotate(-90 {middle + 4:.1f} {margin - 6})",
                )
            )
        for (t, p), number in np.ndenumerate(self.matrix):
            if not number:
                continue
            share = self.shares[t, p]
            told = f"{self.names[t]} taken for {self.names[p]}: {number:,} ({share:.1%})"
            x, y = margin + p * cell, margin + t * cell
            inside = [
                tag("title", told),
                tag(
                    "rect",
                    x=f"{x:.1f}",
                    y=f"{y:.1f}",
                    width=cell,
                    height=cell,
                    fill=COLOURS[0] if t == p else COLOURS[1],
                    # So that one sample of many can still be seen.
                    fill_opacity=f"{0.12 + 0.68 * share:.3f}",
                ),
            ]
            text = f"{number}" if number < 10_000 else f"{number / 1000:.0f}k"
            if cell >= 20 and len(text) * 6.2 < cell:
                inside.append(
                    tag(
                        "text",
                        text,
                        x=f"{x + cell / 2:.1f}",
                        y=f"{y + cell / 2 + 4:.1f}",
                        text_anchor="middle",
                        font_size="11",
                    )
                )
            parts.append(tag("g", *inside))
        return parts

    def _picture(self, margin: int, side: float) -> Markup:
        """All cells as pixels of one picture."""
        alpha = np.where(self.matrix > 0, 0.15 + 0.85 * self.shares, 0.0)
        pixels = np.zeros((*self.matrix.shape, 4), np.uint8)
        for is_diagonal, colour in ((True, COLOURS[0]), (False, COLOURS[1])):
            chosen = np.eye(len(self.names), dtype=bool) == is_diagonal
            pixels[chosen, :3] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        pixels[..., 3] = np.rint(alpha * 255)
        return tag(
            "image",
            href=data_url(pixels),
            x=margin,
            y=margin,
            width=f"{side:.0f}",
            height=f"{side:.0f}",
            style="image-rendering:pixelated",
            preserveAspectRatio="none",
        )
