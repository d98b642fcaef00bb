"""Rows of boxes. What chooses among them takes leaves: rounding would choose others."""

from __future__ import annotations

import math

import numpy

from fuzz.pointwise import lift
from fuzz.rounding import r, value
from fuzz.table import Call, row


def _plain(x):
    return numpy.asarray(value(lift(x)), "float64")


def overlaps(kind, first, second, r=lambda x, more=1.0: x):
    """The four kinds of IoU of boxes that broadcast, from the papers' formulas.

    Args:
        kind: "iou", "giou", "diou" or "ciou".
        first: Boxes as corners.
        second: Others.
        r: What rounding does to a number. Those who choose by overlaps have none.
    """
    sides = []
    for boxes in (first, second):
        x0, y0, x1, y1 = (boxes[..., k] for k in range(4))
        sides.append((numpy.minimum(x0, x1), numpy.minimum(y0, y1), abs(x1 - x0), abs(y1 - y0)))
    (ax, ay, aw, ah), (bx, by, bw, bh) = sides
    with numpy.errstate(all="ignore"):
        width = r(numpy.clip(numpy.minimum(ax + aw, bx + bw) - numpy.maximum(ax, bx), 0, None))
        height = r(numpy.clip(numpy.minimum(ay + ah, by + bh) - numpy.maximum(ay, by), 0, None))
        union = r(r(aw * ah) + r(bw * bh) - r(width * height))
        iou = numpy.where(union > 0, r(width * height / union, 2.0), 0)
        across = r(numpy.maximum(ax + aw, bx + bw) - numpy.minimum(ax, bx))
        down = r(numpy.maximum(ay + ah, by + bh) - numpy.minimum(ay, by))
        if kind == "iou":
            return iou
        if kind == "giou":
            hull = across * down
            return r(iou - numpy.where(hull > 0, r(r(hull - union) / hull, 2.0), 0))
        apart = r(r(ax + aw / 2 - bx - bw / 2) ** 2 + r(ay + ah / 2 - by - bh / 2) ** 2, 2.0)
        diagonal = r(across**2 + down**2, 2.0)
        diou = r(iou - numpy.where(diagonal > 0, r(apart / diagonal), 0))
        if kind == "diou":
            return diou

        def angle(w, h):
            return r(numpy.arctan2(w, numpy.where((w <= 0) & (h <= 0), 1, h)))

        v = r(4 / math.pi**2 * r(angle(bw, bh) - angle(aw, ah)) ** 2, 2.0)
        whole = 1 - iou + v
        return r(diou - numpy.where(whole > 0, r(v * v / r(whole, 2.0), 2.0), 0))


def _of_kind(kind):
    def reference(first, second, aligned=False, bounding_box_format="xyxy"):
        first, second = _plain(first), _plain(second)
        if bounding_box_format == "xywh":
            first, second = (
                numpy.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], -1)
                for boxes in (first, second)
            )
        if not aligned:
            first, second = first[..., :, None, :], second[..., None, :, :]
        return overlaps(kind, first, second, r)

    return reference


def _pair(d):
    n, m = d.small() + 1, d.small() + 1
    aligned = d.flip()
    lead = [d.small() + 1] if d.flip() else []
    first, second = (d.fresh([*lead, k, 4], "counts") for k in (n, n if aligned else m))
    format = d.choose(["xyxy", "yxyx", "xywh"])
    return Call([first, second], {"aligned": aligned, "bounding_box_format": format})


for name, kind in [
    ("box_iou", "iou"),
    ("generalized_box_iou", "giou"),
    ("distance_box_iou", "diou"),
    ("complete_box_iou", "ciou"),
]:
    row(f"ops.{name}", _pair, _of_kind(kind), grad=False, often=0.3)


def suppress(boxes, scores, most, limit, least=-math.inf, classes=None, sigma=0.0):
    """The choice of one image's boxes by its definition, in float64: places and scores."""
    scores, open_, kept = scores.astype("float64").copy(), scores > least, []
    while open_.any() and len(kept) < most:
        best = int(numpy.argmax(numpy.where(open_, scores, -math.inf)))
        kept.append((best, scores[best]))
        open_[best] = False
        common = overlaps("iou", boxes, boxes[best])
        common = common if classes is None else numpy.where(classes == classes[best], common, 0)
        if sigma > 0:
            factor = numpy.where(common > limit, 0, numpy.exp(-(common**2) / (2 * sigma)))
            scores = numpy.where(open_, scores * factor, scores)
            open_ &= scores > least
        else:
            open_ &= ~(common > limit)
    return kept


def _suppress(boxes, scores, max_output_size, iou_threshold, classes=None):
    boxes, scores = _plain(boxes), _plain(scores)
    lead = scores.shape[:-1]
    flat, points = boxes.reshape(-1, *boxes.shape[-2:]), scores.reshape(-1, scores.shape[-1])
    labels = None if classes is None else numpy.asarray(classes).reshape(points.shape)
    indices, values = numpy.zeros((2, len(points), max_output_size))
    counts = numpy.zeros(len(points))
    for k in range(len(points)):
        own = None if labels is None else labels[k]
        kept = suppress(flat[k], points[k], max_output_size, iou_threshold, classes=own)
        counts[k] = len(kept)
        for place, (index, score) in enumerate(kept):
            indices[k, place], values[k, place] = index, score
    shape = (*lead, max_output_size)
    return [indices.reshape(shape).astype("i"), values.reshape(shape), counts.reshape(lead).astype("i")]


def _draw_suppression(d):
    shape = [d.small() + 1 for _ in range(d.choose([1, 1, 2]))] + [d.small() * 3 + 1]
    boxes, scores = d.fresh([*shape, 4], "counts"), d.fresh(shape, "counts")
    # Ratios of small areas are none of these.
    limit = d.choose([0.3017, 0.5003, 0.7111])
    more = {"classes": d.fresh(shape, 3, "int32")} if d.flip(0.3) else {}
    return Call([boxes, scores, d.small() * 2 + 1, limit], more)


row("ops.non_max_suppression", _draw_suppression, _suppress, grad=False, often=0.3)
