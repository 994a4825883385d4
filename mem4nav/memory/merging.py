# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Two memories become one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mem4nav.memory.graph import TopologyGraph
from mem4nav.memory.observations import Ids, Observations
from mem4nav.memory.store import NoStore

_AT_ONCE = 4096


def merged(
    here: Observations,
    graph: TopologyGraph,
    there: Observations,
    other_graph: TopologyGraph,
    T: NDArray[np.float64],
    first_step: int,
    store: NoStore,
) -> Ids:
    """Take what is there into what is here, by T (4, 4) T_here_there; returns the new entries' numbers."""
    first_keyframe = max(here.keyframes, default=-1) + 1
    keyframes = {k: first_keyframe + n for n, k in enumerate(sorted(there.keyframes))}
    alive = there.alive()
    rows = there.rows.all[alive]
    fixed = rows["keyframe"] < 0
    rows["local"][fixed] = rows["local"][fixed] @ T[:3, :3].T + T[:3, 3]
    rows["keyframe"][~fixed] = [keyframes[k] for k in rows["keyframe"][~fixed].tolist()]
    rows["step"] += first_step
    poses = {keyframes[k]: T @ pose for k, pose in there.keyframes.items()}
    here.place(rows, here.keyframes | poses)  # raises before anything is changed
    here.keyframes |= poses
    nodes = np.append(graph.merge(other_graph, T, keyframes), -1)
    rows["node"] = nodes[rows["node"]]
    numbers = np.array([here.labels.number(text) for text in there.labels.texts], np.int32)
    rows["label"] = numbers[rows["label"]] if len(rows) else rows["label"]
    store.hung(poses)
    store.replaced_graph(graph)
    added = [np.empty(0, np.int64)]
    for first in range(0, len(rows), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        vectors = there.vectors.get(alive[some])
        store.wrote(len(here), rows[some], vectors, here.labels.texts)
        added.append(here.add(rows[some], vectors))
    return np.concatenate(added)
