"""Neural network functions: activations, convolution, pooling, normalisation, cross-entropies."""

from cnnrs.ops.activation import *  # noqa: F403 - the namespace is their union
from cnnrs.ops.blocks import *  # noqa: F403
from cnnrs.ops.classification import *  # noqa: F403
from cnnrs.ops.complex_pairs import polar as polar
from cnnrs.ops.convolution import *  # noqa: F403
from cnnrs.ops.ctc import *  # noqa: F403
from cnnrs.ops.distances import sparsemax as sparsemax
from cnnrs.ops.normalization import *  # noqa: F403
from cnnrs.ops.piecewise import *  # noqa: F403
from cnnrs.ops.pooling import *  # noqa: F403
from cnnrs.ops.quality import *  # noqa: F403
