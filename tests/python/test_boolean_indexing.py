"""`x[mask]` picks the elements at which a mask is true."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import GradientTape, Variable, ops

ARRAY = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
INDICES = [
    ARRAY % 3 == 0,
    ARRAY[:, :, 0] > 3,
    np.zeros((2, 3), bool),
    (slice(None), np.array([True, False, True])),
    (slice(None), ARRAY[0] > 5),
    (slice(None), slice(1, 3), np.array([True, False, True, True])),
    (Ellipsis, np.array([True, False, True, True])),
    (None, ARRAY[:, :, 1] > 3),
    (ARRAY[:, :, 2] > 3, slice(1, 3)),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int8", "int64", "bool"])
def test_as_numpy(index, dtype):
    array = ARRAY.astype(dtype)
    picked, expected = ops.array(array)[index], array[index]
    assert picked.dtype == dtype and picked.shape == expected.shape
    assert np.array_equal(picked, expected)


def test_masks_of_tensors_and_lists():
    x = ops.array(ARRAY)
    assert np.array_equal(x[x > 5.0], ARRAY[ARRAY > 5])
    assert np.array_equal(x[[True, False]], ARRAY[[True, False]])


def test_gradients_reach_what_is_picked():
    v = Variable(ARRAY[0])
    with GradientTape() as tape:
        total = ops.sum(v[v > 5.0] ** 2)
    assert np.array_equal(tape.gradient(total, v), np.where(ARRAY[0] > 5, 2 * ARRAY[0], 0))


@pytest.mark.parametrize("mask", [np.ones(3, bool), np.ones((2, 4), bool), np.ones((3, 3), bool)])
def test_a_mask_of_another_shape_is_refused(mask):
    with pytest.raises(
        IndexError, match=r"a boolean mask of shape .* does not fit axes 0 to . of shape \(2, 3, 4\)"
    ):
        ops.array(ARRAY)[mask]


def test_a_mask_of_too_many_axes_is_refused():
    with pytest.raises(IndexError, match="expected at most 3 indices, received 4"):
        ops.array(ARRAY)[np.ones((2, 3, 4, 1), bool)]


def test_no_mask_is_read_while_a_function_is_recorded():
    @cnnrs.function
    def positive(x):
        return x[x > 0]

    with pytest.raises(RuntimeError, match="has no value while its function is being traced"):
        positive(ops.array(ARRAY))
