"""Bad input: the type of the exception, and that the message names layer, argument, received and expected."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, ops


def model_of(*stack, shape=(8, 8, 1), **compile_arguments):
    model = cnnrs.Sequential([cnnrs.Input(shape), *stack])
    if compile_arguments:
        model.compile(**compile_arguments)
    return model


def classifier():
    return model_of(
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
        optimizer="sgd",
        loss="sparse_categorical_crossentropy",
    )


X = np.zeros((6, 8, 8, 1), np.float32)
Y = np.zeros(6, np.int64)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: layers.Conv2D(0, 3, name="c"), ValueError, ["c", "filters", ">= 1", "0"]),
        (lambda: layers.Conv2D(2.5, 3), ValueError, ["filters", "2.5"]),
        (lambda: layers.Conv2D(2, (3, 3, 3), name="c"), ValueError, ["c: kernel_size", "pair", "(3, 3, 3)"]),
        (lambda: layers.Conv2D(2, 3, padding="sane"), ValueError, ["padding", "'same'", "'sane'"]),
        (lambda: layers.Conv2D(2, 3, strides=2, dilation_rate=2), ValueError, ["strides", "dilation_rate"]),
        (lambda: layers.Conv2D(3, 3, groups=2), ValueError, ["filters", "groups", "3"]),
        (lambda: layers.Conv2D(2, 3, data_format="nchw"), ValueError, ["data_format", "'nchw'"]),
        (
            lambda: layers.Conv2D(2, 3, kernal_initializer="zeros"),
            TypeError,
            ["kernal_initializer", "kernel_initializer"],
        ),
        (lambda: layers.Conv2D(2, 3, activation="rellu"), ValueError, ["'rellu'", "'relu'"]),
        # What is looked up by name says whose argument it is, also inside of blocks.
        (lambda: layers.Dense(2, activation="rellu", name="c"), ValueError, ["c: activation: nothing"]),
        (lambda: layers.Dense(2, activation=3, name="c"), TypeError, ["c: activation: expected", "3"]),
        (
            lambda: layers.Conv2D(2, 3, kernel_initializer="he_nrmal", name="c"),
            ValueError,
            ["c: kernel_initializer: nothing", "'he_nrmal'", "'he_normal'"],
        ),
        (lambda: layers.ConvBlock(2, bias_regularizer="l3"), TypeError, ["ConvBlock", "bias_regularizer"]),
        (
            lambda: layers.ConvBlock(2, kernel_regularizer="l3", name="c"),
            ValueError,
            ["c: kernel_regularizer: nothing", "'l3'"],
        ),
        (lambda: layers.BasicBlock(2, activation="rellu", name="c"), ValueError, ["c: activation: nothing"]),
        (lambda: layers.SqueezeExcitation(gate="sigmoyd", name="c"), ValueError, ["c: gate: nothing"]),
        (lambda: layers.LSTM(2, recurrent_activation="tan", name="c"), ValueError, ["recurrent_activation"]),
        (
            lambda: layers.Dense(2, activity_regularizer="l3", name="c"),
            ValueError,
            ["c: activity_regularizer: nothing"],
        ),
        (lambda: layers.Conv2D(2, 3, data_format="nchw", name="c"), ValueError, ["c: data_format: expected"]),
        (
            lambda: layers.BasicBlock(2, data_format="nchw", name="c"),
            ValueError,
            ["c: data_format: expected"],
        ),
        (lambda: layers.GeMPooling2D(data_format="nchw", name="c"), ValueError, ["c: data_format: expected"]),
        (lambda: layers.Dense(-1), ValueError, ["units", "-1"]),
        (lambda: layers.Dense(2, name="a/b"), ValueError, ["name", "a/b"]),
        (lambda: layers.Dense(2, dtype="int64"), ValueError, ["dtype", "int64", "float32"]),
        (lambda: layers.Dropout(1.5, name="d"), ValueError, ["d", "rate", "1.5"]),
        (lambda: layers.BatchNormalization(momentum=2), ValueError, ["momentum", "2"]),
        (lambda: layers.MaxPooling2D(0), ValueError, ["pool_size", "0"]),
        (lambda: layers.ReLU(negative_slope=-1), ValueError, ["negative_slope", "-1"]),
        (lambda: layers.Reshape((-1, -1)), ValueError, ["target_shape"]),
        (lambda: cnnrs.Input((2.5,)), TypeError, ["shape", "2.5"]),
        (lambda: cnnrs.Input((-2,)), ValueError, ["shape", "-2"]),
        (lambda: layers.Conv4D, AttributeError, ["Conv4D", "Conv3D"]),
        (lambda: cnnrs.layer, AttributeError, ["layer", "layers"]),
        (lambda: ops.relu7, AttributeError, ["relu7"]),
        (lambda: cnnrs.distribution, AttributeError, ["distribution", "cnnrs.device"]),
        (lambda: cnnrs.config.set_num_threads(0), ValueError, ["n", "0"]),
        (lambda: cnnrs.applications.LeNet5(variant="modern"), ValueError, ["variant", "modern", "classic"]),
        (lambda: cnnrs.applications.ResNet18("svhn"), ValueError, ["stem", "svhn", "cifar"]),
    ],
)
def test_wrong_arguments(make, kind, words):
    with pytest.raises(kind) as error:
        make()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (lambda: layers.Conv2D(2, 3, name="c"), (4, 8), ["c", "4 axes", "(4, 8)"]),
        (lambda: layers.Conv2D(2, 5, name="c"), (1, 2, 2, 1), ["c", "5", "2"]),
        (lambda: layers.Conv2D(2, 3, groups=2, name="c"), (1, 8, 8, 3), ["c", "groups", "3"]),
        (lambda: layers.MaxPooling2D(5, name="p"), (1, 2, 2, 1), ["p", "5", "2"]),
        (lambda: layers.Reshape((7,), name="r"), (1, 8), ["r", "target_shape", "8", "7"]),
        (lambda: layers.Cropping2D(4, name="k"), (1, 8, 8, 1), ["k", "cropping"]),
        (lambda: layers.Add(name="s"), (1, 8), ["s", "list of inputs"]),
        (lambda: layers.GroupNormalization(3, name="g"), (1, 4, 4, 4), ["g", "groups", "3"]),
    ],
)
def test_wrong_inputs_name_the_layer(layer, shape, words):
    with pytest.raises(ValueError) as error:
        layer()(np.zeros(shape, np.float32))
    for word in words:
        assert word in str(error.value)


def test_a_layer_refuses_another_number_of_channels():
    layer = layers.Conv2D(2, 3, name="c")
    layer(np.zeros((1, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"c: expected .*3.*received .*\(1, 8, 8, 4\)"):
        layer(np.zeros((1, 8, 8, 4)))


def test_symbolic_shape_errors_name_the_layer():
    with pytest.raises(ValueError, match="first"):
        layers.Conv2D(4, 9, name="first")(cnnrs.Input((4, 4, 1)))


def test_model_refuses_another_shape():
    with pytest.raises(ValueError, match=r"expected shape \(None, 8, 8, 1\), received \(6, 9, 9, 1\)"):
        classifier().predict(np.zeros((6, 9, 9, 1)), verbose=0)


def test_fit_before_compile():
    with pytest.raises(ValueError, match="compile"):
        model_of(layers.Flatten()).fit(X, Y)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": X, "y": Y[:4]}, ["x: 6", "y: 4"]),
        ({"x": X[:0], "y": Y[:0]}, ["at least one sample"]),
        ({"x": X, "y": Y, "batch_size": 0}, ["batch_size", "0"]),
        ({"x": X, "y": Y, "validation_split": 1.5}, ["validation_split", "1.5"]),
        ({"x": X, "y": Y, "validation_split": 0.9}, ["validation_split", "empty"]),
        ({"x": X, "y": Y, "verbose": "loud"}, ["verbose", "loud"]),
        ({"x": X, "y": Y, "steps_per_epoch": 0}, ["steps_per_epoch", ">= 1", "0"]),
        ({"x": X, "y": Y, "validation_split": 0.5, "validation_steps": 1.5}, ["validation_steps", "1.5"]),
        ({"x": X, "y": None}, ["targets", "None"]),
        ({"x": None}, ["x", "None"]),
        ({"x": X, "y": Y, "sample_weight": np.ones(5)}, ["sample_weight: 5"]),
    ],
)
def test_wrong_arguments_of_fit(arguments, words):
    model = classifier()
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        model.fit(**{"verbose": 0, **arguments})
    for word in words:
        assert word in str(error.value)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_text_is_no_input():
    with pytest.raises(TypeError, match="x: expected numbers"):
        classifier().fit(np.array([["a"]] * 6), Y, verbose=0)


def test_labels_outside_of_the_classes_leave_the_model_whole():
    model = classifier()
    model.fit(X, Y, verbose=0)
    before, step = model.get_weights(), int(model.optimizer.iterations)
    with pytest.raises((ValueError, IndexError), match="3|7"):
        model.fit(X, np.full(6, 7), verbose=0)
    assert int(model.optimizer.iterations) == step
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"optimizer": "adamm", "loss": "mse"}, ["adamm", "adam"]),
        ({"optimizer": "adam", "loss": "mean_square"}, ["mean_square"]),
        ({"optimizer": "adam", "loss": "mse", "metrics": ["acuracy"]}, ["acuracy"]),
        ({"optimizer": "adam", "loss": "mse", "jit_compile": "yes"}, ["jit_compile", "yes"]),
        ({"optimizer": "adam", "loss": "mse", "steps_per_execution": 0}, ["steps_per_execution", "0"]),
    ],
)
def test_wrong_arguments_of_compile(arguments, words):
    with pytest.raises((ValueError, TypeError)) as error:
        model_of(layers.Flatten()).compile(**arguments)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (
            "binary_accuracy",
            [
                "metric 'binary_accuracy' of output 'head' with shape (6, 3) and y with shape (6,): ",
                "sparse_",
            ],
        ),
        ("categorical_accuracy", ["'categorical_accuracy'", "one-hot", "sparse_categorical_accuracy"]),
        (cnnrs.metrics.TopKCategoricalAccuracy(k=2), ["'top_k_categorical_accuracy'", "one-hot"]),
        (cnnrs.metrics.Precision(), ["'precision", "expected the shape of y_pred, (6, 3), received (6,)"]),
        (cnnrs.metrics.AUC(), ["'auc", "expected the shape of y_pred, (6, 3), received (6,)"]),
        (cnnrs.metrics.MeanIoU(3), ["'mean_io_u", "received (6, 3); sparse_y_pred=False takes the class of"]),
        (cnnrs.metrics.MeanAveragePrecision(), ["'mean_average_precision'", "expected a dict"]),
    ],
)
def test_a_metric_that_does_not_fit_names_itself_and_the_output(metric, words):
    model = model_of(
        layers.Flatten(),
        layers.Dense(3, activation="softmax", name="head"),
        optimizer="sgd",
        loss="sparse_categorical_crossentropy",
        metrics=[metric],
    )
    with pytest.raises(ValueError, match="^metric '.*' of output 'head' with shape ") as caught:
        model.fit(X, Y, verbose=0)
    for word in words:
        assert word in str(caught.value)


def test_one_hot_targets_are_no_numbers_of_classes():
    # Three samples of three classes would broadcast.
    for metric in (cnnrs.metrics.SparseCategoricalAccuracy(), cnnrs.metrics.SparseTopKCategoricalAccuracy(1)):
        with pytest.raises(
            ValueError, match=r"expected numbers of classes of shape \(3,\), received \(3, 3\)"
        ):
            metric.update_state(np.eye(3), np.eye(3))


def test_thresholds_of_average_precision_are_a_list():
    with pytest.raises(
        ValueError, match="MeanAveragePrecision: iou_thresholds: expected a list .* received 0.5"
    ):
        cnnrs.metrics.MeanAveragePrecision(0.5)


def test_unknown_layer_names_suggest():
    model = model_of(layers.Conv2D(1, 1, name="conv_a"), layers.Flatten(name="flat"))
    with pytest.raises(ValueError, match="'conv_a'"):
        model.get_layer("conv_b")


def test_two_layers_of_one_name():
    with pytest.raises(ValueError, match="twin"):
        model_of(layers.ReLU(name="twin"), layers.ReLU(name="twin"))


def test_outputs_that_need_another_input():
    a, b = cnnrs.Input((2,)), cnnrs.Input((2,), name="missing")
    with pytest.raises(ValueError, match="missing"):
        cnnrs.Model(a, layers.Add()([a, b]))


def test_set_weights_is_all_or_nothing():
    layer = layers.Dense(2, kernel_initializer="ones")
    layer.build((None, 3))
    with pytest.raises(ValueError, match=r"expected shape \(2,\), received \(3,\)"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
    np.testing.assert_array_equal(layer.get_weights()[0], np.ones((3, 2)))
    with pytest.raises(ValueError, match="expected 2 arrays, received 1"):
        layer.set_weights([np.zeros((3, 2))])


def test_super_init_is_missed():
    class Forgetful(layers.Layer):
        def __init__(self):
            self.inner = layers.Dense(1)
            self.scale = cnnrs.Variable(1.0)

    forgetful = Forgetful()
    for use in (lambda: forgetful(np.ones((1, 2))), lambda: forgetful.add_weight(shape=())):
        with pytest.raises(RuntimeError, match="super"):
            use()


def test_super_init_may_come_last():
    class Late(layers.Layer):
        def __init__(self):
            self.scale = cnnrs.Variable(1.0)
            self.inner = layers.Dense(1)
            super().__init__()

        def call(self, x):
            return self.inner(x) * self.scale

    late = Late()
    assert late(np.ones((1, 2))).shape == (1, 1)
    assert len(late.trainable_variables) == 3


def test_symbolic_tensors_have_no_values():
    x = cnnrs.Input((2,))
    for read in (bool, float, np.asarray, lambda x: x.numpy()):
        with pytest.raises(ValueError if read is np.asarray else TypeError, match="symbolic"):
            read(x)
    with pytest.raises(NotImplementedError, match=r"iterate over ops\.unstack"):
        iter(x)


def test_nan_in_the_loss_warns():
    model = model_of(layers.Flatten(), layers.Dense(1), optimizer="sgd", loss="mse")
    with pytest.warns(RuntimeWarning, match="NaN"):
        model.fit(np.full((4, 8, 8, 1), np.nan), np.zeros(4), verbose=0)


@pytest.mark.parametrize("units", [2**40, 2**61])
def test_weights_beyond_memory_name_the_layer(units):
    layer = layers.Dense(units, name="vast")
    with pytest.raises(MemoryError, match="vast: kernel"):
        layer(np.ones((1, 16)))
    assert layer.weights == [] and not layer.built


def test_inputs_that_are_no_numbers_name_the_layer():
    with pytest.raises(TypeError, match="named: .*object"):
        layers.Dense(2, name="named")(np.array([object()]))


def test_several_inputs_of_a_sequential():
    with pytest.raises(ValueError, match="one input"):
        cnnrs.Sequential([layers.Dense(1)]).predict({"a": np.ones((2, 3))}, verbose=0)


def test_debugging_names_the_first_layer_that_makes_a_nan():
    stack = [
        layers.Dense(3, name="fine"),
        layers.Lambda(lambda x: ops.log(x * 0 - 1), name="bad"),
        layers.Dense(1),
    ]
    model = model_of(layers.Flatten(), *stack)
    cnnrs.config.set_debug(True)
    try:
        with pytest.raises(RuntimeError, match="bad.*NaN"):
            model(X)
    finally:
        cnnrs.config.set_debug(False)
    assert np.isnan(model(X).numpy()).all()


# ---- messages of symbolic calls


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i, j: i + j, r"shapes \(None, 5\) and \(None, 7\)"),
        (lambda i, j: layers.Add(name="sum")([i, j]), r"^sum: shapes \(None, 5\) and \(None, 7\)"),
        (lambda i, j: ops.matmul(i, np.ones((3, 2))), r"\(None, 5\) has 5, \(3, 2\) has 3"),
        (lambda i, j: ops.reshape(i, (3,)), r"expected 5 x batch elements for input \(None, 5\)"),
        (lambda i, j: layers.Concatenate(axis=9, name="join")([i, j]), "^join: axis: .*from -2 to 1.*9"),
        (lambda i, j: i[:, 9], r"index 9 .* shape \(None, 5\)"),
        (
            lambda i, j: ops.conv(cnnrs.Input((None, None, 3)), np.ones((3, 3, 4, 2), np.float32)),
            r"\(3, 3, 4, 2\) does not fit 3 input channels",
        ),
    ],
)
def test_unknown_extents_are_shown_as_none(call, message):
    with pytest.raises((ValueError, IndexError), match=message) as caught:
        call(cnnrs.Input((5,)), cnnrs.Input((7,)))
    assert "12" not in str(caught.value) and "24" not in str(caught.value)


def test_an_error_names_the_innermost_layer_once():
    class Picky(layers.Layer):
        def call(self, inputs):
            if inputs.shape[0] == 1:
                raise ValueError("one sample will not do")
            return inputs

    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Picky(name="picky")

        def call(self, inputs):
            return self.inner(inputs)

    model = cnnrs.Sequential([cnnrs.Input((2,)), Block(name="block")], name="net")
    assert model(np.ones((2, 2))).shape == (2, 2)
    with pytest.raises(ValueError, match="^picky: one sample will not do$"):
        model(np.ones((1, 2)))


def test_an_error_of_the_core_names_the_path_of_a_layer_once():
    with pytest.raises(ValueError, match=r"^down/step1_conv: kernel_size \(3, 3\) does not fit"):
        layers.UNetDown(8, padding="valid", name="down")(np.zeros((1, 4, 4, 2)))
    inner = cnnrs.Sequential([cnnrs.Input((None, None, 1)), layers.Conv2D(3, 7, name="wide")], name="inner")
    outer = cnnrs.Sequential([cnnrs.Input((None, None, 1)), inner], name="outer")
    with pytest.raises(ValueError, match=r"^outer/inner/wide: kernel_size \(7, 7\) does not fit"):
        outer(np.zeros((1, 4, 4, 1)))


# ---- sizes


@pytest.mark.parametrize("make", [ops.zeros, ops.ones, lambda s: ops.full(s, 1.0), lambda s: ops.eye(*s)])
@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**62, 1), (2**70, 1)])
def test_constants_that_no_memory_holds(make, shape):
    with pytest.raises(MemoryError, match="no memory"):
        make(shape)


def test_shapes_of_constants():
    assert ops.zeros(3).shape == ops.zeros([3]).shape == ops.zeros(np.array([3])).shape == (3,)
    with pytest.raises(ValueError, match="shape: expected extents >= 0.*-1"):
        ops.zeros((-1, 2))
    with pytest.raises(TypeError, match="shape: expected integers.*'a'"):
        ops.ones("a")


def test_a_step_that_does_not_fit_in_memory_names_model_step_and_samples():
    from cnnrs.training.step import RecordedStep

    class Huge:
        peak_bytes = 10**15

        def __call__(self, *arrays):
            raise MemoryError("no memory for a tensor")

        def run_batches(self, *arguments):
            raise MemoryError("no memory for a tensor")

    step = RecordedStep(Huge(), None, "net: train_step on 64 samples")
    for run in (lambda: step([]), lambda: step.run_batches([], None, 64, 0, 1, 1.0)):
        with pytest.raises(MemoryError, match="net: train_step on 64 samples needs 1,000,000.*batch_size"):
            run()
    model = cnnrs.Sequential([cnnrs.Input((2,)), layers.Dense(3)], name="net")
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((4, 2)), np.ones((4, 3)))
    assert [s.label for s in model._recorded.values()] == ["net: train_step on 4 samples"]


def test_an_argument_that_a_class_sets_by_itself_is_named():
    with pytest.raises(
        TypeError, match="^RandomPerspective: unexpected argument 'fill_mode', which it sets by"
    ):
        layers.RandomPerspective(1.0, fill_mode="constant")

    class Fixed(layers.Dense):
        def __init__(self, **kwargs):
            super().__init__(3, activation="relu", **kwargs)

    assert Fixed(use_bias=False).units == 3
    with pytest.raises(TypeError, match="^Fixed: unexpected argument 'activation', which it sets by itself"):
        Fixed(activation="tanh")


@pytest.mark.parametrize(
    ("module", "name", "instead"),
    [
        (
            cnnrs.losses,
            "FocalLoss",
            "use losses.BinaryFocalCrossentropy, losses.CategoricalFocalCrossentropy or losses.Sparse",
        ),
        (cnnrs.losses, "DiceLoss", "use losses.Dice"),
        (cnnrs.layers, "FireModule", "use layers.FireBlock"),
        (cnnrs.layers, "ResidualBlock", "use layers.BasicBlock or layers.BottleneckBlock"),
    ],
)
def test_names_of_papers_lead_to_what_is_here(module, name, instead):
    with pytest.raises(AttributeError, match=f"has no '{name}'; {instead}"):
        getattr(module, name)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "layers",
            "DropPath SEBlock CBAMBlock FRN GELU SpatialPyramidPooling FeaturePyramidNetwork GeM Cutout",
        ),
        ("losses", "CrossEntropyLoss BCEWithLogitsLoss LabelSmoothing CentreLoss"),
        ("metrics", "mAP ConfusionMatrix DiceScore"),
        ("callbacks", "LRFinder SWA EMA"),
        ("optimizers", "SWA EMA"),
        ("optimizers.schedules", "CosineAnnealingLR OneCycleLR StepLR ReduceLROnPlateau"),
        ("analysis", "GradCAM saliency_map confusion_matrix deep_dream"),
        ("applications", "YOLO WRN"),
        ("utils", "lr_find update_bn"),
    ],
)
def test_what_names_of_papers_lead_to_is_there(module, names):
    for name in names.split():
        with pytest.raises(AttributeError, match=f"has no '{name}'; use ") as caught:
            getattr(importlib.import_module(f"cnnrs.{module}"), name)
        instead = str(caught.value).partition("; use ")[2]
        found = re.findall(
            r"\b(layers|losses|metrics|callbacks|analysis|schedules|utils|detection)\.(\w+)", instead
        )
        for where, there in found:
            home = cnnrs.optimizers.schedules if where == "schedules" else getattr(cnnrs, where)
            assert hasattr(home, there), instead
        assert found or "model.lr_find" in instead or "use_ema" in instead or "applications." in instead
