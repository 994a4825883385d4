# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Answers of a memory as plain data for ``json.dumps``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mem4nav.memory import Hit, Memory, Recall

_LEAST_COSINE = 0.25
_REACH_M = 300.0


def answer_words(memory: Memory, words: str, T_map_base: NDArray[np.float64] | None, top: int) -> dict[str, Any]:
    """What is remembered that the words may mean, best first; among equals the nearer one.

    Args:
        T_map_base: (4, 4) from where it is asked: what is within 300 m counts, and all else where nothing is; None:
            from nowhere in particular.
        top: at most so many.
    """
    found, hits = _recalled(memory, words, T_map_base, top, _REACH_M)
    if not hits:
        found, hits = _recalled(memory, words, T_map_base, top, None)
    told = {"source": found.source, "confidence": found.confidence} if hits else {"source": "none", "confidence": 0.0}
    return {"query": words, **told, "hits": _told(memory, hits)}


def answer_place(memory: Memory, position: NDArray[np.float64], radius_m: float, top: int) -> dict[str, Any]:
    """What is remembered around a place (3,), nearest first, and what the place is called."""
    hits = [hit for hit in memory.within(position, radius_m) if hit.label]
    hits.sort(key=lambda hit: float(np.linalg.norm(hit.position - position)))
    return {
        "query": {"position": position.tolist(), "radius_m": radius_m},
        "source": "octree" if hits else "none",
        "confidence": 1.0 if hits else 0.0,
        "place": _nearest_place(memory, position, radius_m),
        "hits": _told(memory, hits[:top]),
    }


def _recalled(
    memory: Memory, words: str, T: NDArray[np.float64] | None, top: int, within_m: float | None
) -> tuple[Recall, list[Hit]]:
    found = memory.recall(words, T, top, within_m=within_m)
    return found, [hit for hit in found.hits if hit.cosine >= _LEAST_COSINE]


def _nearest_place(memory: Memory, position: NDArray[np.float64], radius_m: float) -> str:
    away = np.linalg.norm(memory.graph.positions - position, axis=1)
    return memory.graph.names[int(away.argmin())] if len(away) and away.min() <= radius_m else ""


def _told(memory: Memory, hits: Iterable[Hit]) -> list[dict[str, Any]]:
    return [_hit(memory, hit) for hit in hits]


def _hit(memory: Memory, hit: Hit) -> dict[str, Any]:
    """One hit: what, how like the question, where, at which place, and from where and when (seconds) it was seen."""
    row = memory.observations.rows.all[hit.entry]
    keyframe, node = int(row["keyframe"]), int(row["node"])
    told: dict[str, Any] = {
        "entry": hit.entry,
        "label": hit.label,
        "score": round(hit.cosine, 4),
        "position": hit.position.round(3).tolist(),
        "place": memory.graph.names[node] if 0 <= node < len(memory.graph) else "",
        "gone": hit.gone,
    }
    if keyframe >= 0:
        T = memory.observations.keyframes[keyframe]
        told["seen_from"] = {
            "position": T[:3, 3].round(3).tolist(),
            "yaw": round(float(np.arctan2(T[1, 0], T[0, 0])), 4),
        }
        told["seen_s"] = keyframe / 1e3
    return told
