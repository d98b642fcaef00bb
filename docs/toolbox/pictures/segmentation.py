"""The picture of docs/toolbox/segmentation.md: what a U-Net finds on shapes, by examples/unet_shapes.py."""

from __future__ import annotations

import sys
from pathlib import Path

from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent


def shapes() -> None:
    """Images it has not seen, their masks, and what it finds."""
    pyplot("pictures/segmentation.py")
    sys.path.insert(0, str(HERE.parents[2] / "examples"))
    import unet_shapes

    unet_shapes.main(["--picture", str(HERE / "segmentation_shapes.svg")])


if __name__ == "__main__":
    shapes()
