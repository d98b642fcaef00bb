"""What scripts ask of devices before they begin."""

import tensorflow as tf

print(tf.__version__ >= "2", tf.config.list_physical_devices("GPU"), tf.config.list_physical_devices())
gpus = tf.config.list_physical_devices("GPU")
if gpus:
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
print(
    "Num GPUs Available: ",
    len(tf.config.experimental.list_physical_devices("GPU")),
    tf.test.is_gpu_available() if hasattr(tf.test, "is_gpu_available") else "",
    tf.test.is_built_with_cuda(),
    tf.test.gpu_device_name(),
)
with tf.device("/CPU:0"):
    a = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    print(tf.matmul(a, a), a.device)
with tf.device("/cpu:0"):
    m = tf.keras.Sequential([tf.keras.layers.Dense(2)])
    print(m(a).shape)
import keras

with keras.device("cpu:0"):
    print(keras.ops.ones((2,)))
tf.config.threading.set_intra_op_parallelism_threads(1)
print(tf.executing_eagerly(), tf.random.normal((2, 2), seed=1).shape)
try:
    strategy = tf.distribute.MirroredStrategy()
    print(strategy.num_replicas_in_sync)
    with strategy.scope():
        pass
except Exception as e:
    print(type(e).__name__, e)
try:
    tf.config.set_visible_devices([], "GPU")
    print(tf.config.get_visible_devices())
except Exception as e:
    print(type(e).__name__, e)
try:
    with tf.device("/GPU:0"):
        print(tf.ones((2,)))
except Exception as e:
    print(type(e).__name__, e)
