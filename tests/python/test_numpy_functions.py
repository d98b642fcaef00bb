"""Functions of numpy on tensors and variables, and how these print."""

import numpy as np
import pytest

import cnnrs as keras
from cnnrs import ops

VALUES = np.array([[1.0, 4.0, 9.0], [0.25, 2.0, 3.0]], np.float32)

UNARY = [np.sqrt, np.exp, np.log, np.abs, np.sign, np.negative, np.square, np.isnan, np.floor, np.tanh]
BINARY = [
    np.add,
    np.subtract,
    np.multiply,
    np.divide,
    np.power,
    np.maximum,
    np.minimum,
    np.greater,
    np.arctan2,
]
FUNCTIONS = [
    np.ptp, np.median, np.transpose, np.squeeze, np.ravel, np.cumsum, np.sort, np.unique, np.diff, np.round,
    np.shape, np.ndim, np.size, np.zeros_like, np.linalg.norm, np.fliplr, np.nanmax, np.atleast_3d, np.copy,
]  # fmt: skip


@pytest.fixture(params=["realised", "pending", "variable"])
def x(request):
    if request.param == "variable":
        return keras.Variable(VALUES)
    tensor = ops.convert_to_tensor(VALUES)
    return tensor if request.param == "realised" else tensor * 1.0


def same(result, expected):
    assert type(result) is type(expected)
    assert getattr(result, "dtype", None) == getattr(expected, "dtype", None)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("function", UNARY + FUNCTIONS, ids=lambda f: f.__name__)
def test_functions_of_one_array_give_what_they_give_for_the_array(function, x):
    same(function(x), function(VALUES))


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
def test_functions_of_two_arrays(function, x):
    for left, right in [(x, 2.0), (2.0, x), (x, VALUES), (VALUES, x), (x, x)]:
        array = [VALUES if side is x else side for side in (left, right)]
        same(function(left, right), function(*array))


def test_outputs_and_methods_of_functions(x):
    out = np.empty_like(VALUES)
    assert np.sqrt(x, out=out) is out
    same(out, np.sqrt(VALUES))
    same(np.add.reduce(x, axis=1), VALUES.sum(1))
    same(np.concatenate([x, VALUES]), np.concatenate([VALUES, VALUES]))
    same(np.stack([x, x], axis=1), np.stack([VALUES, VALUES], axis=1))
    same(np.where(x > 1, x, 0), np.where(VALUES > 1, VALUES, np.float32(0)))
    same(np.einsum("ij,kj->ik", x, x), np.einsum("ij,kj->ik", VALUES, VALUES))
    np.testing.assert_allclose(x, VALUES)


OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge", "eq", "ne"]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_of_arrays_and_numpy_scalars_give_tensors(name, x):
    import operator

    function = getattr(operator, name)
    for other in (VALUES, VALUES.astype(np.float64), np.float32(2), np.float64(2)):
        for left, right in ((other, x), (x, other)):
            result = function(left, right)
            assert isinstance(result, keras.Tensor)
            expected = function(*[VALUES if side is x else np.float32(side) for side in (left, right)])
            np.testing.assert_allclose(result, expected, rtol=1e-6)
    symbol = keras.Input((3,))
    if name not in ("eq", "ne"):
        assert isinstance(function(VALUES[0], symbol), keras.KerasTensor)


def test_gradients_flow_through_operators_with_arrays():
    x = keras.Variable(VALUES)
    with keras.GradientTape() as tape:
        y = ops.sum(VALUES * x + np.float32(3) * x)
    np.testing.assert_allclose(tape.gradient(y, x), VALUES + 3)


def test_symbols_say_that_they_have_no_values():
    symbol = keras.Input((3,))
    for function in (np.sqrt, np.mean, np.transpose):
        with pytest.raises((TypeError, ValueError), match=r"symbolic and has no value.*cnnrs\.ops"):
            function(symbol)


def test_functions_of_numpy_in_a_traced_function_name_what_to_use():
    seen = []

    @keras.function
    def traced(x):
        assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6)
        for function in (np.sqrt, np.mean, lambda a: np.add(a, VALUES)):
            with pytest.raises(
                RuntimeError, match=r"being traced; use functions of cnnrs\.ops instead of numpy"
            ):
                function(x)
        seen.append(True)
        return VALUES + x

    np.testing.assert_allclose(traced(VALUES), 2 * VALUES)
    assert seen == [True]


def test_tensors_show_their_numbers(x):
    for text in (repr(x), str(x)):
        assert "shape=(2, 3)" in text and "dtype=float32" in text
        assert "[[1.   4.   9.  ]\n [0.25 2.   3.  ]]" in text
    assert "[ 5. 13.]" not in repr(x) and "6." in repr(ops.sum(x[:, :1]) + 4.75)
    for dtype in ("bfloat16", "float16", "int32", "bool"):
        assert "4" in repr(ops.cast(x, dtype)) or dtype == "bool"


def test_in_a_traced_function_they_show_shape_and_dtype():
    weight = keras.Variable(VALUES, name="weight")
    shown = []

    @keras.function
    def traced(x):
        shown.extend([repr(x), repr(x + 1), repr(weight), str(weight.value)])
        return x + weight

    traced(VALUES)
    tensor = "<Tensor shape=(2, 3) dtype=float32>"
    assert shown == [tensor, tensor, "<Variable path=weight, shape=(2, 3), dtype=float32>", tensor]
    model = keras.Sequential([keras.Input((3,)), Printing()])
    model.predict(VALUES, verbose=0)
    assert Printing.shown and "\n" not in "".join(Printing.shown)


class Printing(keras.layers.Layer):
    shown: list[str] = []

    def call(self, x):
        self.shown.append(repr(x))
        return x * 2
