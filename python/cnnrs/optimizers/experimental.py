"""`tf.keras.optimizers.experimental` of TensorFlow 2.9 to 2.15: the optimizers that are today's.

Example:

    >>> from cnnrs import optimizers
    >>> optimizers.experimental.AdamW is optimizers.AdamW
    True
"""

from cnnrs.base import suggest
from cnnrs.optimizers.adaptive import Adadelta, Adamax, Nadam
from cnnrs.optimizers.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from cnnrs.optimizers.averaged import Ftrl
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.optimizers.scaled import Adafactor

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Nadam",
    "Optimizer",
    "RMSprop",
]

__getattr__ = suggest.without("cnnrs.optimizers.experimental", {}, __all__)
