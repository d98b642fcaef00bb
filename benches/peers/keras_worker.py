"""Keras on TensorFlow. Variants: "" (Keras's default) and "no_xla"."""

import os

from task import arguments, mnist_images, random_images, report, timed

options = arguments()
os.environ["KERAS_BACKEND"] = "tensorflow"

import tensorflow as tf  # noqa: E402 (threads are limited first)

tf.config.threading.set_intra_op_parallelism_threads(options.threads)
tf.config.threading.set_inter_op_parallelism_threads(options.threads)

import keras  # noqa: E402
import zoo_keras  # noqa: E402
from nets import inference_keras, lenet5_keras, resnet18_keras  # noqa: E402
from zoo import NETS, samples  # noqa: E402

version = f"{keras.__version__} / TF {tf.__version__}"
jit = False if options.variant == "no_xla" else "auto"


def compiled(model, optimizer):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=jit)
    return model


def lenet() -> None:
    x, y = mnist_images(options.batch, 300)
    model = compiled(lenet5_keras(keras), keras.optimizers.Adam(1e-3))

    def epoch() -> None:
        model.fit(x, y, batch_size=options.batch, verbose=0)

    report(version, timed(epoch, 1, options.repeats), len(x))


def resnet18_train() -> None:
    x, y = random_images(options.batch, 32, 10)
    model = compiled(resnet18_keras(keras, 32, 10), keras.optimizers.SGD(0.01, momentum=0.9))
    seconds = timed(lambda: model.train_on_batch(x, y), 2, options.repeats)
    report(version, seconds, options.batch)


def inference() -> None:
    x, _ = random_images(options.batch, 224, 1000)
    model = inference_keras(keras, options.task)
    report(version, timed(lambda: model.predict_on_batch(x), 3, options.repeats), options.batch)


def train(name: str) -> None:
    net = NETS[name]
    x, y = samples(net, net.batch * net.steps)
    model = zoo_keras.compiled(keras, name, jit_compile=jit)

    def steps() -> None:
        if net.steps == 1:
            model.train_on_batch(x, y)
        else:
            model.fit(x, y, batch_size=net.batch, verbose=0)

    report(version, timed(steps, 2, options.repeats), len(x))


def infer(name: str) -> None:
    x, _ = samples(NETS[name], options.batch)
    model = zoo_keras.network(keras, name)
    report(version, timed(lambda: model.predict_on_batch(x), 3, options.repeats), options.batch)


kind, _, name = options.task.partition(":")
if name:
    {"train": train, "infer": infer}[kind](name)
else:
    globals().get(options.task, inference)()
