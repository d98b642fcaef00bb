"""`cnnrs.compat.tf`: what TensorFlow gave for the cases of tests/tf_compare, and what no case says."""

from __future__ import annotations

import importlib
import json
import logging
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnrs
import cnnrs.compat.tf as tf
from cnnrs import layers

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

import tf_names  # noqa: E402
from tf_compare.cases import CASES  # noqa: E402
from tf_compare.differences import difference, meant  # noqa: E402
from tf_compare.scripts import SCRIPTS  # noqa: E402
from tf_compare.signatures import arguments  # noqa: E402
from tf_compare.worker import Inputs, evaluate, leaves, plain  # noqa: E402

EXPECTED = json.loads((TESTS / "fixtures" / "tf_bridge.json").read_text("utf-8"))


def test_the_fixture_has_every_case():
    assert EXPECTED.keys() == {*CASES, *SCRIPTS}


@pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")
@pytest.mark.parametrize("case", CASES)
def test_a_case_gives_what_tensorflow_gives(case):
    if not meant(case):
        assert difference(evaluate(tf, case), EXPECTED[case]) is None


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_gives_what_it_gives_with_tensorflow(name):
    ours = {"result": [plain(leaf) for leaf in leaves(SCRIPTS[name](tf))]}
    assert difference(ours, EXPECTED[name]) is None


class Recorded(Inputs):
    """Inputs of a case that are arguments of a function which is being recorded."""

    def __init__(self, given):
        super().__init__(tf)
        self._given = iter(given)

    def f(self, *shape, **options):
        return next(self._given)

    n = b = f


class Kept(Inputs):
    """Inputs of a case, all of which are kept."""

    def n(self, *shape, **options):
        self.made.append(super().n(*shape, **options))
        return self.made[-1]

    def b(self, *shape):
        self.made.append(super().b(*shape))
        return self.made[-1]


def _tensors(result):
    return [leaf for leaf in leaves(result) if isinstance(leaf, cnnrs.Tensor)]


# Cases whose functions need values, as their docstrings say, or that hold what no plan returns.
NEEDS_VALUES = (
    "tf.boolean_mask tf.where([[ tf.unique tf.sequence_mask([1 tf.math.bincount tf.math.confusion_matrix(["
    " tf.math.segment tf.dynamic_partition draw_bounding_boxes tf.numpy_function"
    " non_max_suppression( non_max_suppression_with_scores non_max_suppression_overlaps"
    " tf.py_function tf.random.poisson tf.get_static_value tf.sparse tf.debugging tf.Assert tf.strings"
    " .numpy() tf.Variable tf.TensorArray tf.random.Generator tf.lookup tf.function( tf.linalg.matrix_rank"
).split(" ")


@pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")
@pytest.mark.parametrize(
    "case", [c for c in CASES if "raises" not in EXPECTED[c] and not any(n in c for n in NEEDS_VALUES if n)]
)
def test_a_recorded_case_gives_the_same(case):
    kept = Kept(tf)
    eager = _tensors(eval(case, kept.names()))
    if "random" in case:
        eager = [tf.zeros_like(x) for x in eager]

    @tf.function(jit_compile=True)
    def recorded(*given):
        found = _tensors(eval(case, Recorded(given).names()))
        return [tf.zeros_like(x) for x in found] if "random" in case else found

    ours = recorded(*kept.made)
    for a, b in zip(ours, eager, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=2e-5)


def _namespaces():
    for name in ("", *sorted(tf._SUBMODULES)):
        module = importlib.import_module(f"cnnrs.compat.tf.{name}".rstrip("."))
        yield f"tf.{name}".rstrip("."), module


@pytest.mark.parametrize(
    ("place", "module"), list(_namespaces()), ids=lambda x: x if isinstance(x, str) else ""
)
def test_every_name_of_a_module_is_there_and_an_unknown_one_says_what_to_write(place, module):
    for name in getattr(module, "__all__", []):
        assert getattr(module, name, 0) is not None or name == "newaxis"
    with pytest.raises(AttributeError, match=f"^{place} has no 'no_such_name'"):
        module.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("matmull", "did you mean 'matmul'"),
        ("arange", "cnnrs has it as cnnrs.ops.arange"),
        ("Session", "tensors have values"),
        ("RaggedTensor", "pad_sequences"),
        ("lite", "model.save"),
        ("image.gaussian_blur", "cnnrs.ops.image.gaussian_blur"),
        ("compat.v1", "TensorFlow 1 is gone"),
        ("saved_model.load", "load_model"),
        ("linalg.expm", "scipy"),
    ],
)
def test_what_is_lacking_says_what_to_use(name, words):
    with pytest.raises(AttributeError, match=words):
        found = tf
        for part in name.split("."):
            found = getattr(found, part)


