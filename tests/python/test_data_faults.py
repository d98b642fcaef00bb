"""Damaged files, memory that others own, and seeds: what data sets must not let pass unnoticed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, utils
from cnnrs.data import Dataset, write_shards

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
HASH = """
import hashlib, numpy as np
from cnnrs import layers
from cnnrs.data import Dataset
x = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
data = Dataset.from_tensor_slices(x).map(layers.RandomRotation(0.1, seed=2), 2)
print(hashlib.md5(b"".join(e.tobytes() for _ in range(2) for e in data.as_numpy_iterator())).hexdigest())
"""


def rotated(workers: int | None = None, batch: int | None = None) -> Any:
    data = Dataset.from_tensor_slices(PICTURES)
    data = data if batch is None else data.batch(batch)
    return data.map(layers.RandomRotation(0.1, seed=2), workers)


def values(data: Any) -> list[bytes]:
    return [x.tobytes() for x in data.as_numpy_iterator()]


def test_a_layer_with_a_seed_gives_the_same_passes_in_each_data_set() -> None:
    one, other = rotated(), rotated(4)
    passes = [values(one) for _ in range(3)]
    assert passes == [values(other) for _ in range(3)]
    # Another one for each element and each pass.
    assert len({bits for each in passes for bits in each}) == 18


def test_a_layer_with_a_seed_gives_the_same_pass_in_each_process() -> None:
    found = {
        subprocess.run([sys.executable, "-c", HASH], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_a_mapped_batch_is_what_the_layer_makes_of_it() -> None:
    direct = layers.RandomRotation(0.1, seed=2)(PICTURES, training=True).numpy()
    np.testing.assert_array_equal(next(rotated(batch=6).as_numpy_iterator()), direct)


def test_a_layer_with_a_seed_resumes_in_a_later_pass() -> None:
    data = rotated()
    list(data)
    elements = iter(data)
    for _ in range(4):
        next(elements)
    state, rest = elements.state(), [x.numpy().tobytes() for x in elements]
    assert [x.numpy().tobytes() for x in rotated(3).restore(state)] == rest


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Twelve files in two classes, of which three are empty."""
    for i in range(12):
        path = tmp_path / str(i % 2) / f"{i:02d}.png"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        if i not in (0, 3, 4):
            utils.save_img(path, np.full((8, 8, 3), i * 10, np.uint8), scale=False)
    return tmp_path


STEPS = {
    "shuffle": lambda data: data.shuffle(12, seed=1),
    "small shuffle": lambda data: data.shuffle(3, seed=1),
    "split": lambda data: data.split(0.75, seed=1)[0],
    "shard": lambda data: data.shard(2, 1),
    "skip": lambda data: data.skip(2),
    "take": lambda data: data.shuffle(12, seed=1).take(6),
    "repeat": lambda data: data.repeat(2),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.filterwarnings("ignore:.*left out")
def test_resuming_where_files_are_left_out(damaged: Path, step: str) -> None:
    def made() -> Any:
        return STEPS[step](Dataset.from_folder(damaged, 8, on_error="skip")).batch(2)

    def numbers(elements: Any) -> list[Any]:
        return [np.asarray(x)[:, 0, 0, 0].tolist() for x, _ in elements]

    elements = iter(made())
    next(elements)
    state, rest = elements.state(), numbers(elements)
    assert rest and numbers(made().restore(state)) == rest


@pytest.mark.filterwarnings("ignore:.*left out")
def test_files_that_are_left_out_do_not_count(damaged: Path) -> None:
    data = Dataset.from_folder(damaged, 8, on_error="skip")
    assert len(list(data.take(6))) == len(list(data.shuffle(12, seed=3).take(6))) == 6
    assert len(list(data.skip(4))) == 5
    assert [len(list(data.shard(2, i))) for i in (0, 1)] == [5, 4]


def test_a_damaged_shard_is_an_error(tmp_path: Path) -> None:
    [path] = write_shards([{"cls": 1}, {"cls": 2}], tmp_path / "a-{}.tar")
    content = Path(path).read_bytes()
    with tarfile.open(path) as archive:
        second = archive.getmembers()[1].offset
    changed = bytearray(content)
    changed[second + 5] ^= 0xFF
    cases = [content[: second + n] for n in (0, 100)] + [bytes(changed)]
    cases.append(content[:second] + bytes(512) + content[second + 512 :])
    for case in cases:
        Path(path).write_bytes(case)
        with pytest.raises(ValueError, match="a-0.tar: not a tar file of samples, or damaged, after.*000000"):
            list(Dataset.from_shards(path, ("cls",)))
    Path(path).write_bytes(content)
    assert len(list(Dataset.from_shards(path, ("cls",)))) == 2


MASKED: dict[str, Any] = {
    "flip": lambda: layers.RandomFlip("horizontal", seed=3),
    "crop": lambda: layers.CenterCrop(5, 4),
    "rotation": lambda: layers.RandomRotation(0.25, interpolation="nearest", seed=1),
}


@pytest.mark.parametrize("name", MASKED)
def test_masks_without_channels_follow_their_images(name: str) -> None:
    masks = PICTURES[..., 0].astype(np.int32)
    whole = MASKED[name]()({"images": PICTURES, "segmentation_masks": masks}, training=True)
    with_axis = MASKED[name]()({"images": PICTURES, "segmentation_masks": masks[..., None]}, training=True)
    np.testing.assert_array_equal(
        whole["segmentation_masks"], np.asarray(with_axis["segmentation_masks"])[..., 0]
    )
    data = Dataset.from_tensor_slices({"images": PICTURES, "segmentation_masks": masks}).map(MASKED[name]())
    for element in data.as_numpy_iterator():
        assert element["segmentation_masks"].shape == element["images"].shape[:2]
        if name != "rotation":
            np.testing.assert_array_equal(element["segmentation_masks"], element["images"][..., 0])


def test_masks_of_another_size_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"segmentation_masks: .*\(6, 4, 8, 1\) for images of shape"):
        layers.RandomFlip()({"images": PICTURES, "segmentation_masks": PICTURES[:, :4, :, :1]})


