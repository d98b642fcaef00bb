"""Sizes, costs, feature maps and attributions against formulas, layers and published numbers."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import analysis, applications, layers, ops

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(3, 12, 12, 2)).astype(np.float32)


def classifier(activation="softmax"):
    cnnrs.utils.set_random_seed(1)
    return cnnrs.Sequential([
        cnnrs.Input((12, 12, 2)),
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation=activation, name="scores"),
    ])  # fmt: skip


class Subclassed(cnnrs.Model):
    def __init__(self):
        super().__init__()
        self.inner = classifier(None)

    def call(self, x):
        return ops.softmax(self.inner(x * 1.0))


# ---- sizes and costs


@pytest.mark.parametrize("extent", [7, 12])
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_sizes_are_those_of_layers(extent, size, stride, padding):
    def built(layer):
        return layer.compute_output_shape((1, extent, extent, 2))[1]

    assert cnnrs.output_size(extent, size, stride, padding) == built(layers.Conv2D(1, size, stride, padding))
    assert cnnrs.output_size(extent, size, stride, padding) == built(
        layers.MaxPooling2D(size, stride, padding)
    )
    transposed = layers.Conv2DTranspose(1, size, stride, padding)
    assert cnnrs.output_size(extent, size, stride, padding, transposed=True) == built(transposed)
    if stride > 1:
        transposed = layers.Conv2DTranspose(1, size, stride, padding, output_padding=stride - 1)
        found = cnnrs.output_size(extent, size, stride, padding, transposed=True, output_padding=stride - 1)
        assert found == built(transposed)


def test_sizes_with_dilation_and_explicit_padding():
    assert cnnrs.output_size((9, 11), (3, 2), dilation_rate=(2, 3), padding=((1, 2), (0, 1))) == (8, 9)
    assert cnnrs.output_size(10, 3, padding="causal", strides=4) == 3
    # Torch's max_pool2d(3, 2) of 112 gives 55, and 56 with ceil_mode.
    assert [cnnrs.output_size(112, 3, 2, 0, ceil_mode=ceil) for ceil in (False, True)] == [55, 56]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(input=4, kernel_size=5), "kernel_size: expected a window that fits 4 elements"),
        (dict(input=4, kernel_size=0), "kernel_size: expected an integer >= 1, received 0"),
        (dict(input=4, kernel_size=3, padding="full"), "padding: expected 'valid', 'same', 'causal'"),
        (dict(input=(4, 4), kernel_size=(1, 2, 3)), "kernel_size: expected 2 integers"),
        (dict(input=4, kernel_size=3, output_padding=1), "output_padding: expected transposed=True"),
        (
            dict(input=4, kernel_size=3, strides=2, transposed=True, output_padding=2),
            "output_padding: expected less",
        ),
        (dict(input=4, kernel_size=3, padding="same", ceil_mode=True), "ceil_mode: expected a pooling"),
    ],
)
def test_sizes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=f"output_size: {message}"):
        cnnrs.output_size(**arguments)


def test_comparison_counts_as_layers_do():
    found = analysis.compare_parameters((6, 5, 3), 4, (3, 2), 2, "valid")
    rows, columns, filters = found.output_shape
    real = {
        "dense": [layers.Flatten(), layers.Dense(rows * columns * filters)],
        "convolution": [layers.Conv2D(4, (3, 2), 2)],
        "separable convolution": [layers.SeparableConv2D(4, (3, 2), 2)],
    }
    for name, parts in real.items():
        model = cnnrs.Sequential([cnnrs.Input((6, 5, 3)), *parts])
        assert (model.count_params(), analysis.costs(model).flops) == (
            found[name].parameters,
            found[name].flops,
        )
    assert found["unshared convolution"].parameters == rows * columns * filters * (18 + 1)
    assert "dense" in repr(found)


# Multiply-adds of an image of 224 × 224: torchvision's tables (GFLOPS there), and Sandler et al. 2018, table
# 4.
PUBLISHED = {
    "torchvision.resnet50": (4.09, 25_557_032),
    "MobileNetV2": (0.30, 3_538_984),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_costs(name):
    module, _, function = name.rpartition(".")
    model = getattr(getattr(applications, module) if module else applications, function)(weights=None)
    found = analysis.costs(model)
    weights = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    macs, parameters = PUBLISHED[name]
    assert round(found.macs / 1e9, 2) == macs
    assert parameters in (weights, model.count_params())
    assert abs(found.flops / (2 * found.macs) - 1) < 0.06


def test_convolutions_of_vgg16():
    model = applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    # 15.47 GMACs with the dense layers, which have 25088 × 4096 + 4096 × 4096 + 4096 × 1000.
    dense = 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert round((analysis.costs(model).macs + dense) / 1e9, 2) == 15.47
    assert cnnrs.receptive_field(model)["block5_conv3"].size == (196, 196)
    assert cnnrs.receptive_field(model).output.size == (212, 212)


def test_costs_add_up():
    model = classifier()
    found = analysis.costs(model, batch_size=2)
    assert found.flops == sum(layer.flops for layer in found)
    assert found["conv"].macs == 2 * 10 * 10 * 4 * 18
    assert found["conv"].activation_bytes == 2 * 10 * 10 * 4 * 4
    assert min(found.training_bytes, found.inference_bytes) > 0
    assert found.parameters == model.count_params() and "conv" in repr(found)
    outer = cnnrs.Sequential([cnnrs.Input((12, 12, 2)), model])
    nested = analysis.costs(outer, batch_size=2)
    assert nested[model.name].flops == found.flops and nested[f"{model.name}/conv"].macs == found["conv"].macs


def test_summary_shows_more_on_request_only():
    model, lines = classifier(), []
    model.summary(print_fn=lines.append)
    model.summary(
        print_fn=lines.append,
        flops=True,
        receptive_field=True,
        output_stride=True,
        memory=True,
        line_length=150,
    )
    assert "FLOPs" not in lines[0] and "Receptive" not in lines[0]
    for text in (
        "FLOPs",
        "Receptive Field",
        "Stride",
        "Memory",
        "3 × 3",
        "1 × 1",
        "whole image",
        "(12, 12, 2)",
    ):
        assert text in lines[1], text
    assert f"{analysis.costs(model).flops:,}" in lines[1]
    with pytest.raises(ValueError, match="summary: input_shape: expected flops"):
        model.summary(input_shape=(12, 12, 2))
    with pytest.raises(TypeError, match="did you mean 'flops'"):
        model.summary(flop=True)


def test_summary_of_a_given_width_keeps_titles_and_numbers_whole():
    part = layers.FilterResponseNormalization(name="a_layer_with_a_name_that_is_longer_than_others")
    model = cnnrs.Sequential([cnnrs.Input((16, 16, 3)), part, layers.Dense(2)])
    wanted = {"flops": True, "receptive_field": True, "output_stride": True, "memory": True}
    lines = []
    model.summary(print_fn=lines.append, show_trainable=True, line_length=120, **wanted)
    table = lines[0].splitlines()[1:]
    titles = [cell.strip() for cell in table[1].strip("┃").split("┃")]
    assert titles[2:] == ["Param #", "Trainable", "FLOPs", "Memory", "Receptive Field", "Stride"]
    assert {len(line) for line in table if line[:1] in "┏┃┡│├└"} == {120}


def test_summary_says_of_which_input_fields_are():
    a, b = cnnrs.Input((8, 8, 1), name="left"), cnnrs.Input((8, 8, 1), name="right")
    lines = []
    model = cnnrs.Model([a, b], layers.Add()([layers.Conv2D(1, 3, padding="same")(a), b]))
    model.summary(receptive_field=True, print_fn=lines.append)
    assert "seen of 'left', the first of 2 inputs" in lines[0] and "3 × 3" in lines[0]
    classifier().summary(receptive_field=True, print_fn=lines.append)
    assert "inputs" not in lines[1]


# ---- feature maps


def test_feature_maps_of_models_of_any_kind():
    plain, own, by_path = classifier(), Subclassed(), Subclassed()
    for model, name in ((plain, "conv"), (own, "conv"), (by_path, f"{by_path.inner.name}/conv")):
        model(IMAGES)
        found = analysis.feature_maps(model, IMAGES, name)
        (path,) = found
        conv = (model.inner if isinstance(model, Subclassed) else model).get_layer("conv")
        np.testing.assert_allclose(found[path], conv(IMAGES).numpy(), rtol=1e-5, atol=1e-6)
    assert list(analysis.feature_maps(classifier(), IMAGES))[0] == "conv"
    assert "call" not in vars(conv)


def test_layers_are_found_or_suggested():
    model = classifier()
    with pytest.raises(ValueError, match="has no layer 'cnv'; did you mean 'conv'"):
        analysis.feature_maps(model, IMAGES, "cnv")
    with pytest.raises(ValueError, match=r"expected a layer of sequential\w*, received 'other'"):
        analysis.grad_cam(model, IMAGES, layer=layers.ReLU(name="other"))
    inner = cnnrs.Sequential([layers.Conv2D(2, 1, name="conv")], name="inner")
    other = cnnrs.Sequential([layers.Conv2D(2, 1, name="conv")], name="other")
    twice = cnnrs.Sequential([cnnrs.Input((12, 12, 2)), inner, other])
    assert list(analysis.feature_maps(twice, IMAGES, "other/conv")) == ["other/conv"]
    with pytest.raises(
        ValueError, match="expected one of the paths 'inner/conv', 'other/conv', received 'conv'"
    ):
        analysis.feature_maps(twice, IMAGES, "conv")


def test_filters():
    model = classifier()
    found = analysis.filters(model)
    np.testing.assert_array_equal(found.weights, model.get_layer("conv").weights[0].numpy())
    with pytest.raises(
        ValueError, match="filters: expected filters with rows and columns, received layer 'scores'"
    ):
        analysis.filters(model, "scores")


# ---- attributions


def test_grad_cam_is_its_formula():
    model = classifier()
    found = analysis.grad_cam(model, IMAGES, resize=False)
    maps = model.get_layer("conv")(IMAGES).numpy().astype(np.float64)
    weights = model.get_layer("scores").kernel.numpy()
    # Behind a mean over places, dy / dA is W / places: the map is the class activation map of Zhou et al.
    # 2016.
    expected = np.maximum(np.einsum("nijk,kn->nij", maps, weights[:, found.classes]), 0) / 100
    np.testing.assert_allclose(found.raw, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.classes, model.predict(IMAGES, verbose=0).argmax(axis=1))
    assert found.layer == "conv" and analysis.grad_cam(model, IMAGES).values.shape == (3, 12, 12)


def test_grad_cam_plus_plus_is_its_formula():
    model = classifier(None)
    found = analysis.grad_cam_plus_plus(model, IMAGES, 1, resize=False)
    maps = model.get_layer("conv")(IMAGES).numpy().astype(np.float64)
    g = np.broadcast_to(model.get_layer("scores").kernel.numpy()[:, 1] / 100, maps.shape).astype(np.float64)
    shares = g**2 / (2 * g**2 + maps.sum(axis=(1, 2), keepdims=True) * g**3)
    weights = (shares * np.maximum(g, 0)).sum(axis=(1, 2), keepdims=True)
    expected = np.maximum((weights * maps).sum(axis=-1), 0)
    np.testing.assert_allclose(found.raw, expected, rtol=1e-3, atol=1e-6)


def test_saliency_is_the_slope():
    model = classifier()
    logits = cnnrs.Model(model.inputs, layers.Dense(3, name="again")(model.layers[-2].output))
    logits.get_layer("again").set_weights(model.get_layer("scores").get_weights())
    found = analysis.saliency(model, IMAGES, [0, 1, 2])
    for sample, row, column, channel in ((0, 3, 4, 1), (2, 0, 0, 0), (1, 11, 6, 1)):
        step = np.zeros_like(IMAGES)
        step[sample, row, column, channel] = 0.01
        slope = (logits(IMAGES + step).numpy() - logits(IMAGES - step).numpy())[sample, sample] / 0.02
        np.testing.assert_allclose(found.raw[sample, row, column, channel], slope, rtol=0.05, atol=2e-4)
    np.testing.assert_allclose(found.values, np.abs(found.raw).max(axis=-1))


def test_integrated_gradients_are_complete():
    model = classifier()
    found = analysis.integrated_gradients(model, IMAGES, steps=64, baseline=-0.5)
    assert np.abs(found.completeness_error).max() < 0.01 * max(1, np.abs(found.scores).max())
    linear = cnnrs.Sequential([cnnrs.Input((12, 12, 2)), layers.Flatten(), layers.Dense(2, name="dense")])
    found = analysis.integrated_gradients(linear, IMAGES, 1, steps=1)
    weights = linear.get_layer("dense").kernel.numpy()[:, 1].reshape(12, 12, 2)
    np.testing.assert_allclose(found.raw, weights * IMAGES, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="integrated_gradients: baseline: expected a number"):
        analysis.integrated_gradients(linear, IMAGES, baseline=np.zeros(5))


def test_occlusion_of_a_linear_model():
    linear = cnnrs.Sequential([cnnrs.Input((12, 12, 2)), layers.Flatten(), layers.Dense(2, name="dense")])
    found = analysis.occlusion(linear, IMAGES, [0, 1, 0], window=(4, 3), stride=3, batch_size=7)
    weights = linear.get_layer("dense").kernel.numpy()[:, found.classes].T.reshape(3, 12, 12, 2)
    parts = weights * IMAGES
    tops = [0, 3, 6, 8]
    expected = [[parts[:, t : t + 4, c : c + 3].sum(axis=(1, 2, 3)) for c in (0, 3, 6, 9)] for t in tops]
    np.testing.assert_allclose(found.raw, np.transpose(expected, (2, 0, 1)), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="occlusion: window: expected at most"):
        analysis.occlusion(linear, IMAGES, window=13)


def test_smooth_grad_repeats():
    model = classifier()
    one, two, other = (analysis.smooth_grad(model, IMAGES, samples=3, seed=s).values for s in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_attributions_of_models_of_any_kind():
    model = Subclassed()
    found = analysis.grad_cam(model, IMAGES, layer="conv")
    # Scores are taken before the softmax: those of the model inside.
    expected = analysis.grad_cam(model.inner, IMAGES)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    assert analysis.grad_cam(model, IMAGES).layer == "conv"


def test_several_outputs_want_a_choice():
    inner = classifier()
    x = cnnrs.Input((12, 12, 2))
    maps = inner.get_layer("conv")(x)
    heads = [
        layers.Dense(n, name=name)(layers.GlobalMaxPooling2D()(maps)) for n, name in ((2, "a"), (4, "b"))
    ]
    model = cnnrs.Model(x, heads)
    for output in (1, "b"):
        assert analysis.saliency(model, IMAGES, 3, output=output).classes.tolist() == [3, 3, 3]
    with pytest.raises(
        ValueError, match=r"saliency: output: \w+ has 2 outputs \(a, b\); expected the number of one"
    ):
        analysis.saliency(model, IMAGES)
    with pytest.raises(ValueError, match="output: expected a number below 2 or one of"):
        analysis.saliency(model, IMAGES, output="c")


def test_segmentations_have_scores_of_maps():
    model = cnnrs.Sequential(
        [cnnrs.Input((12, 12, 2)), layers.Conv2D(3, 3, name="conv"), layers.Conv2D(2, 1)]
    )
    found = analysis.grad_cam(model, IMAGES, 1, layer="conv")
    assert found.values.shape == (3, 12, 12) and found.scores.shape == (3,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: analysis.grad_cam(m, IMAGES, 3), "class_index: expected 0 to 2, received 3"),
        (
            lambda m: analysis.grad_cam(m, IMAGES, [0, 1]),
            "class_index: expected an integer, or one for each of 3",
        ),
        (lambda m: analysis.grad_cam(m, IMAGES, 0.5), "class_index: expected an integer"),
        (
            lambda m: analysis.grad_cam(m, IMAGES, layer="scores"),
            "layer: expected one that makes feature maps",
        ),
        (lambda m: analysis.saliency(m, IMAGES[0, 0]), r"x: expected \(samples, height, width, channels\)"),
        (
            lambda m: analysis.smooth_grad(m, IMAGES, samples=0),
            "samples: expected an integer >= 1, received 0",
        ),
        (lambda m: analysis.maximize_activation(m, "conv", 4), "channels: expected less than 4"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(classifier())


def test_a_model_without_convolutions_is_refused_with_names():
    model = cnnrs.Sequential(
        [cnnrs.Input((12, 12, 2)), layers.Flatten(name="flat"), layers.Dense(2, name="dense")]
    )
    with pytest.raises(ValueError, match="has no convolution: flat, dense"):
        analysis.grad_cam(model, IMAGES)


def test_mixed_precision():
    with_policy = cnnrs.Sequential([
        cnnrs.Input((12, 12, 2)), layers.Conv2D(4, 3, dtype="mixed_float16", name="conv"),
        layers.GlobalAveragePooling2D(dtype="mixed_float16"), layers.Dense(3, dtype="float32"),
    ])  # fmt: skip
    assert np.isfinite(analysis.grad_cam(with_policy, IMAGES).values).all()
    assert cnnrs.receptive_field(with_policy)["conv"].size == (3, 3)


# ---- maximisation and confusion


def test_maximisation_repeats_and_rises():
    model = classifier()
    found = [analysis.maximize_activation(model, "conv", [1, 3], steps=12, seed=5) for _ in range(2)]
    np.testing.assert_array_equal(found[0].images, found[1].images)
    assert (found[0].activations[-1] > found[0].activations[0]).all()
    assert found[0].images.shape == (2, 12, 12, 2)
    assert analysis.maximize_activation(model, None, 2, steps=2).channels.tolist() == [2]


def test_confusion_of_classes():
    scores = np.eye(4)[[0, 1, 1, 3, 2, 1, 1]]
    found = analysis.confusion(scores, IMAGES[[0] * 7], np.eye(4)[[0, 1, 2, 3, 2, 2, 0]], class_names="abcd")
    assert found.matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 1]]
    worst = found.most_confused(1)[0]
    assert (worst.true, worst.predicted, worst.count, worst.share) == ("c", "b", 2, 2 / 3)
    assert worst.samples.tolist() == [2, 5]
    assert found.accuracy == 4 / 7 and found.recall[2] == 1 / 3 and found.precision[1] == 0.25
    assert "c taken for b: 2" in repr(found)
    two = analysis.confusion(np.array([[0.2], [0.7]]), None, [[1], [1]])
    assert two.matrix.tolist() == [[0, 0], [1, 1]]
    for y, message in (([0, 1], "y: expected 7 classes"), ([4] * 7, "y: expected classes from 0 to 3")):
        with pytest.raises(ValueError, match=f"confusion: {message}"):
            analysis.confusion(scores, None, y)
    with pytest.raises(ValueError, match="class_names: expected 4 names, received 2"):
        analysis.confusion(scores, None, [0] * 7, class_names=["a", "b"])


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    pyplot.close("all")  # those of other tests
    model = classifier()
    images = RANDOM.normal(size=(2, 12, 12, 2)).astype(np.float32)
    cam = analysis.grad_cam(model, images)
    assert cam.overlay().shape == (2, 12, 12, 3) and cam.overlay().dtype == np.uint8
    cam.plot()
    analysis.feature_maps(model, images).plot("conv")
    analysis.filters(model).plot()
    cnnrs.receptive_field(model).plot()
    analysis.effective_receptive_field(model, "conv", samples=2).plot()
    analysis.compare_parameters((8, 8, 3), 4).plot()
    maximised = analysis.maximize_activation(model, "conv", [0, 1], steps=2)
    maximised.plot()
    maximised.plot(history=True)
    found = analysis.confusion(model, images, [0, 1])
    found.plot()
    analysis.confusion(np.eye(2)[[0, 1]], images[..., :1], [1, 0]).plot_examples()
    assert len(pyplot.get_fignums()) == 10
    pyplot.close("all")
    pytest.importorskip("PIL")
    cam.save(tmp_path / "cam.png")
    assert (tmp_path / "cam.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "function", ["grad_cam", "saliency", "integrated_gradients", "smooth_grad", "occlusion"]
)
def test_one_image_without_a_batch_is_refused_by_its_own_shape(function):
    model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), cnnrs.layers.Conv2D(2, 3), cnnrs.layers.Flatten()])
    with pytest.raises(ValueError, match=rf"{function}: x: expected \(samples.*received shape \(8, 8, 1\)"):
        getattr(cnnrs.analysis, function)(model, np.ones((8, 8, 1)))
    with pytest.raises(TypeError, match=f"{function}: unexpected argument 'clas_index'; did you mean"):
        getattr(cnnrs.analysis, function)(model, np.ones((1, 8, 8, 1)), clas_index=1)


@pytest.mark.parametrize(
    "function", ["grad_cam", "saliency", "integrated_gradients", "smooth_grad", "occlusion"]
)
def test_several_inputs_and_no_samples_are_refused_by_name(function):
    image, size = cnnrs.Input((8, 8, 1)), cnnrs.Input((2,))
    map_ = cnnrs.layers.Conv2D(2, 3)(image)
    both = [cnnrs.layers.GlobalAveragePooling2D()(map_), size]
    model = cnnrs.Model([image, size], cnnrs.layers.Dense(3)(cnnrs.layers.Concatenate()(both)), name="two")
    ask = getattr(cnnrs.analysis, function)
    with pytest.raises(ValueError, match=f"{function}: model: expected a model of one input, two has 2"):
        ask(model, [np.ones((1, 8, 8, 1)), np.ones((1, 2))])
    with pytest.raises(ValueError, match=f"{function}: x: expected at least one sample"):
        ask(cnnrs.Sequential([cnnrs.Input((8, 8, 1)), cnnrs.layers.Conv2D(2, 3)]), np.ones((0, 8, 8, 1)))


def test_effective_field_of_a_classifier_is_that_of_its_last_map():
    last = cnnrs.layers.Conv2D(2, 3, name="last")
    model = cnnrs.Sequential(
        [cnnrs.Input((8, 8, 1)), last, cnnrs.layers.GlobalAveragePooling2D(), cnnrs.layers.Dense(3)]
    )
    found = cnnrs.analysis.effective_receptive_field(model)
    assert found.layer == "last" and found.theoretical == (3, 3)
