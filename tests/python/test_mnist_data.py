"""The shipped data set is MNIST, and damaged files are refused by name."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from cnnrs.datasets import idx, mnist


@pytest.fixture(scope="module")
def data():
    return mnist.load_data()


def test_shapes_dtypes_and_statistics(data):
    (x_train, y_train), (x_test, y_test) = data
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert y_train.shape == (60000,) and y_test.shape == (10000,)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype("uint8")}
    assert x_train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert x_train.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_train).tolist() == counts


def test_arrays_are_the_callers_own(data):
    (x_train, _), _ = data
    assert x_train.flags.writeable and x_train.flags.c_contiguous


def write_idx(path, array, code=8):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content))
    return hashlib.sha256(content).hexdigest()


def test_an_idx_file_round_trips(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "a.gz"
    digest = write_idx(path, array)
    np.testing.assert_array_equal(idx.read_gzip(path, (2, 3, 4), digest), array)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda packed: packed[: len(packed) // 2], "truncated"),
        (lambda packed: b"", "not an IDX file"),
        (lambda packed: b"PK\3\4 something else", "not a gzip file"),
        (lambda packed: gzip.compress(b"\x89PNG\r\n"), "not an IDX file"),
        (lambda packed: gzip.compress(gzip.decompress(packed)[:6]), "truncated"),
        (lambda packed: gzip.compress(gzip.decompress(packed)[:-1]), "expected 24 bytes"),
        (lambda packed: gzip.compress(gzip.decompress(packed)[:-1] + b"\xff"), "SHA-256"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, damage, message):
    path = tmp_path / "digits.gz"
    digest = write_idx(path, np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        idx.read_gzip(path, (2, 3, 4), digest)
    assert "digits.gz" in str(caught.value)


def test_wrong_element_type_and_shape(tmp_path):
    path = tmp_path / "a.gz"
    digest = write_idx(path, np.zeros((2, 3), np.uint8), code=13)
    with pytest.raises(ValueError, match="element type"):
        idx.read_gzip(path, (2, 3), digest)
    digest = write_idx(path, np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"expected shape \(3, 2\), received \(2, 3\)"):
        idx.read_gzip(path, (3, 2), digest)


def test_an_npz_file_of_keras_loads(tmp_path, data):
    (x_train, y_train), (x_test, y_test) = data
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    (x, _), (_, y) = mnist.load_data(str(path))
    np.testing.assert_array_equal(x, x_train)
    np.testing.assert_array_equal(y, y_test)


def test_foreign_and_missing_npz_files(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, a=np.zeros(3))
    with pytest.raises(ValueError, match="x_train"):
        mnist.load_data(str(path))
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="other.npz"):
        mnist.load_data(str(path))
    with pytest.raises(FileNotFoundError, match="none.npz"):
        mnist.load_data(str(tmp_path / "none.npz"))


def test_a_missing_shipped_file_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist, "_FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"train-images.*missing: reinstall.*mnist\.npz"):
        mnist.load_data()


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    """Files of a few kilobytes that unpack to a hundred times what their shape needs."""
    header = struct.pack(">BBBB2I", 0, 0, 8, 2, 3, 4)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(header + bytes(1 << 26)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="received more"):
        idx.read_gzip(path, (3, 4), "")
    path.write_bytes(gzip.compress(struct.pack(">BBBB2I", 0, 0, 8, 2, 1 << 13, 1 << 13) + bytes(1 << 26)))
    with pytest.raises(ValueError, match=r"expected shape \(3, 4\), received \(8192, 8192\)"):
        idx.read_gzip(path, (3, 4), "")
    archive = tmp_path / "bomb.npz"
    np.savez_compressed(archive, **{key: np.zeros(1 << 26, np.uint8) for key in ("x_train", "y_train")})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    with pytest.raises(ValueError, match="bomb.npz: x_train: expected shape"):
        mnist.load_data(archive)
    np.savez_compressed(
        archive, x_train=np.zeros((60000, 28, 28), np.uint8), y_train=np.zeros(1 << 26, np.uint8)
    )
    with pytest.raises(ValueError, match="bomb.npz: y_train: expected shape"):
        mnist.load_data(archive)
    tracemalloc.stop()
    # The archives are made in between: what counts is reading the first two.
    assert peak < 1 << 28


def test_a_header_that_lies_about_its_array(tmp_path):
    path = tmp_path / "lie.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("x_train.npy", "w") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**15,)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ValueError, match="lie.npz: x_train: expected shape"):
        mnist.load_data(path)


@pytest.mark.parametrize("more", [b"x", gzip.compress(b"more")], ids=["bytes", "packed"])
def test_bytes_after_the_end_are_refused(tmp_path, more):
    path = tmp_path / "a.gz"
    digest = write_idx(path, np.zeros((2, 3), np.uint8))
    with open(path, "ab") as file:
        file.write(more)
    with pytest.raises(ValueError, match="after the end"):
        idx.read_gzip(path, (2, 3), digest)


def test_paths_that_are_none():
    with pytest.raises(ValueError, match="NUL"):
        mnist.load_data("a\0b.npz")
    with pytest.raises(TypeError, match="load_data: expected a path.*received int"):
        mnist.load_data(3)
