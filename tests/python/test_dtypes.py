"""Element types: the table, promotion as Keras's, float16 and bfloat16 as storage."""

from __future__ import annotations

import ctypes
import itertools
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import _core, backend, layers, losses, metrics, ops, random
from cnnrs.base.dtypes import data_dtype

KERAS = json.loads((Path(__file__).parents[1] / "fixtures" / "keras_promotion.json").read_text())
PYTHON: dict[str, Any] = {"int": int, "float": float}
PLAIN = ["float64", "int8", "int16", "int64", "uint16", "uint32", "uint64"]
HELD = ["float32", "int32", "uint8", "bool", "float16", "bfloat16", *PLAIN]
STORED = ["float16", "bfloat16"]
# Keras holds what it promotes to 32 bits on all backends but TensorFlow; here 64 bits stay.
WIDE = {"float64", "int64", "uint64", "complex128"}
# All that 16 bits can be.
WORDS = np.arange(2**16, dtype=np.uint16)


def widened(words: np.ndarray) -> np.ndarray:
    """The values of bfloat16 with these bits."""
    return (words.astype(np.uint32) << 16).view(np.float32)


def narrowed(values: Any) -> np.ndarray:
    """float32 rounded to the nearest bfloat16, ties to even, as float32. NaN stays NaN."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.float32(np.nan), widened(rounded))


def rounded(values: Any, dtype: str) -> np.ndarray:
    """float32 values as `dtype` has them, as float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(values, np.float32)
        return narrowed(values) if dtype == "bfloat16" else values.astype(np.float16).astype(np.float32)


def values_of(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.astype("float32").numpy())


def drawn(dtype: str, *shape: int, seed: int = 0) -> tuple[Any, np.ndarray]:
    """A tensor of `dtype`, and its values as float32."""
    values = rounded(np.random.default_rng(seed).standard_normal(shape), dtype)
    return ops.cast(values, dtype), values


# ---- names


@pytest.mark.parametrize("a", KERAS["types"])
def test_promotion_of_each_pair_is_that_of_keras(a):
    if a not in WIDE:
        assert backend.result_type(PYTHON.get(a, a)) == KERAS["alone"][a]
    for b, expected in zip(KERAS["types"], KERAS["pairs"][a], strict=True):
        if not {a, b} & WIDE:
            assert backend.result_type(PYTHON.get(a, a), PYTHON.get(b, b)) == expected, b


def test_what_has_64_bits_keeps_them():
    rest = ["int8", "uint8", "int32", "uint32", "bool", int]
    expected = {
        "int64": dict.fromkeys([*rest, "int64"], "int64") | {"uint64": "float32", "float16": "float16"},
        "uint64": dict.fromkeys(["uint8", "uint32", "bool", int], "uint64")
        | {"int8": "float32", float: "float32"},
        "float64": dict.fromkeys([*rest, "int64", "float32", "bfloat16", float], "float64"),
    }
    for a, pairs in expected.items():
        assert backend.result_type(a) == a
        for b, common in pairs.items():
            assert backend.result_type(a, b) == backend.result_type(b, a) == common, (a, b)


def test_promotion_of_many_types_does_not_depend_on_their_order():
    names = [PYTHON.get(name, name) for name in KERAS["types"] if not name.startswith("complex")]
    for some in itertools.combinations(names, 3):
        assert len({backend.result_type(*order) for order in itertools.permutations(some)}) == 1, some
    assert backend.result_type() == backend.result_type(None) == "float32"
    assert backend.result_type(np.float16, np.dtype("int32"), bool) == "float16"
    for name in ("string", "float8_e4m3fn", "no_type"):
        with pytest.raises(ValueError, match="result_type"):
            backend.result_type("float32", name)


@pytest.mark.parametrize("a,b", list(itertools.product(HELD, HELD)))
def test_the_core_promotes_as_the_table_does(a, b):
    x, y = ops.ones((2,), a), ops.ones((2,), b)
    common = backend.result_type(a, b)
    number = "int32" if common == "bool" else common
    assert ops.add(x, y).dtype == ops.multiply(x, y).dtype == number
    assert ops.where(ops.array([True, False]), x, y).dtype == common
    assert ops.concatenate([x, y]).dtype == common
    assert ops.less(x, y).dtype == "bool"
    assert ops.divide(x, y).dtype == (common if backend.is_float_dtype(common) else "float32")


