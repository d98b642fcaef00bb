"""Places of marks on axes, and numbers as text."""

from __future__ import annotations

import math

__all__ = ["COLOURS", "ticks", "tick_text", "shortened"]

# On white and on near black, each has a contrast of 3 : 1 and more.
COLOURS = ("#2f7ed8", "#e4572e", "#23965a", "#9b5de5", "#b07d12", "#12939a", "#d1478c", "#6b7a8f")


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` and at least two where there are any.

    >>> ticks(0, 1), ticks(3, 17, 5)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [5.0, 10.0, 15.0])
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    step = 10.0 ** math.floor(math.log10(span / most))
    for factor in (1, 2, 5, 10, 20):
        if math.floor(high / (step * factor) + 1e-9) - math.ceil(low / (step * factor) - 1e-9) < most:
            step *= factor
            break
    first = math.ceil(low / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step)) + 1)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + i) * step, digits) + 0.0 for i in range(count)]


def tick_text(value: float) -> str:
    """A number in few characters.

    >>> tick_text(0.2), tick_text(20000.0), tick_text(1e-05), tick_text(3.0)
    ('0.2', '20,000', '1e-05', '3')
    """
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        text = f"{value:,.6g}" if abs(value) < 1000 else f"{value:,.0f}"
        return text
    return f"{value:.3g}"


def shortened(text: str, most: int) -> str:
    """Text of at most `most` characters, of which the last is "…" if it was longer.

    >>> shortened("semaphore", 5)
    'sema…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"
