"""`cnnrs.data`: orders, threads, recorded functions, random draws, damaged files, and training."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnrs
from cnnrs import layers, ops, random, utils
from cnnrs.data import AUTOTUNE, INFINITE_CARDINALITY, Dataset, Options, StringTensor, TensorSpec

X = np.arange(40, dtype=np.float32).reshape(10, 4)
Y = np.arange(10) % 2


def numbers(data):
    return [int(x) for x in data]


# A step of a pipeline: on a data set, and on the list of its elements.
STEPS = st.sampled_from(
    [
        ("take", lambda d, n: d.take(n), lambda x, n: x[:n]),
        ("skip", lambda d, n: d.skip(n), lambda x, n: x[n:]),
        ("repeat", lambda d, n: d.repeat(n % 3), lambda x, n: x * (n % 3)),
        ("shard", lambda d, n: d.shard(n + 1, n // 2), lambda x, n: x[n // 2 :: n + 1]),
        ("map", lambda d, n: d.map(lambda x: x * 2 + n), lambda x, n: [v * 2 + n for v in x]),
        ("threads", lambda d, n: d.map(lambda x: x - n, n + 1), lambda x, n: [v - n for v in x]),
        ("prefetch", lambda d, n: d.prefetch(n), lambda x, n: x),
        ("cache", lambda d, n: d.cache(), lambda x, n: x),
        (
            "filter",
            lambda d, n: d.filter(lambda x: x % 3 != n % 3),
            lambda x, n: [v for v in x if v % 3 != n % 3],
        ),
        ("rebatch", lambda d, n: d.batch(n + 1).unbatch(), lambda x, n: x),
        ("windows", lambda d, n: d.window(n + 1).flat_map(lambda w: w), lambda x, n: x),
        ("join", lambda d, n: d.concatenate(d.take(n)), lambda x, n: x + x[:n]),
        (
            "zip",
            lambda d, n: Dataset.zip(d, d.skip(n)).map(lambda a, b: a),
            lambda x, n: x[: max(len(x) - n, 0)],
        ),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 12), st.lists(st.tuples(STEPS, st.integers(0, 4)), max_size=4), st.booleans())
def test_pipelines_give_what_lists_give(count, steps, shuffled):
    data, expected = Dataset.range(count), list(range(count))
    if shuffled:
        data = data.shuffle(count + 1, seed=count, reshuffle_each_iteration=False)
        expected = numbers(data)
        assert sorted(expected) == list(range(count))
    for (_, step, on_list), n in steps:
        data, expected = step(data, n), on_list(expected, n)
    assert numbers(data) == expected == numbers(data)
    cardinality = int(data.cardinality())
    assert cardinality in (-2, len(expected))
    if expected:
        assert data.element_spec == TensorSpec((), "int64")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**31), st.booleans())
def test_orders_of_a_seed_repeat_and_lose_nothing(count, size, seed, as_rows):
    def make():
        source = Dataset.range(count)
        source = source if as_rows else source.filter(lambda x: x >= 0)
        return source.shuffle(size, seed=seed).repeat(2).batch(3).unbatch()

    first, again = numbers(make()), numbers(make())
    assert first == again
    assert sorted(first[:count]) == sorted(first[count:]) == list(range(count))
    # An element comes at most `size - 1` places before its own.
    assert all(x <= place + size - 1 for place, x in enumerate(first[:count]))


def test_orders_of_rows_and_of_elements_are_the_same():
    rows = Dataset.range(50)
    elements = rows.map(lambda x: x)
    for size in (5, 50):
        assert numbers(rows.shuffle(size, seed=3)) == numbers(elements.shuffle(size, seed=3)) or size == 50
        assert numbers(rows.shuffle(size, seed=3)) != list(range(50))


def augmented(workers, read=False):
    layer = layers.RandomFlip(seed=5)

    def augment(x, y):
        if read:
            float(y)  # which nothing but Python can do
        x = layer(x) + random.normal(x.shape) * 0.1
        return x[: 2 + (0 * y).size] * random.uniform(()), y

    utils.set_random_seed(7)
    images = Dataset.from_tensor_slices(
        (np.random.default_rng(1).random((30, 4, 4, 3), np.float32), np.arange(30))
    )
    return images.shuffle(30).map(augment, num_parallel_calls=workers).batch(5).repeat(2)


def test_draws_depend_neither_on_threads_nor_on_recording():
    first = [x.numpy() for x, _ in augmented(None)]
    assert len(first) == 12
    for other in (augmented(None), augmented(3), augmented(2, read=True), augmented(AUTOTUNE).prefetch(2)):
        for a, (b, _) in zip(first, other, strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-6, atol=1e-6)
    # Another pass draws anew, and no element draws as another.
    assert not np.allclose(first[:6], first[6:])


@pytest.mark.parametrize("count", [63, 64, 80, 200])
def test_groups_of_elements_give_what_single_ones_give(count):
    x = np.random.default_rng(1).random((count, 4, 4, 3), np.float32)

    def augment(x, y):
        x = ops.where(random.uniform(()) < 0.5, ops.flip(x, 1), x) * random.uniform((), 0.5, 1.5)
        return {"x": x, "n": (y, ops.sum(x))}

    def make(workers, source):
        utils.set_random_seed(2)
        return cnnrs.tree.flatten([e for e in source.map(augment, workers).as_numpy_iterator()])

    rows = Dataset.from_tensor_slices((x, np.arange(count)))
    one_by_one = make(None, Dataset.of_function(lambda i: (x[i], np.int64(i)), count))
    for workers in (None, 2, 3):
        for a, b in zip(make(workers, rows), one_by_one, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_groups_may_hold_elements_of_other_shapes_and_errors():
    sizes = [2] * 70 + [3] * 20 + [2] * 40
    data = Dataset.of_function(lambda i: np.full(sizes[i], i, np.float32), len(sizes))
    found = [float(x) for x in data.map(lambda x: ops.sum(x), num_parallel_calls=2)]
    assert found == [n * i for i, n in enumerate(sizes)]

    def source():
        for i in range(100):
            if i == 90:
                raise ValueError("of the source")
            yield i

    numbers_ = Dataset.from_generator(source, output_signature=TensorSpec((), "int32"))
    seen = []
    with pytest.raises(ValueError, match="of the source"):
        for x in numbers_.map(lambda x: x + 1, num_parallel_calls=2):
            seen.append(int(x))
    assert seen == list(range(1, 91))


def test_draws_differ_between_elements_and_passes():
    utils.set_random_seed(1)
    data = Dataset.range(200).map(lambda x: random.uniform(()), num_parallel_calls=2)
    first, second = ([float(x) for x in data] for _ in range(2))
    assert len({*first, *second}) == 400
    assert 0.4 < np.mean(first) < 0.6


def test_looking_at_a_spec_changes_no_draw():
    def make():
        utils.set_random_seed(3)
        return Dataset.range(4).shuffle(4).map(lambda x: random.uniform((2,)) + float(x))

    looked_at, plain = make(), make()
    assert looked_at.element_spec == TensorSpec((2,), "float32")
    np.testing.assert_array_equal([x.numpy() for x in looked_at], [x.numpy() for x in plain])


def test_specs_of_functions_of_batches():
    data = Dataset.from_tensor_slices((X, Y)).batch(4)
    mapped = data.map(lambda x, y: (x[:, :2] * 2, ops.one_hot(y, 3), ops.sum(x)))
    batch, labels, total = mapped.element_spec
    assert batch == TensorSpec((None, 2), "float32") and labels == TensorSpec((None, 3), "float32")
    assert total == TensorSpec((), "float32")
    assert [tuple(x.shape) for x, _, _ in mapped] == [(4, 2), (4, 2), (2, 2)]


def test_seeds_of_the_process_move_on_by_themselves():
    """Draws in pipelines take nothing from the generators outside, whose draws would depend on timing."""
    utils.set_random_seed(5)
    plain = [float(random.uniform(())) for _ in range(3)]
    utils.set_random_seed(5)
    data = Dataset.range(20).map(lambda x: random.uniform(()), num_parallel_calls=2)
    utils.set_random_seed(5)
    mixed = []
    for _, _ in zip(data, range(3), strict=False):
        mixed.append(float(random.uniform(())))
    assert mixed == plain


def test_functions_are_recorded_once_and_run_in_threads():
    calls, threads = [], set()

    def recorded(x, y):
        calls.append(x.shape)
        return x / 2, ops.one_hot(y, 2)

    data = Dataset.from_tensor_slices((X, Y)).map(recorded, num_parallel_calls=2)
    for (x, y), row, label in zip(data, X, Y, strict=True):
        np.testing.assert_array_equal(x.numpy(), row / 2)
        assert y.numpy().argmax() == label
    assert calls == [(4,)]

    second = threading.Event()

    def read(x, y):
        threads.add(threading.get_ident())
        if float(x[0]) == 0:
            assert second.wait(30)  # which comes while the first one waits: in another thread
        second.set()
        return float(x[0]) + int(y)

    values = [float(v) for v in Dataset.from_tensor_slices((X, Y)).map(read, num_parallel_calls=2)]
    assert values == [float(x[0]) + int(y) for x, y in zip(X, Y, strict=True)]
    assert len(threads) == 2


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: float(x) * 2, "TracedValueError"),
        (lambda x: np.float32(x.numpy()), "TracedValueError"),
        (lambda x: x * 2 if x > 3 else x, "TracedValueError"),
        (lambda x: "text", "text or data sets"),
        (lambda x: Dataset.range(2), "text or data sets"),
    ],
)
def test_the_log_says_once_what_runs_in_python(function, reason, caplog):
    with caplog.at_level(logging.INFO, logger="cnnrs.data"):
        assert len(list(Dataset.range(5).map(function))) == 5
    [record] = caplog.records
    assert "runs in Python for each element" in record.getMessage() and reason in record.getMessage()


def test_many_shapes_end_in_python(caplog):
    sizes = Dataset.range(1, 30).map(lambda n: np.ones(int(n), np.float32))
    with caplog.at_level(logging.INFO, logger="cnnrs.data"):
        sums = [int(x) for x in sizes.map(lambda x: ops.sum(x))]
    assert sums == list(range(1, 30))
    assert "more than 16 shapes" in caplog.text


@pytest.mark.parametrize("workers", [None, 2, AUTOTUNE])
def test_an_error_comes_where_its_element_would(workers):
    def fail(x):
        if int(x) == 3:
            raise ValueError("of the third")
        return x

    data = Dataset.range(6).map(fail, num_parallel_calls=workers)
    found = []
    with pytest.raises(ValueError, match="of the third"):
        for x in data.prefetch(2):
            found.append(int(x))
    assert found == [0, 1, 2]
    assert numbers(data.ignore_errors()) == [0, 1, 2, 4, 5]
    with pytest.raises(ValueError, match="right behind map"):
        data.batch(2).ignore_errors()


def test_what_a_source_raises_comes_behind_its_elements():
    def source():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    data = Dataset.from_generator(source, output_signature=TensorSpec((), "int32"))
    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        for x in data.map(lambda x: x, num_parallel_calls=2):
            found.append(int(x))
    assert found == [1, 2]


def test_threads_end_with_their_iterator():
    before = threading.active_count()
    for _ in range(3):
        elements = iter(Dataset.range(10**6).map(lambda x: x + 1, num_parallel_calls=3).prefetch(4))
        assert int(next(elements)) == 1
        del elements
    assert threading.active_count() == before


def test_text_flows_as_bytes():
    data = Dataset.from_tensor_slices((["a/cat.png", "b/dög.png"], [1, 2]))
    assert data.element_spec[0] == TensorSpec((), "string")
    [(first, _), (second, _)] = data
    assert first == "a/cat.png" and first.numpy() == b"a/cat.png" and second.numpy().decode() == "b/dög.png"
    lengths = data.map(lambda path, y: (len(path.numpy()), y))
    assert [int(n) for n, _ in lengths] == [9, 10]
    [(texts, labels)] = data.batch(2)
    assert texts.shape == (2,) and texts.numpy().tolist() == [b"a/cat.png", "b/dög.png".encode()]
    assert [e[0] for e in data.as_numpy_iterator()] == [b"a/cat.png", "b/dög.png".encode()]
    with open(StringTensor(__file__)) as file:  # as a path
        assert file.read(3) == '"""'


