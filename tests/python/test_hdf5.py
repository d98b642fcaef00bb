"""HDF5 files: the same content as h5py finds, and what damaged or hostile ones get."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import cnnrs
from cnnrs.serialization import hdf5
from cnnrs.serialization.hdf5 import Group

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hdf5"
SOUND = sorted(path for path in FIXTURES.glob("*.h5") if not path.name.startswith("hostile"))
DTYPES = "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()


def plain(value: Any) -> Any:
    """A value of h5py as `hdf5` gives it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return [plain(item) for item in value.tolist()]
    return value.item() if isinstance(value, np.generic) else value


def assert_same(found: Group, file: Any) -> None:
    assert list(found.attrs) == list(file.attrs)
    for name, value in file.attrs.items():
        np.testing.assert_array_equal(found.attrs[name], plain(value), strict=isinstance(value, np.ndarray))
        assert isinstance(found.attrs[name], type(plain(value))) or isinstance(value, np.bool_)
    assert list(found.groups) == [name for name in file if isinstance(file[name], h5py.Group)]
    assert list(found.arrays) == [name for name in file if isinstance(file[name], h5py.Dataset)]
    for name, inner in found.groups.items():
        assert_same(inner, file[name])
    for name, array in found.arrays.items():
        value = file[name][()]
        if h5py.check_string_dtype(file[name].dtype):
            value = np.vectorize(plain, otypes="O")(value)
        if file[name].attrs.get("dtype") == "bfloat16":
            value = value.view(ml_dtypes.bfloat16)
        np.testing.assert_array_equal(array, np.asarray(value).astype(array.dtype), strict=True)
        assert array.dtype == np.asarray(value).dtype.newbyteorder("=")
        assert array.flags.writeable


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.name)
def test_a_file_holds_what_h5py_finds_and_is_written_as_it_was(path, tmp_path):
    assert len(SOUND) >= 9
    found = hdf5.read(path)
    copy = tmp_path / "copy.h5"
    hdf5.write(copy, found)
    assert copy.read_bytes() == hdf5.dumps(found)
    for source in (path, copy):
        with h5py.File(source) as file:
            assert_same(hdf5.read(source), file)
    with h5py.File(copy) as file:
        assert_same(hdf5.read(path.read_bytes()), file)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=9)
NAMES = NAMES.filter(lambda name: name not in (".", ".."))
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
ATTRIBUTES = st.one_of(
    TEXT,
    st.lists(TEXT, min_size=1, max_size=4),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    arrays.arrays(st.sampled_from(["int32", "float64", "uint8"]), st.integers(0, 5)),
)
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
GROUPS = st.recursive(
    st.builds(Group),
    lambda inner: st.builds(
        lambda attrs, groups, values: Group(
            dict(sorted(attrs.items())),
            dict(sorted(groups.items())),
            dict(sorted(item for item in values.items() if item[0] not in groups)),
        ),
        st.dictionaries(NAMES, ATTRIBUTES, max_size=3),
        st.dictionaries(NAMES, inner, max_size=3),
        st.dictionaries(NAMES, ARRAYS, max_size=3),
    ),
    max_leaves=6,
)


def assert_equal(found: Group, expected: Group) -> None:
    for name in ("attrs", "groups", "arrays"):
        assert list(getattr(found, name)) == sorted(getattr(expected, name), key=lambda name: name.encode())
    for name, value in expected.attrs.items():
        np.testing.assert_array_equal(found.attrs[name], value)
    for name, inner in expected.groups.items():
        assert_equal(found.groups[name], inner)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, strict=True)


@given(GROUPS)
def test_any_content_comes_back(root):
    raw = hdf5.dumps(root)
    assert_equal(hdf5.read(raw), root)


