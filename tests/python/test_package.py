"""Size of the wheel, time of the import, and what an import may do."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cnnrs
from cnnrs import _core

ROOT = Path(__file__).parents[2]
MIB = 1 << 20


def test_wheel_size_and_content(capsys):
    wheels = sorted((ROOT / "dist").glob("cnnrs-*.whl"))
    if not wheels:
        pytest.skip("no wheel in dist/; `make wheel` builds one")
    (wheel,) = wheels
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.compress_size for entry in archive.infolist()}
    data = sum(size for name, size in sizes.items() if "/datasets/data/" in name)
    total = wheel.stat().st_size
    with capsys.disabled():
        print(f"\nwheel: {total / MIB:.2f} MiB, {(total - data) / MIB:.2f} MiB without the data")
    assert total <= 20 * MIB
    assert total - data <= 8 * MIB
    assert "cnnrs/_core.pyi" in sizes and "cnnrs/py.typed" in sizes
    assert "cnnrs/datasets/data/mnist/README.md" in sizes
    assert sum(name.endswith((".so", ".pyd")) for name in sizes) == 1
    licences = {Path(name).name for name in sizes if ".dist-info/" in name}
    assert {"LICENSE-MIT", "LICENSE-APACHE", "THIRD_PARTY_NOTICES"} <= licences
    # It would differ from build to build.
    assert not any("/sboms/" in name for name in sizes)


def test_the_size_of_the_wheel_is_that_of_the_readme(capsys):
    """Of the installed files, packed as a wheel is."""
    package = Path(_core.__file__).parent
    files = [file for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    data = [file for file in files if file.is_relative_to(package / "datasets" / "data")]
    metadata = [file for file in importlib.metadata.files("cnnrs") or () if ".dist-info" in file.parts[0]]
    files += [Path(file.locate()) for file in metadata]

    def size(files: list[Path]) -> float:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file)
        return len(packed.getvalue()) / MIB

    found = size(files), size(data)
    with capsys.disabled():
        print(f"\ninstalled files, packed: {found[0]:.2f} MiB, {found[1]:.2f} of which are MNIST")
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    stated = re.search(r"the wheel is ([\d.]+) MiB, ([\d.]+) of which are MNIST", text)
    assert stated
    # Another compiler or compression makes up for less than that.
    assert [float(number) for number in stated.groups()] == pytest.approx(found, rel=0.02)


def test_the_notices_are_those_of_the_crates_that_are_linked():
    check = [sys.executable, str(ROOT / "packaging" / "notices.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_notices_name_each_crate_whose_paths_are_in_the_extension_module():
    """Panics bear the path of their source, and so tell of crates without cargo."""
    content = Path(_core.__file__).read_bytes()
    paths = re.findall(rb"([\w-]+)[\\/]([\w-]+)-(\d+\.\d+\.\d+[\w.+-]*)[\\/]src[\\/]", content)
    # Those of the standard library's own crates begin with /rust/deps.
    crates = {f"{name.decode()} {version.decode()}" for folder, name, version in paths if folder != b"deps"}
    assert {"pyo3", "numpy", "ndarray"} <= {crate.split()[0] for crate in crates}
    text = (ROOT / "THIRD_PARTY_NOTICES").read_text("utf-8")
    named = {line.partition(":")[0] for line in text.splitlines()}
    assert not crates - named
    assert "Rust standard library" in text


def test_a_linked_crate_that_the_metadata_lacks_is_an_error(monkeypatch):
    spec = importlib.util.spec_from_file_location("notices", ROOT / "packaging" / "notices.py")
    notices = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notices)
    package = {"name": "itoa", "version": "1.0.19"}
    answers = {"tree": "cnnrs v0.1.0 (/)\nitoa v1.0.19\npyo3 v0.30.1 (*)\n"}
    answers["metadata"] = json.dumps({"packages": [package]})
    monkeypatch.setattr(notices, "cargo", lambda command, *_: answers[command])
    with pytest.raises(LookupError, match=r"pyo3 0\.30\.1$"):
        notices.linked()
    answers["tree"] = "cnnrs v0.1.0 (/)\nitoa v1.0.19\n"
    assert notices.linked() == [package]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_time(capsys):
    """The best of several fresh processes: the first ones read from disk."""
    code = "import time; t = time.perf_counter(); import cnnrs; print(time.perf_counter() - t)"
    best = min(float(run_python(code)) for _ in range(7))
    with capsys.disabled():
        print(f"\nimport cnnrs: {best * 1e3:.0f} ms")
    assert best <= 0.15


def test_dir_lists_what_is_public():
    cnnrs.Model  # noqa: B018 loads modules that are not public
    assert {name for name in dir(cnnrs) if not name.startswith("__")} == set(cnnrs.__all__) - {"__version__"}


@pytest.mark.parametrize(
    "package",
    ["activations", "applications", "applications.torchvision", "layers", "layers.blocks", "optimizers"]
    + ["layers.activation", "layers.attention", "layers.augmentation", "layers.normalization"]
    + ["layers.pooling", "recipes", "runs"],
)
def test_dir_lists_what_is_not_loaded_yet(package):
    code = f"import importlib\nm = importlib.import_module('cnnrs.{package}')\n"
    assert run_python(code + "print(sorted(set(m.__all__) - set(dir(m))))").strip() == "[]"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_import_starts_no_thread():
    """numpy's own threads, which its BLAS starts, are counted before."""
    code = (
        "import os, numpy\n"
        "count = lambda: len(os.listdir('/proc/self/task'))\n"
        "before = count()\n"
        "import cnnrs._core, cnnrs.layers\n"
        "print(count() - before)\n"
    )
    assert int(run_python(code)) == 0


def test_import_needs_numpy_only():
    """Modules that are neither cnnrs's, numpy's nor the standard library's."""
    code = (
        "import sys, cnnrs\n"
        "top = {name.partition('.')[0] for name in sys.modules}\n"
        "known = set(sys.stdlib_module_names) | {'cnnrs', 'numpy', '__main__'}\n"
        "print(*sorted(name for name in top - known if not name.startswith('_')))\n"
    )
    foreign = set(run_python(code).split()) - {"sitecustomize", "usercustomize"}
    assert not foreign


def test_layers_that_are_loaded_late_are_known_to_type_checkers():
    """The table of `layers/__init__.py` and its imports for type checkers name the same classes."""
    from cnnrs import layers

    tree = ast.parse(Path(layers.__file__).read_text())
    checked = {
        (node.module, alias.name)
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    table = {
        (f"cnnrs.layers.{module}", name) for module, names in layers._LATE.items() for name in names.split()
    }
    assert checked == table
    assert all(getattr(layers, name).__name__ == name for _, name in table)
