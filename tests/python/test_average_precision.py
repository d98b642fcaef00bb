"""Mean average precision against pycocotools' figures, and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import metrics

COCO = json.loads((Path(__file__).parents[1] / "fixtures" / "coco_figures.json").read_text())


def parts(scene):
    true = {key: [image[key] for image in scene] for key in ("boxes", "classes", "is_crowd")}
    found = {
        "boxes": [image["found"] for image in scene],
        "classes": [image["found_classes"] for image in scene],
        "scores": [image["scores"] for image in scene],
    }
    return true, found


@pytest.mark.parametrize("k", range(len(COCO)))
def test_figures_are_those_of_pycocotools(k):
    metric = metrics.MeanAveragePrecision()
    true, found = parts(COCO[k]["scene"])
    for half in (slice(0, 5), slice(5, None)):
        batches = ({key: rows[half] for key, rows in part.items()} for part in (true, found))
        metric.update_state(*batches)
    summary = metric.summary()
    for name, value in COCO[k]["figures"].items():
        assert summary[name] == pytest.approx(value, abs=1e-9), name
    assert list(metric.by_class().values()) == pytest.approx(COCO[k]["by_class"], abs=1e-9)
    assert float(metric.result()) == pytest.approx(summary["AP"], abs=1e-6)


def boxes(*lefts):
    return np.array([[[x, 0.0, x + 10, 10] for x in lefts]])


TRUE = {"boxes": boxes(0, 20, 40), "classes": np.zeros((1, 3))}
# True, false, true; the third box is not found: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
FOUND = {"boxes": boxes(0, 70, 20), "classes": np.zeros((1, 3)), "scores": np.array([[0.9, 0.8, 0.7]])}


@pytest.mark.parametrize(
    "interpolation, value",
    [
        ("area", 1 / 3 + 2 / 9),
        # Recalls 0, 0.1, 0.2, 0.3 have precision 1; 0.4, 0.5, 0.6 have 2/3.
        ("11_points", (4 + 3 * 2 / 3) / 11),
        ("coco", (34 + 33 * 2 / 3) / 101),
    ],
)
def test_interpolations(interpolation, value):
    metric = metrics.MeanAveragePrecision([0.5], interpolation)
    metric.update_state(TRUE, FOUND)
    assert float(metric.result()) == pytest.approx(value)
    again = metrics.MeanAveragePrecision.from_config(metric.get_config())
    again.update_state(TRUE, FOUND)
    assert float(again.result()) == float(metric.result())


def test_boxes_that_are_ignored_are_neither_missed_nor_false():
    metric = metrics.MeanAveragePrecision([0.5], "area")
    metric.update_state({**TRUE, "ignore": np.array([[0, 0, 1]])}, FOUND)
    assert float(metric.result()) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    metric.reset_state()
    # A second detection of one box is false; padding does not count; nothing is found of class 1.
    true = {"boxes": boxes(0, 20, 90), "classes": np.array([[0, 1, -1]])}
    found = {**FOUND, "boxes": boxes(0, 0, 90), "classes": np.array([[0, 0, -1]])}
    metric.update_state(true, found)
    assert metric.by_class() == {0: 1.0, 1: 0.0} and float(metric.result()) == 0.5
    metric.reset_state()
    assert np.isnan(float(metric.result()))


def test_formats_and_detections_at_most():
    metric = metrics.MeanAveragePrecision([0.5], "area", max_detections=1, bounding_box_format="xywh")
    wide = [
        {**part, "boxes": np.concatenate([part["boxes"][..., :2], np.full((1, 3, 2), 10.0)], -1)}
        for part in (TRUE, FOUND)
    ]
    metric.update_state(*wide)
    assert float(metric.result()) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m: m.update_state(TRUE, {"boxes": boxes(0)}), "y_pred: expected a dict with the keys boxes"),
        (
            lambda m: m.update_state({"boxes": [[[0, 0, np.nan, 1]]], "classes": [[0]]}, FOUND),
            "y_true: boxes: expected finite numbers in image 0",
        ),
        (lambda m: m.update_state(TRUE, {**FOUND, "scores": np.ones((1, 2))}), "scores: expected 3 numbers"),
        (lambda m: m.update_state(TRUE, FOUND, [1.0]), "sample_weight: expected None"),
        (lambda m: m.update_state({"boxes": [], "classes": []}, FOUND), "expected 0 images"),
        (lambda m: metrics.MeanAveragePrecision([1.5]), "iou_thresholds: expected"),
        (lambda m: metrics.MeanAveragePrecision(interpolation="voc"), "interpolation: expected one of coco"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(metrics.MeanAveragePrecision())


def test_it_says_why_it_cannot_be_recorded():
    metric = metrics.MeanAveragePrecision()

    @cnnrs.function
    def recorded(x):
        metric.update_state({"boxes": x * 2.0, "classes": x[..., 0]}, FOUND)
        return x

    with pytest.raises(RuntimeError, match="outside of fit"):
        recorded(cnnrs.ops.array(boxes(0, 1)))
