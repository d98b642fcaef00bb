"""The detector: published sizes, assignment by its definition, training to the end, files, pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest

import cnnrs
from cnnrs import detection
from cnnrs.detection import YOLOX, draw_boxes, sim_ota, to_svg


def shapes(images, seed=0, size=64, most=3):
    """Pictures of dark squares (class 0) and discs (class 1), with their boxes."""
    rng = np.random.default_rng(seed)
    x = np.full((images, size, size, 3), 0.9, "float32") + rng.normal(0, 0.02, (images, size, size, 3))
    boxes, classes = np.zeros((images, most, 4), "float32"), np.full((images, most), -1, "int32")
    rows, columns = np.mgrid[:size, :size] + 0.5
    for i in range(images):
        places = []
        for k in range(int(rng.integers(1, most + 1))):
            for _ in range(50):
                side = int(rng.integers(14, 27))
                left, top = rng.integers(1, size - side, 2)
                box = np.array([left, top, left + side, top + side], "float32")
                if all((box[2:] < b[:2]).any() or (box[:2] > b[2:]).any() for b in places):
                    break
            else:
                continue
            label = int(rng.integers(0, 2))
            square = (columns > left) & (columns < box[2]) & (rows > top) & (rows < box[3])
            disc = (columns - left - side / 2) ** 2 + (rows - top - side / 2) ** 2 < side**2 / 4
            x[i][square if label == 0 else disc] = [[0.1, 0.2, 0.6], [0.7, 0.1, 0.1]][label]
            places.append(box)
            boxes[i, k], classes[i, k] = box, label
    return x.astype("float32"), {"boxes": boxes, "classes": classes}


@pytest.mark.parametrize("size, millions", [("nano", 0.91), ("tiny", 5.06), ("small", 8.97)])
def test_parameters_are_those_published(size, millions):
    # Tables 3 and 4 of arXiv:2107.08430, 80 classes.
    model = YOLOX((64, 64, 3), 80, size)
    count = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert round(count / 1e6, 2) == millions


def test_it_learns_a_few_pictures_by_heart(tmp_path):
    cnnrs.utils.set_random_seed(1)
    x, y = shapes(12)
    model = YOLOX((64, 64, 3), classes=2, size=(0.33, 0.125))
    model.compile(cnnrs.optimizers.Adam(cnnrs.optimizers.schedules.CosineDecay(5e-3, 400)))
    history = model.fit(x, y, epochs=200, batch_size=6, verbose=0).history["loss"]
    assert history[-1] < 0.2 * history[0]
    figures = model.mean_average_precision(x, y)
    assert figures["AP"] > 0.9, figures
    model.save(tmp_path / "detector.keras")
    again = cnnrs.models.load_model(tmp_path / "detector.keras")
    assert type(again) is YOLOX and again.get_config() == model.get_config()
    for key, found in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(again.predict(x, verbose=0)[key], found, atol=1e-3)


def assigned(boxes, class_logits, object_logits, centers, strides, true, labels):
    """One image, object by object, as the paper says."""
    costs, overlaps, taken = [], [], []
    for box, label in zip(true, labels, strict=True):
        low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
        common = np.clip(high - low, 0, None).prod(1)
        areas = [(b[..., 2:] - b[..., :2]).prod(-1) for b in (box, boxes)]
        near = (abs(centers - (box[:2] + box[2:]) / 2).max(1) < 1.5 * strides) & (label >= 0)
        overlap = np.where(near, common / (areas[0] + areas[1] - common), 0)
        p = np.sqrt(1 / (1 + np.exp(-class_logits)) / (1 + np.exp(-object_logits))[:, None])
        target = np.eye(class_logits.shape[1])[max(label, 0)]
        cost = -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum(1) - 3 * np.log(overlap + 1e-8)
        cost = np.where(near, cost, 1e6)
        k = max(int(np.sort(overlap)[-10:].sum()), 1)
        mine = np.zeros(len(boxes), bool)
        mine[np.argsort(cost, kind="stable")[:k]] = True
        costs.append(cost), overlaps.append(overlap), taken.append(mine & near)
    costs, overlaps, taken = map(np.array, (costs, overlaps, taken))
    owner = np.where(taken, costs, np.inf).argmin(0)
    positive = taken.any(0)
    owner = np.where(positive, owner, 0)
    return positive, owner, np.where(positive, overlaps[owner, np.arange(len(boxes))], 0)


@pytest.mark.parametrize("seed", range(3))
def test_places_answer_for_objects_as_the_paper_says(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:8, :8] * 8.0 + 4.0
    centers, strides = np.stack([x.ravel(), y.ravel()], 1), np.full(64, 8.0)
    half = rng.uniform(4, 14, (2, 64, 2))
    boxes = np.concatenate([centers - half, centers + half], -1)
    logits, objects = rng.normal(size=(2, 64, 3)), rng.normal(size=(2, 64))
    at = rng.uniform(4, 40, (2, 4, 2))
    true = np.concatenate([at, at + rng.uniform(10, 24, (2, 4, 2))], -1)
    labels = rng.integers(-1, 3, (2, 4))
    found = sim_ota(boxes, logits, objects, centers, strides, true, labels)
    for k in range(2):
        parts = assigned(boxes[k], logits[k], objects[k], centers, strides, true[k], labels[k])
        for ours, theirs in zip(found, parts, strict=True):
            np.testing.assert_allclose(np.asarray(ours)[k], theirs, atol=1e-5)


def test_images_without_objects_train_too():
    model = YOLOX((64, 64, 3), 1, (0.33, 0.0625))
    model.compile("adam")
    y = {"boxes": np.zeros((2, 3, 4), "f4"), "classes": np.full((2, 3), -1)}
    assert np.isfinite(model.fit(np.zeros((2, 64, 64, 3), "f4"), y, verbose=0).history["loss"]).all()
    found = model.predict(np.zeros((2, 64, 64, 3), "f4"), verbose=0)
    assert found["boxes"].shape == (2, 100, 4) and (found["classes"][found["scores"] == 0] == -1).all()


def test_formats_say_the_same():
    x, y = shapes(2)
    cnnrs.utils.set_random_seed(0)
    model = YOLOX((64, 64, 3), 2, (0.33, 0.0625), "rel_xyxy", score_threshold=0.0)
    raw = model(x)
    other = YOLOX((64, 64, 3), 2, (0.33, 0.0625), "xywh", score_threshold=0.0)
    wide = np.concatenate([y["boxes"][..., :2], y["boxes"][..., 2:] - y["boxes"][..., :2]], -1)
    losses = [
        float(m.compute_loss(y={**y, "boxes": boxes}, y_pred=raw))
        for m, boxes in ((model, y["boxes"] / 64), (other, wide))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    relative, pixels = (np.asarray(m.detect(raw)["boxes"]) for m in (model, other))
    np.testing.assert_allclose(relative[..., :2] * 64, pixels[..., :2], atol=1e-3)


def test_pictures():
    x, y = shapes(1)
    one = {"boxes": y["boxes"][0], "classes": y["classes"][0], "scores": np.array([0.9, 0.8, 0.7])}
    drawn = draw_boxes(x[0], one)
    left, top = y["boxes"][0, 0, :2].astype(int)
    assert drawn.dtype == np.uint8 and drawn[top, left].tolist() in ([230, 159, 0], [86, 180, 233])
    assert (draw_boxes(x[0], one, 0.95) == np.clip(np.rint(x[0] * 255), 0, 255)).all()
    text = to_svg(x[0], one, ["square", "disc"])
    assert text.count("<rect") == (y["classes"][0] >= 0).sum() and "0.90" in text
    # Labels of boxes at the borders lie inside of the picture.
    borders = {"boxes": [[50.0, 0, 64, 10], [0, 40, 9, 50], [-5, -5, 9, 9]], "classes": [0, 1, 0]}
    for x_at, y_at, words in re.findall(
        r'<text x="([-.0-9]+)" y="([-.0-9]+)" [^>]*>([^<]*)<',
        to_svg(np.zeros((64, 64, 3)), borders, ["a & b", "c"]),
    ):
        assert 0 <= float(x_at) <= 64 - 6 * len(words.replace("&amp;", "&")) and 10 <= float(y_at) <= 64
    # The picture inside is the image.
    import base64
    import struct
    import zlib

    png = base64.b64decode(text.split("base64,")[1].split('"')[0])
    size = struct.unpack(">I", png[33:37])[0]
    rows = np.frombuffer(zlib.decompress(png[41 : 41 + size]), "u1").reshape(64, -1)
    assert (rows[:, 1:].reshape(64, 64, 3) == draw_boxes(x[0], one, 0.95)).all()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: YOLOX((60, 64, 3)), "input_shape: expected height and width, multiples of 32"),
        (lambda: YOLOX(size="nanoo"), "size: expected one of nano.*nano"),
        (lambda: YOLOX(size=(1,)), "size: expected one of"),
        (lambda: YOLOX(classes=0), "classes: expected an integer >= 1"),
        (lambda: YOLOX(bounding_box_format="abc"), "bounding_box_format: expected one of"),
        (lambda: YOLOX((64, 64, 3), 1, (0.3, 0.06), iou_threshold=2), "iou_threshold"),
        (lambda: draw_boxes(np.zeros((4, 4, 2)), {"boxes": [], "classes": []}), "image: expected shape"),
        (lambda: to_svg(np.zeros((4, 4, 3)), {"boxes": [[0, 0, 1, 1]]}), "expected a dict with boxes"),
        (
            lambda: draw_boxes(np.zeros((4, 4, 3)), {"boxes": [[0, 0, np.nan, 1]], "classes": [0]}),
            "draw_boxes: detections: boxes: expected finite numbers",
        ),
        (lambda: to_svg(np.zeros((4, 4, 3)), {"boxes": [[0, 0, 1, 1]], "classes": [3]}, ["a"]), "a name of"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_targets_that_do_not_fit_are_named():
    model = YOLOX((64, 64, 3), 1, (0.33, 0.0625))
    model.compile("adam")
    x = np.zeros((2, 64, 64, 3), "f4")
    for y, words in (
        (np.zeros((2, 4)), "y: expected a dict with boxes"),
        ({"boxes": np.zeros((2, 3, 4)), "classes": np.zeros((2, 2))}, "expected boxes of shape"),
    ):
        with pytest.raises(ValueError, match=words):
            model.fit(x, y, verbose=0)
    assert detection.YOLOX is YOLOX


def _small():
    model = YOLOX((64, 64, 3), 1, (0.33, 0.0625))
    model.compile("adam")
    return model


@pytest.mark.parametrize(
    "argument",
    [{"loss": "mse"}, {"loss_weights": [3.0]}, {"metrics": ["accuracy"]}, {"weighted_metrics": ["mae"]}],
)
def test_compile_refuses_what_it_would_ignore(argument):
    with pytest.raises(ValueError, match=f"yolox: compile: {next(iter(argument))}: expected None"):
        YOLOX((64, 64, 3), 1, (0.33, 0.0625)).compile("adam", **argument)


_BOX = np.array([[[8.0, 8, 40, 44]]] * 2, "f4")


@pytest.mark.parametrize(
    "format_, boxes, classes, message",
    [
        ("xyxy", _BOX, [[0], [5]], "classes: expected integers from 0 to 0.*received 5 for image 1"),
        ("xyxy", _BOX, [[0], [-2]], "classes: .*received -2"),
        ("xyxy", _BOX, [[0.0], [0.5]], "classes: .*received 0.5"),
        ("xyxy", _BOX[..., ::-1], [[0], [0]], "boxes: .*'xyxy'.*for image 0"),
        ("xywh", -_BOX, [[-1], [0]], "boxes: .*'xywh'.*for image 1"),
        ("xyxy", _BOX * np.nan, [[0], [0]], "boxes: expected finite"),
    ],
)
def test_targets_that_make_no_sense_are_refused(format_, boxes, classes, message):
    model = YOLOX((64, 64, 3), 1, (0.33, 0.0625), format_)
    model.compile("adam")
    x, y = np.zeros((2, 64, 64, 3), "f4"), {"boxes": boxes, "classes": np.array(classes)}
    for train in (
        lambda: model.fit(x, y, batch_size=1, verbose=0),
        lambda: model.fit(iter([(x, y)]), verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.train_on_batch(x, y),
    ):
        with pytest.raises(ValueError, match=f"yolox: y: {message}"):
            train()


def test_places_for_no_boxes_train_as_none():
    x = np.random.default_rng(0).random((2, 64, 64, 3), "f4")
    found = []
    for boxes, classes in (
        (np.zeros((2, 0, 4), "f4"), np.zeros((2, 0), "i4")),
        (np.full((2, 1, 4), np.nan, "f4"), np.full((2, 1), -1)),
    ):
        cnnrs.utils.set_random_seed(0)
        found.append(
            _small().fit(x, {"boxes": boxes, "classes": classes}, epochs=2, verbose=0).history["loss"]
        )
    assert found[0] == found[1] and np.isfinite(found[0]).all()
