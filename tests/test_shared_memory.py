# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What killed nodes leave in shared memory, as files in a folder."""

from __future__ import annotations

import fcntl
import os
import sys

import pytest

from nodes import shared_memory
from nodes.shared_memory import free_memory_of_the_dead

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shared memory is a folder on Linux alone")
SEGMENT = "fastrtps_0685145a3c748326"


def _segment(folder, name=SEGMENT):
    (folder / name).write_bytes(bytes(1000))
    (folder / f"{name}_el").touch()


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def long_ago(monkeypatch):
    monkeypatch.setattr(shared_memory, "_MADE_S", 0.0)


@pytest.mark.usefixtures("long_ago")
def test_the_segment_of_a_process_that_is_no_more_is_freed(tmp_path):
    _segment(tmp_path)
    assert free_memory_of_the_dead(tmp_path) == 1000
    assert _names(tmp_path) == []
    assert free_memory_of_the_dead(tmp_path) == 0


@pytest.mark.usefixtures("long_ago")
def test_a_segment_whose_owner_lives_and_what_belongs_to_others_stay(tmp_path):
    _segment(tmp_path)
    for other in ("fastrtps_port7000", "fastrtps_port7000_el", "sem.fastrtps_port7000_mutex", "somebody_else_el"):
        (tmp_path / other).touch()
    before = _names(tmp_path)
    with open(tmp_path / f"{SEGMENT}_el", "rb") as owned:
        fcntl.flock(owned, fcntl.LOCK_EX)
        assert free_memory_of_the_dead(tmp_path) == 0
    assert _names(tmp_path) == before


def test_a_segment_that_is_being_made_is_left_to_its_maker(tmp_path):
    _segment(tmp_path)
    assert free_memory_of_the_dead(tmp_path) == 0
    assert len(_names(tmp_path)) == 2


@pytest.mark.usefixtures("long_ago")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every file")
def test_the_segment_of_another_user_is_passed_over(tmp_path):
    _segment(tmp_path)
    (tmp_path / f"{SEGMENT}_el").chmod(0)
    assert free_memory_of_the_dead(tmp_path) == 0
    assert len(_names(tmp_path)) == 2


def test_where_there_is_no_shared_memory_nothing_is_done(tmp_path):
    assert free_memory_of_the_dead(tmp_path / "none") == 0
