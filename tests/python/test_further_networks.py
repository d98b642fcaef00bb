"""Networks of papers that Keras has not: published counts, arguments, files, training, and what is
refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import applications, layers
from cnnrs.applications.further_networks import FURTHER

# Trainable parameters with 1000 classes, or 10 for images of 32 x 32: exact numbers are those of the code
# that is
# named, others are the paper's, in millions as it rounds them.
COUNTS: list[tuple[str, dict[str, Any], float, str]] = [
    ("AlexNet", {}, 60_965_224, "Caffe's bvlc_alexnet; the paper says 60 million"),
    ("GoogLeNet", {}, 6_998_552, "Caffe's bvlc_googlenet without auxiliary classifiers"),
    ("GoogLeNet", {"aux_heads": True}, 13_378_280, "Caffe's bvlc_googlenet"),
    ("VGG11", {}, 132_863_336, "torchvision's vgg11; the paper's table 2 says 133 million"),
    ("VGG11BN", {}, 132_868_840, "torchvision's vgg11_bn"),
    ("ResNet20", {}, 0.27, "He and others 2016, table 6"),
    ("ResNet32", {}, 0.46, "He and others 2016, table 6"),
    ("ResNet44", {}, 0.66, "He and others 2016, table 6"),
    ("ResNet56", {}, 0.85, "He and others 2016, table 6"),
    ("ResNet110", {}, 1.7, "He and others 2016, table 6"),
    ("WideResNet", {}, 36.5, "Zagoruyko and Komodakis 2016, table 5, 28-10"),
    ("WideResNet", {"depth": 16, "widen_factor": 8}, 11.0, "Zagoruyko and Komodakis 2016, table 5, 16-8"),
    ("WideResNet", {"depth": 40, "widen_factor": 4}, 8.9, "Zagoruyko and Komodakis 2016, table 5, 40-4"),
    ("ResNeXt50", {}, 25_028_904, "torchvision's resnext50_32x4d; the paper's table 1 says 25.0 million"),
    ("SEResNet50", {}, 28.1, "Hu, Shen and Sun 2018, section 4"),
    ("CBAMResNet18", {}, 11.78, "Woo and others 2018, table 4"),
    ("CBAMResNet34", {}, 21.96, "Woo and others 2018, table 4"),
    ("CBAMResNet50", {}, 28.09, "Woo and others 2018, table 4"),
    ("SqueezeNet", {"version": "1.0"}, 1_248_424, "torchvision's squeezenet1_0"),
    ("SqueezeNet", {}, 1_235_496, "torchvision's squeezenet1_1"),
    ("ShuffleNetV2", {"alpha": 0.5}, 1_366_792, "torchvision's shufflenet_v2_x0_5"),
    ("ShuffleNetV2", {}, 2_278_604, "torchvision's shufflenet_v2_x1_0"),
    ("ShuffleNetV2", {"alpha": 1.5}, 3_503_624, "torchvision's shufflenet_v2_x1_5"),
    ("ShuffleNetV2", {"alpha": 2.0}, 7_393_996, "torchvision's shufflenet_v2_x2_0"),
    *(
        (f"RegNet{name}", {}, count, "Radosavovic and others 2020, appendix D")
        for name, count in (
            ("X002", 2.7), ("X004", 5.2), ("X006", 6.2), ("X008", 7.3), ("X016", 9.2), ("X032", 15.3),
            ("X040", 22.1), ("X064", 26.2), ("X080", 39.6), ("X120", 46.1), ("X160", 54.3), ("Y002", 3.2),
            ("Y004", 4.3), ("Y006", 6.1), ("Y008", 6.3), ("Y016", 11.2), ("Y032", 19.4), ("Y040", 20.6),
            ("Y064", 30.6), ("Y080", 39.2), ("Y120", 51.8), ("Y160", 83.6),
        )
    ),
    ("ViTTiny", {}, 5_717_416, "DeiT-Ti of timm; the paper's table 1 says 5 million"),
    ("ViTSmall", {}, 22_050_664, "DeiT-S of timm; the paper's table 1 says 22 million"),
    ("ViTBase", {}, 86_567_656, "torchvision's vit_b_16; the paper's table 1 says 86 million"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("network", "options", "count", "source"), COUNTS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_counts_are_those_of_the_source(network, options, count, source, no_draws):
    model = getattr(applications, network)(**options)
    found = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    if isinstance(count, int):
        assert found == count, source
    else:
        digits = len(f"{count}".split(".")[1])
        assert abs(found / 1e6 - count) <= 0.51 * 10**-digits, source


# One of each family, small enough to train here.
SMALL: list[tuple[str, dict[str, Any], int]] = [
    ("GoogLeNet", {}, 64),
    ("ResNet20", {}, 32),
    ("WideResNet", {"depth": 10, "widen_factor": 1, "dropout_rate": 0.1}, 32),
    ("SEResNet18", {}, 32),
    ("CBAMResNet18", {}, 32),
    ("SqueezeNet", {}, 64),
    ("ShuffleNetV2", {"alpha": 0.5}, 32),
    ("RegNetY002", {}, 32),
    ("ViTTiny", {"patch_size": 8, "drop_path_rate": 0.1}, 32),
]


@pytest.mark.parametrize(("network", "options", "size"), SMALL, ids=[row[0] for row in SMALL])
def test_networks_train_and_their_files_give_the_same(network, options, size, tmp_path):
    cnnrs.utils.set_random_seed(0)
    model = getattr(applications, network)(**options, input_shape=(size, size, 3), classes=3)
    before = model.get_weights()
    model.compile(cnnrs.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).standard_normal((4, size, size, 3)).astype(np.float32)
    losses = [float(model.train_on_batch(x, np.arange(4) % 3)) for _ in range(2)]
    assert np.isfinite(losses).all()
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(expected.sum(1), 1, rtol=1e-5)
    model.save(tmp_path / "m.keras")
    found = cnnrs.saving.load_model(tmp_path / "m.keras").predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("network", "options", "size"), SMALL, ids=[row[0] for row in SMALL])
def test_features_have_the_channels_of_the_table(network, options, size, no_draws):
    if network not in ("WideResNet",):
        model = getattr(applications, network)(**options, include_top=False, pooling="max")
        assert model.output_shape == (None, FURTHER[network].channels)
        assert model.input_shape == (None, None, None, 3)
    inputs = layers.Input((size, size, 1), name="grey")
    model = getattr(applications, network)(**options, input_tensor=inputs, classes=4)
    assert model.inputs[0].name == "grey" and model.output_shape == (None, 4)


def test_positions_are_interpolated_where_a_file_has_another_grid(tmp_path):
    small = applications.ViTTiny(input_shape=(64, 64, 3), classes=3)
    path = tmp_path / "m.weights.h5"
    small.save_weights(path)
    large = applications.ViTTiny(input_shape=(96, 64, 3), classes=3, weights=path)
    tokens = large.get_layer("tokens")
    assert tuple(tokens.embedding.shape) == (1, 1 + 6 * 4, 192)
    expected = small.get_layer("tokens").embedding.numpy()
    np.testing.assert_array_equal(tokens.embedding.numpy()[:, 0], expected[:, 0])
    np.testing.assert_array_equal(
        large.get_layer("norm").gamma.numpy(), small.get_layer("norm").gamma.numpy()
    )


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("VGG11", {"weights": "imagenet"}, "VGG11: weights: .*torchvision.vgg11 takes torchvision's"),
        ("SEResNet18", {"weights": "imagenet"}, "SEResNet18: weights: expected None.*train it"),
        (
            "ResNet20",
            {"weights": "gone.h5"},
            "ResNet20: weights: expected None .*is there, received 'gone.h5'",
        ),
        ("GoogLeNet", {"aux_heads": True, "include_top": False}, "aux_heads: expected False"),
        ("WideResNet", {"depth": 27}, "depth: expected 6 n \\+ 4.*received 27"),
        ("WideResNet", {"dropout_rate": 1.5}, "dropout_rate: .*1.5"),
        ("SqueezeNet", {"version": "2"}, "version: expected '1.0' or '1.1', received '2'"),
        ("ShuffleNetV2", {"alpha": 3}, "alpha: expected one of 0.5, 1.0, 1.5, 2.0, received 3"),
        ("ResNeXt50", {"cardinality": 0}, "ResNeXt50: cardinality: .*0"),
        ("ViTTiny", {"input_shape": (50, 64, 3)}, "input_shape: expected multiples of patch_size=16.*of 50"),
        ("ViTTiny", {"patch_size": 300}, "patch_size: expected at most 224.*received 300"),
        (
            "AlexNet",
            {"input_tensor": layers.Input((60, 60, 3)), "include_top": False},
            "AlexNet: input_tensor: expected height and width of at least 67, .*60, 60, 3.*pool5",
        ),
        ("ViTTiny", {"grid": "no"}, "grid: expected rows and columns.*'no'"),
        ("ResNet56", {"pooling": "sum", "include_top": False}, "pooling: expected None, 'avg' or 'max'"),
    ],
)
def test_errors_name_what_was_received_and_expected(network, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(applications, network)(**options)
