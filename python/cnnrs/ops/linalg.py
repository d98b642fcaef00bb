"""Linear algebra."""

from cnnrs.ops.factorization import *  # noqa: F403 - the namespace is their union
from cnnrs.ops.forward_mode import jvp as jvp
from cnnrs.ops.normalization import norm as norm
