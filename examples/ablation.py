"""What regularisation is worth: one network, one thing more at a time, on few images of MNIST.

python examples/ablation.py

With 1,000 images a network of 70,000 weights learns them by heart. The first two rows are the network
without and with batch normalisation; each row below has one thing more than the second, and the last has all
that are compatible. The table shows how many of 10,000 test images are wrong, as the mean and the range
of some seeds.
"""

import argparse
import math

import cnnrs
from cnnrs import layers


def network(norm=True, dropout=0.0, drop_block=0.0, attention=False):
    model = cnnrs.Sequential([layers.Input((28, 28, 1))])
    for stage, width in enumerate((16, 32, 64)):
        for _ in range(2):
            model.add(layers.Conv2D(width, 3, padding="same", use_bias=not norm))
            if norm:
                model.add(layers.BatchNormalization(momentum=0.9))
            model.add(layers.ReLU())
        if attention:
            model.add(layers.CBAM(reduction=8))
        if drop_block and stage < 2:
            model.add(layers.DropBlock2D(drop_block, block_size=5))
        if stage < 2:
            model.add(layers.MaxPooling2D())
    model.add(layers.GlobalAveragePooling2D())
    if dropout:
        model.add(layers.Dropout(dropout))
    model.add(layers.Dense(10))
    return model


# Title, arguments of the network, smoothing of labels, mixing of batches.
ROWS = [
    ("plain", {"norm": False}, 0.0, lambda: None),
    ("batch normalisation", {}, 0.0, lambda: None),
    ("+ dropout 0.3", {"dropout": 0.3}, 0.0, lambda: None),
    ("+ DropBlock 0.1", {"drop_block": 0.1}, 0.0, lambda: None),
    ("+ label smoothing 0.1", {}, 0.1, lambda: None),
    ("+ CBAM", {"attention": True}, 0.0, lambda: None),
    ("+ MixUp 0.2", {}, 0.0, lambda: layers.MixUp(0.2)),
    ("+ CutMix", {}, 0.0, lambda: layers.CutMix()),
    ("+ MixUp or CutMix, by batch", {}, 0.0, lambda: [layers.MixUp(0.2), layers.CutMix()]),
    ("+ DropBlock, smoothing, MixUp", {"drop_block": 0.1}, 0.1, lambda: layers.MixUp(0.2)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--images", type=int, default=1_000, help="how many of the training images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--tests", type=int, default=10_000, help="how many of the test images")
    options = parser.parse_args()

    (x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
    x, y = x[: options.images, ..., None].astype("float32") / 255, y[: options.images]
    x_test, y_test = x_test[: options.tests, ..., None].astype("float32") / 255, y_test[: options.tests]
    steps = options.epochs * math.ceil(len(x) / options.batch)
    one_hot = cnnrs.utils.to_categorical(y, 10)

    print(f"{'':32}{'weights':>9}{'train loss':>12}{'test errors':>13}{'range':>12}")
    for title, arguments, smoothing, mixing in ROWS:
        wrong, losses = [], []
        for seed in range(options.seeds):
            cnnrs.utils.set_random_seed(seed)
            model = network(**arguments)
            rate = cnnrs.optimizers.schedules.CosineDecay(3e-3, steps)
            loss = cnnrs.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
            model.compile(cnnrs.optimizers.Adam(rate), loss)
            history = model.fit(
                x,
                one_hot,
                batch_size=options.batch,
                epochs=options.epochs,
                verbose=0,
                batch_augmentation=mixing(),
            )
            losses.append(history.history["loss"][-1])
            found = model.predict(x_test, batch_size=250, verbose=0).argmax(-1)
            wrong.append(int((found != y_test).sum()))
        mean, loss = sum(wrong) / len(wrong), sum(losses) / len(losses)
        spread = f"{min(wrong)}–{max(wrong)}"
        print(f"{title:32}{model.count_params():9,}{loss:12.3f}{mean:13.0f}{spread:>12}", flush=True)


if __name__ == "__main__":
    main()
