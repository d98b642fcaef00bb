"""MixUp and CutMix through `fit`, against the formulas of their papers in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, losses, ops
from cnnrs.training.mixing import BatchMixing

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 8, 8, 3)).astype("float32")
LABELS = RANDOM.integers(0, 4, 24)
ONE_HOT = np.eye(4, dtype="float32")[LABELS]
MASKS = RANDOM.integers(0, 3, (24, 8, 8))
MIXERS = {"mixup": lambda: layers.MixUp(0.8, seed=3), "cutmix": lambda: layers.CutMix(seed=4)}


def build(dropout: float = 0.0, activation: Any = "softmax") -> Any:
    cnnrs.utils.set_random_seed(1)
    return cnnrs.Sequential(
        [
            cnnrs.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(4, activation=activation),
        ]
    )


def drawn(mixer: Any, shape: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a layer of the same seed draws first: order, and weights of samples and elements in float64."""
    order, samples, elements = mixer().mixing(shape)
    return order.numpy(), np.float64(samples.numpy()), np.float64(elements.numpy())


def one_step(model: Any, x: Any, y: Any, mixer: Any, loss: Any, **arguments: Any) -> dict[str, float]:
    """The logs of one batch at a learning rate of 0."""
    metrics = arguments.pop("metrics", None)
    model.compile(
        cnnrs.optimizers.SGD(0.0), loss, metrics=metrics, weighted_metrics=arguments.pop("weighted", None)
    )
    given = {"batch_size": len(x), "shuffle": False, "verbose": 0, **arguments}
    history = model.fit(x, y, batch_augmentation=mixer(), **given)
    return {name: values[0] for name, values in history.history.items()}


