"""Images as files and arrays, images of a directory, windows of sequences, and what is done to data sets."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, ops, utils

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of five images of different sizes, whose pixels are all one number."""
    root = tmp_path_factory.mktemp("images")
    for label, name in enumerate(("cats", "dogs")):
        (root / name).mkdir()
        for i in range(5):
            image = np.full((6 + i, 9 - i, 3), 20 * i + 100 * label, np.uint8)
            utils.save_img(root / name / f"{i}.png", image, scale=False)
    return root


def numbers(data):
    """The pixel of each image of a data set of batches, without the rounding of resizing."""
    return np.concatenate([batch[0].numpy()[:, 0, 0, 0] for batch in data]).round(3)


@pytest.mark.parametrize("content", [b"", b"nothing of this kind"])
def test_files_that_are_no_images_are_named(tmp_path, content):
    path = tmp_path / "broken ü.png"
    path.write_bytes(content)
    text = "an empty file" if not content else "not an image"
    with pytest.raises(OSError, match=f"load_img: .*broken ü.png'?: {text}"):
        utils.load_img(path)


def test_images_that_cannot_be_written_say_so(tmp_path):
    x = np.ones((2, 3, 3))
    with pytest.raises(ValueError, match="file_format: .*'pngg'; did you mean 'png'"):
        utils.save_img(tmp_path / "a.pngg", x)
    with pytest.raises(ValueError, match=r"array_to_img: x: expected pixels, received shape \(0, 3, 3\)"):
        utils.array_to_img(x[:0])
    utils.save_img(tmp_path / "a.png", x)
    with pytest.raises(ValueError, match="target_size: .*pair of integers >= 1, received 'x'"):
        utils.load_img(tmp_path / "a.png", target_size="x")
    assert not (tmp_path / "a.pngg").exists()


def test_arrays_and_images():
    x = np.arange(24.0, dtype=np.float32).reshape(2, 4, 3)
    image = utils.array_to_img(x, scale=False)
    assert image.size == (4, 2) and image.mode == "RGB"
    np.testing.assert_array_equal(utils.img_to_array(image), x)
    np.testing.assert_array_equal(utils.img_to_array(image, "channels_first"), x.transpose(2, 0, 1))
    scaled = utils.img_to_array(utils.array_to_img(x * 3 + 5))
    assert scaled.min() == 0 and scaled.max() == 255
    assert utils.array_to_img(np.full((1, 1, 1), 300.0), scale=False).mode == "I"
    with pytest.raises(ValueError, match="expected 1, 3 or 4 channels"):
        utils.array_to_img(np.ones((2, 2, 2)))


def test_files_of_images(tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (8, 6, 4), np.uint8)
    with pytest.warns(UserWarning, match="no alpha"):
        utils.save_img(tmp_path / "a.jpg", x)
    assert utils.load_img(tmp_path / "a.jpg").mode == "RGB"
    utils.save_img(str(tmp_path / "a.png"), x, scale=False)
    loaded = utils.load_img(tmp_path / "a.png", color_mode="rgba")
    np.testing.assert_array_equal(utils.img_to_array(loaded), x)
    assert utils.load_img(tmp_path / "a.png", "grayscale", (3, 5), "bilinear").size == (5, 3)
    kept = utils.load_img(tmp_path / "a.png", "rgba", (3, 3), "nearest", keep_aspect_ratio=True)
    # The middle 6 of 8 rows, every second pixel.
    np.testing.assert_array_equal(utils.img_to_array(kept), x[1:7][1::2, 1::2])
    for wrong in ({"color_mode": "no"}, {"target_size": (3, 3), "interpolation": "no"}):
        with pytest.raises(ValueError, match="expected"):
            utils.load_img(io.BytesIO((tmp_path / "a.png").read_bytes()), **wrong)
    with pytest.raises(TypeError, match="expected a path"):
        utils.load_img(3)


def test_without_pillow_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"cnnrs\[image\]"):
        utils.load_img("x.png")


def test_images_of_a_directory(folder, capsys):
    data = utils.image_dataset_from_directory(folder, batch_size=4, image_size=(5, 7), shuffle=False)
    assert capsys.readouterr().out == "Found 10 files belonging to 2 classes.\n"
    assert data.class_names == ["cats", "dogs"] and len(data) == 3
    assert [Path(path).parent.name for path in data.file_paths] == ["cats"] * 5 + ["dogs"] * 5
    batches = list(data)
    assert [x.shape for x, _ in batches] == [(4, 5, 7, 3), (4, 5, 7, 3), (2, 5, 7, 3)]
    np.testing.assert_allclose(numbers(data), [0, 20, 40, 60, 80, 100, 120, 140, 160, 180], rtol=1e-6)
    assert batches[0][0].dtype == "float32" and batches[0][1].dtype == "int32"
    np.testing.assert_array_equal(np.concatenate([y.numpy() for _, y in batches]), [0] * 5 + [1] * 5)


