"""Pictures of understanding.md: fields, maps and attributions of a network that was trained a moment ago."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import cnnrs
from cnnrs import analysis, layers
from cnnrs.base.extras import pyplot

HERE = Path(__file__).parent
SIZE = 24
NAMES = ["cross", "ring", "square"]


def images(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A cross, a ring or a square of 7 × 7 pixels somewhere in noise, and which of them it is."""
    rng = np.random.default_rng(seed)
    x = 0.35 * rng.normal(size=(number, SIZE, SIZE, 1)).astype("float32")
    y = rng.integers(0, 3, number)
    shapes = np.zeros((3, 7, 7), np.float32)
    shapes[0, 3, :] = shapes[0, :, 3] = 1
    shapes[1, 1:6, 1:6] = 1
    shapes[1, 2:5, 2:5] = 0
    shapes[2, 1:6, 1:6] = 1
    for i in range(number):
        top, left = rng.integers(0, SIZE - 7, 2)
        x[i, top : top + 7, left : left + 7, 0] += shapes[y[i]]
    return x, y


def trained() -> cnnrs.Model:
    """A network that tells the shapes apart."""
    cnnrs.utils.set_random_seed(3)
    model = cnnrs.Sequential(
        [
            cnnrs.Input((SIZE, SIZE, 1)),
            layers.Conv2D(16, 5, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv3"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(3, activation="softmax", name="scores"),
        ]
    )
    model.compile(cnnrs.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*images(3000, 0), epochs=6, batch_size=50, verbose=0)
    return model


def save(figure: Any, name: str) -> None:
    """Writes a picture; the same bytes each time."""
    figure.savefig(HERE / f"understanding_{name}.svg", metadata={"Date": None})


def main() -> None:
    """Trains, prints the figures of the page, and draws."""
    plt = pyplot("pictures/understanding.py")
    plt.rcParams["svg.hashsalt"] = "cnnrs"
    plt.rcParams["font.size"] = 8
    model = trained()
    x, y = images(300, 1)
    confusion = analysis.confusion(model, x, y, class_names=NAMES)
    print(confusion)
    print(cnnrs.receptive_field(model))
    print(analysis.costs(model))
    effective = analysis.effective_receptive_field(model, "conv3", x[:32])
    print(effective)

    chosen = x[[int(np.flatnonzero(y == k)[0]) for k in range(3)]]
    found = [
        analysis.saliency(model, chosen),
        analysis.smooth_grad(model, chosen),
        analysis.integrated_gradients(model, chosen),
        analysis.occlusion(model, chosen, window=5, stride=2),
        analysis.grad_cam(model, chosen),
        analysis.grad_cam_plus_plus(model, chosen),
    ]
    print("completeness error", np.abs(found[2].completeness_error).max())
    figure, axes = plt.subplots(3, 7, figsize=(8.2, 3.8), layout="constrained")
    for row in range(3):
        for column, picture in enumerate([chosen[row, :, :, 0], *(f.values[row] for f in found)]):
            axes[row, column].imshow(picture, cmap="magma" if column else "gray")
            axes[row, column].set_axis_off()
    for ax, title in zip(axes[0], ["image", *(f.method for f in found)], strict=True):
        ax.set_title(title, fontsize=7)
    save(figure, "attributions")

    figure, axes = plt.subplots(1, 3, figsize=(8.2, 2.6), layout="constrained")
    cnnrs.receptive_field(model).plot(axes[0])
    effective.plot(axes[1])
    confusion.plot(axes[2])
    save(figure, "fields")

    maximised = analysis.maximize_activation(model, None, range(3), steps=150)
    maps = analysis.feature_maps(model, chosen[:1], "conv1")["conv1"][0]
    figure, axes = plt.subplots(2, 8, figsize=(8.2, 2.3), layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for k in range(8):
        axes[0, k].imshow(maps[:, :, k], cmap="viridis")
    for k in range(3):
        axes[1, k].imshow(maximised.images[k, :, :, 0], cmap="gray")
        axes[1, k].set_title(f"most {NAMES[k]}", fontsize=7)
    for k in range(5):
        axes[1, 3 + k].imshow(analysis.filters(model).weights[:, :, 0, k], cmap="gray")
    axes[0, 0].set_title("maps of conv1", fontsize=7)
    axes[1, 3].set_title("filters of conv1", fontsize=7)
    save(figure, "maps")


if __name__ == "__main__":
    main()