def test_structures_keep_their_keys_and_order():
    data = Dataset.from_tensor_slices({"z": X, "a": (Y, {"k": Y})}).batch(4).map(lambda e: e)
    element = next(iter(data))
    assert list(element) == ["z", "a"] and list(element["a"][1]) == ["k"]
    assert element["z"].shape == (4, 4)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dataset.from_tensor_slices(3), ValueError, "one extent of axis 0"),
        (lambda: Dataset.from_tensor_slices((X, Y[:3])), ValueError, r"\(10, 4\), \(3,\)"),
        (lambda: Dataset.from_tensor_slices([[1], [1, 2]]), ValueError, "rows of one shape"),
        (lambda: Dataset.from_tensor_slices(object()), TypeError, "expected numbers, text"),
        (lambda: Dataset.from_generator(iter), TypeError, "output_signature"),
        (lambda: Dataset.from_generator([1], "int32"), TypeError, "expected a function, received list"),
        (lambda: Dataset.range(3).batch(0), ValueError, "batch_size: expected an integer >= 1, received 0"),
        (lambda: Dataset.range(3).batch(2.5), ValueError, "batch_size"),
        (lambda: Dataset.range(3).shuffle(-1), ValueError, "buffer_size"),
        (lambda: Dataset.range(3).shard(2, 2), ValueError, "expected an integer < num_shards=2"),
        (lambda: Dataset.range(3).map(3), TypeError, "expected a function"),
        (lambda: Dataset.range(3).map(abs, 0), ValueError, "num_parallel_calls"),
        (
            lambda: Dataset.range(3).concatenate(Dataset.from_tensors(1.0)),
            TypeError,
            "one structure and type",
        ),
        (lambda: Dataset.range(3).concatenate([1]), TypeError, "expected a Dataset, received list"),
        (lambda: Dataset.zip((Dataset.range(3), [1])), TypeError, "expected Datasets, received int"),
        (lambda: Dataset.range(3).window(0), ValueError, "size"),
        (lambda: list(Dataset.range(3).filter(lambda x: X)), ValueError, "single bool"),
        (lambda: list(Dataset.range(3).flat_map(lambda x: x)), TypeError, "returns a Dataset"),
        (lambda: list(Dataset.range(3).unbatch()), ValueError, "at least one axis"),
        (
            lambda: list(Dataset.range(1, 3).map(lambda n: np.ones(int(n))).batch(2)),
            ValueError,
            "padded_batch",
        ),
        (lambda: list(Dataset.from_tensors(X).padded_batch(1, [2, 2])), ValueError, "within shape"),
        (lambda: list(Dataset.range(2).window(2).batch(1)), TypeError, "flat_map"),
        (lambda: list(Dataset.range(2).map(lambda x: object())), TypeError, "Dataset.map: expected numbers"),
        (lambda: Dataset.list_files("no/such/*.file"), ValueError, "no files match 'no/such"),
        (lambda: Dataset.range(2).get_single_element(), ValueError, "more than one"),
        (lambda: Dataset.range(2).with_options(3), TypeError, "expected Options"),
        (lambda: len(Dataset.range(2).repeat()), TypeError, "infinite"),
        (lambda: Dataset.range(2).snapshot("x"), AttributeError, r"cache\(filename\)"),
        (lambda: Dataset.range(2).shufle(2), AttributeError, "did you mean 'shuffle'"),
        (lambda: setattr(Options(), "determinstic", True), AttributeError, "did you mean 'deterministic'"),
        (lambda: setattr(Options(), "deterministic", 3), ValueError, "expected one of"),
        (lambda: TensorSpec("x"), TypeError, "expected integers and None"),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("element", "error", "message"),
    [
        ((1, 2, 3), TypeError, "expected 2 parts"),
        ((1.5, [0.0, 1.0]), TypeError, "expected int32, received float32"),
        ((1, [0.0]), ValueError, r"expected shape \(2,\), received shape \(1,\)"),
        (("a", [0.0, 1.0]), TypeError, "expected int32, received 'a'"),
    ],
)
def test_generators_give_what_was_said(element, error, message):
    signature = (TensorSpec((), "int32"), TensorSpec((2,), "float32"))
    with pytest.raises(error, match=message):
        list(Dataset.from_generator(lambda: iter([element]), output_signature=signature))


