"""`reestimate_batch_norm`: moving statistics computed anew over data."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import integer
from cnnrs.training.batch_statistics import reestimate
from cnnrs.training.data_adapter import make_data

__all__ = ["reestimate_batch_norm"]


def reestimate_batch_norm(
    model: Any, data: Any, batch_size: int | None = None, steps: int | None = None
) -> None:
    """Sets the moving statistics of batch normalisation to the mean and the variance over data.

    And those of the batch in `SwitchableNormalization`.

    Weights that were averaged have moving statistics of none of the networks that were averaged (Izmailov et
    al. 2018, "Averaging weights leads to wider optima and better generalization", arXiv:1803.05407,
    section 3.2). The layers see the data in training mode; weights, optimizer and random states stay. The
    variance is that of all samples together: the mean of the variances of the batches, plus the variance of
    their means. Layers that are not trainable keep theirs.

    Args:
        model: A model that is built.
        data: An array of samples, a tuple `(x, y)` of which `x` is taken, or an iterable of batches.
        batch_size: Samples of a batch of arrays, by default 32.
        steps: Batches to look at, if not all.

    Raises:
        ValueError: The model is not built, there is no batch, or `steps` is none.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.BatchNormalization()])
    >>> cnnrs.utils.reestimate_batch_norm(model, np.array([[1.0, 0.0], [3.0, 4.0]], "float32"))
    >>> model.layers[0].moving_mean.numpy().tolist(), model.layers[0].moving_variance.numpy().tolist()
    ([2.0, 2.0], [1.0, 4.0])
    """
    if steps is not None:
        steps = integer(steps, "reestimate_batch_norm", "steps", least=1)
    x = data[0] if isinstance(data, tuple) else data
    reestimate(model, make_data(x, None, None, batch_size, steps), steps)
