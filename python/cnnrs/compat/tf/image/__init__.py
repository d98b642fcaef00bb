"""`tf.image`: images of shape (height, width, channels), or batches of them.

>>> import cnnrs.compat.tf as tf
>>> image = tf.ones((4, 6, 3)) * 0.5
>>> tf.image.resize(image, (2, 3)).shape.as_list(), tf.image.central_crop(image, 0.5).shape.as_list()
([2, 3, 3], [2, 4, 3])
>>> tf.image.convert_image_dtype(image, tf.uint8)[0, 0].numpy().tolist()
[127, 127, 127]
"""

from __future__ import annotations

from typing import Any

from cnnrs.compat.tf.image import boxes as _boxes
from cnnrs.compat.tf.image import colors as _colors
from cnnrs.compat.tf.image import cropping as _cropping
from cnnrs.compat.tf.image import quality as _quality
from cnnrs.compat.tf.image import randomized as _randomized
from cnnrs.compat.tf.image import resizing as _resizing
from cnnrs.compat.tf.image import suppression as _suppression
from cnnrs.compat.tf.image.boxes import *  # noqa: F403 - the namespace is their union
from cnnrs.compat.tf.image.colors import *  # noqa: F403
from cnnrs.compat.tf.image.cropping import *  # noqa: F403
from cnnrs.compat.tf.image.quality import *  # noqa: F403
from cnnrs.compat.tf.image.randomized import *  # noqa: F403
from cnnrs.compat.tf.image.resizing import *  # noqa: F403
from cnnrs.compat.tf.image.suppression import *  # noqa: F403
from cnnrs.compat.tf.namespaces import unknown

# Functions of files stand in `tf.io`, and here by their older names.
_OF_IO = (
    "decode_and_crop_jpeg",
    "decode_bmp",
    "decode_gif",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
    "extract_jpeg_shape",
    "is_jpeg",
)

__all__ = [
    *_boxes.__all__,
    *_colors.__all__,
    *_cropping.__all__,
    *_quality.__all__,
    *_randomized.__all__,
    *_resizing.__all__,
    *_suppression.__all__,
]

_unknown = unknown(
    "tf.image",
    {
        "extract_glimpse": "use tf.image.crop_to_bounding_box, or crop_and_resize",
        "generate_bounding_box_proposals": "use tf.image.non_max_suppression",
    },
    [*__all__, *_OF_IO],
)


def __getattr__(name: str) -> Any:
    if name in _OF_IO:
        from cnnrs.compat.tf import io

        return getattr(io, name)
    return _unknown(name)
