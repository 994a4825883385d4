# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A vehicle that remembers what it passes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from detection.boxes import moved
from detection.sample import make_boxes
from mem4nav.backbones.hashed_words import HashedWords
from mem4nav.errors import MemoryStoreError
from mem4nav.observing.answering import answer_place, answer_words
from mem4nav.observing.embedding import Embedder, tiny_image
from mem4nav.observing.keeping import KeptMemory
from mem4nav.observing.observer import Observer
from mem4nav.observing.overview import overview
from memory_worlds import at

CLASSES = ("bench", "hydrant", "traffic light")
THINGS = make_boxes([[12.0, 4.0, 0.5], [45.0, -4.0, 0.4], [48.0, 4.0, 3.0]], np.ones((3, 3)), np.zeros(3), [0, 1, 2])
STEP_NS, STEP_M = 100_000_000, 0.5


def in_view(T, reach_m=20.0):
    """Things near enough, in base_link."""
    seen = moved(THINGS, np.linalg.inv(T))
    return seen.pick(np.linalg.norm(seen.centre[:, :2], axis=1) < reach_m)


def drive(observer, places, began_ns=0, pixels=None):
    """Past all these (x, y), with detections that come before their poses."""
    for number, (x, y) in enumerate(places):
        T, stamp_ns = at(x, y), began_ns + number * STEP_NS
        observer.see(stamp_ns, in_view(T))
        if pixels is not None:
            observer.look(stamp_ns, pixels)
        observer.move(stamp_ns, T)


def straight(metres=60.0):
    return [(x, 0.0) for x in np.arange(0.0, metres, STEP_M)]


@pytest.fixture
def embedder():
    return Embedder(HashedWords())


@pytest.fixture
def kept(embedder):
    return KeptMemory(embedder)


@pytest.fixture
def observer(kept, embedder):
    return Observer(kept.memory, embedder, CLASSES)


def labelled(memory):
    return sorted(hit.label for hit in memory.in_box([-1e3] * 3, [1e3] * 3) if hit.label)


def test_what_is_passed_is_remembered_once_where_it_stands(observer, kept):
    drive(observer, straight())
    drive(observer, straight()[::-1], began_ns=120 * STEP_NS)
    assert labelled(kept.memory) == ["bench", "hydrant", "traffic light"]
    for label, place in zip(CLASSES, THINGS.centre, strict=True):
        hit = answer_words(kept.memory, label, at(0.0), 5)["hits"][0]
        assert hit["label"] == label and hit["score"] > 0.99
        assert np.linalg.norm(np.array(hit["position"]) - place) < 0.1


def test_what_is_detected_once_or_weakly_is_not_remembered(observer, kept):
    ghost = make_boxes([[5.0, 3.0, 0.5]], np.ones((1, 3)), [0.0], [0], score=[0.9])
    weak = make_boxes([[8.0, 0.0, 0.5]], np.ones((1, 3)), [0.0], [1], score=[0.05])
    for number, (x, y) in enumerate(straight(20.0)):
        observer.move(number * STEP_NS, at(x, y))
        observer.see(number * STEP_NS, ghost if number == 4 else weak)
    assert labelled(kept.memory) == []


def test_what_is_detected_often_but_weakly_adds_up_to_nothing(observer, kept):
    lamp = make_boxes([[30.0, 3.0, 3.0]], np.ones((1, 3)), [0.0], [2], score=[0.2])
    for number, (x, y) in enumerate(straight(25.0)):
        T = at(x, y)
        observer.see(number * STEP_NS, moved(lamp, np.linalg.inv(T)))
        observer.move(number * STEP_NS, T)
    assert labelled(kept.memory) == []


def test_detections_without_a_pose_of_their_moment_are_left_out(observer, kept):
    for number, (x, y) in enumerate(straight(20.0)):
        observer.see(number * STEP_NS + 10**15, in_view(at(x, y)))
        observer.move(number * STEP_NS, at(x, y))
    assert labelled(kept.memory) == []


def test_places_are_passed_in_order_and_known_again_on_the_way_back(observer, kept):
    drive(observer, straight())
    graph = kept.memory.graph
    assert graph.names == [f"place {n}" for n in range(len(graph))] and len(graph) == 4
    assert list(graph.edges) == [(0, 1), (1, 2), (2, 3)]
    assert np.diff(graph.positions[:, 0]).min() > 15.0
    drive(observer, straight()[::-1], began_ns=120 * STEP_NS)
    assert len(graph) == 4 and (1, 0) in graph.edges
    assert graph.path(0, 3) == [0, 1, 2, 3]


@pytest.mark.parametrize("then_ns", [0, 10**12 + 10**10], ids=["clock", "pose"])
def test_a_clock_that_jumps_back_or_a_pose_that_leaps_joins_no_places(observer, kept, then_ns):
    drive(observer, straight(20.0), began_ns=10**12)
    drive(observer, [(5000.0, 0.0), (5000.5, 0.0)], began_ns=then_ns)
    assert observer.jumps == 1 and len(kept.memory.graph) == 3
    assert (1, 2) not in kept.memory.graph.edges


