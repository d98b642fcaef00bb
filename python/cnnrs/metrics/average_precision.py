"""Mean average precision of boxes, as COCO and VOC compute it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import integer, number
from cnnrs.metrics.metric import Metric
from cnnrs.ops.box_formats import FORMATS, convert_format
from cnnrs.ops.values import values_of

__all__ = ["MeanAveragePrecision"]

_INTERPOLATIONS = ("coco", "11_points", "area")
# Areas in square pixels, bounds included.
_SIZES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}


class _Image(NamedTuple):
    """Boxes ("xyxy", float64) of one image, true ones and detections."""

    true: np.ndarray
    true_classes: np.ndarray
    is_crowd: np.ndarray
    is_ignored: np.ndarray
    areas: np.ndarray
    found: np.ndarray
    found_classes: np.ndarray
    scores: np.ndarray


class _Matches(NamedTuple):
    """What became of the detections of one class in an image, at each threshold, and how many boxes count."""

    scores: np.ndarray
    is_true: np.ndarray
    is_ignored: np.ndarray
    true_count: int


def _overlaps(found: np.ndarray, true: np.ndarray, is_crowd: np.ndarray) -> np.ndarray:
    """IoU of detections with true boxes; with a crowd, the part of the detection that it covers."""
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    own, other = ((b[:, 2:] - b[:, :2]).prod(axis=-1) for b in (found, true))
    union = np.where(is_crowd, own[:, None], own[:, None] + other - common)
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _match(image: _Image, label: int, size: tuple[float, float], most: int, thresholds: np.ndarray) -> Any:
    """Detections of a class, the best first, each with the true box that it overlaps most and that is free.

    Boxes that are ignored, crowds and those of other sizes come last; what is matched with them, and
    detections of other sizes without a match, do not count.
    """
    of_class = np.flatnonzero(image.true_classes == label)
    is_ignored = image.is_ignored | image.is_crowd | (image.areas < size[0]) | (image.areas > size[1])
    of_class = of_class[np.argsort(is_ignored[of_class], kind="stable")]
    ignored, crowd = is_ignored[of_class], image.is_crowd[of_class]
    mine = np.flatnonzero(image.found_classes == label)
    mine = mine[np.argsort(-image.scores[mine], kind="stable")][:most]
    if not len(of_class) and not len(mine):
        return None
    found = image.found[mine]
    overlaps = _overlaps(found, image.true[of_class], crowd)
    is_true = np.zeros((len(thresholds), len(mine)), bool)
    is_out = np.zeros_like(is_true)
    for t, threshold in enumerate(thresholds):
        is_taken = np.zeros(len(of_class), bool)
        for d in range(len(mine)):
            best, match = min(threshold, 1 - 1e-10), -1
            for g in range(len(of_class)):
                if is_taken[g] and not crowd[g]:
                    continue
                # Those that are ignored stand behind those that count.
                if match >= 0 and not ignored[match] and ignored[g]:
                    break
                if overlaps[d, g] >= best:
                    best, match = overlaps[d, g], g
            if match >= 0:
                is_taken[match], is_true[t, d], is_out[t, d] = True, True, ignored[match]
    area = (found[:, 2:] - found[:, :2]).prod(axis=-1)
    is_out |= ~is_true & ((area < size[0]) | (area > size[1]))
    return _Matches(image.scores[mine], is_true, is_out, int((~ignored).sum()))


def _average(recall: np.ndarray, precision: np.ndarray, interpolation: str) -> float:
    """The area below the falling hull of precision over recall."""
    hull = np.maximum.accumulate(precision[::-1])[::-1]
    if interpolation == "area":
        return float((np.diff(np.concatenate([[0.0], recall])) * hull).sum())
    points = np.linspace(0, 1, 101 if interpolation == "coco" else 11)
    places = np.searchsorted(recall, points, side="left")
    return float(np.concatenate([hull, [0.0]])[places].mean())


class MeanAveragePrecision(Metric):
    """The mean over classes and overlaps of the area below precision over recall (mAP).

    It needs values: update it with what `predict` gives, outside of `fit`. A batch is a pair of dicts:

    - true: "boxes" (batch, n, 4) and "classes" (batch, n), -1 where there is no box; optionally "is_crowd"
      and "ignore" (batch, n), boxes that no detection must find, and "areas" (batch, n), of masks say.
    - found: "boxes" (batch, m, 4), "scores" (batch, m) and "classes" (batch, m), -1 where there is none.

    Lists of arrays, one for each image, will do as well.

    Args:
        iou_thresholds: What overlap makes a detection true; None for COCO's 0.5, 0.55 … 0.95.
        interpolation: "coco" for the mean of the precision at 101 recalls, "11_points" as VOC until 2009,
            "area" for the whole area, as VOC since 2010.
        max_detections: How many detections of a class in an image count, the best first.
        bounding_box_format: How boxes are given, in pixels: "xyxy", "yxyx", "xywh", "center_xywh",
            "center_yxhw". Relative ones have no sizes: `summary` then has no small or large boxes.
        name: Name.
        dtype: Type of the result; None for float32.

    Reference:
        Lin et al. 2014, "Microsoft COCO: Common Objects in Context", arXiv:1405.0312, whose evaluation this
        follows box by box; Everingham et al. 2010, "The PASCAL Visual Object Classes (VOC) Challenge".

    >>> import numpy as np
    >>> from cnnrs import metrics
    >>> metric = metrics.MeanAveragePrecision()
    >>> true = {"boxes": np.array([[[0.0, 0, 10, 10]]]), "classes": np.array([[0]])}
    >>> found = {"boxes": np.array([[[0.0, 0, 10, 8]]]), "classes": np.array([[0]])}
    >>> found["scores"] = np.array([[0.9]])
    >>> metric.update_state(true, found)
    >>> round(float(metric.result()), 2), metric.summary()["AP50"]
    (0.7, 1.0)
    """

    _direction = "up"

    def __init__(
        self,
        iou_thresholds: Sequence[float] | None = None,
        interpolation: str = "coco",
        max_detections: int = 100,
        bounding_box_format: str = "xyxy",
        name: str = "mean_average_precision",
        dtype: Any = None,
    ):
        super().__init__(dtype=dtype, name=name)
        owner = type(self).__name__
        if interpolation not in _INTERPOLATIONS:
            raise ValueError(
                f"{owner}: interpolation: expected one of {', '.join(_INTERPOLATIONS)}, received "
                f"{interpolation!r}"
            )
        if not isinstance(bounding_box_format, str) or bounding_box_format.lower() not in FORMATS:
            raise ValueError(
                f"{owner}: bounding_box_format: expected one of {', '.join(FORMATS)}, received "
                f"{bounding_box_format!r}"
            )
        given = np.linspace(0.5, 0.95, 10) if iou_thresholds is None else iou_thresholds
        if not isinstance(given, (Sequence, np.ndarray)) or isinstance(given, str):
            raise ValueError(
                f"{owner}: iou_thresholds: expected a list of numbers, as [0.5], received {iou_thresholds!r}"
            )
        self.iou_thresholds = [number(t, owner, "iou_thresholds", above=0, most=1) for t in given]
        if not self.iou_thresholds:
            raise ValueError(f"{owner}: iou_thresholds: expected numbers, received {iou_thresholds!r}")
        self.max_detections = integer(max_detections, owner, "max_detections", least=1)
        self.interpolation, self.bounding_box_format = interpolation, bounding_box_format.lower()
        self._images: list[_Image] = []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch in.

        Args:
            y_true: Dict of the true boxes.
            y_pred: Dict of the detections.
            sample_weight: None: images count alike.

        Raises:
            RuntimeError: A function is being recorded.
            ValueError: A key is missing, shapes do not fit, or weights are given.
        """
        if sample_weight is not None:
            raise ValueError(f"{self.name}: sample_weight: expected None, received {type(sample_weight)}")
        true = self._rows(y_true, "y_true", ("boxes", "classes"), ("is_crowd", "ignore", "areas"))
        found = self._rows(y_pred, "y_pred", ("boxes", "classes", "scores"), ())
        if len(true) != len(found):
            raise ValueError(
                f"{self.name}: y_pred: expected {len(true)} images as y_true has, received {len(found)}"
            )
        for own, others in zip(true, found, strict=True):
            n = len(own["classes"])
            box = own["boxes"]
            areas = own.get("areas", (box[:, 2:] - box[:, :2]).prod(axis=-1))
            crowd, ignored = (own.get(key, np.zeros(n)).astype(bool) for key in ("is_crowd", "ignore"))
            image = (box, own["classes"], crowd, ignored, areas)
            self._images.append(_Image(*image, others["boxes"], others["classes"], others["scores"]))

    def _rows(self, data: Any, argument: str, keys: Any, more: Any) -> list[dict[str, np.ndarray]]:
        """A dict for each image, without places that hold no box."""
        if not isinstance(data, dict) or not set(keys) <= data.keys():
            raise ValueError(
                f"{self.name}: {argument}: expected a dict with the keys {', '.join(keys)}, received "
                f"{list(data) if isinstance(data, dict) else type(data).__name__}"
            )
        instead = "update the metric with what predict gives, outside of fit"
        parts: dict[str, list[np.ndarray]] = {}
        for key in (*keys, *(key for key in more if key in data)):
            rows = data[key]
            rows = rows if isinstance(rows, (list, tuple)) else values_of(rows, self.name, instead)
            parts[key] = [np.asarray(row, "float64") for row in rows]
        counts = {key: len(rows) for key, rows in parts.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(
                f"{self.name}: {argument}: expected as many images in each part, received {counts}"
            )
        images = []
        for k in range(len(parts["boxes"])):
            own = {key: rows[k] for key, rows in parts.items()}
            own["boxes"] = own["boxes"].reshape(-1, 4)
            n = len(own["boxes"])
            for key, row in own.items():
                if key != "boxes" and row.shape != (n,):
                    raise ValueError(
                        f"{self.name}: {argument}: {key}: expected {n} numbers, one for each box, received "
                        f"shape {row.shape}"
                    )
            is_there = own["classes"] >= 0
            own = {key: row[is_there] for key, row in own.items()}
            source = self.bounding_box_format.removeprefix("rel_")
            if source != "xyxy":
                own["boxes"] = convert_format(own["boxes"], source, "xyxy", dtype="float64").numpy()
            own["classes"] = own["classes"].astype("int64")
            if argument == "y_true" and not np.isfinite(own["boxes"]).all():
                raise ValueError(f"{self.name}: y_true: boxes: expected finite numbers in image {k}")
            images.append(own)
        return images

    def _labels(self) -> list[int]:
        """The classes of which there are true boxes."""
        return sorted({int(label) for image in self._images for label in image.true_classes})

    def _table(self, size: str = "all", most: int | None = None) -> dict[int, list[tuple[float, float]]]:
        """Average precision and recall of each class at each threshold; not of classes without boxes."""
        thresholds = np.array(self.iou_thresholds)
        table = {}
        for label in self._labels():
            found = [
                _match(image, label, _SIZES[size], most or self.max_detections, thresholds)
                for image in self._images
            ]
            matches = [match for match in found if match is not None]
            total = sum(match.true_count for match in matches)
            if not total:
                continue
            order = np.argsort(-np.concatenate([m.scores for m in matches]), kind="stable")
            is_true, is_out = (np.concatenate([m[k] for m in matches], axis=1)[:, order] for k in (1, 2))
            rows = []
            for hits, out in zip(is_true, is_out, strict=True):
                right, wrong = (np.cumsum(x & ~out).astype("float64") for x in (hits, ~hits))
                recall = right / total
                precision = right / np.maximum(right + wrong, np.spacing(1))
                last = float(recall[-1]) if len(recall) else 0.0
                rows.append((_average(recall, precision, self.interpolation), last))
            table[label] = rows
        return table

    def result(self) -> Any:
        """The mean over classes and thresholds; NaN before there is a box."""
        rows = self._table().values()
        mean = np.mean([[precision for precision, _ in row] for row in rows]) if rows else np.nan
        return ops.array(np.float32(mean))

    def by_class(self) -> dict[int, float]:
        """The mean over thresholds for each class of which there are true boxes."""
        return {label: float(np.mean([p for p, _ in rows])) for label, rows in self._table().items()}

    def summary(self) -> dict[str, float]:
        """COCO's figures: AP, AP50, AP75, those of small, medium and large boxes, and the recalls AR.

        AR1, AR10 and AR100 are mean recalls with so many detections at most. A figure without boxes, or
        without its threshold, is NaN.
        """

        def mean(table: Any, column: int, threshold: float | None = None) -> float:
            places = [
                k for k, t in enumerate(self.iou_thresholds) if threshold is None or abs(t - threshold) < 1e-9
            ]
            values = [rows[k][column] for rows in table.values() for k in places]
            return float(np.mean(values)) if values else float("nan")

        whole = self._table()
        figures = {"AP": mean(whole, 0), "AP50": mean(whole, 0, 0.5), "AP75": mean(whole, 0, 0.75)}
        sizes: dict[str, Any] = {}
        if not self.bounding_box_format.startswith("rel_"):
            sizes = {size: self._table(size) for size in ("small", "medium", "large")}
            figures |= {f"AP_{size}": mean(table, 0) for size, table in sizes.items()}
        for most in (1, 10, 100):
            figures[f"AR{most}"] = mean(self._table(most=most), 1)
        return figures | {f"AR_{size}": mean(table, 1) for size, table in sizes.items()}

    def reset_state(self) -> None:
        """Starts afresh."""
        self._images = []

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "iou_thresholds": list(self.iou_thresholds),
            "interpolation": self.interpolation,
            "max_detections": self.max_detections,
            "bounding_box_format": self.bounding_box_format,
            "name": self.name,
            "dtype": self._dtype,
        }
