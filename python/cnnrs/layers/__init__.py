"""Layers: those of `keras.layers`, with their arguments and defaults, and those of papers besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnrs.base import absent, suggest
from cnnrs.base.late import late, names_of
from cnnrs.layers import activation, augmentation, normalization, pooling
from cnnrs.layers.activation import (
    ELU,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)
from cnnrs.layers.attention.dot_product import AdditiveAttention, Attention
from cnnrs.layers.attention.multi_head import GroupQueryAttention, MultiHeadAttention
from cnnrs.layers.augmentation import (
    AugMix,
    AutoContrast,
    CenterCrop,
    ContrastLimitedAdaptiveHistogramEqualization,
    CutMix,
    Equalization,
    MaxNumBoundingBoxes,
    MixUp,
    RandAugment,
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomCrop,
    RandomElasticTransform,
    RandomErasing,
    RandomFlip,
    RandomGaussianBlur,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomPerspective,
    RandomPosterization,
    RandomRotation,
    RandomSaturation,
    RandomSharpness,
    RandomShear,
    RandomTranslation,
    RandomZoom,
    Resizing,
    Solarization,
)
from cnnrs.layers.base import (
    Layer,
)
from cnnrs.layers.batch_normalization import (
    BatchNormalization,
)
from cnnrs.layers.config import (
    deserialize,
    serialize,
)
from cnnrs.layers.convolutional import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from cnnrs.layers.core import (
    Activation,
    Dense,
    Identity,
    Lambda,
)
from cnnrs.layers.einsum import (
    EinsumDense,
)
from cnnrs.layers.embedding import (
    Embedding,
    Masking,
    ReversibleEmbedding,
)
from cnnrs.layers.input_layer import (
    Input,
    InputLayer,
)
from cnnrs.layers.input_spec import (
    InputSpec,
)
from cnnrs.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from cnnrs.layers.normalization import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from cnnrs.layers.pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from cnnrs.layers.preprocessing import (
    CategoryEncoding,
    Discretization,
    HashedCrossing,
    Hashing,
    IntegerLookup,
    Normalization,
    Pipeline,
    Rescaling,
    StringLookup,
    TextVectorization,
)
from cnnrs.layers.recurrent import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    ConvLSTM1D,
    ConvLSTM2D,
    ConvLSTM3D,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
)
from cnnrs.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from cnnrs.layers.resampling import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from cnnrs.layers.reshaping import (
    Flatten,
    Permute,
    RepeatVector,
    Reshape,
)
from cnnrs.layers.wrapping import (
    SpectralNormalization,
    TimeDistributed,
    Wrapper,
)

Convolution1D = Conv1D
Convolution1DTranspose = Conv1DTranspose
MaxPool1D = MaxPooling1D
AvgPool1D = AveragePooling1D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalAvgPool1D = GlobalAveragePooling1D
SeparableConvolution1D = SeparableConv1D
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalAvgPool2D = GlobalAveragePooling2D
SeparableConvolution2D = SeparableConv2D
Convolution3D = Conv3D
Convolution3DTranspose = Conv3DTranspose
MaxPool3D = MaxPooling3D
AvgPool3D = AveragePooling3D
GlobalMaxPool3D = GlobalMaxPooling3D
GlobalAvgPool3D = GlobalAveragePooling3D
# What its configs call it in Keras.
GroupedQueryAttention = GroupQueryAttention

# Layers that Keras has not, by the modules below this one that have them. They are loaded when they are first
# used: the import of the package stays quick. Type checkers read the same names under TYPE_CHECKING.
_LATE: Mapping[str, str] = {
    **{f"activation.{module}": names for module, names in activation.LATE.items()},
    **{f"augmentation.{module}": names for module, names in augmentation.LATE.items()},
    **{f"normalization.{module}": names for module, names in normalization.LATE.items()},
    **{f"pooling.{module}": names for module, names in pooling.LATE.items()},
    "attention.cbam": "CBAM",
    "attention.channel": "ChannelAttention SqueezeExcitation",
    "attention.efficient_channel": "ECA",
    "attention.non_local": "NonLocal",
    "attention.spatial": "SpatialAttention",
    "blocks.aspp": "ASPP",
    "blocks.conv_block": "AttentionConvBlock ConvBlock RegularizedConvBlock",
    "blocks.convnext": "ConvNeXtBlock",
    "blocks.dense": "DenseBlock TransitionBlock",
    "blocks.fire": "FireBlock",
    "blocks.inception": "InceptionBlock",
    "blocks.inverted_residual": "FusedMBConv InvertedResidual MBConv",
    "blocks.pyramid": "FPN",
    "blocks.residual": "BasicBlock BottleneckBlock",
    "blocks.shuffle": "ChannelShuffle ShuffleBlock",
    "blocks.unet": "UNetDown UNetUp",
    "dropping": "DropBlock2D ShakeDrop StochasticDepth",
    "filters": "GaborBank2D GaussianBlur2D Laplacian2D Prewitt2D Scharr2D Sobel2D",
    "metric_learning": "ArcFace CenterLoss CosineDense",
    "patches": "PatchTokens",
    "response_normalization": "LocalResponseNormalization",
}

if TYPE_CHECKING:
    from cnnrs.layers.activation.funnel import FReLU as FReLU
    from cnnrs.layers.activation.learnt import AdaptivePReLU as AdaptivePReLU
    from cnnrs.layers.activation.learnt import Swish as Swish
    from cnnrs.layers.activation.maxout import Maxout as Maxout
    from cnnrs.layers.attention.cbam import CBAM as CBAM
    from cnnrs.layers.attention.channel import (
        ChannelAttention as ChannelAttention,
    )
    from cnnrs.layers.attention.channel import (
        SqueezeExcitation as SqueezeExcitation,
    )
    from cnnrs.layers.attention.efficient_channel import ECA as ECA
    from cnnrs.layers.attention.non_local import NonLocal as NonLocal
    from cnnrs.layers.attention.spatial import SpatialAttention as SpatialAttention
    from cnnrs.layers.augmentation.grid_mask import GridMask as GridMask
    from cnnrs.layers.augmentation.lighting import Lighting as Lighting
    from cnnrs.layers.augmentation.mosaic import Mosaic as Mosaic
    from cnnrs.layers.augmentation.resized_crop import RandomResizedCrop as RandomResizedCrop
    from cnnrs.layers.augmentation.trivial import TrivialAugment as TrivialAugment
    from cnnrs.layers.blocks.aspp import ASPP as ASPP
    from cnnrs.layers.blocks.conv_block import (
        AttentionConvBlock as AttentionConvBlock,
    )
    from cnnrs.layers.blocks.conv_block import (
        ConvBlock as ConvBlock,
    )
    from cnnrs.layers.blocks.conv_block import (
        RegularizedConvBlock as RegularizedConvBlock,
    )
    from cnnrs.layers.blocks.convnext import ConvNeXtBlock as ConvNeXtBlock
    from cnnrs.layers.blocks.dense import DenseBlock as DenseBlock
    from cnnrs.layers.blocks.dense import TransitionBlock as TransitionBlock
    from cnnrs.layers.blocks.fire import FireBlock as FireBlock
    from cnnrs.layers.blocks.inception import InceptionBlock as InceptionBlock
    from cnnrs.layers.blocks.inverted_residual import (
        FusedMBConv as FusedMBConv,
    )
    from cnnrs.layers.blocks.inverted_residual import (
        InvertedResidual as InvertedResidual,
    )
    from cnnrs.layers.blocks.inverted_residual import (
        MBConv as MBConv,
    )
    from cnnrs.layers.blocks.pyramid import FPN as FPN
    from cnnrs.layers.blocks.residual import BasicBlock as BasicBlock
    from cnnrs.layers.blocks.residual import BottleneckBlock as BottleneckBlock
    from cnnrs.layers.blocks.shuffle import ChannelShuffle as ChannelShuffle
    from cnnrs.layers.blocks.shuffle import ShuffleBlock as ShuffleBlock
    from cnnrs.layers.blocks.unet import UNetDown as UNetDown
    from cnnrs.layers.blocks.unet import UNetUp as UNetUp
    from cnnrs.layers.dropping import DropBlock2D as DropBlock2D
    from cnnrs.layers.dropping import ShakeDrop as ShakeDrop
    from cnnrs.layers.dropping import StochasticDepth as StochasticDepth
    from cnnrs.layers.filters import GaborBank2D as GaborBank2D
    from cnnrs.layers.filters import GaussianBlur2D as GaussianBlur2D
    from cnnrs.layers.filters import Laplacian2D as Laplacian2D
    from cnnrs.layers.filters import Prewitt2D as Prewitt2D
    from cnnrs.layers.filters import Scharr2D as Scharr2D
    from cnnrs.layers.filters import Sobel2D as Sobel2D
    from cnnrs.layers.metric_learning import ArcFace as ArcFace
    from cnnrs.layers.metric_learning import CenterLoss as CenterLoss
    from cnnrs.layers.metric_learning import CosineDense as CosineDense
    from cnnrs.layers.normalization.filter_response import TLU as TLU
    from cnnrs.layers.normalization.filter_response import (
        FilterResponseNormalization as FilterResponseNormalization,
    )
    from cnnrs.layers.normalization.instance import InstanceNormalization as InstanceNormalization
    from cnnrs.layers.normalization.switchable import SwitchableNormalization as SwitchableNormalization
    from cnnrs.layers.normalization.weight_standardization import (
        WeightStandardization as WeightStandardization,
    )
    from cnnrs.layers.patches import PatchTokens as PatchTokens
    from cnnrs.layers.pooling.attention import AttentionPooling2D as AttentionPooling2D
    from cnnrs.layers.pooling.attention import GlobalAttentionPooling2D as GlobalAttentionPooling2D
    from cnnrs.layers.pooling.fractional import FractionalAveragePooling2D as FractionalAveragePooling2D
    from cnnrs.layers.pooling.fractional import FractionalMaxPooling2D as FractionalMaxPooling2D
    from cnnrs.layers.pooling.learnable import LearnablePooling2D as LearnablePooling2D
    from cnnrs.layers.pooling.means import GeMPooling2D as GeMPooling2D
    from cnnrs.layers.pooling.means import GlobalGeMPooling2D as GlobalGeMPooling2D
    from cnnrs.layers.pooling.means import GlobalLpPooling2D as GlobalLpPooling2D
    from cnnrs.layers.pooling.means import LpPooling2D as LpPooling2D
    from cnnrs.layers.pooling.mixed import GatedPooling2D as GatedPooling2D
    from cnnrs.layers.pooling.mixed import GlobalMixedPooling2D as GlobalMixedPooling2D
    from cnnrs.layers.pooling.mixed import MixedPooling2D as MixedPooling2D
    from cnnrs.layers.pooling.stochastic import StochasticPooling2D as StochasticPooling2D
    from cnnrs.layers.response_normalization import LocalResponseNormalization as LocalResponseNormalization

__all__ = [
    *names_of(_LATE),
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "AugMix",
    "AutoContrast",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "ContrastLimitedAdaptiveHistogramEqualization",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "CutMix",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "ELU",
    "EinsumDense",
    "Embedding",
    "Equalization",
    "Flatten",
    "GRU",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "HashedCrossing",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
    "LSTM",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxNumBoundingBoxes",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MixUp",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "Pipeline",
    "RMSNormalization",
    "RNN",
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
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "ReversibleEmbedding",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "Solarization",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "TextVectorization",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

__getattr__, __dir__ = late(
    "cnnrs.layers",
    _LATE,
    suggest.without(
        "cnnrs.layers",
        absent.OF_LAYERS,
        __all__,
        also={
            "APReLU": "layers.AdaptivePReLU",
            "AtrousSpatialPyramidPooling SPP SpatialPyramidPooling": "layers.ASPP",
            "BlurPool BlurPool2D MaxBlurPool": "layers.GaussianBlur2D before a layer with strides",
            "CBAMBlock": "layers.CBAM",
            "ConvBNReLU ConvBnAct ConvBnRelu ConvNormAct": "layers.ConvBlock",
            "Cutout": "layers.RandomErasing",
            "DropPath": "layers.StochasticDepth",
            "ECABlock ECALayer EfficientChannelAttention": "layers.ECA",
            "FRN": "layers.FilterResponseNormalization",
            "FeaturePyramid FeaturePyramidNetwork": "layers.FPN",
            "Fire FireModule": "layers.FireBlock",
            "RandomHeight RandomWidth": "layers.RandomZoom: images of a batch have one size",
            "ThresholdedReLU": "layers.ReLU with threshold",
            "experimental": "layers itself, as in layers.RandomFlip and layers.Rescaling",
            "GELU HardSwish Hardswish Mish SELU SiLU Tanh": "layers.Activation with the name of the function",
            "GaborFilter": "layers.GaborBank2D",
            "GaussianFilter": "layers.GaussianBlur2D",
            "GeM": "layers.GeMPooling2D or layers.GlobalGeMPooling2D",
            "LearnableSwish": "layers.Swish",
            "MBConvBlock": "layers.MBConv",
            "ResBlock Residual ResidualBlock ResNetBlock": "layers.BasicBlock or layers.BottleneckBlock",
            "SE SEBlock SELayer": "layers.SqueezeExcitation",
            "SyncBatchNorm SyncBatchNormalization": "layers.BatchNormalization with synchronized=True",
            "UNetBlock": "layers.UNetDown and layers.UNetUp",
        },
    ),
)
