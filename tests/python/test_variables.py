"""Variables behave like the arrays that they hold; optimizers may put gradients into them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import cnnrs
from cnnrs import Variable, layers, ops, optimizers

VALUES = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -0.25]], np.float32)


def _kinds() -> list[pytest.param]:
    return [
        pytest.param(cnnrs.Variable(VALUES), id="variable"),
        pytest.param(ops.array(VALUES), id="tensor"),
        pytest.param(
            layers.Dense(1).add_weight(shape=(2, 3), initializer=lambda s, dtype: VALUES), id="weight"
        ),
    ]


@pytest.mark.parametrize("other", [0.0, 1, VALUES, VALUES[0], np.zeros((2, 1)), ops.array(VALUES) * 1.0])
@pytest.mark.parametrize("x", _kinds())
def test_comparisons_are_of_values(x, other):
    host = np.asarray(other)
    np.testing.assert_array_equal((x == other).numpy(), host == VALUES)
    np.testing.assert_array_equal((x != other).numpy(), host != VALUES)
    np.testing.assert_array_equal((x < other).numpy(), host > VALUES)
    np.testing.assert_array_equal((other == x).numpy(), host == VALUES)


@pytest.mark.parametrize("x", _kinds())
def test_nothing_equals_none_and_identity_hashes(x):
    assert not (x == None) and x != None  # noqa: E711
    assert {x: "there"}[x] == "there" and x in [x]


def test_the_step_of_an_optimizer_compares_with_numbers():
    optimizer, v = optimizers.SGD(0.5), cnnrs.Variable([1.0])
    assert optimizer.iterations == 0
    optimizer.apply([[1.0]], [v])
    assert optimizer.iterations == 1 and optimizer.iterations != 0
    assert v == 0.5


_REDUCTIONS = ["all", "any", "argmax", "argmin", "max", "mean", "min", "prod", "std", "sum", "var"]


@pytest.mark.parametrize("keywords", [{}, {"axis": 0}, {"axis": -1, "keepdims": True}], ids=str)
@pytest.mark.parametrize("name", _REDUCTIONS)
@pytest.mark.parametrize("x", _kinds())
def test_reductions_of_numpy(x, name, keywords):
    function = getattr(np, name)
    result, expected = function(x, **keywords), function(VALUES, **keywords)
    assert type(result) is type(expected) and result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)
    ours = getattr(x, name)(**keywords)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("x", _kinds())
def test_arguments_of_numpys_reductions(x):
    assert np.std(x, ddof=1) == np.std(VALUES, ddof=1)
    assert np.sum(x, dtype=np.float64).dtype == np.float64
    out = np.zeros(3, np.float32)
    assert np.max(x, axis=0, out=out) is out
    np.testing.assert_array_equal(out, VALUES.max(0))
    assert np.sum(x, where=VALUES > 0) == VALUES[VALUES > 0].sum()
    with pytest.raises(TypeError, match="where"):
        x.sum(where=VALUES > 0)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Lion"])
@pytest.mark.parametrize(
    "extra", [{}, {"global_clipnorm": 1e-3}, {"use_ema": True}, {"weight_decay": 0.5}], ids=str
)
def test_a_gradient_that_is_the_next_value(name, extra):
    scale = cnnrs.Variable([1.0, 2.0], name="scale")
    weight = cnnrs.Variable([1.0, 2.0], name="weight")
    scale.overwrite_with_gradient = True
    optimizer = getattr(optimizers, name)(1.0, **extra)
    optimizer.apply([ops.array([5.0, 6.0]), ops.array([5.0, 6.0])], [scale, weight])
    assert scale.numpy().tolist() == [5.0, 6.0]
    assert weight.numpy().tolist() not in ([5.0, 6.0], [1.0, 2.0])
    optimizer.finalize_variable_values([scale, weight])
    assert scale.numpy().tolist() == [5.0, 6.0]
    alone = getattr(optimizers, name)(1.0, **extra)
    alone.apply([[7.0, 8.0]], [scale])
    assert scale.numpy().tolist() == [7.0, 8.0]


def test_a_gradient_that_is_the_next_value_in_fit_and_in_copies():
    class Amax(layers.Layer):
        def build(self, input_shape):
            self.amax = self.add_weight(shape=(), overwrite_with_gradient=True, name="amax")

        def call(self, inputs):
            return inputs * self.amax

    model = cnnrs.Sequential([cnnrs.Input((1,)), Amax()])
    model.compile("sgd", "mse")
    model.layers[0].amax.assign(3.0)
    # d/da mean((a x - 0)²) = 2 a x² with x = 1.
    model.fit(np.ones((4, 1)), np.zeros(4), epochs=1, verbose=0)
    assert float(model.layers[0].amax.numpy()) == 6.0
    for again in (copy.deepcopy(model.layers[0].amax), pickle.loads(pickle.dumps(model.layers[0].amax))):
        assert again.overwrite_with_gradient


class TestPaths:
    """A path has the names of scopes, and of the layers inside of which a variable was made."""

    def test_scopes(self):
        with cnnrs.name_scope("outer"), cnnrs.name_scope("inner"):
            variable = Variable([1.0], name="v")
        assert (variable.name, variable.path) == ("v", "outer/inner/v")
        assert Variable([1.0], name="v").path == "v"

    @pytest.mark.parametrize("when", ["init", "build"])
    def test_layers_in_layers(self, when):
        class Part(layers.Layer):
            def __init__(self, parts=(), **kwargs):
                super().__init__(**kwargs)
                self.parts = list(parts)
                if when == "init":
                    self.w = self.add_weight(shape=(1,), name="w")

            def build(self, input_shape):
                if when == "build":
                    self.w = self.add_weight(shape=(1,), name="w")

            def call(self, x):
                for part in self.parts:
                    x = part(x)
                return x * self.w

        for symbolic in (False, True):
            layer = Part([Part([Part(name="c")], name="b"), Part(name="d")], name="a")
            layer(cnnrs.Input((2,)) if symbolic else np.ones((1, 2)))
            # Weights that an `__init__` makes are made before somebody owns the layer, as in Keras.
            wanted = {"init": ["a/w", "b/w", "c/w", "d/w"], "build": ["a/w", "a/b/w", "a/b/c/w", "a/d/w"]}
            assert [v.path for v in layer.variables] == wanted[when]
            if when == "build":
                assert [part.path for part in layer._flatten_layers()] == ["a", "a/b", "a/b/c", "a/d"]

    def test_models(self):
        inner = cnnrs.Sequential([cnnrs.Input((2,)), layers.Dense(1, name="d")], name="inner")
        model = cnnrs.Sequential([inner], name="outer")
        assert [v.path for v in model.variables] == ["inner/d/kernel", "inner/d/bias"]
        x = cnnrs.Input((2,))
        functional = cnnrs.Model(x, layers.Dense(1, name="d")(x), name="f")
        assert [v.path for v in functional.variables] == ["d/kernel", "d/bias"]
        late = cnnrs.Sequential([layers.Dense(1, name="d")], name="late")
        late(np.ones((1, 2)))
        assert [v.path for v in late.variables] == ["late/d/kernel", "late/d/bias"]

    def test_an_error_leaves_the_scopes_as_they_were(self):
        class Broken(layers.Layer):
            def call(self, x):
                raise KeyError("broken")

        with pytest.raises(KeyError):
            Broken()(np.ones((1, 2)))
        assert Variable(1.0, name="v").path == "v"


class TestProperties:
    def test_initializers_by_name(self):
        assert Variable("ones", shape=(2,)).numpy().tolist() == [1.0, 1.0]
        assert Variable("zeros", shape=3, dtype="int32").dtype == "int32"
        with pytest.raises(ValueError, match="shape: expected integers"):
            Variable("ones", shape=(None, 2))
        with pytest.raises(ValueError, match="onez"):
            Variable("onez", shape=(2,))

    def test_what_is_given_is_kept(self):
        variable = Variable(1.0, aggregation="mean", synchronization="on_read")
        assert (variable.aggregation, variable.synchronization) == ("mean", "on_read")
        plain = Variable(1.0, aggregation=None)
        assert (plain.aggregation, plain.synchronization) == ("none", "auto")

    @pytest.mark.parametrize(
        "wrong",
        [{"aggregation": "median"}, {"synchronization": "x"}, {"layout": 3}, {"name": "a/b"}, {"name": 3}],
    )
    def test_wrong_arguments(self, wrong):
        with pytest.raises(ValueError, match=f"Variable: {next(iter(wrong))}: expected"):
            Variable(1.0, **wrong)

    def test_wrong_attributes(self):
        variable = Variable(1.0)
        for attribute in ("regularizer", "constraint"):
            with pytest.raises(ValueError, match=f"{attribute}: expected a function or None"):
                setattr(variable, attribute, "l2")
            setattr(variable, attribute, abs)
            assert getattr(variable, attribute) is abs
        with pytest.raises(TypeError, match="overwrite_with_gradient: expected True or False"):
            variable.overwrite_with_gradient = "true"
        for attribute in ("path", "aggregation", "synchronization"):
            with pytest.raises(AttributeError):
                setattr(variable, attribute, "x")


@pytest.mark.parametrize("value, dtype", [(1, "int32"), (True, "bool"), (1.5, "float32"), ([1, 2], "int32")])
def test_numbers_of_python_have_the_types_that_tensors_give_them(value, dtype):
    assert Variable(value).dtype == ops.array(value).dtype == dtype
