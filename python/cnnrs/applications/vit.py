"""Vision transformers (Dosovitskiy, Beyer, Kolesnikov and others, An image is worth 16x16 words: Transformers
for image recognition at scale, ICLR 2021, arXiv 2010.11929), and the smaller ones of DeiT (Touvron, Cord,
Douze, Massa, Sablayrolles and Jégou, Training data-efficient image transformers, ICML 2021, arXiv
2012.12877)."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs import initializers, layers
from cnnrs.applications.arguments import patched
from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import Top
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.variants import variant
from cnnrs.base.arguments import integer, number
from cnnrs.ops.spatial import only_channels_last

__all__ = [
    "Design",
    "ViTBase",
    "ViTLarge",
    "ViTSmall",
    "ViTTiny",
    "decode_predictions",
    "preprocess_input",
    "top",
    "vit",
]

_EPSILON = 1e-6


class Design(NamedTuple):
    """A transformer: table 1 of both papers.

    Attributes:
        channels: Channels of a token; four times as many stand between the two dense layers of a block.
        depth: Number of blocks.
        heads: Heads of the attention.
        patch_size: Height and width of a patch.
    """

    channels: int
    depth: int
    heads: int
    patch_size: int = 16


def _norm(make: Builder, x: Any, name: Any) -> Any:
    return layers.LayerNormalization(epsilon=_EPSILON, name=make.name(name))(x)


def _dense(make: Builder, x: Any, units: int, name: Any, activation: Any = None) -> Any:
    bias = initializers.RandomNormal(stddev=1e-6)
    called = make.name(name)
    return layers.Dense(units, activation=activation, bias_initializer=bias, name=called)(x)


def _block(make: Builder, x: Any, design: Design, rate: float, path_rate: float) -> Any:
    """Attention and two dense layers with GELU, each behind a normalisation and beside a shortcut."""
    y = _norm(make, x, ("ln_1", "norm1"))
    attend = layers.MultiHeadAttention(
        design.heads, design.channels // design.heads, name=make.name(("self_attention", "attention"))
    )
    y = make.dropout(attend(y, y), rate, ("dropout", "attention_dropout"))
    x = make.add([x, make.survive(y, path_rate, "drop_path1")], "add1")
    y = _norm(make, x, ("ln_2", "norm2"))
    # The exact GELU, as in both papers' code.
    y = _dense(make, y, 4 * design.channels, ("mlp.0", "dense1"), "gelu")
    y = make.dropout(y, rate, ("mlp.2", "dense1_dropout"))
    y = make.dropout(_dense(make, y, design.channels, ("mlp.3", "dense2")), rate, ("mlp.4", "dense2_dropout"))
    return make.add([x, make.survive(y, path_rate, "drop_path2")], "add2")


def vit(
    make: Builder,
    x: Any,
    design: Design,
    grid: Any = None,
    rate: float = 0.0,
    path_rate: float = 0.0,
    title: str = "ViT",
) -> Any:
    """The tokens of a transformer: that of the class, then those of the patches.

    Args:
        make: What names its layers.
        x: Images, symbolic.
        design: The transformer.
        grid: Rows and columns of patches of which places have embeddings; None for those of the images.
        rate: Rate of the dropouts.
        path_rate: The part of the images for which training leaves out the last block's branches.
        title: The network, for errors.

    Raises:
        ValueError: Height or width is no multiple of the patch's.
    """
    only_channels_last(title)
    size = design.patch_size
    for extent in x.shape[1:3]:
        if extent is not None and extent < size:
            raise ValueError(
                f"{title}: patch_size: expected at most {extent}, the size of the images, received {size}"
            )
        if extent is not None and extent % size:
            raise ValueError(
                f"{title}: input_shape: expected multiples of patch_size={size}, for patches cover the "
                f"images, received a height or width of {extent}"
            )
    if grid is None and None in x.shape[1:3]:
        grid = (224 // size, 224 // size)
    fan = initializers.VarianceScaling(1.0, "fan_in", "truncated_normal")
    cut = layers.Conv2D(
        design.channels, size, size, kernel_initializer=fan, name=make.name(("conv_proj", "patch_embedding"))
    )
    x = layers.PatchTokens(grid, name=make.name(("encoder.pos_embedding", "tokens")))(cut(x))
    x = make.dropout(x, rate, ("encoder.dropout", "tokens_dropout"))
    for block in range(design.depth):
        part = make.under((f"encoder.layers.encoder_layer_{block}", f"block{block + 1}"))
        x = _block(part, x, design, rate, path_rate * block / max(design.depth - 1, 1))
    return _norm(make, x, ("encoder.ln", "norm"))


def top(make: Builder) -> Top:
    """The classes, of the class token. Without them pooling reads the tokens of the patches."""

    def classify(x: Any, classes: int, activation: Any) -> Any:
        return make.dense(x[:, 0], classes, ("heads.head", "predictions"), activation)

    names = make.name(("avgpool", "avg_pool")), make.name(("globalmaxpool", "max_pool"))
    return Top(classify, *names, pooled=lambda x: x[:, 1:])


_MAKE = Builder(KERAS)
_TOP = top(_MAKE)


def _network(title: str, design: Design, source: str) -> Any:
    def features(x: Any, patch_size: int, grid: Any, dropout_rate: float, drop_path_rate: float) -> Any:
        only_channels_last(title)
        integer(patch_size, title, "patch_size", least=1)
        number(dropout_rate, title, "dropout_rate", least=0, below=1)
        number(drop_path_rate, title, "drop_path_rate", least=0, below=1)
        design_ = design._replace(patch_size=patch_size)
        return vit(_MAKE, x, design_, grid, dropout_rate, drop_path_rate, title)

    blocks = f"{design.depth} blocks of {design.channels} channels and {design.heads} heads"
    summary = f"""{title}: {blocks} ({source}).

    Without the classifier the features are (batch, tokens, {design.channels}): the class token, then the
    patches, which
    `pooling` reads."""
    return variant(title, summary, features, _TOP, __name__, patched)


_DEIT = "Touvron, Cord, Douze and others 2021, table 1"
_VIT = "Dosovitskiy, Beyer, Kolesnikov and others 2021, table 1"
ViTTiny = _network("ViTTiny", Design(192, 12, 3), _DEIT)
ViTSmall = _network("ViTSmall", Design(384, 12, 6), _DEIT)
ViTBase = _network("ViTBase", Design(768, 12, 12), _VIT)
ViTLarge = _network("ViTLarge", Design(1024, 24, 16), _VIT)

preprocess_input = preprocessing("ViTTiny")