def test_images_come_in_another_order_each_time(folder):
    options = {"image_size": (4, 4), "seed": 3, "verbose": False}
    data = utils.image_dataset_from_directory(folder, **options)
    first, second = numbers(data), numbers(data)
    assert sorted(first) == sorted(second) and list(first) != list(second)
    np.testing.assert_array_equal(numbers(utils.image_dataset_from_directory(folder, **options)), first)
    still = utils.image_dataset_from_directory(folder, format="grain", **options)
    np.testing.assert_array_equal(numbers(still), numbers(still))


@pytest.mark.parametrize("subsets", ["both", "each"])
def test_splits_of_a_directory_do_not_overlap(folder, subsets):
    options = {"image_size": (4, 4), "seed": 3, "validation_split": 0.3, "verbose": False}
    if subsets == "both":
        parts = utils.image_dataset_from_directory(folder, subset="both", **options)
    else:
        kinds = ("training", "validation")
        parts = [utils.image_dataset_from_directory(folder, subset=kind, **options) for kind in kinds]
    left, right = map(numbers, parts)
    assert len(left) == 7 and len(right) == 3
    assert sorted([*left, *right]) == [0, 20, 40, 60, 80, 100, 120, 140, 160, 180]


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "other"},
        {"label_mode": "other"},
        {"color_mode": "other"},
        {"labels": [0, 1]},
        {"labels": [0] * 10, "class_names": ["cats"]},
        {"class_names": ["mice"]},
        {"label_mode": "binary", "class_names": ["cats"]},
        {"validation_split": 2.0, "subset": "both"},
        {"validation_split": 0.2},
        {"subset": "both"},
        {"validation_split": 0.2, "subset": "training"},
        {"interpolation": "fractal"},
        {"image_size": (0, 3)},
        {"format": "other"},
        {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
    ],
    ids=str,
)
def test_what_no_directory_has_is_refused(folder, options):
    with pytest.raises(ValueError, match="expected"):
        utils.image_dataset_from_directory(folder, verbose=False, **options)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "lanczos3", "area"])
@pytest.mark.parametrize("ratio", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}])
def test_images_of_a_directory_are_resized_as_by_ops(tmp_path, interpolation, ratio):
    x = np.random.default_rng(1).integers(0, 256, (11, 17, 3), np.uint8)
    utils.save_img(tmp_path / "a.png", x, scale=False)
    data = utils.image_dataset_from_directory(
        tmp_path,
        None,
        image_size=(6, 5),
        interpolation=interpolation,
        batch_size=None,
        format="grain",
        verbose=False,
        **ratio,
    )
    expected = ops.image.resize(x.astype(np.float32), (6, 5), interpolation, **ratio)
    np.testing.assert_allclose(next(iter(data)).numpy(), expected.numpy(), atol=1e-3)


