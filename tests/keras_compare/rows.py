# ruff: noqa: E501 -- rows of a table
"""Functions of `ops` whose arguments need words: a row draws a few calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_compare.cases import Array, array

__all__ = ["ROWS"]

Draw = Callable[[np.random.Generator], list[tuple[tuple[Any, ...], dict[str, Any]]]]


def _f(rng: Any, *shape: int, low: float = -2.0, high: float = 2.0, dtype: str = "float32") -> Array:
    return array(rng, shape, dtype, low, high)


def _i(rng: Any, high: int, *shape: int) -> Array:
    return Array(rng.integers(0, high, shape).astype("int32"), "int32")


def _square(rng: Any, *lead: int) -> Array:
    """Matrices far from singular ones."""
    values = rng.uniform(-1, 1, (*lead, 3, 3)) + 3 * np.eye(3)
    return Array(values.astype("float32"), "float32")


def _definite(rng: Any, *lead: int) -> Array:
    values = rng.uniform(-1, 1, (*lead, 3, 3))
    return Array((values @ values.swapaxes(-1, -2) + np.eye(3)).astype("float32"), "float32")


def _probabilities(rng: Any, *shape: int) -> Array:
    values = rng.uniform(0.1, 1, shape)
    return Array((values / values.sum(-1, keepdims=True)).astype("float32"), "float32")


def _calls(*calls: Any) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Tuples whose last entry may be a dict of keyword arguments."""
    return [
        (call[:-1], call[-1]) if call and isinstance(call[-1], dict) else (tuple(call), {}) for call in calls
    ]


def _grid(function: Callable[..., Any], **options: list[Any]) -> list[Any]:
    """`function` of every combination of options."""
    combinations: list[dict[str, Any]] = [{}]
    for key, values in options.items():
        combinations = [{**c, key: v} for c in combinations for v in values]
    return [function(c) for c in combinations]


def _pool(r: Any) -> Any:
    return _calls(
        *_grid(
            lambda o: (
                _f(r, 2, 7, 6, 3),
                {"pool_size": o["size"], "strides": o["strides"], "padding": o["padding"]},
            ),
            size=[2, (3, 2)],
            strides=[None, 1, 2],
            padding=["valid", "same"],
        ),
        (_f(r, 2, 9, 3), {"pool_size": 2}),
    )


def _conv(r: Any) -> Any:
    calls = _grid(
        lambda o: (
            _f(r, 2, 8, 7, 4),
            _f(r, 3, 2, 4, 6),
            {"strides": o["strides"], "padding": o["padding"], "dilation_rate": o["dilation"]},
        ),
        strides=[1, (2, 2)],
        padding=["valid", "same"],
        dilation=[1, 2],
    )
    calls = [c for c in calls if c[-1]["strides"] == 1 or c[-1]["dilation_rate"] == 1]
    return _calls(
        *calls, (_f(r, 2, 8, 7, 4), _f(r, 3, 3, 2, 6), {"padding": "same"}), (_f(r, 2, 9, 3), _f(r, 3, 3, 4))
    )


def _depthwise(r: Any) -> Any:
    return _calls(
        *_grid(
            lambda o: (_f(r, 2, 8, 7, 3), _f(r, 3, 3, 3, o["m"]), {"strides": o["s"], "padding": o["p"]}),
            m=[1, 2],
            s=[1, 2],
            p=["valid", "same"],
        )
    )


def _transposed(r: Any) -> Any:
    return _calls(
        *_grid(
            lambda o: (
                _f(r, 2, 5, 4, 3),
                _f(r, o["k"], o["k"], 2, 3),
                {"strides": o["s"], "padding": o["p"]},
            ),
            k=[2, 3, 4],
            s=[1, 2, 3],
            p=["valid", "same"],
        )
    )


def _one_hot(rng: Any, classes: int, *shape: int) -> Array:
    return Array(np.eye(classes, dtype="float32")[rng.integers(0, classes, shape)], "float32")


def _images(r: Any) -> Array:
    return Array(r.uniform(0, 1, (2, 8, 8, 3)).astype("float32"), "float32")


def _matrix(function: Any) -> Draw:
    return lambda r: _calls((function(r),), (function(r, 2),))


_POINTS = {"side": ["left", "right"]}

