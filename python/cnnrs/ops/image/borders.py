"""Borders of images: added and removed."""

from __future__ import annotations

import inspect
from typing import Any

from cnnrs.base.arguments import integer
from cnnrs.ops.dispatch import apply, op
from cnnrs.ops.image.layout import spatial
from cnnrs.ops.spatial import image_data_format
from cnnrs.symbolic import KerasTensor

__all__ = ["crop_images", "pad_images"]


def _check(name: str, given: dict[str, Any]) -> list[int | None]:
    """The amounts at both ends of an axis and the target, of which one is None.

    Raises:
        ValueError: There are not two of them, or one is no integer >= 0.
    """
    if sum(amount is None for amount in given.values()) != 1:
        received = ", ".join(f"{argument}={amount}" for argument, amount in given.items())
        raise ValueError(f"{name}: expected exactly two of {', '.join(given)}, received {received}")
    return [
        None if amount is None else integer(amount, name, argument, least=0)
        for argument, amount in given.items()
    ]


def _amounts(name: str, given: dict[str, Any], extent: int) -> tuple[int, int]:
    """The amounts at both ends of an axis.

    Args:
        name: The function.
        given: Its arguments: the amounts at both ends and the target, of which one is None.
        extent: The extent of the axis.

    Raises:
        ValueError: They do not fit the extent.
    """
    before, after, target = _check(name, given)
    grows = name == "pad_images"
    change = 0 if target is None else (target - extent if grows else extent - target)
    before = change - (after or 0) if before is None else before
    after = change - before if after is None else after
    if before < 0 or after < 0 or not (grows or before + after <= extent):
        received = ", ".join(f"{argument}={amount}" for argument, amount in given.items())
        raise ValueError(
            f"{name}: expected amounts >= 0 that fit an extent of {extent}, received {received}: "
            f"{before} at the beginning and {after} at the end"
        )
    return before, after


@op
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Adds zeros around images.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        top_padding: Rows above: an integer >= 0, or None, the default. Exactly two of `top_padding`,
            `bottom_padding` and `target_height` are given, and the third follows.
        left_padding: Columns to the left, likewise: an integer >= 0, or None, the default. Exactly two of
            `left_padding`, `right_padding` and `target_width` are given.
        bottom_padding: Rows below: an integer >= 0, or None, the default.
        right_padding: Columns to the right: an integer >= 0, or None, the default.
        target_height: Height of the result: an integer >= 0, or None, the default.
        target_width: Width of the result: an integer >= 0, or None, the default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `images`, with the new height and width.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, more or less than two amounts are given for a
            direction, an amount is no integer or is or becomes negative, or `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> padded = ops.image.pad_images(np.ones((1, 2, 1)), 1, 0, target_height=2, target_width=3)
        >>> padded[:, :, 0].tolist()
        [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    """
    x, axis = spatial(images, data_format, "pad_images")
    rows = {"top_padding": top_padding, "bottom_padding": bottom_padding, "target_height": target_height}
    columns = {"left_padding": left_padding, "right_padding": right_padding, "target_width": target_width}
    paddings = [[0, 0] for _ in range(x.ndim)]
    for place, given in ((axis, rows), (axis + 1, columns)):
        paddings[place] = list(_amounts("pad_images", given, x.shape[place]))
    return apply("pad", x, paddings=paddings, value=0.0)


@op
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Removes the margins of images.

    Args:
        images: Tensor of shape (height, width, channels) or (batch, height, width, channels), of any dtype.
        top_cropping: Rows removed above: an integer >= 0, or None, the default. Exactly two of
            `top_cropping`, `bottom_cropping` and `target_height` are given, and the third follows.
        left_cropping: Columns removed on the left, likewise: an integer >= 0, or None, the default. Exactly
            two of `left_cropping`, `right_cropping` and `target_width` are given.
        bottom_cropping: Rows removed below: an integer >= 0, or None, the default.
        right_cropping: Columns removed on the right: an integer >= 0, or None, the default.
        target_height: Height of the result: an integer >= 0, or None, the default.
        target_width: Width of the result: an integer >= 0, or None, the default.
        data_format: "channels_last" for the shapes given here, "channels_first" for channels in front of
            height and width, in and out; None, the default, means `config.image_data_format()`.

    Returns:
        Tensor of the dtype of `images`, with the new height and width.

    Raises:
        TypeError: `images` is not numeric.
        ValueError: `images` has neither 3 nor 4 axes, more or less than two amounts are given for a
            direction, an amount is no integer or is or becomes negative, more is cut than there is, or
            `data_format` is unknown.

    Example:
        >>> import numpy as np
        >>> from cnnrs import ops
        >>> image = np.arange(9).reshape(3, 3, 1)
        >>> ops.image.crop_images(image, 1, 0, target_height=1, target_width=2)[:, :, 0].tolist()
        [[3, 4]]
    """
    x, axis = spatial(images, data_format, "crop_images")
    rows = {"top_cropping": top_cropping, "bottom_cropping": bottom_cropping, "target_height": target_height}
    columns = {"left_cropping": left_cropping, "right_cropping": right_cropping, "target_width": target_width}
    index: list[Any] = [slice(None)] * x.ndim
    for place, given in ((axis, rows), (axis + 1, columns)):
        before, after = _amounts("crop_images", given, x.shape[place])
        index[place] = slice(before, x.shape[place] - after)
    return x[tuple(index)]


def _spec(function: Any, names: list[tuple[str, str, str]]) -> Any:
    """The rule of the shapes of a function, for symbolic images whose height or width is unknown.

    Args:
        function: It.
        names: Its arguments for each axis: the amounts at both ends and the target.
    """
    name, grows = function.__name__, function.__name__ == "pad_images"
    signature = inspect.signature(function)

    def spec(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        images, data_format = given.arguments["images"], given.arguments["data_format"]
        if not isinstance(images, KerasTensor) or len(images.shape) not in (3, 4):
            return None
        axis = len(images.shape) - 3 + (image_data_format(data_format) == "channels_first")
        shape = list(images.shape)
        if None not in shape[axis : axis + 2]:
            return None
        for place, arguments in enumerate(names, axis):
            amounts = {argument: given.arguments[argument] for argument in arguments}
            target = amounts[arguments[2]]
            extent = shape[place]
            if extent is not None:
                before, after = _amounts(name, amounts, extent)
                shape[place] = extent + (before + after if grows else -before - after)
                continue
            _check(name, amounts)
            if target is None and not grows:
                raise ValueError(
                    f"{name}: {arguments[2]}: expected an integer, for the extent of images is unknown: "
                    f"their shape is {tuple(images.shape)}; received None"
                )
            shape[place] = target
        return KerasTensor(shape, images.dtype)

    return spec


def _places(kind: str) -> list[tuple[str, str, str]]:
    rows = (f"top_{kind}", f"bottom_{kind}", "target_height")
    return [rows, (f"left_{kind}", f"right_{kind}", "target_width")]


pad_images.output_spec = _spec(pad_images, _places("padding"))  # type: ignore[attr-defined]
crop_images.output_spec = _spec(crop_images, _places("cropping"))  # type: ignore[attr-defined]
