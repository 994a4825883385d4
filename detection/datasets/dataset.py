# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What every reader is: a sequence of samples, each read from disk when it is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import overload

import numpy as np

from detection.errors import DatasetError
from detection.sample import Boxes, Sample


class Dataset(Sequence[Sample], ABC):
    """Samples by number; a slice is a dataset too. What the disk holds is read anew each time.

    Attributes:
        classes: names; labels of the boxes are indices into it.
    """

    classes: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> Sample:
        """Sample ``index``, which is in range.

        Raises:
            DatasetError: a file of it is missing or damaged; the message names it.
        """

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Sample | Dataset:
        if isinstance(index, slice):
            return Part(self, range(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return self.read(int(index) % len(self))


class Part(Dataset):
    """Some samples of a dataset, in an order of one's own (a split, a shuffle)."""

    def __init__(self, source: Dataset, chosen: Sequence[int]) -> None:
        """``chosen``: numbers of samples of the source."""
        self.classes, self._source, self._chosen = source.classes, source, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def read(self, index: int) -> Sample:
        return self._source[self._chosen[index]]


class Remapped(Dataset):
    """A dataset under other class names: see ``remapped``."""

    def __init__(self, source: Dataset, mapping: Mapping[str, str | None], classes: tuple[str, ...]) -> None:
        if forgotten := [name for name in source.classes if name not in mapping]:
            raise DatasetError(f"no word on the classes {forgotten}: map each to one of {classes}, or to None")
        if unknown := sorted({new for new in mapping.values() if new is not None} - set(classes)):
            raise DatasetError(f"classes {unknown} are mapped to, but are not among {classes}")
        self.classes, self._source = classes, source
        targets = [mapping[name] for name in source.classes]
        self._label = np.array([-1 if name is None else classes.index(name) for name in targets], np.int64)

    def __len__(self) -> int:
        return len(self._source)

    def read(self, index: int) -> Sample:
        sample = self._source[index]
        return sample if sample.boxes is None else replace(sample, boxes=self._renamed(sample.boxes))

    def _renamed(self, boxes: Boxes) -> Boxes:
        label = self._label[boxes.label]
        return replace(boxes, label=label).pick(label >= 0)


def remapped(dataset: Dataset, mapping: Mapping[str, str | None], classes: tuple[str, ...]) -> Dataset:
    """The dataset with its boxes under other names; those whose class is mapped to None are left out.

    Args:
        mapping: for every class of the dataset its name in ``classes``, or None.
        classes: names in the order of the new labels.

    Raises:
        DatasetError: a class of the dataset is not in the mapping, or is mapped to none of ``classes``.
    """
    return Remapped(dataset, mapping, tuple(classes))
