"""Short names of losses, and those of Keras 2, under which scripts of `tf.keras` find them.

>>> from cnnrs import losses, metrics
>>> losses.mse is losses.MSE is metrics.mse is losses.mean_squared_error
True
>>> losses.MeanSquaredError(reduction=losses.Reduction.SUM).reduction
'sum'
"""

from __future__ import annotations

from cnnrs.losses.functions import (
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

__all__ = [
    "KLD",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "Reduction",
    "kld",
    "kullback_leibler_divergence",
    "logcosh",
    "mae",
    "mape",
    "mse",
    "msle",
]

KLD = kld = kullback_leibler_divergence = kl_divergence
MAE = mae = mean_absolute_error
MAPE = mape = mean_absolute_percentage_error
MSE = mse = mean_squared_error
MSLE = msle = mean_squared_logarithmic_error
logcosh = log_cosh


class Reduction:
    """The words that `reduction` of a loss takes, by the names that they have in `tf.keras`."""

    AUTO = "sum_over_batch_size"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"
