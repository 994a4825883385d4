# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A stored memory is whole whatever happens to the process, to the files, and to their version."""

import multiprocessing
import os
import sqlite3
import sys
import time
from contextlib import closing

import numpy as np
import pytest

from mem4nav.errors import MemoryStoreError
from mem4nav.memory import MemoryConfig, MemoryMode, load_memory, open_memory, vectors
from mem4nav.memory.store import DATABASE, INDEX
from memory_worlds import at, units

CONFIG = MemoryConfig(dimension=16)
V = units(9000, 16)

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


def walked(folder=None, steps=12):
    """A walk along x: three entries and a visit a step, on a keyframe every four; some forgotten, one gone."""
    memory = open_memory(MemoryMode.NO_STM, CONFIG, folder)
    for k in range(steps):
        memory.write_many(at(2.0 * k), V[3 * k : 3 * k + 3], ["door", f"shop {k}", ""], np.eye(3), keyframe=k // 4)
        memory.visit(at(2.0 * k), V[1000 + k % 9], name=f"node {k % 9}", cost=1.0, keyframe=k // 4)
    memory.forget([0, 5])
    memory.mark_gone([7])
    memory.correct({1: at(20.0, 5.0)})
    return memory


def content(memory):
    """All that a memory can be asked, for comparing."""
    hits = memory.observations.hits(memory.observations.alive(), np.ones(len(memory)))
    entries = [(h.entry, h.label, h.step, h.gone, h.position.tolist(), h.embedding.tobytes()) for h in hits]
    graph = memory.graph
    return entries, graph.names, graph.positions.tolist(), graph.embeddings.tobytes(), graph.edges, graph.current


@pytest.mark.parametrize("kept", [True, False], ids=["kept in a folder", "saved from RAM"])
def test_a_memory_comes_back_as_it_was_and_goes_on(tmp_path, kept):
    stored = walked(tmp_path if kept else None)
    before = content(stored)
    if not kept:
        stored.save(tmp_path)
    stored.close()
    with load_memory(tmp_path) as loaded:
        assert content(loaded) == before and loaded.mode is MemoryMode.NO_STM and loaded.config == CONFIG
        assert loaded.step == stored.step and [h.entry for h in loaded.within((4.5, 0.5, 0.0), 1.5)] == [
            h.entry for h in stored.within((4.5, 0.5, 0.0), 1.5)
        ]
        assert loaded.write(at(0.0), V[500], keyframe=1) == 36
        loaded.correct({1: at(0.0, 1.0)})
        after = content(loaded)
    assert content(load_memory(tmp_path)) == after


def test_nothing_acknowledged_waits_for_a_save(tmp_path):
    memory = walked(tmp_path)
    before = content(memory)
    memory.store.close()  # the process ends here, without a word
    assert content(load_memory(tmp_path)) == before


def test_short_term_memory_holds_the_newest_entries_after_loading(tmp_path):
    with open_memory(config=CONFIG, folder=tmp_path) as memory:
        for k in range(200):
            memory.write(at(float(k)), V[k])
    with load_memory(tmp_path) as loaded:
        assert loaded.recall(V[199], at(199.0)).source == "short-term"
        assert loaded.recall(V[3], at(3.0)).source == "long-term"


def test_a_save_replaces_what_is_there_and_clear_empties_it(tmp_path):
    walked(tmp_path).close()
    other = open_memory(config=CONFIG)
    other.write(at(1.0), V[77], "new")
    other.save(tmp_path)
    with load_memory(tmp_path) as loaded:
        assert content(loaded) == content(other)
        loaded.clear()
    with load_memory(tmp_path) as loaded:
        assert len(loaded) == 0 and loaded.write(at(0.0), V[0]) == 0


def test_a_merge_is_stored(tmp_path):
    other = walked()
    with open_memory(config=CONFIG, folder=tmp_path) as memory:
        memory.write(at(0.0), V[2000], keyframe=9)
        memory.merge(other, at(50.0))
        before = content(memory)
    assert content(load_memory(tmp_path)) == before


def test_what_is_forgotten_leaves_no_bytes_behind(tmp_path):
    memory = open_memory(config=CONFIG, folder=tmp_path)
    memory.write_many(at(0.0), V[:50], [""] * 50)
    memory.forget(range(10))
    memory.close()
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert V[20].tobytes() in data and V[3].tobytes() not in data


def test_the_journal_costs_little_more_than_its_observations(tmp_path):
    wide = units(4000, 256)
    with open_memory(config=MemoryConfig(dimension=256), folder=tmp_path) as memory:
        for first in range(0, 4000, 100):
            memory.write_many(at(0.1 * first), wide[first : first + 100], ["tree"] * 100)
        assert memory.store.journal_bytes() <= 1.1 * wide.nbytes


# the index beside it


@pytest.fixture
def few_are_many(monkeypatch):
    """An index from 5,000 entries on."""
    pytest.importorskip("faiss", reason="the index needs faiss (extra nav)")
    for module in ("vectors", "index_cache"):
        monkeypatch.setattr(f"mem4nav.memory.{module}.MANY", 5000)
    monkeypatch.setattr(vectors, "LISTS", 64)


def indexed(folder):
    memory = open_memory(MemoryMode.CACHE, CONFIG, folder)
    for first in range(0, 8000, 500):
        memory.write_many(at(float(first)), V[first : first + 500], ["x"] * 500)
    return memory


def found(memory, queries=range(0, 8000, 400)):
    return [(memory.recall(V[k]).hits[0].entry, memory.recall(V[k]).hits[0].embedding.tobytes()) for k in queries]


def test_an_index_gives_what_was_written_and_is_used_again(few_are_many, tmp_path, monkeypatch):
    with indexed(tmp_path) as memory:
        right = [(k, V[k].tobytes()) for k in range(0, 8000, 400)]
        assert found(memory) == right
    assert (tmp_path / INDEX).is_file()
    monkeypatch.setattr(vectors.ListedVectors, "about", None)  # building one anew would fail
    loaded = load_memory(tmp_path)
    assert found(loaded) == right
    loaded.write(at(0.0), V[8500])
    loaded.store.close()  # ends without storing the index
    with load_memory(tmp_path) as loaded:
        assert found(loaded) == right and loaded.recall(V[8500]).hits[0].entry == 8000


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_an_index_that_does_not_fit_is_built_anew(few_are_many, tmp_path, harm):
    indexed(tmp_path).close()
    data = bytearray((tmp_path / INDEX).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / INDEX).unlink()
    if harm != "remove":
        (tmp_path / INDEX).write_bytes(data[: -1 if harm == "cut" else None])
    with load_memory(tmp_path) as loaded:
        assert found(loaded) == [(k, V[k].tobytes()) for k in range(0, 8000, 400)]


def test_the_index_forgets_too(few_are_many, tmp_path):
    with indexed(tmp_path) as memory:
        memory.forget(range(400, 900))
        assert memory.recall(V[400]).hits[0].entry != 400
    for path in tmp_path.iterdir():
        assert V[450].tobytes() not in path.read_bytes()
    with load_memory(tmp_path) as loaded:
        assert loaded.recall(V[400]).hits[0].entry != 400 and loaded.recall(V[1200]).hits[0].entry == 1200


def test_without_faiss_all_entries_are_compared(few_are_many, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(vectors.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(vectors, "_told", [])
    with indexed(tmp_path) as memory:
        assert found(memory) == [(k, V[k].tobytes()) for k in range(0, 8000, 400)]
    assert caplog.text.count("faiss is not installed") == 1


# other programs, other versions


def test_a_folder_in_use_says_by_whom(tmp_path):
    with walked(tmp_path):
        for use in (load_memory, lambda folder: open_memory(folder=folder), walked().save):
            with pytest.raises(MemoryStoreError, match=f"in use by process {os.getpid()}"):
                use(tmp_path)
    load_memory(tmp_path).close()


def test_a_folder_without_a_memory_and_one_of_other_embeddings_are_refused(tmp_path):
    with pytest.raises(MemoryStoreError, match="no memory here"):
        load_memory(tmp_path)
    walked(tmp_path).close()
    with pytest.raises(MemoryStoreError, match="embeddings of 16 numbers, not 256"):
        open_memory(config=MemoryConfig(), folder=tmp_path)
    assert len(open_memory(folder=tmp_path)) == 34


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 40])
def test_a_file_that_is_no_database_is_called_damaged(tmp_path, content):
    (tmp_path / DATABASE).write_bytes(content)
    if content:
        with pytest.raises(MemoryStoreError, match="damaged"):
            load_memory(tmp_path)
    else:  # as a process leaves it that was killed at its first step
        assert len(load_memory(tmp_path)) == 0


def execute(folder, *statements):
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_a_newer_version_says_so(tmp_path):
    walked(tmp_path).close()
    execute(tmp_path, "UPDATE meta SET value = 7 WHERE key = 'version'")
    with pytest.raises(MemoryStoreError, match=r"version 7.*update"):
        load_memory(tmp_path)


def test_a_store_of_version_1_which_did_not_know_what_is_gone_is_read_and_brought_up_to_date(tmp_path):
    memory = walked(tmp_path)
    before = [(*entry[:3], False, *entry[4:]) for entry in content(memory)[0]]
    memory.close()
    execute(tmp_path, "ALTER TABLE entries DROP COLUMN gone", "UPDATE meta SET value = 1 WHERE key = 'version'")
    with load_memory(tmp_path) as loaded:
        assert content(loaded)[0] == before
        loaded.mark_gone([7])
    with load_memory(tmp_path) as loaded:
        assert content(loaded) == content(memory)


# several processes


def _write_for_ever(folder, acknowledge):
    memory = open_memory(MemoryMode.NO_STM, CONFIG, folder)
    while True:
        k = len(memory.observations)
        memory.write_many(at(float(k % 50)), V[k % 8000 : k % 8000 + 4], list("abcd"), keyframe=k // 40)
        memory.visit(at(float(k)), V[k % 8000], name=f"{k}", keyframe=k // 40)
        os.write(acknowledge, (k + 4).to_bytes(4, "little"))


@needs_fork
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path):
    rng, acknowledged = np.random.default_rng(0), 0
    for _ in range(40):
        done, acknowledge = os.pipe()
        writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(tmp_path, acknowledge))
        writer.start()
        first = os.read(done, 4)
        time.sleep(rng.uniform(0.0, 0.02))
        writer.kill()
        writer.join()
        os.close(acknowledge)
        acknowledged = int(np.frombuffer(first + os.read(done, 1 << 16), np.uint32)[-1])
        os.close(done)
        with load_memory(tmp_path) as memory:
            written, nodes = len(memory), len(memory.graph)
            assert written in (acknowledged, acknowledged + 4) and written // 4 - nodes in (0, 1)
            assert np.array_equal(memory.observations.vectors.get(np.arange(written)), V[np.arange(written)])
            if nodes < written // 4:  # killed between the two: the walk goes on from there
                memory.visit(at(0.0), V[0], name=f"{written - 4}")
    assert acknowledged > 160


def _try_to_use(folder, outcome):
    try:
        load_memory(folder).close()
        os.write(outcome, b"used it")
    except MemoryStoreError as error:
        os.write(outcome, str(error).encode())


@needs_fork
def test_a_full_disk_stops_writes_and_visits_until_there_is_room_again(tmp_path):
    memory = walked(tmp_path)
    pages = memory.store._db.execute("PRAGMA page_count").fetchone()[0]
    memory.store._db.execute(f"PRAGMA max_page_count={pages}")
    before = len(memory)
    with pytest.raises(MemoryStoreError, match="full"):
        for k in range(2000):
            memory.write_many(at(100.0 + k), units(200, 16, k), [""] * 200, keyframe=100 + k)
    written, nodes = len(memory), len(memory.graph)
    with pytest.raises(MemoryStoreError, match="full"):
        for k in range(5000):
            memory.visit(at(0.5 * k), V[2000 + k], name=f"late {k}", keyframe=5000 + k)
    assert (written - before) % 200 == 0 and len(memory.graph) > nodes
    memory.store._db.execute("PRAGMA max_page_count=100000")
    memory.visit(at(1.0), V[3], name="room again", keyframe=9999)
    memory.write(at(2.0), V[4], "sign", keyframe=9999)
    expected = content(memory)
    memory.close()
    again = load_memory(tmp_path)
    assert content(again) == expected
    again.close()


def test_two_processes_cannot_use_one_folder(tmp_path):
    said, outcome = os.pipe()
    with walked(tmp_path):
        other = multiprocessing.get_context("fork").Process(target=_try_to_use, args=(tmp_path, outcome))
        other.start()
        other.join()
    assert f"in use by process {os.getpid()}" in os.read(said, 1000).decode()
