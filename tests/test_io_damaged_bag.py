# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A power cut, a flipped bit, a missing index: what can be read is read, and the rest is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bag_writing import SECOND, START_NS, Messages, cloud_rows, points_dtype, ring, standard_bag, write_bag
from slam.errors import RecordingError
from slam.io import open_recording
from slam.measurements import Scan


def storage_file(path: Path) -> Path:
    return path if path.is_file() else next(p for p in path.iterdir() if p.suffix in (".db3", ".mcap", ".zstd"))


def cut(path: Path, keep: float) -> Path:
    file = storage_file(path)
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data))])
    return path


def scans_of(path: Path) -> tuple[list[Scan], str]:
    recording = open_recording(path)
    scans = [m for m in recording.measurements() if isinstance(m, Scan)]
    return scans, " ".join(recording.notes)


@pytest.mark.parametrize("kind", ["rosbag1", "sqlite3", "mcap"])
def test_a_bag_that_is_cut_off_gives_what_came_before(kind: str, tmp_path: Path) -> None:
    path = cut(standard_bag(tmp_path / "bag", kind, scans=60), 0.7)
    scans, notes = scans_of(path)
    assert 20 < len(scans) < 60 and all(len(s.points) == 64 for s in scans)
    assert "damaged" in notes


@pytest.mark.parametrize("kind", ["rosbag1", "rosbag1_lz4", "sqlite3", "mcap", "mcap_zstd", "sqlite3_file"])
@pytest.mark.parametrize("keep", [0.0, 0.001, 0.05, 0.3, 0.5, 0.9, 0.99])
def test_wherever_a_bag_is_cut_there_are_scans_or_one_clear_error(kind: str, keep: float, tmp_path: Path) -> None:
    path = cut(standard_bag(tmp_path / "bag", kind), keep)
    try:
        scans, _ = scans_of(path)
    except RecordingError as err:
        assert str(path.name) in str(err) and len(str(err)) < 900
    else:
        assert all(s.points.shape[1] == 3 for s in scans)


@pytest.mark.parametrize("kind", ["rosbag1", "sqlite3", "mcap", "mcap_zstd", "sqlite3_message"])
def test_flipped_bytes_never_raise_anything_but_a_recording_error(kind: str, tmp_path: Path) -> None:
    path = standard_bag(tmp_path / "bag", kind)
    file = storage_file(path)
    whole = bytearray(file.read_bytes())
    for seed in range(12):
        rng = np.random.default_rng(seed)
        broken = bytearray(whole)
        for at in rng.integers(0, len(broken), 40):
            broken[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(broken)
        try:
            recording = open_recording(path)
            list(recording.measurements(images=True))
            recording.ground_truth()
        except RecordingError:
            continue


def test_a_folder_without_metadata_is_read_file_by_file(tmp_path: Path) -> None:
    for kind in ("mcap", "sqlite3"):
        path = standard_bag(tmp_path / kind, kind)
        (path / "metadata.yaml").unlink()
        scans, notes = scans_of(path)
        assert len(scans) == 5 and "could not be opened the regular way" in notes


def test_one_broken_chunk_loses_only_its_own_messages(tmp_path: Path) -> None:
    path = standard_bag(tmp_path / "bag", "mcap_zstd", scans=600)
    file = storage_file(path)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    file.write_bytes(data)
    scans, notes = scans_of(path)
    assert 0 < len(scans) < 600 and "damaged" in notes


def test_a_cloud_that_cannot_be_decoded_is_an_empty_scan(tmp_path: Path) -> None:
    m = Messages(False)
    rows = cloud_rows(ring(), points_dtype())
    entries = [("/points", START_NS + k * SECOND // 10, m.cloud(START_NS + k * SECOND // 10, rows)) for k in range(3)]
    short = m.cloud(START_NS + SECOND, rows, data=np.zeros(17, np.uint8))
    path = write_bag(tmp_path / "bag", "mcap", [*entries, ("/points", START_NS + SECOND, short)], m)
    scans, notes = scans_of(path)
    assert [len(s.points) for s in scans] == [64, 64, 64, 0] and scans[-1].stamp_ns == START_NS + SECOND
    assert "needs 2560 bytes, the message holds 17" in notes


def test_an_empty_file_and_a_text_file_are_one_clear_error(tmp_path: Path) -> None:
    for suffix in (".bag", ".mcap", ".db3"):
        for content in (b"", b"hello world\n" * 9):
            path = tmp_path / f"x{suffix}"
            path.write_bytes(content)
            with pytest.raises(RecordingError, match=rf"none of its {len(content)} bytes"):
                open_recording(path)
