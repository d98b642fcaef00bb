"""The table of Keras's networks: where each stands, its sizes, how its images are scaled, and its weights.

Addresses, names of files and checksums are those that Keras publishes. Files are called as in
Keras's cache: who copies them by hand finds what Keras would look for.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NETWORKS", "STORE", "File", "Network", "Weights", "weights_at"]

STORE = "https://storage.googleapis.com/tensorflow/keras-applications"
_KERNELS = "_weights_tf_dim_ordering_tf_kernels"


class File(NamedTuple):
    """A file of weights.

    Attributes:
        name: Name in the cache.
        address: Where it is fetched from.
        checksum: MD5 or SHA-256, in hexadecimal; None where Keras publishes none.
    """

    name: str
    address: str
    checksum: str | None = None


class Weights(NamedTuple):
    """The trained weights of a network, with and without its classifier."""

    top: File
    no_top: File


class Network(NamedTuple):
    """A row of the table.

    Attributes:
        module: The module of `applications` that has it.
        default_name: Name of the model, unless another is given.
        size: Height and width of the images that it was trained on.
        least: The smallest height and width.
        channels: Channels of the features that the classifier reads.
        mode: How `preprocess_input` of its module scales images: "caffe", "tf", "torch", or "none".
        weights: The files; None if they depend on arguments of the network.
    """

    module: str
    default_name: str
    size: int
    least: int
    channels: int
    mode: str
    weights: Weights | None


def weights_at(
    folder: str, name: str, checksum: str | None, no_top_checksum: str | None, no_top: str = "_notop"
) -> Weights:
    """The two files `name`.h5 and `name``no_top`.h5 of a folder of the store."""
    files = [
        File(f"{stem}.h5", f"{folder}/{stem}.h5", found)
        for stem, found in ((name, checksum), (f"{name}{no_top}", no_top_checksum))
    ]
    return Weights(*files)


def _row(
    module: str,
    default_name: str,
    size: int,
    channels: int,
    mode: str,
    *checksums: str,
    file: str | None = None,
    folder: str | None = None,
    least: int = 32,
) -> Network:
    weights = None
    if checksums:
        stem = default_name + _KERNELS if file is None else file
        weights = weights_at(folder or f"{STORE}/{module}", stem, *checksums)
    return Network(module, default_name, size, least, channels, mode, weights)


def _resnet(module: str, name: str, mode: str, *checksums: str) -> Network:
    return _row(module, name, 224, 2048, mode, *checksums, folder=f"{STORE}/resnet")


def _efficientnet(number: int, size: int, channels: int, *checksums: str) -> Network:
    name = f"efficientnetb{number}"
    folder = "https://storage.googleapis.com/keras-applications"
    return _row("efficientnet", name, size, channels, "none", *checksums, file=name, folder=folder)


def _efficientnet_v2(name: str, size: int, channels: int, *checksums: str) -> Network:
    name = f"efficientnetv2-{name}"
    return _row("efficientnet_v2", name, size, channels, "none", *checksums, file=name)


def _convnext(name: str, channels: int, *checksums: str) -> Network:
    name = f"convnext_{name}"
    return _row("convnext", name, 224, channels, "none", *checksums, file=name)


def _nasnet(name: str, size: int, channels: int, *checksums: str) -> Network:
    # In the cache the files are called otherwise than in the store.
    files = [
        File(f"nasnet_{name}{in_cache}.h5", f"{STORE}/nasnet/NASNet-{name}{in_store}.h5", checksum)
        for in_cache, in_store, checksum in zip(("", "_no_top"), ("", "-no-top"), checksums, strict=True)
    ]
    return Network("nasnet", f"nasnet_{name}", size, 32, channels, "tf", Weights(*files))


NETWORKS = {
    "VGG16": _row(
        "vgg16", "vgg16", 224, 512, "caffe",
        "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc",
    ),
    "VGG19": _row(
        "vgg19", "vgg19", 224, 512, "caffe",
        "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6",
    ),
    "ResNet50": _resnet(
        "resnet", "resnet50", "caffe",
        "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626",
    ),
    "ResNet101": _resnet(
        "resnet", "resnet101", "caffe",
        "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21",
    ),
    "ResNet152": _resnet(
        "resnet", "resnet152", "caffe",
        "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
    "ResNet50V2": _resnet(
        "resnet_v2", "resnet50v2", "tf",
        "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917",
    ),
    "ResNet101V2": _resnet(
        "resnet_v2", "resnet101v2", "tf",
        "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5",
    ),
    "ResNet152V2": _resnet(
        "resnet_v2", "resnet152v2", "tf",
        "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33",
    ),
    "Xception": _row(
        "xception", "xception", 299, 2048, "tf",
        "0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97", least=71,
    ),
    "InceptionV3": _row(
        "inception_v3", "inception_v3", 299, 2048, "tf",
        "9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63", least=75,
    ),
    "InceptionResNetV2": _row(
        "inception_resnet_v2", "inception_resnet_v2", 299, 1536, "tf",
        "e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4", least=75,
    ),
    # Files and names of these depend on the width, and of the first two on the size.
    "MobileNet": _row("mobilenet", "mobilenet", 224, 1024, "tf"),
    "MobileNetV2": _row("mobilenet_v2", "mobilenetv2", 224, 1280, "tf"),
    "MobileNetV3Small": _row("mobilenet_v3", "MobileNetV3Small", 224, 576, "none"),
    "MobileNetV3Large": _row("mobilenet_v3", "MobileNetV3Large", 224, 960, "none"),
    "DenseNet121": _row(
        "densenet", "densenet121", 224, 1024, "torch",
        "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738",
    ),
    "DenseNet169": _row(
        "densenet", "densenet169", 224, 1664, "torch",
        "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b",
    ),
    "DenseNet201": _row(
        "densenet", "densenet201", 224, 1920, "torch",
        "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1",
    ),
    "NASNetMobile": _nasnet(
        "mobile", 224, 1056, "020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"
    ),
    "NASNetLarge": _nasnet(
        "large", 331, 4032, "11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"
    ),
    "EfficientNetB0": _efficientnet(
        0, 224, 1280, "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"
    ),
    "EfficientNetB1": _efficientnet(
        1, 240, 1280, "1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"
    ),
    "EfficientNetB2": _efficientnet(
        2, 260, 1408, "b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"
    ),
    "EfficientNetB3": _efficientnet(
        3, 300, 1536, "ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"
    ),
    "EfficientNetB4": _efficientnet(
        4, 380, 1792, "18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"
    ),
    "EfficientNetB5": _efficientnet(
        5, 456, 2048, "ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"
    ),
    "EfficientNetB6": _efficientnet(
        6, 528, 2304, "165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"
    ),
    "EfficientNetB7": _efficientnet(
        7, 600, 2560, "8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"
    ),
    "EfficientNetV2B0": _efficientnet_v2(
        "b0", 224, 1280, "21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"
    ),
    "EfficientNetV2B1": _efficientnet_v2(
        "b1", 240, 1280, "069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"
    ),
    "EfficientNetV2B2": _efficientnet_v2(
        "b2", 260, 1408, "424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"
    ),
    "EfficientNetV2B3": _efficientnet_v2(
        "b3", 300, 1536, "1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"
    ),
    "EfficientNetV2S": _efficientnet_v2(
        "s", 384, 1280, "e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"
    ),
    "EfficientNetV2M": _efficientnet_v2(
        "m", 480, 1280, "a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"
    ),
    "EfficientNetV2L": _efficientnet_v2(
        "l", 480, 1280, "27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"
    ),
    "ConvNeXtTiny": _convnext(
        "tiny", 768,
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    "ConvNeXtSmall": _convnext(
        "small", 768,
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    "ConvNeXtBase": _convnext(
        "base", 1024,
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    "ConvNeXtLarge": _convnext(
        "large", 1536,
        "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    "ConvNeXtXLarge": _convnext(
        "xlarge", 2048,
        "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
        "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
}  # fmt: skip