def test_h5py_finds_what_is_written(tmp_path):
    path = tmp_path / "a.h5"
    root = Group(
        attrs={"text": "é" * 70_000, "bytes": b"tensorflow", "names": [f"layer_{i}" for i in range(900)]}
    )
    root.attrs |= {"none": [], "flag": np.bool_(True), "pair": (1, 2), "single": np.float32(0.5)}
    root.group("layers/dense/vars").arrays |= {dtype: np.ones((2, 3), dtype) for dtype in DTYPES}
    root.group("half").arrays["0"] = cnnrs.ops.cast(cnnrs.ops.convert_to_tensor([1.0, 2.5]), "bfloat16")
    root.arrays |= {
        "big endian": np.arange(3, dtype=">f4"),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float64(3.0) * np.ones(()),
        "empty": np.zeros((0, 4), "float32"),
        "strings": np.array([["a", "é"]]),
        "bytes": np.array([b"ab", b"c"]),
    }
    wide = root.group("wide")
    wide.arrays |= {f"{i:04}": np.full(1, i, "int16") for i in range(2000)}
    hdf5.write(path, root)
    with h5py.File(path) as file:
        assert file.attrs["text"] == "é" * 70_000 and file.attrs["bytes"] == "tensorflow"
        assert file.attrs["names"].tolist() == [f"layer_{i}" for i in range(900)]
        assert file.attrs["none"].shape == (0,) and file.attrs["pair"].tolist() == [1, 2]
        assert file.attrs["flag"] == 1 and file.attrs["single"] == 0.5
        for dtype in DTYPES:
            stored = file[f"layers/dense/vars/{dtype}"]
            assert stored.dtype == dtype and (stored[()] == 1).all() and stored.shape == (2, 3)
        assert file["half/0"].attrs["dtype"] == "bfloat16"
        assert file["half/0"][()].view(ml_dtypes.bfloat16).tolist() == [1.0, 2.5]
        assert file["columns"][()].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert file["big endian"][()].tolist() == [0, 1, 2]
        assert file["scalar"].shape == () and file["empty"].shape == (0, 4)
        assert file["strings"].asstr()[()].tolist() == [["a", "é"]]
        assert file["bytes"].asstr()[()].tolist() == ["ab", "c"]
        assert len(file["wide"]) == 2000 and file["wide/1234"][0] == 1234
        assert_same(hdf5.read(path), file)


def test_bfloat16_is_float32_without_ml_dtypes():
    program = (
        "import sys; sys.modules['ml_dtypes'] = None; from cnnrs.serialization import hdf5;"
        f"a = hdf5.read({str(FIXTURES / 'arrays_latest.h5')!r}).arrays['bfloat16']; print(a.dtype, a)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "float32 [1.  2.5]\n"


HOSTILE = {
    "bomb": r"/a: an array or chunk of 4398046511104 bytes where the file may hold \d+",
    "cycle": "expected at most 64 groups inside each other|more objects than the file has room for",
    "elsewhere": "/a: .*external",
    "record": "/a: expected numbers or strings, received records of several fields",
    "soft_link": "/: expected groups and arrays, received a link to another object",
    "twice": r"/b: the 24 bytes at \d+ belong to two arrays or chunks",
    "virtual": "/a: ",
}


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("hostile*.h5")), ids=lambda path: path.stem)
def test_hostile_files_are_refused(path):
    message = HOSTILE[path.stem.removeprefix("hostile_")]
    with pytest.raises(ValueError, match=message) as caught:
        hdf5.read(path)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < len(str(path)) + 300


def test_compressed_bombs_are_refused_and_leave_memory_alone(tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        for name in "abc":
            file.create_dataset(
                name, data=np.zeros(1 << 24, "float32"), compression="gzip", compression_opts=9
            )
    with pytest.raises(ValueError, match="/b: an array or chunk of 67108864 bytes where the file may hold"):
        hdf5.read(path)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a", shape=(1,), chunks=(1 << 26,), maxshape=(None,), dtype="float32", fillvalue=1
        )
    with pytest.raises(ValueError, match="/a: an array or chunk of 268435456 bytes"):
        hdf5.read(path)