def test_arrays_of_numpy_are_read_only() -> None:
    given = np.zeros((2, 2))
    data = Dataset.from_tensor_slices(given)
    for one in (data, data.cache(), data.batch(2).cache()):
        for _ in range(2):
            for element in one.as_numpy_iterator():
                with pytest.raises(ValueError, match="read-only"):
                    element += 1
    assert not given.any()


def test_text_beyond_ascii_is_an_array_of_text() -> None:
    [batch] = Dataset.from_tensor_slices(["é", "b"]).batch(2)
    assert np.asarray(batch).tolist() == ["é", "b"]
    assert np.asarray(batch, object).tolist() == ["é".encode(), b"b"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
def test_names_of_files_need_not_be_text(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xfe.png"
    Path(os.fsdecode(name)).touch()
    assert list(Dataset.list_files(str(tmp_path / "*")).as_numpy_iterator()) == [name]


def listed(folder: Path, *labels: str, header: str = "path,label") -> Any:
    for i in range(len(labels)):
        utils.save_img(folder / f"{i}.png", PICTURES[i])
    lines = "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels))
    (folder / "l.csv").write_text(f"{header}\n{lines}")
    return Dataset.from_csv(folder / "l.csv", 8)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [(("0.5", "1.5", "2.25"), "float32"), (("3.0", "1e3"), "float32"), (("-1", "2"), "int32")],
)
def test_numbers_of_a_list_are_taken_as_they_are(tmp_path: Path, labels: Any, dtype: str) -> None:
    data = listed(tmp_path, *labels)
    assert [float(y) for _, y in data] == [float(label) for label in labels]
    assert data.class_names is None and data.element_spec[1].dtype == dtype
    assert [float(y) for _, ys in data.batch(2) for y in ys] == [float(label) for label in labels]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("1", "99999999999"), "line 3: expected int32 labels, found '99999999999'"),
        (("1", "NaN"), "line 3: expected finite float32 labels, found 'NaN'"),
        (("1", "2,3"), "line 3: expected 2 fields, as the header has, found more"),
    ],
)
def test_lines_of_a_list_that_are_wrong(tmp_path: Path, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        listed(tmp_path, *labels)


def test_plain_bytes_of_parquet_are_images_of_a_size(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.fromarray(PICTURES[0]).save(file, "PNG")
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"image": [file.getvalue()], "label": [1]}), path)
    [(x, _)] = Dataset.from_parquet(path, ("image", "label"), image_size=4)
    assert x.shape == (4, 4, 3)
    with pytest.raises(
        ValueError, match=r"image_size: expected a column of images, .*\['label'\], found none"
    ):
        Dataset.from_parquet(path, ("label",), image_size=4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_no_image(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        utils.save_img(tmp_path / name / "1.png", PICTURES[0])
    os.mkfifo(tmp_path / "a" / "x.png")
    assert len(Dataset.from_folder(tmp_path, 8)) == 2


WRONG: dict[str, tuple[Any, str]] = {
    "seed of a half": (
        lambda: Dataset.range(3).shuffle(3, seed=1.5),
        "Dataset.shuffle: seed: expected an integer",
    ),
    "seed of text": (
        lambda: Dataset.range(3).shuffle(3, seed="a"),
        "Dataset.shuffle: seed: expected an integer",
    ),
    "scale": (
        lambda: layers.RandomResizedCrop(8, 8, scale=(0.9, 0.2)),
        "scale: expected the lower end first",
    ),
    "offset": (lambda: layers.Mosaic(offset=(0.9, 0.1)), "offset: expected the lower end first"),
    "format": (lambda: layers.RandomFlip(bounding_box_format="foo"), "bounding_box_format: expected .*'foo'"),
    "pair": (lambda: layers.RandomFlip()((PICTURES, np.arange(6))), "received a tuple; .*lambda x, y"),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_that_are_wrong(name: str) -> None:
    make, message = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_samples_of_shards_that_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="__key__: expected names that differ, received 'a' twice"):
        write_shards([{"__key__": "a", "cls": 1}, {"__key__": "a", "cls": 2}], tmp_path / "a-{}.tar")
    with pytest.raises(
        TypeError, match="sample '000000': 'png': expected an image of uint8, .* received float64"
    ):
        write_shards([{"png": np.zeros((4, 4, 3))}], tmp_path / "a-{}.tar")


def test_fit_says_that_single_elements_are_no_batches() -> None:
    model = cnnrs.Sequential([layers.Flatten(), layers.Dense(2)])
    model.compile(loss="mse")
    with pytest.raises(ValueError, match=r"say .batch\(32\)"):
        model.fit(Dataset.from_tensor_slices((PICTURES, np.arange(6))), verbose=0)


def test_classes_of_a_directory_in_batches(tmp_path: Path) -> None:
    for i, name in enumerate("aab"):
        (tmp_path / name).mkdir(exist_ok=True)
        utils.save_img(tmp_path / name / f"{i}.png", PICTURES[i])
    for mode in ("int", "binary", "categorical"):
        data = utils.image_dataset_from_directory(tmp_path, label_mode=mode, image_size=4, verbose=False)
        assert data.class_weights() == {0: 0.75, 1: 1.5}
    (tmp_path / "c").mkdir()
    with pytest.warns(UserWarning, match="classes without images: 'c'"):
        utils.image_dataset_from_directory(tmp_path, image_size=4, verbose=False)
