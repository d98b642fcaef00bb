"""`Splitting`: parts of a data set without common elements, and what its classes weigh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.base.arguments import flag, integer, number
from cnnrs.data.elements import host
from cnnrs.data.hashing import content_hash
from cnnrs.data.partition import partition
from cnnrs.data.passes import Passes
from cnnrs.data.pipeline import UNKNOWN_CARDINALITY, Pipeline
from cnnrs.data.rows import Rows
from cnnrs.random import draw_seed

__all__ = ["Splitting", "class_weights"]


class Splitting(Pipeline):
    """The methods of data sets about parts and classes."""

    file_paths: list[str] | None
    # The classes of the samples of files, where elements are batches of them.
    _file_labels: np.ndarray | None = None

    def split(
        self,
        fractions: Any,
        stratified: bool | None = None,
        labels: Any = None,
        groups: Any = None,
        seed: Any = None,
    ) -> tuple[Any, ...]:
        """Parts of the elements, drawn at random, such that no element is in two of them.

        Of arrays and files the parts are tables of indices. Of other elements, each part goes through all of
        them and leaves out those of the other parts; these must come in one order in each pass. A data set
        that was shuffled before stays shuffled, and its parts stay apart from pass to pass: which `take` and
        `skip` behind `shuffle` do not guarantee.

        Args:
            fractions: The sizes of the parts, whose sum is 1: `(0.8, 0.1, 0.1)`; one number for it and the
                rest: `0.8`.
            stratified: Whether each class has about these fractions in each part; None means that it does, if
                the labels are known.
            labels: The class of each element, an integer; None takes those of the elements: the second part
                of a pair.
            groups: What elements belong to, such as a patient or a video, of which no two parts shall have
                one: a number or text for each.
            seed: Of the draws, an integer; None draws one.

        Returns:
            A tuple of `Dataset`s. Elements keep their order.

        Raises:
            ValueError: The fractions are none, a part has no element, labels are not single integers, or
                elements that have no index come in another order in each pass.

        Example:
            >>> import numpy as np
            >>> from cnnrs.data import Dataset
            >>> x, y = np.arange(100), np.arange(100) % 10 // 9
            >>> train, test = Dataset.from_tensor_slices((x, y)).split(0.8, seed=1)
            >>> train.class_counts(), test.class_counts()
            ({0: 72, 1: 8}, {0: 18, 1: 2})
        """
        where = "Dataset.split"
        parts = _fractions(fractions, where)
        wants = None if stratified is None else flag(stratified, where, "stratified")
        seed = draw_seed() if seed is None else integer(seed, where, "seed", least=0)
        places = self._places(where)
        classes = None
        if labels is not None:
            classes = _as_labels(labels, where)
        elif wants or (wants is None and self._known_labels() is not None):
            classes = self._labels(where)
            if self._rows is not None:
                classes = classes[places]
            elif self._length < 0:
                places = np.arange(len(classes))
        if not len(places) and self._length < 0:
            places = np.arange(sum(1 for _ in self._open(True)))
        for name, given in (("labels", classes), ("groups", groups)):
            if given is not None and len(given) != len(places):
                raise ValueError(
                    f"{where}: {name}: expected one for each of {len(places)} elements, received {len(given)}"
                )
        if classes is None or wants is False:
            classes = np.zeros(len(places), np.int64)
        chosen = partition(np.asarray(parts), classes, groups, seed)
        sizes = np.bincount(chosen, minlength=len(parts))
        if not sizes.all():
            raise ValueError(
                f"{where}: fractions: expected parts with elements, found sizes {sizes.tolist()} of "
                f"{len(places)} elements for {fractions!r}"
            )
        return tuple(self._chosen(places[chosen == part], int(size)) for part, size in enumerate(sizes))

    def _places(self, where: str) -> np.ndarray:
        """The indices of the elements, among those of the source."""
        mixes = any(isinstance(part, Passes) and part.orders for part in self._parts())
        rows = self._rows
        if rows is None:
            if mixes:
                raise ValueError(
                    f"{where}: expected elements in one order: in another one in each pass, parts would "
                    "share elements; shuffle the parts"
                )
            return np.arange(max(self._length, 0))
        return np.arange(len(rows.source)) if mixes else np.unique(rows.order(True))

    def _chosen(self, places: np.ndarray, size: int) -> Any:
        """The elements of these places, in the order in which they come."""
        rows = self._rows
        if rows is None:
            wanted = np.zeros(int(places.max()) + 1, bool)
            wanted[places] = True

            def chosen(peek: bool) -> Iterator[Any]:
                # Nothing is asked for behind the last one.
                for keep, element in zip(wanted.tolist(), self._open(peek), strict=False):
                    if keep:
                        yield element

            return self._step(chosen, size, self._known_spec)
        member = np.zeros(len(rows.source), bool)
        member[places] = True

        def order(peek: bool) -> np.ndarray:
            indices = rows.order(peek)
            return indices[member[indices]]

        part = Rows(rows.source, order)
        length = self._length if self._length < 0 else len(part.order(True))
        made = self._step(part.open, length, self._known_spec, part, open_at=part.open_at)
        paths = getattr(rows.source, "paths", None)
        if paths is not None:
            made.file_paths = [paths[i] for i in part.order(True)]
        return made

    def _known_labels(self) -> np.ndarray | None:
        """The labels of all elements of the source, if they are known without computing elements."""
        return None if self._rows is None else self._rows.source.labels

    def _labels(self, where: str) -> np.ndarray:
        """The labels of the source if elements have an index, else those of the elements."""
        known = self._known_labels()
        if known is not None:
            return np.asarray(known, np.int64)
        if self._rows is not None:
            every = np.arange(len(self._rows.source))
            elements = self._rows.source.elements(every, ahead=False)
        else:
            elements = self._open(True)
        found = []
        for element in elements:
            if not isinstance(element, tuple) or len(element) < 2:
                raise ValueError(
                    f"{where}: labels: expected elements that are pairs (x, label), or labels=..., received "
                    f"{type(element).__name__}"
                )
            found.append(host(element[1]))
        return _as_labels(found, where)

    def class_counts(self, labels: Any = None) -> dict[int, int]:
        """How many elements each class has.

        Args:
            labels: The class of each element; None takes the second part of pairs, for which elements are
                computed unless they are rows of arrays or files.

        Returns:
            A dict from classes to counts, in the order of the classes.

        Raises:
            ValueError: Labels are not single integers: of batches, count before `batch`.

        Example:
            >>> import numpy as np
            >>> from cnnrs.data import Dataset
            >>> Dataset.from_tensor_slices((np.zeros(5), np.array([0, 2, 2, 0, 2]))).class_counts()
            {0: 2, 2: 3}
        """
        where = "Dataset.class_counts"
        if labels is not None:
            found = _as_labels(labels, where)
        elif self._file_labels is not None:
            found = self._file_labels
        else:
            found = self._labels(where)
            if self._rows is not None:
                found = found[self._rows.order(True)]
        values, counts = np.unique(found, return_counts=True)
        return {int(v): int(n) for v, n in zip(values, counts, strict=True)}

    def class_weights(self, labels: Any = None) -> dict[int, float]:
        """Weights with which all classes count alike, for `fit(class_weight=...)`: see `data.class_weights`.

        Args:
            labels: As for `class_counts`.

        Returns:
            A dict from classes to weights.

        Raises:
            ValueError: Labels are not single integers.

        Example:
            >>> import numpy as np
            >>> from cnnrs.data import Dataset
            >>> Dataset.from_tensor_slices((np.zeros(4), np.array([0, 1, 1, 1]))).class_weights()
            {0: 2.0, 1: 0.6666666666666666}
        """
        return _balanced(self.class_counts(labels))

    def balance(self, labels: Any = None, seed: Any = None, name: str | None = None) -> Any:
        """As many elements of each class as the largest has: those of smaller ones come several times.

        Which of them come once more often is drawn anew in each pass, and so is the order. Split before, so
        that no part has elements of another.

        Args:
            labels: The class of each element of the source; None takes the second part of pairs.
            seed: Of the draws, an integer; None draws one.
            name: What `repr` calls it.

        Returns:
            A `Dataset` in random order.

        Raises:
            ValueError: Elements have no index: `rejection_resample` leaves out some of larger classes, and
                `sample_from_datasets` draws from one data set a class.

        Example:
            >>> import numpy as np
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.from_tensor_slices((np.arange(10), np.arange(10) // 8)).balance(seed=1)
            >>> data.class_counts(), sorted({int(x) for x, _ in data})
            ({0: 8, 1: 8}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        """
        where = "Dataset.balance"
        rows = self._rows
        if rows is None or self._length == UNKNOWN_CARDINALITY:
            raise ValueError(
                f"{where}: expected elements with an index, as of arrays and files before map; "
                "rejection_resample balances others"
            )
        classes = self._labels(where) if labels is None else _as_labels(labels, where)
        if len(classes) != len(rows.source):
            raise ValueError(
                f"{where}: labels: expected one for each of {len(rows.source)} elements, "
                f"received {len(classes)}"
            )
        passes = Passes(seed, orders=True)

        def order(peek: bool) -> np.ndarray:
            indices, rng = rows.order(peek), np.random.default_rng(passes.next(peek))
            members = [indices[classes[indices] == c] for c in np.unique(classes[indices])]
            most = max((len(m) for m in members), default=0)
            drawn = []
            for one in members:
                whole, more = divmod(most, len(one))
                drawn += [np.tile(one, whole), rng.permutation(one)[:more]]
            return rng.permutation(np.concatenate(drawn)) if drawn else indices

        chosen = Rows(rows.source, order)
        length = len(chosen.order(True))
        return self._step(
            chosen.open, length, self._known_spec, chosen, name, kept=(passes,), open_at=chosen.open_at
        )

    def content_hash(self) -> str:
        """SHA-256 of what this data set reads: see `data.content_hash`.

        >>> from cnnrs.data import Dataset
        >>> Dataset.range(3).content_hash() == Dataset.range(3).shuffle(3).batch(2).content_hash()
        True
        """
        return content_hash(self)


def class_weights(data: Any) -> dict[int, float]:
    """Weights with which all classes count alike: n / (classes * n_c) for a class of n_c among n samples.

    G. King and L. Zeng, "Logistic regression in rare events data" (Political Analysis 9, 2001), weigh so;
    scikit-learn calls it "balanced".

    Args:
        data: Labels, integers; or a `Dataset` of pairs (x, label).

    Returns:
        A dict from the classes that there are to weights, for `fit(class_weight=...)`.

    Raises:
        ValueError: There are no labels, or they are no single integers.

    Example:
        >>> from cnnrs.data import class_weights
        >>> class_weights([0, 0, 0, 1])
        {0: 0.6666666666666666, 1: 2.0}
    """
    if isinstance(data, Splitting):
        return data.class_weights()
    values, counts = np.unique(_as_labels(data, "class_weights"), return_counts=True)
    return _balanced({int(v): int(n) for v, n in zip(values, counts, strict=True)})


def _balanced(counts: dict[int, int]) -> dict[int, float]:
    if not counts:
        raise ValueError("class_weights: expected at least one label, received none")
    total = sum(counts.values())
    return {label: total / (len(counts) * count) for label, count in counts.items()}


def _as_labels(labels: Any, where: str) -> np.ndarray:
    try:
        given = np.asarray(tree.map_structure(host, labels))
    except ValueError:
        given = np.zeros(0, object)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.size == 0 and given.ndim == 1 and given.dtype != object:
        return np.zeros(0, np.int64)
    if given.ndim != 1 or given.dtype.kind not in "iub":
        raise ValueError(
            f"{where}: labels: expected single integers, one an element, received {given.dtype} of shape "
            f"{given.shape}; of batches, ask before batch, and of one-hot rows, take argmax(-1)"
        )
    return given.astype(np.int64)


def _fractions(fractions: Any, where: str) -> list[float]:
    given = list(fractions) if isinstance(fractions, (tuple, list)) else [fractions]
    found = [number(one, where, "fractions", above=0, below=1) for one in given]
    if len(found) == 1:
        found.append(1 - found[0])
    if abs(sum(found) - 1) > 1e-6:
        raise ValueError(f"{where}: fractions: expected a sum of 1, received {fractions!r}")
    return found
