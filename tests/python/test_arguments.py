"""Wrong names and values of arguments: what was called, what it expects, and what was received."""

from __future__ import annotations

import inspect
import re
import warnings

import numpy as np
import pytest

import cnnrs
from cnnrs import (
    applications,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    saving,
    utils,
)
from cnnrs.base.arguments import NamedArguments
from cnnrs.optimizers import schedules


def compiled(**arguments):
    model = cnnrs.Sequential([cnnrs.Input((2,)), layers.Dense(3)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **arguments})
    return model


X, Y = np.ones((4, 2), np.float32), np.ones((4, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.MeanSquaredError(reducton="sum"), "MeanSquaredError: .*'reducton'.*'reduction'"),
        (lambda: losses.Huber(detla=1.0), "Huber: .*'detla'.*'delta'"),
        (lambda: metrics.Precision(threshold=0.5), "Precision: .*'threshold'.*'thresholds'"),
        (lambda: metrics.MeanSquaredError(nam="m"), "MeanSquaredError: .*'nam'.*'name'"),
        (lambda: compiled().fit(X, Y, epoch=3), "fit: .*'epoch'.*'epochs'"),
        (lambda: compiled(losses="mse"), "compile: .*'losses'.*'loss'"),
        (lambda: compiled().evaluate(X, Y, batchsize=3), "evaluate: .*'batchsize'.*'batch_size'"),
        (lambda: compiled().predict(X, batchsize=3), "predict: .*'batchsize'.*'batch_size'"),
        (
            lambda: compiled().save("m.safetensors", include_optimzer=False),
            "save: .*optimzer.*'include_optimizer'",
        ),
        (lambda: compiled().save("m.safetensors", overwrit=False), "save: .*'overwrit'.*'overwrite'"),
        (lambda: saving.load_model("m.safetensors", compiled=False), "load_model: .*'compiled'.*'compile'"),
        (lambda: models.clone_model(compiled(), recursiv=True), "clone_model: .*'recursiv'.*'recursive'"),
        (lambda: callbacks.EarlyStopping(patiance=3), "EarlyStopping: .*'patiance'.*'patience'"),
        (lambda: callbacks.ReduceLROnPlateau(patiance=3), "ReduceLROnPlateau: .*'patiance'.*'patience'"),
        (lambda: optimizers.SGD(momentun=0.9), "SGD: .*'momentun'.*'momentum'"),
        (lambda: optimizers.Adam(lr=0.1), "Adam: .*'lr'.*'learning_rate'"),
        (lambda: schedules.CosineDecay(0.1, decay_step=3), "CosineDecay: .*'decay_step'.*'decay_steps'"),
        (lambda: initializers.RandomNormal(std=1.0), "RandomNormal: .*'std'.*'stddev'"),
        (lambda: cnnrs.regularizers.L2(l=0.1), "L2: .*'l'.*'l2'"),
        (lambda: cnnrs.constraints.MaxNorm(max=0.1), "MaxNorm: .*'max'.*(max_value|axis)"),
        (lambda: layers.Dense(3, activaton="relu"), "Dense: .*'activaton'.*'activation'"),
        (lambda: layers.ReLU(max_valu=6.0), "ReLU: .*'max_valu'.*'max_value'"),
        (lambda: layers.Dense(3, trainabel=True), "Dense: .*'trainabel'.*'trainable'"),
        (lambda: cnnrs.Model(inputs=cnnrs.Input((2,)), output=1), "Model: .*'output'.*'outputs'"),
        (lambda: layers.Dense(3).add_weight(shap=(1,)), "add_weight: .*'shap'.*'shape'"),
        (lambda: cnnrs.ops.max_pool(X, 2, stride=1), "max_pool: .*'stride'.*'strides'"),
        (lambda: cnnrs.ops.sum(cnnrs.Input((2,)), axes=1), "sum: .*'axes'.*'axis'"),
        (lambda: applications.ResNet18(clases=3), "ResNet18: .*'clases'.*'classes'"),
        (lambda: cnnrs.random.SeedGenerator(sed=3), "SeedGenerator: .*'sed'.*'seed'"),
    ],
)
def test_a_wrong_name_is_named_with_the_right_one(call, message):
    with pytest.raises(TypeError, match=message) as caught:
        call()
    assert "__init__" not in str(caught.value)


def test_missing_and_superfluous_arguments_name_the_class():
    with pytest.raises(TypeError, match=r"^Dense: missing 1 required positional argument: 'units'"):
        layers.Dense()
    with pytest.raises(TypeError, match=r"^Huber: takes from 1 to 5 positional arguments but 6 were given"):
        losses.Huber(1.0, "sum", "h", None, 5)


