"""`ops.einsum` against numpy's, over drawn subscripts, and its gradient, dtypes and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnrs
from cnnrs import Input, ops
from cnnrs.ops import contraction

pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")

NAMED = """
ij,jk->ik ij,kj->ki ij,jk ii ii->i iij->j ij->ji ij-> i,j->ji ij,ij-> bij,bjk->bki bij,bkj->bik bi,bi->b
bij,bj->bi abc,cde->abde abc,acde->bde aecd,abcd->acbe acbe,aecd->abcd ...ij,...jk->...ik
i...,...j->i...j ...ij->...ji i...->... ij,jk,kl->il ab,bc,cd,de->ae bqhd,bkhd->bhqk ijk,ijl,ijm->klm
iji,j->ij ,ij->ji a,b,c->cab ij,j,k->k i,i,i->i ij,jk->i
""".split()


def drawn(subscripts: str, seed: int = 0, dtype: str = "float32") -> list[np.ndarray]:
    """Operands whose letters have extents 2 to 4; "..." stands for the last one or two of the axes (3, 2)."""
    rng = np.random.default_rng(seed)
    size = {letter: 2 + int(rng.integers(3)) for letter in sorted(set(subscripts)) if letter.isalpha()}
    arrays = []
    for spec in subscripts.replace(" ", "").split("->")[0].split(","):
        before, dots, after = spec.partition("...")
        hidden = [3, 2][int(rng.integers(2)) :] if dots else []
        arrays.append(rng.normal(size=[*map(size.get, before), *hidden, *map(size.get, after)]).astype(dtype))
    return arrays


@st.composite
def subscripts(draw) -> str:
    letters = st.text("abcd", max_size=4)
    specs = draw(st.lists(letters, min_size=1, max_size=4))
    dots = draw(st.booleans())
    if dots:
        specs = [spec[: len(spec) // 2] + "..." + spec[len(spec) // 2 :] for spec in specs]
    if draw(st.booleans()):
        return ",".join(specs)
    used = sorted(set("".join(specs)) - {"."})
    kept = draw(st.permutations(used))[: draw(st.integers(0, len(used)))]
    return ",".join(specs) + "->" + ("..." if dots else "") + "".join(kept)


def check(text: str, arrays: list[np.ndarray]) -> None:
    expected = np.einsum(text, *[x.astype(np.float64) for x in arrays])
    result = ops.einsum(text, *arrays).numpy()
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("text", NAMED)
def test_named_sums_are_numpys(text):
    check(text, drawn(text))


@settings(max_examples=150, deadline=None)
@given(subscripts(), st.integers(0, 99))
def test_drawn_sums_are_numpys(text, seed):
    check(text, drawn(text, seed))


def test_extents_of_1_broadcast():
    a, b = np.ones((3, 1), np.float32), np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(ops.einsum("ij,jk->ik", a, b).numpy(), np.tile(b.sum(0), (3, 1)))
    assert ops.einsum("...i,...i->...i", np.ones((3, 1, 2)), np.ones((4, 2))).shape == (3, 4, 2)


@pytest.mark.parametrize(
    "text", ["ij,jk->ki", "iij,jk->ik", "bqhd,bkhd->bhqk", "ij,jk,kl->il", "ij,k->j", "...i,i"]
)
def test_gradients_are_einsums_themselves(text):
    arrays = drawn(text)
    variables = [cnnrs.Variable(x) for x in arrays]
    with cnnrs.GradientTape() as tape:
        loss = ops.sum(ops.square(ops.einsum(text, *variables)))
    grads = [g.numpy() for g in tape.gradient(loss, variables)]
    for i, x in enumerate(arrays):
        direction = np.random.default_rng(i).normal(size=x.shape)
        wide = [a.astype(np.float64) for a in arrays]

        def loss_at(step, i=i, wide=wide, direction=direction):
            moved = [a + step * direction if j == i else a for j, a in enumerate(wide)]
            return np.sum(np.einsum(text, *moved) ** 2)

        slope = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5
        np.testing.assert_allclose(np.sum(grads[i] * direction), slope, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("text, moves", [
    ("abc,cde->abde", 0), ("bij,bjk->bik", 0), ("bij,bkj->bik", 0), ("ij,kj->ki", 0), ("bqhd,bkhd->bhqk", 2),
    ("ij,jk,kl->il", 0),
])  # fmt: skip
def test_sums_are_matrix_products_that_move_little(text, moves, monkeypatch):
    """Nothing else computes, and operands that lie well are not transposed."""
    recorded = []

    def apply(name, *inputs, **attributes):
        recorded.append((name, attributes))
        return contraction_apply(name, *inputs, **attributes)

    contraction_apply = contraction.apply
    monkeypatch.setattr(contraction, "apply", apply)
    arrays = drawn(text)
    ops.einsum(text, *arrays)
    names = [name for name, _ in recorded]
    assert names.count("matmul") == len(arrays) - 1
    assert set(names) <= {"matmul", "reshape", "transpose"}
    moved = [a["perm"] for name, a in recorded if name == "transpose" and a["perm"] != sorted(a["perm"])]
    assert len(moved) == moves


@pytest.mark.parametrize("dtypes, expected", [
    (("int32", "int32"), "int32"), (("uint8", "uint8"), "uint8"), (("int8", "int8"), "int32"),
    (("bool", "bool"), "bool"),
    (("float16", "float16"), "float16"), (("float16", "bfloat16"), "float32"),
    (("int32", "float16"), "float16"),
])  # fmt: skip
@pytest.mark.parametrize("text", ["ij,jk->ik", "ij,ij->", "i,j->ij"])
def test_dtypes_are_those_of_products(text, dtypes, expected):
    a, b = (ops.cast(x > 0, dtype) for x, dtype in zip(drawn(text), dtypes, strict=True))
    result = ops.einsum(text, a, b)
    assert result.dtype == expected
    exact = np.einsum(text, *(np.asarray(ops.cast(x, "float32")) for x in (a, b)))
    np.testing.assert_array_equal(
        ops.cast(result, "float32").numpy(), exact > 0 if expected == "bool" else exact
    )


def test_numbers_are_operands():
    assert ops.einsum(",ij", 5, np.ones((2, 3), np.float32)).numpy().tolist() == [[5.0] * 3] * 2
    assert ops.einsum(",i", 2.0, ops.ones((2,), "float16")).dtype == "float16"


def test_symbolic_batch():
    x = Input((3, 4))
    assert ops.einsum("bij,jk->bik", x, np.ones((4, 7))).shape == (None, 3, 7)
    assert ops.einsum("...j,jk->...k", x, np.ones((4, 7))).shape == (None, 3, 7)
    model = cnnrs.Model(x, ops.einsum("bij,bkj->bik", x, x))
    data = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(model.predict(data, verbose=0), data @ data.swapaxes(1, 2), atol=1e-5)


@pytest.mark.parametrize("text, shapes", [
    ("ij,jk->ik", [(2, 3)]), ("ijk,jk->ik", [(2, 3), (3, 4)]), ("ij->ii", [(2, 2)]), ("ij->ik", [(2, 2)]),
    ("ij,jk->ik", [(2, 3), (4, 2)]), ("i j;->", [(2, 3)]), ("ij->i->j", [(2, 3)]), ("...i...", [(2, 3)]),
    ("ii", [(2, 3)]),
])  # fmt: skip
def test_what_does_not_fit_is_refused(text, shapes):
    with pytest.raises(ValueError, match="einsum: (subscripts|operands)"):
        ops.einsum(text, *(np.ones(shape) for shape in shapes))


def test_other_arguments_are_refused():
    with pytest.raises(TypeError, match="optimise"):
        ops.einsum("i", [1.0], optimise=True)
    with pytest.raises(TypeError, match="subscripts"):
        ops.einsum([1.0], "i")
