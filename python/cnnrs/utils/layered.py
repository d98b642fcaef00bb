"""Places for the boxes of a graph in layers, each below all that lead to it (Sugiyama et al. 1981)."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Layout", "place"]

# Between boxes of a layer, and between layers.
_GAP, _LAYER_GAP = 28.0, 44.0
_SWEEPS = 6


@dataclass
class Layout:
    """Where boxes and edges are.

    Attributes:
        centres: The centre of each box.
        routes: For each edge the points that it passes, from its first box to its last one.
        size: Width and height of all.
    """

    centres: list[tuple[float, float]]
    routes: list[list[tuple[float, float]]]
    size: tuple[float, float]


@dataclass
class _Place:
    """A box, or a point of an edge that passes a layer."""

    width: float
    rank: int
    x: float = 0.0
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)


def place(sizes: list[tuple[float, float]], edges: list[tuple[int, int]]) -> Layout:
    """Finds places that do not overlap.

    Args:
        sizes: Width and height of each box, in an order in which boxes come after those that lead to them;
            edges that lead back are drawn and do not count.
        edges: Pairs of boxes.

    >>> layout = place([(10, 10), (10, 10), (10, 10)], [(0, 1), (0, 2)])
    >>> layout.centres[0][1] < layout.centres[1][1] == layout.centres[2][1]
    True
    """
    ranks = [0] * len(sizes)
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        if a < b:
            ranks[b] = max(ranks[b], ranks[a] + 1)
    places = [_Place(width, rank) for (width, _), rank in zip(sizes, ranks, strict=True)]
    chains: list[list[int]] = []
    for a, b in edges:
        low, high = sorted((a, b), key=lambda box: ranks[box])
        chain = [low]
        for rank in range(ranks[low] + 1, ranks[high]):
            places.append(_Place(6.0, rank))
            chain.append(len(places) - 1)
        chain.append(high)
        for upper, lower in zip(chain, chain[1:], strict=False):
            places[upper].below.append(lower)
            places[lower].above.append(upper)
        chains.append(chain if low == a else chain[::-1])
    rows = _ordered(places)
    _spread(places, rows)
    heights = [max((sizes[i][1] for i in row if i < len(sizes)), default=0.0) for row in rows]
    ys, y = [], 0.0
    for height in heights:
        ys.append(y + height / 2)
        y += height + _LAYER_GAP
    left = min((p.x - p.width / 2 for p in places), default=0.0)
    points = [(p.x - left, ys[p.rank]) for p in places]
    width = max((p.x + p.width / 2 for p in places), default=0.0) - left
    routes = []
    for chain in chains:
        route = [points[chain[0]]]
        # An edge passes a layer straight, and bends between layers.
        down = places[chain[-1]].rank >= places[chain[0]].rank
        for i in chain[1:-1]:
            x, half = points[i][0], heights[places[i].rank] / 2 * (1 if down else -1)
            route += [(x, points[i][1] - half), (x, points[i][1] + half)]
        routes.append([*route, points[chain[-1]]])
    return Layout(points[: len(sizes)], routes, (width, max(y - _LAYER_GAP, 0.0)))


def _ordered(places: list[_Place]) -> list[list[int]]:
    """The places of each layer, in an order with few crossings: each about where its neighbours are."""
    rows: list[list[int]] = [[] for _ in range(max((p.rank for p in places), default=-1) + 1)]
    for i, p in enumerate(places):
        rows[p.rank].append(i)
    for sweep in range(_SWEEPS):
        at = {i: float(k) for row in rows for k, i in enumerate(row)}
        downward = sweep % 2 == 0
        for row in rows if downward else rows[::-1]:

            def middle(i: int, downward: bool = downward, at: dict[int, float] = at) -> float:
                near = places[i].above if downward else places[i].below
                return sum(at[j] for j in near) / len(near) if near else at[i]

            row.sort(key=middle)
            at.update((i, float(k)) for k, i in enumerate(row))
    return rows


def _spread(places: list[_Place], rows: list[list[int]]) -> None:
    """Sets `x`: near the mean of the neighbours, without overlaps."""
    for row in rows:
        x = 0.0
        for i in row:
            places[i].x = x + places[i].width / 2
            x += places[i].width + _GAP
    for sweep in range(16 * _SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for i in row:
                near = places[i].above + places[i].below
                mean = sum(places[j].x for j in near) / len(near) if near else places[i].x
                wanted.append(mean)
            # What is pushed right from the left, and left from the right, has its place between both.
            right, left = wanted[:], wanted[:]
            for k in range(1, len(row)):
                apart = (places[row[k - 1]].width + places[row[k]].width) / 2 + _GAP
                right[k] = max(right[k], right[k - 1] + apart)
            for k in range(len(row) - 2, -1, -1):
                apart = (places[row[k + 1]].width + places[row[k]].width) / 2 + _GAP
                left[k] = min(left[k], left[k + 1] - apart)
            for k, i in enumerate(row):
                places[i].x = (right[k] + left[k]) / 2
