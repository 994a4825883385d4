# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Trajectories keep their stamps to the nanosecond, interpolate, and refuse bad files by line."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from slam.errors import TrajectoryError
from slam.trajectory import Trajectory, format_stamp, parse_stamp, read_tum, write_tum


def wandering(count: int = 50, seed: int = 3) -> Trajectory:
    rng = np.random.default_rng(seed)
    stamps = 1_700_000_000_123_456_789 + np.arange(count) * 100_000_001
    turns = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.1, (count, 3)), axis=0))
    return Trajectory(stamps, np.cumsum(rng.normal(0, 0.5, (count, 3)), axis=0), turns.as_quat())


def test_a_written_trajectory_reads_back_with_the_same_nanoseconds(tmp_path):
    poses = wandering()
    again = read_tum(write_tum(tmp_path / "new" / "trajectory.tum", poses))
    assert np.array_equal(again.stamps_ns, poses.stamps_ns)
    np.testing.assert_allclose(again.positions, poses.positions, atol=1e-8)
    np.testing.assert_allclose(again.matrices(), poses.matrices(), atol=1e-8)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["trajectory.tum"]


@pytest.mark.parametrize("stamp", [0, 1, 999_999_999, 1_700_000_000_000_000_001, -1, -1_500_000_000])
def test_stamps_survive_text(stamp):
    assert parse_stamp(format_stamp(stamp)) == stamp


def test_stamps_of_other_writers_are_understood():
    assert parse_stamp("1.5e9") == 1_500_000_000_000_000_000
    assert parse_stamp("12") == 12_000_000_000
    assert parse_stamp("0.0000000006") == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1.0 0 0 0 0 0 0", "line 2: expected 8 numbers .* got 7"),
        ("1.0 0 0 zero 0 0 0 1", "line 2: could not convert"),
        ("noon 0 0 0 0 0 0 1", "line 2: 'noon' is no time"),
        ("1.0 0 nan 0 0 0 0 1", "line 2: the pose holds NaN"),
        ("1.0 0 0 0 0 0 0 0", "line 2: the quaternion .* is not of unit length"),
        ("1700000000000000000 0 0 0 0 0 0 1", "line 2: .* are these nanoseconds"),
        ("inf 0 0 0 0 0 0 1", "line 2: 'inf' is no time"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path, line, says):
    path = tmp_path / "bad.tum"
    path.write_text(f"# time x y z qx qy qz qw\n{line}\n")
    with pytest.raises(TrajectoryError, match=says):
        read_tum(path)


def test_an_absent_or_empty_file_is_refused(tmp_path):
    with pytest.raises(TrajectoryError, match="cannot read"):
        read_tum(tmp_path / "absent.tum")
    (tmp_path / "empty.tum").write_text("\n# nothing\n")
    with pytest.raises(TrajectoryError, match="holds no poses"):
        read_tum(tmp_path / "empty.tum")


def test_shapes_are_checked_at_the_door():
    with pytest.raises(TrajectoryError, match=r"positions \(N, 3\)"):
        Trajectory(np.zeros(2, dtype=np.int64), np.zeros((3, 3)), np.zeros((2, 4)))


def test_matrices_and_back_give_the_same_poses():
    poses = wandering()
    again = Trajectory.from_matrices(poses.stamps_ns, poses.matrices())
    np.testing.assert_allclose(again.matrices(), poses.matrices(), atol=1e-12)


def test_interpolation_halves_the_way_and_the_turn():
    quarter = Rotation.from_euler("z", 90, degrees=True).as_quat()
    poses = Trajectory(np.array([0, 100]), np.array([[0.0, 0, 0], [2.0, 0, 4.0]]), np.array([[0, 0, 0, 1.0], quarter]))
    half = poses.at([50])
    np.testing.assert_allclose(half.positions, [[1.0, 0, 2.0]])
    np.testing.assert_allclose(
        Rotation.from_quat(half.quaternions).as_euler("zyx", degrees=True), [[45.0, 0, 0]], atol=1e-9
    )


def test_interpolation_at_its_own_stamps_changes_nothing():
    poses = wandering()
    np.testing.assert_allclose(poses.at(poses.stamps_ns).matrices(), poses.matrices(), atol=1e-12)


def test_interpolation_outside_or_on_unordered_stamps_is_refused():
    poses = wandering()
    with pytest.raises(TrajectoryError, match="1 of 1 stamps lie outside"):
        poses.at(poses.stamps_ns[-1] + 1)
    with pytest.raises(TrajectoryError, match="do not increase"):
        poses.select(slice(None, None, -1)).at(poses.stamps_ns[3])


def test_the_relative_trajectory_starts_at_the_identity_and_keeps_its_length():
    poses = wandering()
    relative = poses.relative()
    np.testing.assert_allclose(relative.matrices()[0], np.eye(4), atol=1e-12)
    assert relative.length_m() == pytest.approx(poses.length_m())


def test_length_and_distances_of_few_poses():
    empty = Trajectory(np.zeros(0, dtype=np.int64), np.zeros((0, 3)), np.zeros((0, 4)))
    assert empty.length_m() == 0.0 and len(empty.distances()) == 0
    assert wandering(1).length_m() == 0.0
    assert len(empty.relative()) == 0 and empty.matrices().shape == (0, 4, 4)
