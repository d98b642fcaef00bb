"""Layers, with the names, arguments and defaults of `keras.layers`."""

from cnnrs.layers.activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from cnnrs.layers.base import Layer
from cnnrs.layers.config import deserialize, serialize
from cnnrs.layers.convolutional import Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D
from cnnrs.layers.core import Activation, Dense, Identity, Lambda
from cnnrs.layers.input_layer import Input, InputLayer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.merging import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from cnnrs.layers.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    UnitNormalization,
)
from cnnrs.layers.pooling import AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D
from cnnrs.layers.preprocessing import Rescaling, Resizing
from cnnrs.layers.regularization import (
    ActivityRegularization,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout2D,
)
from cnnrs.layers.reshaping import (
    Cropping2D,
    Flatten,
    Permute,
    RepeatVector,
    Reshape,
    UpSampling2D,
    ZeroPadding2D,
)

Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
SeparableConvolution2D = SeparableConv2D
MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalAvgPool2D = GlobalAveragePooling2D

__all__ = [
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "Average",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Concatenate",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv2D",
    "SeparableConvolution2D",
    "Softmax",
    "SpatialDropout2D",
    "Subtract",
    "UnitNormalization",
    "UpSampling2D",
    "ZeroPadding2D",
    "deserialize",
    "serialize",
]


def __getattr__(name: str) -> object:
    from cnnrs.base.suggest import did_you_mean, no_attribute

    raise no_attribute("cnnrs.layers", name, did_you_mean(name, __all__))