def test_errors_inside_of_a_constructor_stay_as_they_are():
    class Broken(layers.Layer):
        def __init__(self):
            super().__init__()
            int(units=3)

    with pytest.raises(TypeError, match=r"^int\(\)|^'units' is an invalid"):
        Broken()


def test_classes_of_the_user_are_served_too():
    class Block(layers.Layer):
        def __init__(self, filters, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(TypeError, match="Block: .*'filtres'.*'filters'"):
        Block(filtres=3)
    with pytest.raises(TypeError, match="Block: .*'nmae'.*'name'"):
        Block(3, nmae="b")
    assert list(inspect.signature(Block).parameters) == ["filters", "kwargs"]


@pytest.mark.parametrize("home", ["callbacks", "initializers", "layers", "losses", "metrics", "optimizers"])
def test_every_public_class_names_its_arguments(home):
    module = getattr(cnnrs, home)
    for name in getattr(module, "__all__", dir(module)):
        value = getattr(module, name)
        if isinstance(value, type) and value.__module__.startswith("cnnrs") and name != "InputSpec":
            assert issubclass(value, NamedArguments) or name == "CallbackList", name


def test_warnings_point_at_the_users_line():
    model = compiled(optimizer=optimizers.SGD(1e30))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y, epochs=4, verbose=0, callbacks=[callbacks.EarlyStopping("val_los")])
    assert {w.filename for w in caught} == {__file__}
    assert {w.category for w in caught} == {RuntimeWarning, UserWarning}


# ---- values

NAN = float("nan")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizers.Adam(-1.0), "Adam: learning_rate: .*>= 0.*-1"),
        (lambda: optimizers.Adam(NAN), "Adam: learning_rate: .*finite.*nan"),
        (lambda: optimizers.Adam("a"), "Adam: learning_rate: expected a finite number.*'a'"),
        (lambda: optimizers.Adam(lambda: -1.0).learning_rate, "Adam: learning_rate: .*-1"),
        (lambda: setattr(optimizers.SGD(), "learning_rate", NAN), "SGD: learning_rate: .*nan"),
        (lambda: optimizers.Adam(beta_1=2.0), "Adam: beta_1: .*>= 0 and < 1.*2"),
        (lambda: optimizers.AdamW(beta_2=-0.1), "AdamW: beta_2: "),
        (lambda: optimizers.Adamax(beta_1=1.0), "Adamax: beta_1: "),
        (lambda: optimizers.Lion(beta_1=1.5), "Lion: beta_1: "),
        (lambda: optimizers.RMSprop(rho=1.5), "RMSprop: rho: "),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), "Adagrad: initial_accumulator_value: "),
        (lambda: optimizers.SGD(momentum="x"), "SGD: momentum: .*'x'"),
        (lambda: optimizers.SGD(weight_decay=NAN), "SGD: weight_decay: "),
        (lambda: optimizers.SGD(clipnorm="a"), "SGD: clipnorm: .*'a'"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=2.5), "SGD: gradient_accumulation_steps: .*2.5"),
        (lambda: schedules.CosineDecay(NAN, 3), "CosineDecay: initial_learning_rate: .*nan"),
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "ExponentialDecay: decay_steps: .*> 0.*0"),
        (lambda: schedules.PolynomialDecay(0.1, 0), "PolynomialDecay: decay_steps: "),
        (lambda: initializers.RandomNormal(stddev=-1.0), "RandomNormal: stddev: .*>= 0.*-1"),
        (lambda: initializers.TruncatedNormal(stddev=NAN), "TruncatedNormal: stddev: "),
        (lambda: initializers.RandomUniform(1.0, 0.0), "RandomUniform: maxval: .*>= 1.*0"),
        (lambda: losses.Huber(delta=-1), "Huber: delta: .*> 0.*-1"),
        (lambda: cnnrs.regularizers.L2("a"), "L2: l2: .*'a'"),
        (lambda: layers.Rescaling("a"), "rescaling.*: scale: .*'a'"),
        (lambda: layers.Rescaling(1.0, offset=None), "rescaling.*: offset: .*None"),
        (lambda: callbacks.EarlyStopping(patience=-1), "EarlyStopping: patience: .*>= 0.*-1"),
        (lambda: callbacks.EarlyStopping(min_delta="a"), "EarlyStopping: min_delta: "),
        (lambda: callbacks.ReduceLROnPlateau(patience=-1), "ReduceLROnPlateau: patience: "),
        (lambda: callbacks.ReduceLROnPlateau(factor=NAN), "ReduceLROnPlateau: factor: "),
        (lambda: compiled().fit(X, Y, class_weight={0: NAN}), "class_weight: class 0: .*finite.*nan"),
        (lambda: compiled().fit(X, Y, class_weight={"a": 1}), "class_weight: expected integers as keys.*'a'"),
        (lambda: compiled().fit(X, Y, epochs=2.5), "fit: epochs: expected an integer.*2.5"),
        (lambda: compiled().fit(X, Y, epochs="2"), "fit: epochs: expected an integer.*'2'"),
        (lambda: compiled().fit(X, Y, initial_epoch=-1), "fit: initial_epoch: .*-1"),
        (
            lambda: compiled().fit(X, np.full((4, 3), 2**40)),
            "y: expected integers within int32, received 109",
        ),
        (lambda: compiled().predict(np.full((4, 2), -(2**40))), "x: expected integers within int32"),
        (
            lambda: compiled().fit(X, Y, validation_data=(X[:3], Y[:2])),
            "validation_data: expected as many samples.*x: 3, y: 2",
        ),
        (lambda: compiled().fit(X, Y[:, :2]), r"'mse' of output 'dense\w*'.*\(4, 3\) and y .*\(4, 2\)"),
        (lambda: applications.ResNet18("cifar", classes=0), "resnet18: classes: .*>= 1.*0"),
        (lambda: applications.ResNet34(classes=0), "resnet34: classes: .*>= 1.*0"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_class_weights_are_a_dict():
    with pytest.raises(TypeError, match=r"class_weight: expected a dict.*\[1, 2\]"):
        compiled().fit(X, Y, class_weight=[1, 2])


def test_weights_of_text_name_the_weight_and_leave_all_as_it_is():
    layer = layers.Dense(2, name="head")
    layer.build((None, 1))
    before = layer.get_weights()
    with pytest.raises(TypeError, match="head: set_weights: head/bias: expected numbers"):
        layer.set_weights([np.ones((1, 2)), np.array(["a", "b"])])
    assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))


