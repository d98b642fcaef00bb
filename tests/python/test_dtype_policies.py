"""Dtype policies, and what layers make of them."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from halves import EPSILON, HALVES, values_of

import cnnrs
from cnnrs import (
    config,
    dtype_policies,
    layers,
    losses,
    mixed_precision,
    models,
    ops,
    optimizers,
    saving,
)

pytestmark = pytest.mark.usefixtures("plain_policy")


# ---- policies


@pytest.mark.parametrize(
    ("name", "compute", "variable"),
    [
        ("float32", "float32", "float32"),
        ("mixed_float16", "float16", "float32"),
        ("mixed_bfloat16", "bfloat16", "float32"),
        ("float16", "float16", "float16"),
        ("bfloat16", "bfloat16", "bfloat16"),
    ],
)
def test_a_policy_is_a_pair_of_types(name, compute, variable):
    policy = dtype_policies.get(name)
    assert (policy.name, policy.compute_dtype, policy.variable_dtype) == (name, compute, variable)
    assert policy.quantization_mode is None and repr(policy) == f'<DTypePolicy "{name}">'
    assert policy == dtype_policies.FloatDTypePolicy(name) and policy != dtype_policies.get("int32")
    assert hash(policy) == hash(dtype_policies.DTypePolicy(name))
    for data in (dtype_policies.serialize(policy), {"class_name": "DTypePolicy", "config": {"name": name}}):
        assert dtype_policies.get(data) == policy == dtype_policies.deserialize(data)
    # As Keras writes it.
    keras = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": name},
        "registered_name": None,
    }
    assert layers.Dense(1, dtype=keras).dtype_policy == policy
    assert layers.Dense(1, dtype=policy).compute_dtype == compute
    assert type(policy).from_config(policy.get_config()) == policy


def test_names_lead_to_one_setting():
    assert mixed_precision.Policy is mixed_precision.DTypePolicy is cnnrs.DTypePolicy
    assert mixed_precision.LossScaleOptimizer is optimizers.LossScaleOptimizer
    assert config.dtype_policy() == dtype_policies.get(None) == dtype_policies.get("float32")
    for setter in (
        config.set_dtype_policy,
        mixed_precision.set_dtype_policy,
        mixed_precision.set_global_policy,
    ):
        for policy in ("mixed_float16", dtype_policies.DTypePolicy("float32")):
            setter(policy)
            assert config.dtype_policy() == mixed_precision.dtype_policy() == mixed_precision.global_policy()
            assert config.dtype_policy() == dtype_policies.get(policy) == dtype_policies.DTypePolicy()
    before = layers.Dense(1)
    config.set_dtype_policy("bfloat16")
    assert before.dtype_policy.name == "float32" and layers.Dense(1).dtype_policy.name == "bfloat16"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: dtype_policies.get("mixed"), ValueError, "mixed_float16.*received 'mixed'"),
        (lambda: dtype_policies.get("complex64"), ValueError, "no complex64"),
        (lambda: dtype_policies.get(1.5), ValueError, "expected a policy or its name"),
        (lambda: dtype_policies.get("int8_from_mixed_bfloat16"), ValueError, "quantized yet"),
        (lambda: dtype_policies.get("float8_from_float32"), ValueError, "quantized yet"),
        (lambda: dtype_policies.get("gptq/4/128_from_float32"), ValueError, "quantized yet"),
        (lambda: dtype_policies.QuantizedDTypePolicy, AttributeError, "quantized yet"),
        (lambda: dtype_policies.DTypePolicy(32), TypeError, "expected a string, received 32"),
        (lambda: config.set_dtype_policy(np.float16), ValueError, "DTypePolicy or its name"),
        (lambda: layers.Dense(1, dtype="int32", name="head"), ValueError, "head: dtype: .*int32"),
        (lambda: layers.Dense(1, dtype="mixed_float", name="head"), ValueError, "head: dtype: .*mixed_float"),
        (lambda: setattr(layers.Dense(1), "dtype_policy", "int64"), ValueError, "dense.*int64"),
        (
            lambda: dtype_policies.DTypePolicyMap(dtype_policies.DTypePolicyMap()),
            ValueError,
            "received a map",
        ),
        (lambda: dtype_policies.DTypePolicyMap(policy_map=["a"]), TypeError, "expected a dict"),
    ],
)
def test_what_is_no_policy_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_maps_have_policies_by_path():
    policies = dtype_policies.DTypePolicyMap("mixed_float16", {"a": "float32"})
    policies["b.*"] = "bfloat16"
    assert [policies[key].name for key in ("a", "b_2", "ab")] == ["float32", "bfloat16", "mixed_float16"]
    assert list(policies) == ["a", "b.*"] and len(policies) == 2 and "c" not in policies
    assert (policies.name, policies.compute_dtype, policies.variable_dtype) == (
        "map_mixed_float16",
        "float16",
        "float32",
    )
    with pytest.raises(ValueError, match="already"):
        policies["a"] = "float16"
    copy = dtype_policies.get(dtype_policies.serialize(policies))
    assert copy == policies and copy != dtype_policies.get("mixed_float16")
    policies["b_.*"] = "float32"
    with pytest.raises(ValueError, match="expected one key for 'b_2'"):
        policies["b_2"]
    del policies["b.*"]
    assert policies["b_2"].name == "float32" and policies != copy
    layer = layers.Dense(2, name="a", dtype=copy)
    restored = layers.Dense.from_config(layer.get_config())
    assert restored.compute_dtype == layer.compute_dtype == "float32"
    other = layers.Dense(2, name="c", dtype=copy)
    other.dtype_policy = "bfloat16"
    assert copy["c"].name == "bfloat16" == other.compute_dtype


# ---- layers

IMAGES = (2, 6, 6, 4)
LAYERS = {
    "Activation": (lambda **k: layers.Activation("gelu", **k), IMAGES),
    "AveragePooling2D": (lambda **k: layers.AveragePooling2D(2, **k), IMAGES),
    "BatchNormalization": (lambda **k: layers.BatchNormalization(**k), IMAGES),
    "Conv2D": (lambda **k: layers.Conv2D(3, 3, activation="relu", **k), IMAGES),
    "Conv2DTranspose": (lambda **k: layers.Conv2DTranspose(3, 3, **k), IMAGES),
    "Dense": (lambda **k: layers.Dense(3, activation="softmax", **k), (5, 4)),
    "DepthwiseConv2D": (lambda **k: layers.DepthwiseConv2D(3, **k), IMAGES),
    "Dropout": (lambda **k: layers.Dropout(0.5, **k), IMAGES),
    "Flatten": (lambda **k: layers.Flatten(**k), IMAGES),
    "GaussianNoise": (lambda **k: layers.GaussianNoise(0.5, **k), IMAGES),
    "GlobalAveragePooling2D": (lambda **k: layers.GlobalAveragePooling2D(**k), IMAGES),
    "GlobalMaxPooling2D": (lambda **k: layers.GlobalMaxPooling2D(**k), IMAGES),
    "GroupNormalization": (lambda **k: layers.GroupNormalization(2, **k), IMAGES),
    "LayerNormalization": (lambda **k: layers.LayerNormalization(**k), IMAGES),
    "LeakyReLU": (lambda **k: layers.LeakyReLU(**k), IMAGES),
    "MaxPooling2D": (lambda **k: layers.MaxPooling2D(2, **k), IMAGES),
    "PReLU": (lambda **k: layers.PReLU(**k), IMAGES),
    "Rescaling": (lambda **k: layers.Rescaling(0.5, 1.0, **k), IMAGES),
    "Resizing": (lambda **k: layers.Resizing(4, 4, **k), IMAGES),
    "Reshape": (lambda **k: layers.Reshape((-1,), **k), IMAGES),
    "SeparableConv2D": (lambda **k: layers.SeparableConv2D(3, 3, **k), IMAGES),
    "Softmax": (lambda **k: layers.Softmax(**k), IMAGES),
    "SpatialDropout2D": (lambda **k: layers.SpatialDropout2D(0.5, **k), IMAGES),
    "UnitNormalization": (lambda **k: layers.UnitNormalization(**k), IMAGES),
    "UpSampling2D": (lambda **k: layers.UpSampling2D(2, **k), IMAGES),
    "ZeroPadding2D": (lambda **k: layers.ZeroPadding2D(1, **k), IMAGES),
}
LAYERS = {name: entry for name, entry in LAYERS.items() if hasattr(layers, name)}


@pytest.mark.parametrize("given", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_policy_decides_the_types_of_weights_and_outputs(name, policy, given):
    make, shape = LAYERS[name]
    pair = dtype_policies.get(policy)
    x = np.random.default_rng(0).uniform(0.0, 1.0, shape)
    layer = make(dtype=policy)
    y = layer(ops.cast(x, given), training=True)
    assert y.dtype == pair.compute_dtype
    assert {w.dtype for w in layer.weights} <= {pair.variable_dtype}
    assert (layer.dtype, layer.variable_dtype) == (pair.variable_dtype, pair.variable_dtype)
    assert (layer.compute_dtype, layer.input_dtype) == (pair.compute_dtype, pair.compute_dtype)
    assert layer.compute_output_spec(cnnrs.KerasTensor((None, *shape[1:]))).dtype == pair.compute_dtype
    copy = type(layer).from_config(layer.get_config())
    assert copy.dtype_policy == layer.dtype_policy == pair
    assert deepcopy(layer).dtype_policy == pickle.loads(pickle.dumps(layer)).dtype_policy == pair


@pytest.mark.parametrize("policy", HALVES)
@pytest.mark.parametrize("name", [n for n in LAYERS if "Dropout" not in n and "Noise" not in n])
def test_layers_compute_what_they_do_in_float32_rounded(name, policy):
    make, shape = LAYERS[name]
    x = values_of(ops.cast(np.random.default_rng(0).uniform(0.0, 1.0, shape), HALVES[policy]))
    plain, mixed = make(dtype="float32"), make(dtype=policy)
    expected = plain(x, training=True).numpy()
    mixed(x)
    mixed.set_weights(plain.get_weights() if name != "BatchNormalization" else mixed.get_weights())
    y = values_of(mixed(x, training=True))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(y, expected, rtol=0, atol=4 * EPSILON[HALVES[policy]] * scale)


class Probe(layers.Layer):
    """Notes the types that it finds in `call`."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(1,), name="scale")
        self.fixed = self.add_weight(shape=(1,), name="fixed", autocast=False)
        self.count = self.add_weight(shape=(), dtype="int32", name="count")
        self.inner = layers.Dense(2, dtype="float32")

    def call(self, x, extra=None):
        self.found = {
            "x": x.dtype,
            "extra": None if extra is None else [e.dtype for e in extra],
            "scale": (self.scale.dtype, self.scale.value.dtype, (self.scale * 2.0).dtype),
            "fixed": (self.fixed.dtype, (self.fixed + 1.0).dtype),
            "count": (self.count + 1).dtype,
            "inner": self.inner(x).dtype,
        }
        return x * self.scale


