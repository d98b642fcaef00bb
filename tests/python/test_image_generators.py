"""`preprocessing.image`: affine maps beside SciPy's, batches of arrays, directories and tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import cnnrs
from cnnrs import preprocessing, utils
from cnnrs.preprocessing import image
from cnnrs.preprocessing.affine import _sampled

pytest.importorskip("PIL")
IMAGES = np.random.default_rng(1).integers(0, 256, (10, 5, 7, 3)).astype(np.float32)
LABELS = np.arange(10) % 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for label, name in enumerate(("cats", "dogs")):
        (root / name).mkdir()
        for i in range(4):
            utils.save_img(root / name / f"{i}.png", np.full((4, 6, 3), 10 * i + 100 * label), scale=False)
        (root / name / "notes.txt").write_text("no image")
    return root


@settings(deadline=None, max_examples=200)
@given(
    height=st.integers(1, 6), width=st.integers(1, 6), order=st.sampled_from([0, 1]),
    mode=st.sampled_from(["constant", "nearest", "reflect", "wrap"]),
    linear=st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    offset=st.lists(st.floats(-9, 9), min_size=2, max_size=2), seed=st.integers(0, 9),
)  # fmt: skip
def test_pixels_are_those_of_scipy(height, width, order, mode, linear, offset, seed):
    plane = np.random.default_rng(seed).normal(size=(height, width))
    matrix = np.reshape(linear, (2, 2))
    points = np.tensordot(matrix, np.indices((height, width)), 1) + np.reshape(offset, (2, 1, 1))
    found = _sampled(plane[None], matrix, np.array(offset), mode, 0.5, order)[0]
    expected = ndimage.affine_transform(plane, matrix, offset, order=order, mode=mode, cval=0.5)
    # Where a point lies on a border of what its pixel depends on, roundings choose the side.
    edges = np.round(points * 2) / 2
    clear = (np.abs(points - edges) > 1e-6).all(axis=0) | (order == 1) & (mode != "constant")
    for point, extent in zip(points, (height, width), strict=True):
        clear &= (np.abs(point) > 1e-9) & (np.abs(point - (extent - 1)) > 1e-9)
        if mode == "wrap" and extent > 1:
            clear &= np.abs(np.round(point / (extent - 1)) - point / (extent - 1)) > 1e-9
    if min(height, width) > 1:
        np.testing.assert_allclose(found[clear], expected[clear], atol=1e-9)
    assert np.isfinite(found).all()


def test_ranges_move_what_they_are_called_after():
    spot = np.zeros((9, 9, 1), np.float32)
    spot[4, 4] = 1
    for argument, axis in (("height_shift_range", 0), ("width_shift_range", 1)):
        moved = image.ImageDataGenerator(**{argument: [2]}, fill_mode="constant").random_transform(spot, 3)
        place = np.argwhere(moved[..., 0] > 0.5)[0] - 4
        assert abs(place[axis]) == 2 and place[1 - axis] == 0
    for function in (image.random_shift, image.random_rotation):
        np.random.seed(1)  # noqa: NPY002
        rows = function(spot, *([0.0, 0.3] if function is image.random_shift else [20]), 0, 1, 2)
        assert rows.shape == spot.shape and rows.dtype == spot.dtype
    # Turned around its middle, whatever its sides.
    wide = np.zeros((5, 9, 1), np.float32)
    wide[2, 4] = 1
    for theta in (90, 45, -30):
        assert image.apply_affine_transform(wide, theta, row_axis=0, col_axis=1, channel_axis=2)[2, 4] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda x: image.random_shear(x, 20, 0, 1, 2),
        lambda x: image.random_zoom(x, (0.5, 2), 0, 1, 2),
        lambda x: image.random_channel_shift(x, 30, 2),
        lambda x: image.random_brightness(x, (0.5, 0.6)),
        lambda x: image.random_rotation(x, 40, 0, 1, 2),
    ],
)
def test_a_seed_of_numpy_repeats(change):
    results = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002
        results.append(np.asarray(change(IMAGES[0])))
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any() and results[0].shape == IMAGES[0].shape


def test_batches_by_index_and_without_an_end():
    data = image.ImageDataGenerator(rescale=2.0)
    batches = data.flow(IMAGES, LABELS, batch_size=4, shuffle=False, sample_weight=np.arange(10))
    assert len(batches) == 3 and batches.n == 10
    x, y, w = batches[2]
    np.testing.assert_array_equal(x, IMAGES[8:] * 2)
    assert y.tolist() == [0, 1] and w.tolist() == [8, 9]
    assert [len(next(batches)[0]) for _ in range(4)] == [4, 4, 2, 4]
    with pytest.raises(ValueError, match="expected a batch of 0 to 2, received 3"):
        batches[3]
    batches.reset()
    np.testing.assert_array_equal(next(batches)[0], IMAGES[:4] * 2)
    only = data.flow((IMAGES, [np.arange(10), np.arange(10) * 2]), batch_size=5, shuffle=False)
    assert [part.shape for part in next(only)] == [(5, 5, 7, 3), (5,), (5,)]


def test_subsets_do_not_overlap():
    data = image.ImageDataGenerator(validation_split=0.4)
    weights = np.arange(10)
    parts = {}
    for subset in ("training", "validation"):
        x, y, w = next(data.flow(IMAGES, LABELS, 10, False, weights, subset=subset))
        parts[subset] = w.tolist()
        np.testing.assert_array_equal(x, IMAGES[w])
        np.testing.assert_array_equal(y, LABELS[w])
    assert parts == {"training": [4, 5, 6, 7, 8, 9], "validation": [0, 1, 2, 3]}
    with pytest.raises(ValueError, match="ignore_class_split"):
        data.flow(IMAGES, np.arange(10), subset="training")
    assert len(next(data.flow(IMAGES, np.arange(10), subset="training", ignore_class_split=True))[0]) == 6


def test_a_model_trains_on_a_generator(folder):
    data = image.ImageDataGenerator(rescale=1 / 255, horizontal_flip=True, width_shift_range=0.1)
    batches = data.flow_from_directory(folder, (8, 8), batch_size=4, class_mode="binary", seed=2)
    assert batches.class_indices == {"cats": 0, "dogs": 1} and batches.samples == 8
    model = cnnrs.Sequential(
        [cnnrs.Input((8, 8, 3)), cnnrs.layers.Flatten(), cnnrs.layers.Dense(1, activation="sigmoid")]
    )
    model.compile(cnnrs.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(batches, epochs=8, validation_data=batches, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] and len(history["val_loss"]) == 8
    assert model.predict(batches, verbose=0).shape == (8, 1)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("categorical", [[1, 0]] * 4 + [[0, 1]] * 4),
        ("sparse", [0] * 4 + [1] * 4),
        ("binary", [0] * 4 + [1] * 4),
    ],
)
def test_labels_of_directories(folder, mode, expected):
    data = image.ImageDataGenerator()
    x, y = next(data.flow_from_directory(folder, (4, 6), class_mode=mode, shuffle=False))
    assert y.tolist() == expected and x[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 100, 110, 120, 130]
    assert next(data.flow_from_directory(folder, (4, 6), class_mode=None, shuffle=False)).shape == (
        8,
        4,
        6,
        3,
    )
    same, twin = next(data.flow_from_directory(folder, (4, 6), class_mode="input", shuffle=False))
    np.testing.assert_array_equal(same, twin)
    chosen = data.flow_from_directory(folder, (4, 6), classes=["dogs"], color_mode="grayscale")
    assert next(chosen)[0].shape == (4, 4, 6, 1)


def test_transformed_images_are_saved(folder, tmp_path):
    data = image.ImageDataGenerator()
    next(data.flow_from_directory(folder, (4, 6), save_to_dir=tmp_path, save_prefix="new", save_format="jpg"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 8 and all(n.startswith("new_") and n.endswith(".jpg") for n in names)


def test_tables(folder):
    pandas = pytest.importorskip("pandas")
    names = [f"{kind}/{i}.png" for kind in ("cats", "dogs") for i in range(4)]
    table = pandas.DataFrame(
        {
            "filename": [*names, "cats/none.png"],
            "class": ["cat"] * 4 + ["dog"] * 4 + ["cat"],
            "both": [["cat"], ["cat", "dog"]] * 4 + [["dog"]],
            "size": np.arange(9) / 2,
        }
    )
    data = image.ImageDataGenerator(validation_split=0.25)
    given = {"directory": str(folder), "target_size": (4, 6), "shuffle": False}
    with pytest.warns(UserWarning, match="1 files of column 'filename' are not there"):
        batches = data.flow_from_dataframe(table, **given)
    x, y = next(batches)
    assert x[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 100, 110, 120, 130] and y[:5, 0].tolist() == [
        1,
        1,
        1,
        1,
        0,
    ]
    table = table[:8]
    _, y = next(data.flow_from_dataframe(table, y_col="both", **given))
    assert y.tolist() == [[1, 0], [1, 1]] * 4
    _, y, w = next(
        data.flow_from_dataframe(table, y_col="size", class_mode="raw", weight_col="size", **given)
    )
    assert y.tolist() == w.tolist() == (np.arange(8) / 2).tolist()
    _, (one, two) = next(
        data.flow_from_dataframe(table, y_col=["size", "class"], class_mode="multi_output", **given)
    )
    assert one.tolist() == (np.arange(8) / 2).tolist() and two.tolist() == table["class"].tolist()
    _, y = next(data.flow_from_dataframe(table, classes=["dog"], class_mode="sparse", **given))
    assert y.tolist() == [0] * 4
    assert data.flow_from_dataframe(table, subset="validation", **given).filenames == names[:2]
    assert next(data.flow_from_dataframe(table, class_mode=None, **given)).shape == (8, 4, 6, 3)
    for wrong in (
        {"x_col": "path"},
        {"class_mode": "other"},
        {"y_col": "size"},
        {"weight_col": "class"},
        {"class_mode": "raw", "classes": ["cat"]},
        {"class_mode": "binary", "classes": ["cat"]},
    ):
        with pytest.raises((TypeError, ValueError), match="expected"):
            data.flow_from_dataframe(table, **wrong, **given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fill_mode": "far"}, {"interpolation_order": 3}, {"zoom_range": [1, 2, 3]}, {"brightness_range": 2},
        {"validation_split": 1.5}, {"data_format": "no"},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_generator_does_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        image.ImageDataGenerator(**wrong)


def test_what_no_iterator_takes_is_refused(folder):
    data = image.ImageDataGenerator()
    for wrong in (
        {"y": [1]}, {"sample_weight": [1]}, {"subset": "training"}, {"subset": "all"}, {"batch_size": 0}
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            data.flow(IMAGES, **wrong)
    with pytest.raises(ValueError, match="expected 4 axes"):
        data.flow(IMAGES[0])
    for wrong in (
        {"class_mode": "raw"},
        {"color_mode": "no"},
        {"target_size": (0, 1)},
        {"subset": "training"},
    ):
        with pytest.raises(ValueError, match="expected"):
            data.flow_from_directory(folder, **wrong)
    with pytest.raises(ValueError, match="expected a directory"):
        data.flow_from_directory(folder / "none")
    with pytest.raises(TypeError, match="did you mean 'rotation_range'"):
        image.ImageDataGenerator(rotation_rang=3)


def test_a_generator_that_was_not_fitted_warns():
    data = image.ImageDataGenerator(featurewise_center=True)
    with pytest.warns(UserWarning, match="call fit"):
        next(data.flow(IMAGES, batch_size=1))
    with pytest.warns(UserWarning, match="take the mean away"):
        image.ImageDataGenerator(zca_whitening=True)
    data.fit(IMAGES, augment=True, rounds=2, seed=3)
    assert abs(np.mean(next(data.flow(IMAGES, batch_size=10)))) < 1e-3


def test_smart_resize_keeps_proportions():
    x = np.zeros((6, 12, 3), np.float32)
    x[:, 3:9] = 1
    found = preprocessing.image.smart_resize(x, (3, 3), data_format="channels_last")
    assert isinstance(found, np.ndarray) and found.shape == (3, 3, 3) and (found == 1).all()
    with pytest.raises(ValueError, match="size: expected"):
        preprocessing.image.smart_resize(x, 3)
