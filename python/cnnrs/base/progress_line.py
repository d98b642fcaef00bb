"""The line of a progress bar, fitted into the columns of a terminal."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["fitted", "visible_width"]

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

# A shorter bar says nothing.
_LEAST_BAR = 5


def visible_width(text: str) -> int:
    """Columns that a terminal takes for `text`: none for escape codes, two for wide characters.

    >>> visible_width("\\x1b[32m━━\\x1b[0m 准确率")
    9
    """
    plain = _ESCAPES.sub("", text)
    if plain.isascii():
        return len(plain)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in plain)
    return len(plain) + wide - sum(unicodedata.combining(character) != 0 for character in plain)


def fitted(
    count: str, times: list[str], values: list[str], bar: int, columns: int | None, last: bool
) -> tuple[int, str, str]:
    """What a line shows: numbers go before the bar, values before times.

    A line that is redrawn must not wrap. What does not fit goes in this order: columns of the bar, the bar,
    times from the last on, values from the last on. The last line is not redrawn: all its values stay.

    Args:
        count: The steps, `12/100`.
        times: What is shown of time.
        values: Names with values.
        bar: Columns of the bar.
        columns: Columns of the terminal; None for any number.
        last: Whether the line stays.

    Returns:
        Columns of the bar, the text before it and the text behind it.

    >>> fitted("1/2", ["3s", "1s/step"], [" - loss: 0.5000"], 20, 40, False)
    (10, '1/2', '3s 1s/step - loss: 0.5000')
    >>> fitted("1/2", ["3s", "1s/step"], [" - loss: 0.5000"], 20, 24, False)
    (0, '1/2', '3s - loss: 0.5000')
    """
    times, values = list(times), list(values)

    def rest() -> str:
        return " ".join(times) + "".join(values)

    def room() -> int:
        """Columns that are left for a bar and the space behind it."""
        text = visible_width(count) + 1 + visible_width(rest())
        return bar + 1 if columns is None else columns - text

    if room() - 1 >= _LEAST_BAR:
        return min(bar, room() - 1), count, rest()
    while times and room() < 0:
        times.pop()
    if not times and values:
        values[0] = values[0].removeprefix(" ")
    if not last:
        while values and room() < 0:
            values.pop()
        count = count[:columns]
    return 0, count, rest()
