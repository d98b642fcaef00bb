"""`plot_model` and `model_to_dot`: which boxes and edges there are, and that nothing overlaps."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnrs
from cnnrs import layers, utils
from cnnrs.utils.layered import place

NAMESPACE = "{http://www.w3.org/2000/svg}"


def model() -> cnnrs.Model:
    inner = cnnrs.Sequential(
        [cnnrs.Input((8,), name="inner_input"), layers.Dense(8, name="inside")], name="block"
    )
    inner.trainable = False
    a, b = cnnrs.Input((8,), name="a"), cnnrs.Input((8,), name="b")
    x = layers.Add(name="both")([inner(layers.Dense(8, activation="relu", name="first")(a)), b])
    x = layers.Concatenate(name="skip")([x, a]) * 2.0
    return cnnrs.Model([a, b], [layers.Dense(2, name="left")(x), layers.Dense(3, name="<right>")(x)])


def texts(svg: str) -> list[str]:
    return [str(node.text) for node in ElementTree.fromstring(svg).iter(f"{NAMESPACE}text")]


def edges(svg: str) -> int:
    return len(
        [1 for node in ElementTree.fromstring(svg).iter(f"{NAMESPACE}path") if "marker-end" in node.attrib]
    )


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
@pytest.mark.parametrize("splines", ["ortho", "curved", "line"])
def test_boxes_and_edges(rankdir, splines):
    plain = utils.plot_model(model(), None, rankdir=rankdir, splines=splines).svg
    assert sorted(texts(plain)) == sorted(
        ["InputLayer"] * 2 + ["Dense"] * 3 + ["Sequential", "Add", "Concatenate", "multiply"]
    )
    assert edges(plain) == 9
    named = utils.plot_model(model(), None, show_layer_names=True, expand_nested=True, rankdir=rankdir).svg
    assert {"first (Dense)", "inside (Dense)", "inner_input (InputLayer)", "block", "<right> (Dense)"} <= set(
        texts(named)
    )
    assert "block (Sequential)" not in texts(named) and edges(named) == 10


def test_what_boxes_show():
    drawn = utils.plot_model(
        model(), None, True, True, True, show_layer_activations=True, show_trainable=True, expand_nested=True
    )
    shown = texts(drawn.svg)
    assert {"input: (None, 16)", "output: (None, 3)", "dtype: float32", "activation: relu"} <= set(shown)
    assert shown.count("not trainable") == 1 and shown.count("trainable") == 3
    assert drawn._repr_svg_() == drawn.svg


GRAPHS = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(st.integers(5, 200), st.integers(5, 90)), min_size=n, max_size=n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] != e[1])),
    )
)


@given(GRAPHS)
def test_boxes_do_not_overlap(graph):
    sizes, arrows = graph
    layout = place(sizes, arrows)
    for (x, y), (w, h) in zip(layout.centres, sizes, strict=True):
        assert -0.01 <= x - w / 2 and x + w / 2 <= layout.size[0] + 0.01
        assert -0.01 <= y - h / 2 and y + h / 2 <= layout.size[1] + 0.01
    for a, b in combinations(range(len(sizes)), 2):
        (ax, ay), (bx, by) = layout.centres[a], layout.centres[b]
        apart = (
            abs(ax - bx) >= (sizes[a][0] + sizes[b][0]) / 2 or abs(ay - by) >= (sizes[a][1] + sizes[b][1]) / 2
        )
        assert apart
    for (a, b), route in zip(arrows, layout.routes, strict=True):
        assert (route[0], route[-1]) == (layout.centres[a], layout.centres[b])
        if a < b:
            assert layout.centres[a][1] < layout.centres[b][1]


def test_files(tmp_path):
    path = tmp_path / "model.svg"
    drawn = utils.plot_model(model(), path, show_shapes=True)
    assert path.read_text(encoding="utf-8") == drawn.svg
    try:
        import cairosvg  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"there is no CairoSVG, or no cairo: {error}")
    sizes = []
    for dpi in (96, 192):
        utils.plot_model(model(), tmp_path / "model.png", dpi=dpi)
        data = (tmp_path / "model.png").read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        sizes.append(int.from_bytes(data[16:20], "big"))
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=2)
    utils.plot_model(model(), tmp_path / "model.pdf")
    assert (tmp_path / "model.pdf").read_bytes()[:5] == b"%PDF-"


def test_a_graph_for_graphviz():
    pydot = pytest.importorskip("pydot")
    dot = utils.model_to_dot(model(), expand_nested=True, show_shapes=True, rankdir="LR")
    text = dot.to_string()
    assert isinstance(dot, pydot.Dot) and "rankdir=LR" in text
    assert len(re.findall("->", text)) == 10 and "cluster_block" in text and r"\<right\>" in text
    assert isinstance(utils.model_to_dot(model(), subgraph=True), pydot.Cluster)


class Own(cnnrs.Model):
    def __init__(self):
        super().__init__(name="own")
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def test_models_without_a_graph():
    own = Own()
    with pytest.raises(ValueError, match="built"):
        utils.plot_model(own, None)
    own(cnnrs.ops.ones((1, 2)))
    assert texts(utils.plot_model(own, None, show_layer_names=True).svg) == ["own (Own)"]


def test_errors(monkeypatch, tmp_path):
    for arguments, message in (
        ({"to_file": "model.gif"}, "to_file.*gif"),
        ({"to_file": None, "rankdir": "XX"}, "rankdir.*XX"),
        ({"to_file": None, "splines": "wavy"}, "splines.*wavy"),
        ({"to_file": None, "dpi": 0}, "dpi"),
    ):
        with pytest.raises(ValueError, match=message):
            utils.plot_model(model(), **arguments)
    with pytest.raises(TypeError, match="layer_range"):
        utils.plot_model(model(), None, layer_range=["a", "b"])
    for name, call in (
        ("cairosvg", lambda: utils.plot_model(model(), tmp_path / "x.png")),
        ("pydot", lambda: utils.model_to_dot(model())),
    ):
        monkeypatch.setitem(__import__("sys").modules, name, None)
        with pytest.raises(ImportError, match=r"cnnrs\[plot\]"):
            call()
