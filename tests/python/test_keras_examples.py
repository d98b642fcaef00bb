"""The command that runs Keras's examples: what it counts, what it makes smaller, how it bounds a run."""

from __future__ import annotations

import ast
import sys
from argparse import Namespace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_examples import __main__ as command
from keras_examples import scripts, table, tfds, worker

OPTIONS = Namespace(seconds=60, memory=4, packages=[], log=None)


@pytest.fixture
def tree(tmp_path):
    made = {
        "examples/vision/a.py": "import keras\nkeras.layers.Dense(3)\n",
        "examples/vision/b.py": "import keras_cv\nimport keras\n",
        "examples/vision/c.py": "import tensorflow as tf\ntf.nothing_of_the_kind\n",
        "examples/nlp/d.py": "import keras\n",
        "guides/e.py": "from tensorflow import keras\n",
        "guides/f.py": "import numpy\n",
    }
    for name, text in made.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_scripts_that_are_counted(tree):
    found = scripts.scripts(tree)
    assert [(s.name, s.uses_tf) for s in found] == [
        ("examples/vision/a", False),
        ("examples/vision/c", True),
        ("guides/e", False),
    ]
    assert [command.names_of(s)["missing"] for s in found] == [[], ["tensorflow.nothing_of_the_kind"], []]
    with pytest.raises(SystemExit, match="no examples"):
        scripts.scripts(tree / "guides")


def test_numbers_and_places_are_changed_and_nothing_else():
    text = "num_epochs = 30\nBATCH_SIZE: int = 64\nbatch_size = 64\nepochs = f(3)\nlayers = 12\npath = 'gs://a/b'\n"
    text += "config = {'batch_size': 2048, 'layers': 4}\n"
    changed = ast.unparse(ast.fix_missing_locations(worker._Cap("x").visit(ast.parse(text))))
    assert changed.splitlines() == [
        "num_epochs = 1",
        "BATCH_SIZE: int = 64",
        "batch_size = 8",
        "epochs = f(3)",
        "layers = 12",
        "path = 'a/b'",
        "config = {'batch_size': 8, 'layers': 4}",
    ]


def script(folder, text):
    path = folder / "script.py"
    path.write_text(text)
    return scripts.Script(path, "script", False)


RUNS = [
    ("import keras\nmodel = keras.Sequential([keras.layers.Dense(1)])\n", {"end": "ran"}),
    ("import sys\nsys.exit(0)\n", {"end": "ran"}),
    ("import keras\n\nkeras.nothing_of_the_kind\n", {"end": "failed", "line": 3}),
    ("import os\nos._exit(3)\n", {"end": "failed", "line": 0}),
    ("import numpy\nnumpy.ones(9 << 30)\n", {"end": "failed", "line": 2}),
    ("import os\nos.kill(os.getpid(), 9)\n", {"end": "time"}),
]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("case", range(len(RUNS)))
def test_a_run_ends_as_it_is_told(tmp_path, case):
    text, expected = RUNS[case]
    found = command.run(script(tmp_path, text), "cnnrs", sys.executable, OPTIONS)
    assert expected.items() <= found.items(), found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.py"]


def test_fit_is_short_and_data_is_near(tmp_path):
    text = (
        "import keras\nfrom tensorflow.keras.datasets import cifar10\n"
        "(x, y), _ = cifar10.load_data()\nassert x.shape == (5000, 32, 32, 3) and y.shape == (5000, 1)\n"
        "model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])\n"
        "model.compile('sgd', keras.losses.SparseCategoricalCrossentropy(from_logits=True))\n"
        "history = model.fit(x, y, epochs=50, verbose=0)\n"
        "assert len(history.history['loss']) == 1 and int(model.optimizer.iterations) == 2\n"
        "assert len(model.predict(x[:64], verbose=0)) == 64\n"
        "from keras.applications.mobilenet import MobileNet, decode_predictions\n"
        "assert MobileNet(input_shape=(32, 32, 3)).count_params() == 4253864\n"
    )
    found = command.run(script(tmp_path, text), "cnnrs", sys.executable, OPTIONS)
    assert found["end"] == "ran", found


def test_splits_are_rows():
    assert tfds._rows("train", 10) == slice(None)
    assert tfds._rows("train[:80%]", 10) == slice(0, 8)
    assert tfds._rows("train[80%:]", 10) == slice(8, 10)
    assert tfds._rows("test[2:400]", 10) == slice(2, 10)


def test_names_that_keras_has_no_more_are_told_apart():
    names = [
        "json.dumps",
        "json.dumps(indent)",
        "json.loads(strict)",
        "json.loads(cls)",
        "json.decoder.JSONDecoder",
    ]
    lacked = ["json.nothing", "nothing.of.the.kind", "json.JSONDecoder(no)"]
    assert command.gone_from(sys.executable, [*names, *lacked]) == lacked
    assert command.gone_from("no such interpreter", []) == []
    text = table.table(
        {
            "a": {"names": 2, "missing": ["keras.x", "keras.y"], "gone": ["keras.y"]},
            "b": {"names": 2, "missing": ["keras.y"], "gone": ["keras.y"]},
        }
    )
    assert "0 find all their names (1 find all that Keras and TensorFlow have today)" in text
    assert "`keras.x`, `keras.y` (Keras has it no more)" in text


def test_the_table_counts_what_was_found():
    records = {
        "examples/vision/a": {"names": 3, "missing": [], "cnnrs": {"end": "ran"}},
        "examples/vision/b": {
            "names": 4,
            "missing": ["tensorflow.x"],
            "cnnrs": {"end": "failed", "line": 7, "text": "a|b"},
            "keras": {"end": "failed", "line": 9, "text": "c"},
        },
        "guides/c": {},
    }
    text = table.table(records)
    assert text.startswith(
        "Of 2 scripts 1 find all their names, and 1 of 2 run to their end; 1 of the others do not"
    )
    assert text.splitlines()[-1] == "| vision/b | 4 | `x` | 7: a\\|b | 9: c |"
