"""ShuffleNet V2 (Ma, Zhang, Zheng and Sun, ShuffleNet V2: Practical guidelines for efficient CNN architecture
design, ECCV 2018, arXiv 1807.11164)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.arguments import scaled_width
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import channel_axis, network_of
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.residual import top

__all__ = ["ShuffleNetV2", "decode_predictions", "preprocess_input", "shufflenet"]

# Channels of the three stages and of the last features by the factor of the channels (table 5).
_WIDTHS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


def _halves(x: Any) -> tuple[Any, Any]:
    """The first and the last half of the channels."""
    axis = channel_axis()
    half = x.shape[axis] // 2
    return (x[:, :half], x[:, half:]) if axis == 1 else (x[..., :half], x[..., half:])


def _depthwise(make: Builder, x: Any, strides: int, filters: int, place: int, start: int) -> Any:
    """A 3 x 3 convolution of each channel, then a 1 x 1 one with an activation.

    Args:
        make: What makes the layers of the branch.
        x: Images, symbolic.
        strides: Stride of the first convolution.
        filters: Channels of the output.
        place: Place of the first layer in torchvision's list.
        start: Number of the first convolution.
    """
    channels = x.shape[channel_axis()]
    names = [(f"{place}", f"{start}_dwconv"), (f"{place + 1}", f"{start}_bn")]
    x = make.conv_norm(x, channels, 3, names, strides=strides, groups=channels)
    start += 1
    names = [
        (f"{place + 2}", f"{start}_conv"),
        (f"{place + 3}", f"{start}_bn"),
        (f"{place + 4}", f"{start}_relu"),
    ]
    return make.conv_norm(x, filters, 1, names)


def _unit(make: Builder, x: Any, filters: int, strides: int) -> Any:
    """Two branches of half the channels (figures 3c and 3d): the first leaves its input, or strides."""
    half = filters // 2
    if strides == 1:
        left, right = _halves(x)
    else:
        left, right = _depthwise(make.under("branch1"), x, strides, half, 0, 1), x
    branch = make.under("branch2")
    right = branch.conv_norm(right, half, 1, [("0", "1_conv"), ("1", "1_bn"), ("2", "1_relu")])
    right = _depthwise(branch, right, strides, half, 3, 2)
    x = make.concatenate([left, right], "concat")
    return layers.ChannelShuffle(2, name=make.name("shuffle"))(x)


def shufflenet(make: Builder, x: Any, alpha: float) -> Any:
    """The features of a network whose channels are `alpha` times those of table 5's second column."""
    names = [("conv1.0", "conv1_conv"), ("conv1.1", "conv1_bn"), ("conv1.2", "conv1_relu")]
    x = make.conv_norm(x, 24, 3, names, strides=2)
    x = make.max_pool(x, 3, ("maxpool", "pool1_pool"), padding=1)
    *widths, last = _WIDTHS[alpha]
    for stage, (filters, depth) in enumerate(zip(widths, (4, 8, 4), strict=True), 2):
        for block in range(depth):
            part = make.under((f"stage{stage}.{block}", f"stage{stage}_block{block + 1}"))
            x = _unit(part, x, filters, 2 if block == 0 else 1)
    return make.conv_norm(
        x, last, 1, [("conv5.0", "conv5_conv"), ("conv5.1", "conv5_bn"), ("conv5.2", "conv5_relu")]
    )


_MAKE = Builder(KERAS)
_TOP = top(_MAKE)


@network_of(scaled_width, lambda name: _TOP)
def ShuffleNetV2(x: Any, alpha: float) -> Any:
    """ShuffleNet V2 (Ma, Zhang, Zheng and Sun 2018, table 5)."""
    if alpha not in _WIDTHS:
        widths = ", ".join(map(str, _WIDTHS))
        raise ValueError(f"ShuffleNetV2: alpha: expected one of {widths}, received {alpha!r}")
    return shufflenet(_MAKE, x, alpha)


preprocess_input = preprocessing("ShuffleNetV2")