# ---- files


ELEMENTS = {"x": X, "text": [f"text {i}" for i in range(10)], "y": (Y, X[:, :0])}


def same(a, b):
    left, right = (cnnrs.tree.flatten(list(d.as_numpy_iterator())) for d in (a, b))
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


def test_elements_on_disk_come_back(tmp_path):
    data = Dataset.from_tensor_slices(ELEMENTS)
    data.save(tmp_path / "saved")
    loaded = Dataset.load(tmp_path / "saved")
    assert len(loaded) == 10 and loaded.element_spec == data.element_spec
    same(loaded, data)
    data.take(2).save(tmp_path / "saved")
    assert len(Dataset.load(tmp_path / "saved")) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["saved"]


def test_a_cache_on_disk_serves_later_passes_and_runs(tmp_path):
    reads = []
    source = Dataset.of_function(lambda i: reads.append(i) or np.float32(i), 5)
    cached = source.cache(str(tmp_path / "cache"))
    next(iter(cached))  # a pass that stops early leaves nothing
    assert not list(tmp_path.iterdir())
    reads.clear()
    for data in (cached, cached, source.cache(StringTensor(str(tmp_path / "cache")))):
        assert numbers(data) == [0, 1, 2, 3, 4]
    assert len(reads) == 5


def test_an_interrupted_save_leaves_what_was_there(tmp_path):
    Dataset.range(3).save(tmp_path / "data")

    def fail(x):
        raise RuntimeError("half way") if int(x) == 2 else ValueError

    with pytest.raises((RuntimeError, ValueError)):
        Dataset.range(3).map(fail).save(tmp_path / "data")
    assert numbers(Dataset.load(tmp_path / "data")) == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="expected a free name"):
        Dataset.range(3).save(tmp_path / "mine")
    with pytest.raises(ValueError, match="expected a folder that holds elements"):
        list(Dataset.range(3).cache(str(tmp_path / "mine")))
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"
    with pytest.raises(FileNotFoundError):
        Dataset.load(tmp_path / "none")


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans(), described=st.booleans())
def test_damaged_elements_raise_or_come_whole(tmp_path_factory, place, byte, cut, described):
    path = tmp_path_factory.mktemp("damaged") / "data"
    Dataset.from_tensor_slices(ELEMENTS).save(path)
    file = path / ("dataset.json" if described else "00000.safetensors")
    content = bytearray(file.read_bytes())
    place %= len(content)
    if cut:
        del content[place:]
    else:
        content[place] = byte
    file.write_bytes(content)
    try:
        found = list(Dataset.load(path).as_numpy_iterator())
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert len(found) <= 10 and len(found) > 0


