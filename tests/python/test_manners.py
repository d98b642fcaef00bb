"""What a user meets at the edges: data without end, hints, files of others, values that Python gives."""

import itertools
import subprocess
import sys
import warnings

import numpy as np
import pytest

import cnnrs as keras
from cnnrs import layers

X, Y = np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)


def small_model(**arguments):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse", **arguments)
    return model


class Counted(keras.utils.PyDataset):
    """Batches that know how many there are."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X * index, Y


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return X * index, Y


class EndlessByLength(Endless):
    num_batches = keras.utils.PyDataset.num_batches

    def __len__(self):
        return None


class Unmeasured:
    """As loaders of streams: iterable, and `len` is an error."""

    def __iter__(self):
        return itertools.repeat((X, Y))

    def __len__(self):
        raise TypeError("the data set is infinite")


def test_a_dataset_iterates_and_ends():
    assert [float(x[0, 0]) for x, _ in Counted()] == [0.0, 1.0, 2.0]
    assert len(list(Counted(workers=2))) == 3
    assert len(list(itertools.islice(Endless(), 5))) == 5


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", [Endless, EndlessByLength])
def test_a_dataset_without_end_works_with_steps(kind, workers):
    model = small_model()
    assert len(model.fit(kind(workers=workers), steps_per_epoch=3, epochs=2, verbose=0).history["loss"]) == 2
    assert np.isfinite(model.evaluate(kind(workers=workers), steps=2, verbose=0))
    assert model.predict(kind(workers=workers), steps=2, verbose=0).shape == (8, 2)
    history = model.fit(X, Y, validation_data=kind(workers=workers), validation_steps=2, verbose=0).history
    assert "val_loss" in history
    with pytest.raises(ValueError, match=f"{kind.__name__} says that it has no end.*steps_per_epoch"):
        model.fit(kind(workers=workers), verbose=0)
    with pytest.raises(ValueError, match="validation_data: .*no end.*validation_steps"):
        model.fit(X, Y, validation_data=kind(), verbose=0)
    for method in (model.evaluate, model.predict):
        with pytest.raises(ValueError, match="no end.*steps of evaluate"):
            method(kind(), verbose=0)


def test_an_iterable_whose_length_is_an_error_works_with_steps():
    model = small_model()
    assert len(model.fit(Unmeasured(), steps_per_epoch=2, epochs=2, verbose=0).history["loss"]) == 2


def test_a_dataset_without_a_length_says_what_to_define():
    class Silent(keras.utils.PyDataset):
        def __getitem__(self, index):
            return X, Y

    with pytest.raises(NotImplementedError, match=r"Silent.*__len__\(\) or num_batches"):
        small_model().fit(Silent(), steps_per_epoch=1, verbose=0)


def test_many_models_between_clear_session_make_no_warning():
    """A search over models asks one line for many plans of the same ops."""

    def predict_with(units):
        model = keras.Sequential([keras.Input((3,)), layers.Dense(units)])
        return model(X).numpy()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for units in range(3, 20):
            keras.utils.clear_session()
            predict_with(units)
        for _ in range(12):
            keras.utils.clear_session()
            predict_with(21)
    with pytest.warns(RuntimeWarning, match="plans have been compiled"):
        for units in range(30, 45):
            predict_with(units)


MISSPELT = [
    "keras.layerz",
    "keras.layers.Conv2d",
    "keras.ops.sofmax",
    "keras.optimizers.Addam",
    "keras.utils.to_categorial",
    "keras.callbacks.EarlyStoping",
    "keras.applications.MobileNetV",
    "keras.datasets.minst",
    "keras.layers.Dense(3, activatoin='relu')",
    "keras.layers.Dense(3, activation='rellu')",
    "keras.Sequential().fitt",
]


def test_a_misspelt_name_gets_one_hint():
    # The hook of uncaught errors is where Python adds a hint of its own.
    program = f"""
import sys
import cnnrs as keras
for line in {MISSPELT!r}:
    try:
        eval(line)
    except Exception as error:
        sys.excepthook(type(error), error.with_traceback(None), None)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = [line for line in run.stderr.splitlines() if "Error: " in line]
    assert len(lines) == len(MISSPELT)
    for line, text in zip(lines, MISSPELT, strict=True):
        assert line.lower().count("did you mean") == 1, f"{text}: {line}"


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "m.onnx", "m.pt"])
def test_files_of_others_get_an_answer_about_themselves(tmp_path, name):
    path = str(tmp_path / name)
    with open(path, "wb") as file:
        file.write(b"PK\x03\x04 and so on" * 100)
    model = small_model()
    foreign = name in ("m.onnx", "m.pt")
    own = "no sound zip archive" if name == "m.keras" else "begins as a .keras archive"
    for read in (keras.models.load_model, model.load_weights):
        answer = r"is an? [\w ]+ by its name; this version reads \.keras" if foreign else own
        with pytest.raises(ValueError, match=rf"{name}'.*{answer}"):
            read(path)
    if foreign:
        for write in (model.save, model.save_weights):
            with pytest.raises(ValueError, match=r"received .*; an? [\w ]+ is not written by this version"):
                write(path)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "m.onnx", "m.pt"])
