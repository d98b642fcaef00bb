"""RegNet (Radosavovic, Kosaraju, Girshick, He and Dollár, Designing network design spaces, CVPR 2020,
arXiv 2003.13678): the widths of all blocks follow from four numbers. RegNetY has squeeze and excitation."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from cnnrs.applications.builder import KERAS, Builder
from cnnrs.applications.building import channel_axis, divisible
from cnnrs.applications.imagenet_utils import decode_predictions, preprocessing
from cnnrs.applications.residual import top
from cnnrs.applications.variants import variant

__all__ = [
    "DESIGNS",
    "Design",
    "RegNetX002",
    "RegNetX004",
    "RegNetX006",
    "RegNetX008",
    "RegNetX016",
    "RegNetX032",
    "RegNetX040",
    "RegNetX064",
    "RegNetX080",
    "RegNetX120",
    "RegNetX160",
    "RegNetX320",
    "RegNetY002",
    "RegNetY004",
    "RegNetY006",
    "RegNetY008",
    "RegNetY016",
    "RegNetY032",
    "RegNetY040",
    "RegNetY064",
    "RegNetY080",
    "RegNetY120",
    "RegNetY160",
    "RegNetY320",
    "decode_predictions",
    "preprocess_input",
    "regnet",
]


class Design(NamedTuple):
    """The numbers of a network (equations 2 to 4).

    Attributes:
        depth: Number of blocks.
        initial: Width w_0 of the first block.
        slope: By how much widths grow with each block, w_a.
        factor: The factor w_m between widths of stages.
        group_width: Channels of the groups of the 3 x 3 convolutions.
    """

    depth: int
    initial: int
    slope: float
    factor: float
    group_width: int

    def stages(self, as_published: bool = True) -> list[tuple[int, int, int]]:
        """Width, number of blocks and channels of a group of each stage.

        Args:
            as_published: Whether widths are the nearest multiples of the groups, as in the authors' code,
            rather than
                none that is narrower by a tenth, as in torchvision's.

        >>> Design(13, 24, 36.44, 2.49, 8).stages()
        [(24, 1, 8), (56, 1, 8), (152, 4, 8), (368, 7, 8)]
        """
        widths = []
        for block in range(self.depth):
            wanted = self.initial + self.slope * block
            steps = round(math.log(wanted / self.initial) / math.log(self.factor))
            widths.append(8 * round(self.initial * self.factor**steps / 8))
        found = []
        for width, blocks in itertools.groupby(widths):
            group = min(self.group_width, width)
            fitting = group * round(width / group) if as_published else divisible(width, group)
            found.append((fitting, len(list(blocks)), group))
        return found


# Appendix D of the paper, by thousandths of a GFLOP of the smallest: tables of its models.
DESIGNS = {
    "X002": Design(13, 24, 36.44, 2.49, 8),
    "X004": Design(22, 24, 24.48, 2.54, 16),
    "X006": Design(16, 48, 36.97, 2.24, 24),
    "X008": Design(16, 56, 35.73, 2.28, 16),
    "X016": Design(18, 80, 34.01, 2.25, 24),
    "X032": Design(25, 88, 26.31, 2.25, 48),
    "X040": Design(23, 96, 38.65, 2.43, 40),
    "X064": Design(17, 184, 60.83, 2.07, 56),
    "X080": Design(23, 80, 49.56, 2.88, 120),
    "X120": Design(19, 168, 73.36, 2.37, 112),
    "X160": Design(22, 216, 55.59, 2.1, 128),
    "X320": Design(23, 320, 69.86, 2.0, 168),
    "Y002": Design(13, 24, 36.44, 2.49, 8),
    "Y004": Design(16, 48, 27.89, 2.09, 8),
    "Y006": Design(15, 48, 32.54, 2.32, 16),
    "Y008": Design(14, 56, 38.84, 2.4, 16),
    "Y016": Design(27, 48, 20.71, 2.65, 24),
    "Y032": Design(21, 80, 42.63, 2.66, 24),
    "Y040": Design(22, 96, 31.41, 2.24, 64),
    "Y064": Design(25, 112, 33.22, 2.27, 72),
    "Y080": Design(17, 192, 76.82, 2.19, 56),
    "Y120": Design(19, 168, 73.36, 2.37, 112),
    "Y160": Design(18, 200, 106.23, 2.48, 112),
    "Y320": Design(20, 232, 115.89, 2.53, 232),
}


def _names(torchvision: str, keras: str) -> list[tuple[str, str]]:
    parts = (("0", "conv"), ("1", "bn"), ("2", "relu"))
    return [(f"{torchvision}.{place}", f"{keras}_{part}") for place, part in parts]


def _block(make: Builder, x: Any, filters: int, strides: int, group_width: int, excited: bool) -> Any:
    """A block X or Y (figure 4): 1 x 1, 3 x 3 and 1 x 1 convolutions of one width, beside a shortcut."""
    channels = x.shape[channel_axis()]
    y = make.conv_norm(x, filters, 1, _names("f.a", "1"))
    y = make.conv_norm(y, filters, 3, _names("f.b", "2"), strides=strides, groups=filters // group_width)
    if excited:
        # A quarter of the block's input, which may have fewer channels than what is squeezed.
        y = make.excite(y, round(channels / 4), ("f.se", "se"))
    y = make.conv_norm(y, filters, 1, _names("f.c", "3")[:2])
    if strides > 1 or channels != filters:
        x = make.conv_norm(x, filters, 1, _names("proj", "0")[:2], strides=strides)
    return make.act(make.add([x, y], "add"), ("activation", "out"))


def regnet(make: Builder, x: Any, design: Design, excited: bool) -> Any:
    """The features of a network: four stages, each of which halves the image.

    Args:
        make: What makes its layers.
        x: Images, symbolic.
        design: Its numbers.
        excited: Whether blocks have squeeze and excitation.
    """
    x = make.conv_norm(x, 32, 3, _names("stem", "stem"), strides=2)
    for stage, (filters, depth, group_width) in enumerate(design.stages(make.kind == KERAS), 1):
        for block in range(depth):
            name = (f"trunk_output.block{stage}.block{stage}-{block}", f"stage{stage}_block{block + 1}")
            x = _block(make.under(name), x, filters, 2 if block == 0 else 1, group_width, excited)
    return x


_MAKE = Builder(KERAS)


def _network(design: str) -> Any:
    kind, flops = design[0], int(design[1:])
    mega = f"{flops // 10}.{flops % 10} GFLOPs" if flops > 9 else f"{flops * 100} MFLOPs"
    return variant(
        f"RegNet{design}",
        f"RegNet{kind} of {mega} (Radosavovic, Kosaraju, Girshick, He and Dollár 2020, figures 15 and 16).",
        lambda x: regnet(_MAKE, x, DESIGNS[design], kind == "Y"),
        top(_MAKE),
        __name__,
    )


RegNetX002 = _network("X002")
RegNetX004 = _network("X004")
RegNetX006 = _network("X006")
RegNetX008 = _network("X008")
RegNetX016 = _network("X016")
RegNetX032 = _network("X032")
RegNetX040 = _network("X040")
RegNetX064 = _network("X064")
RegNetX080 = _network("X080")
RegNetX120 = _network("X120")
RegNetX160 = _network("X160")
RegNetX320 = _network("X320")
RegNetY002 = _network("Y002")
RegNetY004 = _network("Y004")
RegNetY006 = _network("Y006")
RegNetY008 = _network("Y008")
RegNetY016 = _network("Y016")
RegNetY032 = _network("Y032")
RegNetY040 = _network("Y040")
RegNetY064 = _network("Y064")
RegNetY080 = _network("Y080")
RegNetY120 = _network("Y120")
RegNetY160 = _network("Y160")
RegNetY320 = _network("Y320")

preprocess_input = preprocessing("RegNetX002")
