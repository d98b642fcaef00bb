"""Paths of Keras's modules, and where the contents of former ones are."""

from __future__ import annotations

__all__ = ["FORMER", "KEPT", "KERAS_VERSION", "MODULES"]

KERAS_VERSION = "3.15.1"

_NETWORKS = (
    "convnext densenet efficientnet efficientnet_v2 imagenet_utils inception_resnet_v2 inception_v3 "
    "mobilenet mobilenet_v2 mobilenet_v3 nasnet resnet resnet50 resnet_v2 vgg16 vgg19 xception"
)

# Keras's public modules by what they are below.
_BELOW = {
    "": "activations applications backend callbacks config constraints datasets distillation distribution "
    "dtype_policies export initializers layers legacy losses metrics mixed_precision models ops optimizers "
    "preprocessing quantizers random regularizers saving tree utils visualization wrappers",
    "applications": _NETWORKS,
    "datasets": "boston_housing california_housing cifar10 cifar100 fashion_mnist imdb mnist reuters",
    "legacy": "saving",
    "ops": "image linalg nn numpy",
    "optimizers": "legacy schedules",
    "preprocessing": "image sequence",
    "utils": "bounding_boxes legacy",
}
MODULES = frozenset(
    f"{parent}.{name}".strip(".") for parent, names in _BELOW.items() for name in names.split()
)

# Modules of tf.keras that Keras 3 has no more, and that work here.
KEPT = frozenset(["optimizers.experimental"])

# Modules of Keras 2 and of tf.keras that Keras 3 has no more.
FORMER = {
    "engine": "Layer, Input and InputSpec are in keras.layers, Model in keras.models",
    "engine.topology": "Layer, Input and InputSpec are in keras.layers, Model in keras.models",
    "estimator": "Keras 3 has no estimators; use keras.Model",
    "experimental": "its optimizers and layers are in keras.optimizers and keras.layers",
    "layers.advanced_activations": "import from keras.layers",
    "layers.convolutional": "import from keras.layers",
    "layers.core": "import from keras.layers",
    "layers.embeddings": "import from keras.layers",
    "layers.experimental": "import from keras.layers",
    "layers.experimental.preprocessing": "import from keras.layers",
    "layers.merge": "import from keras.layers",
    "layers.noise": "import from keras.layers",
    "layers.normalization": "import from keras.layers",
    "layers.pooling": "import from keras.layers",
    "layers.preprocessing": "import from keras.layers",
    "layers.recurrent": "import from keras.layers",
    "layers.wrappers": "import from keras.layers",
    "mixed_precision.experimental": "set_global_policy is in keras.mixed_precision",
    "preprocessing.text": "keras.layers.TextVectorization took its place",
    "utils.generic_utils": "get_custom_objects is in keras.saving, Progbar in keras.utils",
    "utils.layer_utils": "import from keras.utils",
    "utils.np_utils": "to_categorical and normalize are in keras.utils",
    "utils.vis_utils": "plot_model and model_to_dot are in keras.utils",
    "wrappers.scikit_learn": "SKLearnClassifier and SKLearnRegressor are in keras.wrappers",
}
