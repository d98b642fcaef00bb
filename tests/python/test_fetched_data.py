"""Data sets that are fetched: small ones of their forms, put where they are kept, and hostile files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cnnrs import config, datasets
from cnnrs.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    idx,
    imdb,
    reuters,
)
from cnnrs.datasets.packed import load_npz, unpickle


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with the folder of data sets, and no files of Keras. Nothing may be fetched."""
    monkeypatch.setenv("CNNRS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("urllib.request._opener", None)
    folder = tmp_path / "home" / "datasets"
    folder.mkdir(parents=True)
    return folder


def place(path: Path, content: bytes, module, monkeypatch, constant: str) -> None:
    """Puts a file where it is kept, as one that has its hash."""
    path.write_bytes(content)
    algorithm = hashlib.md5 if "MD5" in constant else hashlib.sha256
    monkeypatch.setattr(module, constant, algorithm(content).hexdigest())


def npz(**arrays) -> bytes:
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


def reviews(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = np.empty(count, object)
    rows[:] = [rng.integers(1, 40, rng.integers(1, 9)).tolist() for _ in range(count)]
    return rows


def as_python_2(value) -> bytes:
    """The opcodes of a value as Python 2 pickled it with protocol 2: text is bytes."""
    if isinstance(value, str):
        return b"T" + struct.pack("<I", len(value)) + value.encode("latin1")
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(as_python_2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(as_python_2(k) + as_python_2(v) for k, v in value.items()) + b"u"
    assert isinstance(value, np.ndarray) and value.dtype == np.uint8
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    shape = b"(" + b"".join(as_python_2(n) for n in value.shape) + b"t"
    content = as_python_2(value.tobytes().decode("latin1"))
    return made + b"(K\x01" + shape + dtype + b"\x89" + content + b"tb"


def pickled_in_python_2(value) -> bytes:
    return b"\x80\x02" + as_python_2(value) + b"."


def cifar(folder: str, batches: dict[str, dict]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, batch in batches.items():
            content = pickled_in_python_2(batch)
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def test_pickles_of_python_2_are_read_as_pickle_reads_them():
    value = {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), "labels": [1, 2], "batch_label": "one"}
    content = pickled_in_python_2(value)
    found, expected = unpickle(io.BytesIO(content), "x"), pickle.loads(content, encoding="bytes")
    assert found.keys() == expected.keys() == {b"data", b"labels", b"batch_label"}
    np.testing.assert_array_equal(found[b"data"], expected[b"data"])
    assert found[b"labels"] == expected[b"labels"] and found[b"batch_label"] == b"one"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "f4", "f8", ">i4", "O", "?"])
def test_arrays_of_pickles(protocol, dtype):
    array = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)
    for given in (array, np.asfortranarray(array)):
        try:
            content = pickle.dumps(given, protocol)
        except ValueError:
            continue
        # Others name further functions, which no data set has.
        if protocol in (3, 4):
            found = unpickle(io.BytesIO(content), "x")
            assert found.dtype == array.dtype and found.tolist() == array.tolist()
        else:
            try:
                assert unpickle(io.BytesIO(content), "x").tolist() == array.tolist()
            except ValueError as error:
                assert "no array needs" in str(error)


class Harm:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def harms(marker: Path) -> list:
    return [
        Harm(os.system, f"touch {marker}"),
        Harm(eval, f"open({str(marker)!r}, 'w')"),
        Harm(open, str(marker), "w"),
        Harm(np.load, str(marker)),
        Harm(__import__, "os"),
    ]


@pytest.mark.parametrize("kind", range(5))
def test_code_in_a_pickle_is_refused(tmp_path, kind):
    marker = tmp_path / "marker"
    harm = np.empty(1, object)
    harm[0] = harms(marker)[kind]
    for content in (harm, harm[0], {"data": harm[0]}):
        with pytest.raises(ValueError, match="the file asks for"):
            unpickle(io.BytesIO(pickle.dumps(content)), "x")
    (tmp_path / "a.npz").write_bytes(npz(x=harm))
    with pytest.raises(ValueError, match="the file asks for"):
        load_npz(str(tmp_path / "a.npz"), ["x"])
    assert not marker.exists()


def test_damaged_pickles_and_archives_are_errors(tmp_path):
    rng = np.random.default_rng(1)
    whole = {
        "pickle": pickled_in_python_2({"data": np.zeros((2, 3), np.uint8), "labels": [1, 2]}),
        "npz": npz(x=reviews(20, 1), y=np.arange(20)),
    }
    path = tmp_path / "a.npz"
    refused = 0
    for kind, content in whole.items():
        for _ in range(400):
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), rng.integers(1, 4)):
                damaged[place] = rng.integers(256)
            damaged = damaged[: rng.integers(1, len(content))] if rng.random() < 0.3 else damaged
            try:
                if kind == "pickle":
                    unpickle(io.BytesIO(bytes(damaged)), "x")
                else:
                    path.write_bytes(bytes(damaged))
                    load_npz(str(path), ("x", "y"))
            except ValueError:
                refused += 1
    assert refused > 300