def mixed(x: np.ndarray, order: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return weight * x + (1.0 - weight) * x[order]


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.parametrize("kind", ["sparse", "column", "floats", "one-hot", "smoothed"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_that_of_soft_labels(name: str, kind: str, weighted: bool) -> None:
    order, weight, elements = drawn(MIXERS[name], X.shape)
    model = build()
    p = np.float64(model(mixed(X, order, elements).astype("float32")).numpy())
    smoothing = 0.1 if kind == "smoothed" else 0.0
    targets = ONE_HOT * (1.0 - smoothing) + smoothing / 4
    own = RANDOM.uniform(0.1, 2.0, 24) if weighted else np.ones(24)
    per_label = np.stack([-(targets * np.log(p)).sum(1), -(targets[order] * np.log(p)).sum(1)])
    expected = np.mean(own * weight * per_label[0] + own[order] * (1 - weight) * per_label[1])
    y: Any = {"column": LABELS[:, None], "floats": LABELS.astype("float32")}.get(kind, LABELS)
    loss: Any = "sparse_categorical_crossentropy"
    if kind in ("one-hot", "smoothed"):
        y, loss = ONE_HOT, losses.CategoricalCrossentropy(label_smoothing=smoothing)
    logs = one_step(
        model, X, y, MIXERS[name], loss, metrics=["accuracy"], sample_weight=own if weighted else None
    )
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    heavier = np.where(weight >= 0.5, LABELS, LABELS[order])
    assert logs["accuracy"] == pytest.approx(np.mean(p.argmax(1) == heavier))


def test_weights_of_classes_are_those_of_each_label() -> None:
    table = {0: 0.5, 2: 3.0}
    weights = np.array([table.get(int(label), 1.0) for label in LABELS])
    results = [
        one_step(build(), X, LABELS, MIXERS["mixup"], "sparse_categorical_crossentropy", **given)
        for given in ({"class_weight": table}, {"sample_weight": weights})
    ]
    assert results[0] == results[1]


def test_a_weighted_mean_divides_by_the_weights_of_both_labels() -> None:
    order, weight, elements = drawn(MIXERS["mixup"], X.shape)
    model = build()
    p = np.float64(model(mixed(X, order, elements).astype("float32")).numpy())
    own = RANDOM.uniform(0.1, 2.0, 24)
    rows = np.arange(24)
    first, second = own * weight, own[order] * (1 - weight)
    values = -first * np.log(p[rows, LABELS]) - second * np.log(p[rows, LABELS[order]])
    loss = losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight")
    logs = one_step(
        model, X, LABELS, MIXERS["mixup"], loss, sample_weight=own, weighted=["sparse_categorical_accuracy"]
    )
    assert logs["loss"] == pytest.approx(values.sum() / (first + second).sum(), rel=1e-5)
    labels = np.where(weight >= 0.5, LABELS, LABELS[order])
    heavier = np.where(weight >= 0.5, own, own[order])
    right = (p.argmax(1) == labels) * heavier
    assert logs["sparse_categorical_accuracy"] == pytest.approx(right.sum() / heavier.sum(), rel=1e-5)


def test_shares_of_pixels_are_those_of_labels() -> None:
    _, weight, elements = drawn(MIXERS["cutmix"], X.shape)
    assert set(np.unique(elements)) == {0.0, 1.0}
    np.testing.assert_allclose(weight, elements.mean((1, 2, 3)), rtol=1e-6)
    assert 0.0 <= weight.min() < 0.5 < weight.max()


def test_a_square_error_differs_from_that_of_mixed_targets_by_no_gradient() -> None:
    order, weight, elements = drawn(MIXERS["mixup"], X.shape)
    y = RANDOM.normal(size=(24, 4)).astype("float32")
    model = build(activation=None)
    p = np.float64(model(mixed(X, order, elements).astype("float32")).numpy())
    logs = one_step(model, X, y, MIXERS["mixup"], "mse")
    w = weight[:, None]
    soft = w * y + (1 - w) * y[order]
    constant = w * (1 - w) * (y - y[order]) ** 2
    assert logs["loss"] == pytest.approx(np.mean((p - soft) ** 2 + constant), rel=1e-5)


# ---- maps of the images' size


def segmenter(classes: int = 3, data_format: str = "channels_last") -> Any:
    cnnrs.utils.set_random_seed(1)
    shape = (8, 8, 3) if data_format == "channels_last" else (3, 8, 8)
    conv = layers.Conv2D(classes, 3, padding="same", data_format=data_format)
    axis = -1 if data_format == "channels_last" else 1
    return cnnrs.Sequential([cnnrs.Input(shape), conv, layers.Softmax(axis)])


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.parametrize("kind", ["integers", "column", "one-hot", "ignored"])
def test_masks_are_mixed_as_the_images_are(name: str, kind: str) -> None:
    order, _, elements = drawn(MIXERS[name], X.shape)
    model = segmenter()
    p = np.float64(model(mixed(X, order, elements).astype("float32")).numpy())
    hot = np.eye(3)[MASKS]
    first, second = (-(targets * np.log(p)).sum(-1) for targets in (hot, hot[order]))
    w = np.broadcast_to(elements[..., 0], first.shape)
    y: Any = {"column": MASKS[..., None], "one-hot": hot.astype("float32")}.get(kind, MASKS)
    loss: Any = "categorical_crossentropy" if kind == "one-hot" else "sparse_categorical_crossentropy"
    if kind == "ignored":
        loss = losses.SparseCategoricalCrossentropy(ignore_class=2)
        seen, seen_second = MASKS != 2, MASKS[order] != 2
        counts = ((w > 0) & seen) | ((w < 1) & seen_second)
        expected = (w * first * seen + (1 - w) * second * seen_second)[counts].mean()
    else:
        expected = np.mean(w * first + (1 - w) * second)
    logs = one_step(model, X, y, MIXERS[name], loss, metrics=["accuracy"])
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    heavier = np.where(w >= 0.5, MASKS, MASKS[order])
    assert logs["accuracy"] == pytest.approx(np.mean(p.argmax(-1) == heavier), rel=1e-5)


@pytest.mark.parametrize("one_hot", [False, True])
def test_maps_with_channels_first(one_hot: bool) -> None:
    def cut() -> Any:
        return layers.CutMix(seed=4, data_format="channels_first")

    x = np.moveaxis(X, -1, 1).copy()
    order, _, elements = drawn(cut, x.shape)
    y = np.moveaxis(np.eye(3, dtype="float32")[MASKS], -1, 1).copy() if one_hot else MASKS
    model = segmenter(data_format="channels_first")
    p = np.float64(model(mixed(x, order, elements).astype("float32")).numpy())
    pasted = np.where(elements[:, 0] > 0.5, MASKS, MASKS[order])
    expected = -np.log(np.take_along_axis(p, pasted[:, None], 1)).mean()
    loss: Any = losses.CategoricalCrossentropy(axis=1) if one_hot else _of_first_axis
    assert one_step(model, x, y, cut, loss)["loss"] == pytest.approx(expected, rel=1e-5)


def _of_first_axis(y_true: Any, y_pred: Any) -> Any:
    return losses.sparse_categorical_crossentropy(y_true, ops.moveaxis(y_pred, 1, -1))


@pytest.mark.parametrize("name", MIXERS)
def test_a_loss_of_the_whole_batch_sees_soft_targets(name: str) -> None:
    order, _, elements = drawn(MIXERS[name], X.shape)
    model = segmenter()
    p = model(mixed(X, order, elements).astype("float32"))
    hot = np.eye(3, dtype="float32")[MASKS]
    expected = float(losses.Dice()(mixed(hot, order, elements), p))
    for y in (hot, hot > 0.5, hot.astype("int32")):
        logs = one_step(model, X, y, MIXERS[name], losses.Dice())
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def _of_image(y_true: Any, y_pred: Any) -> Any:
    """One value an image, of labels."""
    return ops.mean(losses.sparse_categorical_crossentropy(y_true, y_pred), axis=(1, 2))


_OVERLAPS = {
    "dice": losses.Dice(axis=(1, 2)),
    "tversky": losses.Tversky(axis=(1, 2)),
    "jaccard": losses.Jaccard(axis=(1, 2)),
    "focal": losses.FocalTversky(axis=(1, 2)),
    "by image": losses.Dice(axis=(1, 2, 3)),
    "labels": losses.LossFunctionWrapper(_of_image, name="of_image"),
}


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.parametrize("kind", _OVERLAPS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_of_images_takes_masks(name: str, kind: str, weighted: bool) -> None:
    """By the weights of images with MixUp; of the masks put together with CutMix."""
    loss = _OVERLAPS[kind]
    order, weight, elements = drawn(MIXERS[name], X.shape)
    model = segmenter()
    p = model(mixed(X, order, elements).astype("float32"))
    y: Any = MASKS if kind == "labels" else np.eye(3, dtype="float32")[MASKS]
    own = RANDOM.uniform(0.1, 2.0, 24) if weighted else np.ones(24)

    def values(of: Any) -> np.ndarray:
        return np.float64(loss.call(ops.convert_to_tensor(of), p).numpy()).reshape(24, -1)

    first, second = (own * weight)[:, None], (own[order] * (1 - weight))[:, None]
    if name == "mixup":
        expected = first * values(y) + second * values(y[order])
    else:
        stays = elements[..., 0] if kind == "labels" else elements
        expected = (first + second) * values(np.where(stays > 0.5, y, y[order]))
    logs = one_step(model, X, y, MIXERS[name], loss, sample_weight=own if weighted else None)
    assert logs["loss"] == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("kind", ["dice", "labels"])
def test_of_both_layers_a_loss_of_images_takes_the_mixture_of_masks_or_their_weights(kind: str) -> None:
    def both() -> Any:
        return [layers.MixUp(0.8, seed=3), layers.CutMix(seed=4)]

    mixing = BatchMixing.of(both(), "model")
    assert mixing is not None
    order, weight, elements = (np.asarray(part.numpy()) for part in mixing._draw(X.shape))
    model = segmenter()
    p = model(mixed(X, order, elements).astype("float32"))
    loss, y = _OVERLAPS[kind], MASKS
    if kind == "dice":
        y = np.eye(3, dtype="float32")[MASKS]
        expected = loss(mixed(y, order, elements[..., :1]), p)
    else:
        first, second = (np.asarray(_of_image(y, p).numpy()) for y in (MASKS, MASKS[order]))
        expected = np.mean(weight * first + (1 - weight) * second)
    assert one_step(model, X, y, both, loss)["loss"] == pytest.approx(float(expected), rel=1e-5)


def test_a_loss_with_a_call_of_its_own_sees_soft_targets() -> None:
    class Whole(losses.Loss):
        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return ops.mean(ops.square(y_true - y_pred))

    order, weight, elements = drawn(MIXERS["mixup"], X.shape)
    model = build()
    p = np.float64(model(mixed(X, order, elements).astype("float32")).numpy())
    soft = mixed(ONE_HOT, order, weight[:, None])
    logs = one_step(model, X, ONE_HOT, MIXERS["mixup"], Whole())
    assert logs["loss"] == pytest.approx(np.mean((soft - p) ** 2), rel=1e-5)


# ---- one of several


def test_of_several_layers_one_is_drawn_for_each_batch() -> None:
    mixing = BatchMixing.of([layers.MixUp(0.8, seed=3), layers.CutMix(seed=4)], "model")
    assert mixing is not None
    values = set(X.ravel().tolist())
    pasted = []
    for _ in range(40):
        batch = mixing(ops.convert_to_tensor(X), ops.convert_to_tensor(LABELS), None)
        pasted.append(values.issuperset(batch.x.numpy().ravel().tolist()))
        weight = batch.y.weight.numpy()
        shares = weight * 64
        assert bool(np.allclose(shares, shares.round(), atol=1e-4)) == pasted[-1]
    assert 10 < sum(pasted) < 30


# ---- through fit


def batches() -> Any:
    for first in range(0, 24, 8):
        yield X[first : first + 8], LABELS[first : first + 8]


class Batches(cnnrs.utils.PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return list(batches())[index]


DATA: dict[str, Any] = {
    "arrays": lambda: {"x": X, "y": LABELS, "batch_size": 8},
    "dataset": lambda: {"x": cnnrs.data.Dataset.from_tensor_slices((X, LABELS)).batch(8)},
    "pydataset": lambda: {"x": Batches()},
    "generator": lambda: {"x": batches()},
    "eagerly": lambda: {"x": X, "y": LABELS, "batch_size": 8},
    "groups": lambda: {"x": X, "y": LABELS, "batch_size": 8},
}


@pytest.mark.parametrize("several", [False, True])
def test_all_kinds_of_data_give_the_same_bits(several: bool) -> None:
    found = {}
    for kind, data in DATA.items():
        model = build(dropout=0.3)
        options = {"run_eagerly": kind == "eagerly", "steps_per_execution": 2 if kind == "groups" else 1}
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
        mixers = [mixer() for mixer in MIXERS.values()] if several else MIXERS["mixup"]()
        model.fit(**data(), shuffle=False, verbose=0, batch_augmentation=mixers)
        found[kind] = model.get_weights()
    for kind, weights in found.items():
        for a, b in zip(weights, found["arrays"], strict=True):
            if kind == "eagerly":
                np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)
            else:
                np.testing.assert_array_equal(a, b, err_msg=kind)


def test_validation_and_later_training_see_samples_as_they_are() -> None:
    model = build()
    model.compile(cnnrs.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    plain = model.evaluate(X, LABELS, verbose=0, return_dict=True)
    arguments: dict[str, Any] = {"validation_data": (X, LABELS), "verbose": 0, "batch_size": 24}
    history = model.fit(X, LABELS, batch_augmentation=layers.MixUp(1.0), **arguments).history
    assert history["val_loss"][0] == pytest.approx(plain["loss"], rel=1e-6)
    assert history["loss"][0] != pytest.approx(plain["loss"], rel=1e-3)
    assert model.fit(X, LABELS, **arguments).history["loss"][0] == pytest.approx(plain["loss"], rel=1e-6)
    assert model.train_on_batch(X, LABELS)[0] == pytest.approx(plain["loss"], rel=1e-6)


def test_an_interrupted_fit_does_not_mix_later_batches() -> None:
    class Stop(cnnrs.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    model = build()
    model.compile(cnnrs.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS, verbose=0, callbacks=[Stop()], batch_augmentation=layers.MixUp(1.0))
    assert model.train_on_batch(X, LABELS) == pytest.approx(model.evaluate(X, LABELS, verbose=0), rel=1e-6)


def test_each_epoch_and_each_run_of_a_layer_draws_anew() -> None:
    model = build()
    model.compile(cnnrs.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    mixer = layers.MixUp(1.0, seed=1)
    arguments: dict[str, Any] = {"batch_size": 24, "verbose": 0, "shuffle": False, "epochs": 2}
    found = [model.fit(X, LABELS, batch_augmentation=mixer, **arguments).history["loss"] for _ in range(2)]
    assert len({round(value, 6) for values in found for value in values}) == 4
    # Steps are recorded once, though fit was called twice.
    assert len(list(model._recorded.values())) == 1


def test_vectors_and_autoencoders() -> None:
    x = RANDOM.normal(size=(24, 5)).astype("float32")
    order, weight, elements = drawn(MIXERS["mixup"], x.shape)
    assert elements.shape == (24, 1)
    cnnrs.utils.set_random_seed(0)
    model = cnnrs.Sequential([cnnrs.Input((5,)), layers.Dense(5)])
    p = np.float64(model(mixed(x, order, elements).astype("float32")).numpy())
    w = weight[:, None]
    expected = np.mean(w * abs(p - x) + (1 - w) * abs(p - x[order]))
    assert one_step(model, x, x, MIXERS["mixup"], "mae")["loss"] == pytest.approx(expected, rel=1e-5)


def test_several_outputs_with_weights_of_their_own() -> None:
    order, weight, elements = drawn(MIXERS["cutmix"], X.shape)
    cnnrs.utils.set_random_seed(0)
    images = cnnrs.Input((8, 8, 3))
    maps = layers.Conv2D(3, 3, padding="same", activation="softmax", name="maps")(images)
    label = layers.Dense(4, activation="softmax", name="label")(layers.Flatten()(maps))
    model = cnnrs.Model(images, {"maps": maps, "label": label})
    p = model(mixed(X, order, elements).astype("float32"))
    own = {"maps": RANDOM.uniform(size=(24, 8, 8)), "label": RANDOM.uniform(size=24)}
    rows, pixels = np.arange(24), elements[..., 0]
    of_label = np.log(np.float64(p["label"].numpy()))
    label_loss = -own["label"] * weight * of_label[rows, LABELS]
    label_loss -= own["label"][order] * (1 - weight) * of_label[rows, LABELS[order]]
    pasted = np.where(pixels > 0.5, MASKS, MASKS[order])
    of_maps = np.take_along_axis(np.log(np.float64(p["maps"].numpy())), pasted[..., None], -1)[..., 0]
    map_loss = -np.where(pixels > 0.5, own["maps"], own["maps"][order]) * of_maps
    loss = {"maps": "sparse_categorical_crossentropy", "label": "sparse_categorical_crossentropy"}
    logs = one_step(model, X, {"maps": MASKS, "label": LABELS}, MIXERS["cutmix"], loss, sample_weight=own)
    assert logs["label_loss"] == pytest.approx(label_loss.mean(), rel=1e-5)
    assert logs["maps_loss"] == pytest.approx(map_loss.mean(), rel=1e-5)


def test_a_second_pass_sees_the_same_mixture() -> None:
    """SAM at a radius of next to nothing is its inner optimizer, which it is not if the passes differ."""
    found = []
    for optimizer in (cnnrs.optimizers.SGD(0.1), cnnrs.optimizers.SAM(cnnrs.optimizers.SGD(0.1), rho=1e-8)):
        model = build()
        model.compile(optimizer, "sparse_categorical_crossentropy")
        model.fit(X, LABELS, batch_size=8, verbose=0, batch_augmentation=MIXERS["cutmix"]())
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_half_precision() -> None:
    cnnrs.utils.set_random_seed(1)
    half = cnnrs.Sequential(
        [
            cnnrs.Input((8, 8, 3)),
            layers.Flatten(dtype="mixed_float16"),
            layers.Dense(4, dtype="mixed_float16"),
            layers.Softmax(dtype="float32"),
        ]
    )
    order, weight, elements = drawn(MIXERS["mixup"], X.shape)
    p = np.float64(half(mixed(X, order, elements).astype("float32")).numpy())
    rows = np.arange(24)
    values = weight * np.log(p[rows, LABELS]) + (1 - weight) * np.log(p[rows, LABELS[order]])
    logs = one_step(half, X, LABELS, MIXERS["mixup"], "sparse_categorical_crossentropy")
    assert logs["loss"] == pytest.approx(-values.mean(), rel=2e-3)


# ---- steps of the user's own


class OwnLoss(cnnrs.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(4, activation="softmax")

    def call(self, x: Any) -> Any:
        return self.dense(ops.reshape(x, (x.shape[0], -1)))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Any:
        return ops.mean(losses.categorical_crossentropy(y, y_pred))


class OwnStep(OwnLoss):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


@pytest.mark.parametrize("made", [OwnLoss, OwnStep])
def test_code_of_the_user_gets_soft_labels(made: Any) -> None:
    order, weight, elements = drawn(MIXERS["mixup"], X.shape)
    cnnrs.utils.set_random_seed(1)
    model = made()
    p = np.float64(model(mixed(X, order, elements).astype("float32")).numpy())
    soft = mixed(ONE_HOT, order, weight[:, None])
    logs = one_step(model, X, ONE_HOT, MIXERS["mixup"], None, metrics=["accuracy"])
    assert logs["loss"] == pytest.approx(-(soft * np.log(p)).sum(1).mean(), rel=1e-5)
    assert logs["accuracy"] == pytest.approx(np.mean(soft.argmax(1) == p.argmax(1)))
    method = "train_step" if made is OwnStep else "compute_loss"
    with pytest.raises(ValueError, match=f"expected one-hot targets of floats.* {method} of its own.*int64"):
        one_step(model, X, LABELS, MIXERS["mixup"], None)


def test_a_distiller_learns_from_mixed_samples() -> None:
    distiller = cnnrs.distillation.Distiller(
        build(activation=None), build(activation=None), cnnrs.distillation.LogitsDistillation()
    )
    distiller.compile("adam", losses.CategoricalCrossentropy(from_logits=True))
    found = distiller.fit(X, ONE_HOT, epochs=3, verbose=0, batch_augmentation=MIXERS["cutmix"]()).history
    assert np.isfinite(found["loss"]).all()


def test_boxes_are_not_mixed() -> None:
    model = cnnrs.detection.YOLOX((32, 32, 3), classes=1, size=(0.33, 0.125))
    model.compile("adam")
    y = {"boxes": np.zeros((2, 4, 4), "float32"), "classes": np.zeros((2, 4), "float32")}
    with pytest.raises(ValueError, match=r"one-hot targets.*compute_loss of its own.*\(2, 4, 4\)"):
        model.fit(np.zeros((2, 32, 32, 3)), y, verbose=0, batch_augmentation=layers.MixUp())


# ---- errors


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("mixup", TypeError, "batch_augmentation: expected layers.MixUp or layers.CutMix.* received 'mixup'"),
        (layers.RandomFlip(), TypeError, "RandomFlip.*belong into the model"),
        ([], ValueError, "received an empty list"),
        ([layers.MixUp(), None], TypeError, "received None"),
    ],
)
def test_what_does_not_mix_is_an_error(given: Any, error: Any, message: str) -> None:
    model = build()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(error, match=message):
        model.fit(X, LABELS, batch_augmentation=given)


def test_batches_that_cannot_be_mixed_are_errors() -> None:
    a, b = cnnrs.Input((5,)), cnnrs.Input((5,))
    two = cnnrs.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b])))
    two.compile("sgd", "mse")
    x = np.ones((4, 5))
    with pytest.raises(ValueError, match="one input, received 2 inputs"):
        two.fit([x, x], np.ones(4), batch_augmentation=layers.MixUp(), verbose=0)
    one = cnnrs.Sequential([cnnrs.Input((5,)), layers.Dense(1)])
    one.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"cut_mix.*: expected a batch of images, with 4 axes, .* \(4, 5\)"):
        one.fit(x, np.ones(4), batch_augmentation=layers.CutMix(), verbose=0)
    small = cnnrs.Sequential([cnnrs.Input((8, 8, 3)), layers.Conv2D(3, 3, activation="softmax")])
    small.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"maps of the size of the images .* received shape \(24, 6, 6\)"):
        small.fit(X, MASKS[:, :6, :6], batch_augmentation=layers.CutMix(), verbose=0)
    dice = segmenter()
    dice.compile("sgd", _of_all)
    with pytest.raises(ValueError, match="one number for a batch: expected one-hot targets"):
        dice.fit(X, MASKS, batch_augmentation=layers.MixUp(), verbose=0)


def _of_all(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(losses.sparse_categorical_crossentropy(y_true, y_pred))