def test_keras_is_cnnrs():
    assert tf.keras is cnnrs.keras and tf.keras.layers is cnnrs.layers
    assert tf.losses is cnnrs.losses and tf.optimizers is cnnrs.optimizers


def test_the_name_of_an_operation_begins_its_errors():
    with pytest.raises(ValueError, match="^my_reshape: "):
        tf.reshape(tf.ones(3), (2, 2), name="my_reshape")
    assert tf.add(1, 2, "sum").numpy() == 3
    with pytest.raises(TypeError, match="expected text"):
        tf.add(1, 2, name=3)


def test_floats_and_integers_do_not_meet():
    with pytest.raises(TypeError, match="tf.add: expected tensors of one dtype, received float32 and int32"):
        tf.add(tf.ones(2), tf.ones(2, tf.int32))
    assert tf.equal(tf.constant([1], tf.int64), tf.constant([1], tf.int32)).numpy().all()


def test_shapes_are_tuples_and_dtypes_strings():
    x = tf.zeros((2, 3))
    assert isinstance(x.shape, tuple) and isinstance(x.dtype, str)
    assert (1, *x.shape) == (1, 2, 3) and x.shape + [1] == (2, 3, 1) and (1,) + x.shape == [1, 2, 3]
    assert {x.dtype: 1}["float32"] == 1 and np.zeros(1, x.dtype).dtype == np.float32
    assert not tf.constant(1.0).shape
    for value in (tf.float16, x.shape, tf.TensorShape([None, 2]), tf.TensorSpec([1], tf.int32)):
        assert pickle.loads(pickle.dumps(value)) == value


def test_variables_of_layers_are_variables():
    layer = layers.Dense(2)
    layer.build((None, 3))
    assert isinstance(layer.kernel, tf.Variable)
    v = tf.Variable([1.0, 2.0], name="scale")
    copy = pickle.loads(pickle.dumps(v))
    assert type(copy) is tf.Variable and copy.name == "scale" and copy.numpy().tolist() == [1.0, 2.0]


def test_a_function_that_reads_values_runs_as_python_and_says_so_once(caplog):
    calls = []

    @tf.function
    def grown(x):
        calls.append(1)
        return x * 2 if tf.reduce_sum(x) > 1 else x

    with caplog.at_level(logging.WARNING, "cnnrs.compat.tf"):
        assert grown(tf.constant([2.0])).numpy() == 4.0
        assert grown(tf.constant([0.5])).numpy() == 0.5
    assert len(caplog.records) == 1 and "grown" in caplog.text and len(calls) == 3
    with pytest.raises(RuntimeError, match="no value while its function"):
        tf.function(grown.python_function, jit_compile=True)(tf.constant([2.0]))


def test_a_function_is_recorded_once_for_each_signature():
    @tf.function
    def double(x):
        return x * 2.0

    for size in (2, 2, 3, 3):
        double(tf.ones(size))
    assert double.experimental_get_tracing_count() == 2
    tf.config.run_functions_eagerly(True)
    try:
        double(tf.ones(5))
        assert double.experimental_get_tracing_count() == 2
    finally:
        tf.config.run_functions_eagerly(False)


def test_gradients_flow_through_functions():
    w = tf.Variable(2.0)
    f = tf.function(lambda x: w * x * x)
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert [float(g) for g in tape.gradient(y, [x, w])] == [12.0, 9.0]


def test_a_signature_refuses_other_arguments():
    f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    with pytest.raises(TypeError, match="expected TensorSpec"):
        f(tf.ones((3, 3)))
    with pytest.raises(TypeError, match="expected a tensor of float32"):
        f(tf.ones((3, 2), tf.int32))


def test_functions_of_symbolic_tensors_are_nodes_of_a_model(tmp_path):
    x = tf.keras.Input((8, 8, 2))
    y = tf.nn.relu(tf.image.resize(x, (4, 4)) - 0.25, name="positive")
    batch, rest = tf.shape(y)[0], tf.reduce_mean(y, axis=-1, keepdims=True)
    y = tf.concat([tf.reshape(y, [batch, -1])] * 2, axis=1)
    model = tf.keras.Model(x, [y, rest])
    images = np.random.RandomState(0).uniform(size=(3, 8, 8, 2)).astype("float32")
    found = model.predict(images, verbose=0)
    assert [part.shape for part in found] == [(3, 64), (3, 4, 4, 1)] and model.output_shape[0] == (None, 64)
    small = np.maximum(tf.image.resize(images, (4, 4)).numpy() - 0.25, 0)
    np.testing.assert_allclose(found[0][:, :32], small.reshape(3, -1), rtol=1e-5, atol=1e-6)


