"""Names that Keras has and cnnrs has not, with what to do instead: what `suggest.without` takes."""

from __future__ import annotations

__all__ = ["OF_CNNRS", "OF_LAYERS"]

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
    "MelSpectrogram STFTSpectrogram": f"{_IMAGES}; make spectrograms before training",
    "JaxLayer FlaxLayer": "a Layer computes with cnnrs.ops",
    "TFSMLayer": "there are no files of TensorFlow; load weights into layers",
    "TorchModuleWrapper": "a Layer computes with cnnrs.ops; weights of torch go in with set_weights",
    "QuantizedConv2D QuantizedDense": "layers compute in float types",
}
