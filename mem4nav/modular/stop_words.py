# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where between two crossings one is told to stop: "just before the light", "in the intersection", "half way down"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

PAST = frozenset(("past", "after", "passing", "pass", "passed", "beyond", "end"))
BEFORE = frozenset(("before", "reaching", "until", "short", "prior", "start", "begin", "beginning"))
AT = frozenset(("at", "front", "next", "by", "near", "outside", "beside", "between", "across", "middle", "center",
                "with", "alongside", "adjacent", "under"))  # fmt: skip
_AT_CROSSING = AT - {"next"}
_WITHIN = frozenset(("middle", "center", "centre", "inside", "into", "in", "enter", "entering", "mid"))
_CROSSINGS = frozenset(("light", "intersection", "crossing", "crosswalk", "junction", "corner", "sign"))
_SAID_IN_FRONT = 7
_MOST_CROSSINGS = 2
_STEPS = 8
_EDGES_M = (8.0, 16.0, 26.0, 40.0)
_SHARES = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
_SHARE_WIDTH = 0.2
_ONE_CROSSING_M, _WITHIN_M, _NONE_M = 20.0, 3.0, 200.0


@dataclass(frozen=True, slots=True)
class ToldStop:
    """What the words of the stop say.

    Attributes:
        relation: (6,) whether of a crossing they say nothing, past it, before it, at it, within it, or only name it.
        share: (4,) whether they say half of a block, a quarter, most of it, its end.
        turned: they speak of a turn.
        steps: they count steps.
        just: they say just, right or immediately.
    """

    relation: NDArray[np.float64]
    share: NDArray[np.float64]
    turned: bool
    steps: bool
    just: bool

    @classmethod
    def of(cls, stems: Sequence[str]) -> ToldStop:
        """From the words of the sentence that says stop."""
        relation = np.zeros(6)
        named = [at for at, stem in enumerate(stems) if stem in _CROSSINGS]
        relation[[_relation(stems[max(at - _SAID_IN_FRONT, 0) : at]) for at in named[:_MOST_CROSSINGS]] or [0]] = 1.0
        said = frozenset(stems)
        half = bool(said & {"halfway", "half", "mid", "midblock"}) or {"1", "2"} <= said or {"middle", "block"} <= said
        share = [half, "quarter" in said or {"1", "4"} <= said, "most" in said or {"3", "4"} <= said]
        return cls(
            relation,
            np.array([*share, {"end", "block"} <= said], np.float64),
            bool(said & {"turn", "turning"}),
            "step" in said,
            bool(said & {"just", "immediately", "right"}),
        )

    def rows(
        self,
        after_m: NDArray[np.float64],
        before_m: NDArray[np.float64],
        within: NDArray[np.bool_],
        steps: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """(P, 116) where places lie, times what is said.

        Args:
            after_m, before_m, within: (P,) see ``between_crossings``.
            steps: (P,) places since the last turn.
        """
        where = _where(after_m, before_m, within)
        share = after_m / np.maximum(after_m + before_m, 1.0)
        along = np.maximum(0.0, 1.0 - np.abs(share[:, None] - _SHARES) / _SHARE_WIDTH) * ~within[:, None]
        since = (np.minimum(np.maximum(steps, -1), _STEPS)[:, None] == np.arange(_STEPS)).astype(np.float64)
        return np.concatenate([
            where, _products(where, self.relation), _products(along, self.share), since * self.turned,
            since * self.steps, where * self.just,
        ], axis=1)  # fmt: skip


def between_crossings(
    crossings_m: Sequence[float], here_m: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """(P,) metres from the crossing before each place, and to the one after it; whether it lies in one.

    Args:
        crossings_m: places where ways meet, in metres along the way, ascending; such near together are one crossing.
        here_m: (P,) places along the way.
    """
    first, last = [], []
    for at in crossings_m:
        if last and at - last[-1] <= _ONE_CROSSING_M:
            last[-1] = at
        else:
            first.append(at)
            last.append(at)
    begins, ends = np.array(first)[None], np.array(last)[None]
    here = here_m[:, None]
    within = ((here >= begins - _WITHIN_M) & (here <= ends + _WITHIN_M)).any(axis=1)
    after = np.where(ends < here + _WITHIN_M, here - ends, _NONE_M).min(axis=1, initial=_NONE_M)
    before = np.where(begins > here - _WITHIN_M, begins - here, _NONE_M).min(axis=1, initial=_NONE_M)
    return after, before, within


def _relation(before: Sequence[str]) -> int:
    """1 past it, 2 before it, 3 at it, 4 within it, 5 none said: by the nearest such word in front of a crossing."""
    for stem in reversed(before):
        for relation, words in ((4, _WITHIN), (1, PAST), (2, BEFORE), (3, _AT_CROSSING)):
            if stem in words:
                return relation
    return 5


def _where(
    after_m: NDArray[np.float64], before_m: NDArray[np.float64], within: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(P, 10) in a crossing; so far after one; so far before one; far from both."""
    columns = [within]
    for metres in (after_m, before_m):
        columns += [~within & (metres >= low) & (metres < high) for low, high in pairwise((-np.inf, *_EDGES_M))]
    columns.append(~within & (np.minimum(before_m, after_m) >= _EDGES_M[-1]))
    return np.stack(columns, axis=1).astype(np.float64)


def _products(places: NDArray[np.float64], said: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, A * B) of (P, A) and (B,)."""
    return (places[:, :, None] * said).reshape(len(places), -1)
