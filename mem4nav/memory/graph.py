# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The topology graph: places that were told apart, and the ways that were taken between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mem4nav.errors import MemoryInputError
from mem4nav.memory.columns import Columns

if TYPE_CHECKING:
    import networkx

VISIT = np.dtype([("node", np.int32), ("keyframe", np.int64), ("local", np.float64, 3)])


@dataclass(slots=True)
class Edge:
    """A way that was taken: means over the times that it was."""

    metres: float
    cost: float
    times: int = 1

    def add(self, metres: float, cost: float, times: int = 1) -> None:
        """Taken again."""
        share = times / (self.times + times)
        self.metres += share * (metres - self.metres)
        self.cost += share * (cost - self.cost)
        self.times += times


@dataclass(frozen=True, slots=True)
class Way:
    """A way through the graph.

    Attributes:
        nodes: from the first to the last, both with it.
        cost: sum of the edges' weights.
        metres: sum of the edges' lengths.
        cosine: of what was asked for with the last node; 1 where a node was named.
    """

    nodes: tuple[int, ...]
    cost: float
    metres: float
    cosine: float = 1.0


class TopologyGraph:
    """Nodes at landmarks and decision points, directed edges between those visited one after the other.

    Args:
        dimension: numbers in an embedding.
        node_distance: delta, with the weights alpha of metres and beta of the instruction's cost; see ``MemoryConfig``.

    Attributes:
        names: of the nodes, "" where one has none.
        current: the node visited last, -1 before the first.
        edges: (from, to) to what is known of the way.
    """

    def __init__(self, dimension: int, node_distance: float, distance_weight: float, instruction_weight: float) -> None:
        self._delta, self._alpha, self._beta = node_distance, distance_weight, instruction_weight
        node = [("phi", np.float32, dimension), ("position", np.float64, 3), ("visits", np.int64)]
        self._nodes = Columns(np.dtype(node))
        self._visits = Columns(VISIT)
        self._by_name: dict[str, int] = {}
        self.names: list[str] = []
        self.edges: dict[tuple[int, int], Edge] = {}
        self.current = -1

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def positions(self) -> NDArray[np.float64]:
        """(N, 3) metres in map: the mean of where each node's visits were."""
        return self._nodes["position"]

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(N, D) phi: running means of the visits' embeddings."""
        return self._nodes["phi"]

    @property
    def counts(self) -> NDArray[np.int64]:
        """(N,) visits of each node."""
        return self._nodes["visits"]

    @property
    def visits(self) -> NDArray[np.void]:
        """All visits in order: node, keyframe or -1, and the position relative to it."""
        return self._visits.all

    def visit(
        self,
        position: NDArray[np.float64],
        vector: NDArray[np.float32],
        name: str = "",
        cost: float = 0.0,
        anchor: tuple[int, NDArray[np.float64]] | None = None,
    ) -> int:
        """Be at a place; returns its node, which is new where no name or embedding knows it.

        Args:
            position: (3,) metres in map.
            vector: (D,) unit vector.
            name: the same name is the same node, whatever the embedding says; "" leaves that to the embedding.
            cost: of the instruction that led here from the current node.
            anchor: keyframe and position relative to it; None: fixed in map.
        """
        node = self._find(vector, name)
        before, start = self.current, self.positions[self.current].copy() if self.current >= 0 else None
        if node < 0:
            node = self._add(position, vector, name)
        else:
            self._refine(node, position, vector)
        keyframe, local = anchor or (-1, position)
        self._visits.append(1, node=node, keyframe=keyframe, local=local)
        if start is not None and before != node:
            self.connect(before, node, float(np.linalg.norm(position - start)), cost)
        self.current = node
        return node

    def _find(self, vector: NDArray[np.float32], name: str) -> int:
        """The node that this is, or -1: by name, else by min over u of ||v - phi(u)|| <= delta."""
        if name and name in self._by_name:
            return self._by_name[name]
        phi = self.embeddings
        if name or not len(phi):
            return -1
        away2 = np.einsum("nd,nd->n", phi, phi) - 2.0 * (phi @ vector)  # + ||v||^2 = 1
        nearest = int(np.argmin(away2))
        return nearest if away2[nearest] + 1.0 <= self._delta**2 else -1

    def _add(self, position: NDArray[np.float64], vector: NDArray[np.float32], name: str) -> int:
        node = len(self)
        self._nodes.append(1, phi=vector, position=position, visits=1)
        self.names.append(name)
        if name:
            self._by_name[name] = node
        return node

    def _refine(self, node: int, position: NDArray[np.float64], vector: NDArray[np.float32], times: int = 1) -> None:
        row = self._nodes.all[node]
        row["visits"] += times
        row["phi"] += (vector - row["phi"]) * (times / row["visits"])
        row["position"] += (position - row["position"]) * (times / row["visits"])

    def connect(self, a: int, b: int, metres: float, cost: float, times: int = 1) -> None:
        """A way from a to b was taken: w = alpha * metres + beta * cost, averaged over the times."""
        if (edge := self.edges.get((a, b))) is not None:
            edge.add(metres, cost, times)
        else:
            self.edges[a, b] = Edge(metres, cost, times)

    def weight(self, edge: Edge) -> float:
        """w of an edge."""
        return self._alpha * edge.metres + self._beta * edge.cost

    def path(self, a: int, b: int) -> list[int]:
        """Nodes of the cheapest way from a to b, both with it; empty where none is known (Dijkstra).

        Raises:
            MemoryInputError: for a node that does not exist.
        """
        return list(self._way(a, [b]).nodes)

    def way_to(self, query: NDArray[np.float32] | str, start: int | None = None) -> Way:
        """Where the way to something goes, from ``start`` (by default the current node).

        Args:
            query: a node's name, or a (D,) unit vector: then the node most like it of those that can be reached.

        Returns:
            Its nodes are empty where nothing of that name, or nothing at all, can be reached.

        Raises:
            MemoryInputError: for a node that does not exist.
        """
        start = self.current if start is None else start
        if not len(self) or (isinstance(query, str) and query not in self._by_name):
            return Way((), 0.0, 0.0, 0.0)
        if isinstance(query, str):
            return self._way(start, [self._by_name[query]])
        phi = self.embeddings
        cosines = phi @ query / np.maximum(np.linalg.norm(phi, axis=1), 1e-12)
        return self._way(start, np.argsort(-cosines, kind="stable"), cosines)

    def _way(self, start: int, goals: Iterable[int], cosines: NDArray[np.floating] | None = None) -> Way:
        """To the first of the goals that can be reached."""
        from scipy.sparse.csgraph import dijkstra

        goals = [int(goal) for goal in goals]
        for node in (start, *goals):
            if not 0 <= node < len(self):
                raise MemoryInputError(f"node {node}: this graph has nodes 0 to {len(self) - 1}")
        costs, before = dijkstra(self._matrix(), indices=start, return_predecessors=True)
        for goal in goals:
            if np.isfinite(costs[goal]):
                nodes = [goal]
                while nodes[-1] != start:
                    nodes.append(int(before[nodes[-1]]))
                nodes.reverse()
                metres = sum(self.edges[pair].metres for pair in pairwise(nodes))
                return Way(tuple(nodes), float(costs[goal]), metres, 1.0 if cosines is None else float(cosines[goal]))
        return Way((), 0.0, 0.0, 0.0)

    def _matrix(self):
        from scipy.sparse import csr_array

        ends = np.array(list(self.edges), np.int32).reshape(-1, 2)
        # A weight of exactly 0 would be no edge to a sparse matrix.
        weights = np.maximum([self.weight(edge) for edge in self.edges.values()], 1e-12)
        return csr_array((weights, (ends[:, 0], ends[:, 1])), shape=(len(self), len(self)))

    def correct(self, poses: dict[int, NDArray[np.float64]]) -> None:
        """All keyframes' poses of now {keyframe: (4, 4)}: nodes seen from them move, edges take their new lengths."""
        visits, before = self.visits, self.positions.copy()
        now = visits["local"].copy()
        for keyframe in np.unique(visits["keyframe"]):
            if keyframe >= 0:
                rows, T = visits["keyframe"] == keyframe, poses[int(keyframe)]
                now[rows] = visits["local"][rows] @ T[:3, :3].T + T[:3, 3]
        sums = np.zeros((len(self), 3))
        np.add.at(sums, visits["node"], now)
        self.positions[:] = sums / np.bincount(visits["node"], minlength=len(self))[:, None]
        for (a, b), edge in self.edges.items():
            was = float(np.linalg.norm(before[a] - before[b]))
            is_now = float(np.linalg.norm(self.positions[a] - self.positions[b]))
            edge.metres = edge.metres * is_now / was if was > 1e-9 else is_now

    def merge(self, other: TopologyGraph, T: NDArray[np.float64], keyframes: dict[int, int]) -> NDArray[np.int64]:
        """Take in another graph: nodes that are known by name or embedding become one, edges average.

        Args:
            T: (4, 4) T_self_other.
            keyframes: {number there: number here}.

        Returns:
            (N,) for each node there its number here.
        """
        nodes = np.zeros(len(other), np.int64)
        for n, (name, phi, at) in enumerate(zip(other.names, other.embeddings, other.positions, strict=True)):
            position = T[:3, :3] @ at + T[:3, 3]
            known = self._find(phi / np.linalg.norm(phi), name)
            nodes[n] = known if known >= 0 else self._add(position, phi, name)
            self._refine(nodes[n], position, phi, int(other.counts[n]) - (known < 0))
        for visit in other.visits:
            fixed = visit["keyframe"] < 0
            local = T[:3, :3] @ visit["local"] + T[:3, 3] if fixed else visit["local"]
            keyframe = -1 if fixed else keyframes[int(visit["keyframe"])]
            self._visits.append(1, node=nodes[visit["node"]], keyframe=keyframe, local=local)
        for (a, b), edge in other.edges.items():
            if nodes[a] != nodes[b]:
                self.connect(int(nodes[a]), int(nodes[b]), edge.metres, edge.cost, edge.times)
        return nodes

    def restore(self, nodes: list[tuple], visits: list[tuple], edges: list[tuple], current: int) -> None:
        """Take in what was stored: (name, x, y, z, visits, phi), (node, keyframe, x, y, z), (a, b, Edge's fields)."""
        for name, x, y, z, count, phi in nodes:
            node = self._add(np.array([x, y, z]), np.frombuffer(phi, np.float32), name)
            self.counts[node] = count
        for node, keyframe, *local in visits:
            self._visits.append(1, node=node, keyframe=keyframe, local=local)
        self.current = current
        self.edges = {(a, b): Edge(*rest) for a, b, *rest in edges}

    def to_networkx(self) -> networkx.DiGraph:
        """The graph for networkx: nodes with name and position, edges with weight, metres, cost and times."""
        import networkx

        graph = networkx.DiGraph()
        for node, (name, at) in enumerate(zip(self.names, self.positions, strict=True)):
            graph.add_node(node, name=name, position=tuple(at.tolist()))
        for (a, b), edge in self.edges.items():
            graph.add_edge(a, b, weight=self.weight(edge), metres=edge.metres, cost=edge.cost, times=edge.times)
        return graph


class NoGraph(TopologyGraph):
    """That never gets a node."""

    def visit(self, *_, **__) -> int:
        """Be nowhere: -1."""
        return -1

    def merge(self, other: TopologyGraph, T: NDArray[np.float64], keyframes: dict[int, int]) -> NDArray[np.int64]:
        """Take in nothing: every node there is -1 here."""
        return np.full(len(other), -1)
