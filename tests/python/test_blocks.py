"""Attention and blocks: published counts, formulas in float64, the same from plain layers, bad arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_checks import host, sample

import cnnrs
from cnnrs import layers
from cnnrs.layers.blocks.norms import make_norm

MAPS = (4, 6, 5, 8)


def trained(layer: Any) -> int:
    """Number of weights that training changes, as papers count them."""
    return sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights)


def counted(blocks: list[Any], channels: int) -> tuple[int, int]:
    """Weights of blocks in turn, and the channels of the last one."""
    shape = (None, None, None, channels)
    for block in blocks:
        block.build(shape)
        shape = block.compute_output_shape(shape)
    return sum(map(trained, blocks)), shape[-1]


def resnet(kind: type, depths: tuple[int, ...], **arguments: Any) -> int:
    """Weights of a ResNet for ImageNet."""
    blocks = [
        kind(64 << stage, strides=2 if stage and not i else 1, **arguments)
        for stage, depth in enumerate(depths)
        for i in range(depth)
    ]
    count, channels = counted(blocks, 64)
    return 3 * 49 * 64 + 128 + count + channels * 1000 + 1000


def test_residual_networks_have_the_published_counts():
    """Of torchvision's networks, and 28.09 million in table 4 of the paper of CBAM."""
    assert resnet(layers.BasicBlock, (2, 2, 2, 2)) == 11_689_512
    bottleneck, depths = layers.BottleneckBlock, (3, 4, 6, 3)
    assert resnet(bottleneck, depths) == 25_557_032
    assert resnet(bottleneck, depths, groups=32, base_width=4) == 25_028_904
    assert round(resnet(bottleneck, depths, attention="se") / 1e6, 2) == 28.09
    assert round(resnet(bottleneck, depths, attention="cbam") / 1e6, 2) == 28.09


def narrow(rows: list[tuple[type, int, int, int, int, int]]) -> list[Any]:
    """Blocks of MobileNetV2 and its kin: kind, expansion, kernel size, stride, filters, number."""
    return [
        kind(filters, strides=strides if not i else 1, expansion=expansion, kernel_size=kernel_size)
        for kind, expansion, kernel_size, strides, filters, number in rows
        for i in range(number)
    ]


V2 = layers.InvertedResidual
MB = layers.MBConv
FUSED = layers.FusedMBConv


@pytest.mark.parametrize(
    ("rows", "channels", "published"),
    [
        (
            [(V2, 1, 3, 1, 16, 1), (V2, 6, 3, 2, 24, 2), (V2, 6, 3, 2, 32, 3), (V2, 6, 3, 2, 64, 4)]
            + [(V2, 6, 3, 1, 96, 3), (V2, 6, 3, 2, 160, 3), (V2, 6, 3, 1, 320, 1)],
            32,
            3_504_872,
        ),
        (
            [(MB, 1, 3, 1, 16, 1), (MB, 6, 3, 2, 24, 2), (MB, 6, 5, 2, 40, 2), (MB, 6, 3, 2, 80, 3)]
            + [(MB, 6, 5, 1, 112, 3), (MB, 6, 5, 2, 192, 4), (MB, 6, 3, 1, 320, 1)],
            32,
            5_288_548,
        ),
        (
            [(FUSED, 1, 3, 1, 24, 2), (FUSED, 4, 3, 2, 48, 4), (FUSED, 4, 3, 2, 64, 4)]
            + [(MB, 4, 3, 2, 128, 6), (MB, 6, 3, 1, 160, 9), (MB, 6, 3, 2, 256, 15)],
            24,
            21_458_488,
        ),
    ],
    ids=["MobileNetV2", "EfficientNet-B0", "EfficientNetV2-S"],
)
def test_narrow_networks_have_the_published_counts(rows, channels, published):
    count, last = counted(narrow(rows), channels)
    assert 27 * channels + 2 * channels + count + last * 1280 + 2560 + 1280 * 1000 + 1000 == published


def test_networks_of_concatenations_have_the_published_counts():
    blocks: list[Any] = []
    for i, depth in enumerate((6, 12, 24, 16)):
        blocks += [layers.DenseBlock(depth, 32), *([layers.TransitionBlock()] if i < 3 else [])]
    count, channels = counted(blocks, 64)
    assert 3 * 49 * 64 + 128 + count + 2 * channels + channels * 1000 + 1000 == 7_978_856

    fires = [layers.FireBlock(n, 4 * n) for n in (16, 16, 32, 32, 48, 48, 64, 64)]
    count, channels = counted(fires, 96)
    # Table 1 of the paper of SqueezeNet.
    published = [11_920, 12_432, 45_344, 49_440, 104_880, 111_024, 188_992, 197_184]
    assert [fire.count_params() for fire in fires] == published
    assert 3 * 49 * 96 + 96 + count + channels * 1000 + 1000 == 1_248_424

    # Table 1 of the paper of GoogLeNet: 159K in inception (3a), without biases.
    inception = layers.InceptionBlock(64, 96, 128, 16, 32, 32)
    inception.build((None, 28, 28, 192))
    kernels = sum(int(np.prod(w.shape)) for w in inception.weights if len(w.shape) == 4)
    assert kernels == 163_328 and kernels // 1024 == 159