def test_call_finds_inputs_and_weights_in_the_type_of_the_computation():
    extra = [ops.ones((1,)), ops.ones((1,), "int32"), ops.ones((1,), "bool")]
    probe = Probe(dtype="mixed_float16")
    y = probe(np.ones((3, 1)), extra=extra)
    assert y.dtype == "float16"
    assert probe.found == {
        "x": "float16",
        "extra": ["float16", "int32", "bool"],
        "scale": ("float16",) * 3,
        "fixed": ("float32",) * 2,
        "count": "int32",
        "inner": "float32",
    }
    # Outside of calls a weight is what it is.
    assert probe.scale.dtype == probe.scale.value.dtype == (probe.scale + 1.0).dtype == "float32"
    assert not probe.fixed.autocast and probe.scale.autocast
    assert not pickle.loads(pickle.dumps(probe.fixed)).autocast
    as_it_comes = Probe(dtype="mixed_float16", autocast=False)
    assert as_it_comes(np.ones((3, 1), np.float32)).dtype == "float32"
    assert (as_it_comes.found["x"], as_it_comes.found["scale"]) == ("float32", ("float32",) * 3)


def test_an_error_in_a_call_leaves_no_type_behind():
    class Broken(layers.Layer):
        def call(self, x):
            raise ValueError("no")

    v = cnnrs.Variable([1.0])
    with pytest.raises(ValueError, match="no"):
        Broken(dtype="mixed_float16")(np.ones(2))
    assert v.value.dtype == (v * 1.0).dtype == "float32"


