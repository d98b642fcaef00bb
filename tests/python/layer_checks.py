"""The checks that every layer goes through: `run_layer_test` here, on a GPU in `test_layers_on_gpu.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import ops

__all__ = ["Case", "host", "run_layer_test", "sample"]

# A class, arguments of its constructor, shapes of inputs with the batch, shape of the output, shapes of
# weights, and further arguments of `run_layer_test`.
Case = tuple[type, dict[str, Any], Any, tuple[int, ...], list[tuple[int, ...]], dict[str, Any]]


def host(value: Any) -> np.ndarray:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def sample(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run_layer_test(
    kind: type,
    arguments: dict[str, Any],
    input_shapes: Any,
    output_shape: tuple[int, ...],
    weights: list[tuple[int, ...]] = (),
    frozen: int = 0,
    random: bool = False,
) -> Any:
    """Shapes, weights, config, files, symbolic and recorded calls, gradients, precision, training.

    Args:
        kind: The class.
        arguments: Of the constructor.
        input_shapes: With the batch; a list of them for layers of several inputs.
        output_shape: With the batch.
        weights: Shapes of all weights.
        frozen: How many of them are not trainable.
        random: Whether training mode draws random numbers.
    """
    # Whether a loss falls in a few steps depends on where the weights start.
    cnnrs.utils.set_random_seed(1)
    several = isinstance(input_shapes, list)
    shapes = input_shapes if several else [input_shapes]
    arrays = [sample(shape, i) for i, shape in enumerate(shapes)]
    given = arrays if several else arrays[0]

    layer = kind(**arguments)
    output = layer(given)
    assert output.shape == output_shape
    assert output.dtype == "float32"
    assert [tuple(w.shape) for w in layer.weights] == list(weights)
    assert len(layer.non_trainable_weights) == frozen
    assert layer.count_params() == sum(int(np.prod(s)) for s in weights)

    # The same config and weights compute the same.
    again = kind.from_config(layer.get_config())
    again.build_from_config(layer.get_build_config())
    again(given)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(host(again(given)), host(output))
    assert again.get_config() == layer.get_config()

    # Symbolic shapes agree, and the functional model computes the same.
    inputs = [cnnrs.Input(shape[1:]) for shape in shapes]
    symbolic = layer(inputs if several else inputs[0])
    assert symbolic.shape == (None, *output_shape[1:])
    assert layer.compute_output_shape(input_shapes) == output_shape
    model = cnnrs.Model(inputs, symbolic)
    np.testing.assert_array_equal(host(model(arrays)), host(output))

    # Recorded and replayed, the same bits.
    recorded = cnnrs.function(lambda *xs: layer(list(xs) if several else xs[0]))
    for _ in range(2):
        np.testing.assert_array_equal(host(recorded(*arrays)), host(output))
    assert recorded.traces == 1

    # Gradients reach every trainable weight and the input.
    x = [cnnrs.ops.convert_to_tensor(a) for a in arrays]
    with cnnrs.GradientTape() as tape:
        tape.watch(x)
        loss = ops.sum(ops.square(layer(x if several else x[0], training=not random)))
    gradients = tape.gradient(loss, [*layer.trainable_weights, *x])
    for source, gradient in zip([*layer.trainable_weights, *x], gradients, strict=True):
        assert gradient is not None
        assert gradient.shape == tuple(source.shape)
        assert np.isfinite(host(gradient)).all()

    check_gradients(layer, arrays, several)
    check_empty_batch(layer, arrays, output_shape, several)
    check_files(model, arrays, kind)
    check_mixed_precision(layer, arrays, several)
    with pytest.raises((TypeError, ValueError), match="no_such_argument"):
        kind(**arguments, no_such_argument=1)

    # Training lowers a loss, when there is something to train.
    if layer.trainable_weights:
        target = sample(output_shape, 9) * 0.1
        model.compile(cnnrs.optimizers.SGD(0.01), "mse")
        losses = model.fit(
            arrays, target, epochs=4, batch_size=shapes[0][0], verbose=0, shuffle=False
        ).history["loss"]
        assert losses[-1] < losses[0]
    return layer


def check_empty_batch(
    layer: Any, arrays: list[np.ndarray], output_shape: tuple[int, ...], several: bool
) -> None:
    """A batch without samples passes, with gradients that are 0, and changes no weight."""
    before = layer.get_weights()
    empty = [a[:0] for a in arrays]
    x = [ops.convert_to_tensor(a) for a in empty]
    for training in (False, True):
        with cnnrs.GradientTape() as tape:
            tape.watch(x)
            output = layer(x if several else x[0], training=training)
            loss = ops.sum(ops.square(output))
            for penalty in layer.losses:
                loss = loss + penalty
        assert output.shape == (0, *output_shape[1:])
        assert float(loss) == 0.0
        gradients = tape.gradient(loss, [*layer.trainable_weights, *x])
        for source, gradient in zip([*layer.trainable_weights, *x], gradients, strict=True):
            assert gradient.shape == tuple(source.shape) and not host(gradient).any()
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def check_gradients(layer: Any, arrays: list[np.ndarray], several: bool, step: float = 5e-4) -> None:
    """Gradients along random directions are what the outputs change by.

    Outputs are subtracted before they are added up, in float64. A kink between two points changes their
    difference: the median of a few directions leaves that out.
    """
    rng = np.random.default_rng(5)
    sources = layer.trainable_weights
    before = [host(w.value) for w in sources]
    # Where all weights of a kind start alike, gradients may cancel: look beside the start.
    before = [w + 0.1 * rng.normal(size=w.shape).astype(np.float32) for w in before]

    def output(values: list[np.ndarray], inputs: list[np.ndarray]) -> Any:
        for weight, value in zip(sources, values, strict=True):
            weight.assign(value.astype(np.float32))
        tensors = [ops.convert_to_tensor(a.astype(np.float32)) for a in inputs]
        with cnnrs.GradientTape() as tape:
            tape.watch(tensors)
            y = layer(tensors if several else tensors[0], training=False)
            loss = ops.sum(y * towards) if towards is not None else None
        return y, (tape.gradient(loss, [*sources, *tensors]) if loss is not None else None)

    kept = [host(w.value) for w in sources]
    towards = None
    y, _ = output(before, arrays)
    towards = rng.normal(size=tuple(y.shape)).astype(np.float32)
    _, gradients = output(before, arrays)
    points = [*before, *arrays]
    for number, gradient in enumerate(gradients):
        slope = host(gradient).astype(np.float64)
        errors, noise = [], 0.0
        for _ in range(3):
            direction = rng.normal(size=slope.shape)
            moved = []
            for sign in (1, -1):
                at = list(points)
                at[number] = at[number] + sign * step * direction
                moved.append(host(output(at[: len(before)], at[len(before) :])[0]).astype(np.float64))
            change = float(np.sum((moved[0] - moved[1]) * towards)) / (2 * step)
            errors.append(abs(float(np.sum(slope * direction)) - change))
            noise = max(noise, 1e-6 * float(np.linalg.norm(moved[0] * towards)) / step)
        bound = 0.05 * float(np.linalg.norm(slope)) + noise + 1e-4
        assert float(np.median(errors)) <= bound, (number, errors, bound)
    for weight, value in zip(sources, kept, strict=True):
        weight.assign(value)


def check_files(model: Any, arrays: list[np.ndarray], kind: type) -> None:
    """A model of the layer that was written and read computes the same bits."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        again = cnnrs.models.load_model(path, custom_objects={kind.__name__: kind})
    np.testing.assert_array_equal(host(again(arrays)), host(model(arrays)))


