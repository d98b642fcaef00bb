"""The table of the networks that Keras has not: those of papers, and those that follow torchvision.

Nobody publishes weights of theirs in a format of Keras; those of torchvision are read from safetensors files.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnrs.applications.networks import NETWORKS, Network

__all__ = ["ALL", "FURTHER", "names_published", "public_name", "without_weights"]


class _Family(NamedTuple):
    """Networks of one module.

    Attributes:
        module: The module of `applications` that has them.
        mode: How `preprocess_input` of the module scales images.
        size: Height and width by default.
        least: The smallest height and width.
        channels: For each network the channels of the features that its classifier reads.
    """

    module: str
    mode: str
    size: int
    least: int
    channels: dict[str, int]


def _channels(text: str) -> dict[str, int]:
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


# The smallest network of a module stands first: its example runs.
_FAMILIES = (
    _Family("alexnet", "torch", 227, 67, {"AlexNet": 256}),
    _Family("vgg", "caffe", 224, 32, dict.fromkeys("VGG11 VGG13 VGG11BN VGG13BN VGG16BN VGG19BN".split(),
    512)),
    _Family("googlenet", "torch", 224, 32, {"GoogLeNet": 1024}),
    _Family(
        "resnet_cifar", "torch", 32, 8,
        dict.fromkeys("ResNet20 ResNet32 ResNet44 ResNet56 ResNet110".split(), 64),
    ),
    _Family("wide_resnet", "torch", 32, 8, {"WideResNet": 640}),
    _Family("resnet", "caffe", 224, 1, {"ResNet18": 512, "ResNet34": 512}),
    _Family("resnext", "torch", 224, 32, {"ResNeXt50": 2048, "ResNeXt101": 2048}),
    _Family(
        "se_resnet", "torch", 224, 32,
        _channels("SEResNet18 512 SEResNet34 512 SEResNet50 2048 SEResNet101 2048 SEResNet152 2048"),
    ),
    _Family(
        "cbam_resnet", "torch", 224, 32,
        _channels("CBAMResNet18 512 CBAMResNet34 512 CBAMResNet50 2048 CBAMResNet101 2048"),
    ),
    _Family("squeezenet", "torch", 224, 32, {"SqueezeNet": 512}),
    _Family("shufflenet_v2", "torch", 224, 32, {"ShuffleNetV2": 1024}),
    _Family(
        "regnet", "torch", 224, 32,
        _channels(
            "RegNetX002 368 RegNetX004 384 RegNetX006 528 RegNetX008 672 RegNetX016 912 RegNetX032 1008 "
            "RegNetX040 1360 RegNetX064 1624 RegNetX080 1920 RegNetX120 2240 RegNetX160 2048 RegNetX320 2520 "
            "RegNetY002 368 RegNetY004 440 RegNetY006 608 RegNetY008 768 RegNetY016 888 RegNetY032 1512 "
            "RegNetY040 1088 RegNetY064 1296 RegNetY080 2016 RegNetY120 2240 RegNetY160 3024 RegNetY320 3712"
        ),
    ),
    _Family("vit", "tf", 224, 32, {"ViTTiny": 192, "ViTSmall": 384, "ViTBase": 768, "ViTLarge": 1024}),
    _Family(
        "torchvision", "torch", 224, 32,
        _channels(
            "mobilenet_v3_small 576 mobilenet_v3_large 960 mobilenet_v2 1280 "
            "mnasnet0_5 1280 mnasnet0_75 1280 mnasnet1_0 1280 mnasnet1_3 1280 "
            "alexnet 256 googlenet 1024 inception_v3 2048 squeezenet1_0 512 squeezenet1_1 512 "
            "vgg11 512 vgg13 512 vgg16 512 vgg19 512 vgg11_bn 512 vgg13_bn 512 vgg16_bn 512 vgg19_bn 512 "
            "resnet18 512 resnet34 512 resnet50 2048 resnet101 2048 resnet152 2048 "
            "resnext50_32x4d 2048 resnext101_32x8d 2048 resnext101_64x4d 2048 "
            "wide_resnet50_2 2048 wide_resnet101_2 2048 "
            "shufflenet_v2_x0_5 1024 shufflenet_v2_x1_0 1024 shufflenet_v2_x1_5 1024 shufflenet_v2_x2_0 2048 "
            "densenet121 1024 densenet161 2208 densenet169 1664 densenet201 1920 "
            "efficientnet_b0 1280 efficientnet_b1 1280 efficientnet_b2 1408 efficientnet_b3 1536 "
            "efficientnet_b4 1792 efficientnet_b5 2048 efficientnet_b6 2304 efficientnet_b7 2560 "
            "efficientnet_v2_s 1280 efficientnet_v2_m 1280 efficientnet_v2_l 1280 "
            "regnet_x_400mf 400 regnet_x_800mf 672 regnet_x_1_6gf 912 regnet_x_3_2gf 1008 regnet_x_8gf 1920 "
            "regnet_x_16gf 2048 regnet_x_32gf 2520 "
            "regnet_y_400mf 440 regnet_y_800mf 784 regnet_y_1_6gf 888 regnet_y_3_2gf 1512 regnet_y_8gf 2016 "
            "regnet_y_16gf 3024 regnet_y_32gf 3712 regnet_y_128gf 7392 "
            "convnext_tiny 768 convnext_small 768 convnext_base 1024 convnext_large 1536 "
            "vit_b_16 768 vit_b_32 768 vit_l_16 1024 vit_l_32 1024 vit_h_14 1280"
        ),
    ),
)  # fmt: skip

# Heights and widths that torchvision's weights were trained with, where they are not 224, and the smallest
# ones.
_SIZES = {
    "efficientnet_b1": 240,
    "efficientnet_b2": 288,
    "efficientnet_b3": 300,
    "efficientnet_b4": 380,
    "efficientnet_b5": 456,
    "efficientnet_b6": 528,
    "efficientnet_b7": 600,
    "efficientnet_v2_s": 384,
    "efficientnet_v2_m": 480,
    "efficientnet_v2_l": 480,
    "inception_v3": 299,
}
_LEAST = {"inception_v3": 75, "alexnet": 63}
_NAMES = {
    "ShuffleNetV2": "shufflenet_v2",
    "WideResNet": "wide_resnet",
    "ViTTiny": "vit_tiny",
    "ViTSmall": "vit_small",
    "ViTBase": "vit_base",
    "ViTLarge": "vit_large",
}

FURTHER = {
    title: Network(
        family.module,
        _NAMES.get(title, title.lower()),
        _SIZES.get(title, family.size),
        _LEAST.get(title, family.least),
        channels,
        family.mode,
        None,
    )
    for family in _FAMILIES
    for title, channels in family.channels.items()
}
ALL = {**NETWORKS, **FURTHER}

# Networks of torchvision that are the same but for names and roundings, for who looks for trained weights.
_COUNTERPARTS = {
    "VGG11": "vgg11",
    "VGG13": "vgg13",
    "VGG11BN": "vgg11_bn",
    "VGG13BN": "vgg13_bn",
    "VGG16BN": "vgg16_bn",
    "VGG19BN": "vgg19_bn",
    "AlexNet": "alexnet",
    "GoogLeNet": "googlenet",
    "ResNet18": "resnet18",
    "ResNet34": "resnet34",
    "ResNeXt50": "resnext50_32x4d",
    "ResNeXt101": "resnext101_64x4d",
    "SqueezeNet": "squeezenet1_1",
    "ShuffleNetV2": "shufflenet_v2_x1_0",
    "RegNetX004": "regnet_x_400mf",
    "RegNetX008": "regnet_x_800mf",
    "RegNetX016": "regnet_x_1_6gf",
    "RegNetX032": "regnet_x_3_2gf",
    "RegNetX080": "regnet_x_8gf",
    "RegNetX160": "regnet_x_16gf",
    "RegNetX320": "regnet_x_32gf",
    "RegNetY004": "regnet_y_400mf",
    "RegNetY008": "regnet_y_800mf",
    "RegNetY016": "regnet_y_1_6gf",
    "RegNetY032": "regnet_y_3_2gf",
    "RegNetY080": "regnet_y_8gf",
    "RegNetY160": "regnet_y_16gf",
    "RegNetY320": "regnet_y_32gf",
    "ViTBase": "vit_b_16",
    "ViTLarge": "vit_l_16",
}


def public_name(title: str) -> str:
    """The name of a network below `applications`.

    >>> public_name("VGG16"), public_name("vgg16")
    ('VGG16', 'torchvision.vgg16')
    """
    return f"torchvision.{title}" if ALL[title].module == "torchvision" else title


def names_published(title: str, weights: Any) -> bool:
    """Whether `weights` is what Keras, or for its networks torchvision, calls weights that were trained.

    >>> names_published("SEResNet50", "imagenet"), names_published("SEResNet50", "DEFAULT")
    (True, False)
    """
    if ALL[title].module != "torchvision" or not isinstance(weights, str):
        return isinstance(weights, str) and weights == "imagenet"
    return weights in ("imagenet", "DEFAULT") or weights.startswith("IMAGENET1K_")


def without_weights(title: str, weights: str = "imagenet") -> str:
    """What to say of a network where published weights are asked for by name and there are none.

    >>> without_weights("SEResNet50").rpartition(": ")[2]
    "nobody publishes weights of this network for Keras's layers; train it, or take another network's"
    """
    start = (
        f"{title}: weights: expected None for random weights, or the path of a file, received {weights!r}: "
    )
    if ALL[title].module == "torchvision":
        name = "DEFAULT" if weights == "imagenet" else weights
        return (
            f"{start}torchvision publishes pickles, which one line converts where torchvision and "
            f"safetensors are installed: safetensors.torch.save_file(torchvision.models.{title}"
            f'(weights="{name}").state_dict(), {title + ".safetensors"!r}); '
            f"then weights={title + '.safetensors'!r}"
        )
    found = _COUNTERPARTS.get(title)
    advice = (
        "train it, or take another network's"
        if found is None
        else f"cnnrs.applications.torchvision.{found} takes torchvision's from a .safetensors file"
    )
    return f"{start}nobody publishes weights of this network for Keras's layers; {advice}"