def test_a_file_that_is_missing_is_said_to_be_missing(tmp_path, name):
    path = str(tmp_path / name)
    for read in (keras.models.load_model, small_model().load_weights):
        with pytest.raises(FileNotFoundError, match=f"No such file or directory: '.*{name}'"):
            read(path)


def test_reading_weights_by_order_under_other_names_warns(tmp_path):
    path = tmp_path / "m.weights.safetensors"

    def model(*names):
        return keras.Sequential([keras.Input((3,)), *(layers.Dense(3, name=name) for name in names)])

    model("first", "head").save_weights(path)
    other = model("first", "tail")
    with pytest.warns(UserWarning, match="'tail/kernel' takes 'head/kernel'"):
        other.load_weights(path)
    automatic = keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.Dense(3)])
    automatic.save_weights(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.Dense(3)]).load_weights(path)


@pytest.mark.parametrize("arguments", [{}, {"run_eagerly": True}], ids=str)
def test_a_callable_learning_rate_is_asked_at_each_step(arguments):
    rates = iter([1.0, 0.5, 0.25, 0.125, 4.0])
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(lambda: next(rates)), "mae", **arguments)
    model.fit(np.ones((4, 1)), np.full((4, 1), 100.0), batch_size=1, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], [[1.875]])
    assert float(model.optimizer.learning_rate) == 4.0
    model.optimizer.learning_rate = lambda: 2.0
    model.train_on_batch(np.ones((1, 1)), np.full((1, 1), 100.0))
    np.testing.assert_allclose(model.get_weights()[0], [[3.875]])


def test_a_policy_that_is_set_later_counts():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense")])
    recorded = keras.function(lambda x: model(x))
    assert model.predict(X, verbose=0).dtype == np.float32 and recorded(X).dtype == "float32"
    model.get_layer("dense").dtype_policy = "mixed_float16"
    assert model.predict(X, verbose=0).dtype == np.float16 and recorded(X).dtype == "float16"
    model.get_layer("dense").dtype_policy = "float32"
    assert model.predict(X, verbose=0).dtype == np.float32 and recorded(X).dtype == "float32"


class Mode(layers.Layer):
    """Notes in which mode it is called."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, x, training=None):
        self.seen.append(training)
        return x * 1.0


class Calling(keras.Model):
    def __init__(self, mode, training):
        super().__init__()
        self.mode, self.training, self.head = mode, training, layers.Dense(2)

    def call(self, x):
        return self.head(self.mode(x, training=self.training))


@pytest.mark.parametrize("eagerly", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["functional", "nested", "subclassed"])
def test_a_training_argument_that_is_given_holds_in_fit_and_predict(kind, training, eagerly):
    mode = Mode()
    inputs = keras.Input((3,))
    if kind == "subclassed":
        model = Calling(mode, training)
    elif kind == "functional":
        model = keras.Model(inputs, layers.Dense(2)(mode(inputs, training=training)))
    else:
        inner = keras.Model(inputs, mode(inputs))
        outer = keras.Input((3,))
        model = keras.Model(outer, layers.Dense(2)(inner(outer, training=training)))
    model.compile("sgd", "mse", run_eagerly=eagerly)
    mode.seen.clear()
    model.fit(X, Y, verbose=0)
    model.predict(X, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model(X)
    model(X, training=not training)
    assert set(mode.seen) == {training}


def test_normalisation_that_is_frozen_by_its_argument_keeps_its_statistics():
    inputs = keras.Input((3,))
    norm = layers.BatchNormalization()
    model = keras.Model(inputs, layers.Dense(2)(norm(inputs, training=False)))
    model.compile("sgd", "mse")
    model.fit(X * 5, Y, verbose=0)
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(3))


@pytest.mark.parametrize("verbose", [1, 2])
def test_batches_whose_number_nobody_knew_are_counted(verbose, capsys):
    def batches():
        for _ in range(3):
            yield np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)

    data = keras.data.Dataset.from_generator(batches, output_types=("float32", "float32"))
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(data, epochs=2, verbose=verbose)
    model.evaluate(data, verbose=verbose)
    lines = [line.split("\r")[-1] for line in capsys.readouterr().out.split("\n")]
    assert [line.split(" ")[0] for line in lines if "/step" in line] == ["3/3"] * 3


def test_pictures_of_a_tensor_one_by_one_make_no_warning():
    """What is compiled for `images[i]` takes next to no time, and who draws ten of them is told nothing."""
    images = keras.ops.convert_to_tensor(np.random.default_rng(0).random((40, 4, 4, 1), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i in range(20):
            images[i].numpy()
        for i in range(20):
            np.asarray(keras.ops.squeeze(images[20 + i]))
    with pytest.warns(RuntimeWarning, match="plans have been compiled"):
        for i in range(20):
            (images[: i + 3] * 2.0).numpy()