def test_an_answer_tells_where_when_and_from_where_something_was_seen(observer, kept):
    drive(observer, straight(), began_ns=1_700_000_000 * 10**9)
    told = json.loads(json.dumps(answer_words(kept.memory, "the hydrant", at(0.0), 3)))
    hit = told["hits"][0]
    assert told["query"] == "the hydrant" and told["confidence"] > 0.5
    assert hit["place"] in kept.memory.graph.names
    assert 1_700_000_000 < hit["seen_s"] < 1_700_000_012
    assert 25.0 < hit["seen_from"]["position"][0] < 50.0
    assert answer_words(kept.memory, "cathedral", at(0.0), 3)["hits"] == []


def test_of_equal_things_the_nearest_is_told_first(kept, embedder):
    words = embedder.encode(["bench"])
    for x in (200.0, 90.0, 30.0, 150.0):
        kept.memory.write(at(x), words[0], "bench")
    told = answer_words(kept.memory, "bench", at(0.0), 2)
    assert [hit["position"][0] for hit in told["hits"]] == [30.0, 90.0]
    kept.memory.write(at(900.0), embedder.encode(["fountain"])[0], "fountain")
    assert answer_words(kept.memory, "fountain", at(0.0), 2)["hits"][0]["position"][0] == 900.0


def test_around_a_pose_what_is_near_is_told_nearest_first(observer, kept):
    drive(observer, straight())
    told = answer_place(kept.memory, np.array([46.0, 0.0, 0.0]), 10.0, 5)
    assert [hit["label"] for hit in told["hits"]] == ["hydrant", "traffic light"]
    assert told["place"] == "place 3"
    assert answer_place(kept.memory, np.array([500.0, 0.0, 0.0]), 10.0, 5)["place"] == ""


def test_a_view_is_known_again_whatever_the_exposure_and_never_meets_a_word(embedder):
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 200, (2, 60, 80, 3)).astype(np.uint8)
    assert tiny_image(one) @ tiny_image((0.8 * one + 20).astype(np.uint8)) > 0.99
    assert tiny_image(one) @ tiny_image(other) < 0.5
    assert embedder.view(one) @ embedder.encode(["bench"])[0] == 0.0
    assert np.isclose(np.linalg.norm(embedder.place(["bench", "tree"], one)), 1.0)
    assert np.isclose(np.linalg.norm(tiny_image(np.full((60, 80), 7, np.uint8))), 1.0)


def test_views_are_remembered_along_the_way(observer, kept):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    drive(observer, straight(20.0), pixels=pixels)
    views = [hit for hit in kept.memory.in_box([-1e3] * 3, [1e3] * 3) if not hit.label]
    assert len(views) == 10
    assert np.allclose(np.diff([view.position[0] for view in views]), 2.0)


def test_an_overview_shows_places_ways_and_leaves_by_name(observer, kept):
    drive(observer, straight())
    seen = overview(kept.memory)
    assert len(seen.places) == len(seen.names) == 4 and seen.ways.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert sorted(seen.labels) == sorted(CLASSES) and seen.leaf_m == 1.0
    assert np.abs(seen.leaves - THINGS.centre[[seen.labels.index(c) for c in CLASSES]][:, :]).max() < 60.0
    assert any("bench" in name for name in seen.names)


def test_an_overview_of_nothing_is_empty(kept):
    seen = overview(kept.memory)
    assert len(seen.places) == len(seen.names) == len(seen.ways) == len(seen.leaves) == 0


def test_a_memory_in_ram_is_as_of_its_last_save(observer, kept, embedder, tmp_path):
    drive(observer, straight())
    assert "3 observations" in kept.save(str(tmp_path))
    assert not kept.save_if_due(str(tmp_path), 0.0)
    other = KeptMemory(embedder)
    assert "3 observations" in other.load(str(tmp_path))
    assert other.folder == str(tmp_path) and labelled(other.memory) == labelled(kept.memory)
    assert "in use" in other.load(str(tmp_path))
    other.close()


def test_what_cannot_be_loaded_changes_nothing(observer, kept, tmp_path):
    drive(observer, straight())
    with pytest.raises(MemoryStoreError, match="no memory here"):
        kept.load(str(tmp_path / "nowhere"))
    with pytest.raises(MemoryStoreError, match="no folder"):
        kept.load("")
    KeptMemory(Embedder(HashedWords(64)), str(tmp_path / "small")).close()
    with pytest.raises(MemoryStoreError, match="of another encoder"):
        kept.load(str(tmp_path / "small"))
    (tmp_path / "file").write_text("")
    with pytest.raises(MemoryStoreError):
        kept.save(str(tmp_path / "file"))
    assert len(labelled(kept.memory)) == 3


KILLED = """
import os, signal, sys
sys.path[:0] = ["tests"]
from test_observing import *
embedder = Embedder(HashedWords())
kept = KeptMemory(embedder, sys.argv[1])
drive(Observer(kept.memory, embedder, CLASSES), straight())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_memory_in_a_folder_survives_a_kill_with_every_write(embedder, tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    kept = KeptMemory(embedder, str(tmp_path))
    assert labelled(kept.memory) == sorted(CLASSES) and len(kept.memory.graph) == 4
    observer = Observer(kept.memory, embedder, CLASSES)
    drive(observer, straight())
    assert labelled(kept.memory) == sorted(CLASSES) and len(kept.memory.graph) == 4
    kept.close()
