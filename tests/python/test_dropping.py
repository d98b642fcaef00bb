"""DropBlock, stochastic depth and ShakeDrop against the formulas of their papers."""

from __future__ import annotations

import numpy as np
import pytest
from layer_checks import host

import cnnrs
from cnnrs import layers, ops
from cnnrs.optimizers import schedules


def blocks_of(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The places of a map (height, width) that some block of dropped places covers."""
    covered = np.zeros_like(mask)
    for row in range(mask.shape[0] - size[0] + 1):
        for column in range(mask.shape[1] - size[1] + 1):
            window = np.s_[row : row + size[0], column : column + size[1]]
            if (mask[window] == 0).all():
                covered[window] = 1
    return covered


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 4)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_drop_block_drops_whole_blocks_and_keeps_the_mean(size, data_format):
    layer = layers.DropBlock2D(0.2, size, seed=3, data_format=data_format)
    maps = host(layer(np.ones((6, 9, 9, 9)), training=True))
    assert maps.mean() == pytest.approx(1.0, abs=1e-5)
    assert len(np.unique(maps)) == 2
    # The constant is the count of places by the count of those that were kept.
    assert maps.max() == pytest.approx(maps.size / (maps != 0).sum(), rel=1e-6)
    if data_format == "channels_last":
        maps = maps.transpose(0, 3, 1, 2)
    for each in maps.reshape(-1, 9, 9):
        np.testing.assert_array_equal(blocks_of(each, size), each == 0)


def test_drop_block_places_corners_with_the_probability_of_the_paper():
    rate, block, side = 0.3, 3, 10
    gamma = rate / block**2 * side**2 / (side - block + 1) ** 2
    y = host(layers.DropBlock2D(rate, block, seed=5)(np.ones((64, side, side, 32)), training=True))
    # The corner place is covered by one block alone, places in the middle by block² of them.
    assert (y[:, 0, 0] == 0).mean() == pytest.approx(gamma, abs=0.015)
    middle = 1 - (1 - gamma) ** (block**2)
    assert (y[:, 4:6, 4:6] == 0).mean() == pytest.approx(middle, abs=0.015)


def test_drop_block_of_size_1_is_dropout_and_of_the_size_of_the_map_drops_maps():
    x = np.ones((50, 6, 6, 20))
    y = host(layers.DropBlock2D(0.3, 1, seed=1)(x, training=True))
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    y = host(layers.DropBlock2D(0.3, 6, seed=1)(x, training=True))
    assert (y == y[:, :1, :1]).all()
    # γ = rate / 6² · 6² / 1²: a map has one place for a corner.
    assert (y[:, 0, 0] == 0).mean() == pytest.approx(0.3, abs=0.05)


def test_shared_blocks_are_those_of_all_channels():
    y = host(layers.DropBlock2D(0.3, 3, shared=True, seed=1)(np.ones((4, 9, 9, 5)), training=True))
    assert (y == y[..., :1]).all() and (y == 0).any()
    y = host(layers.DropBlock2D(0.3, 3, seed=1)(np.ones((4, 9, 9, 5)), training=True))
    assert (y != y[..., :1]).any()


def test_a_block_larger_than_the_map_is_refused():
    with pytest.raises(
        ValueError, match="small: block_size: expected at most the width of the feature map, 5, received 7"
    ):
        layers.DropBlock2D(0.1, name="small")(np.ones((1, 7, 5, 2)))
    with pytest.raises(ValueError, match="block_size: expected at most the height of the feature map, 5"):
        layers.DropBlock2D(0.1)(cnnrs.Input((5, 8, 3)))
    unknown = layers.DropBlock2D(0.1)(cnnrs.Input((None, None, 3)))
    assert unknown.shape == (None, None, None, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 1.0}, "rate: expected a finite number >= 0 and < 1, received 1.0"),
        ({"rate": "0.1"}, "rate: expected a finite number"),
        ({"rate": 0.1, "block_size": 0}, "block_size: expected an integer or a sequence of integers >= 1"),
        ({"rate": 0.1, "block_size": (1, 2, 3)}, "block_size: expected an integer or a pair"),
        ({"rate": 0.1, "ramp_steps": 0}, "ramp_steps: expected an integer >= 1, received 0"),
        ({"rate": schedules.CosineDecay(0.1, 5), "ramp_steps": 3}, "ramp_steps: expected None beside"),
        ({"rate": 0.1, "shared": "yes"}, "shared: expected True or False"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.DropBlock2D(**arguments)
    with pytest.raises(ValueError, match="alpha: expected a pair"):
        layers.ShakeDrop(0.5, alpha=(1.0, -1.0))


def test_the_rate_rises_with_the_steps_of_fit_and_stays_in_files(tmp_path):
    drop = layers.DropBlock2D(0.5, 2, ramp_steps=10, seed=1)
    model = cnnrs.Sequential([cnnrs.Input((6, 6, 2)), drop, layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((20, 6, 6, 2), np.float32), np.zeros((20, 1), np.float32)
    model.fit(x, y, batch_size=4, verbose=0)
    model.evaluate(x, y, verbose=0)
    assert int(drop.step) == 5
    assert float(drop._rate_now()) == pytest.approx(0.25)
    model.save(tmp_path / "m.keras")
    again = cnnrs.models.load_model(tmp_path / "m.keras")
    assert int(again.layers[0].step) == 5 and again.layers[0].ramp_steps == 10
    again.fit(x, y, batch_size=4, epochs=2, verbose=0)
    assert float(again.layers[0]._rate_now()) == pytest.approx(0.5)


def test_the_rate_may_be_a_schedule_of_optimizers():
    rate = schedules.PiecewiseConstantDecay([1], [0.0, 1.0])
    layer = layers.StochasticDepth(rate, seed=1)
    outputs = [host(layer(np.ones((40, 1)), training=True)).sum() for _ in range(3)]
    assert outputs == [40.0, 40.0, 0.0]
    again = layers.StochasticDepth.from_config(layer.get_config())
    assert again.rate.get_config() == rate.get_config()


def test_stochastic_depth_draws_for_each_sample_or_for_the_batch():
    x = np.ones((2000, 2, 3))
    y = host(layers.StochasticDepth(0.2, seed=1)(x, training=True))
    assert (y == y[:, :1, :1]).all() and set(np.unique(y)) == {np.float32(0), np.float32(1.25)}
    assert (y == 0).mean() == pytest.approx(0.2, abs=0.03)
    layer = layers.StochasticDepth(0.5, per_sample=False, seed=1)
    means = [host(layer(x[:4], training=True)).mean() for _ in range(20)]
    assert set(means) == {0.0, 2.0}
    for rate, factor in ((0.0, 1.0), (1.0, 0.0)):
        assert (host(layers.StochasticDepth(rate)(x, training=True)) == factor).all()


def test_the_network_with_drop_paths_shares_the_mechanism():
    from cnnrs.applications.convnext import StochasticDepth

    y = host(StochasticDepth(0.5)(np.ones((200, 2)), training=True))
    assert set(np.unique(y)) == {0.0, 2.0}


def gradient_of(layer, x):
    x = ops.convert_to_tensor(x)
    with cnnrs.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        total = ops.sum(y)
    return host(y), host(tape.gradient(total, x))


def test_shake_drop_has_other_factors_backward_than_forward():
    x = np.ones((4000, 1, 2), np.float32)
    y, slope = gradient_of(layers.ShakeDrop(0.4, alpha=(-1, 1), beta=(0, 1), seed=2), x)
    assert (y == y[..., :1]).all() and (slope == slope[..., :1]).all()
    y, slope = y[:, 0, 0], slope[:, 0, 0]
    # Undisturbed samples are so in both directions.
    np.testing.assert_array_equal(y == 1, slope == 1)
    shaken = y != 1
    assert shaken.mean() == pytest.approx(0.4, abs=0.03)
    for values, low, high in ((y[shaken], -1, 1), (slope[shaken], 0, 1)):
        assert values.min() >= low and values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.05)
        assert values.std() == pytest.approx((high - low) / 12**0.5, abs=0.03)
    assert abs(np.corrcoef(y[shaken], slope[shaken])[0, 1]) < 0.1
    one, _ = gradient_of(layers.ShakeDrop(1.0, per_sample=False, seed=2), x)
    assert len(np.unique(one)) == 1


def test_shake_drop_computes_the_mean_in_inference():
    x = np.ones((1, 3), np.float32)
    assert host(layers.ShakeDrop(0.5)(x)).tolist() == [[0.5] * 3]
    assert host(layers.ShakeDrop(0.5, alpha=(0, 1))(x)).tolist() == [[0.75] * 3]
    layer = layers.ShakeDrop(0.5, alpha=(0, 1), seed=3)
    y = host(layer(np.ones((20000, 1)), training=True))
    assert y.mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("kind", [layers.DropBlock2D, layers.StochasticDepth, layers.ShakeDrop])
def test_equal_seeds_drop_alike_and_each_call_draws_anew(kind):
    x = np.ones((8, 7, 7, 4), np.float32)
    first, second = (kind(0.5, seed=4) for _ in range(2))
    a, b = host(first(x, training=True)), host(first(x, training=True))
    np.testing.assert_array_equal(a, host(second(x, training=True)))
    assert (a != b).any()


def test_training_in_16_bits_drops_too():
    layer = layers.DropBlock2D(0.3, 3, dtype="mixed_float16", seed=1)
    y = layer(np.ones((4, 12, 12, 8)), training=True)
    assert y.dtype == "float16"
    assert host(y).astype(np.float64).mean() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("per_sample", [True, False])
def test_a_dropped_branch_is_0_whatever_it_holds(per_sample):
    special = np.tile(np.array([np.inf, -np.inf, np.nan], "float32"), (40, 1))
    layer = layers.StochasticDepth(0.5, per_sample, seed=2)
    rows = np.concatenate([host(layer(special, training=True)) for _ in range(8)])
    dropped = (rows == 0).all(axis=1)
    assert 0 < dropped.sum() < len(rows)
    np.testing.assert_array_equal(rows[~dropped], np.resize(special, rows[~dropped].shape))
