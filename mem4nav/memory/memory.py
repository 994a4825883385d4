# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The memory: observations are written where they were made, and recalled by what is asked for and where one is.

Short-term memory answers first. Where it is not sure, long-term memory does (arXiv 2506.19433, section 3; what was made
otherwise than there, and why, is in docs/memory.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mem4nav.errors import MemoryInputError, MemoryStoreError
from mem4nav.memory import checks
from mem4nav.memory.graph import NoGraph, TopologyGraph
from mem4nav.memory.merging import merged
from mem4nav.memory.observations import Ids, Observations
from mem4nav.memory.octree import NoOctree, Octree
from mem4nav.memory.recalling import Recaller
from mem4nav.memory.saving import copy_into, save_caches
from mem4nav.memory.short_term import NoShortTerm, ShortTerm
from mem4nav.memory.store import NoStore
from mem4nav.memory.text import Labels, TextEncoder
from mem4nav.memory.tokens import PlaceTokens
from mem4nav.memory.types import Cells, Hit, MemoryConfig, MemoryMode, Recall
from slam import morton


class Memory:
    """See ``mem4nav.memory.open_memory``. One thread at a time.

    Attributes:
        graph: the topology graph.
        observations: all entries.
        step: writes so far; one call is one write.
        tokens: of places; ``tokens.use`` gives them a trained network.
        store: what keeps it on disk.
    """

    def __init__(self, mode: MemoryMode, config: MemoryConfig, encoder: TextEncoder | None = None) -> None:
        self.mode, self.config, self._encoder = mode, config, encoder
        self.store = NoStore()
        self._behind = False
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.store.cleared()
        config, cache = self.config, self.mode is MemoryMode.CACHE
        octree = NoOctree if cache or self.mode is MemoryMode.NO_OCTREE else Octree
        graph = NoGraph if cache or self.mode is MemoryMode.NO_GRAPH else TopologyGraph
        short_term = NoShortTerm if cache or self.mode is MemoryMode.NO_STM else ShortTerm
        self.observations = Observations(config.dimension, octree(config.leaf_m), Labels(self._encoder))
        self.graph = graph(config.dimension, config.node_distance, config.distance_weight, config.instruction_weight)
        self._short_term = short_term(config.short_term_entries, config.dimension, config.frequency_weight)
        self._recaller = Recaller(self.mode, config, self.observations, self._short_term, self._encoder)
        self.tokens = PlaceTokens(config.dimension)
        self.step = 0

    def __len__(self) -> int:
        """Entries that are not forgotten."""
        return len(self.observations) - self.observations.forgotten

    # writing

    def write(self, pose: ArrayLike, embedding: ArrayLike, label: str = "", *, keyframe: int | None = None) -> int:
        """Remember one observation made at a pose; returns its number. See ``write_many``."""
        return int(self.write_many(pose, np.asarray(embedding, np.float32)[None], [label], keyframe=keyframe)[0])

    def write_many(
        self,
        pose: ArrayLike,
        embeddings: ArrayLike,
        labels: Sequence[str],
        offsets: ArrayLike | None = None,
        keyframe: int | None = None,
    ) -> Ids:
        """Remember N observations made at one pose.

        Args:
            pose: (4, 4) T_map_base.
            embeddings: (N, D) unit vectors.
            labels: N texts, "" where there is none.
            offsets: (N, 3) metres in base of what was seen; None: it is where the pose is.
            keyframe: what the entries hang on: they follow when it is corrected. A number not known yet becomes a
                keyframe with this pose. None: fixed in map.

        Returns:
            (N,) the entries' numbers.

        Raises:
            MemoryInputError: for what is no pose or no unit vector, or is out of the octree's reach; nothing is stored.
            MemoryStoreError: it cannot be stored, as on a full disk; it is not remembered, and all else still is.
        """
        T = checks.rigid(pose)
        vectors = checks.unit_vectors(embeddings, self.config.dimension)
        if len(labels) != len(vectors):
            raise MemoryInputError(f"{len(vectors)} embeddings but {len(labels)} labels")
        offsets = None if offsets is None else checks.points(offsets, len(vectors))
        with self._stored():
            rows = self.observations.prepared(T, len(labels), offsets, self._hung(keyframe, T))
            rows["step"], rows["node"] = self.step, self.graph.current
            rows["label"] = [self.observations.labels.number(label) for label in labels]
            self.store.wrote(len(self.observations), rows, vectors, self.observations.labels.texts)
        entries = self.observations.add(rows, vectors)
        self._short_term.put(entries, vectors, rows["position"], self.step)
        self.step += 1
        return entries

    @contextmanager
    def _stored(self) -> Iterator[None]:
        """One transaction; after one that failed, as on a full disk, keyframes and graph are stored anew with it."""
        try:
            with self.store.together():
                if self._behind:
                    self.store.hung(self.observations.keyframes)
                    self.store.replaced_graph(self.graph)
                yield
        except MemoryStoreError:
            self._behind = True
            raise
        self._behind = False

    def _hung(self, keyframe: int | None, T: NDArray[np.float64]) -> int | None:
        """The keyframe, which is taken in where it is new."""
        if keyframe is not None and keyframe not in self.observations.keyframes:
            if keyframe < 0:
                raise MemoryInputError(f"keyframe {keyframe}: keyframes are numbered from 0")
            self.observations.keyframes[keyframe] = T.copy()
            self.store.hung({keyframe: T})
        return keyframe

    def visit(
        self,
        pose: ArrayLike,
        embedding: ArrayLike,
        *,
        name: str = "",
        cost: float = 0.0,
        keyframe: int | None = None,
    ) -> int:
        """Be at a landmark or decision point; returns its node of the topology graph, -1 in a memory without one.

        Args:
            pose: (4, 4) T_map_base.
            embedding: (D,) unit vector of the place.
            name: the same name is the same node whatever the embedding says; "" leaves that to the embedding.
            cost: of the instruction that led here from the node visited before.
            keyframe: as in ``write_many``.

        Raises:
            MemoryInputError: for what is no pose or no unit vector.
            MemoryStoreError: it cannot be stored, as on a full disk; it is with the next call that can be.
        """
        T = checks.rigid(pose)
        vector = self._vector(embedding)
        with self._stored():
            anchor = self.observations.anchored(T[:3, 3], self._hung(keyframe, T))
            came_from = self.graph.current
            node = self.graph.visit(T[:3, 3], vector, name, cost, anchor)
            if node >= 0:
                self.store.visited(self.graph, came_from)
                self._short_term.move_to(self.graph.positions[node])
        return node

    def _vector(self, embedding: ArrayLike) -> NDArray[np.float32]:
        return checks.unit_vectors(np.asarray(embedding, np.float32)[None], self.config.dimension)[0]

    # asking

    def recall(
        self,
        query: ArrayLike | str,
        pose: ArrayLike | None = None,
        top: int | None = None,
        *,
        within_m: float | None = None,
        sure_cosine: float | None = None,
    ) -> Recall:
        """What is remembered that is like the query.

        Args:
            query: (D,) unit vector, or words: these go through the encoder where it shares the embeddings' space, else
                are compared with the labels.
            pose: (4, 4) T_map_base, or (3,) metres in map, from where it is asked; None: from nowhere in particular.
            top: at most so many hits, by default ``MemoryConfig.top``.
            within_m: long-term memory looks at what lies within so many metres of the pose alone.
            sure_cosine: in place of ``MemoryConfig.sure_cosine``; above 1, long-term memory answers wherever there is
                one.

        Raises:
            MemoryInputError: for what is no unit vector or no pose.
        """
        return self._recaller.recall(query, pose, top, within_m, sure_cosine)

    def within(self, position: ArrayLike, radius: float) -> tuple[Hit, ...]:
        """What was seen at most ``radius`` metres from a (3,) position or (4, 4) pose, oldest first; cosines are 1."""
        return self._listed(self.observations.within(checks.position(position), radius))

    def in_box(self, low: ArrayLike, high: ArrayLike) -> tuple[Hit, ...]:
        """What was seen between two (3,) corners, metres in map, both with it, oldest first; cosines are 1."""
        return self._listed(self.observations.in_box(checks.position(low), checks.position(high)))

    def journal(self, place: int | ArrayLike) -> tuple[Hit, ...]:
        """Every observation made at a place, exactly as written, oldest first; cosines are 1.

        Args:
            place: a (3,) position or (4, 4) pose: its leaf of the octree. An int: what was written at that graph node.
        """
        return self._listed(self.entries_at(place))

    def entries_at(self, place: int | ArrayLike) -> Ids:
        """Numbers of the observations of ``journal``."""
        if isinstance(place, int):
            rows = self.observations.rows
            return np.flatnonzero((rows["node"] == place) & ~rows["forgotten"])
        return self.observations.at(checks.position(place))

    def token(self, place: int | ArrayLike) -> NDArray[np.float32]:
        """(D,) theta of a place: its journal folded by R in order, zeros where nothing was seen. Needs torch.

        Args:
            place: as in ``journal``.

        Raises:
            MemoryInputError: where the length of the embeddings makes no token.
        """
        if isinstance(place, int):
            name = f"node {place}"
        else:
            name = f"leaf {self.observations.octree.keys(checks.position(place)[None])[0]}"
        return self.tokens.of(name, self.entries_at(place), self.observations.vectors)

    def aggregate(self, level: int) -> Cells:
        """The memory in cells of 2^level leaves' side: how many observations, their mean, their labels."""
        if not 0 <= level <= morton.BITS:
            raise MemoryInputError(f"level {level}: 0 are the leaves, {morton.BITS} is the root")
        return self.observations.cells(level)

    def resume(self, store: NoStore, step: int) -> None:
        """Go on from what was loaded: the newest entries are in short-term memory, and all is kept by ``store``."""
        self.store, self.step = store, step
        newest = self.observations.alive()[-self.config.short_term_entries :]
        rows = self.observations.rows.all[newest]
        if self.graph.current >= 0:
            self._short_term.move_to(self.graph.positions[self.graph.current])
        for step in np.unique(rows["step"]):
            some = newest[rows["step"] == step]
            vectors, positions = self.observations.vectors.get(some), self.observations.rows["position"][some]
            self._short_term.put(some, vectors, positions, int(step))

    def _listed(self, entries: Ids) -> tuple[Hit, ...]:
        return self.observations.hits(entries, np.ones(len(entries)))

    # upkeep

    def correct(self, keyframe_poses: Mapping[int, ArrayLike]) -> None:
        """Keyframes have new poses {keyframe: (4, 4) T_map_keyframe}: all that hangs on them follows.

        Raises:
            MemoryInputError: for what is no pose, or takes an entry out of the octree's reach; nothing is changed.
        """
        poses = {int(k): checks.rigid(T, f"pose of keyframe {k}").copy() for k, T in keyframe_poses.items()}
        moved = self.observations.correct(poses)
        self.graph.correct(self.observations.keyframes)
        with self.store.together():
            self.store.hung(poses)
            self.store.replaced_graph(self.graph)
        self._short_term.place(moved, self.observations.rows["position"][moved])
        if self.graph.current >= 0:
            self._short_term.move_to(self.graph.positions[self.graph.current])

    def forget(
        self,
        entries: Sequence[int] | Ids | None = None,
        *,
        box: tuple[ArrayLike, ArrayLike] | None = None,
        before_step: int | None = None,
    ) -> int:
        """Erase what is in all of the sets that are named; returns how many observations that were.

        Args:
            entries: these.
            box: what lies between two (3,) corners, metres in map.
            before_step: what was written before that step.
        """
        if entries is None and box is None and before_step is None:
            raise MemoryInputError("forget what? name entries, a box or a step; clear() forgets everything")
        chosen = self.observations.alive() if entries is None else self.observations.checked(entries)
        if box is not None:
            low, high = (checks.position(corner) for corner in box)
            at = self.observations.rows["position"][chosen]
            chosen = chosen[((at >= low) & (at <= high)).all(axis=1)]
        if before_step is not None:
            chosen = chosen[self.observations.rows["step"][chosen] < before_step]
        self.store.forgot(chosen)
        self.observations.forget(chosen)
        self.tokens.clear()
        self._short_term.drop(chosen)
        return len(chosen)

    def expire(self, max_age: int) -> int:
        """Erase what was written more than ``max_age`` writes ago; returns how many observations that were."""
        return self.forget(before_step=self.step - max_age)

    def mark_gone(self, entries: Sequence[int] | Ids) -> None:
        """These were looked for and are no longer there: they are recalled with ``gone`` set."""
        chosen = self.observations.checked(entries)
        self.store.marked(chosen)
        self.observations.rows["gone"][chosen] = True

    def merge(self, other: Memory, T_self_other: ArrayLike) -> Ids:
        """Take in all of another memory; returns the numbers of its observations here.

        Its keyframes get numbers that follow those here, its writes count as later ones, and nodes of the graph that
        are known here by name or embedding become one with them.

        Args:
            T_self_other: (4, 4), maps its map into the map of this one.

        Raises:
            MemoryInputError: where embeddings are of another length, or for what is no pose; nothing is taken in.
        """
        if other.config.dimension != self.config.dimension:
            raise MemoryInputError(f"embeddings of {other.config.dimension} numbers, not {self.config.dimension}")
        T = checks.rigid(T_self_other, "T_self_other")
        with self.store.together():
            entries = merged(self.observations, self.graph, other.observations, other.graph, T, self.step, self.store)
        self.step += other.step
        return entries

    # storing

    def save(self, folder: str | Path) -> Path:
        """Store all of it in a folder, in place of the memory there; in its own folder, the index and tokens.

        Raises:
            MemoryStoreError: where another process uses the folder, or it cannot be written.
        """
        folder = Path(folder)
        if self.store.folder is not None and self.store.folder.resolve() == folder.resolve():
            save_caches(self.store, self.observations.vectors, self.tokens)
        else:
            copy_into(folder, self.mode, self.config, self.observations, self.graph, self.step, self.tokens)
        return folder

    def close(self) -> None:
        """Store the index and tokens, and let go of the folder; nothing may be asked of the memory afterwards."""
        if self.store.folder is not None:
            self.save(self.store.folder)
        self.store.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NoMemory(Memory):
    """That remembers nothing."""

    def write_many(self, pose, embeddings, labels, offsets=None, keyframe=None) -> Ids:
        """Store nothing; every entry's number is -1."""
        return np.full(len(labels), -1)

    def visit(self, pose, embedding, *, name="", cost=0.0, keyframe=None) -> int:
        """Be nowhere: -1."""
        return -1