def test_draws_of_operations_with_seeds_go_on_and_begin_again():
    tf.random.set_seed(3)
    first = [tf.random.normal((4,), seed=1).numpy() for _ in range(2)]
    other = tf.random.normal((4,)).numpy()
    tf.random.set_seed(3)
    again = [tf.random.normal((4,), seed=1).numpy() for _ in range(2)]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(other, tf.random.normal((4,)).numpy())
    assert (first[0] != first[1]).all()


def test_stateless_draws_depend_on_both_numbers_of_the_seed():
    seeds = [(a, b) for a in range(4) for b in range(4)]
    drawn = {tuple(tf.random.stateless_uniform((3,), seed).numpy().tolist()) for seed in seeds}
    assert len(drawn) == len(seeds)
    seed = tf.constant([1, 2])
    recorded = tf.function(lambda s: tf.random.stateless_normal((3,), s), jit_compile=True)
    np.testing.assert_array_equal(recorded(seed), tf.random.stateless_normal((3,), seed))


@pytest.mark.parametrize("low", [0, -3, 5])
def test_integers_are_drawn_within_their_bounds(low):
    drawn = tf.random.uniform((2000,), low, low + 3, tf.int32).numpy()
    assert set(drawn.tolist()) == {low, low + 1, low + 2}
    bound = tf.function(lambda n: tf.random.uniform((2000,), low, low + n, tf.int32), jit_compile=True)
    assert set(bound(tf.constant(3)).numpy().tolist()) == {low, low + 1, low + 2}


