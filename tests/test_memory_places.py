# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The octree finds what lies where, the graph knows the ways, and both follow corrected poses."""

import networkx
import numpy as np
import pytest

from mem4nav.errors import MemoryInputError
from mem4nav.memory import MemoryConfig, open_memory
from memory_worlds import at, units

V = units(1200, 16)
CENTRES = [(0.0, 0.0, 0.0), (-50_000.0, 31_000.0, -2000.0), (700_000.0, -900_000.0, 11.0)]


def strewn(centre, leaf_m=1.0, count=1000, spread=8.0, seed=1):
    """A memory of points about a centre, and where they are."""
    memory = open_memory(config=MemoryConfig(dimension=16, leaf_m=leaf_m))
    points = np.random.default_rng(seed).uniform(-spread, spread, (count, 3)) + centre
    memory.write_many(np.eye(4), V[:count], [f"kind {k % 3}" for k in range(count)], points)
    return memory, points


@pytest.mark.parametrize("leaf_m", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("centre", CENTRES[:2])
def test_radius_and_box_find_what_a_look_at_every_entry_finds(centre, leaf_m):
    memory, points = strewn(centre, leaf_m)
    for k in range(20):
        radius = 0.1 * 1.4**k
        near = np.flatnonzero(((points - points[k]) ** 2).sum(axis=1) <= radius**2)
        assert [hit.entry for hit in memory.within(points[k], radius)] == near.tolist()
        low, high = points[k] - radius, points[k] + 0.5 * radius
        inside = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
        assert [hit.entry for hit in memory.in_box(low, high)] == inside.tolist()


def test_a_thousand_kilometres_away_neighbours_are_still_told_apart():
    memory, points = strewn(CENTRES[2])
    assert [hit.entry for hit in memory.within(points[5], 1e-6)] == [5]
    assert {hit.entry for hit in memory.journal(points[5])} == {
        k for k, p in enumerate(points) if (np.floor(p) == np.floor(points[5])).all()
    }


def test_a_place_seen_twice_is_one_leaf_and_its_journal_holds_both():
    memory = open_memory(config=MemoryConfig(dimension=16))
    for k, x in enumerate((-0.1, -0.9, 0.1, -0.5)):
        memory.write(at(x, -0.5, -3.5), V[k])
    journal = memory.journal((-0.2, -0.2, -3.2))
    assert [hit.entry for hit in journal] == [0, 1, 3]
    assert all(np.array_equal(hit.embedding, V[hit.entry]) for hit in journal)
    assert memory.journal((5.0, 5.0, 5.0)) == ()


def test_a_thousand_writes_at_one_place_all_come_back_exactly():
    memory = open_memory(config=MemoryConfig(dimension=16))
    for vector in V[:1000]:
        memory.write(at(3.3), vector)
    assert np.array_equal([hit.embedding for hit in memory.journal(at(3.3))], V[:1000])


@pytest.mark.parametrize("level", [0, 1, 3, 21])
def test_coarser_levels_sum_up_what_is_below(level):
    memory, points = strewn(CENTRES[1])
    memory.forget(range(100))
    cells, side = memory.aggregate(level), 2.0**level
    assert cells.side_m == side and cells.counts.sum() == 900
    assert sum(sum(labels.values()) for labels in cells.labels) == 900
    if level == 21:
        return
    number = int(np.argmax(cells.counts))
    low = cells.centres[number] - 0.5 * side
    inside = np.flatnonzero(((points >= low) & (points < low + side)).all(axis=1)[100:]) + 100
    assert len(inside) == cells.counts[number]
    assert np.allclose(cells.embeddings[number], V[inside].mean(axis=0), atol=1e-5)


def test_levels_that_do_not_exist_are_refused():
    with pytest.raises(MemoryInputError, match="level 22"):
        strewn(CENTRES[0])[0].aggregate(22)


# the graph


def test_a_place_is_a_new_node_where_its_embedding_is_far_from_all_others():
    memory = open_memory(config=MemoryConfig(dimension=16))
    near = V[0] + 0.1 * V[1]
    near /= np.linalg.norm(near)
    assert [memory.visit(at(x), v) for x, v in ((0.0, V[0]), (9.0, V[2]), (2.0, near))] == [0, 1, 0]
    assert np.allclose(memory.graph.positions[0], [1.0, 0.0, 0.0])
    assert np.allclose(memory.graph.embeddings[0], 0.5 * (V[0] + near))


def test_the_same_name_is_the_same_node_whatever_the_embedding_says():
    memory = open_memory(config=MemoryConfig(dimension=16))
    assert [memory.visit(at(0.0), V[k], name=name) for k, name in enumerate("aba")] == [0, 1, 0]
    assert memory.visit(at(0.0), V[0], name="c") == 2


def test_edges_weigh_metres_and_instructions_and_are_averaged_when_taken_again():
    memory = open_memory(config=MemoryConfig(dimension=16, distance_weight=2.0, instruction_weight=0.5))
    for cost in (0.0, 6.0):
        memory.visit(at(0.0), V[0], name="a")
        memory.visit(at(10.0), V[1], name="b", cost=cost)
    edge = memory.graph.edges[0, 1]
    assert (edge.metres, edge.cost, edge.times) == (10.0, 3.0, 2) and memory.graph.weight(edge) == 21.5
    assert (1, 0) in memory.graph.edges and memory.graph.path(0, 0) == [0]


def test_ways_are_those_that_networkx_finds():
    memory, rng = open_memory(config=MemoryConfig(dimension=16)), np.random.default_rng(3)
    points = rng.uniform(-100, 100, (40, 2))
    for k in rng.integers(0, 40, 300):
        memory.visit(at(*points[k]), V[k], name=f"place {k}")
    graph = memory.graph.to_networkx()
    lengths = dict(networkx.all_pairs_dijkstra_path_length(graph))
    for a, b in rng.integers(0, len(memory.graph), (50, 2)):
        assert networkx.path_weight(graph, memory.graph.path(a, b), "weight") == pytest.approx(lengths[a].get(b, 0.0))


def test_the_way_to_something_is_found_by_name_or_by_what_it_looks_like():
    memory = open_memory(config=MemoryConfig(dimension=16))
    for k, name in enumerate(("home", "bank", "cafe")):
        memory.visit(at(10.0 * k), V[k], name=name)
    assert memory.graph.way_to("cafe", start=0).nodes == (0, 1, 2)
    way = memory.graph.way_to(V[1], start=0)
    assert way.nodes == (0, 1) and way.cosine == pytest.approx(1.0) and way.metres == 10.0
    assert memory.graph.way_to("home").nodes == () and memory.graph.way_to("nowhere").nodes == ()
    assert open_memory().graph.way_to("home").nodes == ()
    with pytest.raises(MemoryInputError, match="node 7"):
        memory.graph.path(0, 7)


# upkeep


def test_entries_nodes_and_short_term_memory_follow_their_keyframes():
    memory = open_memory(config=MemoryConfig(dimension=16))
    memory.write_many(at(10.0, yaw=np.pi / 2), V[:2], ["ahead", "here"], [[2.0, 0, 0], [0, 0, 0]], keyframe=4)
    memory.write(at(10.5), V[2], keyframe=4)
    memory.write(at(10.0, 1.0), V[3], "fixed")
    memory.visit(at(10.0), V[4], name="a", keyframe=4)
    memory.visit(at(0.0), V[5], name="b")
    memory.correct({4: at(-60.0)})
    where = [tuple(np.round(memory.recall(V[k]).hits[0].position, 9)) for k in range(4)]
    assert where == [(-58.0, 0.0, 0.0), (-60.0, 0.0, 0.0), (-60.0, -0.5, 0.0), (10.0, 1.0, 0.0)]
    assert {hit.entry for hit in memory.within((-60.0, 0, 0), 3.0)} == {0, 1, 2}
    assert {hit.entry for hit in memory.within((10.0, 1.0, 0), 3.0)} == {3}
    assert memory.recall(V[0], (-58.5, 0.0, 0.0)).source == "short-term"
    assert np.allclose(memory.graph.positions, [[-60, 0, 0], [0, 0, 0]]) and memory.graph.edges[0, 1].metres == 60.0


def test_a_correction_that_leaves_the_world_changes_nothing():
    memory = open_memory(config=MemoryConfig(dimension=16))
    memory.write(at(1.0), V[0], keyframe=0)
    with pytest.raises(MemoryInputError, match="beyond"):
        memory.correct({0: at(5e6)})
    assert memory.within((1.0, 0, 0), 0.1) and memory.write(at(1.0), V[1], keyframe=0) == 1
    assert len(memory.within((1.0, 0, 0), 0.1)) == 2


def test_what_is_forgotten_is_found_nowhere():
    memory, points = strewn(CENTRES[1])
    assert memory.forget([3, 3, 5]) == 2 and memory.forget([3]) == 0
    inside = len(memory.in_box(points[0] - 3, points[0] + 3))
    assert memory.forget(box=(points[0] - 3, points[0] + 3)) == inside > 1
    assert memory.in_box(points[0] - 3, points[0] + 3) == () and memory.journal(points[0]) == ()
    assert memory.recall(V[0]).hits[0].cosine < 0.95 and memory.recall(V[0], points[0]).hits[0].entry != 0
    assert not memory.observations.vectors.get(np.array([0, 3, 5])).any()
    assert len(memory) == 1000 - 2 - inside and memory.write(at(0.0), V[0]) == 1000
    with pytest.raises(MemoryInputError, match="forget what"):
        memory.forget()
    with pytest.raises(MemoryInputError, match="has written 1001"):
        memory.forget([1001])


def test_old_writes_expire():
    memory = open_memory(config=MemoryConfig(dimension=16))
    for k in range(10):
        memory.write(at(0.0), V[k])
    assert memory.expire(4) == 6 and [hit.entry for hit in memory.journal(at(0.0))] == [6, 7, 8, 9]
    assert memory.forget(range(10), before_step=8) == 2


def test_what_is_gone_is_recalled_as_gone():
    memory, _ = strewn(CENTRES[0])
    memory.mark_gone([4])
    assert memory.recall(V[4]).hits[0].gone and not memory.recall(V[5]).hits[0].gone


def test_a_merged_memory_knows_both_worlds_in_its_own_map():
    here, there = (open_memory(config=MemoryConfig(dimension=16)) for _ in range(2))
    here.write(at(0.0), V[0], "mine", keyframe=0)
    here.visit(at(0.0), V[1], name="square")
    there.write(at(1.0), V[2], "theirs", keyframe=0)
    there.visit(at(1.0), V[3], name="square", keyframe=0)
    there.write(at(0.0, 2.0), V[4], "fixed")
    there.visit(at(7.0), V[5], name="park")
    added = here.merge(there, at(100.0, yaw=np.pi / 2))
    assert added.tolist() == [1, 2] and len(here) == 3 and here.step == 3
    where = {hit.label: tuple(np.round(hit.position, 6)) for k in (0, 2, 4) for hit in here.recall(V[k]).hits[:1]}
    assert where == {"mine": (0, 0, 0), "theirs": (100.0, 1.0, 0.0), "fixed": (98.0, 0.0, 0.0)}
    assert here.graph.names == ["square", "park"] and here.graph.path(0, 1) == [0, 1]
    assert np.allclose(here.graph.positions, [[50.0, 0.5, 0.0], [100.0, 7.0, 0.0]])
    here.correct({1: at(0.0)})
    assert np.allclose(here.recall(V[2]).hits[0].position, 0.0)
    assert np.allclose(here.recall(V[0]).hits[0].position, 0.0)
    with pytest.raises(MemoryInputError, match="32 numbers, not 16"):
        here.merge(open_memory(config=MemoryConfig(dimension=32)), np.eye(4))
