"""Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016, arXiv 1512.00567) with torchvision's
names."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.arguments import transforming
from cnnrs.applications.builder import TORCHVISION, Builder
from cnnrs.applications.torchvision.making import made, network, transformed

__all__ = ["inception_v3"]

_MAKE = Builder(TORCHVISION, epsilon=1e-3)

# Of a branch: for each convolution the end of its name, filters, and height and width of its windows.
_Convolution = tuple[str, int, Any]


def _conv(make: Builder, x: Any, name: str, filters: int, size: Any, **options: Any) -> Any:
    part = make.under(name)
    return part.conv_norm(x, filters, size, ("conv", "bn", "relu"), **options)


def _branch(
    make: Builder, x: Any, name: str, convolutions: tuple[_Convolution, ...], halve: bool = False
) -> Any:
    for number, (end, filters, size) in enumerate(convolutions, 1):
        last = halve and number == len(convolutions)
        options = {"strides": 2, "padding": 0} if last else {}
        x = _conv(make, x, f"{name}{end}", filters, size, **options)
    return x


def _averaged(make: Builder, x: Any, filters: int) -> Any:
    """The branch with an average of neighbours, to which zeros around the image count."""
    x = make.pad(x, 1, make.name("branch_pool_pad"))
    x = layers.AveragePooling2D(3, 1, name=make.name("branch_pool_average"))(x)
    return _conv(make, x, "branch_pool", filters, 1)


def _module(make: Builder, x: Any, pooled: int, **branches: tuple[_Convolution, ...]) -> Any:
    found = [_branch(make, x, name, convolutions) for name, convolutions in branches.items()]
    return make.concatenate([*found, _averaged(make, x, pooled)], "concat")


def _halving(make: Builder, x: Any, **branches: tuple[_Convolution, ...]) -> Any:
    found = [_branch(make, x, name, convolutions, halve=True) for name, convolutions in branches.items()]
    return make.concatenate([*found, make.max_pool(x, 3, "branch_pool")], "concat")


def _factorized(make: Builder, x: Any, filters: int) -> Any:
    """A module whose 7 x 7 windows are pairs of 1 x 7 and 7 x 1."""
    row, column = (1, 7), (7, 1)
    return _module(
        make,
        x,
        192,
        branch1x1=(("", 192, 1),),
        branch7x7=(("_1", filters, 1), ("_2", filters, row), ("_3", 192, column)),
        branch7x7dbl=(
            ("_1", filters, 1),
            ("_2", filters, column),
            ("_3", filters, row),
            ("_4", filters, column),
            ("_5", 192, row),
        ),
    )


def _widest(make: Builder, x: Any) -> Any:
    """A module on the smallest images, whose branches split into rows and columns."""

    def split(y: Any, name: str) -> list[Any]:
        return [_conv(make, y, f"{name}a", 384, (1, 3)), _conv(make, y, f"{name}b", 384, (3, 1))]

    one = _conv(make, x, "branch1x1", 320, 1)
    three = split(_conv(make, x, "branch3x3_1", 384, 1), "branch3x3_2")
    double = _branch(make, x, "branch3x3dbl", (("_1", 448, 1), ("_2", 384, 3)))
    return make.concatenate(
        [one, *three, *split(double, "branch3x3dbl_3"), _averaged(make, x, 192)], "concat"
    )


def _stem(x: Any) -> Any:
    x = _conv(_MAKE, x, "Conv2d_1a_3x3", 32, 3, strides=2, padding=0)
    x = _conv(_MAKE, x, "Conv2d_2a_3x3", 32, 3, padding=0)
    x = _MAKE.max_pool(_conv(_MAKE, x, "Conv2d_2b_3x3", 64, 3), 3, "maxpool1")
    x = _conv(_MAKE, x, "Conv2d_3b_1x1", 80, 1)
    return _MAKE.max_pool(_conv(_MAKE, x, "Conv2d_4a_3x3", 192, 3, padding=0), 3, "maxpool2")


def _features(x: Any, include_top: Any, aux_heads: bool, transform_input: bool) -> Any:
    if aux_heads and not include_top:
        raise ValueError(
            "inception_v3: aux_heads: expected False with include_top=False, which leaves classifiers "
            "out, received "
            f"{aux_heads!r}"
        )
    x = _stem(transformed(x, transform_input))
    double = (("_1", 64, 1), ("_2", 96, 3), ("_3", 96, 3))
    for letter, pooled in (("b", 32), ("c", 64), ("d", 64)):
        x = _module(
            _MAKE.under(f"Mixed_5{letter}"),
            x,
            pooled,
            branch1x1=(("", 64, 1),),
            branch5x5=(("_1", 48, 1), ("_2", 64, 5)),
            branch3x3dbl=double,
        )
    x = _halving(_MAKE.under("Mixed_6a"), x, branch3x3=(("", 384, 3),), branch3x3dbl=double)
    for letter, filters in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
        x = _factorized(_MAKE.under(f"Mixed_6{letter}"), x, filters)
    inner = x
    x = _halving(
        _MAKE.under("Mixed_7a"),
        x,
        branch3x3=(("_1", 192, 1), ("_2", 320, 3)),
        branch7x7x3=(("_1", 192, 1), ("_2", 192, (1, 7)), ("_3", 192, (7, 1)), ("_4", 192, 3)),
    )
    for letter in "bc":
        x = _widest(_MAKE.under(f"Mixed_7{letter}"), x)
    return (x, inner) if aux_heads else x


def _auxiliary(x: Any, classes: int, activation: Any) -> Any:
    make = _MAKE.under("AuxLogits")
    x = layers.AveragePooling2D(5, 3, name=make.name("pool"))(x)
    x = _conv(make, _conv(make, x, "conv0", 128, 1), "conv1", 768, 5, padding=0)
    return make.dense(make.average(x), classes, activation=activation)


def _classify(x: Any, classes: int, activation: Any) -> Any:
    x, *inner = x if isinstance(x, tuple) else (x,)
    x = _MAKE.dropout(_MAKE.average(x), 0.5, "dropout")
    found = _MAKE.dense(x, classes, activation=activation)
    return [found, _auxiliary(inner[0], classes, activation)] if inner else found


inception_v3 = network(
    "inception_v3",
    """Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016, table 1). With `aux_heads` the second
    output is that of the auxiliary classifier. Torchvision's trained weights need `transform_input=True`.""",
    _features,
    made(_classify),
    __name__,
    transforming,
)
