# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Short-term memory answers first; where it is not sure, long-term memory does."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mem4nav.memory import checks
from mem4nav.memory.confidence import SHIPPED
from mem4nav.memory.observations import Ids, Observations
from mem4nav.memory.question import ByLabel, ByVector
from mem4nav.memory.short_term import ShortTerm
from mem4nav.memory.text import TextEncoder
from mem4nav.memory.types import MemoryConfig, MemoryMode, Recall

_CANDIDATES = 10
"""Long-term memory looks at so many, or four times those asked for, then ranks by place and tells how sure it is."""
_NOTHING = Recall("none", 0.0)

Scored = tuple[Ids, NDArray[np.float32]]
"""Numbers of entries, best first, and their cosines."""


class Recaller:
    """Asks the parts of a memory in turn.

    Args:
        encoder: of queries in words; None: they are compared with the labels, word by word.
    """

    def __init__(
        self,
        mode: MemoryMode,
        config: MemoryConfig,
        observations: Observations,
        short_term: ShortTerm,
        encoder: TextEncoder | None,
    ) -> None:
        self._config, self._observations, self._short_term = config, observations, short_term
        self._encoder = encoder if encoder is not None and encoder.dimension == config.dimension else None
        self._long_term = mode is not MemoryMode.NO_LTM
        self._place_weight = 0.0 if mode is MemoryMode.CACHE else config.place_weight

    def recall(
        self,
        query: ArrayLike | str,
        pose: ArrayLike | None,
        top: int | None,
        within_m: float | None,
        sure_cosine: float | None = None,
    ) -> Recall:
        """See ``Memory.recall``."""
        top = self._config.top if top is None else top
        sure = self._config.sure_cosine if sure_cosine is None else sure_cosine
        question, at = self._question(query), None if pose is None else checks.position(pose)
        if (found := self._from_short_term(question, at, top, sure)) is not None:
            return self._answer("short-term", *found, top)
        if not self._long_term:
            return _NOTHING
        return self._answer("long-term", *self._from_long_term(question, at, top, within_m), top)

    def _question(self, query: ArrayLike | str) -> ByVector | ByLabel:
        if not isinstance(query, str):
            return ByVector(self._vector(query), self._observations)
        if self._encoder is not None:
            return ByVector(self._vector(self._encoder.encode([query])[0]), self._observations)
        return ByLabel(self._observations.labels.likeness(query), self._observations)

    def _from_short_term(
        self, question: ByVector | ByLabel, at: NDArray[np.float64] | None, top: int, sure: float
    ) -> Scored | None:
        """What is nearby, best first; None where that is not sure enough, and long-term memory can be asked."""
        rows = self._short_term.near(at, self._config.near_m)
        cosines = question.of_short_term(self._short_term)[rows]
        if not len(rows) or (self._long_term and cosines.max() < sure):
            return None
        order = np.argsort(-cosines, kind="stable")
        self._short_term.count_hits(rows[order[:top]])
        return self._short_term.entries[rows[order]], cosines[order]

    def _from_long_term(
        self, question: ByVector | ByLabel, at: NDArray[np.float64] | None, top: int, within_m: float | None
    ) -> Scored:
        """Of all that is remembered, or of one neighbourhood, what is most like it; near ones first among equals."""
        if at is not None and within_m is not None:
            entries = self._observations.within(at, within_m)
            cosines = question.of(entries)
        else:
            cosines, entries = self._nearest(question, max(_CANDIDATES, top if at is None else 4 * top))
        if at is not None and self._place_weight:
            away = np.linalg.norm(self._observations.rows["position"][entries] - at, axis=1)
            worth = cosines - self._place_weight * (1.0 - np.exp(-away / self._config.place_m))
            order = np.argsort(-worth, kind="stable")
            entries, cosines = entries[order], cosines[order]
        return entries, cosines

    def _nearest(self, question: ByVector | ByLabel, count: int) -> tuple[NDArray[np.float32], Ids]:
        """Of the entries that are not forgotten, those of highest cosine."""
        asked = count
        while True:
            cosines, entries = question.nearest(asked)
            if self._observations.forgotten:
                kept = ~self._observations.rows["forgotten"][entries]
                cosines, entries = cosines[kept], entries[kept]
            if len(entries) >= count or asked >= len(self._observations):
                return cosines[:count], entries[:count]
            asked *= 4

    def _answer(self, source: str, entries: Ids, cosines: NDArray[np.float32], top: int) -> Recall:
        if not len(entries):
            return _NOTHING
        best = float(cosines[0])
        confidence = SHIPPED(best, best - self._rival(entries, cosines))
        return Recall(source, confidence, self._observations.hits(entries[:top], cosines[:top]))

    def _rival(self, entries: Ids, cosines: NDArray[np.float32]) -> float:
        """Best cosine of a candidate that stands for something else than the first; the last one's if none does."""
        labels = self._observations.rows["label"][entries]
        others = cosines[1:]
        if self._observations.labels.texts[labels[0]]:  # what has no label stands for itself alone
            others = cosines[labels != labels[0]]
        return float(others.max() if len(others) else cosines[-1] if len(cosines) > 1 else 0.0)

    def _vector(self, query: ArrayLike) -> NDArray[np.float32]:
        return checks.unit_vectors(np.asarray(query, np.float32)[None], self._config.dimension)[0]