def test_models_give_each_layer_what_it_takes():
    config.set_dtype_policy("mixed_bfloat16")
    exact = 1.0 + 2.0**-20
    first = layers.Rescaling(1.0, dtype="float32")
    model = models.Sequential([cnnrs.Input((1,)), first, layers.Dense(1), layers.Dense(1, dtype="float32")])
    assert [layer.output.dtype for layer in model.layers] == ["float32", "bfloat16", "float32"]
    assert (
        float(first.output.dtype == "float32")
        and float(models.Model(model.inputs, first.output)([[exact]])[0, 0]) == exact
    )
    assert model.compute_dtype == "bfloat16"
    for copy in (models.Sequential.from_config(model.get_config()), deepcopy(model)):
        config.set_dtype_policy("float32")
        assert copy.dtype_policy.name == "mixed_bfloat16"
        assert [layer.compute_dtype for layer in copy.layers] == ["float32", "bfloat16", "float32"]
        config.set_dtype_policy("mixed_bfloat16")
    config.set_dtype_policy("float32")
    functional = models.Model(model.inputs, model.outputs)
    functional.dtype_policy = "mixed_float16"
    assert models.Model.from_config(functional.get_config()).dtype_policy.name == "mixed_float16"


def test_losses_and_penalties_are_float32():
    config.set_dtype_policy("mixed_float16")
    x = ops.cast(np.full((4, 300), 300.0), "float16")
    assert losses.MeanSquaredError()(np.zeros((4, 300)), x).numpy() == 90000.0
    layer = layers.Dense(300, activity_regularizer="l2", kernel_initializer="identity")
    layer(x)
    assert layer.losses[0].dtype == "float32" and np.isfinite(layer.losses[0].numpy())
    assert layer.losses[0].numpy() == pytest.approx(0.01 * 300 * 90000)


