"""Receptive fields against gradients of the networks, and against published numbers."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import analysis, applications, layers, ops
from cnnrs.analysis.fields import Field


def with_ones(model):
    """The model with all weights 1, so that every element that is read has a positive gradient."""
    for weight in model.weights:
        weight.assign(np.ones(weight.shape, np.float32))
    return model


def sequential(shape, *parts):
    return with_ones(cnnrs.Sequential([cnnrs.Input(shape), *parts]))


def branching():
    """Two ways of unlike fields, of which one is shifted by its padding."""
    x = cnnrs.Input((19, 21, 1))
    wide = layers.Conv2D(2, 5, padding="same", use_bias=False)(x)
    wide = layers.Conv2D(2, 3, padding="same", strides=2, use_bias=False)(wide)
    narrow = layers.Conv2D(2, 1, strides=2, use_bias=False)(x)
    return with_ones(cnnrs.Model(x, layers.Conv2D(1, 2, use_bias=False)(layers.Add()([wide, narrow]))))


class Own(layers.Layer):
    """A layer that reads its neighbours by slices."""

    def call(self, x):
        return x[:, 2:] + x[:, 1:-1] + x[:, :-2]


class Subclassed(cnnrs.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(2, 3, use_bias=False, name="first")
        self.own = Own(name="own")

    def call(self, x):
        return ops.mean(self.own(self.first(x)), axis=-1, keepdims=True)


def subclassed():
    model = Subclassed()
    model.build((None, 12, 12, 1))
    return with_ones(model)


def conv(size=3, **options):
    return layers.Conv2D(1, size, use_bias=False, **options)


MODELS = {
    "convolutions": lambda: sequential(
        (17, 15, 2), conv(3), conv((2, 4), strides=(2, 1)), conv(3, padding="same")
    ),
    "dilated": lambda: sequential(
        (21, 21, 1), conv(3, dilation_rate=2), conv(3, dilation_rate=(3, 1), padding="same")
    ),
    "pooling": lambda: sequential(
        (20, 20, 1), conv(3, padding="same"), layers.AveragePooling2D(3, 2, "same"), conv(2)
    ),
    "depthwise": lambda: sequential(
        (14, 14, 3), layers.DepthwiseConv2D(3, strides=2, use_bias=False), conv(3)
    ),
    "separable": lambda: sequential((14, 14, 3), layers.SeparableConv2D(3, 5, use_bias=False), conv(1)),
    "transposed": lambda: sequential(
        (7, 7, 1), conv(3), layers.Conv2DTranspose(1, 3, strides=2, padding="same", use_bias=False), conv(3)
    ),
    "gaps": lambda: sequential((5, 5, 1), layers.Conv2DTranspose(1, 2, strides=3, use_bias=False)),
    "nearest": lambda: sequential(
        (8, 8, 1), conv(3), layers.UpSampling2D(2), conv(3, padding="same"), conv(2, strides=3)
    ),
    "nearest at the end": lambda: sequential((8, 8, 1), conv(3), layers.UpSampling2D((2, 3))),
    "weighted means": lambda: sequential(
        (16, 16, 1), conv(3), layers.AttentionPooling2D(3, 2), layers.GeMPooling2D(p=2.0)
    ),
    "bilinear": lambda: sequential((12, 12, 1), layers.UpSampling2D(2, interpolation="bilinear"), conv(3)),
    "padded": lambda: sequential(
        (12, 12, 1), layers.ZeroPadding2D(((2, 1), (0, 3))), conv(3, strides=2), layers.Cropping2D(1)
    ),
    "causal": lambda: sequential(
        (20, 2), layers.Conv1D(1, 3, padding="causal", dilation_rate=2, use_bias=False)
    ),
    "volumes": lambda: sequential(
        (8, 9, 7, 1), layers.Conv3D(1, (3, 2, 3), strides=(2, 1, 1), use_bias=False)
    ),
    "reversed": lambda: sequential((9, 9, 1), layers.Lambda(lambda x: x[:, ::-1]), conv((3, 1), strides=2)),
    "patches": lambda: sequential(
        (12, 12, 1), conv(4, strides=4), layers.Reshape((9, 1)), layers.Reshape((3, 3, 1))
    ),
    "branching": branching,
    "subclassed": subclassed,
    "nested": lambda: sequential((16, 16, 1), conv(3), cnnrs.Sequential([conv(3, strides=2), conv(2)])),
}


def gradients(model, shape, position, axes):
    """Where the gradient of an element of the result by the image is not 0."""
    x = cnnrs.Variable(np.ones((1, *shape), np.float32))
    with cnnrs.GradientTape() as tape:
        y = model(x)
        where = tuple(position[axes.index(a)] if a in axes else slice(None) for a in range(len(y.shape)))
        total = ops.sum(y[where])
    found = np.abs(tape.gradient(total, x).numpy())
    return found.max(axis=tuple(a for a in range(found.ndim) if a not in axes)) > 0


@pytest.mark.parametrize("name", MODELS)
def test_fields_are_where_gradients_are(name):
    model = MODELS[name]()
    fields = cnnrs.receptive_field(model)
    output = fields.output
    shape = model.inputs[0].shape[1:] if name != "subclassed" else (12, 12, 1)
    axes = list(range(1, len(shape)))
    middle = tuple(n // 2 for n in output.output_shape)
    positions = {middle, (0,) * len(axes), tuple(n - 1 for n in output.output_shape)}
    for position in sorted(positions):
        found = gradients(model, shape, position, axes)
        for axis, (first, end) in enumerate(output.region(*position)):
            along = np.flatnonzero(found.any(axis=tuple(a for a in range(found.ndim) if a != axis)))
            seen = (int(along[0]), int(along[-1]) + 1) if len(along) else (first, first)
            # At the borders, a layer in between may read padding where the recursion goes on.
            assert first <= seen[0] and seen[1] <= end, (position, axis)
            if position == middle:
                assert seen == (first, end), axis
                inside = first > 0 and end < shape[axis]
                assert not inside or end - first <= output.size[axis]


def test_fields_of_channels_first():
    model = with_ones(
        cnnrs.Sequential([cnnrs.Input((2, 12, 10)), conv((3, 2), strides=2, data_format="channels_first")])
    )
    output = cnnrs.receptive_field(model).output
    assert (output.size, output.stride, output.image_shape) == ((3, 2), (2, 2), (12, 10))


# Araujo, Norris and Sim (2019), table 1: the sizes of fields at the last map.
PUBLISHED = {
    "ResNet50": 483,
    "MobileNet": 315,
    "InceptionV3": 1311,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    model = getattr(applications, name)(weights=None, include_top=False, input_shape=(224, 224, 3))
    output = cnnrs.receptive_field(model).output
    assert output.size == (PUBLISHED[name],) * 2 and output.stride == (32, 32) and not output.whole


def test_size_does_not_depend_on_the_image():
    model = applications.MobileNetV2(weights=None, include_top=False, input_shape=(None, None, 3))
    sizes = [cnnrs.receptive_field(model, input_shape=(n, n, 3)).output.size for n in (96, 224)]
    assert sizes[0] == sizes[1] == cnnrs.receptive_field(model).output.size == (491, 491)


def test_ways_are_counted():
    x = y = cnnrs.Input((32, 32, 1))
    for _ in range(4):
        y = layers.Add()([y, layers.Conv2D(1, 3, padding="same")(y)])
    output = cnnrs.receptive_field(cnnrs.Model(x, y), paths=True).output
    # Of four blocks, k are passed by their convolutions in binomial(4, k) ways.
    assert output.paths == {(1, 1): 1, (3, 3): 4, (5, 5): 6, (7, 7): 4, (9, 9): 1}
    assert (output.size, output.least, output.aligned) == ((9, 9), (1, 1), True)


def test_ways_with_unlike_centres_are_not_aligned():
    x = cnnrs.Input((16, 16, 1))
    y = layers.Add()([layers.Conv2D(1, 2)(x), layers.Cropping2D(((0, 1), (0, 1)))(x)])
    fields = cnnrs.receptive_field(cnnrs.Model(x, layers.ReLU(name="last")(y)))
    assert fields["last"].centre == (0.5, 0.5) and not fields["last"].aligned
    assert "no" in repr(fields)


@pytest.mark.parametrize(
    "part",
    [
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Lambda(lambda x: ops.softmax(x, axis=(1, 2))),
        layers.Lambda(lambda x: ops.cumsum(x, axis=1)),
        layers.Lambda(lambda x: x + x[:, ::-1]),
        layers.Lambda(lambda x: ops.concatenate([x[:, 8:], x[:, :8]], axis=1)),
        layers.Permute((2, 1, 3)),
    ],
)  # fmt: skip
def test_what_reads_the_whole_image_says_so(part):
    x = cnnrs.Input((16, 16, 1))
    y = layers.Conv2D(1, 3, padding="same")(x)
    output = cnnrs.receptive_field(cnnrs.Model(x, layers.Multiply()([y, part(y)]))).output
    assert output.whole and output.region(3, 3) == ((0, 16), (0, 16))
    assert "whole" in output.text


def test_reflected_borders_are_padding():
    model = cnnrs.Sequential([
        cnnrs.Input((16, 16, 1)),
        layers.Lambda(lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")),
        layers.Conv2D(1, 3),
    ])  # fmt: skip
    output = cnnrs.receptive_field(model).output
    assert (output.size, output.whole, output.region(5, 5)) == ((3, 3), False, ((4, 7), (4, 7)))


def test_parts_of_one_result_are_one_window():
    volume = cnnrs.receptive_field(sequential((9, 9, 9, 1), layers.Conv3D(1, (3, 2, 3))), paths=True).output
    assert (volume.size, volume.least, volume.aligned) == ((3, 2, 3), (3, 2, 3), True)
    assert volume.paths == {(3, 2, 3): 1}
    x = cnnrs.Input((16, 16, 3))
    parts = [x[:, i::2, j::2] for i in range(2) for j in range(2)]
    focus = cnnrs.receptive_field(cnnrs.Model(x, layers.Concatenate()(parts)), paths=True).output
    assert (focus.size, focus.least, focus.stride, focus.aligned) == ((2, 2), (2, 2), (2, 2), True)


def test_what_keeps_numbers_in_range_is_no_way():
    found = cnnrs.receptive_field(sequential((16, 16, 2), layers.AttentionPooling2D(3, 2))).output
    assert (found.text, found.output_shape) == ("3 × 3", (7, 7))
    x = cnnrs.Input((16, 16, 3))
    alone = cnnrs.Model(x, conv(3)(layers.Lambda(ops.stop_gradient)(conv(5)(x))))
    assert cnnrs.receptive_field(alone).output.text == "7 × 7"


def test_stride_and_region_behind_repeated_elements():
    found = cnnrs.receptive_field(sequential((8, 8, 1), layers.MaxPooling2D(), layers.UpSampling2D(4))).output
    assert found.stride_text == "0.5 × 0.5"
    assert found.region(7, 8) == ((2, 4), (4, 6))


def test_several_inputs_are_asked_one_by_one():
    a, b = cnnrs.Input((16, 16, 1)), cnnrs.Input((16, 16, 1))
    model = cnnrs.Model([a, b], layers.Add()([layers.Conv2D(1, 5, padding="same")(a), b]))
    assert cnnrs.receptive_field(model).output.size == (5, 5)
    assert cnnrs.receptive_field(model, input=1).output.size == (1, 1)
    with pytest.raises(ValueError, match="receptive_field: input: expected"):
        cnnrs.receptive_field(model, input=2)


def test_mistakes_are_named():
    dense = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"expected an input with axes of an image, received shape \(1, 4\)"):
        cnnrs.receptive_field(dense)
    with pytest.raises(ValueError, match="has no inputs of known shapes yet; expected x"):
        cnnrs.receptive_field(Subclassed())
    fields = cnnrs.receptive_field(branching())
    with pytest.raises(KeyError, match="no layer is called 'ad'"):
        fields["ad"]
    with pytest.raises(ValueError, match=r"position: expected 2 indices, received \(1,\)"):
        fields.output.region(1)


def test_lookups_follow_a_pattern_or_none():
    rows = np.arange(12) // 2
    assert Field.identity().looked_up(rows, rows, 6) == Field(2, 1, ((0, 0), (0, 0)))
    shuffled = np.random.default_rng(0).permutation(12)
    assert Field.identity().looked_up(shuffled, shuffled, 12) is None


def test_effective_fields_are_smaller_and_in_the_middle():
    model = cnnrs.Sequential(
        [cnnrs.Input((31, 31, 1)), *(layers.Conv2D(4, 3, name=f"c{k}") for k in range(8))]
    )
    found = analysis.effective_receptive_field(model, "c7", samples=4)
    assert found.theoretical == (17, 17) and abs(found.weights.sum() - 1) < 1e-6
    assert all(2 < width < 12 for width in found.gaussian_width) and 1 < found.radius < 8.5
    # Weights of ones are the binomial-like convolution of boxes: its variance is 8 times that of a box of 3.
    ones = analysis.effective_receptive_field(with_ones(model_without_bias(8)))
    np.testing.assert_allclose(ones.gaussian_width, 2 * (8 * 2 / 3) ** 0.5, rtol=1e-4)
    with pytest.raises(ValueError, match=r"position: expected an element of \(15, 15\), received \(15, 0\)"):
        analysis.effective_receptive_field(model, "c7", position=(15, 0))


def model_without_bias(depth):
    return cnnrs.Sequential([cnnrs.Input((31, 31, 1)), *(conv(3) for _ in range(depth))])


@pytest.mark.parametrize("ask", [cnnrs.receptive_field, cnnrs.analysis.costs])
def test_what_is_no_model_is_refused(ask):
    with pytest.raises(
        TypeError, match=f"{ask.__name__}: model: expected a model or a layer, received ndarray"
    ):
        ask(np.zeros((1, 8, 8, 3)))
