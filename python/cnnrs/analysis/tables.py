"""Tables as text."""

from __future__ import annotations

import math

__all__ = ["figure", "table"]


def figure(value: float, digits: int = 4) -> str:
    """A figure as tables show it: "–" where it is not defined.

    >>> figure(0.5), figure(float("nan"))
    ('0.5000', '–')
    """
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def table(titles: list[str], rows: list[list[str]], numbers: frozenset[int] = frozenset()) -> str:
    """Lines of columns that are as wide as their longest cell; columns that are empty are left out.

    Args:
        titles: Of the columns.
        rows: The cells.
        numbers: Columns that stand at the right.

    >>> print(table(["layer", "size"], [["conv", "12"], ["pool", "6"]], frozenset([1])))
    layer  size
    ─────  ────
    conv     12
    pool      6
    """
    kept = [i for i in range(len(titles)) if any(row[i] for row in rows)]
    widths = [max(len(titles[i]), *(len(row[i]) for row in rows)) for i in kept]

    def line(cells: list[str]) -> str:
        texts = (
            cells[i].rjust(w) if i in numbers else cells[i].ljust(w)
            for i, w in zip(kept, widths, strict=True)
        )
        return "  ".join(texts).rstrip()

    return "\n".join([line(titles), "  ".join("─" * w for w in widths), *map(line, rows)])
