"""Public names that no row draws, each with its reason."""

from __future__ import annotations

__all__ = ["IMAGE_OPS", "LAYERS", "OPS"]

_CONTROL = "takes Python functions; programs are made of values"
_COMPOSED = "made of layers that have rows; tests/python/test_blocks.py compares it with formulas"
_NO_TENSOR = "gives no tensor"
_SIGNS = "vectors are unique up to signs; tests/python/test_linalg.py multiplies the factors"
_LABELS = "tests/python/test_ctc.py compares it with all ways to spread labels"

OPS = {
    "cond": _CONTROL,
    "fori_loop": _CONTROL,
    "map": _CONTROL,
    "vectorized_map": _CONTROL,
    "while_loop": _CONTROL,
    "associative_scan": _CONTROL,
    "scan": _CONTROL,
    "switch": _CONTROL,
    "vectorize": _CONTROL,
    "nonzero": "its shape depends on values",
    "view": "reads bytes; nothing is computed",
    "custom_gradient": _CONTROL,
    "convert_to_numpy": _NO_TENSOR,
    "dtype": _NO_TENSOR,
    "is_tensor": _NO_TENSOR,
    "ndim": _NO_TENSOR,
    "shape": _NO_TENSOR,
    "size": _NO_TENSOR,
    "jvp": _CONTROL,
    "eig": _SIGNS,
    "eigh": _SIGNS,
    "lu_factor": _SIGNS,
    "qr": _SIGNS,
    "svd": _SIGNS,
    "istft": "undoes stft; tests/python/test_fourier.py does both",
    "ctc_decode": _LABELS,
    "ctc_loss": _LABELS,
    "polar": "gives an array of numpy",
    "view_as_complex": "gives an array of numpy",
    "empty": "its values mean nothing",
}

_FUNCTION = "a class of this table, called at once"

_VOLUMES = "the class of the same name for images with another rank; ops are drawn for volumes"
_PARITY = "takes several sequences; tests/python/test_sequence_parity.py compares it with Keras"
_ALIAS = "another name of a layer of this table"

# Of `ops.image`.
IMAGE_OPS = {"elastic_transform": "draws random numbers"}

_AUGMENTS = "draws random numbers; tests/python/test_images.py gives it what Keras draws"
_STEPS = "jumps between neighbouring numbers; tests/python/test_images.py compares it with Keras"
_CELL = "takes a state; layers with it are in this table, or in tests/python/test_sequence_parity.py"

_VALUES = "jumps between values; tests/python/test_lookup.py compares it with Keras"

_ADAPTIVE = "the op of that name, with the same arguments"

LAYERS = {
    **dict.fromkeys(
        [
            "AugMix",
            "CutMix",
            "MixUp",
            "RandAugment",
            "RandomBrightness",
            "RandomColorDegeneration",
            "RandomColorJitter",
            "RandomContrast",
            "RandomCrop",
            "RandomElasticTransform",
            "RandomErasing",
            "RandomFlip",
            "RandomGaussianBlur",
            "RandomGrayscale",
            "RandomHue",
            "RandomInvert",
            "RandomPerspective",
            "RandomPosterization",
            "RandomRotation",
            "RandomSaturation",
            "RandomSharpness",
            "RandomShear",
            "RandomTranslation",
            "RandomZoom",
            "Solarization",
        ],
        _AUGMENTS,
    ),
    **dict.fromkeys(["AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"], _STEPS),
    **dict.fromkeys(
        ["Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "StringLookup"], _VALUES
    ),
    **dict.fromkeys(
        [
            "ASPP",
            "AttentionConvBlock",
            "BasicBlock",
            "BottleneckBlock",
            "CBAM",
            "ChannelAttention",
            "ChannelShuffle",
            "ConvBlock",
            "ConvNeXtBlock",
            "DenseBlock",
            "ECA",
            "FPN",
            "FireBlock",
            "FusedMBConv",
            "InceptionBlock",
            "InvertedResidual",
            "MBConv",
            "NonLocal",
            "RegularizedConvBlock",
            "ShuffleBlock",
            "SpatialAttention",
            "SqueezeExcitation",
            "TransitionBlock",
            "UNetDown",
            "UNetUp",
        ],
        _COMPOSED,
    ),
    "CategoryEncoding": "takes integers within a range of its own",
    "MaxNumBoundingBoxes": "takes boxes",
    "Pipeline": "takes layers",
    "AdaptiveAveragePooling1D": _ADAPTIVE,
    "AdaptiveAveragePooling2D": _ADAPTIVE,
    "AdaptiveAveragePooling3D": _ADAPTIVE,
    "AdaptiveMaxPooling1D": _ADAPTIVE,
    "AdaptiveMaxPooling2D": _ADAPTIVE,
    "AdaptiveMaxPooling3D": _ADAPTIVE,
    "AdditiveAttention": _PARITY,
    "Attention": _PARITY,
    "GroupQueryAttention": _PARITY,
    "MultiHeadAttention": _PARITY,
    "Embedding": "takes integers as its first input; tests/python/test_masks.py compares it with numpy",
    "AveragePooling3D": _VOLUMES,
    "AvgPool3D": _VOLUMES,
    "Conv3D": _VOLUMES,
    "Conv3DTranspose": _VOLUMES,
    "Convolution3D": _VOLUMES,
    "Convolution3DTranspose": _VOLUMES,
    "Cropping3D": _VOLUMES,
    "GlobalAveragePooling3D": _VOLUMES,
    "GlobalAvgPool3D": _VOLUMES,
    "GlobalMaxPool3D": _VOLUMES,
    "GlobalMaxPooling3D": _VOLUMES,
    "MaxPool3D": _VOLUMES,
    "MaxPooling3D": _VOLUMES,
    "SpatialDropout3D": _VOLUMES,
    "UpSampling3D": _VOLUMES,
    "ZeroPadding3D": _VOLUMES,
    "AvgPool1D": _ALIAS,
    "Convolution1D": _ALIAS,
    "Convolution1DTranspose": _ALIAS,
    "GlobalAvgPool1D": _ALIAS,
    "GlobalMaxPool1D": _ALIAS,
    "MaxPool1D": _ALIAS,
    "SeparableConvolution1D": _ALIAS,
    "GRUCell": _CELL,
    "LSTMCell": _CELL,
    "RNN": _CELL,
    "SimpleRNNCell": _CELL,
    "StackedRNNCells": _CELL,
    "Bidirectional": _CELL,
    "ConvLSTM1D": _CELL,
    "ConvLSTM2D": _CELL,
    "ConvLSTM3D": _CELL,
    "ReversibleEmbedding": _PARITY,
    "SpectralNormalization": "changes its layer; tests/python/test_keras_parity.py compares it with Keras",
    "TimeDistributed": "takes a layer",
    "Wrapper": "a base class",
    "Input": "every model has it",
    "InputLayer": "every model has it, as Input",
    "InputSpec": "describes inputs; is no layer",
    "Layer": "the base class",
    "add": _FUNCTION,
    "average": _FUNCTION,
    "concatenate": _FUNCTION,
    "dot": _FUNCTION,
    "maximum": _FUNCTION,
    "minimum": _FUNCTION,
    "multiply": _FUNCTION,
    "subtract": _FUNCTION,
    "deserialize": "makes layers of configurations",
    "serialize": "makes configurations of layers",
}
