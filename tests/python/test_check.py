"""`cnnrs check`: the names of Keras and TensorFlow that a script uses, and what becomes of each."""

from __future__ import annotations

import json
import os
import sys

import pytest

from cnnrs import checking, cli
from cnnrs.checking import sources

# What a script writes, the path that it uses, and whether that is there.
IMPORTS = [
    ("import keras\nkeras.layers.Dense", "keras.layers.Dense"),
    ("import keras.layers\nkeras.layers.Dense", "keras.layers.Dense"),
    ("import keras.layers as L\nL.Dense", "keras.layers.Dense"),
    ("from keras import layers\nlayers.Dense", "keras.layers.Dense"),
    ("from keras import layers as L\nL.Dense", "keras.layers.Dense"),
    ("from keras.layers import Dense", "keras.layers.Dense"),
    ("from keras.layers import Dense as D\nD(3)", "keras.layers.Dense"),
    ("from keras.layers import *\nDense(3)", "keras.layers.Dense"),
    ("import tensorflow as tf\ntf.keras.layers.Dense", "tensorflow.keras.layers.Dense"),
    ("import tensorflow\ntensorflow.keras.layers.Dense", "tensorflow.keras.layers.Dense"),
    ("from tensorflow.keras import layers\nlayers.Dense", "tensorflow.keras.layers.Dense"),
    ("import tensorflow as tf\nL = tf.keras.layers\nL.Dense", "tensorflow.keras.layers.Dense"),
    ("import tensorflow as tf\nk, m = tf.keras, 3\nk.layers.Dense", "tensorflow.keras.layers.Dense"),
    ("def f():\n    import keras as k\n    return k.layers.Dense", "keras.layers.Dense"),
    ("import keras\ndef f(x=keras.layers.Dense): pass", "keras.layers.Dense"),
    ("import keras\n@keras.layers.Dense\ndef f(): pass", "keras.layers.Dense"),
    ("import keras\nclass A(keras.layers.Dense): pass", "keras.layers.Dense"),
    ("import keras\nf = lambda: keras.layers.Dense", "keras.layers.Dense"),
    ("import keras\n[keras.layers.Dense for _ in x]", "keras.layers.Dense"),
    ("import keras\nf'{keras.layers.Dense}'", "keras.layers.Dense"),
    ("import keras\n(k := keras.layers)\nk.Dense", "keras.layers.Dense"),
    ("import importlib\nL = importlib.import_module('keras.layers')\nL.Dense", "keras.layers.Dense"),
    ("import keras\ngetattr(keras.layers, 'Dense')(3)", "keras.layers.Dense"),
    ("import tf_keras as k\nk.layers.Dense", "tf_keras.layers.Dense"),
    ("import keras.api.layers as L\nL.Dense", "keras.api.layers.Dense"),
]