def test_values_with_a_meaning_are_kept():
    assert float(optimizers.Adam(0.0).learning_rate) == 0.0
    assert float(optimizers.SGD(np.float64(0.5)).learning_rate) == 0.5
    assert float(optimizers.SGD(cnnrs.ops.array(0.5)).learning_rate) == 0.5
    assert initializers.RandomNormal(stddev=0)((2,)).tolist() == [0.0, 0.0]
    assert callbacks.EarlyStopping(patience=2.5).patience == 2.5
    assert compiled().fit(X, Y, epochs=np.int64(2), verbose=0).epoch == [0, 1]
    assert compiled().fit(X, Y, epochs=0, verbose=0).epoch == []
    assert compiled().fit(X, Y, class_weight={0: 0, 1: np.float32(2.0)}, verbose=0).epoch == [0]
    assert layers.Rescaling([1.0, 2.0], np.zeros(2))(X).shape == (4, 2)


def test_errors_show_no_large_arrays_whole():
    images = np.zeros((2, 64, 64, 3), np.float32)
    model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), layers.Conv2D(2, 3)])
    shown = "received ndarray of shape (2, 64, 64, 3) and dtype float32"
    for call in (
        lambda: cnnrs.analysis.effective_receptive_field(model, images),
        lambda: layers.Dense(images),
        lambda: layers.Resizing(8, images),
        lambda: optimizers.SGD(images),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert str(caught.value).endswith(shown), str(caught.value)[:300]
    with pytest.raises(ValueError, match="…$"):
        layers.Conv2D(8, list(range(1000)) + ["a"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: layers.Conv2D(8, 3, border_mode="same"), "it is called 'padding' today"),
        (lambda: layers.Conv2D(8, 3, subsample=(2, 2)), "it is called 'strides' today"),
        (lambda: layers.Embedding(5, 2, init="uniform"), "it is called 'embeddings_initializer' today"),
        (lambda: layers.Dense(4, output_dim=3), "it is called 'units' today"),
        (lambda: layers.Dense(4, weights=[]), "call set_weights once the layer is built"),
        (lambda: layers.Dense(4, batch_input_shape=(2, 3)), "layers.Input(batch_shape=...)"),
        (lambda: layers.Input(batch_input_shape=(2, 3)), "it is called 'batch_shape' today"),
        (lambda: optimizers.Adam(decay=1e-6), "as learning_rate"),
        (lambda: callbacks.ReduceLROnPlateau(epsilon=1e-3), "it is called 'min_delta' today"),
        (
            lambda: utils.image_dataset_from_directory(".", smart_resize=True),
            "it is called 'crop_to_aspect_ratio' today",
        ),
        (lambda: compiled().fit(X, Y, workers=2), "PyDataset takes it"),
        # An argument that only others had gets no such hint.
        (lambda: layers.Dense(4, period=2), "Dense: unexpected argument 'period'$"),
    ],
)
def test_who_gives_an_argument_of_a_former_version_is_told_its_name_of_today(call, words):
    pattern = words if words.endswith("$") else re.escape(words)
    with pytest.raises(TypeError, match=f"(?s){pattern}"):
        call()
