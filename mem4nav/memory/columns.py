# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Tables that grow: one numpy record a row, doubled when full, so that a million rows cost no million objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Columns:
    """Rows of a structured dtype; ``table["name"]`` is the column of all rows, to be read and written in place."""

    def __init__(self, dtype: np.dtype) -> None:
        self._rows = np.zeros(16, dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._rows[name][: self._count]

    @property
    def all(self) -> NDArray[np.void]:
        """(N,) all rows, to be read and written in place."""
        return self._rows[: self._count]

    def append(self, count: int, **values: Any) -> slice:
        """Add rows; each value fills its column of them, what is not named is zero. Returns where they are."""
        at = self.append_rows(np.zeros(count, self._rows.dtype))
        for name, value in values.items():
            self._rows[name][at] = value
        return at

    def append_rows(self, rows: NDArray[np.void]) -> slice:
        """Add rows of this table's dtype. Returns where they are."""
        end = self._count + len(rows)
        if end > len(self._rows):
            grown = np.zeros(max(end, 2 * len(self._rows)), self._rows.dtype)
            grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        at = slice(self._count, end)
        self._rows[at] = rows
        self._count = end
        return at
