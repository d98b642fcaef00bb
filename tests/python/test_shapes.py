"""Pictures of shapes: the same in each run and at each size, with boxes and masks that fit them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnrs.datasets import shapes


def test_pictures_do_not_depend_on_how_many_there_are() -> None:
    many = shapes.draw_pictures(250, size=16, seed=1)
    few = shapes.draw_pictures(130, size=16, seed=1)
    for a, b in zip(many, few, strict=True):
        np.testing.assert_array_equal(a[:130], b)
    other = shapes.draw_pictures(130, size=16, seed=2)
    assert not np.array_equal(other.images, few.images)
    assert shapes.draw_pictures(0, objects=3).boxes.shape == (0, 3, 4)


def test_classes_come_equally_often_and_colours_do_not_tell_them() -> None:
    pictures = shapes.draw_pictures(1000)
    labels = pictures.labels[:, 0]
    assert (np.sort(labels.reshape(-1, 10), 1) == np.arange(10)).all()
    # The nearest mean colour, background and object apart, finds hardly more than one in ten.
    inside = pictures.masks[..., None] > 0
    means = [
        (pictures.images * part).sum((1, 2)) / np.maximum(part.sum((1, 2)), 1) for part in (inside, ~inside)
    ]
    features = np.concatenate(means, 1)
    centres = np.stack([features[:500][labels[:500] == c].mean(0) for c in range(10)])
    guesses = np.square(features[500:, None] - centres).sum(-1).argmin(1)
    assert (guesses == labels[500:]).mean() < 0.2


@pytest.mark.parametrize("objects", [1, (1, 4), (3, 3)])
def test_boxes_and_masks(objects: Any) -> None:
    pictures = shapes.draw_pictures(60, size=48, objects=objects, seed=5)
    fewest, most = (objects, objects) if isinstance(objects, int) else objects
    counts = (pictures.labels >= 0).sum(1)
    assert counts.min() >= fewest and counts.max() == most and pictures.labels.shape == (60, most)
    for labels, boxes, mask in zip(pictures.labels, pictures.boxes, pictures.masks, strict=True):
        assert ((labels < 0) == (boxes < 0).all(-1)).all()
        seen = np.zeros_like(mask, bool)
        for label, (left, top, right, bottom) in zip(labels, boxes.astype(int), strict=True):
            if label >= 0:
                part = mask[top:bottom, left:right] == label + 1
                # The box touches its object on each side.
                assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()
                seen[top:bottom, left:right] = True
        assert not mask[~seen].any()


def test_scenes_are_the_same_at_other_sizes() -> None:
    small, large = shapes.draw_pictures(40, size=32), shapes.draw_pictures(40, size=128)
    np.testing.assert_array_equal(small.labels, large.labels)
    np.testing.assert_allclose(small.boxes, large.boxes / 4, atol=2)
    averaged = (large.masks > 0).reshape(40, 32, 4, 32, 4).mean((2, 4))
    both, either = np.minimum(averaged, small.masks > 0), np.maximum(averaged, small.masks > 0)
    assert (both.sum((1, 2)) / either.sum((1, 2))).min() > 0.7


def test_the_data_set_is_made_of_them() -> None:
    (x_train, y_train), (x_test, y_test) = shapes.load_data(size=8)
    assert x_train.shape == (10000, 8, 8, 3) and x_test.shape == (2000, 8, 8, 3)
    assert x_train.dtype == y_train.dtype == np.uint8
    np.testing.assert_array_equal(x_test[:70], shapes.draw_pictures(70, size=8, seed=1).images)
    np.testing.assert_array_equal(y_train[:70], shapes.draw_pictures(70, size=8).labels[:, 0])
    assert np.bincount(y_test).tolist() == [200] * 10
    x_train[:] = 0
    assert shapes.load_data(size=8)[0][0].any()


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    folder = shapes.write_folder(tmp_path / "a", size=24, n=120, test_n=10, labels_csv=True)
    pictures = shapes.draw_pictures(120, size=24)
    assert (
        len(list((folder / "train").rglob("*.jpg"))) == 120
        and len(list((folder / "test").rglob("*.jpg"))) == 10
    )
    name = shapes.class_names[pictures.labels[117, 0]]
    found = np.asarray(Image.open(folder / "train" / name / "00117.jpg")).astype(int)
    assert np.abs(found - pictures.images[117]).mean() < 12
    assert (folder / "labels.csv").read_text().count("\n") == 131
    with pytest.raises(FileExistsError, match="expected an empty folder or a new one"):
        shapes.write_folder(folder)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: shapes.load_data(size=4),
            "load_data: size: expected an integer >= 8 and <= 1024, received 4",
        ),
        (lambda: shapes.draw_pictures(-1), "draw_pictures: count: expected an integer >= 0"),
        (
            lambda: shapes.draw_pictures(1, objects=5),
            "objects: expected an integer >= 1 and <= 4, received 5",
        ),
        (lambda: shapes.draw_pictures(1, objects=(3, 2)), "objects: expected the fewest and the most"),
        (lambda: shapes.draw_pictures(1, objects=(1, 2, 3)), "objects: expected one number or two"),
    ],
)
def test_what_is_no_picture(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