ROWS: dict[str, Draw] = {
    # ---- arithmetic and shapes
    "add_n": lambda r: _calls(([_f(r, 3), _f(r, 3)],)),
    "matmul": lambda r: _calls(
        (_f(r, 3, 4), _f(r, 4, 2)), (_f(r, 2, 3, 4), _f(r, 4, 2)), (_f(r, 4), _f(r, 4)), (_f(r, 2, 1, 3, 4), _f(r, 5, 4, 2)),
        (_i(r, 9, 3, 4), _i(r, 9, 4, 2)), (_f(r, 3, 4, dtype="float16"), _f(r, 4, 2, dtype="float16")),
    ),
    "dot": lambda r: _calls((_f(r, 3, 4), _f(r, 4, 2)), (_f(r, 4), _f(r, 4)), (_f(r, 2, 3, 4), _f(r, 4)), (_f(r), _f(r, 3))),
    "inner": lambda r: _calls((_f(r, 3, 4), _f(r, 2, 4)), (_f(r, 4), _f(r, 4)), (_i(r, 9, 3, 4), _i(r, 9, 4))),
    "outer": lambda r: _calls((_f(r, 3), _f(r, 4)), (_f(r, 2, 2), _f(r, 3))),
    "vdot": lambda r: _calls((_f(r, 3), _f(r, 3)), (_f(r, 2, 3), _f(r, 2, 3))),
    "kron": lambda r: _calls((_f(r, 2, 3), _f(r, 3, 2)),),
    "cross": lambda r: _calls((_f(r, 4, 3), _f(r, 4, 3)),),
    "tensordot": lambda r: _calls((_f(r, 2, 3, 4), _f(r, 3, 4, 5), {"axes": 2}), (_f(r, 2, 3), _f(r, 4, 3), {"axes": [[1], [1]]})),
    "einsum": lambda r: _calls(
        *[(s, *[_f(r, *shape) for shape in shapes]) for s, *shapes in (
            ("ij,jk->ik", (3, 4), (4, 2)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("ij->ji", (3, 4)), ("ii->i", (3, 3)),
            ("ij,ij->", (3, 4), (3, 4)), ("bhqd,bhkd->bhqk", (1, 2, 3, 4), (1, 2, 5, 4)), ("...i,i", (2, 3), (3,)),
        )]
    ),
    "clip": lambda r: _calls((_f(r, 3, 4), -1.0, 1.0), (_i(r, 9, 3), 2, 5), (_f(r, 3), _f(r, 3, low=-1, high=0), 1.0)),
    "where": lambda r: _calls((array(r, (3, 4), "bool"), _f(r, 3, 4), _f(r, 4)), (array(r, (3,), "bool"), _f(r, 3), 0)),
    "round": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"decimals": 1}), (Array(np.array([123, 234], "int32"), "int32"), {"decimals": -1})),
    "reshape": lambda r: _calls((_f(r, 3, 4), (2, 6)), (_f(r, 3, 4), (-1, 2))),
    "transpose": lambda r: _calls((_f(r, 2, 3, 4),), (_f(r, 2, 3, 4), (2, 0, 1))),
    "swapaxes": lambda r: _calls((_f(r, 2, 3, 4), 0, -1),),
    "moveaxis": lambda r: _calls((_f(r, 2, 3, 4), 0, -1), (_f(r, 2, 3, 4), [0, 1], [2, 0])),
    "expand_dims": lambda r: _calls((_f(r, 3, 4), 1), (_f(r, 3, 4), (0, -1))),
    "squeeze": lambda r: _calls((_f(r, 1, 3, 1),), (_f(r, 1, 3, 1), {"axis": 0})),
    "concatenate": lambda r: _calls(([_f(r, 2, 3), _f(r, 1, 3)],), ([_f(r, 2, 3), _i(r, 9, 2, 1)], {"axis": -1})),
    "append": lambda r: _calls((_f(r, 2, 3), _f(r, 4)), (_f(r, 2, 3), _f(r, 1, 3), {"axis": 0})),
    "stack": lambda r: _calls(([_f(r, 2, 3), _f(r, 2, 3)],), ([_f(r, 2), _f(r, 2)], {"axis": -1})),
    "hstack": lambda r: _calls(([_f(r, 2, 3), _f(r, 2, 1)],)),
    "vstack": lambda r: _calls(([_f(r, 2, 3), _f(r, 1, 3)],)),
    "dstack": lambda r: _calls(([_f(r, 2, 3), _f(r, 2, 3)],)),
    "column_stack": lambda r: _calls(([_f(r, 3), _f(r, 3)],)),
    "split": lambda r: _calls((_f(r, 6, 2), 3), (_f(r, 6, 2), [1, 4]), (_f(r, 2, 6), 2, {"axis": 1})),
    "array_split": lambda r: _calls((_f(r, 7, 2), 3),),
    "unstack": lambda r: _calls((_f(r, 3, 2),), (_f(r, 3, 2), {"axis": 1})),
    "tile": lambda r: _calls((_f(r, 2, 3), 2), (_f(r, 2, 3), (2, 1, 2))),
    "repeat": lambda r: _calls((_f(r, 2, 3), 2), (_f(r, 2, 3), 2, {"axis": 1})),
    "roll": lambda r: _calls((_f(r, 3, 4), 1), (_f(r, 3, 4), 2, {"axis": 1}), (_f(r, 3, 4), (1, -1), {"axis": (0, 1)})),
    "flip": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"axis": 1})),
    "rot90": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"k": 3})),
    "pad": lambda r: _calls(
        *[(_f(r, 3, 4), ((1, 2), (0, 1)), {"mode": m}) for m in ("constant", "reflect", "symmetric")],
        (_f(r, 3, 4), 1, {"constant_values": 2}),
    ),
    "broadcast_to": lambda r: _calls((_f(r, 3, 1), (2, 3, 4)),),
    "diff": lambda r: _calls((_f(r, 3, 5),), (_f(r, 3, 5), {"n": 2, "axis": 0})),
    "diagonal": lambda r: _calls((_f(r, 3, 4),), (_f(r, 2, 3, 4), {"offset": 1, "axis1": 1, "axis2": 2})),
    "trace": lambda r: _calls((_f(r, 3, 4),), (_f(r, 2, 3, 4), {"axis1": 1, "axis2": 2})),
    "diag": lambda r: _calls((_f(r, 3),), (_f(r, 3, 4), {"k": 1})),
    "diagflat": lambda r: _calls((_f(r, 2, 2),),),
    "tril": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"k": -1})),
    "triu": lambda r: _calls((_f(r, 3, 4),), (_f(r, 2, 3, 4), {"k": 1})),
    "meshgrid": lambda r: _calls((_f(r, 3), _f(r, 2)), (_f(r, 3), _f(r, 2), {"indexing": "ij"})),
    "take": lambda r: _calls((_f(r, 4, 3), _i(r, 4, 2)), (_f(r, 4, 3), _i(r, 3, 2, 2), {"axis": 1})),
    "take_along_axis": lambda r: _calls((_f(r, 4, 3), _i(r, 4, 2, 3), {"axis": 0}),),
    "get_item": lambda r: _calls((_f(r, 4, 3), 1),),
    "slice": lambda r: _calls((_f(r, 4, 5), (1, 2), (2, 3)),),
    "slice_update": lambda r: _calls((_f(r, 4, 5), (1, 2), _f(r, 2, 2)),),
    "scatter": lambda r: _calls((Array(np.array([[0, 1], [2, 0]], "int32"), "int32"), _f(r, 2), (3, 2)),),
    "scatter_update": lambda r: _calls((_f(r, 4, 2), Array(np.array([[0], [2]], "int32"), "int32"), _f(r, 2, 2)),),
    "select": lambda r: _calls(([array(r, (3,), "bool"), array(r, (3,), "bool")], [_f(r, 3), _f(r, 3)]),),
    "average": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"axis": 1, "weights": _f(r, 4, low=0.5)})),
    "norm": lambda r: _calls(
        (_f(r, 3, 4),),
        *[(_f(r, 2, 3, 4), {"ord": o, "axis": -1}) for o in (1, 2, 3, np.inf, -np.inf)],
        *[(_f(r, 3, 4), {"ord": o}) for o in ("fro", 1, np.inf, "nuc", 2)],
    ),
    "normalize": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"axis": 0, "order": 1})),
    "nan_to_num": lambda r: _calls((Array(np.array([np.nan, np.inf, -np.inf, 1], "float32"), "float32"),),),
    # ---- order
    "sort": lambda r: _calls((_f(r, 3, 5),), (_f(r, 3, 5), {"axis": 0})),
    "argsort": lambda r: _calls((_f(r, 3, 5),),),
    "top_k": lambda r: _calls((_f(r, 3, 5), 2),),
    "in_top_k": lambda r: _calls((_i(r, 4, 3), _f(r, 3, 4), 2),),
    "searchsorted": lambda r: _calls(*_grid(lambda o: (Array(np.arange(5, dtype="float32"), "float32"), _f(r, 4, high=6.0), o), **_POINTS)),
    "digitize": lambda r: _calls((_f(r, 4), Array(np.array([-1, 0, 1], "float32"), "float32")),),
    "bincount": lambda r: _calls((_i(r, 5, 9),), (_i(r, 5, 9), {"minlength": 8})),
    "median": lambda r: _calls((_f(r, 3, 5),), (_f(r, 3, 4), {"axis": 1, "keepdims": True})),
    "quantile": lambda r: _calls(*_grid(lambda o: (_f(r, 3, 6), 0.3, {"axis": 1, **o}), method=["linear", "lower", "higher", "nearest", "midpoint"])),
    "percentile": lambda r: _calls((_f(r, 3, 6), 30.0),),
    "isin": lambda r: _calls((_i(r, 5, 6), _i(r, 5, 2)),),
    "histogram": lambda r: _calls((_f(r, 20),),),
    "count_nonzero": lambda r: _calls((_i(r, 2, 3, 4),), (_i(r, 2, 3, 4), {"axis": 1})),
    # ---- making
    "arange": lambda r: _calls((5,), (1, 7, 2), (0.0, 1.0, 0.25), (5, {"dtype": "float32"})),
    "linspace": lambda r: _calls((0.0, 1.0), (0.0, 1.0, {"num": 5, "endpoint": False})),
    "logspace": lambda r: _calls((0.0, 1.0, {"num": 5}),),
    "geomspace": lambda r: _calls((1.0, 100.0, {"num": 5}),),
    "eye": lambda r: _calls((3,), (3, {"M": 4, "k": 1})),
    "identity": lambda r: _calls((3,),),
    "tri": lambda r: _calls((3,), (3, {"M": 4, "k": -1})),
    "full": lambda r: _calls(((2, 3), 4), ((2,), 1.5)),
    "full_like": lambda r: _calls((_f(r, 2, 3), 4), (_i(r, 5, 3), 2)),
    "zeros": lambda r: _calls(((2, 3),),),
    "ones": lambda r: _calls(((2, 3), {"dtype": "int32"}),),
    "vander": lambda r: _calls((_f(r, 3),), (_f(r, 3), {"N": 2, "increasing": True})),
    "one_hot": lambda r: _calls((_i(r, 4, 2, 3), 4), (_i(r, 4, 3), 5, {"axis": 0})),
    "multi_hot": lambda r: _calls((_i(r, 4, 2, 3), 4),),
    "cast": lambda r: _calls(*[(_f(r, 3), d) for d in ("int32", "float16", "bool", "uint8")]),
    "saturate_cast": lambda r: _calls((_f(r, 3, low=-300, high=300), "uint8"),),
    # ---- networks
    "softmax": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"axis": 0})),
    "leaky_relu": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"negative_slope": 0.3})),
    "elu": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"alpha": 0.5})),
    "celu": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"alpha": 0.5})),
    "gelu": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"approximate": False})),
    "hard_shrink": lambda r: _calls((_f(r, 3, 4),),),
    "soft_shrink": lambda r: _calls((_f(r, 3, 4),),),
    "threshold": lambda r: _calls((_f(r, 3, 4), 0.5, 7.0),),
    "squareplus": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"b": 2})),
    "glu": lambda r: _calls((_f(r, 3, 4),), (_f(r, 4, 3), {"axis": 0})),
    "max_pool": _pool,
    "average_pool": _pool,
    "adaptive_average_pool": lambda r: _calls((_f(r, 2, 7, 6, 3), {"output_size": (3, 2)}),),
    "adaptive_max_pool": lambda r: _calls((_f(r, 2, 7, 6, 3), {"output_size": (3, 2)}),),
    "conv": _conv,
    "depthwise_conv": _depthwise,
    "separable_conv": lambda r: _calls((_f(r, 2, 8, 7, 3), _f(r, 3, 3, 3, 2), _f(r, 1, 1, 6, 4), {"padding": "same"}),),
    "conv_transpose": _transposed,
    "batch_normalization": lambda r: _calls(
        (_f(r, 4, 3), _f(r, 3), _f(r, 3, low=0.5), {"axis": -1}),
        (_f(r, 4, 3), _f(r, 3), _f(r, 3, low=0.5), {"axis": -1, "offset": _f(r, 3), "scale": _f(r, 3)}),
    ),
    "layer_normalization": lambda r: _calls((_f(r, 4, 3), {"gamma": _f(r, 3), "beta": _f(r, 3)}),),
    "rms_normalization": lambda r: _calls((_f(r, 4, 3),), (_f(r, 4, 3), {"scale": _f(r, 3)})),
    "moments": lambda r: _calls((_f(r, 4, 3), {"axes": [0]}), (_f(r, 4, 3), {"axes": [0, 1], "keepdims": True})),
    "binary_crossentropy": lambda r: _calls(
        (array(r, (3, 4), "bool"), _f(r, 3, 4, low=0.05, high=0.95)), (_one_hot(r, 4, 3), _f(r, 3, 4), {"from_logits": True})
    ),
    "categorical_crossentropy": lambda r: _calls(
        (_one_hot(r, 4, 3), _probabilities(r, 3, 4)), (_one_hot(r, 4, 3), _f(r, 3, 4), {"from_logits": True})
    ),
    "sparse_categorical_crossentropy": lambda r: _calls(
        (_i(r, 4, 3), _probabilities(r, 3, 4)), (_i(r, 4, 3), _f(r, 3, 4), {"from_logits": True})
    ),
    "dot_product_attention": lambda r: _calls((_f(r, 1, 3, 2, 4), _f(r, 1, 5, 2, 4), _f(r, 1, 5, 2, 4)), (_f(r, 1, 3, 4, 4), _f(r, 1, 5, 2, 4), _f(r, 1, 5, 2, 4))),
    "depth_to_space": lambda r: _calls((_f(r, 1, 2, 3, 8), 2),),
    "space_to_depth": lambda r: _calls((_f(r, 1, 4, 6, 2), 2),),
    "unfold": lambda r: _calls((_f(r, 1, 2, 5, 6), 3),),
    "psnr": lambda r: _calls((_images(r), _images(r), 1.0),),
    "segment_sum": lambda r: _calls((_f(r, 5, 2), Array(np.array([0, 0, 1, 2, 2], "int32"), "int32"), {"num_segments": 3}),),
    "segment_max": lambda r: _calls((_f(r, 5), Array(np.array([0, 0, 1, 2, 2], "int32"), "int32"), {"num_segments": 3}),),
    "logsumexp": lambda r: _calls((_f(r, 3, 4),), (_f(r, 3, 4), {"axis": 1, "keepdims": True})),
    "isclose": lambda r: _calls((_f(r, 3), _f(r, 3)),),
    "polar": lambda r: [],
    "erfinv": lambda r: _calls((_f(r, 3, 4, low=-0.9, high=0.9),),),
    # ---- matrices
    "cholesky": _matrix(_definite),
    "cholesky_inverse": lambda r: _calls((Array(np.linalg.cholesky(_definite(r).values), "float32"),)),
    "det": _matrix(_square),
    "inv": _matrix(_square),
    "logdet": _matrix(_definite),
    "slogdet": _matrix(_square),
    "pinv": _matrix(_square),
    "solve": lambda r: _calls((_square(r), _f(r, 3, 2)), (_square(r, 2), _f(r, 2, 3, 2))),
    "solve_triangular": lambda r: _calls((Array(np.tril(_square(r).values), "float32"), _f(r, 3, 2), {"lower": True}),),
    "matrix_power": lambda r: _calls((_square(r), 3),),
    "matrix_rank": _matrix(_square),
    # ---- images
    "resize": lambda r: _calls(
        *_grid(
            lambda o: (_images(r), (5, 11), o),
            interpolation=["nearest", "bilinear", "bicubic", "lanczos3"],
            antialias=[False, True],
        )
    ),
    "rgb_to_grayscale": lambda r: _calls((_images(r),),),
    "rgb_to_hsv": lambda r: _calls((_images(r),),),
    "hsv_to_rgb": lambda r: _calls((_images(r),),),
    "extract_patches": lambda r: _calls((_images(r), (3, 3)), (_images(r), 2, {"strides": 1, "padding": "same"})),
    "crop_images": lambda r: _calls((_images(r), {"top_cropping": 1, "left_cropping": 2, "target_height": 4, "target_width": 5}),),
    "pad_images": lambda r: _calls((_images(r), {"top_padding": 1, "left_padding": 2, "target_height": 12, "target_width": 13}),),
    "gaussian_blur": lambda r: _calls((_images(r),),),
    "sobel_edges": lambda r: _calls((_images(r),),),
    "ssim": lambda r: _calls((_f(r, 1, 16, 16, 3, low=0, high=1), _f(r, 1, 16, 16, 3, low=0, high=1)),),
    "affine_transform": lambda r: _calls((_images(r), Array(np.array([[1, 0.1, 1, 0, 1, -1, 0, 0]] * 2, "float32"), "float32")),),
    "map_coordinates": lambda r: _calls((_f(r, 5, 5), _f(r, 2, 6, low=0, high=4), {"order": 1}),),
}  # fmt: skip
