"""Files of weights as nested dicts, to look at and to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs.base.arguments import file_path
from cnnrs.base.dtypes import is_number
from cnnrs.saving.contents import Contents, contents_of, describe
from cnnrs.saving.generators import GROUP
from cnnrs.saving.keras_weights import state_group
from cnnrs.serialization import hdf5
from cnnrs.serialization.formats import check_weights_path
from cnnrs.serialization.hdf5 import Group

__all__ = ["KerasFileEditor"]


class KerasFileEditor:
    """Shows and changes the weights in a file of Keras, for a model whose architecture has changed.

    Args:
        filepath: A ".keras" or ".weights.h5" file.

    Attributes:
        weights_dict: The weights: nested dicts by the paths of layers.
        config: The description of the model; None for weights alone.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((3,)), cnnrs.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.weights.h5")
    ...     model.save_weights(path)
    ...     editor = cnnrs.saving.KerasFileEditor(path)
    ...     editor.rename_object("dense", "dense_1")
    ...     editor.add_object("layers/dense", {"0": np.zeros((4, 3))})
    ...     editor.save(path)
    ...     sorted(cnnrs.saving.KerasFileEditor(path).weights_dict["layers"])
    ['dense', 'dense_1']
    """

    def __init__(self, filepath: Any):
        self.filepath = file_path(filepath, "KerasFileEditor")
        if not self.filepath.endswith((".keras", ".weights.h5")):
            raise ValueError(
                f"KerasFileEditor: filepath: Invalid filename: expected a path ending in '.keras' or "
                f"'.weights.h5', received {self.filepath!r}"
            )
        self._contents = contents_of(self.filepath)
        self.config = self._contents.config
        self.weights_dict = _as_dict(self._contents.root)

    def summary(self) -> None:
        """Prints what the file holds, with the changes made to it."""
        print(describe(Contents(*self._contents[:3], _as_group(self.weights_dict))))

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Prints where the file and a model differ.

        Args:
            reference_model: A built model.

        Returns:
            `status`, "success" or "error"; `error_count`, the differences; `match_count`, the weights
            that fit.
        """
        own, other = self.weights_dict, _as_dict(state_group(reference_model))
        errors = [*_absent(other, own, "the file"), *_absent(own, other, "the model")]
        matches = 0
        for path, value in _leaves(other):
            found = _at(own, path)
            if found is None or isinstance(found, dict):
                continue
            if np.shape(found) == np.shape(value):
                matches += 1
            else:
                errors.append(f"{path}: shape {np.shape(found)} in the file, {np.shape(value)} in the model")
        print("\n".join([*errors, f"{len(errors)} differences, {matches} weights fit"]))
        status = "error" if errors else "success"
        return {"status": status, "error_count": len(errors), "match_count": matches}

    def _place(self, name: str) -> tuple[dict[str, Any], str]:
        """The dict around an object, and its name there.

        Raises:
            ValueError: There is none of this name or path, or there are several of this name.
        """
        *around, last = name.split("/")
        found = [self.weights_dict]
        if around:
            place = _at(self.weights_dict, "/".join(around))
            found = [place] if isinstance(place, dict) else []
        else:
            found = list(_dicts(self.weights_dict))
        found = [place for place in found if last in place]
        if not found:
            raise ValueError(f"KerasFileEditor: {name!r} not found in model; summary() lists what is there")
        if len(found) > 1:
            raise ValueError(f"KerasFileEditor: {name!r} occurs more than once; give the whole path")
        return found[0], last

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Gives an object another name.

        Args:
            object_name: Its name, if it occurs once, or its path.
            new_name: The name, without a path.
        """
        if "/" in new_name:
            raise ValueError(
                f"rename_object: new_name: expected a name without a path, received {new_name!r}"
            )
        place, name = self._place(object_name)
        if new_name in place:
            raise ValueError(
                f"rename_object: new_name: there is an object {new_name!r} beside {object_name!r}"
            )
        place[new_name] = place.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Takes an object out of the file.

        Args:
            object_name: Its name, if it occurs once, or its path.
        """
        place, name = self._place(object_name)
        del place[name]

    def add_object(self, object_path: str, weights: Any) -> None:
        """Puts an object into the file.

        Args:
            object_path: Its path; the object around is there.
            weights: Arrays by name: "0", "1" and so on.
        """
        *around, last = object_path.split("/")
        place = _at(self.weights_dict, "/".join(around)) if around else self.weights_dict
        if not isinstance(place, dict):
            raise ValueError(f"KerasFileEditor: {'/'.join(around)!r} not found in model")
        place[last] = _checked(weights, "add_object")

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Takes a weight of an object out of the file.

        Args:
            object_name: Name or path of the object.
            weight_name: Name of the weight, "0" say.
        """
        place, name = self._place(object_name)
        if weight_name not in place[name]:
            raise ValueError(
                f"delete_weight: {object_name} has no weight {weight_name!r}; it has {sorted(place[name])}"
            )
        del place[name][weight_name]

    def add_weights(self, object_name: str, weights: Any) -> None:
        """Puts weights into an object of the file.

        Args:
            object_name: Name or path of the object.
            weights: Arrays by name.
        """
        place, name = self._place(object_name)
        place[name].update(_checked(weights, "add_weights"))

    def save(self, filepath: Any) -> None:
        """Writes the weights as they are now, atomically.

        Args:
            filepath: Path ending in ".weights.h5".
        """
        path = check_weights_path(filepath)
        if not path.endswith(".weights.h5"):
            raise ValueError(f"save: expected a path ending in '.weights.h5', received {path!r}")
        hdf5.write(path, _as_group(self.weights_dict))

    def resave_weights(self, filepath: Any) -> None:
        """`save`, by its former name."""
        self.save(filepath)

    def __repr__(self) -> str:
        return f"<KerasFileEditor {self.filepath!r}>"


def _checked(weights: Any, owner: str) -> dict[str, Any]:
    if not isinstance(weights, dict):
        raise ValueError(
            f"{owner}: weights: Argument `weights` should be a dict of arrays by name, received {weights!r}"
        )
    arrays = {str(name): np.asarray(value) for name, value in weights.items()}
    for name, array in arrays.items():
        if not is_number(array):
            raise ValueError(
                f"{owner}: weights: expected an array of numbers for {name!r}, received {array!r}"
            )
    return arrays


def _as_dict(group: Group, is_root: bool = True) -> dict[str, Any]:
    """A group without those that hold nothing; arrays in a group `vars` belong to the one around."""
    found: dict[str, Any] = dict(group.arrays)
    for name, inner in group.groups.items():
        if name == "vars":
            found.update(inner.arrays)
        elif not (is_root and name == GROUP):
            below = _as_dict(inner, False)
            if below:
                found[name] = below
    return found


def _as_group(weights: dict[str, Any]) -> Group:
    group = Group()
    for name, value in weights.items():
        if isinstance(value, dict):
            group.groups[name] = _as_group(value)
        else:
            group.group("vars").arrays[name] = value
    return group


def _at(weights: dict[str, Any], path: str) -> Any:
    found: Any = weights
    for name in path.split("/"):
        if not isinstance(found, dict) or name not in found:
            return None
        found = found[name]
    return found


def _dicts(weights: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield weights
    for value in weights.values():
        if isinstance(value, dict):
            yield from _dicts(value)


def _leaves(weights: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in weights.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{name}/")
        else:
            yield f"{path}{name}", value


def _absent(there: dict[str, Any], here: dict[str, Any], where: str, path: str = "") -> list[str]:
    """What `there` has and `here` has not: the outermost objects, and weights."""
    found = []
    for name, value in there.items():
        if name not in here:
            kind = "object" if isinstance(value, dict) else "weight"
            found.append(f"{path}{name}: there is no such {kind} in {where}")
        elif isinstance(value, dict) and isinstance(here[name], dict):
            found += _absent(value, here[name], where, f"{path}{name}/")
    return found
