"""Plain stacks of convolutions against residual ones of the same cost, at several depths, on MNIST.

python examples/vgg_against_resnet.py

At equal depth both have the same convolutions, so the same multiplications and nearly the same weights; the
residual network adds the input of each pair of them to its output (He et al. 2015, arXiv:1512.03385). Without
batch normalisation the plain one stops learning as it grows deeper.
"""

import argparse
import math

import cnnrs
from cnnrs import layers

WIDTHS = (16, 32, 64)


def network(pairs: int, residual: bool, norm: bool) -> cnnrs.Model:
    """Three stages of `pairs` pairs of 3 x 3 convolutions each, with maps of 28, 14 and 7 pixels."""

    def conv(x, width, strides):
        x = layers.Conv2D(width, 3, strides, padding="same", use_bias=not norm)(x)
        return layers.BatchNormalization(momentum=0.9)(x) if norm else x

    inputs = layers.Input((28, 28, 1))
    x = layers.ReLU()(conv(inputs, WIDTHS[0], 1))
    for stage, width in enumerate(WIDTHS):
        for pair in range(pairs):
            strides = 2 if stage and not pair else 1
            y = layers.ReLU()(conv(x, width, strides))
            y = conv(y, width, 1)
            if residual:
                if strides > 1:  # shortcut A: every second element, and zeros for the new channels
                    x = layers.AveragePooling2D(1, 2)(x)
                    x = layers.Concatenate()([x, layers.Lambda(lambda t: t * 0)(x)])
                y = layers.Add()([y, x])
            x = layers.ReLU()(y)
    return cnnrs.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--pairs", type=int, nargs="+", default=[1, 3, 7], help="pairs of convolutions a stage"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000, help="how many of the training images")
    options = parser.parse_args()

    (x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
    x, x_test = (images[..., None].astype("float32") / 255 for images in (x[: options.images], x_test))
    y = y[: options.images]
    steps = options.epochs * math.ceil(len(x) / 64)
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)

    print(f"{'layers':>6}{'weights':>10}  {'network':24}{'training loss':>14}{'test accuracy':>15}")
    for pairs in options.pairs:
        for norm in (False, True):
            for residual in (False, True):
                cnnrs.utils.set_random_seed(0)
                model = network(pairs, residual, norm)
                schedule = cnnrs.optimizers.schedules.CosineDecay(
                    0.0, steps, warmup_target=0.05, warmup_steps=30
                )
                model.compile(
                    cnnrs.optimizers.SGD(schedule, momentum=0.9, clipnorm=1.0), loss, metrics=["accuracy"]
                )
                history = model.fit(x, y, batch_size=64, epochs=options.epochs, verbose=0).history
                accuracy = model.evaluate(x_test, y_test, batch_size=256, verbose=0)[1]
                title = ("residual" if residual else "plain") + (", normalised" if norm else "")
                print(
                    f"{6 * pairs + 2:6}{model.count_params():10,}  {title:24}{history['loss'][-1]:14.3f}"
                    f"{accuracy:15.2%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