@pytest.mark.parametrize("first", [False, True])
def test_cifar10(home, monkeypatch, first):
    rng = np.random.default_rng(3)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    batches = {
        name: {"data": rng.integers(0, 256, (4, 3072), np.uint8), "labels": rng.integers(0, 10, 4).tolist()}
        for name in names
    }
    monkeypatch.setattr(cifar10, "_ROWS", 4)
    archive = home / "cifar-10-batches-py-target_archive"
    place(archive, cifar("cifar-10-batches-py", batches), cifar10, monkeypatch, "_SHA256")
    if first:
        config.set_image_data_format("channels_first")
    try:
        (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    finally:
        config.set_image_data_format("channels_last")
    assert x_train.shape == ((20, 3, 32, 32) if first else (20, 32, 32, 3)) and x_train.dtype == np.uint8
    assert y_train.shape == (20, 1) and y_test.shape == (4, 1) and y_train.dtype == np.uint8
    pixels = x_train if first else x_train.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(
        pixels.reshape(20, 3072), np.concatenate([batches[name]["data"] for name in names[:5]])
    )
    assert y_test.ravel().tolist() == batches["test_batch"]["labels"] and len(x_test) == 4
    # What was unpacked may be damaged later.
    folder = home / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    for content, message in (
        (pickled_in_python_2({"data": np.zeros((3, 3072), np.uint8), "labels": [1] * 3}), r"\(4, 3072\)"),
        (pickled_in_python_2(batches["test_batch"] | {"labels": [0, 1, 2, 10]}), "labels of 0 to 9"),
        (pickled_in_python_2([1, 2]), "expected uint8 images"),
        (pickle.dumps(Harm(os.system, "true")), "the file asks for"),
        (b"", "damaged"),
    ):
        (folder / "test_batch").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            cifar10.load_data()
    (folder / "test_batch").unlink()
    with pytest.raises(FileNotFoundError, match="a file of the data set is missing"):
        cifar10.load_data()


@pytest.mark.parametrize("label_mode", ["fine", "coarse"])
def test_cifar100(home, monkeypatch, label_mode):
    monkeypatch.setattr(cifar100, "_ROWS", {"train": 5, "test": 2})
    batches = {
        name: {
            "data": np.full((rows, 3072), rows, np.uint8),
            "fine_labels": [99 - i for i in range(rows)],
            "coarse_labels": [19 - i for i in range(rows)],
        }
        for name, rows in (("train", 5), ("test", 2))
    }
    archive = home / "cifar-100-python-target_archive"
    place(archive, cifar("cifar-100-python", batches), cifar100, monkeypatch, "_SHA256")
    (x_train, y_train), (_, y_test) = cifar100.load_data(label_mode)
    assert x_train.shape == (5, 32, 32, 3)
    assert y_train[:, 0].tolist() == batches["train"][f"{label_mode}_labels"] and y_test.shape == (2, 1)
    with pytest.raises(ValueError, match="label_mode: expected 'fine' or 'coarse'"):
        cifar100.load_data("middle")


def test_fashion_mnist(home, monkeypatch):
    import gzip

    arrays = [
        np.arange(5 * 784, dtype=np.uint32).astype(np.uint8).reshape(5, 28, 28),
        np.arange(5, dtype=np.uint8),
        np.ones((2, 28, 28), np.uint8),
        np.full(2, 9, np.uint8),
    ]
    (home / "fashion-mnist").mkdir()
    files = {}
    for name, array in zip(fashion_mnist._FILES, arrays, strict=True):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        content = gzip.compress(header + array.tobytes())
        (home / "fashion-mnist" / name).write_bytes(content)
        files[name] = (array.shape, hashlib.md5(content).hexdigest())
    monkeypatch.setattr(fashion_mnist, "_FILES", files)
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    for found, expected in zip((x_train, y_train, x_test, y_test), arrays, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint8 and found.flags.writeable
    assert idx.read_gzip(home / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz", (2,), None).tolist() == [9, 9]


def place_texts(home, monkeypatch):
    content = npz(
        x_train=reviews(12, 1), y_train=np.arange(12) % 2, x_test=reviews(8, 2), y_test=np.arange(8) % 2
    )
    place(home / "imdb.npz", content, imdb, monkeypatch, "_SHA256")
    content = npz(x=reviews(20, 3), y=np.arange(20))
    place(home / "reuters.npz", content, reuters, monkeypatch, "_SHA256")


@pytest.mark.parametrize("module", [imdb, reuters])
def test_texts(home, monkeypatch, module):
    place_texts(home, monkeypatch)
    (x_train, y_train), (x_test, y_test) = module.load_data()
    assert x_train.dtype == object and x_train.ndim == 1 and type(x_train[0]) is list
    assert y_train.dtype == np.int64 and len(x_train) + len(x_test) == 20 == len(y_train) + len(y_test)
    # As in Keras, the largest number is left out where `num_words` is not said.
    assert all(x[0] == 1 and {2} >= {w for w in x[1:] if w < 4} for x in [*x_train, *x_test])
    assert 2 in {w for x in x_train for w in x} | {w for x in x_test for w in x}
    (x_train, y_train), (x_test, y_test) = module.load_data(num_words=99)
    bare = module.load_data(num_words=99, start_char=None, index_from=0)
    assert [[w - 3 for w in x[1:]] for x in x_train] == list(bare[0][0])
    rare = module.load_data(num_words=20, skip_top=6)
    assert {w for x in rare[0][0] for w in x} <= {2, *range(6, 20)}
    left = module.load_data(num_words=20, skip_top=6, oov_char=None, start_char=7)
    assert [[w for w in [7, *x[1:]] if w != 2] for x in rare[0][0]] == list(left[0][0])
    short = module.load_data(maxlen=5)
    assert max(map(len, short[0][0])) == 4 and len(short[0][0]) == len(short[0][1])
    other = module.load_data(num_words=99, seed=1)
    assert sorted(map(str, other[0][0])) == sorted(map(str, x_train)) or module is reuters
    assert list(map(str, other[0][0])) != list(map(str, x_train))
    for wrong in ({"maxlen": 1}, {"seed": -1}, {"num_words": "many"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            module.load_data(**wrong)


def test_sequences_of_one_length_stay_lists(home, monkeypatch):
    rows = np.empty(4, object)
    rows[:] = [[1, 2], [3, 4], [5, 6], [7, 8]]
    place(home / "reuters.npz", npz(x=rows, y=np.arange(4)), reuters, monkeypatch, "_SHA256")
    (x_train, _), _ = reuters.load_data()
    assert x_train.shape == (3,) and type(x_train[0]) is list


@pytest.mark.parametrize("module", [imdb, reuters])
def test_words(home, monkeypatch, module):
    name = f"{module.__name__.rpartition('.')[2]}_word_index.json"
    content = json.dumps({"the": 1, "schön": 2}).encode()
    place(home / name, content, module, monkeypatch, "_INDEX_MD5")
    assert module.get_word_index() == {"the": 1, "schön": 2}
    for wrong in (b"[1]", b"{", b"\xff"):
        place(home / name, wrong, module, monkeypatch, "_INDEX_MD5")
        with pytest.raises(ValueError, match=name):
            module.get_word_index()
    assert len(reuters.get_label_names()) == 46 and reuters.get_label_names()[-1] == "lead"


@pytest.mark.parametrize("module", [boston_housing, california_housing])
def test_tables(home, monkeypatch, tmp_path, module):
    name = f"{module.__name__.rpartition('.')[2]}.npz"
    x = np.arange(700 * 3.0).reshape(700, 3)
    content = npz(x=x, y=x[:, 0])
    place(home / name, content, module, monkeypatch, "_SHA256")
    (x_train, y_train), (x_test, y_test) = module.load_data()
    assert x_train.shape == (560, 3) and x_test.shape == (140, 3)
    np.testing.assert_array_equal(x_train[:, 0], y_train)
    np.testing.assert_array_equal(np.sort(np.concatenate([y_train, y_test])), x[:, 0])
    (whole, _), (empty, _) = module.load_data(test_split=0)
    assert len(whole) == 700 and len(empty) == 0
    (other, _), _ = module.load_data(seed=5, test_split=0)
    assert other.tolist() != whole.tolist()
    for wrong in (1.0, -0.1, "x"):
        with pytest.raises(ValueError, match="test_split"):
            module.load_data(test_split=wrong)
    # It may be kept elsewhere.
    (tmp_path / "mine.npz").write_bytes(content)
    (home / name).unlink()
    np.testing.assert_array_equal(module.load_data(path=tmp_path / "mine.npz")[0][0], x_train)
    if module is california_housing:
        (small, _), (rest, _) = module.load_data("small", path=tmp_path / "mine.npz")
        assert len(small) + len(rest) == 600
        with pytest.raises(ValueError, match="version: expected 'large' or 'small'"):
            module.load_data("tiny")


@pytest.mark.parametrize("name", [n for n in datasets.__all__ if n not in ("mnist", "shapes")])
def test_without_the_net_the_error_says_where_the_file_goes(home, name):
    with pytest.raises(ConnectionError, match="put it at ") as caught:
        getattr(datasets, name).load_data()
    assert str(home) in str(caught.value) and "https://" in str(caught.value)
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_the_list_of_data_sets_names_each_with_its_address():
    page = Path(__file__).parents[2] / "docs" / "datasets.md"
    text = page.read_text("utf-8")
    for name in datasets.__all__:
        assert f"`{name}`" in text
        module = getattr(datasets, name)
        assert getattr(module, "_ORIGIN", "tf-keras-datasets") in text


@pytest.mark.parametrize("name", ["boston_housing", "california_housing"])
def test_arguments_are_checked_before_a_file_is_fetched(home, name):
    module = getattr(datasets, name)
    for wrong in ({"test_split": 2.0}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            module.load_data(**wrong)
    assert not list(home.iterdir())
