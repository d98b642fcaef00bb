"""`Drawn`: what curves have in common, a drawing for reports and notebooks and one by matplotlib."""

from __future__ import annotations

from typing import Any

from cnnrs.base.extras import pyplot
from cnnrs.charts import LineChart

__all__ = ["Drawn"]


class Drawn:
    """A curve that notebooks show and `plot` draws."""

    def chart(self) -> LineChart:
        """The curve as a drawing of the report."""
        raise NotImplementedError

    def _repr_svg_(self) -> str:
        return self.chart().svg()

    def plot(self, ax: Any = None) -> Any:
        """Draws the curve.

        Args:
            ax: The matplotlib axes to draw on, by default new ones.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib of the extra `cnnrs[plot]` is not installed.
        """
        ax = ax or pyplot(f"{type(self).__name__}.plot").subplots(layout="constrained")[1]
        self._draw(ax)
        return ax

    def _draw(self, ax: Any) -> None:
        raise NotImplementedError