def test_shuffle_and_convnext_have_the_published_counts():
    blocks = [
        layers.ShuffleBlock(filters, strides=1 if i else 2)
        for filters, number in ((116, 4), (232, 8), (464, 4))
        for i in range(number)
    ]
    count, channels = counted(blocks, 24)
    assert 27 * 24 + 48 + count + channels * 1024 + 2048 + 1024 * 1000 + 1000 == 2_278_604

    widths, depths = (96, 192, 384, 768), (3, 3, 9, 3)
    stages = sum(d * counted([layers.ConvNeXtBlock()], w)[0] for w, d in zip(widths, depths, strict=True))
    steps = sum(2 * w + 4 * w * 2 * w + 2 * w for w in widths[:3])
    assert 48 * 96 + 3 * 96 + stages + steps + 2 * 768 + 768 * 1000 + 1000 == 28_589_128


def test_unet_of_unknown_size_has_the_published_count():
    """Of the network of github.com/milesial/Pytorch-UNet with 3 channels and 2 classes."""
    x = image = cnnrs.Input((None, None, 3))
    skips = [x := layers.UNetDown(64, pool=None)(x)]
    for filters in (128, 256, 512, 1024):
        skips.append(x := layers.UNetDown(filters)(x))
    for filters, skip in zip((512, 256, 128, 64), skips[-2::-1], strict=True):
        x = layers.UNetUp(filters)([x, skip])
    model = cnnrs.Model(image, layers.Conv2D(2, 1)(x))
    assert trained(model) == 31_037_698
    assert model.output_shape == (None, None, None, 2)


@pytest.mark.parametrize("pool", ["max", "average", "conv"])
def test_levels_of_a_unet_fit_odd_sizes(pool):
    x = image = cnnrs.Input((None, None, 1))
    skips = [x := layers.UNetDown(4, pool=None)(x)]
    skips.append(x := layers.UNetDown(4, pool=pool)(x))
    x = layers.UNetDown(4, pool=pool)(x)
    for up, skip in zip(("transpose", "nearest"), skips[::-1], strict=True):
        x = layers.UNetUp(4, up=up)([x, skip])
    model = cnnrs.Model(image, x)
    for size in ((16, 16), (13, 18), (9, 7)):
        assert model(np.zeros((1, *size, 1))).shape == (1, *size, 4)


def test_the_sizes_of_the_paper_of_unet():
    """572 × 572 pixels become 388 × 388 without padding: figure 1."""
    x = image = cnnrs.Input((572, 572, 1))
    plain: dict[str, Any] = {"padding": "valid", "norm": None}
    skips = [x := layers.UNetDown(2, pool=None, **plain)(x)]
    for _ in range(4):
        skips.append(x := layers.UNetDown(2, **plain)(x))
    assert x.shape == (None, 28, 28, 2)
    for skip in skips[-2::-1]:
        x = layers.UNetUp(2, **plain)([x, skip])
    assert cnnrs.Model(image, x).output_shape == (None, 388, 388, 2)


@pytest.mark.parametrize(("channels", "taps"), [(16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)])
def test_taps_of_efficient_channel_attention(channels, taps):
    """By the code in figure 3 of the paper."""
    layer = layers.ECA()
    layer.build((None, 4, 4, channels))
    assert layer.count_params() == taps


# ---- formulas, slowly


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def wide(layer: Any) -> list[np.ndarray]:
    return [w.astype(np.float64) for w in layer.get_weights()]