# ---- training


def model():
    made = cnnrs.Sequential([layers.Dense(8, activation="relu"), layers.Dense(2)])
    made.compile("sgd", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return made


def batches_of_epochs(data, **options):
    seen = []

    class Count(cnnrs.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(0)

        def on_train_batch_end(self, batch, logs=None):
            seen[-1] += 1

    history = model().fit(data, callbacks=[Count()], verbose=0, **options)
    return seen, history


def test_fit_knows_steps_by_cardinality():
    data = Dataset.from_tensor_slices((X, Y)).shuffle(10).batch(3)
    seen, history = batches_of_epochs(data, epochs=2, validation_data=data)
    assert seen == [4, 4] and history.params["steps"] == 4 and len(history.history["val_loss"]) == 2
    seen, history = batches_of_epochs(data.filter(lambda x, y: True), epochs=2)
    assert seen == [4, 4]
    assert batches_of_epochs(data.repeat(), epochs=2, steps_per_epoch=3)[0] == [3, 3]
    assert batches_of_epochs(data.take(1).repeat(5), epochs=1)[0] == [5]
    with pytest.raises(ValueError, match="no end: expected the number of steps"):
        model().fit(data.repeat(), verbose=0)
    with pytest.raises(ValueError, match="no end"):
        model().evaluate(data.repeat(), verbose=0)


def test_epochs_of_few_steps_go_on_where_the_last_one_stopped():
    firsts = []
    data = Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (x, y)).batch(2)

    class First(cnnrs.callbacks.Callback):
        pass

    noted = Dataset.of_function(lambda i: firsts.append(i) or (X[2 * i : 2 * i + 2], Y[2 * i : 2 * i + 2]), 4)
    model().fit(noted, epochs=4, steps_per_epoch=2, verbose=0)
    assert firsts[:4] == [0, 1, 2, 3] and firsts[-2:] == [2, 3]
    with pytest.warns(UserWarning, match="ran out of data"):
        model().fit(data, epochs=2, steps_per_epoch=3, verbose=0)


def test_evaluate_predict_and_adapt_take_data_sets():
    net, data = model(), Dataset.from_tensor_slices((X, Y)).batch(4)
    assert len(net.evaluate(data, verbose=0)) == 2
    by_arrays = net.predict(X, verbose=0)
    np.testing.assert_allclose(net.predict(data.map(lambda x, y: x), verbose=0), by_arrays, rtol=1e-5)
    np.testing.assert_allclose(net.predict(data, verbose=0), by_arrays, rtol=1e-5)
    normalization = layers.Normalization()
    normalization.adapt(data.map(lambda x, y: x))
    np.testing.assert_allclose(normalization.mean.numpy().ravel(), X.mean(0))
    found = [layer.numpy() for layer in data.map(lambda x, y: x).map(normalization)]
    np.testing.assert_allclose(np.concatenate(found), normalization(X).numpy(), rtol=1e-5)


def test_the_same_seed_trains_the_same_model():
    def train():
        utils.set_random_seed(11)
        data = Dataset.from_tensor_slices((X / 40, Y)).shuffle(10)
        data = data.map(lambda x, y: (x + random.normal(x.shape) * 0.1, y), num_parallel_calls=AUTOTUNE)
        return model().fit(data.batch(3).prefetch(AUTOTUNE), epochs=3, verbose=0).history["loss"]

    assert train() == train()


def test_own_loops_get_tensors():
    data = Dataset.from_tensor_slices((X, Y)).batch(5)
    weights = cnnrs.Variable(np.zeros((4, 1), np.float32))
    for _, (x, y) in enumerate(data):
        with cnnrs.GradientTape() as tape:
            loss = ops.mean((x @ weights - ops.cast(y, "float32")[:, None]) ** 2)
        assert tape.gradient(loss, weights).shape == (4, 1)
    elements = iter(data.repeat())
    assert elements.get_next()[0].shape == (5, 4) and elements.element_spec == data.element_spec
    assert int(data.repeat().cardinality()) == INFINITE_CARDINALITY


def test_repr_says_what_it_is():
    assert repr(Dataset.range(3)) == "<Dataset: 3 elements of TensorSpec(shape=(), dtype='int64')>"
    assert "infinitely many" in repr(Dataset.range(3).repeat(name="again")) and "'again'" in repr(
        Dataset.range(3).repeat(name="again")
    )
    assert "unknown elements" in repr(Dataset.range(3).filter(lambda x: True))