def test_a_model_trains_on_a_mapped_data_set(folder):
    data = utils.image_dataset_from_directory(folder, batch_size=5, image_size=(8, 8), verbose=False)
    flip = layers.RandomFlip("horizontal")
    data = (
        data.map(lambda x, y: (flip(x / 255.0, training=True), y), num_parallel_calls=-1).cache().prefetch(-1)
    )
    model = cnnrs.Sequential([cnnrs.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)])
    model.compile("adam", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(data, epochs=3, validation_data=data, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert model.predict(data.map(lambda x, y: x), verbose=0).shape == (10, 2)


def test_what_is_done_to_data_sets():
    data = utils.Dataset.of_function(lambda i: np.int32(i), 10)
    plain = [int(x) for x in data]
    assert plain == list(range(10)) and len(data) == int(data.cardinality()) == 10
    assert [int(x) for x in data.skip(3).take(4)] == [3, 4, 5, 6] and len(data.skip(3).take(4)) == 4
    assert [x.tolist() for x in data.batch(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(data.batch(4, drop_remainder=True)) == len(list(data.batch(4, drop_remainder=True))) == 2
    assert [int(x) for x in data.map(lambda x: x + 1, num_parallel_calls=3)] == list(range(1, 11))
    assert [int(x) for x in data.prefetch(2)] == plain
    for shuffled in (data.shuffle(10, seed=1), data.map(lambda x: x).shuffle(4, seed=1)):
        first, second = ([int(x) for x in shuffled] for _ in range(2))
        assert sorted(first) == sorted(second) == plain and first != second
    calls = []
    cached = utils.Dataset.of_function(lambda i: calls.append(i) or np.int32(i), 10).cache()
    assert [int(x) for x in cached] == [int(x) for x in cached] and len(calls) == 10


def test_strings_reach_lookups():
    texts, _ = utils.split_dataset(np.array(["a", "b", "z", "a"]), left_size=3)
    assert list(texts) == ["a", "b", "z"]
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    for batch in (texts.batch(3).map(lookup), texts.map(lookup).batch(3)):
        assert next(iter(batch)).tolist() == [1, 2, 0]


def test_a_function_cannot_end_a_pass():
    def stops(x):
        raise StopIteration

    for workers in (1, 2):
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(utils.split_dataset(np.arange(4), 2)[0].map(stops, workers))


def test_labels_of_images_are_classes(folder):
    def labels(given, mode):
        data = utils.image_dataset_from_directory(
            folder, given, mode, image_size=(2, 2), shuffle=False, verbose=False
        )
        return next(iter(data))[1].tolist()

    odd = [0] * 4 + [7] * 6
    assert labels(np.array(odd), "int") == odd
    for wrong, mode in (
        (odd, "binary"),
        (odd, "categorical"),
        ([-1, 0] * 5, "categorical"),
        ([0.5] * 10, "int"),
    ):
        with pytest.raises(ValueError, match="labels: expected"):
            labels(wrong, mode)


def test_what_is_no_data_is_named():
    for wrong in ({"a": np.arange(4)}, [1, 2, 3]):
        with pytest.raises(TypeError, match="split_dataset: dataset: expected arrays"):
            utils.split_dataset(wrong, 0.5)
    for length in (-1, 2.5):
        with pytest.raises(ValueError, match="maxlen: expected an integer"):
            utils.pad_sequences([[1, 2]], maxlen=length)
    for wrong in ({"sequence_length": 0}, {"sequence_length": 2, "sampling_rate": 1.5}):
        with pytest.raises(ValueError, match="expected an integer"):
            utils.timeseries_dataset_from_array(np.arange(9), None, **wrong)


def test_an_error_in_a_thread_comes_out():
    def fail(x):
        raise ValueError("of the third" if int(x) == 3 else "of another")

    data = utils.Dataset.of_function(lambda i: np.int32(i), 5).skip(3)
    for threaded in (data.map(fail, num_parallel_calls=2), data.map(fail).prefetch(1)):
        with pytest.raises(ValueError, match="of the third"):
            list(threaded)


@pytest.mark.parametrize("form", ["array", "arrays", "data set"])
def test_splits_of_data_sets(form):
    x = np.arange(10)
    given = {"array": x, "arrays": (x, x * 2), "data set": utils.Dataset.of_function(lambda i: x[i], 10)}[
        form
    ]
    left, right = utils.split_dataset(given, left_size=0.6, shuffle=True, seed=1)
    found = [*left, *right]
    assert (len(left), len(right)) == (6, 4)
    if form == "arrays":
        assert all(int(b) == 2 * int(a) for a, b in found)
        found = [a for a, _ in found]
    assert sorted(int(a) for a in found) == list(range(10)) != [int(a) for a in found]
    for wrong in ({}, {"left_size": 11}, {"left_size": 6, "right_size": 5}, {"left_size": 1.5}):
        with pytest.raises(ValueError, match="left_size"):
            utils.split_dataset(x, **wrong)


def test_windows_of_a_sequence():
    x = np.arange(20)
    data = utils.timeseries_dataset_from_array(x, x * 2, 3, sequence_stride=2, sampling_rate=4, batch_size=5)
    windows, targets = (
        np.concatenate(parts) for parts in zip(*[(a.numpy(), b.numpy()) for a, b in data], strict=True)
    )
    np.testing.assert_array_equal(windows[:, 0], np.arange(0, 12, 2))
    np.testing.assert_array_equal(windows - windows[:, :1], [[0, 4, 8]] * 6)
    np.testing.assert_array_equal(targets, windows[:, 0] * 2)
    part = utils.timeseries_dataset_from_array(x, None, 2, start_index=5, end_index=9)
    assert next(iter(part)).tolist() == [[5, 6], [6, 7], [7, 8]]
    for wrong in ({"start_index": 20}, {"end_index": 20}, {"sampling_rate": 0}, {"sequence_stride": 20}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            utils.timeseries_dataset_from_array(x, None, 3, **wrong)
    with pytest.raises(ValueError, match="sequence_length"):
        utils.timeseries_dataset_from_array(x, None, 0)


def test_pad_sequences():
    given = [[1], [2, 3], [4, 5, 6]]
    pad = utils.pad_sequences
    assert pad(given).tolist() == [[0, 0, 1], [0, 2, 3], [4, 5, 6]]
    assert pad(given, 2, padding="post", value=9).tolist() == [[1, 9], [2, 3], [5, 6]]
    assert pad(given, 2, truncating="post").tolist() == [[0, 1], [2, 3], [4, 5]]
    assert pad([[[1.0, 2.0]], []], 2, "float32").shape == (2, 2, 2)
    for wrong in ({"padding": "no"}, {"truncating": "no"}, {"value": "text"}):
        with pytest.raises(ValueError, match="expected"):
            pad(given, **wrong)
    with pytest.raises(ValueError, match="expected entries of shape"):
        pad([[[1, 2]], [[1]]])
    with pytest.raises(ValueError, match="maxlen: expected an integer"):
        pad(given, -1)