def test_chunks_beyond_the_end_are_refused_before_memory_is_taken_for_them():
    path = FIXTURES / "chunks.h5"
    raw = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        chunks = file["gzip"].id
        sizes = [chunks.get_chunk_info(number) for number in range(chunks.get_num_chunks())]
    for chunk in sizes:
        entry = struct.pack("<II", chunk.size, 0) + struct.pack("<QQQ", *chunk.chunk_offset, 0)
        at = raw.index(entry + struct.pack("<Q", chunk.byte_offset))
        damaged = bytearray(raw)
        struct.pack_into("<I", damaged, at, 0xFFFFFF00)
        with pytest.raises(ValueError, match=r"/gzip: the 4294967040 bytes at \d+ are not in the file"):
            hdf5.read(bytes(damaged))


def test_texts_that_share_their_bytes_are_refused_beyond_a_limit(tmp_path):
    """Each of many names refers to the same large text."""
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        file.attrs["names"] = ["x" * 100_000, *["y"] * 3000]
    raw = bytearray(path.read_bytes())
    first = raw.index(struct.pack("<I", 100_000))
    reference = bytes(raw[first : first + 16])
    for at in range(first + 16, first + 16 * 3001, 16):
        raw[at : at + 16] = reference
    with pytest.raises(ValueError, match='"names" is damaged'):
        hdf5.read(bytes(raw))


@pytest.mark.parametrize("name", ["keras.weights.h5", "attributes_earliest.h5", "chunks.h5"])
def test_a_file_that_is_cut_is_refused(name):
    whole = (FIXTURES / name).read_bytes()
    for end in [0, 7, 8, *range(9, len(whole), 97)]:
        with pytest.raises(ValueError, match=r"HDF5 data: |HDF5 data "):
            hdf5.read(whole[:end])


@pytest.mark.parametrize("content", [b"", b"PK\3\4", bytes(5000), b"\x89HDF\r\n\x1a"])
def test_a_file_of_another_kind_is_named(content, tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"a\.h5: not an HDF5 file: {len(content)} bytes without the signature"
    ):
        hdf5.read(path)


def test_what_has_no_place_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    loop = Group()
    loop.groups["again"] = loop
    one = np.ones(1, "float32")
    for root, kind, message in [
        (loop, ValueError, "at most 64 groups inside each other"),
        (Group(arrays={"a/b": one}), ValueError, "a/b"),
        (Group(arrays={"": one}), ValueError, "name"),
        (Group(groups={".": Group()}), ValueError, "name"),
        (Group(attrs={"a\0": 1}), ValueError, "without NUL"),
        (Group(attrs={"a": "x\0"}), ValueError, "without NUL"),
        (Group(attrs={"a": b"\xff"}), ValueError, "utf-8"),
        (Group(attrs={"a": np.ones((2, 2))}), ValueError, r"'a': expected an array of one axis.*\(2, 2\)"),
        (Group(attrs={"a": None}), TypeError, "NoneType"),
        (Group(attrs={"a": 2**64}), OverflowError, "int"),
        (Group(arrays={"a": [1.0]}), TypeError, "expected a numpy array, received list"),
        (Group(arrays={"a": np.ones(1, "complex64")}), TypeError, "complex64"),
        (Group(arrays={"a": np.array([1, "b"], "O")}), TypeError, "str"),
        (
            Group(arrays={"a": one}, groups={"a": Group()}),
            ValueError,
            "'a' is the name of a group and of an array",
        ),
    ]:
        for write in (lambda root: hdf5.write(path, root), hdf5.dumps):
            with pytest.raises(kind, match=message):
                write(root)
        assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.h5"]


def test_the_system_s_errors_are_the_system_s(tmp_path):
    with pytest.raises(FileNotFoundError):
        hdf5.read(tmp_path / "none.h5")
    with pytest.raises(IsADirectoryError):
        hdf5.read(tmp_path)
    with pytest.raises(IsADirectoryError):
        hdf5.write(tmp_path, Group())
    with pytest.raises(FileNotFoundError):
        hdf5.write(tmp_path / "none" / "a.h5", Group())
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="FIFO"):
        hdf5.read(tmp_path / "fifo")
