"""Pipelines of tf.data."""

from pathlib import Path

import numpy as np
import tensorflow as tf

Path("a.txt").write_text("first\nsecond\n")
ds = tf.data.Dataset.range(10).map(lambda x: x * 2).filter(lambda x: x % 3 == 0).batch(2)
print(list(ds.as_numpy_iterator()))


def gen():
    for i in range(7):
        yield np.ones((4, 4, 1), "float32") * i, i % 2


g = tf.data.Dataset.from_generator(
    gen, output_signature=(tf.TensorSpec((4, 4, 1), tf.float32), tf.TensorSpec((), tf.int32))
)
g2 = tf.data.Dataset.from_generator(gen, output_types=(tf.float32, tf.int32), output_shapes=((4, 4, 1), ()))
print(g.element_spec, g2.element_spec)
m = tf.keras.Sequential(
    [tf.keras.layers.Flatten(input_shape=(4, 4, 1)), tf.keras.layers.Dense(1, activation="sigmoid")]
)
m.compile("adam", "binary_crossentropy", metrics=["accuracy"])
m.fit(
    g.shuffle(10, reshuffle_each_iteration=True).repeat().batch(3).prefetch(tf.data.experimental.AUTOTUNE),
    steps_per_epoch=4,
    epochs=2,
)


def aug(x, y):
    x = tf.image.random_flip_left_right(x)
    x = tf.image.random_brightness(x, 0.1)
    x = tf.image.resize_with_crop_or_pad(x, 6, 6)
    x = tf.image.random_crop(x, size=[4, 4, 1])
    x = tf.clip_by_value(x, 0.0, 1.0)
    return x, tf.one_hot(y, 2)


for a, b in g.map(aug, num_parallel_calls=tf.data.AUTOTUNE).batch(4, drop_remainder=True).take(1):
    print(a.shape, b.shape, a.numpy().dtype)
w = (
    tf.data.Dataset.range(10)
    .window(4, shift=1, drop_remainder=True)
    .flat_map(lambda w: w.batch(4))
    .map(lambda w: (w[:-1], w[-1:]))
)
print([(a.numpy().tolist(), b.numpy().tolist()) for a, b in w][:2])
d = tf.data.Dataset.from_tensor_slices({"a": np.arange(4), "b": np.array(["x", "y", "z", "é"])})
for e in d.take(4):
    print(e["a"].numpy(), e["b"].numpy())
i = tf.data.Dataset.from_tensor_slices([1, 2, 3]).interleave(
    lambda x: tf.data.Dataset.from_tensors(x).repeat(2), cycle_length=2, block_length=1
)
print(list(i.as_numpy_iterator()))
p = tf.data.Dataset.from_tensor_slices([[1, 2], [3, 4]]).padded_batch(2, padded_shapes=[4])
print(list(p.as_numpy_iterator()))
print(
    tf.data.Dataset.zip((tf.data.Dataset.range(3), tf.data.Dataset.range(3, 6))).cardinality().numpy(),
    len(ds.unbatch().batch(1)) if ds.cardinality() >= 0 else ds.cardinality().numpy(),
)
print(
    tf.data.Dataset.range(5).reduce(np.int64(0), lambda s, x: s + x).numpy(),
    list(tf.data.Dataset.range(6).enumerate().skip(4).as_numpy_iterator()),
    list(tf.data.Dataset.range(3).concatenate(tf.data.Dataset.range(2)).as_numpy_iterator()),
)


def np_fn(x):
    return np.sqrt(x).astype("float32")


print(
    list(
        tf.data.Dataset.from_tensor_slices(np.array([1.0, 4.0], "float32"))
        .map(lambda x: tf.numpy_function(np_fn, [x], tf.float32))
        .as_numpy_iterator()
    ),
    list(
        tf.data.Dataset.range(2)
        .map(lambda x: tf.py_function(lambda v: v.numpy() + 1, [x], tf.int64))
        .as_numpy_iterator()
    ),
)
opt = tf.data.Options()
opt.deterministic = False
ds = ds.with_options(opt)
s = tf.data.Dataset.sample_from_datasets(
    [tf.data.Dataset.range(3), tf.data.Dataset.range(3)], weights=[0.5, 0.5]
)
print(len(list(s)))
for step, x in enumerate(tf.data.TextLineDataset("a.txt").take(1)):
    print(step, x.numpy()[:20])
b = tf.data.Dataset.from_tensor_slices(np.arange(10)).shuffle(10, seed=1).batch(3)
it = iter(b)
print(next(it).shape, it.get_next().shape)

assert [x.numpy() for x in tf.data.TextLineDataset("a.txt")] == [b"first", b"second"]
assert [x.numpy() for x in tf.data.Dataset.list_files("*.txt")][0].endswith(b"a.txt")
