# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav replay`` stores what scripts of others rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import slam.io.opening
from fake_replay import FakeRecording, healthy, pictured, stamps, troubled, way
from mem4nav.cli import replay_map, replay_run
from mem4nav.cli.main import main
from mem4nav.cli.replay_map import Start, keep, spool
from mem4nav.cli.truth import at_scans
from slam.config import load
from slam.errors import TrajectoryError
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.regions import RegionStore
from slam.map_store import load_gaussian_map, save_map
from slam.octree import PlaneMap
from slam.odometry_config import MapConfig
from slam.replay_config import JudgedMapping, ReplayConfig
from slam.trajectory import Trajectory, read_tum, write_tum
from stored_maps import gaussian_map_on


def truth_at(shift_ns: int = 0, step: int = 1) -> Trajectory:
    """The true way, sampled ``shift_ns`` after the scans."""
    truth = Trajectory.from_matrices(stamps(), way())
    return truth.at((truth.stamps_ns[:-1] + shift_ns)[::step])


@pytest.fixture
def replaying(monkeypatch):
    """Puts a result and a recording in the place of real ones, and keeps what the odometry was asked for."""
    asked = {}

    def prepare(result, recording=None, *, draw=False):
        def run(recording, config, **options):
            asked.update(options, config=config)
            asked["laid_aside"] = options["regions"].keys() if options["regions"] else None
            for one in result.results:
                options["on_result"](one)
            return result

        monkeypatch.setattr(slam.io.opening, "open_recording", lambda *_: recording or FakeRecording())
        monkeypatch.setattr(replay_run, "replay", run)
        monkeypatch.setattr(replay_map, "save_map", lambda folder, *_: folder.mkdir())
        if not draw:
            monkeypatch.setattr(replay_run, "map_png", lambda _: None)
            monkeypatch.setattr(replay_run, "write_report", lambda path, *_: path.touch())
        return asked

    return prepare


def metrics_in(out: Path) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads((out / "metrics.json").read_text(), parse_constant=refuse)


def test_all_files_are_left_and_metrics_hold_the_fixed_keys(replaying, tmp_path):
    replaying(healthy(), FakeRecording(truth_at()), draw=True)
    assert main(["replay", "bag", "--out", str(tmp_path), "--quiet"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "trajectory.tum", "odom.tum", "metrics.json", "config.yaml", "log.txt", "map", "map.png", "report.html"
    }  # fmt: skip
    metrics = metrics_in(tmp_path)
    assert metrics["scans"] == 100
    assert metrics["path_length_m"] == pytest.approx(30.0, abs=2.0)
    assert set(metrics["ms_per_scan"]) == set(metrics["cpu_ms_per_scan"]) == {"mean", "median", "p95"}
    assert metrics["realtime_factor"] == pytest.approx(5.0)
    assert metrics["peak_rss_mb"] > 10
    assert metrics["health"] == {"ok": 100, "degraded": 0, "lost": 0}
    assert metrics["segments"] == 1
    assert 0.005 < metrics["ate_rmse_m"] < 0.03
    assert metrics["rpe_trans_m"] > 0.0 and metrics["rpe_rot_deg"] < 0.01
    assert load(ReplayConfig, tmp_path / "config.yaml") == ReplayConfig()
    assert "extrinsics from identity" in (tmp_path / "log.txt").read_text()


def test_the_trajectory_has_a_line_a_scan_and_starts_at_the_identity(replaying, tmp_path):
    replaying(troubled())
    assert main(["replay", "bag", "--out", str(tmp_path), "--quiet"]) == 0
    trajectory = read_tum(tmp_path / "trajectory.tum")
    assert np.array_equal(trajectory.stamps_ns, stamps())
    np.testing.assert_allclose(trajectory.matrices()[0], np.eye(4), atol=1e-8)
    assert not [line for line in metrics_in(tmp_path) if line.startswith(("ate", "rpe"))]


def test_trouble_is_counted(replaying, tmp_path, capsys):
    replaying(troubled())
    assert main(["replay", "bag", "--out", str(tmp_path)]) == 0
    metrics = metrics_in(tmp_path)
    assert metrics["health"] == {"ok": 87, "degraded": 10, "lost": 3}
    assert metrics["segments"] == 2
    assert [row["scans"] for row in metrics["segment_table"]] == [63, 37]
    assert "100 scans, 10 degraded and 3 lost in 2 segments" in capsys.readouterr().out


def test_options_reach_the_odometry(replaying, tmp_path):
    asked = replaying(healthy(), draw=True)
    options = ["--start", "2", "--duration", "3.5", "--no-imu", "--no-map", "--no-camera", "--quiet"]
    assert main(["replay", "bag", "--out", str(tmp_path), *options]) == 0
    assert (asked["start_s"], asked["duration_s"], asked["use_imu"]) == (2.0, 3.5, False)
    assert asked["mapping"] is None and asked["regions"] is None
    assert "data:image/png" not in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "map").exists()