def test_random_changes_of_images_are_those_that_are_promised():
    image = tf.constant(np.random.RandomState(0).uniform(0.3, 0.6, (5, 6, 3)).astype("float32"))
    delta = tf.image.random_brightness(image, 0.2) - image
    assert np.ptp(delta.numpy()) < 1e-6 and abs(float(delta[0, 0, 0])) <= 0.2
    turned = {bytes(tf.image.random_flip_left_right(image).numpy()) for _ in range(30)}
    assert turned == {bytes(image.numpy()), bytes(tf.image.flip_left_right(image).numpy())}
    pixels = image.numpy()
    for _ in range(10):
        part = tf.image.random_crop(image, [2, 3, 3]).numpy()
        places = [(i, j) for i in range(4) for j in range(4) if (pixels[i : i + 2, j : j + 3] == part).all()]
        assert len(places) == 1
    window = tf.image.sample_distorted_bounding_box(
        (50, 60, 3), tf.zeros((1, 0, 4)), use_image_if_no_bounding_boxes=True
    )
    assert tf.slice(tf.zeros((50, 60, 3)), window.begin, window.size).shape[-1] == 3
    same = [tf.image.stateless_random_crop(image, [2, 3, 3], (5, 6)).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*same)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tf.image.resize(tf.ones((4, 4)), (2, 2)), "3 or 4 axes"),
        (
            lambda: tf.image.resize(tf.ones((4, 4, 1)), (2, 2), method="cubic"),
            "method: expected one of bilinear",
        ),
        (lambda: tf.image.crop_to_bounding_box(tf.ones((4, 4, 1)), 2, 2, 3, 3), "not within images"),
        (lambda: tf.image.central_crop(tf.ones((4, 4, 1)), 1.5), "central_fraction"),
        (lambda: tf.image.random_contrast(tf.ones((2, 2, 1)), 2.0, 1.0), "bounds in order"),
        (
            lambda: tf.nn.conv2d(tf.ones((1, 4, 4, 1)), tf.ones((2, 2, 1, 1)), [2, 1, 1, 1], "SAME"),
            "batch and channels",
        ),
        (lambda: tf.nn.conv2d(tf.ones((1, 4, 4, 1)), tf.ones((2, 2, 1, 1)), 1, "FULL"), "SAME, VALID"),
        (
            lambda: tf.nn.conv2d_transpose(tf.ones((1, 3, 3, 1)), tf.ones((2, 2, 1, 1)), [1, 9, 9, 1], 2),
            "does not give 3 with stride 2",
        ),
        (lambda: tf.split(tf.ones(5), 2), "divides 5"),
        (lambda: tf.one_hot([0.5], 2), "expected integers"),
        (lambda: tf.norm(tf.ones((2, 2)), ord="max"), "ord"),
        (lambda: tf.gather(tf.ones((2, 3)), [[0], [1], [2]], batch_dims=1), "common axes"),
        (lambda: tf.distribute.MirroredStrategy(["/gpu:0", "/gpu:1"]), "expected one"),
        (lambda: tf.distribute.cluster_resolver.TPUClusterResolver.connect(), "no TPUs"),
        (lambda: tf.function(lambda x: x, experimental_implements="f"), "expected None"),
        (lambda: tf.TensorArray(tf.float32, 1).write(3, 1.0), "index: expected 0 to 0"),
        (lambda: tf.strings.split(["a b", "c"]), "no ragged tensors"),
        (lambda: tf.strings.regex_replace("a", "(", "b"), "regular expression"),
        (lambda: tf.lookup.KeyValueTensorInitializer(["a"], [1, 2]), "as many values as keys"),
        (lambda: tf.zeros((2, 2), layout="mesh"), "one device"),
        (lambda: tf.random.uniform((2,), 3, 3, tf.int32), "minval < maxval"),
        (lambda: tf.random.stateless_uniform((2,), 5), "two integers"),
    ],
)
def test_what_is_wrong_is_named(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_indices_outside_do_not_reach_into_other_groups():
    found = tf.gather(tf.reshape(tf.range(6.0), (2, 3)), [[3], [0]], batch_dims=1)
    with pytest.raises((ValueError, IndexError)):
        found.numpy()
    kept = tf.gather_nd(tf.reshape(tf.range(6.0), (2, 3)), [[0, 7], [1, 1]], bad_indices_policy="IGNORE")
    assert kept.numpy().tolist() == [0.0, 4.0]


def test_print_writes_values_as_tensorflow_does(tmp_path, capsys):
    file = tmp_path / "log.txt"
    tf.print("loss", tf.constant([[1.5, 2.0], [3.0, 1 / 3]]), True, output_stream=f"file://{file}")
    assert file.read_text() == "loss [[1.5 2]\n [3 0.333333343]] True\n"
    tf.print(tf.range(10), {"k": tf.ones(2)}, tf.constant("a"), sep="|")
    assert capsys.readouterr().err == "[0 1 2 ... 7 8 9]|{'k': [1 1]}|a\n"


def test_summaries_are_written(tmp_path):
    pytest.importorskip("tensorboardX")
    writer = tf.summary.create_file_writer(str(tmp_path))
    assert not tf.summary.scalar("loss", 0.5, step=1)
    with writer.as_default(step=2), tf.summary.record_if(lambda: True):
        assert tf.summary.scalar("loss", tf.constant(0.5))
        assert tf.summary.histogram("weights", tf.ones(4))
        assert tf.summary.image("image", tf.ones((2, 4, 4, 3)))
        assert tf.summary.text("note", "a text")
    writer.close()
    (file,) = tmp_path.iterdir()
    assert b"loss" in file.read_bytes() and b"a text" in file.read_bytes()


def test_devices_and_strategies():
    assert tf.config.list_physical_devices("CPU")[0].name == "/physical_device:CPU:0"
    with tf.device("/CPU:0"), tf.distribute.OneDeviceStrategy("/cpu:0").scope() as strategy:
        assert tf.distribute.get_strategy() is strategy and tf.distribute.has_strategy()
    assert not tf.distribute.has_strategy()
    with pytest.raises(ValueError, match="memory grows"):
        tf.config.experimental.set_memory_growth(tf.config.list_physical_devices("CPU")[0], False)


def test_importing_the_bridge_loads_no_layers():
    code = "import sys, cnnrs.compat.tf; print('cnnrs.layers' in sys.modules, 'cnnrs.models' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_page_of_names_is_current():
    assert tf_names.PAGE.read_text("utf-8") == tf_names.page(), "run `python tests/tf_names.py --write`"


# Arguments by keyword alone in TensorFlow, which hides them behind `**kwargs`; the rest are classes whose
# objects functions give.
OTHER_ARGUMENTS = """tf.Variable tf.UnconnectedGradients tf.einsum tf.linalg.einsum tf.group tf.meshgrid
tf.print tf.init_scope tf.lookup.StaticHashTable tf.lookup.StaticVocabularyTable tf.random.Generator
tf.test.main tf.distribute.CrossDeviceOps tf.distribute.ReductionToOneDevice tf.distribute.InputContext
tf.distribute.Strategy tf.summary.SummaryWriter tf.data.Dataset tf.data.Iterator""".split()


def test_arguments_stand_where_tensorflow_has_them():
    """Some that make no sense here are left out at the end."""
    different, asked = {}, 0
    for name, theirs in tf_names.NAMES.items():
        try:
            ours = arguments(tf_names.resolve(name))
        except AttributeError:
            continue
        if theirs is None or ours is None or name in OTHER_ARGUMENTS:
            continue
        asked += 1
        for own, given in zip(ours.split(", "), theirs.split(", "), strict=False):
            argument, equals, default = own.partition("=")
            same = argument == given.partition("=")[0]
            if not same or (equals and "..." not in own + given and not _same_default(default, given)):
                different[name] = (ours, theirs)
        if len(ours.split(", ")) > len(theirs.split(", ")):
            different[name] = (ours, theirs)
    assert asked > 600 and different == {}


def _same_default(ours, theirs):
    default = theirs.partition("=")[2]
    return ours.strip("'") == default.strip("'") or (ours, default) in {("0.0", "0"), ("1.0", "1")}


def test_cast_of_a_sparse_tensor_is_of_its_values():
    found = tf.cast(tf.sparse.from_dense([[0.0, 2.5], [3.0, 0.0]]), tf.int64)
    assert isinstance(found, tf.SparseTensor) and found.dtype == tf.int64
    assert tf.sparse.to_dense(found).numpy().tolist() == [[0, 2], [3, 0]]
    other = tf.cast(tf.sparse.from_dense([[1, 2], [3, 0]]), tf.int64)
    assert tf.edit_distance(found, other, normalize=False).numpy().tolist() == [1.0, 0.0]


def test_numbers_of_variables_are_saved_beside_tf(tmp_path):
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    for name in ("a.keras", "a.safetensors", "a.h5"):
        model.save(tmp_path / name)
        assert cnnrs.models.load_model(tmp_path / name).optimizer.iterations == 1


def test_a_function_says_that_it_has_no_graph_of_tensorflow():
    concrete = tf.function(lambda x: x).get_concrete_function(tf.constant(1.0))
    for name in ("graph", "function_def"):
        with pytest.raises(AttributeError, match=f"no '{name}': it is recorded as a plan of cnnrs"):
            getattr(concrete, name)
    assert not hasattr(concrete, "another")


def test_what_a_part_of_a_variable_is_assigned_fits_it():
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"value of shape \(2,\), as the part has, received \(3,\)"):
        v[0].assign([1.0, 2.0, 3.0])
    assert v.numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert v[:, 1].assign([5.0, 6.0], read_value=False) is None
    assert v.numpy().tolist() == [[1.0, 5.0], [3.0, 6.0]]
    assert not hasattr(tf.constant([1.0, 2.0])[0], "assign")


