"""What older versions of Keras have for data: `image.ImageDataGenerator`, `sequence.pad_sequences` and more.

`utils.image_dataset_from_directory` and the layers of augmentation do the same within models and plans.
"""

from cnnrs.preprocessing import image as image
from cnnrs.preprocessing import sequence as sequence
from cnnrs.utils.image_directory import image_dataset_from_directory
from cnnrs.utils.sequences import timeseries_dataset_from_array
from cnnrs.utils.text_directory import text_dataset_from_directory

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