def test_a_replay_starts_in_a_stored_map_where_it_is_told(replaying, tmp_path, monkeypatch):
    asked = replaying(healthy())
    monkeypatch.setattr(replay_map, "load_map", lambda folder, _: f"the map in {folder}")
    monkeypatch.setattr(replay_map, "load_gaussian_map", lambda *_, **__: None)
    options = ["--map-in", "before/map", "--pose-in", "1", "2", "3", "--out", str(tmp_path), "--quiet"]
    assert main(["replay", "bag", *options]) == 0
    assert asked["start_map"] == "the map in before/map"
    np.testing.assert_array_equal(asked["start_pose"][:, 3], [1, 2, 3, 1])


def test_a_map_with_pictures_is_judged_by_those_it_never_saw(replaying, tmp_path, capsys):
    asked = replaying(pictured())
    assert main(["replay", "bag", "--out", str(tmp_path)]) == 0
    assert asked["mapping"].hold_out == 5
    metrics = metrics_in(tmp_path)
    assert metrics["held_out"] == 20 and metrics["gaussians"] == 1234 and metrics["map_mb"] == 0.0
    assert (metrics["psnr_db"], metrics["psnr_full_db"]) == (29.0, 15.0)
    assert (metrics["ssim"], metrics["depth_error_m"]) == (pytest.approx(0.7), 0.04)
    assert metrics["camera"] == {
        "used": 68, "not_used": 11, "reasons": {"# pixels <agree>": 8, "the map is not ready yet": 3}
    }  # fmt: skip
    assert metrics["mapping"]["wall_s"] == 4.0
    said = capsys.readouterr().out
    assert "PSNR 29.0 dB on 20 pictures" in said and f"mem4nav view {tmp_path}" in said


def test_a_map_of_planes_alone_has_no_figures_of_pictures(replaying, tmp_path):
    replaying(healthy())
    assert main(["replay", "bag", "--out", str(tmp_path), "--quiet"]) == 0
    assert not {"psnr_db", "held_out", "camera", "mapping", "gaussians"} & set(metrics_in(tmp_path))


def test_base_link_in_the_frame_of_the_map_is_stored_for_the_viewer(replaying, tmp_path):
    result = healthy()
    replaying(result)
    assert main(["replay", "bag", "--out", str(tmp_path), "--quiet"]) == 0
    way_in_map = read_tum(tmp_path / "odom.tum").matrices()
    np.testing.assert_allclose(way_in_map, [scan.T_odom_base for scan in result.results], atol=1e-8)


def test_pictures_are_left_out_but_the_map_is_not(replaying, tmp_path):
    asked = replaying(healthy())
    assert main(["replay", "bag", "--out", str(tmp_path), "--no-camera", "--quiet"]) == 0
    assert asked["mapping"] is None and (tmp_path / "map").exists()


def test_what_a_drive_lays_aside_begins_empty_and_is_gone_at_the_end(replaying, tmp_path):
    left = RegionStore(tmp_path / "spool")
    left.put((0, 0, 0), {"of": np.zeros(1)})
    asked = replaying(healthy())
    assert main(["replay", "bag", "--out", str(tmp_path), "--quiet"]) == 0
    assert asked["laid_aside"] == []
    assert not (tmp_path / "spool").exists()


