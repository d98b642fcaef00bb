"""Overlaps of boxes, their losses, and the choice of the best, against their definitions in float64."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import losses, ops

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.boxes import overlaps, suppress
from test_devices import SOFTWARE, needs_software

KINDS = {
    "iou": (ops.box_iou, losses.iou_loss),
    "giou": (ops.generalized_box_iou, losses.giou_loss),
    "diou": (ops.distance_box_iou, losses.diou_loss),
    "ciou": (ops.complete_box_iou, losses.ciou_loss),
}


def boxes_of(rng, *shape, dtype="float32"):
    at, size = rng.uniform(0, 8, (*shape, 2)), rng.uniform(0.5, 4, (*shape, 2))
    return np.concatenate([at, at + size], -1).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_overlaps_are_those_of_the_papers(kind):
    rng = np.random.default_rng(0)
    first, second = boxes_of(rng, 3, 7), boxes_of(rng, 3, 5)
    pairs = KINDS[kind][0](first, second).numpy()
    expected = overlaps(kind, first[:, :, None].astype("f8"), second[:, None].astype("f8"))
    np.testing.assert_allclose(pairs, expected, atol=2e-6)
    aligned = KINDS[kind][0](first[:, :5], second, aligned=True).numpy()
    np.testing.assert_allclose(aligned, np.diagonal(expected[:, :5], axis1=1, axis2=2), atol=2e-6)


# What the papers say of special positions: IoU, GIoU, DIoU; the last column where CIoU differs from DIoU.
POSITIONS = [
    ("equal", [0, 0, 2, 2], [0, 0, 2, 2], (1, 1, 1, 1)),
    ("side by side", [0, 0, 1, 1], [1, 0, 2, 1], (0, 0, -1 / 5, -1 / 5)),
    ("apart", [0, 0, 1, 1], [3, 0, 4, 1], (0, -0.5, -9 / 17, -9 / 17)),
    ("nested, one center", [0, 0, 4, 4], [1, 1, 3, 3], (0.25, 0.25, 0.25, 0.25)),
    ("no area", [0, 0, 2, 2], [1, 1, 1, 1], (0, 0, 0, 0)),
    ("two points", [1, 1, 1, 1], [1, 1, 1, 1], (0, 0, 0, 0)),
]


@pytest.mark.parametrize("name, first, second, expected", POSITIONS, ids=[row[0] for row in POSITIONS])
def test_special_positions(name, first, second, expected):
    for (function, _), value in zip(KINDS.values(), expected, strict=True):
        found = function(np.array([first], "f4"), np.array([second], "f4"))[0, 0]
        if name == "no area" and function is ops.complete_box_iou:
            continue  # A point has no proportions; the penalty is that of width against height 1.
        assert float(found) == pytest.approx(value, abs=1e-6), function


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_differences(kind):
    rng = np.random.default_rng(3)
    true, found = boxes_of(rng, 12, dtype="float64"), boxes_of(rng, 12, dtype="float64")
    x = cnnrs.Variable(found, dtype="float64")
    with cnnrs.GradientTape() as tape:
        total = ops.sum(KINDS[kind][1](true, x))
    gradient = tape.gradient(total, x).numpy()
    weight = None
    if kind == "ciou":
        # No gradient flows through the weight of the proportions.
        ratios = [np.arctan2(b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]) for b in (true, found)]
        v = 4 / np.pi**2 * (ratios[0] - ratios[1]) ** 2
        weight = v / (1 - overlaps("iou", true, found) + v)

    def value(boxes):
        if weight is None:
            return (1 - overlaps(kind, true, boxes)).sum()
        angles = [np.arctan2(b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]) for b in (true, boxes)]
        penalty = weight * 4 / np.pi**2 * (angles[0] - angles[1]) ** 2
        return (1 - overlaps("diou", true, boxes) + penalty).sum()

    step, expected = 1e-6, np.zeros_like(found)
    for place in np.ndindex(found.shape):
        moved = found.copy()
        moved[place] += step
        above = value(moved)
        moved[place] -= 2 * step
        expected[place] = (above - value(moved)) / (2 * step)
    np.testing.assert_allclose(gradient, expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_boxes_that_lie_apart_are_drawn_together(kind):
    x = cnnrs.Variable(np.array([[5.0, 5.0, 6.0, 6.0]], "f4"))
    with cnnrs.GradientTape() as tape:
        loss = ops.sum(KINDS[kind][1](np.array([[0.0, 0, 1, 1]], "f4"), x))
    assert (tape.gradient(loss, x).numpy().sum(axis=1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_position_has_a_gradient_that_is_no_number(kind):
    x = cnnrs.Variable(np.array([first for _, first, _, _ in POSITIONS], "f4"))
    with cnnrs.GradientTape() as tape:
        loss = ops.sum(KINDS[kind][1](np.array([second for _, _, second, _ in POSITIONS], "f4"), x))
    assert np.isfinite(tape.gradient(loss, x).numpy()).all()


def test_formats_mean_the_same_boxes():
    rng = np.random.default_rng(1)
    first, second = boxes_of(rng, 4), boxes_of(rng, 4)
    expected = ops.complete_box_iou(first, second).numpy()
    for source in ("xywh", "center_xywh", "rel_xywh"):
        size, first_, second_ = first[:, 2:] - first[:, :2], first.copy(), second.copy()
        for boxes in (first_, second_):
            size = boxes[:, 2:] - boxes[:, :2]
            boxes[:, :2] += size / 2 if "center" in source else 0
            boxes[:, 2:] = size
        found = ops.complete_box_iou(first_, second_, bounding_box_format=source)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    loss = losses.CIoULoss("center_xywh").get_config()
    assert loss["bounding_box_format"] == "center_xywh"
    assert losses.CIoULoss.from_config(loss).get_config() == loss


def test_losses_train_boxes_in_16_bits_and_under_fit():
    cnnrs.utils.set_random_seed(4)
    model = cnnrs.Sequential([cnnrs.Input((4,)), cnnrs.layers.Dense(4, dtype="mixed_float16")])
    model.compile(cnnrs.optimizers.Adam(0.1), loss=losses.DIoULoss())
    x = boxes_of(np.random.default_rng(0), 64)
    history = model.fit(x, x, epochs=30, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


def _random(seed, n=60, images=2):
    rng = np.random.default_rng(seed)
    boxes = boxes_of(rng, images, n)
    return boxes, rng.permutation(images * n).reshape(images, n).astype("f4") / (images * n)


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_suppression_is_that_of_the_definition(sigma):
    boxes, scores = _random(5)
    labels = np.random.default_rng(6).integers(0, 3, scores.shape)
    limit = 1.0 if sigma else 0.31
    chosen = ops.non_max_suppression(boxes, scores, 40, limit, 0.05, labels, sigma)
    for image in range(2):
        kept = suppress(boxes[image], scores[image], 40, limit, 0.05, labels[image], sigma)
        count = int(chosen.count[image])
        assert count == len(kept)
        assert chosen.indices[image].tolist() == [k for k, _ in kept] + [0] * (40 - count)
        np.testing.assert_allclose(chosen.scores[image, :count].numpy(), [s for _, s in kept], rtol=1e-5)
        assert not chosen.scores[image, count:].numpy().any()


@pytest.mark.parametrize("seed", range(4))
def test_what_a_suppression_promises(seed):
    boxes, scores = _random(seed, images=1)
    boxes, scores = boxes[0], scores[0]
    chosen = ops.non_max_suppression(boxes, scores, 60, 0.3)
    kept = chosen.indices.numpy()[: int(chosen.count)]
    # Sorted; no pair overlaps more; all others overlap a better one.
    assert (np.diff(scores[kept]) < 0).all()
    pairs = overlaps("iou", boxes[kept][:, None], boxes[kept]) - np.eye(len(kept))
    assert pairs.max() <= 0.3 + 1e-6
    for other in set(range(60)) - set(kept.tolist()):
        better = kept[scores[kept] > scores[other]]
        assert overlaps("iou", boxes[other], boxes[better]).max() > 0.3
    # Chosen boxes are all chosen again, and the order of the boxes does not matter.
    others = np.full(60, -1.0, "f4")
    others[kept] = scores[kept]
    again = ops.non_max_suppression(boxes, others, 60, 0.3, 0.0)
    assert again.indices.numpy()[: int(again.count)].tolist() == kept.tolist()
    order = np.random.default_rng(seed).permutation(60)
    moved = ops.non_max_suppression(boxes[order], scores[order], 60, 0.3)
    assert order[moved.indices.numpy()[: int(moved.count)]].tolist() == kept.tolist()


def test_suppression_in_functions_and_models():
    boxes, scores = _random(9)
    eager = ops.non_max_suppression(boxes, scores, 10)

    @cnnrs.function
    def recorded(x, s):
        return ops.non_max_suppression(x, s, 10)

    inputs = [cnnrs.Input((60, 4)), cnnrs.Input((60,))]
    model = cnnrs.Model(inputs, list(ops.non_max_suppression(*inputs, 10)))
    others = [recorded(ops.array(boxes), ops.array(scores)), model.predict([boxes, scores], verbose=0)]
    for other in others:
        for a, b in zip(eager, other, strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-6)


ON_GPU = """
import numpy as np, cnnrs
from cnnrs import losses, ops
from test_boxes import _random
boxes, scores = _random(9)
with cnnrs.device("gpu:0"):
    for sigma in (0.0, 0.3):
        chosen = ops.non_max_suppression(ops.array(boxes), ops.array(scores), 10, soft_nms_sigma=sigma)
        print(chosen.indices.tolist(), [round(s, 4) for s in chosen.scores[0].tolist()])
    print(round(float(ops.sum(losses.ciou_loss(ops.array(boxes[0]), ops.array(boxes[1])))), 3))
