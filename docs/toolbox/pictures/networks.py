"""The picture of docs/toolbox/networks.md: receptive fields of networks by depth."""

from __future__ import annotations

from pathlib import Path

import cnnrs
from cnnrs import applications
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent
NETWORKS = ("VGG16", "ResNet50", "MobileNetV2", "GoogLeNet")


def fields() -> None:
    """What each convolution of some networks sees, by its place among them."""
    plt = pyplot("pictures/networks.py")
    plt.rcParams["svg.hashsalt"] = "cnnrs"
    figure, axes = plt.subplots(figsize=(6.4, 3.4))
    for name in NETWORKS:
        model = getattr(applications, name)(weights=None, include_top=False, input_shape=(224, 224, 3))
        found = cnnrs.receptive_field(model)
        sizes = [layer.size[0] for layer in found.layers if "Conv2D" in layer.type]
        places = [(k + 1) / len(sizes) for k in range(len(sizes))]
        axes.plot(places, sizes, linewidth=1.2, label=f"{name}, {len(sizes)} convolutions")
    axes.axhline(224, color="gray", linewidth=0.8, linestyle=":")
    axes.text(0.0, 236, "the image", color="gray", fontsize=8)
    axes.set(xlabel="part of the depth", ylabel="pixels across", ylim=(0, 760))
    axes.set_title("What an element of each convolution may see", fontsize=10)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(HERE / "networks_fields.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    fields()
