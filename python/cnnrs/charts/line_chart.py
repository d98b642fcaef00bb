"""Lines over two axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs.charts.axes import COLOURS, shortened, tick_text, ticks
from cnnrs.charts.html import Markup, tag

__all__ = ["LineChart"]

_LEFT, _RIGHT, _BOTTOM = 56, 12, 40
# Points of a line that is drawn, and points of it that tell their values.
_DRAWN, _TOLD = 600, 60


@dataclass
class _Line:
    name: str
    x: np.ndarray
    y: np.ndarray
    dashed: bool
    marks: bool
    joined: bool
    notes: list[str] | None
    colour: str


class LineChart:
    """Lines over two axes. A pointer over a point is told its values.

    Args:
        title: What stands above.
        x_label: What stands below.
        y_label: What stands at the left.
        x_range: The least and the largest value; None takes those of the lines.
        y_range: The same of the other axis.
        log_y: Whether the other axis is logarithmic. Values that are not positive are left out there.
        x_names: Names of the places 0, 1, 2 … along the axis below, in place of numbers.
        width: Of the drawing in pixels; it shrinks with the page.
        height: Of the drawing.

    >>> chart = LineChart("loss", "epoch", "loss")
    >>> chart.add("training", [1, 2, 3], [0.9, 0.5, 0.4])
    >>> chart.svg()[:4]
    '<svg'
    """

    def __init__(
        self,
        title: str,
        x_label: str = "",
        y_label: str = "",
        *,
        x_range: tuple[float, float] | None = None,
        y_range: tuple[float, float] | None = None,
        log_y: bool = False,
        x_names: Sequence[str] | None = None,
        width: int = 400,
        height: int = 260,
    ):
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.x_range, self.y_range, self.log_y = x_range, y_range, log_y
        self.x_names = None if x_names is None else list(x_names)
        self.width, self.height = width, height
        self.lines: list[_Line] = []

    def add(
        self,
        name: str,
        x: Any,
        y: Any,
        *,
        dashed: bool = False,
        marks: bool = False,
        joined: bool = True,
        notes: list[str] | None = None,
    ) -> None:
        """Adds a line; nan and infinity interrupt it.

        Args:
            name: Its name in the legend.
            x: Places along the axis below.
            y: Values.
            dashed: Whether it is dashed and grey: what is known beforehand.
            marks: Whether each point has a mark.
            joined: Whether points are joined; if not, they have marks.
            notes: What a pointer over each point is told besides the values.
        """
        colour = (
            "currentColor" if dashed else COLOURS[sum(not line.dashed for line in self.lines) % len(COLOURS)]
        )
        xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if self.log_y:
            ys = np.where(ys > 0, ys, np.nan)
        self.lines.append(_Line(name, xs, ys, dashed, marks or not joined, joined, notes, colour))

    def svg(self) -> Markup:
        """The drawing."""
        legend, top = self._legend()
        (x0, x1), (y0, y1) = self._ranges()
        width, height = self.width - _LEFT - _RIGHT, self.height - top - _BOTTOM

        def px(x: Any) -> Any:
            return _LEFT + (x - x0) / (x1 - x0) * width

        def py(y: Any) -> Any:
            if self.log_y:
                y = np.log10(y)
            return top + height - (y - y0) / (y1 - y0) * height

        parts: list[str] = [*legend]
        y_ticks = [10.0**t for t in _decades(y0, y1)] if self.log_y else ticks(y0, y1, 6)
        for tick in y_ticks:
            at = f"{py(tick):.1f}"
            parts.append(
                tag(
                    "line",
                    x1=_LEFT,
                    x2=_LEFT + width,
                    y1=at,
                    y2=at,
                    stroke="currentColor",
                    stroke_opacity="0.15",
                )
            )
            parts.append(
                tag("text", tick_text(tick), x=_LEFT - 6, y=at, text_anchor="end", dominant_baseline="middle")
            )
        x_ticks = ticks(x0, x1, 7)
        if all(np.array_equal(line.x, np.rint(line.x)) for line in self.lines) and x1 - x0 >= 1:
            # Of what is counted there are no halves.
            x_ticks = [tick for tick in x_ticks if tick == round(tick)]
        texts = [tick_text(tick) for tick in x_ticks]
        if self.x_names is not None:
            room = max(2, int(width / len(self.x_names) / 6.6) - 1)
            x_ticks, texts = list(range(len(self.x_names))), [shortened(name, room) for name in self.x_names]
        for tick, text in zip(x_ticks, texts, strict=True):
            at = f"{px(tick):.1f}"
            parts.append(tag("text", text, x=at, y=top + height + 16, text_anchor="middle"))
        parts.append(
            tag(
                "path",
                d=f"M{_LEFT} {top}V{top + height}H{_LEFT + width}",
                fill="none",
                stroke="currentColor",
                stroke_opacity="0.5",
            )
        )
        parts.append(tag("text", self.x_label, x=_LEFT + width / 2, y=self.height - 6, text_anchor="middle"))
        middle = top + height / 2
        parts.append(
            tag(
                "text",
                self.y_label,
                x=12,
                y=middle,
                text_anchor="middle",
                transform=f"rotate(-90 12 {middle:.1f})",
            )
        )
        for line in self.lines:
            parts += self._drawn(line, px, py)
        names = ", ".join(line.name for line in self.lines)
        return tag(
            "svg",
            tag("title", f"{self.title}: {names}"),
            *map(Markup, parts),
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {self.width} {self.height}",
            width=self.width,
            height=self.height,
            role="img",
            style="max-width:100%",
            font_family="system-ui,sans-serif",
            font_size="12",
            fill="currentColor",
        )

    def _ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        xs = np.concatenate([line.x[np.isfinite(line.y)] for line in self.lines] or [np.empty(0)])
        ys = np.concatenate([line.y[np.isfinite(line.y)] for line in self.lines] or [np.empty(0)])
        if self.log_y:
            ys = np.log10(ys)
        named = None if self.x_names is None else (-0.5, len(self.x_names) - 0.5)
        x0, x1 = self.x_range or named or ((xs.min(), xs.max()) if len(xs) else (0, 1))
        y0, y1 = self.y_range or ((ys.min(), ys.max()) if len(ys) else (0, 1))
        if self.y_range is None:
            margin = (y1 - y0) * 0.06 or abs(y1) * 0.1 or 1.0
            y0, y1 = y0 - margin, y1 + margin
            if not self.log_y and len(ys) and ys.min() >= 0:
                y0 = max(0.0, y0)
        if x0 == x1:
            x0, x1 = x0 - 1, x1 + 1
        return (float(x0), float(x1)), (float(y0), float(y1))

    def _legend(self) -> tuple[list[Markup], int]:
        """Title and legend, in as many rows as they need, and the height that they take."""
        parts = [tag("text", self.title, x=_LEFT, y=15, font_weight="600", font_size="13")]
        x, y = _LEFT, 33
        for line in self.lines:
            name = shortened(line.name, 40)
            size = 24 + int(6.6 * len(name)) + 12
            if x > _LEFT and x + size > self.width:
                x, y = _LEFT, y + 16
            if line.joined:
                dashes = "3 3" if line.dashed else None
                ends = {"x1": x, "x2": x + 18, "y1": y - 4, "y2": y - 4}
                parts.append(tag("line", **ends, stroke=line.colour, stroke_width=2, stroke_dasharray=dashes))
            else:
                parts.append(tag("circle", cx=x + 9, cy=y - 4, r=3.5, fill=line.colour))
            parts.append(tag("text", name, x=x + 23, y=y))
            x += size
        return parts, y + 10

    def _drawn(self, line: _Line, px: Any, py: Any) -> list[Markup]:
        kept = _chosen(len(line.x), _DRAWN)
        xs, ys = line.x[kept], line.y[kept]
        finite = np.isfinite(ys) & np.isfinite(xs)
        commands, pen = [], "M"
        places = [
            (float(px(x)), float(py(y))) if ok else None for x, y, ok in zip(xs, ys, finite, strict=True)
        ]
        for place in places:
            if place is None:
                pen = "M"
                continue
            commands.append(f"{pen}{place[0]:.1f} {place[1]:.1f}")
            pen = "L"
        drawn = tag(
            "path",
            d="".join(commands),
            fill="none",
            stroke=line.colour,
            stroke_width=1.2 if line.dashed else 2,
            stroke_opacity="0.5" if line.dashed else None,
            stroke_dasharray="3 3" if line.dashed else None,
            stroke_linejoin="round",
        )
        parts = [drawn] if line.joined else []
        if line.dashed:
            return parts
        # A line of one point would not be seen.
        marks = line.marks or int(finite.sum()) == 1
        for i in _chosen(len(xs), _TOLD):
            place = places[i]
            if place is None:
                continue
            where = tick_text(float(f"{xs[i]:.6g}"))
            if self.x_names is not None and 0 <= xs[i] < len(self.x_names):
                where = self.x_names[int(xs[i])]
            text = f"{line.name}: {tick_text(float(f'{ys[i]:.6g}'))} at {where}"
            if line.notes is not None:
                text += f", {line.notes[kept[i]]}"
            at = {"cx": f"{place[0]:.1f}", "cy": f"{place[1]:.1f}"}
            if marks:
                parts.append(tag("circle", tag("title", text), **at, r=3.5, fill=line.colour))
            else:
                parts.append(tag("circle", tag("title", text), **at, r=6, fill="transparent"))
        return parts


def _chosen(count: int, most: int) -> np.ndarray:
    """Numbers of at most `most` of `count` points, the first and the last among them."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten from one exponent to another; without any, round parts of them."""
    whole = list(range(math.ceil(low), math.floor(high) + 1))
    if len(whole) >= 2:
        return [float(t) for t in whole[:: max(1, len(whole) // 6)]]
    return [math.log10(t) for t in ticks(10.0**low, 10.0**high, 5) if t > 0]
