"""Files under damage, kills, links, modes and odd paths."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import _core, layers, saving
from cnnrs.models import load_model

FIXTURES = Path(__file__).parents[1] / "fixtures"
X = np.arange(32, dtype=np.float32).reshape(2, 4, 4, 1) / 32


def small() -> cnnrs.Sequential:
    model = cnnrs.Sequential(
        [cnnrs.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)], name="small"
    )
    model.compile("adam", "mse")
    model.train_on_batch(X, np.zeros((2, 2), np.float32))
    return model


def test_files_of_format_1_load_still():
    model = load_model(FIXTURES / "model_format_1.safetensors")
    expected = [[0.18263705, -0.32762927], [0.3768172, -0.84244055]]
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-5)
    assert int(model.optimizer.iterations) == 2
    model.load_weights(FIXTURES / "format_1.weights.safetensors")
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-5)


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "m.safetensors"
    small().save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    # The length of the header, all of the header, and places of the data.
    (size,) = struct.unpack("<Q", content[:8])
    bits = [
        *range(64),
        *rng.integers(64, 8 * (8 + size), 300),
        *rng.integers(8 * (8 + size), 8 * len(content), 300),
    ]
    for bit in map(int, bits):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises((ValueError, MemoryError), match="m.safetensors"):
            load_model(path)
    path.write_bytes(content)
    load_model(path)


def test_headers_with_a_doubled_key_and_names_that_are_no_text(tmp_path):
    path = tmp_path / "m.safetensors"
    for header in (
        b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b'{"__metadata__":{"a":"1","a":"2"},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    ):
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
        with pytest.raises(ValueError, match="twice"):
            _core.load_safetensors(path)
    header = b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
    with pytest.raises(ValueError, match="header"):
        _core.load_safetensors(path)
    small().save(path)
    tensors, metadata, _ = _core.load_safetensors(path)
    metadata["model"] = metadata["model"].replace('"small"', '"\\ud800"')
    _core.save_safetensors(path, tensors, metadata)
    with pytest.raises(ValueError, match="no Unicode"):
        load_model(path)


@pytest.mark.parametrize("value", [10**400, 1e999, 2**70, -(2**63)])
def test_absurd_numbers_in_a_file_name_it(tmp_path, value):
    path = tmp_path / "m.safetensors"
    small().save(path)
    tensors, metadata, _ = _core.load_safetensors(path)
    data = json.loads(metadata["model"])
    for key in ("filters", "kernel_size", "strides"):
        changed = json.loads(json.dumps(data))
        changed["config"]["layers"][1]["config"][key] = value
        _core.save_safetensors(path, tensors, {**metadata, "model": json.dumps(changed)})
        with pytest.raises((ValueError, MemoryError), match="m.safetensors"):
            load_model(path)


def test_an_optimizer_of_another_dtype_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    small().save(path)
    tensors, metadata, _ = _core.load_safetensors(path)
    tensors["optimizer/2"] = tensors["optimizer/2"].view(np.int32)
    _core.save_safetensors(path, tensors, metadata)
    with pytest.raises(ValueError, match="optimizer.*float32.*int32"):
        load_model(path)


def test_class_name_function_reaches_public_functions_alone():
    for module, name in (
        ("cnnrs.layers", "importlib"),
        ("cnnrs.activations", "_hard"),
        ("cnnrs.initializers", "np"),
        ("cnnrs.losses", "as_tensor"),
        ("cnnrs.callbacks", "__class__"),
    ):
        data = {"module": module, "class_name": "function", "config": name, "registered_name": name}
        with pytest.raises(TypeError, match="cannot find"):
            saving.deserialize_keras_object(data)
    data = {
        "module": "cnnrs.activations",
        "class_name": "function",
        "config": "relu",
        "registered_name": "relu",
    }
    assert saving.deserialize_keras_object(data) is cnnrs.activations.relu


def test_paths_of_bytes_and_with_nul(tmp_path):
    model = small()
    path = os.fsencode(tmp_path / "m.safetensors")
    model.save(path)
    assert load_model(path).name == "small"
    for call in (model.save, load_model, model.load_weights):
        with pytest.raises(ValueError, match="NUL"):
            call("a\0b.safetensors")


@pytest.mark.parametrize("name", ["a\0b.safetensors", "a\ud800b.safetensors"])
def test_paths_that_no_system_has_are_named_by_all_that_take_paths(name):
    model = small()
    calls = (
        model.save,
        load_model,
        model.load_weights,
        lambda path: model.save_weights(path.replace(".safetensors", ".weights.safetensors")),
        cnnrs.callbacks.ModelCheckpoint,
        cnnrs.callbacks.CSVLogger,
        cnnrs.datasets.mnist.load_data,
        lambda path: cnnrs.datasets.idx.read_gzip(path, (3,), "0" * 64),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"expected a path .* received 'a\\(x00|ud800)b\.") as caught:
            call(name)
        assert type(caught.value) is ValueError
    with pytest.raises(TypeError, match="read_gzip: expected a path"):
        cnnrs.datasets.idx.read_gzip(3, (3,), "0" * 64)


def test_errors_of_the_system_are_whole(tmp_path):
    missing = tmp_path / "none" / "m.safetensors"
    for call in (small().save, load_model):
        with pytest.raises(FileNotFoundError) as caught:
            call(missing)
        assert caught.value.errno == errno.ENOENT and caught.value.filename == str(missing)
        assert "No such file" in caught.value.strerror
    with pytest.raises(IsADirectoryError):
        _core.save_safetensors(tmp_path, {}, {})
    with pytest.raises(IsADirectoryError):
        _core.load_safetensors(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_pipes_and_devices_are_refused_at_once(tmp_path):
    pipe = tmp_path / "p.safetensors"
    os.mkfifo(pipe)
    for call in (small().save, load_model):
        with pytest.raises(OSError, match="regular file"):
            call(pipe)
    assert os.listdir(tmp_path) == ["p.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")
def test_links_and_modes_are_treated_as_by_open(tmp_path):
    model = small()
    path, link = tmp_path / "secret.safetensors", tmp_path / "link.safetensors"
    model.save(path)
    path.chmod(0o600)
    model.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    link.symlink_to("later.safetensors")
    model.save(link)
    assert link.is_symlink() and load_model(tmp_path / "later.safetensors").name == "small"
    assert sorted(os.listdir(tmp_path)) == ["later.safetensors", "link.safetensors", "secret.safetensors"]


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_save_leaves_whole_files_and_nothing_else(tmp_path, kind):
    program = """