def test_files_keep_policies(tmp_path):
    config.set_dtype_policy("mixed_float16")
    model = models.Sequential(
        [cnnrs.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten()]
        + [layers.Dense(2, dtype="float32"), layers.Dense(2, dtype="bfloat16")]
    )
    model.compile("adam", "mse")
    x = np.random.default_rng(1).normal(size=(8, 6, 6, 1))
    model.fit(x, np.zeros((8, 2)), verbose=0)
    model.save(tmp_path / "model.cnnrs.safetensors" if False else tmp_path / "model.safetensors")
    config.set_dtype_policy("float32")
    loaded = saving.load_model(tmp_path / "model.safetensors")
    assert [layer.dtype_policy for layer in loaded.layers] == [layer.dtype_policy for layer in model.layers]
    assert [w.dtype for w in loaded.weights] == [w.dtype for w in model.weights]
    assert isinstance(loaded.optimizer, optimizers.LossScaleOptimizer)
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    np.testing.assert_array_equal(values_of(loaded(x)), values_of(model(x)))
    more = {"epochs": 2, "verbose": 0, "shuffle": False}
    model.fit(x, np.ones((8, 2)), **more)
    loaded.fit(x, np.ones((8, 2)), **more)
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(values_of(ours), values_of(theirs))


# ---- Keras's figures

KERAS = json.loads((Path(__file__).parents[1] / "fixtures" / "keras_precision.json").read_text())


@pytest.mark.parametrize("case", KERAS["layers"], ids=lambda case: f"{case['class']}-{case['policy']}")
def test_layers_have_the_types_and_values_of_keras(case):
    layer = getattr(layers, case["class"])(dtype=case["policy"], **case["config"])
    layer.build((None, *case["shape"][1:]))
    assert [w.dtype for w in layer.weights] == case["dtypes"]
    layer.set_weights([np.float32(w) for w in case["weights"]])
    x = np.round(np.random.default_rng(0).standard_normal(case["shape"]) * 16) / 16
    y = layer(x)
    assert y.dtype == case["dtype"]
    epsilon = EPSILON.get(y.dtype, 1e-6)
    scale = max(1.0, np.abs(case["outputs"]).max())
    np.testing.assert_allclose(values_of(y), case["outputs"], rtol=0, atol=4 * epsilon * scale)


# ---- maps, and files of before


def test_a_layer_s_place_in_a_map_may_be_set_again_and_loading_leaves_the_map_alone():
    policies = dtype_policies.DTypePolicyMap("mixed_bfloat16", {"head.*": "float32"})
    config.set_dtype_policy(policies)
    layer = layers.Dense(2, name="q")
    for name in ("float32", "bfloat16"):
        layer.dtype_policy = name
        assert layer.dtype_policy.name == name
    model = cnnrs.Sequential([layers.Input((3,)), layers.Dense(2)])
    functional = models.Model(model.inputs, model.outputs)
    before = dict(policies)
    for made in (model, functional):
        for _ in range(2):
            type(made).from_config(made.get_config())
    assert dict(policies) == before


def test_models_whose_config_names_no_policy_are_float32(tmp_path, monkeypatch):
    x = np.ones((8, 3), np.float32)
    for functional in (False, True):
        model = cnnrs.Sequential([layers.Input((3,)), layers.Dense(1)])
        model = models.Model(model.inputs, model.outputs) if functional else model
        model.compile("adam", "mse")
        model.fit(x, x[:, :1], verbose=0)
        of_now = type(model).get_config
        with monkeypatch.context() as patch:
            patch.setattr(
                type(model),
                "get_config",
                lambda self, of=of_now: {k: v for k, v in of(self).items() if k != "dtype"},
            )
            model.save(tmp_path / "old.safetensors")
        config.set_dtype_policy("mixed_float16")
        loaded = saving.load_model(tmp_path / "old.safetensors")
        assert loaded.dtype_policy.name == "float32" and isinstance(loaded.optimizer, optimizers.Adam)
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
        config.set_dtype_policy("float32")