def written(folder, text, name="script.py"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def found(folder, text):
    """The names of a script and their statuses."""
    return {finding.name: finding for finding in checking.check(written(folder, text)).findings}


@pytest.mark.parametrize(("text", "path"), IMPORTS)
@pytest.mark.parametrize("name", ["Dense", "TFSMLayer", "Dens"])
def test_each_kind_of_import_is_seen(tmp_path, text, path, name):
    kinds = {"Dense": "works", "TFSMLayer": "refused", "Dens": "unknown"}
    path = path.replace("Dense", name)
    names = found(tmp_path, text.replace("Dense", name))
    if "import *" in text and name == "Dens":
        assert path not in names  # nobody can say where it comes from
        return
    assert names[path].status.kind == kinds[name], names
    assert names[path].is_missing == (name != "Dense")
    line = text[: text.rindex("Dense")].count("\n") + 1
    assert f"line {line}" in names[path].places
    if name == "Dens":
        assert "did you mean 'Dense'?" in names[path].status.text
    if name == "TFSMLayer":
        assert len(names[path].status.text) > 10


@pytest.mark.parametrize(
    "text",
    [
        "from keras import layers\ndef f(layers):\n    return layers.nothing",
        "from keras import layers\nfor layers in x:\n    layers.nothing",
        "from keras import layers\nlayers = [1]\nlayers.nothing",
        "from keras import layers\n[layers.nothing for layers in x]",
        "from keras import layers\nlambda layers: layers.nothing",
        "from keras import layers\nwith x as layers:\n    layers.nothing",
        "import numpy as keras\nkeras.nothing",
        "from .keras import nothing",
        "import keras\nhasattr(keras, 'nothing')",
        "import keras\nkeras.nothing = 3",
        "import keras_hub\nkeras_hub.nothing",
        "class A:\n    import keras\n    def f(self):\n        return self.keras.nothing",
    ],
)
def test_other_things_of_the_same_names_are_not_reported(tmp_path, text):
    assert [name for name in found(tmp_path, text) if "nothing" in name] == []


def test_what_a_program_can_do_without_is_optional(tmp_path):
    text = (
        "try:\n    from keras.utils.vis_utils import plot_model\n"
        "except {}:\n    from keras.utils import plot_model\nplot_model(1)\n"
    )
    for caught in ("ImportError", "(ValueError, AttributeError)", "Exception", ""):
        checked = checking.check(written(tmp_path, text.format(caught)))
        assert checked.is_fine and any(finding.is_optional for finding in checked.findings)
    assert not checking.check(written(tmp_path, text.format("ValueError"))).is_fine


def test_arguments_of_known_callables_are_checked(tmp_path):
    text = (
        "from keras import layers, Sequential\nimport keras\n"
        "layers.Conv2D(3, 3, kernal_size=3, name='a', input_shape=(1, 2, 3))\n"
        "layers.Dense(3, **more)\nlayers.LeakyReLU(alpha=0.1)\n"
        "layers.Flatten(None, 3)\nlayers.Dense(*a, 3, 4)\nlayers.Flatten('channels_last')\n"
        "model = Sequential()\nmodel.fit(x, epoch=3)\nmodel.fit_generator(x)\n"
        "class M(keras.Model):\n    def evaluate(self, fast=False): pass\n"
        "    def f(self):\n        self.evaluate(fast=True)\n        self.predict(x, batchsize=3)\n"
        "        self.own.thing()\n"
    )
    bad = {name for name, finding in found(tmp_path, text).items() if finding.is_missing}
    assert bad == {
        "keras.layers.Conv2D(kernal_size)",
        "keras.layers.Flatten(...)",
        "keras.Sequential.fit(epoch)",
        "keras.Sequential.fit_generator",
        "keras.Model.predict(batchsize)",
    }


def test_nothing_is_executed(tmp_path):
    text = f"import keras\nopen({str(tmp_path / 'made')!r}, 'w')\nkeras.utils.get_file('a', 'http://b')\n"
    assert checking.check(written(tmp_path, text)).is_fine
    assert os.listdir(tmp_path) == ["script.py"]


def notebook(*cells):
    made = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": ["# text"]}, *made], "nbformat": 4})


def test_notebooks_and_their_magics(tmp_path):
    text = notebook(
        "!pip install keras \\\n  --quiet\n%matplotlib inline\nimport keras\n",
        "%%bash\nls (\n",
        "%%time\nfiles = !ls\nif files:\n    !rm -r x\nkeras.layers.Dens(3)\nkeras.layers?\n",
    )
    checked = checking.check(written(tmp_path, text, "a.ipynb"))
    assert not checked.problems
    [missing] = [finding for finding in checked.findings if finding.is_missing]
    assert missing.name == "keras.layers.Dens" and missing.places == ("cell 3, line 5",)


def test_what_a_magic_measures_is_read(tmp_path):
    text = notebook(
        "import keras\n%time keras.Foo()\n%timeit -n 10 -r3 keras.Bar\nif True:\n    x = %time keras.Baz\n"
        "%timeit -n (\n%time"
    )
    checked = checking.check(written(tmp_path, text, "a.ipynb"))
    assert not checked.problems
    missing = [(f.name, f.places[0]) for f in checked.findings if f.is_missing]
    assert missing == [
        ("keras.Foo", "cell 1, line 2"),
        ("keras.Bar", "cell 1, line 3"),
        ("keras.Baz", "cell 1, line 5"),
    ]


def test_a_package_may_have_an_empty_first_file(tmp_path, capsys):
    (tmp_path / "package").mkdir()
    written(tmp_path, "", "package/__init__.py")
    written(tmp_path, "import keras\n", "package/a.py")
    assert cli.main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 of 2 files find all their names"


def test_a_cell_that_does_not_parse_is_named_and_the_others_are_read(tmp_path):
    text = notebook("import keras", "def f(:", "keras.layers.Dens")
    checked = checking.check(written(tmp_path, text, "a.ipynb"))
    assert [p.split(": ", 1)[1] for p in checked.problems] == [
        "cell 2: line 1: does not parse: invalid syntax"
    ]
    assert [f.places for f in checked.findings if f.is_missing] == [("cell 3, line 1",)]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.py", b"", "the file is empty"),
        ("a.py", b" \n\n", "the file is empty"),
        ("a.py", b"import keras\ndef f(:\n", "line 2: does not parse"),
        ("a.py", b"\x7fELF\0\0\1", "is it binary?"),
        ("a.py", b"x = '\xe9'\n", "expected UTF-8"),
        ("a.py", "import keras\n".encode("utf-16"), "no Python"),
        ("a.py", b"# coding: nonsense\nimport keras\n", "unknown encoding: nonsense"),
        ("a.py", b"(" * 300 + b")" * 300, "does not parse"),
        ("a.py", b"-" * 100_000 + b"1", "does not parse: nested too deeply"),
        ("a.ipynb", b"{}", "no Jupyter notebook"),
        ("a.ipynb", b"[" * 100_000, "no Jupyter notebook"),
        ("a.ipynb", b"\xff\xfe", "no Jupyter notebook"),
        ("a.ipynb", b'{"cells": 3}', "no Jupyter notebook"),
        ("a.ipynb", b'{"cells": []}', "the notebook has no code"),
    ],
)
def test_what_is_no_program_is_named(tmp_path, capsys, name, content, text):
    path = tmp_path / name
    path.write_bytes(content)
    assert cli.main(["check", str(path)]) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path}: ") and text in line


