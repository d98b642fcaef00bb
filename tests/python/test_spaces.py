"""linspace, logspace and geomspace of tensors: gradients and types."""

import numpy as np
import pytest

import cnnrs
from cnnrs import ops

CASES = {
    "linspace": (ops.linspace, 1.0, 4.0),
    "logspace": (ops.logspace, 0.0, 2.0),
    "geomspace": (ops.geomspace, 1.0, 4.0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_type_is_that_of_the_inputs(name):
    f, start, stop = CASES[name]
    expected = f(start, stop, 4).numpy()
    for dtype, tolerance in (("float16", 1e-2), ("float32", 1e-6), ("float64", 1e-12)):
        for x in (np.asarray(start, dtype), ops.cast(start, dtype)):
            got = f(x, stop, 4)
            assert got.dtype == dtype
            np.testing.assert_allclose(got.numpy(), expected, rtol=max(tolerance, 1e-6))
    assert f(int(start) or 1, 4, 3).dtype == "float32"
    assert f(ops.cast(start, "int64"), 4, 3).dtype == "float32"
    assert f(ops.cast(start, "float32"), stop, 3, dtype="float16").dtype == "float16"


@pytest.mark.parametrize("name", CASES)
def test_gradients_flow(name):
    f, start, stop = CASES[name]
    v = cnnrs.Variable(np.float32(stop))
    with cnnrs.GradientTape() as tape:
        y = ops.sum(f(start, v, 3))
    got = float(tape.gradient(y, v))
    step = 1e-3
    low, high = (float(np.sum(f(start, stop + s, 3).numpy(), dtype=np.float64)) for s in (-step, step))
    assert got == pytest.approx((high - low) / (2 * step), rel=2e-3)


def test_step_of_tensors_is_a_tensor():
    values, step = ops.linspace(ops.cast(0.0, "float32"), 1.0, 5, retstep=True)
    assert values.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert float(step) == 0.25
