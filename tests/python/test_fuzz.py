"""The fuzzer: a short run of it, that it finds faults, and that it knows every function and layer."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, ops

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import draw, excluded
from fuzz.__main__ import arguments, campaign, tiers
from fuzz.judge import Judge
from fuzz.program import Leaf, Program, Statement
from fuzz.table import Call, Ref, rows


@pytest.fixture(autouse=True)
def settings():
    """Programs set the precision and the number of threads of the process that runs them."""
    precision, threads = cnnrs.config.precision(), cnnrs.config.get_num_threads()
    yield
    cnnrs.config.set_precision(precision)
    cnnrs.config.set_num_threads(threads)


def test_programs_agree_with_float64(capfd):
    findings = campaign(arguments(["--programs", "80", "--seed", "7"]))
    assert findings == 0, capfd.readouterr().out


def test_a_wrong_function_is_found_and_the_program_made_small(capfd):
    options = [
        "--programs",
        "100",
        "--fault",
        "tanh",
        "--tiers",
        tiers()[0],
        "--findings",
        "1",
        "--shrink",
        "10",
    ]
    assert campaign(arguments(options)) == 1
    out = capfd.readouterr().out
    program = out[out.index("def program(") : out.index("results = []")]
    # As a function, or as the activation of a layer; that of recurrent layers unless another is given.
    assert any(word in out for word in ("ops.tanh(", "'tanh'", '"tanh"', "RNN", "LSTM", "GRU")), program
    assert program.count(" = ") <= 2, program


def test_an_abort_is_a_finding():
    judge = Judge([None], "abort:relu")
    programs = [p for p, _ in map(draw.program, range(200))]
    [verdict] = judge.check(next(p for p in programs if "ops.relu(" in p.text()))
    assert verdict.kind == "crash", verdict
    [verdict] = judge.check(next(p for p in programs if "relu" not in p.text().lower()))
    judge.close()
    assert verdict.kind == "ok", verdict


@pytest.mark.parametrize("row", ["ops.maximum|int", "ops.take"])
def test_integers_by_way_of_float32_are_found(row):
    program = Program(
        leaves={0: Leaf(1, (9,), "large", "int32"), 1: Leaf(2, (9,), 9, "int32")},
        statements=[Statement(row, Call([Ref(0), Ref(1)]), [2])],
        outputs=[2],
    )
    kinds = []
    for fault in (None, f"float32:{rows()[row].public.removeprefix('ops.')}"):
        judge = Judge([None], fault)
        kinds += [verdict.kind for verdict in judge.check(program)]
        judge.close()
    assert kinds == ["ok", "value"]


def test_the_same_seed_draws_the_same_program():
    texts = [draw.program(seed)[0].text() for seed in range(30)]
    assert texts == [draw.program(seed)[0].text() for seed in range(30)]
    assert len(set(texts)) == 30


@pytest.mark.parametrize("seed", range(5))
def test_a_printed_program_runs_alone(seed):
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        # As where programs run: a drawn softmax over one element is warned of, rightly.
        warnings.simplefilter("ignore")
        exec(compile(draw.program(seed)[0].text(run=False), "program", "exec"), names)
    assert names["results"]


def _public(module: str) -> set[str]:
    return set(sys.modules[module].__all__)


def test_every_function_and_layer_is_in_the_table():
    known = {row.public for row in rows().values()}
    parts = ["activation", "arithmetic", "arrays", "bits", "blocks", "classification", "comparisons"]
    parts += ["complex_pairs", "contraction", "control", "convolution", "core", "creation", "ctc"]
    parts += ["custom_gradients", "distances", "einops", "exponentials", "factorization", "forward_mode"]
    parts += [
        "fourier",
        "indexing",
        "joining",
        "matrix_products",
        "movement",
        "nans",
        "normalization",
        "parts",
    ]
    parts += ["piecewise", "pooling", "products", "quality", "quantiles", "reductions", "rounding"]
    parts += ["scans", "scattering", "shapes", "sorting", "spaces", "special", "trigonometry", "windows"]
    functions = {name for part in parts for name in _public(f"cnnrs.ops.{part}")}
    missing = {name for name in functions - excluded.OPS.keys() if f"ops.{name}" not in known}
    missing |= {
        name
        for name in set(ops.image.__all__) - excluded.IMAGE_OPS.keys()
        if f"ops.image.{name}" not in known
    }
    missing |= {
        name for name in set(layers.__all__) - excluded.LAYERS.keys() if f"layers.{name}" not in known
    }
    assert not missing
    assert not excluded.OPS.keys() - functions
    assert not excluded.LAYERS.keys() - set(layers.__all__)


def test_unconnected_gradients_are_zeros_for_infinite_sources():
    x, y = cnnrs.Variable([np.inf, np.nan, 1.0]), cnnrs.Variable(2.0)
    with cnnrs.GradientTape() as tape:
        z = y * y
    assert tape.gradient(z, x, unconnected_gradients="zero").tolist() == [0.0, 0.0, 0.0]


def test_in_top_k_of_infinite_scores():
    scores = np.array([[np.inf, 1.0, -np.inf]], np.float32)
    assert [bool(ops.in_top_k([k], scores, 1)[0]) for k in range(3)] == [True, False, False]


@pytest.mark.parametrize("options", [{}, {"max_value": 6.0}, {"max_value": 5.0}, {"threshold": 0.5}])
def test_relu_keeps_nan(options):
    assert np.isnan(layers.ReLU(**options)(np.array([np.nan], np.float32)).numpy()).all()
