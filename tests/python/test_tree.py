"""Properties of functions of nested structures."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnrs import tree

Point = namedtuple("Point", ["x", "y"])


def containers(inner: Any) -> Any:
    items = st.lists(inner, max_size=3)
    dicts = st.dictionaries(st.sampled_from("cab"), inner, max_size=3)
    return st.one_of(
        items,
        items.map(tuple),
        items.map(deque),
        st.tuples(inner, inner).map(lambda pair: Point(*pair)),
        dicts,
        dicts.map(OrderedDict),
        dicts.map(lambda d: defaultdict(list, d)),
    )


LEAVES = st.one_of(st.integers(), st.none(), st.text(max_size=2), st.sets(st.integers(), max_size=2))
STRUCTURES = st.recursive(LEAVES, containers, max_leaves=12)


@given(STRUCTURES)
def test_leaves_and_layout(structure):
    leaves = tree.flatten(structure)
    paths = tree.flatten_with_path(structure)
    assert [leaf for _, leaf in paths] == leaves
    for path, leaf in paths:
        part = structure
        for key in path:
            part = part[key]
        assert part is leaf
    packed = tree.pack_sequence_as(structure, leaves)
    assert packed == structure and repr(packed) == repr(structure)
    tree.assert_same_structure(structure, packed)
    tree.assert_same_paths(structure, tree.lists_to_tuples(structure))
    numbered = tree.map_structure(lambda leaf: (id(leaf),), structure)
    tree.map_structure_up_to(
        structure, lambda a, b: isinstance(b, tuple) or pytest.fail(), structure, numbered
    )
    assert tree.map_structure(lambda x: x, structure, none_is_leaf=False) == structure


@given(STRUCTURES)
def test_traversal(structure):
    down: list[Any] = []
    up: list[Any] = []
    assert tree.traverse(lambda part: down.append(part), structure) == structure
    assert tree.traverse(lambda part: up.append(part), structure, top_down=False) == structure
    assert len(down) == len(up) and down[0] is structure
    assert [part for part in down if not tree.is_nested(part)] == tree.flatten(structure)
    assert [part for part in up if not tree.is_nested(part)] == tree.flatten(structure)
    assert tree.traverse(lambda part: tree.MAP_TO_NONE, structure) is None


@pytest.mark.parametrize(
    "a, b",
    [([1], (1,)), ([1], [1, 2]), ({"a": 1}, {"b": 1}), ([1], 1), (Point(1, 2), (1, 2)), ([1], deque([1]))],
    ids=str,
)
def test_structures_that_differ(a, b):
    with pytest.raises(ValueError, match="one layout"):
        tree.assert_same_structure(a, b)
    if tree.is_nested(b) and len(a) == len(b) and not isinstance(a, dict):
        tree.assert_same_paths(a, b)
        assert tree.map_structure(lambda x, y: (x, y), a, b) is not None
    else:
        with pytest.raises(ValueError, match="paths"):
            tree.assert_same_paths(a, b)
        with pytest.raises(ValueError, match="expected"):
            tree.map_structure(lambda x, y: x, a, b)
        with pytest.raises(ValueError, match="expected"):
            tree.map_structure_up_to(a, lambda x: x, b)


def test_shapes():
    assert tree.map_shape_structure(tuple, [[1, None], {"a": (2, 3)}]) == [(1, None), {"a": (2, 3)}]
    with pytest.raises(ValueError, match="shapes"):
        tree.map_shape_structure(len, "a")
    with pytest.warns(DeprecationWarning, match="check_types"):
        tree.assert_same_structure([1], [2], check_types=False)
    for call in (lambda: tree.map_structure(len), lambda: tree.map_structure_up_to([], len)):
        with pytest.raises(ValueError, match="at least one structure"):
            call()
    with pytest.raises(ValueError, match="leaves"):
        tree.pack_sequence_as([0], [1, 2])


def test_keys_of_several_types_are_sorted_by_type_and_value():
    assert tree.flatten({"b": 1, 2: 2, "a": 3, 1: 4}) == [4, 2, 3, 1]
    assert tree.map_structure(lambda x: -x, {"b": 1, 2: 2}) == {"b": -1, 2: -2}
