"""Other libraries, other processes, and memory that caches hold."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import _core, layers, ops

CHILD = """
import sys
import numpy as np
import cnnrs
model = cnnrs.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""


def test_dlpack_hands_over_a_copy():
    t = ops.array([[1.0, 2.0], [3.0, 4.0]]) * 2.0
    assert t.__dlpack_device__() == (1, 0)
    a = np.from_dlpack(t)
    np.testing.assert_array_equal(a, [[2, 4], [6, 8]])
    v = cnnrs.Variable(np.arange(3, dtype=np.int32))
    b = np.from_dlpack(v)
    v.assign(np.zeros(3, np.int32))
    np.testing.assert_array_equal(b, [0, 1, 2])


def test_clear_session_frees_what_caches_hold():
    x = ops.array(np.ones((7, 5), np.float32))
    (ops.exp(x) * 3.0 + 1.0).numpy()
    assert _core.cached_plans() > 0
    layers.Flatten()
    cnnrs.utils.clear_session(free_memory=False)
    assert _core.cached_plans() > 0
    assert layers.Flatten().name == "flatten"
    cnnrs.utils.clear_session()
    assert _core.cached_plans() == 0
    np.testing.assert_allclose((ops.exp(x) * 3.0 + 1.0).numpy(), np.e * 3 + 1, rtol=1e-6)


def test_a_file_loads_in_another_process(tmp_path):
    """Layers with automatic names, a model within a model, weights that no build of the child has made."""
    block = cnnrs.Sequential(
        [layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]
    )
    inputs = cnnrs.Input((8, 8, 3))
    h = block(inputs)
    h = layers.Add()([h, layers.Conv2D(4, 1)(inputs)])
    outputs = layers.Dense(5)(layers.GlobalAveragePooling2D()(h))
    model = cnnrs.Model(inputs, outputs)
    model.compile("adam", "mse")
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6, 8, 8, 3)).astype(np.float32)
    model.fit(x, rng.normal(size=(6, 5)).astype(np.float32), verbose=0)
    names = [str(tmp_path / name) for name in ("m.safetensors", "x.npy", "y.npy")]
    model.save(names[0])
    np.save(names[1], x)
    # Automatic names in this process have moved on, and the child's begin anew.
    subprocess.run([sys.executable, "-c", CHILD, *names], check=True)
    np.testing.assert_array_equal(np.load(names[2]), model.predict(x, verbose=0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64", "uint8", "bool"])
def test_values_without_axes_are_scalars_of_numpy(dtype: str) -> None:
    """As TensorFlow's: they can be keys of dicts, and go back as they are."""
    for x in (
        ops.cast(ops.array(1), dtype),
        cnnrs.Variable(1, dtype=dtype),
        ops.cast(ops.array([1, 2]), dtype)[0],
    ):
        value = x.numpy()
        assert type(value) is np.dtype(dtype).type and {value: "one"}[1] == "one"
        assert np.asarray(x).shape == () and isinstance(ops.convert_to_numpy(x), np.ndarray)
        assert ops.convert_to_tensor(value).dtype == dtype
    assert isinstance(ops.ones((1,), dtype).numpy(), np.ndarray)


def test_labels_of_batches_look_up_their_names() -> None:
    """As Keras's example of PointNet does it."""
    data = cnnrs.data.Dataset.from_tensor_slices((np.zeros((4, 2), "float32"), np.array([2, 0, 1, 2]))).batch(
        4
    )
    names = {0: "chair", 1: "sofa", 2: "desk"}
    for _, labels in data:
        assert [names[label.numpy()] for label in labels] == ["desk", "chair", "sofa", "desk"]


def test_scalars_of_numpy_are_saved_as_they_are(tmp_path: Any) -> None:
    arrays = {"a": np.float64(1 / 3), "b": np.int64(2**40), "c": np.bool_(True), "d": ops.array(2.5).numpy()}
    path = str(tmp_path / "a.safetensors")
    cnnrs._core.save_safetensors(path, arrays, {})
    found = cnnrs._core.load_safetensors(path)[0]
    for name, value in arrays.items():
        assert found[name].shape == () and found[name].dtype == value.dtype and found[name] == value
    with pytest.raises(TypeError, match="expected one of dtype .*, received <U4"):
        cnnrs._core.save_safetensors(path, {"a": np.str_("text")}, {})


def test_complex_values_without_axes_are_scalars_too() -> None:
    import cnnrs.compat.tf as tf

    z = tf.complex(1.0, 2.0)
    assert type(z.numpy()) is np.complex64 and (z * z.numpy()).numpy() == -3 + 4j
    assert ops.view_as_real(z.numpy()).numpy().tolist() == [1.0, 2.0]