def in_16_bits(config: Any) -> Any:
    """A layer's config, those of layers inside included, with another dtype."""
    if isinstance(config, dict):
        found = {key: in_16_bits(value) for key, value in config.items()}
        return {**found, "dtype": "mixed_float16"} if "dtype" in found and "name" in found else found
    return [in_16_bits(value) for value in config] if isinstance(config, list) else config


def check_mixed_precision(layer: Any, arrays: list[np.ndarray], several: bool) -> None:
    """In 16 bits the layer computes nearly the same, and its gradients are numbers."""
    mixed = type(layer).from_config(in_16_bits(layer.get_config()))
    x = [ops.convert_to_tensor(a) for a in arrays]
    mixed(x if several else x[0])
    mixed.set_weights(layer.get_weights())
    with cnnrs.GradientTape() as tape:
        tape.watch(x)
        output = mixed(x if several else x[0])
        loss = ops.sum(ops.square(ops.cast(output, "float32")))
    assert output.dtype == mixed.compute_dtype == "float16"
    expected = host(layer(arrays if several else arrays[0]))
    bound = 0.02 * max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(host(output).astype(np.float32), expected, rtol=0, atol=bound)
    for gradient in tape.gradient(loss, [*mixed.trainable_weights, *x]):
        assert gradient is not None and np.isfinite(host(gradient).astype(np.float32)).all()
