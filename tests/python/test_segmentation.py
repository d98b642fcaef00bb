"""Networks that give each pixel a class: published counts and sizes, dilated backbones, training, files."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import applications, layers
from cnnrs.applications.dilation import dilated


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.mark.parametrize(
    "build, count",
    [
        # torchvision's fcn_resnet50 and deeplabv3_resnet50, with their auxiliary heads.
        (lambda: applications.FCN((64, 64, 3), aux_loss=True), 35_322_218),
        (lambda: applications.DeepLabV3((64, 64, 3), aux_loss=True), 42_004_074),
        # The network of figure 1 of arXiv:1505.04597.
        (
            lambda: applications.UNet((572, 572, 1), padding="valid", batch_norm=False, dropout=0.5),
            31_030_658,
        ),
    ],
)
def test_parameters_are_those_published(build, count):
    assert trainable(build()) == count


def test_the_published_unet_makes_388_of_572():
    model = applications.UNet((572, 572, 1), padding="valid", batch_norm=False)
    assert model.output_shape == (None, 388, 388, 2)
    convolutions = [x for x in model.layers if type(x) in (layers.Conv2D, layers.Conv2DTranspose)]
    assert len(convolutions) == 23


def test_a_dilated_backbone_computes_what_the_other_does_at_each_place():
    backbone = applications.MobileNetV2((64, 64, 3), alpha=0.35, include_top=False, weights=None)
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("f4")
    for stride in (8, 16):
        fine, _ = dilated(backbone, stride)
        assert fine.output_shape[1:3] == (64 // stride, 64 // stride)
        assert fine.count_params() == backbone.count_params()

    # Of one stride in unpadded layers, all places of the coarse map are found in the fine one.
    inputs = cnnrs.Input((21, 21, 2))
    y = layers.Conv2D(3, 3, 2, name="a")(inputs)
    y = layers.Conv2D(3, 3, 2, name="b")(y)
    small = cnnrs.Model(inputs, layers.Conv2D(4, 3, name="c")(y))
    fine, maps = dilated(small, 2)
    x = np.random.default_rng(1).normal(size=(1, 21, 21, 2)).astype("f4")
    coarse, dense = small.predict(x, verbose=0), fine.predict(x, verbose=0)
    np.testing.assert_allclose(dense[:, ::2, ::2], coarse, atol=1e-5)
    assert sorted(maps) == [2, 4]


NETS = {
    "unet": lambda: applications.UNet((32, 32, 3), 2, filters=4, depth=2),
    "unet_bilinear": lambda: applications.UNet((32, 32, 3), 2, filters=4, depth=2, upsampling="bilinear"),
    "fcn8s": lambda: applications.FCN8s((64, 64, 3), 2, backbone=tiny()),
    "deeplab": lambda: applications.DeepLabV3((64, 64, 3), 2, tiny(), output_stride=16, aspp_filters=8),
    "deeplab_plus": lambda: applications.DeepLabV3Plus((64, 64, 3), 2, tiny(), aspp_filters=8),
}


def tiny():
    inputs = x = cnnrs.Input((64, 64, 3))
    for k in range(5):
        x = layers.Conv2D(4 + 2 * k, 3, 2, "same", activation="relu")(x)
    return cnnrs.Model(inputs, x, name="tiny")


@pytest.mark.parametrize("net", NETS)
def test_networks_train_and_come_back_from_files(net, tmp_path):
    model = NETS[net]()
    size = model.input_shape[1]
    rng = np.random.default_rng(0)
    y = rng.random((4, size, size)) < 0.5
    y[:, : size // 2] = True
    x = np.where(y[..., None], 1.0, -1.0).astype("f4") * np.ones(3, "f4") + rng.normal(
        0, 0.1, (4, size, size, 3)
    )
    model.compile(cnnrs.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    losses = model.fit(x, y.astype("i4"), epochs=4, batch_size=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "net.keras")
    again = cnnrs.models.load_model(tmp_path / "net.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)


def test_images_of_unknown_size():
    model = applications.UNet((None, None, 1), 2, filters=2, depth=2)
    assert model.predict(np.zeros((1, 24, 36, 1), "f4"), verbose=0).shape == (1, 24, 36, 2)
    model = applications.DeepLabV3((None, None, 3), 2, "mobilenet_v2", output_stride=16, aspp_filters=8)
    assert model.predict(np.zeros((1, 64, 96, 3), "f4"), verbose=0).shape == (1, 64, 96, 2)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: applications.UNet((30, 32, 3)), "input_shape: expected extents that can be halved 4 times"),
        (lambda: applications.UNet((None, None, 3), padding="valid"), "known height and width"),
        (lambda: applications.UNet(padding="full"), "padding: expected 'same' or 'valid'"),
        (lambda: applications.UNet(upsampling="cubic"), "upsampling: expected"),
        (lambda: applications.FCN(backbone="resnet5"), "backbone: expected a model or one of resnet50"),
        (lambda: applications.FCN(backbone_weights="imagenet"), "no trained weights"),
        (lambda: applications.FCN(backbone=layers.Dense(2)), "backbone: expected a functional model"),
        (lambda: applications.DeepLabV3((64, 64, 3), 2, tiny(), output_stride=12), "output_stride: expected"),
        (lambda: applications.DeepLabV3((64, 64, 3), 2, tiny(), atrous_rates=3), "atrous_rates: expected"),
        (
            lambda: applications.UNet(5),
            r"UNet: input_shape: expected \(height, width, channels\).* received 5",
        ),
        (lambda: applications.FCN((64, 64)), r"FCN: input_shape: expected .* received \(64, 64\)"),
        (lambda: applications.UNet(input_tensor=3), "UNet: input_tensor: expected a result of Input"),
        (
            lambda: applications.UNet(input_tensor=cnnrs.Input((8,))),
            "input_tensor: expected images of 4 axes",
        ),
        (
            lambda: applications.FCN((8, 8, 3), input_tensor=cnnrs.Input((64, 64, 3))),
            "FCN: input_shape: .*None",
        ),
        (
            lambda: applications.DeepLabV3(weights="imagenet"),
            "DeepLabV3: weights: expected None .*'imagenet'",
        ),
        (lambda: applications.UNet(weights="gone.h5"), "UNet: weights: expected .* received 'gone.h5'"),
        (lambda: applications.DeepLabV3((64, 64, 3), 0), "classes: expected an integer >= 1"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    "build",
    [
        lambda **kw: applications.UNet(classes=2, filters=2, depth=2, **kw),
        lambda **kw: applications.FCN(classes=2, backbone=tiny(), output_stride=16, **kw),
        lambda **kw: applications.FCN16s(classes=2, backbone=tiny(), **kw),
        lambda **kw: applications.DeepLabV3(
            classes=2, backbone=tiny(), output_stride=16, aspp_filters=4, **kw
        ),
        lambda **kw: applications.DeepLabV3Plus(classes=2, backbone=tiny(), aspp_filters=4, **kw),
    ],
)
def test_networks_are_built_on_a_tensor(build, tmp_path):
    images = cnnrs.Input((64, 64, 3))
    model = build(input_tensor=layers.Rescaling(1 / 255, name="before")(images))
    assert model.inputs[0] is images and model.layers[1].name == "before"
    plain = build(input_shape=(64, 64, 3))
    assert [w.shape for w in plain.weights] == [w.shape for w in model.weights]
    plain.set_weights(model.get_weights())
    x = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("f4")
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(plain.predict(x / 255, verbose=0), expected, atol=1e-5)
    # Layers have the same names in both, and weights go by them.
    model.save_weights(tmp_path / "net.weights.h5")
    again = build(input_tensor=layers.Rescaling(1 / 255, name="before")(cnnrs.Input((64, 64, 3))))
    again.load_weights(tmp_path / "net.weights.h5")
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, atol=1e-5)
