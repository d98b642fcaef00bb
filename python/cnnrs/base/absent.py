"""Names that Keras has and cnnrs has not, with what to do instead: what `suggest.without` takes."""

from __future__ import annotations

__all__ = ["OF_APPLICATIONS", "OF_CNNRS", "OF_LAYERS", "OF_NETWORKS", "OF_SAVING"]

_LATER = "it comes with a later version"
_IMAGES = "cnnrs is for images"

OF_CNNRS = {
    "distribution": "there is one device, which cnnrs.device() chooses",
    "StatelessScope": "variables belong to layers; call layers in a GradientTape",
    "SymbolicScope": "cnnrs.function records what it is given",
    "RematScope remat": "plans recompute cheap values by themselves",
    "Quantizer quantizers quantization": 'models are not quantized; dtype="bfloat16" makes weights smaller',
    "Function": "Model(inputs, outputs) is the network between symbolic tensors",
    "legacy": "use cnnrs.saving",
    "export": "model.save() writes a model; other runtimes are not written for",
    "visualization": "draw with matplotlib",
    "estimator experimental feature_column": "Keras 3 has it no more; use cnnrs.Model",
}

OF_LAYERS = {
    "TextVectorization": f"{_IMAGES}; split text with Python, and look words up with StringLookup",
    "Hashing HashedCrossing": "hash values with Python before training",
    "MelSpectrogram STFTSpectrogram": f"{_IMAGES}; make spectrograms before training",
    "JaxLayer FlaxLayer": "a Layer computes with cnnrs.ops",
    "TFSMLayer": "there are no files of TensorFlow; load weights into layers",
    "TorchModuleWrapper": "a Layer computes with cnnrs.ops; weights of torch go in with set_weights",
    "QuantizedConv2D QuantizedDense": "layers compute in float types",
}

OF_APPLICATIONS = {
    "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge convnext": _LATER,
    "DenseNet121 DenseNet169 DenseNet201 densenet": _LATER,
    "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 EfficientNetB5": _LATER,
    "EfficientNetB6 EfficientNetB7 efficientnet": _LATER,
    "EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2S": _LATER,
    "EfficientNetV2M EfficientNetV2L efficientnet_v2": _LATER,
    "InceptionV3 inception_v3 InceptionResNetV2 inception_resnet_v2 Xception xception": _LATER,
    "MobileNet mobilenet MobileNetV3Small MobileNetV3Large mobilenet_v3": f"{_LATER}; MobileNetV2 is there",
    "NASNetLarge NASNetMobile nasnet VGG16 VGG19 vgg16 vgg19": _LATER,
    "ResNet50V2 ResNet101V2 ResNet152V2 resnet_v2 resnet50": f"{_LATER}; ResNet50 is there",
    "imagenet_utils": f"{_LATER}; scale images as the weights ask for",
}

# In the modules of networks.
OF_NETWORKS = {
    "decode_predictions preprocess_input": f"{_LATER}, with weights; scale images with layers.Rescaling",
}

OF_SAVING = {
    "KerasFileEditor": f"{_LATER}, with files of Keras; files here are safetensors, which its library edits",
}