import sys
import cnnrs
model = cnnrs.Sequential([cnnrs.Input((600,)), cnnrs.layers.Dense(1200)])
print("ready", flush=True)
while True:
    model.save(sys.argv[1])
"""
    path = tmp_path / "m.safetensors"
    rng = np.random.default_rng(1)
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(kind)
        process.communicate()
        if path.exists():
            load_model(path)
    small().save(path)
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_a_doubled_key_in_an_entry_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    small().save(path)
    tensors, metadata, _ = _core.load_safetensors(path)
    metadata["model"] = metadata["model"].replace('"filters": 2', '"filters": 2, "filters": 2')
    _core.save_safetensors(path, tensors, metadata)
    with pytest.raises(ValueError, match=r"m\.safetensors.*'model'.*'filters' occurs twice"):
        load_model(path)


@pytest.mark.parametrize("shape", [[1] * 33, [1] * 1000, [0, 2**62, 4]])
def test_shapes_that_no_array_has_are_named(tmp_path, shape):
    path = tmp_path / "m.safetensors"
    size = 0 if 0 in shape else 1
    header = json.dumps({"w": {"dtype": "U8", "shape": shape, "data_offsets": [0, size]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * size)
    with pytest.raises(ValueError, match=r'm\.safetensors.*"w"|m\.safetensors.*header'):
        _core.load_safetensors(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="root alone can give files away")
def test_the_owner_of_a_file_stays(tmp_path):
    path = tmp_path / "m.safetensors"
    small().save(path)
    os.chown(path, 65534, 65533)
    path.chmod(0o640)
    small().save(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65533, 0o640)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_without_permission_to_write_is_an_error_as_with_open():
    program = """
import os
import sys
import cnnrs
model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(2)])
# All imports happen, as another user may not read the interpreter's folder.
model.save(sys.argv[1] + ".safetensors")
os.remove(sys.argv[1] + ".safetensors")
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for write in (model.save, lambda path: open(path, "w")):
    try:
        write(sys.argv[1])
    except PermissionError as error:
        print(error.filename)
"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "m.safetensors")
        small().save(path)
        os.chmod(path, 0o444)
        done = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == [path, path]
        assert os.listdir(folder) == ["m.safetensors"]