def correlated(maps: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A convolution to one channel that keeps the size."""
    before = kernel.shape[0] // 2
    padded = np.pad(maps, ((0, 0), (before, before), (before, before), (0, 0)))
    found = np.zeros(maps.shape[:3])
    for i in range(maps.shape[1]):
        for j in range(maps.shape[2]):
            window = padded[:, i : i + kernel.shape[0], j : j + kernel.shape[1]]
            found[:, i, j] = np.tensordot(window, kernel[..., 0], 3)
    return found[..., None]


def test_attention_is_that_of_the_papers():
    x = sample(MAPS).astype(np.float64)
    mean, largest = x.mean((1, 2)), x.max((1, 2))

    se = layers.SqueezeExcitation(2)
    y = host(se(x))
    w1, b1, w2, b2 = wide(se)
    scale = sigmoid(np.maximum(mean @ w1 + b1, 0) @ w2 + b2)
    np.testing.assert_allclose(y, x * scale[:, None, None], atol=1e-5)

    cbam = layers.CBAM(2, 3)
    y = host(cbam(x))
    w1, b1, w2, b2, kernel = wide(cbam)

    def mlp(v):
        return np.maximum(v @ w1 + b1, 0) @ w2 + b2

    scaled = x * sigmoid(mlp(mean) + mlp(largest))[:, None, None]
    both = np.stack([scaled.mean(-1), scaled.max(-1)], -1)
    np.testing.assert_allclose(y, scaled * sigmoid(correlated(both, kernel)), atol=1e-5)

    eca = layers.ECA(3)
    y = host(eca(x))
    (taps,) = wide(eca)
    padded = np.pad(mean, ((0, 0), (1, 1)))
    scores = sum(padded[:, i : i + 8] * taps[i, 0, 0] for i in range(3))
    np.testing.assert_allclose(y, x * sigmoid(scores)[:, None, None], atol=1e-5)


@pytest.mark.parametrize("mode", ["embedded_gaussian", "gaussian", "dot_product", "concatenation"])
def test_non_local_is_that_of_the_paper(mode):
    layer = layers.NonLocal(3, mode=mode, norm=None)
    x = sample((2, 3, 4, 5)).astype(np.float64)
    layer(x)
    rng = np.random.default_rng(1)
    layer.set_weights([0.5 * rng.normal(size=w.shape) for w in layer.get_weights()])
    weights = {w.path.split("/", 1)[1]: np.asarray(w.numpy(), np.float64) for w in layer.weights}
    places = x.reshape(2, 12, 5)

    def conv(name: str, of: np.ndarray) -> np.ndarray:
        return of @ weights[f"{name}/kernel"][0, 0] + weights[f"{name}/bias"]

    theta, phi = (places, places) if mode == "gaussian" else (conv("theta", places), conv("phi", places))
    g, found = conv("g", places), np.zeros((2, 12, 3))
    for n in range(2):
        for i in range(12):
            if mode == "concatenation":
                w = np.concatenate([weights["score_kernel"][:, 0], weights["score_kernel"][:, 1]])
                f = [max(w @ np.concatenate([theta[n, i], phi[n, j]]), 0) for j in range(12)]
            else:
                f = [theta[n, i] @ phi[n, j] for j in range(12)]
            f = np.exp(f) if "gaussian" in mode else np.asarray(f)
            divisor = f.sum() if "gaussian" in mode else 12
            found[n, i] = f @ g[n] / divisor
    expected = x + conv("out", found).reshape(x.shape)
    np.testing.assert_allclose(host(layer(x)), expected, rtol=1e-4, atol=1e-5)


def test_non_local_of_one_place_is_that_place(recwarn):
    layer = layers.NonLocal(norm=None)
    x = sample((3, 1, 1, 4))
    layer(x)
    layer.set_weights([0.5 * sample(w.shape) for w in layer.get_weights()])
    weights = {w.path.split("/", 1)[1]: host(w) for w in layer.weights}
    values = x[:, 0, 0] @ weights["g/kernel"][0, 0] + weights["g/bias"]
    expected = x[:, 0, 0] + values @ weights["out/kernel"][0, 0] + weights["out/bias"]
    np.testing.assert_allclose(host(layer(x))[:, 0, 0], expected, atol=1e-5)
    assert not recwarn.list  # a softmax of one score is no mistake of the user


def test_channels_are_shuffled_as_in_the_paper():
    x = sample((2, 3, 4, 6))
    y = host(layers.ChannelShuffle(3)(x))
    for group in range(3):
        for j in range(2):
            np.testing.assert_array_equal(y[..., j * 3 + group], x[..., group * 2 + j])


# ---- the same from plain layers


def in_words(x: Any, kind: str) -> Any:
    """A block made of plain layers."""

    def conv(n, k, s=1):
        return layers.Conv2D(n, k, s, padding="same", use_bias=False)

    norm = layers.BatchNormalization

    def unit(x: Any, n: int, k: int, s: int = 1, act: str = "relu") -> Any:
        return layers.Activation(act)(norm()(conv(n, k, s)(x)))

    if kind == "basic":
        y = norm()(conv(12, 3)(unit(x, 12, 3, 2)))
        return layers.ReLU()(layers.Add()([y, norm()(conv(12, 1, 2)(x))]))
    if kind == "second":
        first = layers.ReLU()(norm()(x))
        y = layers.ReLU()(norm()(conv(12, 3)(first)))
        return layers.Add()([conv(12, 3)(y), conv(12, 1)(first)])
    if kind == "inverted":
        y = unit(x, 48, 1, act="relu6")
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
        y = norm()(conv(8, 1)(layers.Activation("relu6")(norm()(y))))
        return layers.Add()([y, x])
    y = layers.DepthwiseConv2D(7, padding="same")(x)
    y = layers.Conv2D(32, 1, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(y))
    return layers.Add()([x, layers.Conv2D(8, 1)(y)])


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("basic", lambda: layers.BasicBlock(12, strides=2)),
        ("second", lambda: layers.BasicBlock(12, version=2)),
        ("inverted", lambda: layers.InvertedResidual(8)),
        ("convnext", lambda: layers.ConvNeXtBlock(layer_scale=None)),
    ],
)
def test_a_block_is_what_its_layers_are(kind, block):
    """The same bits, by the same kernels, in prediction and in training."""
    x = sample((4, 16, 16, 8))
    models = []
    for make in (block(), lambda i: in_words(i, kind)):
        image = cnnrs.Input((16, 16, 8))
        models.append(cnnrs.Model(image, make(image)))
    first, second = models
    # By shape and order of use: plain layers of a branch are listed before those of a shortcut, too.
    assert sorted(w.shape for w in first.weights) == sorted(w.shape for w in second.weights)
    by_shape: dict[Any, list[Any]] = {}
    for weight in first.weights:
        by_shape.setdefault((tuple(weight.shape), weight.name), []).append(weight)
    rng = np.random.default_rng(0)
    for weight in second.weights:
        value = rng.uniform(0.2, 1.0, weight.shape).astype(np.float32)
        weight.assign(value)
        by_shape[tuple(weight.shape), weight.name].pop(0).assign(value)
    np.testing.assert_array_equal(host(first(x)), host(second(x)))
    for training in (False, True):
        told = [cnnrs.utils.explain(m, x=x, training=training) for m in models]
        kernels = [sorted(step["kernel"] for step in e.data["steps"]) for e in told]
        assert kernels[0] == kernels[1]
        assert told[0].arena_bytes == told[1].arena_bytes


# ---- pyramids


def maps_of(*sizes: tuple[int, int, int]) -> list[np.ndarray]:
    return [sample((2, *size), i) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("extra", ["pool", "conv"])
def test_pyramid(extra, tmp_path):
    maps = maps_of((12, 9, 3), (6, 5, 4), (3, 3, 5))
    layer = layers.FPN(6, extra_levels=2, extra=extra)
    found = layer(maps)
    shapes = [(2, 12, 9, 6), (2, 6, 5, 6), (2, 3, 3, 6), (2, 2, 2, 6), (2, 1, 1, 6)]
    assert [tuple(m.shape) for m in found] == shapes
    assert layer.compute_output_shape([m.shape for m in maps]) == shapes
    inputs = [cnnrs.Input((None, None, m.shape[-1])) for m in maps]
    model = cnnrs.Model(inputs, layer(inputs))
    model.save(tmp_path / "fpn.keras")
    again = cnnrs.models.load_model(tmp_path / "fpn.keras")
    for a, b in zip(again(maps), found, strict=True):
        np.testing.assert_array_equal(host(a), host(b))
    model.compile("sgd", "mse")
    model.fit(maps, [np.zeros(s, np.float32) for s in shapes], verbose=0)


def test_pyramid_adds_from_the_top():
    maps = maps_of((4, 4, 3), (2, 2, 5))
    layer = layers.FPN(2)
    layer(maps)
    w1, b1, w2, b2, v1, c1, _, _ = (w.numpy() for w in layer.weights)
    first, second = maps[0] @ w1[0, 0] + b1, maps[1] @ w2[0, 0] + b2
    total = first + second.repeat(2, 1).repeat(2, 2)
    conv = layers.Conv2D(2, 3, padding="same")
    conv.build((None, 4, 4, 2))
    conv.set_weights([v1, c1])
    np.testing.assert_allclose(host(layer(maps)[0]), host(conv(total)), atol=1e-5)


# ---- arguments


def test_norms_by_name():
    kinds = [type(make_norm(n, 48)).__name__ for n in ("batch", "layer", "group", "instance", None)]
    group = "GroupNormalization"
    assert kinds == ["BatchNormalization", "LayerNormalization", group, group, "NoneType"]
    assert make_norm("instance", 48).groups == 48
    assert make_norm(layers.BatchNormalization(momentum=0.5), 48, name="n").momentum == 0.5


def test_patterns_are_copied_and_saved(tmp_path):
    block = layers.BasicBlock(
        4,
        norm=lambda: layers.BatchNormalization(epsilon=0.25),
        activation=layers.PReLU(shared_axes=[1, 2]),
        attention=layers.SqueezeExcitation(2),
    )
    model = cnnrs.Sequential([cnnrs.Input((6, 6, 3)), block])
    slopes = [w for w in block.trainable_weights if w.name == "alpha"]
    assert len(slopes) == 2 and all(stage[1].epsilon == 0.25 for stage in block.stages)
    model.save(tmp_path / "model.keras")
    again = cnnrs.models.load_model(tmp_path / "model.keras")
    x = sample((2, 6, 6, 3))
    np.testing.assert_array_equal(host(again(x)), host(model(x)))


def test_a_frozen_block_has_no_trainable_weights():
    block = layers.MBConv(8, trainable=False)
    block.build((None, 8, 8, 8))
    assert not block.trainable_weights
    block.trainable = True
    assert len(block.trainable_weights) == 13


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.BasicBlock(8, norm="bach"), "norm: expected 'batch', .* did you mean 'batch'"),
        (lambda: layers.BasicBlock(8, attention=3), "attention: expected 'se', .* received 3"),
        (lambda: layers.BasicBlock(8, version=3), "version: expected 1 or 2, received 3"),
        (lambda: layers.BasicBlock(8, shortcut="D"), "shortcut: expected 'A', 'B' or 'C', received 'D'"),
        (lambda: layers.BasicBlock(8, drop_path=1), "drop_path: expected .* < 1, received 1"),
        (lambda: layers.BasicBlock(8, strides=2, dilation_rate=2), "expected one of them to be 1"),
        (lambda: layers.BottleneckBlock(8, base_width=0), "base_width: expected an integer >= 1"),
        (lambda: layers.RegularizedConvBlock(8, drop_path=0.1), "drop_path: expected 0 without a shortcut"),
        (lambda: layers.ShuffleBlock(7), "filters: expected an even number, received 7"),
        (lambda: layers.ECA(4), "kernel_size: expected an odd integer"),
        (lambda: layers.NonLocal(mode="gauss"), "mode: expected one of embedded_gaussian"),
        (lambda: layers.FPN(extra="max"), "extra: expected 'pool' or 'conv', received 'max'"),
        (lambda: layers.UNetDown(8, pool="min"), "pool: expected 'max', .* received 'min'"),
        (lambda: layers.TransitionBlock(0), "compression: expected .* > 0 .* received 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "inputs", "message"),
    [
        (layers.BasicBlock(4, shortcut="A"), sample(MAPS), "adds channels of zeros to the 8 of the input"),
        (layers.ChannelShuffle(3), sample(MAPS), "groups: expected a divisor of 8 channels, received 3"),
        (layers.ShuffleBlock(6), sample(MAPS), "filters: expected 8, the number of the input's channels"),
        (layers.FPN(4), sample(MAPS), "expected a list of maps of 4 axes"),
        (layers.FPN(4), maps_of((3, 3, 2), (6, 6, 2)), "each is smaller than the one before"),
        (layers.UNetUp(4), sample(MAPS), r"expected a list \[x, skip\]"),
        (layers.UNetUp(4), maps_of((3, 3, 2), (9, 9, 2)), "expected a skip of twice the size"),
        (layers.CBAM(), sample((4, 8)), "expected.*4"),
    ],
)
def test_bad_inputs(layer, inputs, message):
    with pytest.raises(ValueError, match=message):
        layer(inputs)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.BasicBlock(8, norm="layer", drop_path=0.5, seed=1),
        lambda: layers.MBConv(8, norm="layer", drop_path=0.5, seed=1),
        lambda: layers.ConvNeXtBlock(layer_scale=1.0, drop_path=0.5, seed=1),
        lambda: layers.RegularizedConvBlock(8, norm="layer", drop_block=0.2, block_size=3, seed=1),
    ],
)
def test_what_training_drops(make):
    """These norms compute the same in training: what differs was dropped."""
    block = make()
    x = sample((16, 6, 6, 8))
    frozen, trained = host(block(x)), host(block(x, training=True))
    assert np.array_equal(frozen, host(block(x))) and not np.array_equal(frozen, trained)
    again = type(block).from_config(block.get_config())
    again(x)
    again.set_weights(block.get_weights())
    np.testing.assert_array_equal(host(again(x)), host(block(x)))