def test_functions_of_values_are_decorators_too():
    @tf.py_function(Tout=tf.float32)
    def doubled(x):
        return x * 2.0

    @tf.numpy_function(Tout=[tf.int32, tf.float32])
    def parts(x, y):
        return (x + 1).astype(np.int32), y.astype(np.float32)

    assert doubled.__name__ == "doubled" and float(doubled(tf.constant(1.5))) == 3.0
    whole, rest = parts(np.array([1, 2]), tf.constant([0.5]))
    assert whole.numpy().tolist() == [2, 3] and rest.dtype == tf.float32
    data = tf.data.Dataset.range(3).map(lambda i: doubled(tf.cast(i, tf.float32)))
    assert [float(x) for x in data] == [0.0, 2.0, 4.0]


def test_a_function_gives_tensors_for_numbers():
    @tf.function
    def relu(x):
        return x if tf.greater(x, 0) else 0

    @tf.function
    def several(x):
        return {"x": x, "factor": 1.5, "nothing": None, "whole": [True, np.ones(2)]}

    assert [relu(tf.constant(v)).numpy().tolist() for v in (-1, 2)] == [0, 2]
    with tf.GradientTape():
        assert isinstance(relu(tf.constant(-1)), tf.Tensor)
    made = several(tf.constant(1.0))
    assert made["factor"].dtype == tf.float32 and made["nothing"] is None
    assert [part.dtype.name for part in made["whole"]] == ["bool", "float64"]
