"""Bases of results that are drawn: by matplotlib on axes, and as an SVG for reports and notebooks."""

from __future__ import annotations

from typing import Any

from cnnrs.base.extras import pyplot
from cnnrs.charts.line_chart import LineChart

__all__ = ["Drawn", "Plotted"]


class Plotted:
    """A result that `plot` draws on one pair of axes."""

    def plot(self, ax: Any = None) -> Any:
        """Draws it with matplotlib.

        Args:
            ax: The matplotlib axes to draw on, by default new ones.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib of the extra `cnnrs[plot]` is not installed.
        """
        if ax is None:
            ax = pyplot(f"{type(self).__name__}.plot").subplots(layout="constrained")[1]
        self._draw(ax)
        return ax

    def _draw(self, ax: Any) -> None:
        raise NotImplementedError


class Drawn(Plotted):
    """A curve that notebooks show and `plot` draws."""

    def chart(self) -> LineChart:
        """The curve as a drawing of the report."""
        raise NotImplementedError

    def _repr_svg_(self) -> str:
        return self.chart().svg()
