"""`utils.explain`: what becomes of each layer, and that its numbers are those of the plan."""

import gc

import numpy as np
import pytest

import cnnrs
from cnnrs import layers
from cnnrs.training.runner import StepRunner


def block(last=()):
    return cnnrs.Sequential(
        [
            layers.Input((9, 9, 4)),
            layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            *last,
        ],
        name="block",
    )


def text_of(layer):
    return "\n".join(text for _, text in layer.lines)


def test_a_folded_block_names_the_fold_the_step_and_the_kernel():
    explanation = cnnrs.utils.explain(block())
    conv, bn, relu = explanation
    assert [conv.name, bn.name, relu.name] == ["conv", "bn", "relu"]
    (kernel,) = conv.kernels
    assert kernel.startswith("conv_") and kernel in str(explanation)
    assert conv.steps == bn.steps == relu.steps == [1] and explanation.num_steps == 1
    assert conv.fused_with == ["bn", "relu"]
    assert bn.is_folded and "scale folded into conv" in text_of(bn)
    assert ("1", "while storing") in relu.lines
    assert not conv.is_folded and conv.packed_bytes > 0 < bn.packed_bytes
    # Each of the two begins at a multiple of 64 bytes.
    assert 0 <= explanation.once_bytes - conv.packed_bytes - bn.packed_bytes < 128
    assert (conv.stored_bytes, bn.stored_bytes, relu.stored_bytes) == (0, 0, 9 * 9 * 8 * 4)


def test_training_keeps_the_statistics_apart_and_computes_again():
    model = block([layers.Conv2D(4, 3, name="next"), layers.GlobalAveragePooling2D()])
    explanation = cnnrs.utils.explain(model, batch_size=8, training=True)
    assert not explanation["bn"].is_folded
    assert "statistics are those of the batch" in text_of(explanation["bn"])
    assert "statistics, while storing" in text_of(explanation["bn"])
    assert explanation["relu"].is_recomputed and "not kept for the gradients" in text_of(explanation["relu"])
    assert "while loading" in text_of(explanation["relu"])
    assert explanation["relu"].stored_bytes == 0
    assert not explanation["next"].is_recomputed
    assert "gradient: " in text_of(explanation["next"])
    predicted = cnnrs.utils.explain(model, batch_size=8)
    assert not any(layer.is_recomputed for layer in predicted)
    assert "gradient" not in str(predicted)


