"""Functions of elements: arithmetic, comparisons, exponentials, trigonometry and rounding."""

from cnnrs.ops.arithmetic import *  # noqa: F403 - the namespace is their union
from cnnrs.ops.comparisons import *  # noqa: F403
from cnnrs.ops.exponentials import *  # noqa: F403
from cnnrs.ops.rounding import *  # noqa: F403
from cnnrs.ops.trigonometry import *  # noqa: F403
