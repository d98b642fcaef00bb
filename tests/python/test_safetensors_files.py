"""`_core.save_safetensors` and `load_safetensors`: arrays to files and back."""

from __future__ import annotations

import json
import os
import struct
import zlib

import numpy as np
import pytest

from cnnrs import _core

ARRAYS = {
    "columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "strided": np.arange(10, dtype=np.float32)[::-2],
    "scalar": np.array(True),
    "integers": np.array([[1, -2]], np.int32),
    "empty": np.zeros((0, 3), np.uint8),
    "special": np.array([np.nan, np.inf, -0.0, 1e-45], np.float32),
}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "m.safetensors")


def test_round_trip_keeps_bits_shapes_and_dtypes(path):
    _core.save_safetensors(path, ARRAYS, {"note": "é", "empty": ""})
    loaded, metadata, has_checksum = _core.load_safetensors(path)
    assert has_checksum
    assert metadata == {"note": "é", "empty": ""}
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()
        assert loaded[name].flags.writeable


def test_the_file_is_plain_safetensors_and_deterministic(path):
    contents = []
    for _ in range(2):
        _core.save_safetensors(path, ARRAYS, {"b": "2", "a": "1"})
        with open(path, "rb") as file:
            contents.append(file.read())
    assert contents[0] == contents[1]
    (length,) = struct.unpack("<Q", contents[0][:8])
    header = json.loads(contents[0][8 : 8 + length])
    checksum = header["__metadata__"].pop("checksum")
    assert checksum.startswith("crc32:") and header["__metadata__"] == {"a": "1", "b": "2"}
    digits = contents[0].index(checksum.encode()) + len("crc32:")
    zeroed = contents[0][8:digits] + b"0" * 8 + contents[0][digits + 8 :]
    assert checksum == f"crc32:{zlib.crc32(zeroed):08x}"
    begin, end = header["integers"]["data_offsets"]
    assert header["integers"]["dtype"] == "I32" and header["integers"]["shape"] == [1, 2]
    assert contents[0][8 + length + begin : 8 + length + end] == ARRAYS["integers"].tobytes()


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ({"w": np.zeros(3, complex)}, TypeError, '"w": expected one of dtype .* received complex128'),
        ({"w": [1.0]}, TypeError, '"w": expected a numpy array, received list'),
        ({1: np.zeros(3, np.float32)}, TypeError, "str"),
        ({"__metadata__": np.zeros(3, np.float32)}, ValueError, "__metadata__"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_written(path, tensors, error, message):
    with pytest.raises(error, match=message):
        _core.save_safetensors(path, tensors, {})
    assert not os.path.exists(path)


def test_missing_files_and_folders(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="m.safetensors"):
        _core.load_safetensors(path)
    with pytest.raises(FileNotFoundError, match="m.safetensors"):
        _core.save_safetensors(str(tmp_path / "none" / "m.safetensors"), {}, {})
    with pytest.raises(IsADirectoryError):
        _core.save_safetensors(str(tmp_path), {}, {})


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_a_permission_error(path, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="m.safetensors"):
        _core.save_safetensors(path, {}, {})
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "0 bytes"), (b"\x89PNG\r\n\x1a\n" * 4, "not a safetensors file"), (None, "truncated")],
)
def test_foreign_and_truncated_files_are_value_errors(path, content, message):
    if content is None:
        _core.save_safetensors(path, ARRAYS, {})
        with open(path, "rb") as file:
            content = file.read()[:-3]
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(ValueError, match=message):
        _core.load_safetensors(path)