@pytest.mark.parametrize("dtype", STORED)
def test_python_numbers_take_the_type_of_a_tensor(dtype):
    x = ops.ones((3,), dtype)
    for y in (x + 1, 1 - x, x * 0.1, 2.0 / x, x**2, ops.add(x, 1), ops.maximum(0.5, x), x + True):
        assert y.dtype == dtype
    # The number is rounded before it is added, as in Keras.
    expected = rounded(1.0 + rounded(0.1, dtype), dtype)
    np.testing.assert_array_equal(values_of(x + 0.1), np.full(3, expected))
    assert (x + ops.array(1.0)).dtype == "float32"
    assert (x > 0.1).dtype == "bool" and ops.argmax(x).dtype == "int32"


def test_unknown_types_are_refused():
    for name in ("complex64", "string", "float8_e5m2"):
        with pytest.raises(TypeError, match=f"tensors hold no {name}"):
            ops.cast(1.0, name)
    with pytest.raises(TypeError, match="expected one of"):
        ops.cast(1.0, "real")
    assert ops.cast(1.7, int).dtype == "int32" and ops.cast(1.7, float).dtype == "float32"
    assert ops.cast(1.7, "int").dtype == "int32" and ops.cast(1.7, None).dtype == "float32"


def test_arrays_keep_their_type_in_ops_and_python_numbers_have_32_bits():
    for name in HELD:
        if name == "bfloat16":
            continue
        array = np.ones(2, name)
        assert ops.dtype(array) == name
        assert ops.add(array, 1).dtype == ("int32" if name == "bool" else name)
        assert ops.convert_to_tensor(array).dtype == name
    assert ops.array([1.5]).dtype == "float32" and ops.array([1]).dtype == "int32"
    for given in ([2**31], 2**31):
        with pytest.raises(OverflowError, match="int32"):
            ops.convert_to_tensor(given)
    assert (ops.array(np.array([2**31])) + 2**40).item() == 2**31 + 2**40
    double = cnnrs.function(lambda x: x * 2.0)
    for kind in ("float64", "float32", "float16"):
        assert double(np.ones(2, kind)).dtype == kind


def test_data_of_64_bits_has_32_in_layers_losses_and_metrics():
    for name in ("float64", "int64", "uint16"):
        array = np.ones((2, 3), name)
        assert layers.Identity()(array).dtype == data_dtype(name) != name
    x, labels = np.random.default_rng(0).random((4, 3)), np.array([0, 1, 2, 1])
    assert layers.Dense(2)(x).dtype == losses.MeanSquaredError()(x, x).dtype == "float32"
    assert losses.SparseCategoricalCrossentropy()(labels, x).dtype == "float32"
    assert layers.Embedding(3, 2)(labels).shape == (4, 2)
    with pytest.raises(OverflowError, match="int32"):
        layers.Identity()(np.array([2**31]))
    accuracy = metrics.SparseCategoricalAccuracy()
    assert float(accuracy(labels, x)) == np.mean(x.argmax(1) == labels)


# ---- values in and out


def test_float16_through_numpy_keeps_all_bits():
    given = WORDS.view(np.float16)
    tensor = ops.convert_to_tensor(given)
    assert tensor.dtype == "float16"
    assert tensor.numpy().dtype == np.float16 and tensor.numpy().tobytes() == given.tobytes()
    big_endian = given[::-3].astype(">f2")
    np.testing.assert_array_equal(ops.array(big_endian).numpy(), given[::-3])
    assert ops.array(given[3]).numpy().shape == ()
    np.testing.assert_array_equal(np.from_dlpack(tensor).view(np.uint16), WORDS)
    np.testing.assert_array_equal(values_of(tensor), given.astype(np.float32))


