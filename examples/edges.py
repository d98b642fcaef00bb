"""Edges of a photograph: classic filters, and a convolution that learns one of them.

python examples/edges.py                       # prints
python examples/edges.py --picture edges.png   # draws, with cnnrs[plot]

The photograph, examples/pictures/camera.png, is by Lav Varshney, who gave it to the public domain (CC0); it
comes from scikit-image.
"""

import argparse
from pathlib import Path

import numpy as np

import cnnrs
from cnnrs import layers, ops

PHOTOGRAPH = Path(__file__).parent / "pictures" / "camera.png"


def photograph(size: int) -> np.ndarray:
    image = cnnrs.utils.load_img(PHOTOGRAPH, color_mode="grayscale", target_size=(size, size))
    return cnnrs.utils.img_to_array(image) / 255


def filters(image: np.ndarray) -> dict[str, np.ndarray]:
    """What classic filters make of an image."""
    gabor = ops.image.gabor(image, frequencies=0.2, orientations=4)
    found = {
        "Sobel: to the right": ops.image.sobel(image, "x"),
        "Sobel: downwards": ops.image.sobel(image, "y"),
        "Sobel: magnitude": ops.image.sobel(image),
        "Laplacian of Gaussian": ops.image.laplacian_of_gaussian(image, sigma=1.5),
        "difference of Gaussians": ops.image.difference_of_gaussians(image, 1.0, 2.0),
        "sharpened": ops.clip(ops.image.unsharp_mask(image, sigma=1.5, amount=2.0), 0.0, 1.0),
        "Gabor: upright stripes": gabor[..., :1],
    }
    return {name: y.numpy()[..., 0] for name, y in found.items()}


def learn_sobel(image: np.ndarray, epochs: int) -> np.ndarray:
    """A kernel of 3 x 3 that learns from parts of the photograph and their edges by Sobel's filter."""
    parts = ops.image.extract_patches(image[None], 16, strides=8)
    x = ops.reshape(parts, (-1, 16, 16, 1)).numpy()
    y = ops.image.sobel(x, "x").numpy()[:, 1:-1, 1:-1]
    model = cnnrs.Sequential([layers.Input((16, 16, 1)), layers.Conv2D(1, 3)])
    model.compile(cnnrs.optimizers.Adam(0.05), "mse")
    model.fit(x, y, epochs=epochs, batch_size=16, verbose=0)
    return model.get_weights()[0][..., 0, 0]


def draw(image: np.ndarray, found: dict[str, np.ndarray], path: str) -> None:
    """Writes a picture of the photograph and of what filters made of it."""
    from cnnrs.base.extras import pyplot

    plt = pyplot("examples/edges.py")
    figure, axes = plt.subplots(2, 4, figsize=(10, 5.4))
    for ax, (name, panel) in zip(axes.ravel(), {"photograph": image[..., 0], **found}.items(), strict=True):
        signed = panel.min() < 0
        bound = np.abs(panel).max()
        ax.imshow(panel, cmap="gray", vmin=-bound if signed else 0.0, vmax=bound, interpolation="none")
        ax.set_title(name, fontsize=9)
        ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=192, help="height and width of the photograph")
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--picture", help="a file to draw into")
    options = parser.parse_args()

    cnnrs.utils.set_random_seed(0)
    image = photograph(options.size)
    found = filters(image)
    for name, y in found.items():
        print(f"{name:24} {y.min():7.3f} to {y.max():6.3f}")
    if options.picture:
        draw(image, found, options.picture)
    print("a convolution that learned to find edges:")
    print(np.array2string(learn_sobel(image, options.epochs), precision=3, suppress_small=True))


if __name__ == "__main__":
    main()
