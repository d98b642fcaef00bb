"""MobileNetV3 (Howard, Sandler, Chu and others 2019, tables 1 and 2), as Keras builds it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from cnnrs import layers
from cnnrs.applications.building import Top, assemble, channel_axis, correct_pad, divisible
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.networks import NETWORKS, STORE, File, Weights
from cnnrs.base.arguments import named, number
from cnnrs.models import Model

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]

_Activation = Callable[[Any], Any]


class _Block(NamedTuple):
    """A row of the paper's tables.

    Attributes:
        expansion: Factor of the channels between the two convolutions of single pixels.
        filters: Channels of the output.
        large: Whether windows are 5 x 5, unless the network is minimalistic, rather than 3 x 3.
        strides: Stride.
        squeeze: Whether channels are weighted, unless the network is minimalistic.
        swish: Whether the activation is hard swish, unless the network is minimalistic, rather than ReLU.
    """

    expansion: float
    filters: int
    large: bool
    strides: int
    squeeze: bool
    swish: bool


class _Design(NamedTuple):
    """A network: its blocks, the channels before the classifier, and checksums by kind of weights."""

    blocks: tuple[_Block, ...]
    last: int
    checksums: dict[str, tuple[str, str]]


_SMALL = _Design(
    (
        _Block(1, 16, False, 2, True, False),
        _Block(72.0 / 16, 24, False, 2, False, False),
        _Block(88.0 / 24, 24, False, 1, False, False),
        _Block(4, 40, True, 2, True, True),
        _Block(6, 40, True, 1, True, True),
        _Block(6, 40, True, 1, True, True),
        _Block(3, 48, True, 1, True, True),
        _Block(3, 48, True, 1, True, True),
        _Block(6, 96, True, 2, True, True),
        _Block(6, 96, True, 1, True, True),
        _Block(6, 96, True, 1, True, True),
    ),
    1024,
    {
        "small_224_0.75": ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
        "small_224_1.0": ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
        "small_minimalistic_224_1.0": (
            "99cd97fb2fcdad2bf028eb838de69e37",
            "cde8136e733e811080d9fcd8a252f7e4",
        ),
    },
)
_LARGE = _Design(
    (
        _Block(1, 16, False, 1, False, False),
        _Block(4, 24, False, 2, False, False),
        _Block(3, 24, False, 1, False, False),
        _Block(3, 40, True, 2, True, False),
        _Block(3, 40, True, 1, True, False),
        _Block(3, 40, True, 1, True, False),
        _Block(6, 80, False, 2, False, True),
        _Block(2.5, 80, False, 1, False, True),
        _Block(2.3, 80, False, 1, False, True),
        _Block(2.3, 80, False, 1, False, True),
        _Block(6, 112, False, 1, True, True),
        _Block(6, 112, False, 1, True, True),
        _Block(6, 160, True, 2, True, True),
        _Block(6, 160, True, 1, True, True),
        _Block(6, 160, True, 1, True, True),
    ),
    1280,
    {
        "large_224_0.75": ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
        "large_224_1.0": ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
        "large_minimalistic_224_1.0": (
            "675e7b876c45c57e9e63e6d90a36599c",
            "ec5221f64a2f6d1ef965a614bdae7973",
        ),
    },
)


def _relu(x: Any) -> Any:
    return layers.ReLU()(x)


def _hard_swish(x: Any) -> Any:
    return layers.Activation("hard_swish")(x)


def _conv(x: Any, filters: int, name: str, **options: Any) -> Any:
    return layers.Conv2D(filters, kernel_size=1, padding="same", name=name, **options)(x)


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), epsilon=1e-3, momentum=0.999, name=name)(x)


def _squeeze(x: Any, filters: int, prefix: str) -> Any:
    """Weighs channels by what two layers make of their means."""
    prefix = f"{prefix}squeeze_excite_"
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}avg_pool")(x)
    y = layers.ReLU(name=f"{prefix}relu")(_conv(y, divisible(filters * 0.25), f"{prefix}conv"))
    y = _conv(y, filters, f"{prefix}conv_1")
    y = layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name=f"{prefix}mul")([x, y])


def _block(x: Any, block: _Block, index: int, filters: int, minimalistic: bool) -> Any:
    """Expansion, a convolution of each channel, weighted channels, projection, and a shortcut."""
    activation: _Activation = _hard_swish if block.swish and not minimalistic else _relu
    kernel_size = 5 if block.large and not minimalistic else 3
    prefix = f"expanded_conv_{index}_" if index else "expanded_conv_"
    channels = x.shape[channel_axis()]
    wide = divisible(channels * block.expansion)
    y = x
    if index:
        y = activation(_norm(_conv(y, wide, f"{prefix}expand", use_bias=False), f"{prefix}expand_bn"))
    if block.strides == 2:
        y = layers.ZeroPadding2D(correct_pad(y, kernel_size), name=f"{prefix}depthwise_pad")(y)
    by_channel = layers.DepthwiseConv2D(
        kernel_size,
        strides=block.strides,
        padding="valid" if block.strides == 2 else "same",
        use_bias=False,
        name=f"{prefix}depthwise",
    )
    y = activation(_norm(by_channel(y), f"{prefix}depthwise_bn"))
    if block.squeeze and not minimalistic:
        y = _squeeze(y, wide, prefix)
    y = _norm(_conv(y, filters, f"{prefix}project", use_bias=False), f"{prefix}project_bn")
    if block.strides == 1 and channels == filters:
        y = layers.Add(name=f"{prefix}add")([x, y])
    return y


def _features(x: Any, design: _Design, alpha: float, minimalistic: bool, include_preprocessing: bool) -> Any:
    activation: _Activation = _relu if minimalistic else _hard_swish
    if include_preprocessing:
        x = layers.Rescaling(scale=1.0 / 127.5, offset=-1.0)(x)
    first = layers.Conv2D(16, kernel_size=3, strides=(2, 2), padding="same", use_bias=False, name="conv")
    x = activation(_norm(first(x), "conv_bn"))
    for index, block in enumerate(design.blocks):
        x = _block(x, block, index, divisible(block.filters * alpha), minimalistic)
    wide = divisible(x.shape[channel_axis()] * 6)
    return activation(_norm(_conv(x, wide, "conv_1", use_bias=False), "conv_1_bn"))


def _classify(
    x: Any, classes: int, final: Any, last: int, activation: _Activation, dropout_rate: float
) -> Any:
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = activation(_conv(x, last, "conv_2", use_bias=True))
    if dropout_rate > 0:
        x = layers.Dropout(dropout_rate)(x)
    x = layers.Flatten()(_conv(x, classes, "logits"))
    return layers.Activation(activation=final, name="predictions")(x)


def _files(title: str, design: _Design, alpha: float, minimalistic: bool) -> Weights:
    size = title.removeprefix("MobileNetV3").lower()
    kind = f"{size}{'_minimalistic' if minimalistic else ''}_224_{float(alpha)}"
    if kind not in design.checksums:
        allowed = "1.0" if minimalistic else "0.75 or 1.0"
        raise ValueError(f"{title}: alpha: expected {allowed} with weights='imagenet', received {alpha!r}")
    files = []
    for suffix, checksum in zip(("", "_no_top_v2"), design.checksums[kind], strict=True):
        name = f"weights_mobilenet_v3_{kind}_float{suffix}.h5"
        files.append(File(name, f"{STORE}/mobilenet_v3/{name}", checksum))
    return Weights(*files)


_DOC = """{title} (Howard, Sandler, Chu and others 2019, table {table}).

    Args:
        input_shape: Height and width of at least 32, and channels; by default (None, None, 3): images of any
            size. Channels stand first where `config.image_data_format()` says so.
        alpha: Factor of the channels of the blocks; with "imagenet" 0.75 or 1.0, or 1.0 if minimalistic.
        minimalistic: Whether to do without weighted channels, hard swish and 5 x 5 windows.
        include_top: Whether the classifier stands at the end.
        weights: "imagenet" for weights trained on ImageNet, which are fetched once; None for random ones; or
            the path of a file for `load_weights`.
        input_tensor: A symbolic tensor to build on, as a result of `Input`; by default a new one.
        classes: Number of classes; 1000 with the classifier of "imagenet".
        pooling: Without the classifier: None for features of shape (batch, height, width, channels), "avg" or
            "max" for (batch, channels).
        dropout_rate: Rate of the dropout before the classifier.
        classifier_activation: Activation of the classifier; None for logits.
        include_preprocessing: Whether the network scales pixels from 0 to 255 itself.
        name: Name of the model.

    Returns:
        The model.

    Raises:
        ValueError: An argument does not fit, or there is no such file.
        OSError: Weights cannot be fetched; the message has the address, and where to put the file.

    >>> from cnnrs import applications
    >>> model = applications.{title}(weights=None, include_top=False, pooling="avg")
    >>> model.output_shape
    (None, {channels})
    """


def _network(title: str, design: _Design, table: int) -> Any:
    """The public function of a network."""

    def build(
        input_shape: Any = None,
        alpha: float = 1.0,
        minimalistic: bool = False,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        classes: int = 1000,
        pooling: Any = None,
        dropout_rate: float = 0.2,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = title,
    ) -> Model:
        number(alpha, title, "alpha", above=0)
        activation = _relu if minimalistic else _hard_swish
        last = divisible(design.last * alpha) if alpha > 1.0 else design.last
        return assemble(
            title,
            lambda x: _features(x, design, alpha, minimalistic, include_preprocessing),
            Top(
                partial(_classify, last=last, activation=activation, dropout_rate=dropout_rate),
                "avg_pool",
                "max_pool",
            ),
            include_top=include_top,
            weights=weights,
            input_tensor=input_tensor,
            input_shape=input_shape,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            name=name,
            static=False,
            files=_files(title, design, alpha, minimalistic) if weights == "imagenet" else None,
        )

    build.__name__ = build.__qualname__ = title
    build.__doc__ = _DOC.format(title=title, table=table, channels=NETWORKS[title].channels)
    return named(build)


MobileNetV3Small = _network("MobileNetV3Small", _SMALL, 2)
MobileNetV3Large = _network("MobileNetV3Large", _LARGE, 1)

preprocess_input = preprocessing("MobileNetV3Small")
