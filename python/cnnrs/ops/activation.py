"""Activations: elementwise functions, softmax and gated units."""

from __future__ import annotations

import math
from typing import Any

from cnnrs.base.arguments import flag
from cnnrs.base.tensor_info import Logits
from cnnrs.base.user_warnings import warn_user
from cnnrs.ops.annotated import annotate
from cnnrs.ops.dispatch import apply, as_float, as_tensor, in_float32, op, standardize_axes, standardize_axis

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "squareplus",
    "swish",
    "tanh_shrink",
]


@op
def relu(x: Any) -> Any:
    """Applies the rectified linear unit: negative elements become 0.

    It is `max(x, 0)` (Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010).
    The gradient at 0 is 0.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.relu([-2.0, 0.0, 3.0]).tolist()
        [0.0, 0.0, 3.0]
    """
    x = as_tensor(x)
    return apply("maximum", x, 0) if x.dtype.lstrip("u").startswith("int") else apply("relu", as_float(x))


@op
def relu6(x: Any) -> Any:
    """Applies the rectified linear unit cut at 6.

    It is `min(max(x, 0), 6)` (Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010). The
    gradient is 0 at 0 and 1 at 6.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between 0 and 6.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.relu6([-2.0, 3.0, 8.0]).tolist()
        [0.0, 3.0, 6.0]
    """
    x = as_tensor(x)
    if x.dtype.lstrip("u").startswith("int"):
        return apply("minimum", apply("maximum", x, 0), 6)
    return apply("relu6", as_float(x))


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Applies the rectified linear unit with a slope for negative elements.

    It is `x` where `x` is positive, and `negative_slope * x` elsewhere (Maas et al., "Rectifier
    nonlinearities improve neural network acoustic models", 2013). The gradient at 0 is `negative_slope`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        negative_slope: Factor for elements that are not positive, 0.2 by default.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `negative_slope` is no number.
        ValueError: `negative_slope` is text that does not read as a number.

    Example:
        >>> from cnnrs import ops
        >>> ops.leaky_relu([-2.0, 3.0], negative_slope=0.5).tolist()
        [-1.0, 3.0]
    """
    return apply("leaky_relu", as_float(x), negative_slope=float(negative_slope))


@op
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Applies the exponential linear unit.

    It is `x` where `x` is positive, and `alpha * (exp(x) - 1)` elsewhere (Clevert et al., arXiv:1511.07289).
    The gradient at 0 is `alpha`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        alpha: Minus the limit for very negative elements, 1 by default.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `alpha` is no number.
        ValueError: `alpha` is text that does not read as a number.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.elu([-1.0, 0.0, 2.0]).numpy().round(4))
        [-0.6321  0.      2.    ]
    """
    return apply("elu", as_float(x), alpha=float(alpha))


@op
def selu(x: Any) -> Any:
    """Applies the scaled exponential linear unit.

    It is `1.0507 * elu(x, alpha=1.6733)`, with the constants that keep mean 0 and variance 1 from layer to
    layer (Klambauer et al., arXiv:1706.02515, equation 2). The gradient at 0 is 1.7581.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.selu([-1.0, 0.0, 1.0]).numpy().round(4))
        [-1.1113  0.      1.0507]
    """
    return apply("selu", as_float(x))


@op
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Applies the continuously differentiable exponential linear unit.

    It is `x` where `x` is positive, and `alpha * (exp(x / alpha) - 1)` elsewhere (Barron, arXiv:1704.07483).

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        alpha: Minus the limit for very negative elements, 1 by default; not 0.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `alpha` is no number.
        ValueError: `alpha` is 0, or text that does not read as a number.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.celu([-2.0, 0.0, 2.0], alpha=2.0).numpy().round(4))
        [-1.2642  0.      2.    ]
    """
    return apply("celu", as_float(x), alpha=float(alpha))


@op
def gelu(x: Any, approximate: bool = True) -> Any:
    """Applies the Gaussian error linear unit.

    It is `x` times the standard normal distribution function of `x` (Hendrycks and Gimpel, arXiv:1606.08415).

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        approximate: True, the default, computes `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x³)))`;
            False computes `x / 2 * (1 + erf(x / sqrt(2)))`.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `approximate` is no bool.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.gelu([-1.0, 0.0, 1.0]).numpy().round(4))
        [-0.1588  0.      0.8412]
        >>> print(ops.gelu([-1.0, 0.0, 1.0], approximate=False).numpy().round(4))
        [-0.1587  0.      0.8413]
    """
    return apply("gelu", as_float(x), approximate=flag(approximate, "gelu", "approximate"))


@op
def silu(x: Any) -> Any:
    """Applies the sigmoid linear unit: each element times its sigmoid.

    It is `x * sigmoid(x)` (Elfwing et al., arXiv:1702.03118; named Swish by Ramachandran et al.,
    arXiv:1710.05941). `swish` is another name for it.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.silu([-1.0, 0.0, 1.0]).numpy().round(4))
        [-0.2689  0.      0.7311]
    """
    return apply("silu", as_float(x))


@op
def swish(x: Any) -> Any:
    """Applies the sigmoid linear unit: each element times its sigmoid.

    It is `x * sigmoid(x)` (Elfwing et al., arXiv:1702.03118; named Swish by Ramachandran et al.,
    arXiv:1710.05941). `silu` is another name for it.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.swish([-1.0, 0.0, 1.0]).numpy().round(4))
        [-0.2689  0.      0.7311]
    """
    return apply("silu", as_float(x))


@op
def mish(x: Any) -> Any:
    """Applies the Mish activation: each element times the tanh of its softplus.

    It is `x * tanh(softplus(x))` (Misra, arXiv:1908.08681).

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.mish([-1.0, 0.0, 1.0]).numpy().round(4))
        [-0.3034  0.      0.8651]
    """
    return apply("mish", as_float(x))


@op
def tanh_shrink(x: Any) -> Any:
    """Subtracts its hyperbolic tangent from each element.

    It is `x - tanh(x)`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.tanh_shrink([-2.0, 0.0, 2.0]).numpy().round(4))
        [-1.036  0.     1.036]
    """
    return apply("tanh_shrink", as_float(x))


@op
def softplus(x: Any) -> Any:
    """Computes `log(1 + exp(x))` for each element, without overflow.

    It is a smooth form of `relu` (Dugas et al., "Incorporating second-order functional knowledge for better
    option pricing", 2001). Its derivative is `sigmoid`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.softplus([-1.0, 0.0, 100.0]).numpy().round(4))
        [  0.3133   0.6931 100.    ]
    """
    return apply("softplus", as_float(x))


@op
def softsign(x: Any) -> Any:
    """Divides each element by 1 plus its magnitude.

    It is `x / (1 + abs(x))` (Glorot and Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", 2010).

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between -1 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> ops.softsign([-3.0, 0.0, 1.0]).tolist()
        [-0.75, 0.0, 0.5]
    """
    return apply("softsign", as_float(x))


@op
def log_sigmoid(x: Any) -> Any:
    """Computes the logarithm of the sigmoid of each element, without overflow.

    It is `-softplus(-x)`.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, at most 0.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.log_sigmoid([-100.0, 0.0]).numpy().round(4))
        [-100.       -0.6931]
    """
    return apply("log_sigmoid", as_float(x))


@op
@in_float32
def squareplus(x: Any, b: float = 4) -> Any:
    """Computes the smooth form of `relu` that needs only a square root.

    It is `(x + sqrt(x² + b)) / 2` (Barron, arXiv:2112.11687).

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.
        b: How wide the bend at 0 is; 4 by default. 0 gives `relu`, negative numbers give NaN near 0.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `b` is no number.
        ValueError: `b` is text that does not read as a number.

    Example:
        >>> from cnnrs import ops
        >>> ops.squareplus([-1.5, 0.0, 1.5]).tolist()
        [0.5, 1.0, 2.0]
    """
    x = as_float(x)
    return apply("mul", apply("add", x, apply("sqrt", apply("add", apply("square", x), float(b)))), 0.5)


@op
@in_float32
def glu(x: Any, axis: int = -1) -> Any:
    """Multiplies the first half of an axis by the sigmoid of the second half.

    This gated linear unit is due to Dauphin et al., arXiv:1612.08083.

    Args:
        x: Tensor whose extent along `axis` is even; other dtypes are converted to float32.
        axis: Axis that is halved, the last one by default.

    Returns:
        float32 tensor of the shape of `x`, with half the extent along `axis`.

    Raises:
        TypeError: `x` is not numeric, or `axis` is no integer.
        ValueError: `axis` is out of range, or the extent is odd.

    Example:
        >>> from cnnrs import ops
        >>> ops.glu([3.0, 8.0, 0.0, 0.0]).tolist()
        [1.5, 4.0]
    """
    x = as_float(x)
    axis = standardize_axis(axis, x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(f"glu: axis: expected an even extent, received {x.shape[axis]} in shape {x.shape}")
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = slice(0, x.shape[axis] // 2)
    first = x[tuple(index)]
    index[axis] = slice(x.shape[axis] // 2, None)
    return apply("mul", first, apply("sigmoid", x[tuple(index)]))


@op
def sigmoid(x: Any) -> Any:
    """Applies the logistic function, which maps each element to between 0 and 1.

    It is `1 / (1 + exp(-x))`. A `binary_crossentropy` that takes the result is computed from `x`, which is
    more accurate.

    Args:
        x: Tensor of any shape; other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`, between 0 and 1.

    Raises:
        TypeError: `x` is not numeric.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.sigmoid([-2.0, 0.0, 2.0]).numpy().round(4))
        [0.1192 0.5    0.8808]
    """
    logits = as_float(x)
    result = apply("sigmoid", logits)
    return annotate(result, Logits(logits, "sigmoid"))


@op
def softmax(x: Any, axis: Any = -1) -> Any:
    """Maps the elements along an axis to probabilities: numbers from 0 to 1 whose sum is 1.

    It is `exp(x) / sum(exp(x))`, computed after the maximum is subtracted, so that nothing overflows. A
    cross-entropy over the same axis that takes the result is computed from `x`, which is more accurate. An
    axis of one element is warned of: a sigmoid is meant.

    Args:
        x: Tensor of at least one axis; other dtypes are converted to float32.
        axis: The axis, a list of axes that are taken as one, or None for all; the last axis by default.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `axis` is none of the above.
        ValueError: `axis` is out of range or names an axis twice, or `x` has no element along it.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.softmax([0.0, 1.0, 2.0]).numpy().round(4))
        [0.09   0.2447 0.6652]
        >>> ops.softmax([[1.0, 1.0], [1.0, 1.0]], axis=(0, 1)).tolist()
        [[0.25, 0.25], [0.25, 0.25]]
    """
    logits = as_float(x)
    if isinstance(axis, (list, tuple)):
        return _over_axes("softmax", logits, axis)
    if axis is None:
        return _over_axes("softmax", logits, range(logits.ndim))
    place = standardize_axis(axis, logits.ndim)
    if logits.shape[place] == 1:
        warn_user(
            f"You are using a softmax over axis {axis} of a tensor of shape {logits.shape}. This axis "
            "has size 1. The softmax operation will always return the value 1, which is likely not what you "
            "intended. Did you mean to use a sigmoid instead?"
        )
    axis = place
    return annotate(apply("softmax", logits, axis=axis), Logits(logits, "softmax", axis))


@op
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Computes the logarithm of the softmax along an axis, without overflow.

    It is `x - logsumexp(x)`.

    Args:
        x: Tensor of at least one axis; other dtypes are converted to float32.
        axis: The axis, a list of axes that are taken as one, or None for all; the last axis by default.

    Returns:
        float32 tensor of the shape of `x`, at most 0.

    Raises:
        TypeError: `x` is not numeric, or `axis` is none of the above.
        ValueError: `axis` is out of range or names an axis twice, or `x` has no element along it.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.log_softmax([0.0, 0.0]).numpy().round(4))
        [-0.6931 -0.6931]
        >>> ops.log_softmax([1000.0, 0.0]).tolist()
        [0.0, -1000.0]
    """
    x = as_float(x)
    if isinstance(axis, (list, tuple)):
        return _over_axes("log_softmax", x, axis)
    if axis is None:
        return _over_axes("log_softmax", x, range(x.ndim))
    return apply("log_softmax", x, axis=standardize_axis(axis, x.ndim))


def _over_axes(name: str, x: Any, axes: Any) -> Any:
    joined = standardize_axes(list(axes), x.ndim) or []
    kept = [a for a in range(x.ndim) if a not in joined]
    perm = kept + joined
    moved = apply("transpose", x, perm=perm)
    flat = apply("reshape", moved, shape=[*(x.shape[a] for a in kept), math.prod(x.shape[a] for a in joined)])
    result = apply("reshape", apply(name, flat, axis=flat.ndim - 1), shape=list(moved.shape))
    return apply("transpose", result, perm=[perm.index(a) for a in range(x.ndim)])
