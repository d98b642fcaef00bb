"""Arguments of `cnnrs.ops`, kind by kind: what numpy takes gives numpy's result, all else a clear error."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import ops

X = np.arange(12, dtype=np.int32).reshape(3, 4)
F = X.astype(np.float32)
IMAGES = np.arange(64, dtype=np.float32).reshape(1, 4, 4, 4)
KERNEL = np.ones((1, 1, 4, 1), np.float32)

# Functions of one integer, by the argument's name, and an integer that fits.
INTEGERS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "reshape: newshape": (lambda n: ops.reshape(X, n), 12),
    "reshape: newshape of several": (lambda n: ops.reshape(X, (n, 2)), 6),
    "broadcast_to: shape": (lambda n: ops.broadcast_to([1], n), 3),
    "broadcast_to: shape of several": (lambda n: ops.broadcast_to([1], (2, n)), 3),
    "tile: repeats": (lambda n: ops.tile(X, n), 2),
    "tile: repeats of several": (lambda n: ops.tile(X, (n, 1)), 2),
    "repeat: repeats": (lambda n: ops.repeat(X, n), 2),
    "roll: shift": (lambda n: ops.roll(X, n, 0), 2),
    "roll: shift of several": (lambda n: ops.roll(X, (n, 1), (0, 1)), 2),
    "split: indices_or_sections": (lambda n: ops.split(X, n), 3),
    "split: indices_or_sections of several": (lambda n: ops.split(X, (n,)), 1),
    "diff: n": (lambda n: ops.diff(X, n), 1),
    "tril: k": (lambda n: ops.tril(X, n), 1),
    "triu: k": (lambda n: ops.triu(X, n), 1),
    "diagonal: offset": (lambda n: ops.diagonal(X, n), 1),
    "trace: offset": (lambda n: ops.trace(X, n), 1),
    "pad: pad_width": (lambda n: ops.pad(X, n), 1),
    "pad: pad_width of several": (lambda n: ops.pad(X, ((n, 0), (1, 1))), 1),
    "slice: start_indices": (lambda n: ops.slice(X, (n, 0), (1, 1)), 1),
    "slice: shape": (lambda n: ops.slice(X, (0, 0), (n, 1)), 1),
    "one_hot: num_classes": (lambda n: ops.one_hot([0, 2], n), 3),
    "multi_hot: num_classes": (lambda n: ops.multi_hot([0, 2], n), 3),
    "in_top_k: k": (lambda n: ops.in_top_k([0], [[0.1, 0.9]], n), 1),
    "round: decimals": (lambda n: ops.round([1.25], n), 1),
    "fori_loop: lower": (lambda n: ops.fori_loop(n, 4, lambda i, v: v + i, 0), 2),
    "fori_loop: upper": (lambda n: ops.fori_loop(0, n, lambda i, v: v + i, 0), 2),
    "while_loop: maximum_iterations": (
        lambda n: ops.while_loop(lambda i: i < 9, lambda i: i + 1, 0, maximum_iterations=n),
        3,
    ),
    "tensordot: axes": (lambda n: ops.tensordot(F, F.T, n), 1),
    "depth_to_space: block_size": (lambda n: ops.depth_to_space(IMAGES, n), 2),
    "space_to_depth: block_size": (lambda n: ops.space_to_depth(IMAGES, n), 2),
    "pad_images: top_padding": (lambda n: ops.image.pad_images(IMAGES, n, 0, 0, 0), 1),
    "pad_images: target_width": (lambda n: ops.image.pad_images(IMAGES, 0, 0, 0, target_width=n), 6),
    "crop_images: left_cropping": (lambda n: ops.image.crop_images(IMAGES, 0, n, 0, 0), 1),
    "crop_images: target_height": (lambda n: ops.image.crop_images(IMAGES, 0, 0, None, 0, n), 2),
    "linspace: num": (lambda n: ops.linspace(0, 1, n), 3),
    "eye: k": (lambda n: ops.eye(3, k=n), 1),
}


def host(result: Any) -> Any:
    return [np.asarray(leaf) for leaf in cnnrs.tree.flatten(result)]


@pytest.mark.parametrize("argument", INTEGERS)
def test_integers_of_numpy_and_of_tensors_are_integers(argument):
    function, integer = INTEGERS[argument]
    expected = host(function(integer))
    for given in (np.int64(integer), np.uint8(integer), np.array(integer), ops.array(integer)):
        for a, b in zip(host(function(given)), expected, strict=True):
            np.testing.assert_array_equal(a, b)


WRONG = [1.5, 2.0, np.float32(2), "2", None, [None], np.array(1.5), object()]

# Where None has a meaning, or an error of its own: an unknown extent, an amount that is computed, no limit.
NONE_IS_SPECIAL = ("reshape", "pad_images", "crop_images", "multi_hot", "while_loop")


@pytest.mark.parametrize("argument", INTEGERS)
def test_what_is_no_integer_is_refused(argument):
    name = re.escape(argument.removesuffix(" of several"))
    for wrong in WRONG:
        if argument.startswith(NONE_IS_SPECIAL) and (wrong is None or wrong == [None]):
            continue
        with pytest.raises(ValueError, match=f"{name}: expected .*integer.*, received "):
            host(INTEGERS[argument][0](wrong))


# Functions of an axis, called with one that is out of range or no integer.
AXES: dict[str, Callable[[Any], Any]] = {
    "sum": lambda a: ops.sum(X, axis=a),
    "max": lambda a: ops.max(X, axis=a),
    "argmax": lambda a: ops.argmax(X, axis=a),
    "cumsum": lambda a: ops.cumsum(X, axis=a),
    "flip": lambda a: ops.flip(X, a),
    "roll": lambda a: ops.roll(X, 1, a),
    "split": lambda a: ops.split(X, 1, a),
    "unstack": lambda a: ops.unstack(X, axis=a),
    "stack": lambda a: ops.stack([X, X], a),
    "concatenate": lambda a: ops.concatenate([X, X], a),
    "expand_dims": lambda a: ops.expand_dims(X, a),
    "squeeze": lambda a: ops.squeeze(X, a),
    "swapaxes": lambda a: ops.swapaxes(X, 0, a),
    "moveaxis": lambda a: ops.moveaxis(X, a, 0),
    "transpose": lambda a: ops.transpose(X, (a, 0)),
    "take": lambda a: ops.take(X, [0], a),
    "take_along_axis": lambda a: ops.take_along_axis(X, X * 0, a),
    "diagonal": lambda a: ops.diagonal(X, 0, 0, a),
    "tensordot": lambda a: ops.tensordot(F, F, ((0,), (a,))),
    "softmax": lambda a: ops.softmax(F, a),
    "norm": lambda a: ops.norm(F, axis=a),
    "moments": lambda a: ops.moments(F, a),
    "one_hot": lambda a: ops.one_hot(X, 3, axis=a),
    "glu": lambda a: ops.glu(F, a),
}


@pytest.mark.parametrize("name", AXES)
def test_axes_out_of_range_are_refused(name):
    for wrong in (7, -7):
        with pytest.raises(
            ValueError, match=rf"\w*(axis|axes|source)\w*: expected an integer from .* {wrong}"
        ):
            AXES[name](wrong)
    with pytest.raises(TypeError, match=r"\w*(axis|axes|source)\w*: expected an integer, received 1.5"):
        AXES[name](1.5)


def test_axes_of_scalars_and_axes_that_come_twice_are_refused():
    for function in (ops.sum, ops.softmax, ops.flip, ops.expand_dims, ops.squeeze):
        with pytest.raises(ValueError, match="axis"):
            function(ops.sum(F) if function is not ops.expand_dims else F, (0, 0))
    for scalar in (lambda: ops.softmax(3.0), lambda: ops.sum(3.0, axis=0), lambda: ops.unstack(3)):
        with pytest.raises(ValueError, match="axis: expected a tensor with axes, received a scalar"):
            scalar()
    with pytest.raises(ValueError, match=r"axis: expected different axes, received \(0, 0\)"):
        ops.expand_dims(X, (0, 0))
    with pytest.raises(ValueError, match="transpose: axes: expected each of the 2 axes"):
        ops.transpose(X, (0,))
    for keepdims in ("no", 2, None):
        with pytest.raises(ValueError, match="keepdims: expected True or False"):
            ops.sum(X, keepdims=keepdims)
    assert ops.sum(X, keepdims=1).shape == ops.norm(F, keepdims=np.bool_(True)).shape == (1, 1)


# Calls with arguments that do not fit each other or the tensor, and what the message names.
MISFITS: dict[str, tuple[Callable[[], Any], str]] = {
    "inner": (lambda: ops.inner(F, np.ones((3, 3))), "inner: x1, x2: expected equal extents"),
    "dot": (lambda: ops.dot(F, F), "dot: x1, x2: expected equal extents"),
    "tensordot": (lambda: ops.tensordot(F, F, 1), "tensordot: x1, x2: expected equal extents"),
    "tensordot of one": (lambda: ops.tensordot(F, F, ((0, 1),)), "tensordot: axes: expected an integer or"),
    "tensordot of 0 and 1": (lambda: ops.tensordot(F, F, ((0,), (0, 1))), "tensordot: x1, x2"),
    "vdot": (lambda: ops.vdot([1.0], [1.0, 2.0]), "vdot: x1, x2: expected as many elements"),
    "tril": (lambda: ops.tril([1, 2]), "tril: x: expected at least two axes"),
    "triu": (lambda: ops.triu(3), "triu: x: expected at least two axes"),
    "moveaxis": (lambda: ops.moveaxis(X, (0, 1), 0), "moveaxis: source, destination: expected as many"),
    "roll": (lambda: ops.roll(X, (1, 2, 3), (0, 1)), "roll: shift: expected one for each of 2 axes"),
    "slice": (lambda: ops.slice(X, (0, 0), (1,)), "slice: start_indices, shape: expected at most 2"),
    "slice before": (lambda: ops.slice(X, (-1, 0), (1, 1)), "slice: start_indices: expected .* >= 0"),
    "slice beyond": (
        lambda: ops.slice(X, (1, 0), (3, 1)),
        r"slice: shape: expected a block within .*\(3, 4\)",
    ),
    "stack": (lambda: ops.stack([]), "stack: x: expected at least one tensor"),
    "hstack": (lambda: ops.hstack([]), "hstack: xs: expected at least one tensor"),
    "vstack": (lambda: ops.vstack([]), "vstack: xs: expected at least one tensor"),
    "concatenate": (lambda: ops.concatenate([]), "concatenate: xs: expected at least one tensor"),
    "pad": (lambda: ops.pad(X, -1), "pad: pad_width: expected an integer >= 0, .*received -1"),
    "pad of three": (
        lambda: ops.pad(X, ((1, 1), (1, 1), (1, 1))),
        "pad: pad_width: expected .*of the 2 axes",
    ),
    "map": (
        lambda: ops.map(lambda t: t[0], (ops.array([1, 2]), ops.array([1, 2, 3]))),
        r"map: expected tensors of one extent along axis 0, received shapes \[\(2,\), \(3,\)\]",
    ),
    "map of none": (lambda: ops.map(lambda x: x, np.ones((0, 3))), "map: expected at least one slice"),
    "map of a scalar": (
        lambda: ops.vectorized_map(lambda x: x, ops.array(1)),
        "vectorized_map: expected tens",
    ),
    "conv": (lambda: ops.conv(IMAGES, KERNEL, padding=1), r"padding: expected 'valid', .*received 1"),
    "conv of fractions": (lambda: ops.conv(IMAGES, KERNEL, padding=((1.5, 1), (0, 0))), "padding: expected"),
    "conv of margins": (lambda: ops.conv(IMAGES, KERNEL, padding=((1, -1), (0, 0))), "padding: .*>= 0"),
    "max_pool": (lambda: ops.max_pool(IMAGES, 2, padding=1), "padding: expected 'valid'"),
    "conv kernel": (lambda: ops.conv(IMAGES, KERNEL[0]), r"conv: kernel: expected shape \(height"),
    "depthwise": (lambda: ops.depthwise_conv(IMAGES, KERNEL[0]), "depthwise_conv: kernel: expected shape"),
    "separable": (
        lambda: ops.separable_conv(IMAGES, KERNEL[0], KERNEL),
        "separable_conv: depthwise_kernel: expected shape",
    ),
    "conv_transpose": (
        lambda: ops.conv_transpose(IMAGES, np.ones(3)),
        "conv_transpose: kernel: expected shape",
    ),
    "depth_to_space": (lambda: ops.depth_to_space(IMAGES, 0), "block_size: expected an integer >= 1"),
    "channels": (lambda: ops.depth_to_space(IMAGES, 3), "depth_to_space: block_size: .*divides 4 channels"),
    "space_to_depth": (lambda: ops.space_to_depth(IMAGES, 0), "block_size: expected an integer >= 1"),
    "pixels": (lambda: ops.space_to_depth(IMAGES, 3), "space_to_depth: block_size: .*divisor of 4 x 4"),
    "resize": (
        lambda: ops.image.resize(np.ones((1, 0, 3, 1)), 2),
        "resize: images: expected at least one pixel",
    ),
    "crop": (
        lambda: ops.image.crop_images(IMAGES, 3, 0, 2, 0),
        "crop_images: .*fit an extent of 4, received top_cropping=3",
    ),
    "gelu": (
        lambda: ops.gelu(F, approximate="no"),
        "gelu: approximate: expected True or False, received 'no'",
    ),
    "norm": (lambda: ops.norm(F[0], ord="a"), "norm: ord: expected None or a number"),
    "normalize": (lambda: ops.normalize(F, order="a"), "normalize: order: expected a number > 0"),
    "normalize by 0": (lambda: ops.normalize(F, order=0), "normalize: order: expected a number > 0"),
    "in_top_k": (lambda: ops.in_top_k([0], 3.0, 1), "in_top_k: predictions: expected the shape of targets"),
    "take_along_axis": (lambda: ops.take_along_axis(X, [1], 1), "take_along_axis: indices: expected 2 axes"),
    "attention": (lambda: ops.dot_product_attention(F, F, F), "dot_product_attention: query: expected shape"),
    "max": (lambda: ops.max([]), "max: x: expected elements to reduce"),
    "take": (lambda: host(ops.take([10, 20, 30], -4)), "index -4 .*expected -3 to 2"),
    "take beyond": (lambda: host(ops.take([10, 20, 30], 3)), "index 3 .*expected -3 to 2"),
    "rows": (lambda: host(ops.take_along_axis(X, [[4], [0], [0]], 1)), "index 4 .*expected -4 to 3"),
    "rows before": (lambda: host(ops.take_along_axis(X, [[-5], [0], [0]], 1)), "index -5 .*expected -4 to 3"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_refused_by_the_name_of_the_argument(name):
    function, message = MISFITS[name]
    with pytest.raises(ValueError, match=message) as caught:
        function()
    assert not re.search(r"zip\(\)|List\(|Int\(|unpack|empty sequence|tuple index", str(caught.value))


@pytest.mark.parametrize("function", [ops.stack, ops.concatenate, ops.hstack, ops.vstack])
def test_what_is_no_sequence_of_tensors_is_refused(function):
    for wrong in (3, None, np.float32(1), ops.array(1)):
        with pytest.raises(TypeError, match="expected a sequence of tensors, received"):
            function(wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.arange(1, stp=3), "arange: unexpected argument 'stp'; did you mean 'stop'"),
        (lambda: ops.zeros(2, dtyp="int32"), "zeros: unexpected argument 'dtyp'; did you mean 'dtype'"),
        (lambda: ops.linspace(0, 1, nun=3), "linspace: unexpected argument 'nun'; did you mean 'num'"),
        (
            lambda: ops.full(2, fil_value=1),
            "full: unexpected argument 'fil_value'; did you mean 'fill_value'",
        ),
        (lambda: ops.cond(True, true_f=1), "cond: unexpected argument 'true_f'; did you mean 'true_fn'"),
        (lambda: ops.map(f=1, x=1), "map: unexpected argument 'x'; "),
        (lambda: ops.convert_to_tensor(1, dtyp=1), "convert_to_tensor: unexpected argument 'dtyp'"),
        (lambda: ops.ndim(), "ndim: missing 1 required positional argument: 'x'"),
    ],
)
def test_misspelt_arguments_of_functions_without_tensors_are_explained(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_loss_weights_that_are_no_numbers_are_named_by_compile():
    model = cnnrs.Sequential([cnnrs.layers.Dense(1)])
    for wrong in (["accuracy"], {"a": "b"}, [float("nan")]):
        with pytest.raises(ValueError, match="compile: loss_weights: expected a finite number, received"):
            model.compile("sgd", "mse", loss_weights=wrong)
    model.compile("sgd", "mse", loss_weights=[2])


# ---- values that numpy has


INF, NAN = np.inf, np.nan
SPECIAL = np.array([0.0, 1.0, -1.0, 2.5, INF, -INF, NAN], np.float32)


@pytest.mark.parametrize("equal_nan", [False, True])
@pytest.mark.parametrize(("rtol", "atol"), [(1e-5, 1e-8), (0.0, 0.0), (1.0, 0.0), (0.0, 10.0)])
def test_isclose_of_every_pair_of_special_values(rtol, atol, equal_nan):
    a, b = SPECIAL[:, None], SPECIAL[None]
    with np.errstate(invalid="ignore"):
        expected = np.isclose(a, b, rtol, atol, equal_nan)
    np.testing.assert_array_equal(ops.isclose(a, b, rtol, atol, equal_nan).numpy(), expected)
    assert not bool(ops.allclose([1.0], [INF]))
    assert not bool(ops.allclose([INF], [-INF]))


@pytest.mark.parametrize("order", [INF, -INF, 0, 1, 2, 3, -1, 0.5, np.float32(3)])
def test_norms_of_every_order(order):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    x[1, 2] = 0 if order == 0 else x[1, 2]
    expected = np.linalg.norm(x, order, axis=1, keepdims=True)
    np.testing.assert_allclose(ops.norm(x, ord=order, axis=1, keepdims=True).numpy(), expected, rtol=1e-5)
    if order > 0:
        np.testing.assert_allclose(ops.normalize(x, order=order).numpy(), x / expected, rtol=1e-5)


@pytest.mark.parametrize("decimals", range(-12, 1))
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_round_of_integers(decimals, dtype):
    edges = [0, 1, 4, 5, 6, 15, 25, 50, 145, 155, 250, 2**31 - 1, 123456789, 500000000, 1500000000]
    values = np.array([*edges, *(-e for e in edges)])
    values = (
        values if dtype == "int32" else values[(values >= 0) & (values < (245 if dtype == "uint8" else 2))]
    )
    # Python rounds integers exactly, halves to even.
    expected = np.array([round(int(v), decimals) for v in values])
    fits = np.abs(expected) < 2**31
    result = ops.round(values.astype(dtype), decimals)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result.numpy()[fits], expected.astype(dtype)[fits])


def test_nan_passes_through_shrinking_and_thresholds():
    np.testing.assert_array_equal(ops.hard_shrink(SPECIAL, 1.0).numpy(), [0, 0, 0, 2.5, INF, -INF, NAN])
    np.testing.assert_array_equal(ops.threshold(SPECIAL, 1.0, 7.0).numpy(), [7, 7, 7, 2.5, INF, 7, NAN])


def test_in_top_k_knows_no_classes_out_of_range_and_no_scores_that_are_nan():
    scores = np.array([[0.1, 0.9, 0.5], [NAN, 0.9, 0.5], [-INF, 0.9, INF]], np.float32)
    for target, expected in {
        0: [[False, False, False], [False, False, False], [True, False, True]],
        1: [[True, False, False], [True, False, True], [True, False, True]],
        2: [[False, False, True], [True, False, True], [True, False, True]],
        3: [[False] * 3] * 3,
        -1: [[False] * 3] * 3,
        -3: [[False] * 3] * 3,
    }.items():
        for k, row in enumerate(expected, start=1):
            assert ops.in_top_k([target] * 3, scores, k).tolist() == row
    top = cnnrs.metrics.sparse_top_k_categorical_accuracy([0, 1, 2], scores, k=1)
    assert top.tolist() == [0.0, 0.0, 1.0]


def test_larger_and_smaller_of_bools_are_bools():
    a, b = [True, True, False, False], [True, False, True, False]
    for function, expected in (
        (ops.maximum, [True, True, True, False]),
        (ops.minimum, [True, False, False, False]),
    ):
        assert function(a, b).dtype == "bool"
        assert function(a, b).tolist() == expected
        assert function(np.uint8([1]), a).dtype == "uint8"
        assert function(True, 2).dtype == "int32"


def test_saturated_casts_reach_the_ends():
    given = [3e9, 2147483648.0, 2147483520.0, 1.9, -1.9, -2147483648.0, -3e9, INF, -INF]
    expected = [2**31 - 1, 2**31 - 1, 2147483520, 1, -1, -(2**31), -(2**31), 2**31 - 1, -(2**31)]
    assert ops.saturate_cast(given, "int32").tolist() == expected


def test_bounds_that_contradict_each_other_give_the_upper_one():
    for low, high in ((2.0, 1.0), (2, -1), (np.float32(2.0), 1.0), (-1.0, 1)):
        np.testing.assert_array_equal(ops.clip(SPECIAL, low, high).numpy(), np.clip(SPECIAL, low, high))
    np.testing.assert_array_equal(ops.clip(SPECIAL, NAN, 1.0).numpy(), [NAN] * 7)


def test_indices_count_from_the_end():
    for axis in (0, 1):
        indices = np.array([[0, -1, 1, -2], [1, -3, -1, 0], [2, 0, 0, -1]])
        expected = np.take_along_axis(X, indices, axis)
        np.testing.assert_array_equal(ops.take_along_axis(X, indices, axis).numpy(), expected)
        np.testing.assert_array_equal(ops.take(X, [-3, 2], axis).numpy(), np.take(X, [-3, 2], axis))
    np.testing.assert_array_equal(ops.take_along_axis(X, [-12, 11]).numpy(), [0, 11])


@pytest.mark.parametrize(
    ("shift", "axis"), [((1, 2), 0), ((1, -1), (0, 1)), ((3, 2), None), (2, (0, 1)), ([1], [1])]
)
def test_roll_by_several_shifts(shift, axis):
    np.testing.assert_array_equal(ops.roll(X, shift, axis).numpy(), np.roll(X, shift, axis))


def test_products_of_scalars():
    np.testing.assert_array_equal(ops.inner(2.0, [1.0, 2.0]).numpy(), np.inner(2.0, [1.0, 2.0]))
    assert float(ops.inner(2.0, 3.0)) == 6.0


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_initial_is_the_extreme_of_no_elements(shape, keepdims):
    for axis in (None, 0, -1):
        arguments = {"axis": axis, "keepdims": keepdims, "initial": 3}
        for dtype in ("int32", "float32"):
            x = np.zeros(shape, dtype)
            for name in ("max", "min"):
                expected = getattr(np, name)(x, **arguments)
                result = getattr(ops, name)(x, **arguments)
                assert result.dtype == dtype
                np.testing.assert_array_equal(result.numpy(), expected)


def test_map_of_lists_of_numbers():
    assert ops.map(lambda x: x * 2, [1, 2, 3]).tolist() == [2, 4, 6]
    assert ops.map(ops.sum, [[1, 2], [3, 4]]).tolist() == [3, 7]
    pair = [np.array([1, 2]), np.array([10, 20])]
    assert ops.vectorized_map(lambda p: p[0] + p[1], pair).tolist() == [11, 22]
