"""`python -m cnnrs.keras`: scripts written for Keras run as they are."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import cnnrs
from cnnrs import config
from cnnrs import keras as namespace
from cnnrs.keras import aliases, paths

PUBLIC = json.loads((Path(__file__).parents[1] / "fixtures" / "keras_public_names.json").read_text())


def run(*arguments, text=None, env=None, cwd=None):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "cnnrs.keras", *map(str, arguments)],
        capture_output=True,
        text=True,
        input=text,
        timeout=120,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(cnnrs.__file__).parents[1]), **(env or {})},
    )


def script(folder, text, name="script.py"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def installed():
    aliases.install(quiet=True)
    yield
    aliases.uninstall()


IMPORTS = """
import importlib
import importlib.util
import os
import sys
import cnnrs
import keras
import keras.layers as L
import keras.optimizers.schedules as schedules
import tensorflow as tf
import tensorflow.keras as tk
import tensorflow.keras.backend as K
from keras.datasets import mnist
from tensorflow import keras as keras_of_tf
from tensorflow.keras.applications.resnet50 import ResNet50
from tensorflow.keras.layers import Conv2D as C
import tf_keras
import keras.api.ops as api_ops
assert keras is keras_of_tf is tk is tf_keras is tf.keras is cnnrs.keras
assert keras.layers is L is cnnrs.layers is tf.keras.layers is sys.modules["tensorflow.keras.layers"]
assert C is cnnrs.layers.Conv2D and schedules is cnnrs.optimizers.schedules
assert importlib.import_module("keras.losses") is cnnrs.losses and api_ops is cnnrs.ops
assert importlib.util.find_spec("keras.metrics") is not None
assert mnist is cnnrs.datasets.mnist and ResNet50 is cnnrs.applications.ResNet50
assert keras.__version__.startswith("3.") and tf.__version__.startswith("2.")
assert keras.backend.backend() == K.backend() == "tensorflow" and cnnrs.backend is keras.backend
assert cnnrs.layers.__spec__.name == "cnnrs.layers"
assert float(tf.reduce_sum(keras.ops.ones((2, 3)))) == 6
print("fine", sys.argv[1:], __name__, os.path.basename(__file__))
"""


def test_every_way_to_import_gives_cnnrs(tmp_path):
    done = run(script(tmp_path, IMPORTS), "a", "--b")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "fine ['a', '--b'] __main__ script.py\n"
    version = cnnrs.__version__
    assert done.stderr == f"cnnrs {version} gives keras and tensorflow to script.py\n"
    assert run("-q", script(tmp_path, "import keras")).stderr == ""


def test_modules_are_those_of_keras():
    assert paths.MODULES == {name for name, kind in PUBLIC.items() if kind == "module"}
    assert not paths.MODULES & paths.FORMER.keys()


@pytest.mark.parametrize("module", sorted(paths.MODULES))
def test_each_module_of_keras_is_there_or_says_why_not(installed, module):
    try:
        found = importlib.import_module(f"keras.{module}")
    except ModuleNotFoundError as error:
        assert "which Keras has: " in str(error)
    else:
        assert found is aliases.find(f"keras.{module}")
        assert found.__name__.startswith("cnnrs.") and found.__spec__.name.startswith("cnnrs.")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keras.src.layers", "keras.src is not public; import from keras"),
        ("tensorflow.python.keras", "tensorflow.python is not public; import from tensorflow"),
        ("keras.layers.convolutional", "import from keras.layers"),
        ("keras.utils.np_utils", "to_categorical"),
        ("keras.lyers", "did you mean 'keras.layers'?"),
        ("keras.layers.Dense", "no module keras.layers.Dense"),
        ("tensorflow.keras.aliases", "no module keras.aliases"),
        ("tensorflow.nothing_of_the_kind", "tensorflow.nothing_of_the_kind"),
        ("tensorflow.reduce_sum", "is no module"),
    ],
)
def test_what_is_no_module_says_so(installed, name, text):
    with pytest.raises(ModuleNotFoundError, match="in cnnrs: ") as caught:
        importlib.import_module(name)
    # A parent that is missing is named in the place of its child, as Python does.
    assert text in str(caught.value) and name.startswith(caught.value.name)
    assert name not in sys.modules


@pytest.mark.parametrize("name", ["tensorflow_datasets", "keras_cv", "tensorflow_addons", "tensorflow_hub"])
def test_other_packages_are_not_pretended(installed, name):
    assert name not in aliases.ROOTS
    if importlib.util.find_spec(name) is None:
        with pytest.raises(ModuleNotFoundError, match=f"No module named '{name}'"):
            importlib.import_module(name)


def test_uninstalling_undoes_all():
    aliases.install(quiet=True)
    assert importlib.import_module("keras.layers") is cnnrs.layers and config.backend() == "tensorflow"
    aliases.install(quiet=True)
    aliases.uninstall()
    aliases.uninstall()
    assert not aliases.is_installed() and config.backend() == "cnnrs"
    assert not {name.split(".")[0] for name in sys.modules} & aliases.ROOTS.keys()


@pytest.mark.parametrize("name", ["keras", "tensorflow", "tf_keras"])
def test_a_loaded_keras_is_refused(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(__file__="/somewhere/keras.py"))
    with pytest.raises(ImportError, match=f"{name} is loaded already, from /somewhere/keras.py"):
        aliases.install()
    assert not aliases.is_installed()


def test_the_command_refuses_a_loaded_keras(tmp_path):
    script(
        tmp_path, "import sys, types\nsys.modules['keras'] = types.ModuleType('keras')\n", "sitecustomize.py"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(cnnrs.__file__).parents[1])])
    done = run("-c", "print('ran')", env={"PYTHONPATH": path})
    assert done.returncode == 1 and done.stdout == "" and "keras is loaded already" in done.stderr


def test_a_notebook_loads_and_unloads(capsys):
    assert namespace.load_ipython_extension(None) is None
    assert importlib.import_module("tensorflow.keras").layers is cnnrs.layers
    namespace.unload_ipython_extension(None)
    assert not aliases.is_installed()
    captured = capsys.readouterr()
    assert captured.out == "" and "gives keras and tensorflow to this notebook" in captured.err


def test_the_backend_that_a_script_asks_for_is_named_once(tmp_path):
    text = "import os\nos.environ['KERAS_BACKEND'] = 'jax'\nimport keras\nfrom keras import layers\n"
    done = run(script(tmp_path, text))
    assert done.returncode == 0 and done.stderr.count("KERAS_BACKEND=jax changes nothing") == 1
    assert run("-q", script(tmp_path, text)).stderr == ""


def test_tracebacks_show_the_lines_of_the_script_alone(tmp_path):
    text = "import keras\n\n\ndef f():\n    return 1 / 0\n\n\nf()\n"
    path = script(tmp_path, text)
    ours = run("-q", path)
    python = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""}
    )
    assert ours.returncode == 1
    path.write_text(text.replace("import keras\n", "\n"))
    python = subprocess.run([sys.executable, path], capture_output=True, text=True)
    assert ours.stderr == python.stderr and "ZeroDivisionError" in ours.stderr


@pytest.mark.parametrize(
    ("text", "status", "stderr"),
    [
        ("import sys\nsys.exit(7)", 7, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit('bye')", 1, "bye"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
        ("def f(:\n", 1, "SyntaxError"),
        (
            "import sys\nsys.excepthook = lambda *e: print('hook', e[0].__name__, file=sys.stderr)\n1/0",
            1,
            "hook Zero",
        ),
        ("import atexit\natexit.register(print, 'at the end')", 0, ""),
    ],
)
def test_exit_codes_are_those_of_python(tmp_path, text, status, stderr):
    done = run("-q", script(tmp_path, text))
    assert done.returncode == status
    assert stderr in done.stderr and "running.py" not in done.stderr
    assert ("at the end" in done.stdout) == ("atexit" in text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "from keras.optimizers import Adm",
            "from 'keras.optimizers': cnnrs.optimizers has no 'Adm'; did you",
        ),
        ("from tensorflow.keras.utils import np_utils", "'keras.utils': Keras 3 has no module"),
        (
            "from tensorflow import Session",
            "from 'tensorflow': tf has no 'Session': it belongs to TensorFlow 1",
        ),
        ("from numpy import nothing", "from 'numpy' ("),
        ("from cnnrs.tape import nothing", "from 'cnnrs.tape' ("),
    ],
)
def test_names_that_are_not_there_to_import_say_why(tmp_path, text, said):
    done = run("-q", script(tmp_path, text))
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.startswith("ImportError: cannot import name") and said in last


def test_code_modules_folders_archives_and_stdin_run(tmp_path):
    package = tmp_path / "app"
    package.mkdir()
    say = "import keras, sys\nprint('{}', __name__, sys.argv[1:], sys.path[0])\n"
    script(package, "", "__init__.py")
    script(package, say.format("package"), "__main__.py")
    script(package, say.format("module"), "part.py")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", say.format("zip"))
    for arguments, name, first in [
        (["-c", say.format("code"), "x"], "code", ""),
        (["-m", "app", "x"], "package", str(tmp_path)),
        (["-m", "app.part", "x"], "module", str(tmp_path)),
        (["app", "x"], "package", "app"),
        (["app.zip", "x"], "zip", "app.zip"),
        (["-", "x"], "stdin", ""),
    ]:
        done = run("-q", *arguments, text=say.format("stdin"), cwd=tmp_path)
        assert done.stdout == f"{name} __main__ ['x'] {first}\n", (arguments, done.stderr)


def test_the_first_path_is_the_folder_of_the_script(tmp_path):
    script(tmp_path, "value = 5\n", "beside.py")
    path = script(tmp_path, "import sys, beside\nprint(beside.value, sys.path[0])\n")
    (tmp_path / "links").mkdir()
    os.symlink(path, tmp_path / "links" / "link.py")
    for given in (path, tmp_path / "links" / "link.py"):
        assert run("-q", given, cwd="/").stdout == f"5 {tmp_path.resolve()}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "expected a script"),
        (["-m"], "expected a module after -m"),
        (["-c"], "expected code after -c"),
        (["--fast", "x.py"], "unknown option --fast"),
        (["none.py"], "cannot read 'none.py': No such file"),
        (["-m", "no_such_module"], "cannot find the module 'no_such_module'"),
        (["."], "cannot find __main__ in '.'"),
    ],
)
def test_what_is_no_program_is_named(tmp_path, arguments, text):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and text in done.stderr and "Traceback" not in done.stderr


CHILDREN = """
import multiprocessing
import pickle
import keras
from tensorflow.keras import layers


class Point:
    def __init__(self, x):
        self.x = x


def work(point):
    import keras.ops
    return Point(float(keras.ops.sum(keras.ops.ones((point.x,))))), keras.__name__


if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(Point(3))).x == 3
    for method in {methods}:
        with multiprocessing.get_context(method).Pool(1) as pool:
            [(point, name)] = pool.map(work, [Point(4)])
        print(method, type(point) is Point, point.x, name)
"""


@pytest.mark.skipif(os.name != "posix", reason="ways to start a process of POSIX")
def test_children_find_the_same_packages(tmp_path):
    methods = ["fork", "spawn", "forkserver"]
    done = run("-q", script(tmp_path, CHILDREN.replace("{methods}", str(methods))))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{method} True 4.0 cnnrs.keras" for method in methods]


def test_the_help_says_what_there_is():
    done = run("-h")
    assert done.returncode == 0 and "cnnrs check" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