def test_bfloat16_through_float32_keeps_all_values():
    values = widened(WORDS)
    tensor = ops.cast(values, "bfloat16")
    np.testing.assert_array_equal(values_of(tensor), values)
    np.testing.assert_array_equal(np.asarray(tensor.numpy(), np.float32), values)
    assert _core.tensor(values, "bfloat16").dtype == "bfloat16"
    np.testing.assert_array_equal(values_of(_core.tensor(values, "bfloat16")), values)


class _Tensor(ctypes.Structure):
    """`DLTensor`."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("axes", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
    ]


@pytest.mark.parametrize("options", [{}, {"max_version": (1, 0)}])
def test_bfloat16_is_exported_by_dlpack(options):
    if options and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("numpy exports no versioned capsules")
    values = widened(WORDS[0x3F80:0x3F86]).reshape(2, 3)
    capsule = ops.cast(values, "bfloat16").__dlpack__(**options)
    name = b"dltensor_versioned" if options else b"dltensor"
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    # In versioned capsules a version, a context, a deleter and flags stand before the tensor.
    exported = _Tensor.from_address(get(capsule, name) + (32 if options else 0))
    assert (exported.code, exported.bits, exported.lanes) == (4, 16, 1)
    assert exported.axes == 2 and exported.shape[:2] == [2, 3]
    words = np.frombuffer((ctypes.c_uint16 * 6).from_address(exported.data), np.uint16)
    np.testing.assert_array_equal(words, WORDS[0x3F80:0x3F86])


ML_DTYPES = """
import sys, types
import numpy as np
import cnnrs
from cnnrs import ops
sys.modules["ml_dtypes"] = None
x = ops.cast([1.0, 2.5], "bfloat16")
assert x.numpy().dtype == np.float32 and x.numpy().tolist() == [1.0, 2.5]
assert x.tolist() == [1.0, 2.5] and x[1].item() == 2.5 and float(x[1]) == 2.5 and f"{x[1]:.1f}" == "2.5"
assert "bfloat16" in repr(x) and "2.5" in repr(x)
"""


def test_without_ml_dtypes_bfloat16_comes_out_as_float32():
    subprocess.run([sys.executable, "-c", ML_DTYPES], check=True)


def test_with_ml_dtypes_bfloat16_comes_in_and_out_as_such():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    given = WORDS.view(ml_dtypes.bfloat16)
    tensor = ops.convert_to_tensor(given)
    assert tensor.dtype == "bfloat16" and tensor.numpy().dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(tensor.numpy().view(np.uint16), WORDS)
    assert tensor[0x3F80].item() == 1.0 and type(tensor[:2].tolist()[0]) is float
    np.testing.assert_array_equal(values_of(ops.cast(given, "float32")), widened(WORDS))


@pytest.mark.parametrize("dtype", STORED)
def test_casts_round_to_the_nearest_even(dtype):
    special = [
        0.0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        65504,
        65519.99,
        65520,
        1e38,
        3.4e38,
        1e-45,
        6e-8,
        2.9e-8,
        -3e-8,
    ]
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            np.array(special, np.float32),
            widened(WORDS),
            WORDS[:0x7C00].view(np.float16).astype(np.float32) * np.float32(1 + 2**-11),
            rng.integers(0, 2**32, 2**16, dtype=np.uint32).view(np.float32),
        ]
    )
    np.testing.assert_array_equal(values_of(ops.cast(values, dtype)), rounded(values, dtype))
    assert np.signbit(values_of(ops.cast([-0.0, -1e-30], dtype))).tolist() == [True, True]
    for other in ("int32", "uint8", "bool"):
        numbers = rounded([0.0, 1.9, 200.0, -3.5 if other == "int32" else 3.5], dtype)
        np.testing.assert_array_equal(
            ops.cast(ops.cast(numbers, dtype), other).numpy(), numbers.astype(other)
        )
        back = ops.cast(ops.cast([0, 1, 2, 250], other), dtype)
        np.testing.assert_array_equal(
            values_of(back), np.array([0, 1, 2, 250]).astype(other).astype(np.float32)
        )
    assert values_of(ops.saturate_cast([1e38, -np.inf, 2.0], "float16")).tolist() == [65504.0, -65504.0, 2.0]


@pytest.mark.parametrize("dtype", HELD)
@pytest.mark.filterwarnings("ignore:.*plans have been compiled")
def test_files_hold_every_type(dtype, tmp_path):
    path = str(tmp_path / "t.safetensors")
    tensor = ops.cast(np.arange(6).reshape(2, 3) % 2, dtype)
    _core.save_safetensors(path, {"t": tensor}, {})
    with open(path, "rb") as file:
        header = json.loads(file.read()[8:].split(b"}}")[0] + b"}}")
    names = {
        "float32": "F32",
        "int32": "I32",
        "uint8": "U8",
        "bool": "BOOL",
        "float16": "F16",
        "bfloat16": "BF16",
        **{name: name[0].upper() + name.lstrip("uintfloa") for name in PLAIN},
    }
    assert header["t"]["dtype"] == names[dtype]
    (loaded,) = _core.load_safetensors(path)[0].values()
    np.testing.assert_array_equal(np.asarray(loaded, np.float32), values_of(tensor))
    if dtype != "bfloat16":
        assert loaded.dtype.name == dtype
        _core.save_safetensors(str(tmp_path / "again"), {"t": loaded[:, ::-1][:, ::-1]}, {})
        assert (tmp_path / "again").read_bytes() == Path(path).read_bytes()


@pytest.mark.parametrize("dtype", STORED)
def test_all_bits_go_through_files(dtype, tmp_path):
    path = str(tmp_path / "t.safetensors")
    values = widened(WORDS) if dtype == "bfloat16" else WORDS.view(np.float16)
    tensor = ops.cast(values, dtype)
    _core.save_safetensors(path, {"t": tensor}, {})
    loaded = _core.load_safetensors(path)[0]["t"]
    np.testing.assert_array_equal(np.asarray(loaded, np.float32), values.astype(np.float32))


# ---- computing


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize(
    "name,exact",
    [
        ("add", np.add),
        ("subtract", np.subtract),
        ("multiply", np.multiply),
        ("divide", np.divide),
        ("maximum", np.maximum),
        ("exp", np.exp),
        ("tanh", np.tanh),
        ("sqrt", np.sqrt),
        ("square", np.square),
        ("abs", np.abs),
        ("floor", np.floor),
        ("relu", lambda x: np.maximum(x, 0)),
        ("hypot", np.hypot),
        ("exp2", np.exp2),
        ("tan", np.tan),
        ("sinh", np.sinh),
        ("deg2rad", np.deg2rad),
    ],
)
def test_ops_compute_in_float32_and_round_once(name, exact, dtype):
    count = 1 if name in ("exp tanh sqrt square abs floor relu exp2 tan sinh deg2rad".split()) else 2
    pairs = [drawn(dtype, 40, 50, seed=seed) for seed in range(count)]
    if name == "sqrt":
        pairs = [(ops.abs(t), np.abs(v)) for t, v in pairs]
    result = getattr(ops, name)(*(t for t, _ in pairs))
    assert result.dtype == dtype
    expected = exact(*(v.astype(np.float64) for _, v in pairs)).astype(np.float32)
    got = values_of(result)
    # float32 itself is not exact: where the numbers lie near the middle, the neighbour is right as well.
    steps = np.abs(got - rounded(expected, dtype)) / np.maximum(np.abs(expected), 1e-30)
    assert (steps > 0).mean() < 0.01
    assert steps.max() <= (2**-7 if dtype == "bfloat16" else 2**-9)


@pytest.mark.parametrize("dtype", STORED)
def test_reductions_add_up_in_float32(dtype):
    ones = ops.ones((3, 5000), dtype)
    total = ops.sum(ones, axis=1)
    assert total.dtype == dtype
    assert values_of(total).tolist() == rounded([5000.0] * 3, dtype).tolist()
    x, values = drawn(dtype, 7, 300)
    exact = values.astype(np.float64)
    for name in ("mean", "var", "std", "max", "min", "logsumexp", "prod"):
        want = {"logsumexp": lambda a: np.log(np.exp(a).sum(1))}.get(
            name, lambda a, n=name: getattr(np, n)(a, axis=1)
        )
        got = getattr(ops, name)(x, axis=1)
        assert got.dtype == dtype, name
        np.testing.assert_allclose(values_of(got), rounded(want(exact), dtype), rtol=2**-7, atol=1e-7)
    assert ops.argmax(x, axis=1).numpy().tolist() == values.argmax(1).tolist()
    assert ops.sum(x > 0).dtype == "int32"
    np.testing.assert_array_equal(values_of(ops.cumsum(ones[0])), rounded(np.arange(1, 5001), dtype))


@pytest.mark.parametrize("dtype", STORED)
def test_elements_are_moved_as_they_are(dtype):
    words = WORDS[:0x7C00] if dtype == "float16" else WORDS[:0x7F80]
    values = (words.view(np.float16).astype(np.float32) if dtype == "float16" else widened(words))[:24000]
    values = values.reshape(20, 30, 40)
    x = ops.cast(values, dtype)
    moved = {
        "transpose": (ops.transpose(x, (2, 0, 1)), values.transpose(2, 0, 1)),
        "slice": (x[3:9:2, ::-1, 5], values[3:9:2, ::-1, 5]),
        "pad": (ops.pad(x, ((1, 0), (0, 2), (0, 0)), constant_values=0.1), None),
        "concatenate": (ops.concatenate([x, x], axis=1), np.concatenate([values, values], 1)),
        "stack": (ops.stack([x, x]), np.stack([values, values])),
        "tile": (ops.tile(x, (1, 2, 1)), np.tile(values, (1, 2, 1))),
        "repeat": (ops.repeat(x, 2, axis=0), np.repeat(values, 2, 0)),
        "flip": (ops.flip(x, axis=1), np.flip(values, 1)),
        "roll": (ops.roll(x, 3, axis=2), np.roll(values, 3, 2)),
        "take": (ops.take(x, [4, 0, -1], axis=1), values[:, [4, 0, -1]]),
        "broadcast": (ops.broadcast_to(x[:, :1], (20, 30, 40)), np.broadcast_to(values[:, :1], (20, 30, 40))),
        "reshape": (ops.reshape(x, (-1, 8)), values.reshape(-1, 8)),
        "where": (ops.where(values > 0, x, x), values),
    }
    padded = np.pad(values, ((1, 0), (0, 2), (0, 0)), constant_values=rounded(0.1, dtype).item())
    moved["pad"] = (moved["pad"][0], padded)
    for name, (got, expected) in moved.items():
        assert got.dtype == dtype, name
        np.testing.assert_array_equal(values_of(got), expected, err_msg=name)


@pytest.mark.parametrize("dtype", STORED)
def test_heavy_ops_take_storage(dtype):
    x, values = drawn(dtype, 2, 8, 8, 3)
    w, filters = drawn(dtype, 3, 3, 3, 4, seed=1)
    y = ops.conv(x, w, padding="same")
    assert y.dtype == dtype
    np.testing.assert_array_equal(
        values_of(y), rounded(ops.conv(values, filters, padding="same").numpy(), dtype)
    )
    assert ops.conv(x, filters).dtype == "float32"
    a, b = ops.reshape(x, (2, -1)), ops.reshape(x, (-1, 2))
    np.testing.assert_array_equal(
        values_of(ops.matmul(a, b)), rounded(ops.matmul(values_of(a), values_of(b)).numpy(), dtype)
    )
    for pooled in (ops.max_pool(x, 2), ops.average_pool(x, 2), ops.softmax(x), ops.normalize(x)):
        assert pooled.dtype == dtype


@pytest.mark.parametrize("dtype", STORED)
def test_gradients_have_the_type_of_what_they_are_taken_by(dtype):
    x, values = drawn(dtype, 4, 5)
    w, weights = drawn(dtype, 5, seed=1)
    scale = ops.array(3.0)

    def loss(x, w, scale):
        return ops.sum(ops.cast(x * w, "float32") * scale) + ops.sum(ops.cast(x[1:3], "float32"))

    grads = cnnrs.grad(lambda given: loss(*given))([x, w, scale])
    assert [g.dtype for g in grads] == [dtype, dtype, "float32"]
    # What meets is added up in float32, and each of both is rounded before.
    picked = np.zeros((4, 5), np.float32)
    picked[1:3] = 1.0
    by_x = rounded(rounded(np.float32(3.0) * np.broadcast_to(weights, (4, 5)), dtype) + picked, dtype)
    np.testing.assert_allclose(values_of(grads[0]), by_x, rtol=2**-7)
    np.testing.assert_allclose(
        values_of(grads[1]), rounded(3.0 * values.sum(0), dtype), rtol=2**-6, atol=2**-6
    )
    x.requires_grad = True
    ops.sum(x * x).backward()
    assert x.grad.dtype == dtype
    np.testing.assert_array_equal(values_of(x.grad), rounded(2.0 * values, dtype))


@pytest.mark.parametrize("dtype", STORED)
def test_traced_functions_compute_as_ops_do(dtype):
    x, _ = drawn(dtype, 6, 7)
    v = cnnrs.Variable(ops.cast(2.0, dtype))

    @cnnrs.function
    def step(x):
        y = ops.exp(x) * v + 1.0
        v.assign_add(ops.mean(y))
        return y, ops.max(y, axis=1)

    before = values_of(v)
    expected = ops.exp(x) * v + 1.0
    y, most = step(x)
    assert y.dtype == most.dtype == v.dtype == dtype
    np.testing.assert_array_equal(values_of(y), values_of(expected))
    np.testing.assert_array_equal(values_of(most), values_of(ops.max(expected, axis=1)))
    assert values_of(v) != before
    given = values_of(x)
    np.testing.assert_allclose(values_of(step(given)[0]), np.exp(given) * values_of(v) + 1, rtol=1)


def test_storage_is_no_debugging_failure():
    cnnrs.config.set_debug(True)
    try:
        assert (ops.cast([1.0], "float16") + 1).dtype == "float16"
        with pytest.raises(Exception, match="NaN"):
            ops.log(ops.cast([-1.0], "bfloat16"))
    finally:
        cnnrs.config.set_debug(False)


# ---- variables, layers, training


@pytest.mark.parametrize("dtype", STORED)
def test_variables_may_be_storage(dtype):
    v = cnnrs.Variable(lambda shape, dtype: np.full(shape, 2049.0), shape=(2,), dtype=dtype)
    assert v.dtype == dtype and values_of(v.value).tolist() == rounded([2049.0] * 2, dtype).tolist()
    v.assign(np.array([1 + 2**-12, 3.0]))
    v.assign_add(ops.array([1.0, 1.0]))
    assert v.dtype == dtype and values_of(v.value).tolist() == [2.0, 4.0]
    with pytest.raises(ValueError, match="assign expected"):
        v.assign(ops.array([1, 2]))
    again = pickle.loads(pickle.dumps(v))
    assert again.dtype == dtype and values_of(again.value).tolist() == [2.0, 4.0]
    assert cnnrs.Variable(np.ones(2, np.float16)).dtype == "float16"


class Scaled(layers.Layer):
    """A layer whose weight is storage."""

    def __init__(self, kept: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.kept = kept

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", dtype=self.kept, name="scale")

    def call(self, x: Any) -> Any:
        assert x.dtype == "float32"
        return x * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kept": self.kept}


@pytest.mark.parametrize("dtype", STORED)
def test_a_weight_that_is_storage_trains_and_is_saved(dtype, tmp_path):
    model = cnnrs.Sequential([cnnrs.Input((3,)), Scaled(dtype), layers.Dense(1)])
    assert model.layers[0].scale.dtype == dtype and model.output.dtype == "float32"
    model.compile(cnnrs.optimizers.Adam(0.05), "mse")
    x = np.random.default_rng(0).standard_normal((32, 3)).astype(np.float16)
    before = values_of(model.layers[0].scale.value)
    history = model.fit(x, x.sum(1, keepdims=True), epochs=3, verbose=0).history["loss"]
    after = values_of(model.layers[0].scale.value)
    assert history[-1] < history[0] and (before != after).all() and model.layers[0].scale.dtype == dtype
    path = str(tmp_path / "m.weights.safetensors")
    model.save_weights(path)
    assert b"BF16" in Path(path).read_bytes() or dtype == "float16" and b"F16" in Path(path).read_bytes()
    again = cnnrs.Sequential([cnnrs.Input((3,)), Scaled(dtype), layers.Dense(1)])
    again.load_weights(path)
    np.testing.assert_array_equal(values_of(again.layers[0].scale.value), after)
    # A weight of another float type takes the file's values, rounded where it has fewer bits.
    wide = cnnrs.Sequential([cnnrs.Input((3,)), Scaled("float32"), layers.Dense(1)])
    wide.load_weights(path)
    np.testing.assert_array_equal(wide.layers[0].scale.numpy(), after)
    wide.save_weights(path)
    again.load_weights(path)
    np.testing.assert_array_equal(values_of(again.layers[0].scale.value), after)
    again.set_weights([w.numpy() for w in model.weights])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_training_on_arrays_of_any_float_is_the_same(kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6, 6, 1)).astype(np.float16)
    y = rng.standard_normal((40, 2)).astype(np.float16)

    def trained(x, y):
        cnnrs.utils.set_random_seed(1)
        model = cnnrs.Sequential(
            [
                cnnrs.Input((6, 6, 1)),
                layers.Conv2D(3, 3, activation="relu"),
                layers.Flatten(),
                layers.Dense(2),
            ]
        )
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=16, epochs=2, verbose=0, validation_split=0.2)
        return [*model.get_weights(), model.predict(x, verbose=0), model.evaluate(x, y, verbose=0)]

    expected = trained(x.astype(np.float32), y.astype(np.float32))
    for a, b in zip(trained(x.astype(kind), y.astype(kind)), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_compute_storage_in_float32():
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 3)).astype(np.float16)
    for layer in (layers.ReLU(), layers.Conv2D(2, 3), layers.MaxPooling2D(), layers.BatchNormalization()):
        y = layer(ops.array(x))
        assert y.dtype == "float32"
        np.testing.assert_array_equal(y.numpy(), layer(x.astype(np.float32)).numpy())
    joined = layers.Add()([ops.array(x), ops.array(x)])
    assert joined.dtype == "float32"
    stored = cnnrs.Input((3,), dtype="float16")
    model = cnnrs.Model(stored, layers.ReLU()(stored))
    assert stored.dtype == "float16" and model.output.dtype == "float32"
    assert model(np.float32([[1.0001, -1, 2049]])).numpy().tolist() == [[1.0, 0.0, 2048.0]]


@pytest.mark.parametrize("dtype", STORED)
def test_tensors_are_made_as_storage(dtype):
    assert ops.zeros((2, 3), dtype).dtype == ops.eye(2, dtype=dtype).dtype == dtype
    np.testing.assert_array_equal(values_of(ops.arange(300, dtype=dtype)), rounded(np.arange(300), dtype))
    np.testing.assert_array_equal(
        values_of(ops.linspace(0, 1, 7, dtype=dtype)), rounded(np.linspace(0, 1, 7), dtype)
    )
    np.testing.assert_array_equal(values_of(ops.one_hot([1, 0], 3, dtype=dtype)), np.eye(3)[[1, 0]])
    assert ops.full((2,), 0.1, dtype=dtype).dtype == ops.ones_like(ops.zeros(2, dtype)).dtype == dtype
    assert ops.convert_to_tensor([1.0, 2.0], dtype=dtype).dtype == dtype
    drawn = random.uniform((1000,), dtype=dtype, seed=1)
    assert drawn.dtype == random.normal((3,), dtype=dtype, seed=1).dtype == dtype
    np.testing.assert_array_equal(values_of(drawn), rounded(random.uniform((1000,), seed=1).numpy(), dtype))