"""


@needs_software
def test_a_gpu_chooses_the_same():
    here, found = Path(__file__).parent, []
    for script in (ON_GPU, ON_GPU.replace("gpu:0", "cpu")):
        env = {**os.environ, **SOFTWARE, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    assert found[0] == found[1] and len(found[0].splitlines()) == 3


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda b, s: ops.non_max_suppression(b, s[:3], 2), r"scores: expected shape \(60,\)"),
        (lambda b, s: ops.non_max_suppression(b[0], s, 2), r"boxes: expected shape \(..., n, 4\)"),
        (lambda b, s: ops.non_max_suppression(b, s, -1), "max_output_size: expected an integer >= 0"),
        (lambda b, s: ops.non_max_suppression(b, s, 2, 1.5), "iou_threshold: expected"),
        (lambda b, s: ops.non_max_suppression(b, s, 2, bounding_box_format="abc"), "bounding_box_format"),
        (lambda b, s: ops.non_max_suppression(b, s, 2, score_threshold="x"), "score_threshold"),
        (lambda b, s: ops.box_iou(b, b[:, :3]), "boxes2: expected shape"),
        (lambda b, s: ops.box_iou(b, b[:7], aligned=True), "as many boxes"),
        (lambda b, s: losses.IoULoss(mode="cubic"), "mode: expected one of linear"),
        (
            lambda b, s: losses.IoULoss("coco"),
            "IoULoss: bounding_box_format: expected one of xyxy, .* 'coco'",
        ),
        (lambda b, s: losses.GIoULoss("coco"), "GIoULoss: bounding_box_format: expected one of xyxy"),
        (lambda b, s: losses.giou_loss(b, b[:, 0]), "y_pred: expected boxes of shape"),
    ],
)
def test_bad_arguments_are_named(call, words):
    boxes, scores = _random(1, images=1)
    with pytest.raises(ValueError, match=words):
        call(boxes[0], scores[0])


def test_classes_of_floats_are_refused():
    with pytest.raises(TypeError, match="non_max_suppression: classes: expected integers, received float"):
        ops.non_max_suppression(np.ones((2, 4)), np.ones(2), 2, classes=[0.5, 1.0])