def test_a_step_with_targets_is_that_of_train_on_batch():
    model = block([layers.Flatten(name="flat"), layers.Dense(3, name="classes")])
    model.compile("adam", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.zeros((4, 9, 9, 4), "float32"), np.zeros(4, "int32")
    explanation = cnnrs.utils.explain(model, x, y)
    names = [other.name for other in explanation.others]
    assert any("adam" in name for name in names) and any("crossentropy" in name for name in names)
    assert explanation["flat"].is_view
    before = model.get_weights()
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert model.optimizer.iterations.numpy() == 0


@pytest.mark.parametrize("training", [False, True])
def test_every_layer_of_resnet18_appears_once(training):
    model = cnnrs.applications.ResNet18()
    explanation = cnnrs.utils.explain(model, training=training)
    assert [layer.name for layer in explanation] == [layer.name for layer in model.layers]
    assert all(layer.lines for layer in explanation)
    idle = {layer.type for layer in explanation if not layer.steps and not layer.is_folded}
    assert idle == {"InputLayer", "ZeroPadding2D"}
    folded = [layer.name for layer in explanation if layer.is_folded]
    norms = [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert folded == ([] if training else norms)
    total = sum(layer.flops for layer in [*explanation.layers, *explanation.others])
    assert total == explanation.flops
    for width in (72, 80, 120):
        lines = explanation.to_text(width).splitlines()
        assert max(map(len, lines)) <= width
        first = [line.split()[0] for line in lines if line[:1].isalpha()]
        assert all(first.count(layer.name) == 1 for layer in explanation if len(layer.name) <= width // 4)


def test_numbers_are_those_of_the_plan_and_of_the_summary():
    gc.collect()
    cnnrs.config.release_memory()
    model = cnnrs.applications.ResNet18("cifar")
    x = np.zeros((2, 32, 32, 3), "float32")
    explanation = cnnrs.utils.explain(model, batch_size=2)
    step = StepRunner(model, "predict").recorded((x, None, None))
    assert explanation.peak_bytes == step.function.peak_bytes
    assert explanation.flops == step.function.flops
    before = cnnrs.config.memory_info()["packed"]
    model.predict_on_batch(x)
    packed = cnnrs.config.memory_info()["packed"]
    assert packed - before == explanation.once_bytes
    printed = []
    model.summary(print_fn=printed.append)
    assert f"Packed filters in this process: {packed:,} bytes" in "\n".join(printed)


def test_layers_that_vanish_say_so():
    model = cnnrs.Sequential(
        [
            layers.Input((8, 8, 3), name="image"),
            layers.ZeroPadding2D(1, name="pad"),
            layers.Conv2D(4, 3, name="conv"),
            layers.Activation("linear", name="nothing"),
            layers.Dropout(0.5, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.Dense(2, name="dense"),
        ]
    )
    explanation = cnnrs.utils.explain(model)
    pad = explanation["pad"]
    assert pad.steps == [] and "now padding of conv" in text_of(pad)
    assert explanation["dropout"].steps == [] and text_of(explanation["dropout"]) == "does nothing here"
    assert explanation["nothing"].steps == []
    assert explanation["flatten"].is_view and "same memory" in text_of(explanation["flatten"])
    trained = cnnrs.utils.explain(model, training=True)
    assert trained["dropout"].steps and text_of(trained["dropout"]) != "does nothing here"


def test_models_inside_of_models_are_told_layer_by_layer():
    inside = cnnrs.Sequential(
        [layers.Input((4,)), layers.Dense(4, name="a"), layers.ReLU(name="b")], name="in"
    )
    model = cnnrs.Sequential([layers.Input((4,)), inside, layers.Dense(2, name="c")], name="out")
    explanation = cnnrs.utils.explain(model)
    assert [(layer.path, layer.depth) for layer in explanation] == [
        ("out/in", 0),
        ("out/in/a", 1),
        ("out/in/b", 1),
        ("out/c", 0),
    ]
    assert explanation["b"].fused_with == ["a"]
    assert "  a" in str(explanation)


def test_layers_made_of_layers_are_one_row():
    class Pair(layers.Layer):
        def __init__(self):
            super().__init__(name="pair")
            self.first = layers.Dense(4, name="first")
            self.second = layers.Dense(2, name="second")

        def build(self, shape):
            self.first.build(shape)
            self.second.build((shape[0], 4))

        def call(self, x):
            return self.second(self.first(x))

    model = cnnrs.Sequential([layers.Input((3,)), Pair()])
    explanation = cnnrs.utils.explain(model)
    assert [layer.name for layer in explanation] == ["pair"]
    assert explanation["pair"].steps == list(range(1, explanation.num_steps + 1))
    assert explanation["pair"].flops == explanation.flops


def test_models_without_known_shapes_take_them_from_samples():
    model = cnnrs.Sequential([layers.Dense(3, name="dense")])
    with pytest.raises(ValueError, match="expected x, samples of a batch"):
        cnnrs.utils.explain(model)
    explanation = cnnrs.utils.explain(model, np.zeros((5, 2), "float32"))
    assert explanation["dense"].stored_bytes == 5 * 3 * 4
    images = cnnrs.Sequential([layers.Input((None, None, 3), name="image"), layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"\(None, None, None, 3\); expected x"):
        cnnrs.utils.explain(images)


def test_a_layer_alone_is_one_row():
    explanation = cnnrs.utils.explain(
        layers.Dense(3, name="dense", activation="relu"), np.zeros((2, 4), "float32")
    )
    (dense,) = explanation
    assert dense.name == "dense" and dense.steps == [1] and "relu while storing" in text_of(dense)


def test_values_that_threads_keep_to_themselves_are_not_counted_as_stored():
    model = cnnrs.applications.LeNet5()
    many = cnnrs.utils.explain(model, batch_size=64)
    assert many["conv1"].is_in_cache and many["conv1"].stored_bytes == 0
    assert not many["pool2"].is_in_cache and many["pool2"].stored_bytes == 64 * 5 * 5 * 16 * 4
    assert "  in cache" in str(many) and '"in cache": each thread' in str(many)
    one = cnnrs.utils.explain(model)
    assert not any(layer.is_in_cache for layer in one) and "in cache" not in str(one)


def test_passes_are_listed():
    passes = cnnrs.utils.explain(block()).data["passes"]
    assert [p["name"] for p in passes][:2] == ["autodiff", "inline"]
    assert all(p["does"] and p["nodes"] > 0 for p in passes)


def test_arguments_that_do_not_fit_are_refused():
    model = block()
    with pytest.raises(ValueError, match="batch_size: expected an integer of at least 1, received 0"):
        cnnrs.utils.explain(model, batch_size=0)
    with pytest.raises(ValueError, match="expected arrays of samples, received a number"):
        cnnrs.utils.explain(model, 3.0)
    with pytest.raises(ValueError, match="expected samples, for y is given"):
        cnnrs.utils.explain(model, y=np.zeros(1))
    with pytest.raises(ValueError, match="expected a compiled model"):
        cnnrs.utils.explain(model, np.zeros((1, 9, 9, 4)), np.zeros(1))
    with pytest.raises(KeyError, match="no layer is called 'konv'.*conv"):
        cnnrs.utils.explain(model)["konv"]


def test_weights_that_no_gradient_reaches_are_named():
    class Idle(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(2,), name="w")

        def call(self, x):
            return x + cnnrs.ops.stop_gradient(self.w * 1.5).sum() * 0.5

    model = cnnrs.Sequential([layers.Input((2,)), Idle(name="idle"), layers.Dense(1, name="dense")])
    explanation = cnnrs.utils.explain(model, training=True)
    assert "no gradient flows" in text_of(explanation["idle"])
    assert "no gradient flows" not in text_of(explanation["dense"])


@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8"])
def test_samples_of_any_array_explain_a_model_without_known_inputs(dtype):
    class Own(cnnrs.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4, name="dense")

        def call(self, x):
            return self.dense(x)

    explanation = cnnrs.utils.explain(Own(), np.ones((2, 3), dtype))
    assert "dense" in [layer.name for layer in explanation]