@pytest.mark.skipif(os.name != "posix", reason="files of POSIX")
def test_what_is_no_file_is_named(tmp_path, capsys, monkeypatch):
    os.mkfifo(tmp_path / "pipe.py")
    monkeypatch.setitem(sources.LARGEST, ".py", 10)
    written(tmp_path, "import keras\n", "large.py")
    (tmp_path / "folder").mkdir()
    names = ["pipe.py", "large.py", "none.py", "folder"]
    assert cli.main(["check", *(str(tmp_path / name) for name in names)]) == 1
    lines = capsys.readouterr().out.splitlines()
    for line, text in zip(
        lines, ["no regular file", "13 bytes", "no such file", "no .py or .ipynb"], strict=False
    ):
        assert text in line
    assert lines[-1] == "0 of 4 files find all their names"


def test_other_encodings_are_read(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes("# coding: latin-1\nimport keras\nx = 'é'\n".encode("latin-1"))
    assert checking.check(str(path)).is_fine
    path.write_bytes(b"\xef\xbb\xbfimport keras\n")
    assert checking.check(str(path)).is_fine


def test_folders_are_walked_in_order(tmp_path, capsys):
    for name in (
        "b/one.py",
        "a.py",
        ".hidden/x.py",
        "venv/y.py",
        "b/__pycache__/z.py",
        "c.txt",
        "b/two.ipynb",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(notebook("import keras") if name.endswith("ipynb") else "import keras\n")
    assert cli.main(["check", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split(": ")[0].removeprefix(f"{tmp_path}{os.sep}") for line in lines[:-1]]
    assert names == ["a.py", os.path.join("b", "one.py"), os.path.join("b", "two.ipynb")]
    assert lines[-1] == "3 of 3 files find all their names"


def test_the_report_fits_a_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "import keras\nkeras.layers.TFSMLayer\n" + "keras.layers.Dens\n" * 9 + "keras.layers.Dense\n"
    written(tmp_path, text)
    assert cli.main(["check", "script.py"]) == 1
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("script.py: 2 of 4 names work\n")
    assert "  unknown  keras.layers.Dens  (lines 3, 4, 5, 6, 7, 8 and more)\n" in out
    assert "  works" not in out
    cli.main(["check", "--all", "script.py"])
    assert "  works    keras.layers.Dense  (line 12)\n" in capsys.readouterr().out


def test_json_has_all(tmp_path, capsys):
    path = written(tmp_path, "import keras\nkeras.layers.Dens\n")
    empty = written(tmp_path, "", "empty.py")
    assert cli.main(["check", "--json", path, empty]) == 1
    answer = json.loads(capsys.readouterr().out)
    [file] = answer["files"]
    assert file["path"] == path and not file["ok"]
    assert {"name": "keras.layers.Dens", "status": "unknown", "places": ["line 2"]}.items() <= file["names"][
        1
    ].items()
    assert answer["unreadable"] == [f"{empty}: the file is empty"]


def test_a_script_without_keras(tmp_path, capsys):
    assert cli.main(["check", written(tmp_path, "import os, sys\n")]) == 0
    assert "uses nothing of Keras or TensorFlow" in capsys.readouterr().out
    assert "keras" not in sys.modules
