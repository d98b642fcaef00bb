"""Which stretch of an input an element of a result reads, along one axis.

Along an axis, the field of index `o` moves on regularly: what holds for `o` holds for `o + period`, `advance`
elements on. A convolution has period 1 and its stride for advance; behind an upsampling by two, even and odd
indices have fields of their own, and the period is 2. So fields are exact for all phases, and go on outside
of the image, as the recursion r += (k - 1) d j, j *= s does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

__all__ = ["Field"]

Stretch = tuple[int, int] | None


class Field(NamedTuple):
    """Fields of all indices along an axis.

    Attributes:
        period: After how many indices the pattern begins again.
        advance: How many elements of the input lie between a field and that of a period later.
        stretches: The first and last element for each index of the first period; None for an index that reads
            nothing, such as a place that a transposed convolution leaves out.
    """

    period: int
    advance: int
    stretches: tuple[Stretch, ...]

    @staticmethod
    def identity() -> Field:
        """The field of an input itself."""
        return Field(1, 1, ((0, 0),))

    def at(self, index: int) -> Stretch:
        """The first and the last element that `index` reads."""
        periods, phase = divmod(index, self.period)
        stretch = self.stretches[phase]
        return stretch and (stretch[0] + periods * self.advance, stretch[1] + periods * self.advance)

    @property
    def size(self) -> int:
        """Elements of the widest field."""
        return max((b - a + 1 for a, b in filter(None, self.stretches)), default=0)

    @property
    def stride(self) -> Fraction:
        """Elements of the input between the fields of two neighbours, on average."""
        return Fraction(self.advance, self.period)

    @property
    def centre(self) -> float:
        """The middle of the fields of the first period, brought to index 0."""
        middles = [
            (s[0] + s[1]) / 2 - float(self.stride) * k for k, s in enumerate(self.stretches) if s is not None
        ]
        return sum(middles) / len(middles) if middles else math.nan

    def _of(self, period: int, advance: int, reads: Iterable[Iterable[int]]) -> Field:
        """The field of a result whose index reads these indices of this one."""
        field = Field(period, advance, tuple(_hull(map(self.at, indices)) for indices in reads))
        return field._simplified()

    def _simplified(self) -> Field:
        for period in range(1, self.period):
            if self.period % period == 0 and self.advance * period % self.period == 0:
                shorter = Field(period, self.advance * period // self.period, self.stretches[:period])
                if all(shorter.at(k) == stretch for k, stretch in enumerate(self.stretches)):
                    return shorter
        return self

    def windows(self, size: int, stride: int, dilation: int, before: int) -> Field:
        """Of windows: index o reads `o stride - before + k dilation` for k < size."""
        period = self.period // math.gcd(self.period, abs(stride))
        advance = self.advance * (period * stride // self.period)
        starts = [o * stride - before for o in range(period)]
        span = (size - 1) * dilation + 1
        return self._of(period, advance, (range(start, start + span, dilation) for start in starts))

    def spread(self, size: int, stride: int, dilation: int, before: int) -> Field:
        """Of a transposed convolution: index o reads i where `o = i stride - before + k dilation`."""

        def read(o: int) -> list[int]:
            places = (o + before - k * dilation for k in range(size))
            return [place // stride for place in places if place % stride == 0]

        return self._of(self.period * stride, self.advance, map(read, range(self.period * stride)))

    def repeated(self, times: int) -> Field:
        """Of an axis that has each element `times` times in a row."""
        return self._of(self.period * times, self.advance, ([o // times] for o in range(self.period * times)))

    def looked_up(self, low: np.ndarray, high: np.ndarray, extent: int) -> Field | None:
        """Of an axis whose index o reads indices from `low[o]` to `high[o]` of this one, which has `extent`.

        A resize reads so, and so does padding that mirrors. The middle of the tables is taken for what goes
        on outside.

        Returns:
            None where the tables follow no regular pattern.
        """
        pattern = _pattern(low, high, extent)
        if pattern is None:
            return None
        period, advance, lows, highs = pattern
        times = self.period // math.gcd(self.period, advance)
        reads = [
            range(lows[o % period] + o // period * advance, highs[o % period] + o // period * advance + 1)
            for o in range(period * times)
        ]
        return self._of(period * times, self.advance * (times * advance // self.period), reads)

    def joined(self, other: Field) -> Field | None:
        """Of what reads both; None where one moves on faster than the other."""
        if self.stride != other.stride:
            return None
        period = math.lcm(self.period, other.period)
        advance = self.advance * period // self.period
        both = (_hull([self.at(o), other.at(o)]) for o in range(period))
        return Field(period, advance, tuple(both))._simplified()


def _hull(stretches: Iterable[Stretch]) -> Stretch:
    there = [s for s in stretches if s is not None]
    return (min(a for a, _ in there), max(b for _, b in there)) if there else None


def _pattern(low: np.ndarray, high: np.ndarray, extent: int) -> tuple[int, int, list[int], list[int]] | None:
    """Period, advance, and the first period of tables that repeat; None where they do not."""
    count = len(low)
    if count == 0 or extent == 0:
        return None
    middle = slice(count // 4, count - count // 4)
    rows = np.arange(count)[middle]
    for period in range(1, len(rows) // 2 + 1):
        steps = [np.unique(t[middle][period:] - t[middle][:-period]) for t in (low, high)]
        if all(len(s) == 1 for s in steps) and steps[0][0] == steps[1][0]:
            advance = int(steps[0][0])
            break
    else:
        # Too few indices for a pattern to repeat: that of an even resize, if it is one.
        shared = math.gcd(count, extent)
        period, advance = count // shared, extent // shared
        rows = np.arange(shared // 2 * period, (shared // 2 + 1) * period)
    if advance == 0:
        return None
    lows, highs = [0] * period, [0] * period
    for o in rows[:period].tolist():
        lows[o % period] = int(low[o]) - o // period * advance
        highs[o % period] = int(high[o]) - o // period * advance
    moved = np.arange(count) // period * advance
    phases = np.arange(count) % period
    follows = (np.array(lows)[phases] + moved <= low) & (np.array(highs)[phases] + moved >= high)
    widest = max(b - a for a, b in zip(lows, highs, strict=True))
    return (period, advance, lows, highs) if np.mean(follows) >= 0.5 and widest < max(extent - 1, 1) else None
