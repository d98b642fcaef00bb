"""`ImageDataGenerator`: random transformations of images outside of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import config
from cnnrs.base.arguments import NamedArguments, number
from cnnrs.base.user_warnings import warn_user
from cnnrs.ops.spatial import image_data_format
from cnnrs.preprocessing.affine import apply_affine_transform, apply_brightness_shift, apply_channel_shift
from cnnrs.preprocessing.iterators import DirectoryIterator, NumpyArrayIterator
from cnnrs.preprocessing.tables import DataFrameIterator

__all__ = ["ImageDataGenerator"]

# Seeded as in Keras: the same seed gives the same numbers.
_RNG: Any = np.random


class ImageDataGenerator(NamedArguments):
    """Batches of images, each transformed at random, for `fit`. Layers of augmentation do so within models.

    Numbers are drawn from numpy's generator in Keras's order, so that a seed gives Keras's transformations.

    Args:
        featurewise_center: Whether the mean of all images is taken away; `fit` finds it.
        samplewise_center: Whether the mean of each image is taken away.
        featurewise_std_normalization: Whether images are divided by the standard deviation of all.
        samplewise_std_normalization: Whether each is divided by its own.
        zca_whitening: Whether pixels are made uncorrelated; `fit` finds the matrix.
        zca_epsilon: What is added to its singular values.
        rotation_range: Degrees by which images are turned, to either side.
        width_shift_range: By which part of the width, or by how many pixels if 1 or more, images are shifted;
            a list is one of numbers to choose from.
        height_shift_range: The same of the height.
        brightness_range: Two numbers; None for no change.
        shear_range: Degrees of the shear.
        zoom_range: Two factors, or one number for 1 minus and plus that.
        channel_shift_range: What is added to, or taken from, pixels.
        fill_mode: What lies outside: "nearest", "constant", "reflect" or "wrap".
        cval: The number outside, for "constant".
        horizontal_flip: Whether half of the images are mirrored.
        vertical_flip: Whether half of them are turned upside down.
        rescale: Factor of all pixels, after the transformation; None or 0 for none.
        preprocessing_function: What is done to each transformed image first; None for nothing.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        validation_split: Part that is kept for the subset "validation".
        interpolation_order: 0 for the nearest pixel, 1 for linear interpolation.
        dtype: Element type; None takes `config.floatx()`.

    Raises:
        ValueError: An argument is none of these.

    Example:
        >>> import numpy as np
        >>> from cnnrs.preprocessing.image import ImageDataGenerator
        >>> data = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
        >>> batches = data.flow(np.full((6, 4, 4, 3), 255), np.arange(6), batch_size=4)
        >>> x, y = next(batches)
        >>> x.shape, float(x.max()), len(batches)
        ((4, 4, 4, 3), 1.0, 2)
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Any = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
    ):
        name = "ImageDataGenerator"
        self.featurewise_center = featurewise_center or zca_whitening or featurewise_std_normalization
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.featurewise_std_normalization = featurewise_std_normalization and not zca_whitening
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        if self.featurewise_center != bool(featurewise_center):
            warn_user(f"{name}: zca_whitening and featurewise_std_normalization take the mean away, too")
        if self.samplewise_center != bool(samplewise_center):
            warn_user(f"{name}: samplewise_std_normalization takes the mean away, too")
        if self.featurewise_std_normalization != bool(featurewise_std_normalization):
            warn_user(f"{name}: zca_whitening takes the place of featurewise_std_normalization")
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.channel_shift_range, self.fill_mode, self.cval = channel_shift_range, fill_mode, cval
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.interpolation_order, self.dtype = interpolation_order, dtype or config.floatx()
        # A wrong word or order raises its error now.
        apply_affine_transform(np.zeros((1, 1, 1)), tx=1, fill_mode=fill_mode, order=interpolation_order)
        self.data_format = image_data_format(data_format)
        first = self.data_format == "channels_first"
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if first else (3, 1, 2)
        self._validation_split = number(validation_split, name, "validation_split", least=0, below=1)
        self.zoom_range = (
            [1 - zoom_range, 1 + zoom_range] if isinstance(zoom_range, (int, float)) else list(zoom_range)
        )
        if len(self.zoom_range) != 2 or not all(isinstance(z, (int, float)) for z in self.zoom_range):
            raise ValueError(f"{name}: zoom_range: expected a number or two, received {zoom_range!r}")
        if brightness_range is not None and (
            not isinstance(brightness_range, (tuple, list)) or len(brightness_range) != 2
        ):
            raise ValueError(f"{name}: brightness_range: expected two numbers, received {brightness_range!r}")
        self.brightness_range = brightness_range
        self.mean: Any = None
        self.std: Any = None
        self.zca_whitening_matrix: Any = None

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of arrays; for the arguments see `NumpyArrayIterator`."""
        return NumpyArrayIterator(
            x, y, self, batch_size=batch_size, shuffle=shuffle, sample_weight=sample_weight, seed=seed,
            data_format=self.data_format, save_to_dir=save_to_dir, save_prefix=save_prefix,
            save_format=save_format, ignore_class_split=ignore_class_split, subset=subset, dtype=self.dtype,
        )  # fmt: skip

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Batches of the files of a directory; for the arguments see `DirectoryIterator`."""
        return DirectoryIterator(
            directory, self, target_size=target_size, color_mode=color_mode, classes=classes,
            class_mode=class_mode, data_format=self.data_format, batch_size=batch_size, shuffle=shuffle,
            seed=seed, save_to_dir=save_to_dir, save_prefix=save_prefix, save_format=save_format,
            follow_links=follow_links, subset=subset, interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio, dtype=self.dtype,
        )  # fmt: skip

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
    ) -> DataFrameIterator:
        """Batches of the files that a table names; for the arguments see `DataFrameIterator`."""
        return DataFrameIterator(
            dataframe, directory, self, x_col=x_col, y_col=y_col, weight_col=weight_col,
            target_size=target_size, color_mode=color_mode, classes=classes, class_mode=class_mode,
            data_format=self.data_format, batch_size=batch_size, shuffle=shuffle, seed=seed,
            save_to_dir=save_to_dir, save_prefix=save_prefix, save_format=save_format, subset=subset,
            interpolation=interpolation, validate_filenames=validate_filenames, dtype=self.dtype,
        )  # fmt: skip

    def transformed(self, x: np.ndarray) -> np.ndarray:
        """An image of 3 axes, transformed at random and standardized; the array that is given stays."""
        moved = self.apply_transform(x.astype(self.dtype), self.get_random_transform(x.shape))
        return self.standardize(np.array(moved))

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Images after `preprocessing_function`, `rescale`, and without mean and deviation; changes `x`."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + 1e-6
        if self.featurewise_center and self._is_fitted(self.mean):
            x -= self.mean
        if self.featurewise_std_normalization and self._is_fitted(self.std):
            x /= self.std + 1e-6
        if self.zca_whitening and self._is_fitted(self.zca_whitening_matrix):
            x = (x.reshape(-1, len(self.zca_whitening_matrix)) @ self.zca_whitening_matrix).reshape(x.shape)
        return x

    @staticmethod
    def _is_fitted(statistic: Any) -> bool:
        if statistic is None:
            warn_user("ImageDataGenerator: call fit(x) first: there are no statistics to standardize with")
        return statistic is not None

    def get_random_transform(self, img_shape: Any, seed: int | None = None) -> dict[str, Any]:
        """The parameters of a random transformation of images of a shape.

        Args:
            img_shape: Their shape, of 3 axes.
            seed: Seeds numpy's generator; None does not.

        Returns:
            `theta`, `tx`, `ty`, `shear`, `zx`, `zy` as `apply_affine_transform` has them, `flip_horizontal`,
            `flip_vertical`, `channel_shift_intensity` and `brightness`.
        """
        if seed is not None:
            _RNG.seed(seed)
        turned = self.rotation_range
        theta = _RNG.uniform(-turned, turned) if turned else 0
        down = _shift(self.height_shift_range, img_shape[self.row_axis - 1])
        right = _shift(self.width_shift_range, img_shape[self.col_axis - 1])
        shear = _RNG.uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        zx, zy = (1, 1) if self.zoom_range == [1, 1] else _RNG.uniform(*self.zoom_range, 2)
        # Numbers are drawn whether they are needed or not, as in Keras.
        horizontal = (_RNG.random() < 0.5) * self.horizontal_flip
        vertical = (_RNG.random() < 0.5) * self.vertical_flip
        shift = self.channel_shift_range
        return {
            "theta": theta,
            "tx": right,
            "ty": down,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": horizontal,
            "flip_vertical": vertical,
            "channel_shift_intensity": _RNG.uniform(-shift, shift) if shift != 0 else None,
            "brightness": None if self.brightness_range is None else _RNG.uniform(*self.brightness_range),
        }

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> np.ndarray:
        """An image of 3 axes, transformed as `get_random_transform` says; what is absent changes nothing."""
        given: Any = transform_parameters.get
        row, column, channel = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        x = apply_affine_transform(
            x, given("theta", 0), given("tx", 0), given("ty", 0), given("shear", 0), given("zx", 1),
            given("zy", 1), row_axis=row, col_axis=column, channel_axis=channel, fill_mode=self.fill_mode,
            cval=self.cval, order=self.interpolation_order,
        )  # fmt: skip
        if given("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given("channel_shift_intensity"), channel)
        if given("flip_horizontal", False):
            x = np.flip(x, column)
        if given("flip_vertical", False):
            x = np.flip(x, row)
        if given("brightness") is not None:
            x = apply_brightness_shift(x, given("brightness"), False)
        return x

    def random_transform(self, x: Any, seed: int | None = None) -> np.ndarray:
        """An image of 3 axes, transformed at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Finds mean, deviation and the matrix of whitening of images.

        Args:
            x: Images of shape (n, height, width, channels).
            augment: Whether they are transformed at random first.
            rounds: How often each, with `augment`.
            seed: Seeds numpy's generator; None does not.

        Raises:
            ValueError: `x` has another number of axes.
        """
        images = np.array(x, dtype=self.dtype)
        if images.ndim != 4:
            raise ValueError(f"ImageDataGenerator.fit: x: expected 4 axes, received shape {images.shape}")
        if seed is not None:
            _RNG.seed(seed)
        if self.rescale:
            images *= self.rescale
        if augment:
            images = np.stack([self.random_transform(image) for _ in range(rounds) for image in images])
        axes, shape = (0, self.row_axis, self.col_axis), [1, 1, 1]
        shape[self.channel_axis - 1] = images.shape[self.channel_axis]
        if self.featurewise_center:
            self.mean = np.mean(images, axis=axes).reshape(shape)
            images -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(images, axis=axes).reshape(shape)
            images /= self.std + 1e-6
        if self.zca_whitening:
            flat = images.reshape(len(images), -1)
            u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
            self.zca_whitening_matrix = (u * (np.sqrt(len(flat)) / (s + self.zca_epsilon))) @ u.T


def _shift(given: Any, extent: int) -> Any:
    """A random shift: of numbers to choose from, of integers below a number, or of a part of the extent."""
    if not np.any(given):
        return 0
    if np.ndim(given) or isinstance(given, (int, np.integer)):
        drawn = _RNG.choice(given) * _RNG.choice([-1, 1])
    else:
        drawn = _RNG.uniform(-given, given)
    return drawn * extent if np.max(given) < 1 else drawn
