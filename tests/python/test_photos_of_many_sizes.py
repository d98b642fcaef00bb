"""Functions mapped over photos of many sizes: recorded once, with Python's bits, in any number of threads."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnrs import layers, ops, utils
from cnnrs.data import AUTOTUNE, Dataset, decode_image
from cnnrs.data.mapping import ElementFunction
from cnnrs.data.slots import joined, slots

# More sizes than a function is recorded for one by one.
COUNT = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of JPEGs, all of different sizes, with a PNG among them."""
    made, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label in ("a", "b"):
        (made / label).mkdir()
    for index in range(COUNT):
        small = random.random((4, 5, 3))
        pixels = np.kron(small, np.ones((9 + index, 8 + index // 2, 1))) * 255
        name = f"{index:02}.png" if index == 7 else f"{index:02}.jpg"
        utils.save_img(made / "ab"[index % 2] / name, pixels, scale=False)
    return made


def crop(**options: Any) -> Any:
    return layers.Pipeline(
        [
            layers.RandomResizedCrop(24, 20, seed=1, **options),
            layers.RandomFlip("horizontal", seed=2),
            layers.RandomBrightness(0.2, seed=3),
            layers.Rescaling(1 / 255),
        ]
    )


def mapped(folder: Path, augment: Any, workers: Any = AUTOTUNE, training: bool = True) -> Any:
    return Dataset.from_folder(folder).map(lambda x, y: (augment(x, training=training), y), workers)


def values(data: Any) -> list[np.ndarray]:
    return [np.array(x) for x, _ in data.as_numpy_iterator()]


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"interpolation": "nearest"}, {"ratio": (5, 6), "antialias": False}])
def test_the_bits_are_those_of_the_function_in_python(folder: Path, training: bool, options: Any) -> None:
    augment = crop(**options)

    def in_python(x: Any, y: Any) -> Any:
        assert np.asarray(x).dtype == np.uint8  # reads values: it cannot be recorded
        return augment(x, training=training), y

    expected = values(Dataset.from_folder(folder).map(in_python))
    assert same(values(mapped(folder, augment, training=training)), expected)


@pytest.mark.parametrize("workers", [None, 2, 7, AUTOTUNE])
def test_the_number_of_workers_changes_no_bit(folder: Path, workers: Any) -> None:
    first = mapped(folder, crop())
    other = mapped(folder, crop(), workers)
    for _ in range(2):
        assert same(values(other), values(first))


