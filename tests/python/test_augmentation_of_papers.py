"""`RandomResizedCrop`, `TrivialAugment`, `Lighting`, `GridMask` and `Mosaic` against slow forms of numpy.

What they draw is compared with what the papers say. Key points and boxes of all layers are here too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from test_augmentation import CASES, host, images, make
from test_devices import SOFTWARE, needs_software

import cnnrs
from cnnrs import layers, ops
from cnnrs.layers.augmentation import trivial

# ---- RandomResizedCrop


def resampled(image: np.ndarray, window: Any, size: tuple[int, int], antialias: bool) -> np.ndarray:
    """A window of an image, resized by the triangle kernel, pixel by pixel in float64."""
    top, left, rows, columns = window

    def weights(length: int, target: int, i: int) -> np.ndarray:
        ratio = length / target
        support = max(ratio, 1.0) if antialias else 1.0
        w = np.maximum(0.0, 1 - np.abs((i + 0.5) * ratio - 0.5 - np.arange(length)) / support)
        return w / w.sum()

    part = image[top : top + rows, left : left + columns].astype(np.float64)
    result = np.empty((*size, image.shape[-1]))
    for y in range(size[0]):
        for x in range(size[1]):
            wy, wx = weights(rows, size[0], y), weights(columns, size[1], x)
            result[y, x] = np.einsum("i,j,ijc->c", wy, wx, part)
    return result


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(4, 3), (21, 30)])
def test_windows_are_resampled_as_numpy_does(size, antialias):
    x = np.random.default_rng(0).integers(0, 256, (6, 20, 17, 3)).astype(np.uint8)
    crop = layers.RandomResizedCrop(*size, antialias=antialias, seed=4)
    drawn = crop.get_random_transformation(x, training=True)
    result = host(crop.transform_images(x, drawn))
    for image, window, actual in zip(x, host(drawn["window"]).astype(int), result, strict=True):
        np.testing.assert_allclose(actual, resampled(image, window, size, antialias), atol=2e-3)


def test_windows_are_drawn_as_inception_does():
    crop = layers.RandomResizedCrop(8, 8, seed=3)
    x = np.zeros((4000, 120, 160, 1), np.uint8)
    top, left, rows, columns = host(crop.get_random_transformation(x)["window"]).T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + rows <= 120).all() and (left + columns <= 160).all()
    area, ratio = rows * columns / (120 * 160), columns / rows
    assert area.min() > 0.07 and area.max() <= 1.0 and 0.7 < ratio.min() < 0.78 and 1.3 < ratio.max() < 1.4
    # Of those that fit, small areas are as frequent as the range says; shapes are symmetric in the logarithm.
    assert abs((area < 0.31).mean() / (area < 0.54).mean() - 0.5) < 0.04
    assert abs(np.log(ratio[area < 0.3]).mean()) < 0.02
    assert abs((left / np.maximum(160 - columns, 1)).mean() - 0.5) < 0.02


def test_images_that_no_window_fits_give_one_in_the_middle():
    crop = layers.RandomResizedCrop(4, 4, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert (
        host(crop.get_random_transformation(np.zeros((2, 10, 40, 3)))["window"]).tolist()
        == [[0, 15, 10, 10]] * 2
    )
    assert host(crop.get_random_transformation(np.zeros((1, 40, 10, 3)))["window"]).tolist() == [
        [15, 0, 10, 10]
    ]
    # In prediction it is the largest with the shape of the result.
    wide = layers.RandomResizedCrop(4, 8)
    drawn = wide.get_random_transformation(np.zeros((1, 10, 10, 3)), training=False)
    assert host(drawn["window"]).tolist() == [[2, 0, 5, 10]]


# ---- TrivialAugment


def test_kinds_and_strengths_are_uniform():
    layer = layers.TrivialAugment(seed=5)
    drawn = {k: host(v) for k, v in layer.get_random_transformation(np.zeros((8000, 2, 2, 3))).items()}
    counts = np.bincount(drawn["kind"], minlength=14)
    assert len(counts) == 14 and np.abs(counts / 8000 - 1 / 14).max() < 0.012
    levels = np.unique(drawn["level"])
    np.testing.assert_allclose(levels, np.arange(31) / 30, atol=1e-6)
    for i, (_, most, signed) in enumerate(trivial._KINDS):
        strength = drawn["strength"][drawn["kind"] == i]
        assert np.abs(strength).max() <= most + 1e-4 and (strength.min() < 0) == signed


@pytest.mark.parametrize("name", trivial._NAMES)
def test_each_kind_is_what_its_formula_says(name):
    x = np.random.default_rng(2).integers(0, 256, (3, 9, 8, 3)).astype(np.float32)
    layer = layers.TrivialAugment(interpolation="bilinear")
    strength = np.float32({"rotate": 90.0, "translate_x": 2.0, "translate_y": -3.0}.get(name, 0.5))
    drawn = {
        "kind": np.full(3, trivial._NAMES.index(name), np.int32),
        "level": np.full(3, 0.5, np.float32),
        "strength": np.full(3, strength, np.float32),
        "input_shape": x.shape,
    }
    drawn = {k: v if k == "input_shape" else ops.convert_to_tensor(v) for k, v in drawn.items()}
    result = host(layer.transform_images(x, drawn))
    grey = x @ np.float32([0.2989, 0.587, 0.114])
    expected: Any = {
        "identity": lambda: x,
        "brightness": lambda: np.clip(x * 1.5, 0, 255),
        "color": lambda: np.clip(grey[..., None] + 1.5 * (x - grey[..., None]), 0, 255),
        "contrast": lambda: np.clip(
            (x - grey.mean((1, 2))[:, None, None, None]) * 1.5 + grey.mean((1, 2))[:, None, None, None],
            0,
            255,
        ),
        "posterize": lambda: np.floor(x / 8) * 8,
        "solarize": lambda: np.where(x < 127.5, x, 255 - x),
        "translate_x": lambda: np.pad(x, ((0, 0), (0, 0), (0, 2), (0, 0)))[:, :, 2:],
        "translate_y": lambda: np.pad(x, ((0, 0), (3, 0), (0, 0), (0, 0)))[:, :9],
        "auto_contrast": lambda: host(layers.AutoContrast()(x)),
        "equalize": lambda: host(layers.Equalization()(x)),
        "sharpness": lambda: host(layers.RandomSharpness((0.75, 0.75))(x)),
        "shear_x": lambda: host(ops.image.affine_transform(x, [1, 0.5, 0, 0, 1, 0, 0, 0])),
        "shear_y": lambda: host(ops.image.affine_transform(x, [1, 0, 0, 0.5, 1, 0, 0, 0])),
        "rotate": lambda: None,
    }[name]()
    if name == "rotate":
        square = x[:, :8]
        drawn["input_shape"] = square.shape
        expected, result = np.rot90(square, 1, (1, 2)), host(layer.transform_images(square, drawn))
    np.testing.assert_allclose(result, expected, atol=2e-3)


# ---- Lighting, GridMask, Mosaic


def test_lighting_adds_the_covariance_of_the_paper():
    layer = layers.Lighting(1.0, value_range=(-1e6, 1e6), deviations=[0.3, 0.2, 0.1], seed=2)
    drawn = host(layer.get_random_transformation(np.zeros((20000, 1, 1, 3)))["rgb_delta"]) / 2e6
    from cnnrs.layers.augmentation.lighting import _COMPONENTS

    p = np.array(_COMPONENTS)
    np.testing.assert_allclose(p.T @ p, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(np.cov(drawn.T), p @ np.diag([0.09, 0.04, 0.01]) @ p.T, atol=2e-3)
    x = np.full((2, 3, 3, 3), 100.0, np.float32)
    own = layers.Lighting(0.05, seed=7)
    drawn = own.get_random_transformation(x)
    expected = np.clip(x + host(drawn["rgb_delta"])[:, None, None], 0, 255)
    np.testing.assert_allclose(host(own.transform_images(x, drawn)), expected, atol=1e-4)
    with pytest.raises(ValueError, match="3 channels"):
        own(x[..., :1])


def test_a_grid_is_erased_square_by_square():
    x = np.ones((5, 12, 15, 2), np.float32)
    layer = layers.GridMask((0.7, 0.7), ratio=0.4, unit=(0.3, 0.7), fill_value=7, seed=1)
    drawn = layer.get_random_transformation(x)
    numbers = {name: host(value) for name, value in drawn.items()}
    result = host(layer.transform_images(x, drawn))
    assert 0 < numbers["apply_mask"].sum() < 5
    for i in range(5):
        d, length = numbers["period"][i], numbers["length"][i]
        assert length == round(d * 0.6)
        for y in range(12):
            for column in range(15):
                inside = (y - numbers["top"][i]) % d < length and (column - numbers["left"][i]) % d < length
                assert (result[i, y, column] == (7 if inside and numbers["apply_mask"][i] else 1)).all()


def test_four_images_meet_in_a_point():
    x = images()
    data = {
        "images": x,
        "labels": np.eye(4),
        "segmentation_masks": (x[..., :1] * 9).astype(np.int32),
        "keypoints": np.tile(np.float32([[1, 2], [6, 7], [-1, -1]]), (4, 1, 1)),
        "bounding_boxes": {
            "boxes": np.tile(np.float32([1, 2, 6, 8]), (4, 1, 1)),
            "labels": np.arange(4)[:, None],
        },
    }
    layer = layers.Mosaic(seed=6, bounding_box_format="xyxy", min_visibility=0.2)
    drawn = layer.get_random_transformation(data)
    which, cx, cy = (host(drawn[name]).astype(int) for name in ("images", "x", "y"))
    result = host(layer.transform_images(x, drawn))
    masks = host(layer.transform_segmentation_masks(data["segmentation_masks"], drawn))
    labels = host(layer.transform_labels(data["labels"], drawn))
    boxes = layer.transform_bounding_boxes(data["bounding_boxes"], drawn)
    points = host(layer.transform_keypoints(ops.convert_to_tensor(data["keypoints"]), drawn))
    for i in range(4):
        assert which[i, 0] == i and 2 <= cx[i] <= 6 and 2 <= cy[i] <= 7
        share = np.zeros(4)
        for q in range(4):
            right, down = cx[i] - 8 * (q % 2 == 0), cy[i] - 9 * (q < 2)
            rows, columns = slice(max(down, 0), min(down + 9, 9)), slice(max(right, 0), min(right + 8, 8))
            from_rows = slice(rows.start - down, rows.stop - down)
            from_columns = slice(columns.start - right, columns.stop - right)
            np.testing.assert_array_equal(result[i, rows, columns], x[which[i, q], from_rows, from_columns])
            given = data["segmentation_masks"][which[i, q], from_rows, from_columns]
            np.testing.assert_array_equal(masks[i, rows, columns], given)
            share[which[i, q]] += (rows.stop - rows.start) * (columns.stop - columns.start) / 72
            box = np.array([1 + right, 2 + down, 6 + right, 8 + down])
            cut = np.clip(box, 0, [8, 9, 8, 9])
            left = (cut[2] - cut[0]) * (cut[3] - cut[1]) / 30
            np.testing.assert_array_equal(host(boxes["boxes"])[i, q], cut)
            assert host(boxes["labels"])[i, q] == (which[i, q] if left > 0 and left >= 0.2 else -1)
            for k, (px, py) in enumerate([(1, 2), (6, 7)]):
                seen = 0 <= px + right < 8 and 0 <= py + down < 9
                wanted = [px + right, py + down] if seen else [-1, -1]
                assert points[i, 3 * q + k].tolist() == wanted
            assert points[i, 3 * q + 2].tolist() == [-1, -1]
        np.testing.assert_allclose(labels[i], share, atol=1e-6)


# ---- key points and boxes


@pytest.mark.parametrize(
    "name", [name for name in CASES if name not in ("MixUp", "CutMix", "Mosaic", "AugMix")]
)
def test_key_points_go_where_their_pixels_go(name):
    """A bright spot is found again where its key point is."""
    if name in ("GridMask", "RandomErasing"):
        pytest.skip("the spot may be erased")
    random = np.random.default_rng(8)
    x = np.full((12, 33, 31, 3), 0.25, np.float32)
    points = np.stack([random.integers(9, 22, 12), random.integers(9, 24, 12)], axis=1).astype(np.float32)
    rows, columns = np.mgrid[:33, :31]
    for image, (px, py) in zip(x, points, strict=True):
        image += 0.75 * np.exp(-((columns - px) ** 2 + (rows - py) ** 2) / 8)[..., None].astype(np.float32)
    more = {"height": 27, "width": 23} if "height" in CASES[name][0] else {}
    if name == "RandomElasticTransform":
        more = {"scale": (0.3, 0.3)}
    gentle = {"fill_mode": "constant"} if "fill_mode" in make(name).get_config() else {}
    layer = make(name, **more, **gentle)
    given = np.concatenate([points[:, None], np.full((12, 1, 2), -1, np.float32)], axis=1)
    data = layer({"images": x, "keypoints": given})
    result, found = host(data["images"]).mean(-1), host(data["keypoints"])
    assert found.shape == (12, 2, 2) and (found[:, 1] == -1).all()
    height, width = result.shape[1:]
    seen = 0
    for image, (px, py) in zip(result, found[:, 0], strict=True):
        if (px, py) == (-1, -1):
            continue
        assert -0.5 <= px < width - 0.5 and -0.5 <= py < height - 0.5
        if 5 <= px < width - 5 and 5 <= py < height - 5 and name not in ("Solarization", "RandomInvert"):
            part = np.abs(image - np.median(image))
            part = np.where(
                np.hypot(*(np.mgrid[:height, :width] - np.array([py, px])[:, None, None])) < 7, part, 0
            )
            part = np.where(part > 0.5 * part.max(), part, 0)
            middle = (part * np.mgrid[:height, :width]).sum((1, 2)) / part.sum()
            if part.max() > 0.1 and name not in ("RandAugment", "TrivialAugment", "Equalization"):
                assert np.hypot(*(middle - [py, px])) < 1.0
            seen += 1
    assert seen >= 3 or name in ("Solarization", "RandomInvert")


def test_visibility_is_the_third_number():
    flip = layers.RandomTranslation((0.0, 0.0), (0.5, 0.5))
    points = np.float32([[[1, 1, 2], [6, 1, 1], [3, 3, 0]]])
    moved = host(flip({"images": images()[:1], "keypoints": points})["keypoints"])
    assert moved.tolist() == [[[5, 1, 2], [-1, -1, 0], [-1, -1, 0]]]
    single = host(flip({"images": images()[0], "keypoints": points[0]})["keypoints"])
    assert single.tolist() == moved[0].tolist()
    for wrong in (np.zeros((1, 2)), np.zeros((1, 2, 4)), np.zeros((2,))):
        with pytest.raises(ValueError, match="keypoints: expected shape"):
            flip({"images": images()[:1], "keypoints": wrong})


def test_points_of_mixed_images():
    x, points = images(), np.random.default_rng(1).random((4, 3, 2)).astype(np.float32) * 7
    assert host(layers.MixUp()({"images": x, "keypoints": points})["keypoints"]).shape == (4, 6, 2)
    layer = layers.CutMix((1.0, 1.0), seed=3)
    drawn = layer.get_random_transformation(x)
    moved = host(layer.transform_keypoints(ops.convert_to_tensor(points), drawn))
    mask, order = host(drawn["batch_masks"])[..., 0], host(drawn["permutation_order"])
    for i in range(4):
        for k in range(3):
            for source, place in ((i, k), (order[i], 3 + k)):
                px, py = np.round(points[source, k]).astype(int)
                shown = mask[i, py, px] == (place >= 3)
                wanted = points[source, k] if shown else [-1, -1]
                np.testing.assert_array_equal(moved[i, place], np.float32(wanted))


def boxes_around(shown: np.ndarray) -> list[int]:
    """The box around the pixels that are shown, as "xyxy"."""
    rows, columns = np.nonzero(shown)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else []


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_boxes_of_cut_images_are_those_of_the_pixels_that_are_seen(data_format, classes):
    """Each box is painted as pixels; what is left of them, and what is put in, is counted."""
    random = np.random.default_rng(4)
    corners = random.integers(0, 12, (6, 5, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2) + [2, 3]], axis=-1).astype(np.float32)
    labels = np.arange(30).reshape(6, 5)
    x = np.zeros((6, 15, 14, 1) if data_format == "channels_last" else (6, 1, 15, 14), np.float32)
    given = np.stack([labels] * 2, -1) if classes else labels
    checked = set()
    for seed, least in [(seed, least) for seed in range(6) for least in (0.0, 0.4)]:
        layer = layers.CutMix(
            (1.0, 1.0), seed=seed, data_format=data_format, bounding_box_format="xyxy", min_visibility=least
        )
        drawn = layer.get_random_transformation(x)
        found = layer.transform_bounding_boxes(
            {"boxes": ops.convert_to_tensor(boxes), "labels": ops.convert_to_tensor(given)}, drawn
        )
        made, marks = host(found["boxes"]), host(found["labels"])
        marks = marks[..., 0] if classes else marks
        order, masks = host(drawn["permutation_order"]), host(drawn["batch_masks"]).reshape(6, 15, 14)
        assert made.shape == (6, 10, 4)
        for i, k in np.ndindex(6, 10):
            source = (i, k) if k < 5 else (order[i], k - 5)
            painted = np.zeros((15, 14), bool)
            x0, y0, x1, y1 = boxes[source].astype(int)
            painted[y0:y1, x0:x1] = True
            shown = painted & (masks[i] == (k >= 5))
            # Boxes reach beyond the image here, and what lies there is not seen.
            whole = (x1 - x0) * (y1 - y0) if k >= 5 else painted.sum()
            part = shown.sum() / whole
            if part == 0 or part < least - 1e-6:
                assert marks[i, k] == -1
            else:
                assert marks[i, k] == labels[source]
                np.testing.assert_array_equal(made[i, k], boxes_around(shown))
            checked.add((k >= 5, part == 0, part < 1, marks[i, k] == -1))
    assert len(checked) >= 6


def test_boxes_of_distorted_images_are_around_their_pixels():
    """Each box is painted as pixels, which the layer distorts as a mask."""
    boxes = np.float32([[[10, 12, 50, 40], [30, 20, 62, 55], [0, 0, 0, 0]]] * 3)
    masks = np.zeros((3, 64, 72, 2), np.uint8)
    masks[:, 12:40, 10:50, 0] = masks[:, 20:55, 30:62, 1] = 1
    for seed in range(4):
        layer = layers.RandomElasticTransform(
            scale=(0.4, 0.4), factor=(0.7, 0.7), fill_mode="constant", seed=seed, bounding_box_format="xyxy"
        )
        labels = np.float32([[4, 5, -1]] * 3)
        data = layer(
            {
                "images": np.zeros((3, 64, 72, 3), np.float32),
                "segmentation_masks": masks,
                "bounding_boxes": {"boxes": boxes, "labels": labels},
            }
        )
        found, moved = host(data["bounding_boxes"]["boxes"]), host(data["segmentation_masks"])
        np.testing.assert_array_equal(host(data["bounding_boxes"]["labels"]), labels)
        for i, k in np.ndindex(3, 2):
            # Pixels are read at the nearest place, and sides lie between them.
            np.testing.assert_allclose(found[i, k], boxes_around(moved[i, :, :, k]), atol=1.0)
    assert np.abs(found[:, :2] - boxes[:, :2]).max() > 1


@pytest.mark.parametrize("name", ["CutMix", "Mosaic", "RandomElasticTransform", "MixUp"])
def test_all_parts_of_a_sample_go_along_where_a_data_set_maps_the_layer(name):
    """As a map over batches and as a layer: the same images, boxes, key points and masks."""
    random = np.random.default_rng(3)
    corners = random.integers(0, 8, (4, 3, 2, 2))
    sample = {
        "images": random.integers(0, 256, (4, 12, 10, 3)).astype(np.uint8),
        "labels": np.eye(4, dtype=np.float32),
        "bounding_boxes": {
            "boxes": np.concatenate([corners.min(2), corners.max(2) + 1], -1).astype(np.float32),
            "labels": np.arange(12, dtype=np.int32).reshape(4, 3),
        },
        "keypoints": random.integers(0, 10, (4, 2, 3)).astype(np.float32),
        "segmentation_masks": random.integers(0, 3, (4, 12, 10)).astype(np.int32),
    }
    layer, mapped = (getattr(layers, name)(seed=5, bounding_box_format="xyxy") for _ in range(2))
    expected = layer(sample)
    data = cnnrs.data.Dataset.from_tensor_slices(sample).batch(4).map(mapped)
    found = next(iter(data))
    assert found.keys() == expected.keys()
    for one, other in zip(cnnrs.tree.flatten(found), cnnrs.tree.flatten(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(host(one), host(other), atol=1e-3)


def test_a_pipeline_scales_the_images_of_a_sample_and_leaves_the_rest():
    chain = layers.Pipeline(
        [
            layers.RandomFlip("horizontal", seed=1, bounding_box_format="xyxy"),
            layers.Rescaling(1 / 255),
            layers.Pipeline([layers.Normalization(mean=[0.5] * 3, variance=[0.25] * 3)]),
        ]
    )
    flip = layers.RandomFlip("horizontal", seed=1, bounding_box_format="xyxy")
    sample = {
        "images": np.random.default_rng(1).integers(0, 256, (4, 6, 5, 3)).astype(np.uint8),
        "keypoints": np.ones((4, 2, 2), np.float32),
        "bounding_boxes": {"boxes": np.float32([[[0, 0, 2, 3]]] * 4), "labels": np.int32([[1]] * 4)},
    }
    expected = flip(sample)
    mapped = next(iter(cnnrs.data.Dataset.from_tensor_slices(sample).batch(4).map(chain)))
    for found in (layers.Pipeline.from_config(chain.get_config())(sample), mapped):
        np.testing.assert_allclose(host(found["images"]), host(expected["images"]) / 127.5 - 1, atol=1e-5)
        np.testing.assert_array_equal(host(found["keypoints"]), host(expected["keypoints"]))
        boxes = found["bounding_boxes"]["boxes"]
        np.testing.assert_array_equal(host(boxes), host(expected["bounding_boxes"]["boxes"]))


@pytest.mark.parametrize("name", ["CutMix", "Mosaic", "MixUp"])
def test_mixing_of_single_images_of_a_data_set_says_what_to_do(name):
    layer = getattr(layers, name)()
    images = cnnrs.data.Dataset.from_tensor_slices(np.zeros((4, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"one image of shape \(8, 8, 3\); map it behind batch: data.batch"):
        list(images.map(layer))
    assert len(list(images.batch(2).map(layer))) == 2
    pairs = cnnrs.data.Dataset.from_tensor_slices((np.zeros((4, 8, 8, 3), np.uint8), np.eye(4))).batch(2)
    with pytest.raises(TypeError, match="labels are mixed, too: .*'labels': y.*with one-hot labels, or fit"):
        list(pairs.map(lambda x, y: layer((x, y))))
    mixed = next(iter(pairs.map(lambda x, y: layer({"images": x, "labels": y}))))
    np.testing.assert_allclose(host(mixed["labels"]).sum(1), 1, atol=1e-6)
    # In inference nothing is mixed.
    assert len(list(images.map(lambda x: layer(x, training=False)))) == 4


def test_a_dict_of_boxes_without_labels_is_named_without_its_numbers():
    layer = layers.RandomFlip(bounding_box_format="xyxy")
    boxes = np.zeros((2, 500, 4), np.float32)
    with pytest.raises(ValueError, match="received the keys .'boxes'., without 'labels'; a class for") as one:
        layer({"images": np.zeros((2, 8, 8, 3)), "bounding_boxes": {"boxes": boxes}})
    with pytest.raises(ValueError, match=r"received Tensor of shape \(2, 500, 4\)") as other:
        layer({"images": np.zeros((2, 8, 8, 3)), "bounding_boxes": boxes})
    assert max(len(str(error.value)) for error in (one, other)) < 250


@pytest.mark.parametrize("kind", ["RandomCrop", "CenterCrop", "RandomTranslation", "RandomResizedCrop"])
def test_boxes_of_which_little_is_left_are_dropped(kind):
    boxes = np.float32([[[0, 0, 9, 9], [7, 7, 9, 9], [3, 3, 6, 6]]])
    data = {
        "images": np.zeros((1, 10, 10, 3)),
        "bounding_boxes": {"boxes": boxes, "labels": np.float32([[1, 2, 3]])},
    }
    arguments: dict[str, Any] = {
        "RandomCrop": {"height": 5, "width": 5, "seed": 1},
        "CenterCrop": {"height": 4, "width": 4},
        "RandomTranslation": {"height_factor": (0.4, 0.4), "width_factor": (0.4, 0.4)},
        "RandomResizedCrop": {"height": 20, "width": 20, "scale": (0.25, 0.25), "ratio": (1, 1), "seed": 2},
    }[kind]
    labels = []
    for least in (0.0, 0.5, 1.0):
        layer = getattr(layers, kind)(**arguments, bounding_box_format="xyxy", min_visibility=least)
        assert type(layer).from_config(layer.get_config()).min_visibility == least
        cnnrs.utils.set_random_seed(1)
        found = layer(data)["bounding_boxes"]
        left = host(found["boxes"])[0]
        assert left.min() >= 0 and left.max() <= 20
        labels.append(host(found["labels"])[0])
    assert (labels[1] == -1).sum() >= (labels[0] == -1).sum() and (labels[2] == -1).sum() >= 1
    assert labels[1][0] == -1
    with pytest.raises(ValueError, match="min_visibility"):
        getattr(layers, kind)(**arguments, min_visibility=1.5)


# ---- on a GPU

_ON_BOTH = """
import numpy as np, cnnrs, sys
sys.path[:0] = {paths!r}
from test_augmentation import make
x = (np.random.default_rng(0).random((4, 9, 8, 3))).astype(np.float32)
for name in ("RandomResizedCrop", "TrivialAugment", "Lighting", "GridMask", "Mosaic"):
    results = []
    for device in ("cpu", "gpu:0"):
        with cnnrs.device(device):
            layer = make(name)
            results.append([layer(x).numpy() for _ in range(4)])
    print(name, max(float(np.abs(a - b).max()) for a, b in zip(*results)) < 1e-4)
"""


@needs_software
def test_a_gpu_gives_what_the_processor_gives():
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", _ON_BOTH.format(paths=[here, *sys.path])],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **SOFTWARE},
    )
    assert done.returncode == 0, done.stderr
    names = ("RandomResizedCrop", "TrivialAugment", "Lighting", "GridMask", "Mosaic")
    assert done.stdout.split("\n")[:-1] == [f"{name} True" for name in names]
