"""Pictures of blocks.md: where spatial attention looks, in a network that was trained a moment ago."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import cnnrs
from cnnrs import layers, ops
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent
SIZE = 24


def images(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A cross or a ring of 7 × 7 pixels somewhere in noise, and which of them it is."""
    rng = np.random.default_rng(seed)
    x = 0.35 * rng.normal(size=(number, SIZE, SIZE, 1)).astype("float32")
    y = rng.integers(0, 2, number)
    ring, cross = np.zeros((7, 7)), np.zeros((7, 7))
    ring[1:6, 1:6] = 1
    ring[2:5, 2:5] = 0
    cross[3, :] = cross[:, 3] = 1
    for i in range(number):
        top, left = rng.integers(0, SIZE - 7, 2)
        x[i, top : top + 7, left : left + 7, 0] += (ring, cross)[y[i]]
    return x, y


def main() -> None:
    """Trains, and draws the maps of the weights."""
    cnnrs.utils.set_random_seed(3)
    image = cnnrs.Input((SIZE, SIZE, 1))
    features = layers.ConvBlock(16)(image)
    attended = layers.AttentionConvBlock(16, attention="spatial", name="attended")(features)
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.ConvBlock(16)(attended)))
    model = cnnrs.Model(image, outputs)
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(cnnrs.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    model.fit(*images(2000, 0), epochs=6, batch_size=50, verbose=0)
    x, y = images(200, 1)
    print("accuracy", round(model.evaluate(x, y, verbose=0)[1], 3))

    block = model.get_layer("attended")
    before = cnnrs.Model(image, features)(x)
    inside = block.activation_layer(block.norm_layer(block.conv(before)))
    spatial = block.attention_layer
    both = ops.concatenate([ops.mean(inside, -1, keepdims=True), ops.max(inside, -1, keepdims=True)], -1)
    weights = spatial.gate_activation(spatial.conv(both)).numpy()

    plt = pyplot("pictures/blocks.py")
    plt.rcParams["svg.hashsalt"] = "cnnrs"
    figure, axes = plt.subplots(2, 5, figsize=(7, 3))
    for i in range(5):
        for row, values, colors in ((0, x, "gray"), (1, weights, "magma")):
            axes[row, i].imshow(values[i, :, :, 0], cmap=colors)
            axes[row, i].set_axis_off()
    axes[0, 0].set_title("images", loc="left", fontsize=9)
    axes[1, 0].set_title("weights of SpatialAttention", loc="left", fontsize=9)
    figure.tight_layout()
    figure.savefig(HERE / "blocks_attention.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
