"""Constraints and the orthogonal regularizer on kernels of convolutions, against forms in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import constraints, layers, regularizers

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(8, 6, 6, 3)).astype("float32")
Y = RANDOM.normal(size=(8, 4)).astype("float32")

# Layer, name of its kernel, axes of a filter.
KERNELS: dict[str, tuple[Any, str, list[int]]] = {
    "Dense": (lambda **k: [layers.Flatten(), layers.Dense(4, **k)], "kernel", [0]),
    "Conv1D": (lambda **k: [layers.Reshape((6, 18)), layers.Conv1D(4, 3, **k)], "kernel", [0, 1]),
    "Conv2D": (lambda **k: [layers.Conv2D(4, 3, **k)], "kernel", [0, 1, 2]),
    "Conv2D of groups": (lambda **k: [layers.Conv2D(6, 3, groups=3, **k)], "kernel", [0, 1, 2]),
    # Of shape (height, width, filters, channels).
    "Conv2DTranspose": (lambda **k: [layers.Conv2DTranspose(4, 3, **k)], "kernel", [0, 1, 3]),
    "DepthwiseConv2D": (
        lambda **k: [layers.DepthwiseConv2D(3, depth_multiplier=2, **k)],
        "depthwise",
        [0, 1],
    ),
    "SeparableConv2D": (lambda **k: [layers.SeparableConv2D(4, 3, **k)], "pointwise", [0, 1, 2]),
}


def norms(w: np.ndarray, axis: list[int]) -> np.ndarray:
    return np.sqrt((np.float64(w) ** 2).sum(tuple(axis), keepdims=True))


FORMS: dict[str, tuple[Any, Any]] = {
    "MaxNorm": (lambda a: constraints.MaxNorm(0.5, axis=a), lambda n: np.minimum(n, 0.5)),
    "UnitNorm": (lambda a: constraints.UnitNorm(axis=a), np.ones_like),
    "MinMaxNorm": (
        lambda a: constraints.MinMaxNorm(0.6, 0.7, rate=0.5, axis=a),
        lambda n: 0.5 * np.clip(n, 0.6, 0.7) + 0.5 * n,
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("eagerly", [False, True])
def test_each_filter_has_a_norm_after_a_step(kernel: str, form: str, eagerly: bool) -> None:
    make, name, axis = KERNELS[kernel]
    constrain, wanted = FORMS[form]
    found = []
    for given in (None, constrain(axis)):
        cnnrs.utils.set_random_seed(2)
        parts = make(**{f"{name}_constraint" if name != "kernel" else "kernel_constraint": given})
        model = cnnrs.Sequential([cnnrs.Input((6, 6, 3)), *parts, layers.Flatten(), layers.Dense(4)])
        model.compile(cnnrs.optimizers.SGD(0.3), "mse", run_eagerly=eagerly)
        model.train_on_batch(X, Y)
        kernel_of = parts[-1].pointwise_kernel if name == "pointwise" else parts[-1].kernel
        found.append(kernel_of.numpy())
    free, constrained = found
    assert norms(free, axis).size == np.prod([n for i, n in enumerate(free.shape) if i not in axis])
    expected = free * (wanted(norms(free, axis)) / norms(free, axis))
    assert abs(expected - free).max() > 0.01
    np.testing.assert_allclose(constrained, expected, rtol=2e-5, atol=1e-6)


def test_filters_of_zeros_stay_zeros() -> None:
    w = np.zeros((3, 3, 2, 4), "float32")
    for constraint in (constraints.MaxNorm(1.0, [0, 1, 2]), constraints.UnitNorm([0, 1, 2])):
        assert not np.asarray(constraint(w)).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: constraints.MaxNorm(-1), "MaxNorm: max_value: expected a finite number >= 0, received -1"),
        (lambda: constraints.MinMaxNorm(min_value="a"), "MinMaxNorm: min_value"),
        (lambda: constraints.MaxNorm(1.0, axis=[0, 4])(np.ones((3, 3, 2, 4))), "4"),
        (lambda: regularizers.OrthogonalRegularizer()(np.ones(3)), r"received the shape \(3,\)"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def orthogonal(w: np.ndarray, mode: str, factor: float) -> float:
    matrix = np.float64(w).reshape(-1, w.shape[-1])
    rows = matrix if mode == "rows" else matrix.T
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = abs(rows @ rows.T)[~np.eye(len(rows), dtype=bool)]
    return factor * cosines.mean() if cosines.size else 0.0


@pytest.mark.parametrize("mode", ["rows", "columns"])
@pytest.mark.parametrize("shape", [(3, 3, 2, 5), (3, 4, 6), (3, 3, 4, 1), (7, 4)])
def test_the_orthogonal_penalty_of_filters(mode: str, shape: tuple[int, ...]) -> None:
    w = RANDOM.normal(size=shape)
    made = regularizers.OrthogonalRegularizer(0.3, mode)
    assert float(made(w)) == pytest.approx(orthogonal(w, mode, 0.3), rel=1e-5)
    variable = cnnrs.Variable(w.astype("float32"))
    with cnnrs.GradientTape() as tape:
        penalty = made(variable)
    gradient = np.zeros(shape) if (found := tape.gradient(penalty, variable)) is None else found.numpy()
    for place in RANDOM.integers(0, w.size, 6):
        step = np.zeros(w.size)
        step[place] = 1e-6
        step = step.reshape(shape)
        slope = (orthogonal(w + step, mode, 0.3) - orthogonal(w - step, mode, 0.3)) / 2e-6
        assert gradient.ravel()[place] == pytest.approx(slope, rel=2e-3, abs=2e-6)


def test_the_penalty_makes_filters_orthogonal() -> None:
    cnnrs.utils.set_random_seed(0)
    penalty = regularizers.OrthogonalRegularizer(1.0, mode="columns")
    conv = layers.Conv2D(6, 3, kernel_regularizer=penalty)
    model = cnnrs.Sequential([cnnrs.Input((6, 6, 3)), conv, layers.Flatten(), layers.Dense(4)])
    model.compile(cnnrs.optimizers.Adam(0.01), "mse")
    before = orthogonal(conv.kernel.numpy(), "columns", 1.0)
    model.fit(X, Y, epochs=150, verbose=0)
    assert orthogonal(conv.kernel.numpy(), "columns", 1.0) < 0.2 * before
    again = cnnrs.models.clone_model(model)
    assert again.layers[0].kernel_regularizer.get_config() == {"factor": 1.0, "mode": "columns"}
