"""`tf.train.Checkpoint`: what it wrote comes back, into objects that are built later, too."""

from __future__ import annotations

import os

import numpy as np
import pytest

import cnnrs
import cnnrs.compat.tf as tf

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


class Net(cnnrs.Model):
    def __init__(self):
        super().__init__()
        self.first = cnnrs.layers.Dense(5)
        self.parts = [cnnrs.layers.Dense(3), cnnrs.layers.Dropout(0.5, seed=1), cnnrs.layers.Dense(2)]

    def call(self, x):
        x = self.first(x)
        for part in self.parts:
            x = part(x)
        return x


def sequential():
    kinds = [cnnrs.layers.Dense(3), cnnrs.layers.BatchNormalization(), cnnrs.layers.Dense(2)]
    return cnnrs.Sequential([cnnrs.Input((4,)), *kinds])


def step(model, optimizer):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(X, training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return float(loss)


def program(make):
    model, optimizer = make(), cnnrs.optimizers.Adam(1e-2)
    return model, optimizer, tf.train.Checkpoint(model=model, optimizer=optimizer, step=tf.Variable(0))


@pytest.mark.parametrize("make", [sequential, Net])
def test_training_goes_on_with_the_same_bits(make, tmp_path):
    model, optimizer, checkpoint = program(make)
    for _ in range(3):
        step(model, optimizer)
        checkpoint.step.assign_add(1)
    path = checkpoint.save(tmp_path / "ckpt")
    assert path == str(tmp_path / "ckpt-1") and os.path.exists(path + ".index")
    expected = [step(model, optimizer) for _ in range(3)]

    other, another_optimizer, again = program(make)
    status = again.restore(tf.train.latest_checkpoint(tmp_path)).assert_existing_objects_matched()
    with pytest.raises(AssertionError, match=r"not used, or not yet: .*optimizer"):
        status.assert_consumed()
    assert int(again.step) == 3 and int(again.save_counter) == 1
    assert [step(other, another_optimizer) for _ in range(3)] == expected
    status.assert_consumed()
    # A model that was built takes the values at once, and loses what it had learnt since.
    again.restore(path).assert_consumed()
    assert [step(other, another_optimizer) for _ in range(3)] == expected


def test_containers_modules_and_checkpoints_inside(tmp_path):
    class Scale(tf.Module):
        def __init__(self, value):
            super().__init__()
            self.inner = {"a": tf.Variable(value)}

    def made(value):
        parts = {"list": [tf.Variable(value), tf.Variable([value])], "module": Scale(value)}
        mean = cnnrs.metrics.Mean()
        mean.update_state([value])
        return mean, tf.train.Checkpoint(tf.Variable(value), mean=mean, inside=tf.train.Checkpoint(**parts))

    path = made(2.0)[1].write(tmp_path / "one")
    mean, checkpoint = made(5.0)
    checkpoint.read(path).assert_consumed()
    assert float(checkpoint.root) == float(mean.result()) == float(checkpoint.inside.list[1][0]) == 2.0
    assert float(checkpoint.inside.module.inner["a"]) == 2.0
    assert ("inside/list/1/value", [1]) in tf.train.list_variables(path)


def test_the_manager_keeps_a_few(tmp_path):
    count = tf.Variable(0)
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(count=count), tmp_path, 2, step_counter=count, checkpoint_interval=2
    )
    assert manager.latest_checkpoint is None and manager.restore_or_initialize() is None
    saved = []
    for _ in range(7):
        count.assign_add(1)
        saved.append(manager.save())
    assert [path is not None for path in saved] == [True, False] * 3 + [True]
    names = [os.path.basename(path) for path in manager.checkpoints]
    assert names == ["ckpt-3", "ckpt-4"]
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "ckpt-3.index", "ckpt-4.index"]
    # Another process finds them, and goes on counting.
    found = tf.train.Checkpoint(count=tf.Variable(0))
    later = tf.train.CheckpointManager(found, tmp_path, 2)
    assert later.checkpoints == manager.checkpoints
    assert later.restore_or_initialize() == saved[-1] and int(found.count) == 7
    assert os.path.basename(later.save()) == "ckpt-5"
    state = tf.train.get_checkpoint_state(tmp_path)
    assert state.model_checkpoint_path == later.latest_checkpoint
    assert state.all_model_checkpoint_paths == later.checkpoints


def test_bad_input(tmp_path):
    checkpoint = tf.train.Checkpoint(weight=tf.Variable([1.0, 2.0]))
    path = checkpoint.write(tmp_path / "one")
    with pytest.raises(AssertionError, match="nothing is stored for other"):
        tf.train.Checkpoint(other=tf.Variable(0.0)).read(path).assert_existing_objects_matched()
    with pytest.raises(AssertionError, match="not used, or not yet: weight"):
        tf.train.Checkpoint().read(path).assert_consumed()
    with pytest.raises(AssertionError, match="no checkpoint was restored"):
        checkpoint.restore(tf.train.latest_checkpoint(tmp_path)).assert_consumed()
    with pytest.raises(ValueError, match=r"one: weight: expected shape \(3,\), received \(2,\)"):
        tf.train.Checkpoint(weight=tf.Variable([0.0, 0.0, 0.0])).read(path)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        checkpoint.restore(tmp_path / "two")
    with pytest.raises(ValueError, match="number: expected a variable, layer, .* received int"):
        tf.train.Checkpoint(number=3)
    with pytest.raises(ValueError, match="checkpoint_interval: expected step_counter with it"):
        tf.train.CheckpointManager(checkpoint, tmp_path, 3, checkpoint_interval=2)
    with pytest.raises(ValueError, match="options: expected None"):
        checkpoint.write(path, options=1)
    (tmp_path / "theirs.index").write_bytes(b"\0\0\0\0table of TensorFlow")
    with pytest.raises(ValueError, match="expected a checkpoint of cnnrs, received one of TensorFlow"):
        checkpoint.read(tmp_path / "theirs")
    whole = (tmp_path / "one.index").read_bytes()
    (tmp_path / "half.index").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ValueError, OSError), match="half.index"):
        checkpoint.read(tmp_path / "half")
    np.testing.assert_array_equal(checkpoint.weight.numpy(), [1.0, 2.0])