def test_files_of_others_stay_where_a_drive_lays_things_aside(tmp_path):
    (tmp_path / "mine.txt").touch()
    with spool(tmp_path, True) as regions:
        regions.put((0, 0, 0), {"of": np.zeros(1)})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_drive_without_pictures_keeps_the_gaussians_that_it_started_with(tmp_path):
    points = np.random.default_rng(1).uniform(-8.0, 8.0, (4000, 3)) * [1.0, 1.0, 0.0]
    planes = PlaneMap(MapConfig(voxel_m=1.0))
    planes.insert(points, np.eye(3), np.zeros(3), 0)
    before = gaussian_map_on(planes)
    save_map(tmp_path / "before", planes, before)
    with spool(tmp_path / "spool", True) as regions:
        started = Start.on(tmp_path / "before", ()).map(MapConfig(), GaussianMapConfig(), regions)
        result = replace(healthy(), map=started.plane_map)
        assert keep(tmp_path / "after", result, started) > 0
    after = load_gaussian_map(tmp_path / "after")
    assert after is not None and len(after) == len(before) > 0


def test_a_part_of_the_mapping_can_be_set_and_pictures_stay_held_out(tmp_path):
    (tmp_path / "mine.yaml").write_text("mapping: {scale: 0.25}\n")
    assert load(ReplayConfig, tmp_path / "mine.yaml").mapping == JudgedMapping(scale=0.25, hold_out=5)


def test_a_configuration_file_is_read_and_stored_resolved(replaying, tmp_path):
    asked = replaying(healthy())
    (tmp_path / "mine.yaml").write_text("recording: {base_frame: body}\n")
    options = ["--config", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(["replay", "bag", *options]) == 0
    assert load(ReplayConfig, tmp_path / "out" / "config.yaml").recording.base_frame == "body"
    assert asked["config"] == ReplayConfig().odometry


def test_bad_input_is_refused_before_any_work(replaying, tmp_path, capsys):
    asked = replaying(healthy())
    (tmp_path / "bad.yaml").write_text("recording: {base_frme: body}\n")
    for options in (
        ["--gt", "absent.tum"],
        ["--config", str(tmp_path / "bad.yaml")],
        ["--start", "-1"],
        ["--duration", "0"],
        ["--pose-in", "1", "2"],
    ):
        assert main(["replay", "bag", "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "absent.tum" in said[0] and "did you mean 'base_frame'?" in said[1] and len(said) == 5
    assert not asked


def test_a_missing_recording_is_bad_input(tmp_path, capsys):
    assert main(["replay", str(tmp_path / "absent.mcap"), "--out", str(tmp_path / "out")]) == 2
    assert "absent.mcap does not exist" in capsys.readouterr().err


def test_a_truth_of_another_time_leaves_results_but_not_code_zero(replaying, tmp_path, capsys):
    replaying(healthy())
    other = write_tum(tmp_path / "gt.tum", Trajectory.from_matrices(stamps() - 10**13, way()))
    assert main(["replay", "bag", "--out", str(tmp_path / "out"), "--gt", str(other)]) == 2
    assert (tmp_path / "out" / "report.html").exists()
    assert "are the clocks the same?" in capsys.readouterr().err


def test_truth_between_the_scans_is_interpolated(replaying, tmp_path):
    replaying(healthy(), FakeRecording(truth_at(shift_ns=50_000_000)))
    assert main(["replay", "bag", "--out", str(tmp_path), "--quiet"]) == 0
    metrics = metrics_in(tmp_path)
    assert metrics["matched_poses"] == 98
    assert metrics["ate_rmse_m"] < 0.03


def test_gaps_in_the_truth_are_not_bridged():
    truth = truth_at()
    kept = truth.select((truth.stamps_ns < stamps()[20]) | (truth.stamps_ns > stamps()[50]))
    assert len(at_scans(kept, stamps())) == 68
    with pytest.raises(TrajectoryError, match="covers none of the scans"):
        at_scans(kept, stamps()[25:30])