SIZED = [
    *({"kind": "resize", **o} for o in (
        {}, {"interpolation": "nearest"}, {"interpolation": "bicubic", "antialias": True},
        {"interpolation": "lanczos3"}, {"interpolation": "area"}, {"antialias": True},
        {"crop_to_aspect_ratio": True}, {"crop_to_aspect_ratio": True, "interpolation": "bicubic"},
        {"pad_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 9.0, "antialias": True},
    )),
    {"kind": "center"}, {"kind": "random"},
]  # fmt: skip


@pytest.mark.parametrize("options", SIZED, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("alone", [True, False])
def test_layers_of_one_result_are_recorded_once_with_the_same_values(
    folder: Path, caplog: pytest.LogCaptureFixture, options: Any, alone: bool
) -> None:
    """`CenterCrop` meets images that are smaller than its result, too."""
    kinds = {"resize": layers.Resizing, "center": layers.CenterCrop, "random": layers.RandomCrop}
    rest = {name: value for name, value in options.items() if name != "kind"}
    first = kinds[options["kind"]](44, 50, **rest)
    augment = first if alone else layers.Pipeline([first, layers.RandomFlip("horizontal", seed=2)])
    calls: list[Any] = []

    def counted(x: Any, y: Any) -> Any:
        calls.append(x.shape)
        return augment(x, training=options["kind"] == "resize"), y

    def in_python(x: Any, y: Any) -> Any:
        assert np.asarray(x).dtype == np.uint8  # reads values: it cannot be recorded
        return augment(x, training=options["kind"] == "resize"), y

    with caplog.at_level(logging.INFO, "cnnrs.data"):
        found = values(Dataset.from_folder(folder).map(counted, AUTOTUNE))
    assert len(calls) == 1 and not caplog.records
    assert found[0].dtype == ("uint8" if alone and options["kind"] == "resize" else "float32")
    assert same(found, values(Dataset.from_folder(folder).map(in_python)))
    batches = Dataset.from_folder(folder).map(counted, 2).batch(7)
    assert same(list(np.concatenate([x for x, _ in batches.as_numpy_iterator()])), found)


def test_a_layer_that_is_changed_is_recorded_for_each_size(folder: Path) -> None:
    class Darker(layers.Resizing):
        def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
            return ops.cast(super().transform_images(images, transformation, training), "float32") * 0.5

    plain, darker = layers.Resizing(8, 8), Darker(8, 8)
    data = Dataset.from_folder(folder).take(5)
    expected = [0.5 * x.astype("float32") for x in values(data.map(lambda x, y: (plain(x), y)))]
    for found, image in zip(values(data.map(lambda x, y: (darker(x), y))), expected, strict=True):
        np.testing.assert_allclose(found, image, atol=0.51)


def test_sizes_without_end_are_not_all_kept() -> None:
    from cnnrs.base.image_steps import SizedStep
    from cnnrs.data import chains

    layer = layers.Resizing(4, 5)
    chain = chains.SizedChain([SizedStep(layer._resizing_steps)], (1, 1, 3))
    for rows in range(1, 2 * chains._MAX_SIZES):
        image = np.full((rows, 7, 3), rows, np.uint8)
        found = chain.run(image, np.zeros(0, np.float32))
        np.testing.assert_allclose(found, np.full((4, 5, 3), float(rows)), atol=1e-4)
    assert len(chain._chains) == chains._MAX_SIZES and chain.result_shape == (4, 5, 3)


def test_one_recording_serves_all_sizes(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    calls, augment = [], crop()

    def counted(x: Any, y: Any) -> Any:
        calls.append(x.shape)
        return augment(x), y

    with caplog.at_level(logging.INFO, "cnnrs.data"):
        assert len(values(Dataset.from_folder(folder).map(counted, AUTOTUNE))) == COUNT
    assert len(calls) == 1 and not caplog.records


def test_a_function_that_reads_the_size_is_recorded_for_each(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    augment = crop()

    def turned(x: Any, y: Any) -> Any:
        return augment(x if x.shape[0] < x.shape[1] else ops.transpose(x, (1, 0, 2))), y

    with caplog.at_level(logging.INFO, "cnnrs.data"):
        found = values(Dataset.from_folder(folder).take(6).map(turned, AUTOTUNE))
    assert len(found) == 6 and "recorded for each size of images" in caplog.text
    assert same(found, values(Dataset.from_folder(folder).take(6).map(turned)))


def test_sizes_are_known_where_the_data_set_says_them(folder: Path) -> None:
    calls, augment = [], crop()

    def counted(x: Any) -> Any:
        calls.append(x.shape)
        return augment(x)

    list(Dataset.from_folder(folder, (30, 40), labels=None).map(counted))
    assert set(calls) == {(30, 40, 3)}


def test_a_pass_goes_on_where_it_was_left(folder: Path) -> None:
    data = mapped(folder, crop()).batch(3)
    elements = iter(data)
    for _ in range(2):
        next(elements)
    state = elements.state()
    rest = [x.numpy() for x, _ in elements]
    again = [x.numpy() for x, _ in mapped(folder, crop()).batch(3).restore(state)]
    assert same(again, rest)


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0", None])
def test_a_damaged_file_is_named_as_without_a_function(folder: Path, tmp_path: Path, content: Any) -> None:
    (tmp_path / "a").mkdir()
    whole = (folder / "a" / "00.jpg").read_bytes()
    (tmp_path / "a" / "bad.jpg").write_bytes(whole[:-40] if content is None else content)
    with pytest.warns(UserWarning, match="one class"):
        plain = Dataset.from_folder(tmp_path)
    with pytest.raises(ValueError, match=r"bad\.jpg") as expected:
        list(plain)
    for workers in (None, AUTOTUNE):
        with pytest.raises(ValueError, match=r"bad\.jpg") as found:
            list(plain.map(lambda x, y: (crop()(x), y), workers))
        assert str(found.value).splitlines()[0] == str(expected.value).splitlines()[0]


def test_a_file_that_went_away_is_missing(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes((folder / "a" / "00.jpg").read_bytes())
    data = Dataset.from_folder(tmp_path, labels=None).map(crop(), AUTOTUNE)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.jpg"):
        list(data)


def test_files_that_are_left_out_stay_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes((folder / "a" / "00.jpg").read_bytes())
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff")
    data = Dataset.from_folder(tmp_path, labels=None, on_error="skip").map(crop(), AUTOTUNE)
    with pytest.warns(UserWarning, match=r"b\.jpg"):
        assert len(list(data)) == 1


@pytest.mark.parametrize("size", [1, 3, 8, 50])
def test_batches_are_their_elements(folder: Path, size: int) -> None:
    elements = values(mapped(folder, crop()))
    data = mapped(folder, crop()).batch(size)
    batches = [np.array(x) for x, _ in data.as_numpy_iterator()]
    assert same(list(np.concatenate(batches)), elements)
    # Batches that are kept are not written again.
    kept = [x for x, _ in mapped(folder, crop()).batch(size).prefetch(1).as_numpy_iterator()]
    assert same(kept, batches)
    dropped = mapped(folder, crop()).batch(size, drop_remainder=True)
    assert same(values(dropped), [batch for batch in batches if len(batch) == size])


def test_what_is_no_chain_is_put_together_too(folder: Path) -> None:
    augment = crop()

    def both(x: Any, y: Any) -> Any:
        z = augment(x)
        return {"once": z, "twice": z, "mean": ops.mean(z), "label": y}

    single = list(Dataset.from_folder(folder).map(both, AUTOTUNE).as_numpy_iterator())
    batch = next(iter(Dataset.from_folder(folder).map(both, AUTOTUNE).batch(COUNT).as_numpy_iterator()))
    for name, found in batch.items():
        np.testing.assert_array_equal(found, np.stack([element[name] for element in single]))


def test_rows_of_a_users_array_are_copied() -> None:
    array = np.arange(12.0).reshape(4, 3)
    assert joined(list(array)) is None
    rows = [slot.row("x", (3,), "float32") for slot, _ in zip(slots(4), range(4), strict=False) if slot]
    whole = joined(rows)
    assert whole is not None and whole.shape == (4, 3) and np.shares_memory(whole, rows[0])
    assert (
        joined(rows[1:]) is None
        and joined([rows[0], rows[2]]) is None
        and joined([rows[0], array[1]]) is None
    )


def test_the_recording_is_of_the_specs(folder: Path) -> None:
    files = Dataset.from_folder(folder, labels=None)
    function = ElementFunction(crop(), "test", known=lambda: files.element_spec)
    key = np.zeros(4, np.int32)
    for shape in ((30, 40, 3), (50, 20, 3)):
        assert function((np.zeros(shape, np.uint8),), key).shape == (24, 20, 3)
    # Specs that are wrong do no harm.
    assert function((np.zeros((30, 40, 1), np.uint8),), key).shape == (24, 20, 1)


@pytest.mark.parametrize("turned", [True, False])
def test_the_size_is_that_of_the_image_as_it_is_turned(turned: bool) -> None:
    photos = sorted((Path(__file__).parents[1] / "fixtures/images").glob("orientation_*.jpg"))
    augment = layers.RandomResizedCrop(6, 9, seed=1)
    data = Dataset.from_files(photos, exif_orientation=turned)
    found = [
        np.array(x) for x in data.map(lambda x: augment(x, training=False), AUTOTUNE).as_numpy_iterator()
    ]
    images = [decode_image(path, exif_orientation=turned) for path in photos]
    assert len(photos) == 8 and len({image.shape for image in images}) == (2 if turned else 1)
    for pixels, image in zip(found, images, strict=True):
        np.testing.assert_allclose(pixels, np.array(augment(image, training=False)), atol=1e-3)
