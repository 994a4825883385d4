# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav map`` tells what a stored map holds, exports it, renders it, and answers what is where."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mem4nav.cli.main import main
from mem4nav.cli.map_contents import ground_height
from mem4nav.cli.map_pictures import R_BODY_OPTICAL, trajectory_poses
from mem4nav.cli.map_scene import discs
from plane_worlds import mapped, room, surface
from slam.gaussian_map.ply import read_ply
from slam.gaussian_map.regions import RegionStore
from slam.map_record import read_record
from slam.map_store import save_map
from slam.octree import CENTRE, NORMAL
from slam.odometry_config import MapConfig
from slam.trajectory import Trajectory, write_tum
from stored_maps import gaussian_map_on

CAMERA = ["--camera", "40", "40", "39.5", "29.5", "80", "60"]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A replay's folder with a map of a room and Gaussians, some of which the drive has left behind."""
    folder = tmp_path_factory.mktemp("results")
    planes = mapped(room(np.random.default_rng(1)), MapConfig(reach_m=9.0, sweep_scans=1))
    gaussian_map = gaussian_map_on(planes, regions=RegionStore(folder / "spool"))
    planes.forget(np.array([10.0, 0.0, 0.0]), 1)
    save_map(folder / "map", planes, gaussian_map)
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """A map of planes alone."""
    return save_map(tmp_path_factory.mktemp("bare"), mapped(room(np.random.default_rng(1))))


@pytest.fixture
def way(tmp_path) -> Path:
    """Three poses in the middle of the room that look along x."""
    positions = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.5, 0.0]])
    quaternions = np.tile([0.0, 0.0, 0.0, 1.0], (3, 1))
    return write_tum(tmp_path / "way.tum", Trajectory(np.arange(3) * 10**8, positions, quaternions))


def metrics_in(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def refusal(capsys, *words: str) -> str:
    """What the command says in its one line when it refuses."""
    capsys.readouterr()
    assert main(["map", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mem4nav: ") and said.count("\n") == 1 and "Traceback" not in said
    return said


# info


@pytest.mark.parametrize("inside", ["", "map"])
def test_info_counts_what_is_in_a_map_or_in_the_results_that_hold_it(results, tmp_path, capsys, inside):
    assert main(["map", "info", str(results / inside), "--out", str(tmp_path)]) == 0
    shown, facts = capsys.readouterr().out, metrics_in(tmp_path)
    assert facts["version"] == 2 and facts["damage"] == [] and facts["regions"] > 0
    assert facts["gaussians"] > facts["gaussians_in_regions"] > 0
    assert sum(facts["gaussians_by_cell_m"].values()) == facts["gaussians"] - facts["gaussians_in_regions"]
    assert facts["bytes"] == sum(path.stat().st_size for path in (results / "map").glob("*.safetensors"))
    np.testing.assert_allclose(facts["extent_m"], [20.0, 12.0, 3.0], atol=0.5)
    assert f"{facts['gaussians']:,}" in shown and "of 0.03125 m" in shown


def test_info_tells_planes_from_gaussians(bare, tmp_path):
    assert main(["map", "info", str(bare), "--quiet", "--out", str(tmp_path)]) == 0
    facts = metrics_in(tmp_path)
    assert facts["gaussians"] == 0 and facts["planes"] > 100 and "harmonics" not in facts


def test_info_names_a_damaged_file_and_is_not_done(tmp_path, capsys):
    planes = mapped(room(np.random.default_rng(1)))
    folder = save_map(tmp_path / "map", planes, gaussian_map_on(planes))
    path = folder / read_record(folder).parts["gaussians"].file
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["map", "info", str(folder), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert path.name in said.out and "1 of 2 files are damaged" in said.err
    assert path.name in metrics_in(tmp_path / "out")["damage"][0]


def test_a_folder_without_a_map_is_refused_by_every_action(tmp_path, capsys):
    nowhere = str(tmp_path / "nowhere")
    for words in (["info"], ["export", "--out", "x"], ["render", "--out", "x", "--pose", "0", "0", "0", "0"]):
        assert "no map here" in refusal(capsys, words[0], nowhere, *words[1:])
    assert "no map here" in refusal(capsys, "query", nowhere, "--at", "0", "0", "0")


# export


def test_the_ply_holds_all_gaussians_also_those_left_behind(results, tmp_path, capsys):
    assert main(["map", "export", str(results), "--out", str(tmp_path / "map.ply")]) == 0
    main(["map", "info", str(results), "--quiet", "--out", str(tmp_path)])
    assert read_ply(tmp_path / "map.ply").size == metrics_in(tmp_path)["gaussians"]


def test_a_map_of_planes_is_exported_as_flat_gaussians(bare, tmp_path, capsys):
    assert main(["map", "export", str(bare), "--out", str(tmp_path / "map.ply")]) == 0
    gaussians = read_ply(tmp_path / "map.ply")
    assert gaussians.size > 100 and "no Gaussians in this map" in capsys.readouterr().out
    assert (gaussians.log_scales[:, 2] < gaussians.log_scales[:, 1] + 1e-6).all()


def test_the_colmap_model_has_the_poses_and_names_of_the_pictures(results, way, tmp_path, capsys):
    out = tmp_path / "model"
    words = ["map", "export", str(results), "--format", "colmap", "--out", str(out), "--tum", str(way), *CAMERA]
    assert main(words) == 0
    lines = [line.split() for line in (out / "sparse" / "0" / "images.txt").read_text().splitlines()]
    named = {words[9]: [float(v) for v in words[1:8]] for words in lines if len(words) == 10 and words[0] != "#"}
    assert list(named) == ["000000.png", "000001.png", "000002.png"]
    np.testing.assert_allclose(named["000002.png"][4:], [0.5, 0.0, -1.0], atol=1e-9)
    assert (out / "sparse" / "0" / "cameras.txt").read_text().endswith("1 PINHOLE 80 60 40 40 40 30\n")


def test_an_export_that_cannot_be_is_refused(results, way, tmp_path, capsys):
    common = ["export", str(results), "--out", str(tmp_path)]
    assert "needs poses" in refusal(capsys, *common, "--format", "colmap")
    assert "is a folder" in refusal(capsys, *common)
    assert "absent.tum" in refusal(capsys, *common, "--format", "colmap", "--tum", "absent.tum")


# render


def test_a_picture_shows_the_wall_ahead_at_its_distance(results, tmp_path):
    out = tmp_path / "out"
    words = ["--pose", "0", "0", "0", "0", "--out", str(out), "--detail", "0", "--quiet"]
    assert main(["map", "render", str(results), *words, *CAMERA]) == 0
    assert {path.name for path in out.iterdir()} == {"000000.png", "000000_depth.png", "metrics.json"}
    colour, depth = (np.array(Image.open(out / name)) for name in ("000000.png", "000000_depth.png"))
    assert colour.shape == (60, 80, 3) and colour.dtype == np.uint8 and colour.any()
    assert depth.shape == (60, 80) and depth.dtype == np.uint16
    (view,) = metrics_in(out)["views"]
    assert view["gaussians_seen"] > 10 and view["ms"] > 0.0 and 0.0 < view["coverage"] <= 1.0
    around = depth[25:36, 30:50]
    assert abs(np.median(around[around > 0]) / 256.0 - 10.0) < 0.7


def test_each_pose_of_a_trajectory_gives_a_picture(bare, way, tmp_path):
    out = tmp_path / "out"
    assert main(["map", "render", str(bare), "--tum", str(way), "--out", str(out), "--quiet", *CAMERA]) == 0
    assert len(list(out.glob("??????.png"))) == len(list(out.glob("*_depth.png"))) == 3
    metrics = metrics_in(out)
    assert metrics["pictures"] == 3 and metrics["ms_per_picture"]["median"] > 0.0
    assert metrics["views"][2]["position_m"] == pytest.approx([1.0, 0.5, 0.0])


def test_a_body_looks_along_its_x_and_an_optical_frame_along_its_z(way):
    body, optical = trajectory_poses(way, False), trajectory_poses(way, True)
    np.testing.assert_allclose(body[0, :3, 2], [1.0, 0.0, 0.0])
    np.testing.assert_allclose(body[0, :3, 1], [0.0, 0.0, -1.0])
    np.testing.assert_allclose(optical[0, :3, :3], np.eye(3))
    assert np.linalg.det(R_BODY_OPTICAL) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "either --pose"),
        (["--pose", "0", "0", "0", "0", "--tum", "x"], "either --pose"),
        (["--pose", "0", "0", "0"], "--pose has 3 numbers"),
        (["--pose", "0", "0", "nan", "0"], "--pose has 4 numbers"),
        (["--pose", "0", "0", "0", "0", "--camera", "0", "1", "1", "1", "8", "8"], "above 0"),
        (["--pose", "0", "0", "0", "0", "--camera", "1", "1", "1", "1", "99999", "99999"], "more than"),
        (["--pose", "0", "0", "0", "0", "--reach", "-3"], "--reach -3"),
    ],
)
def test_poses_and_cameras_that_cannot_be_are_refused(bare, tmp_path, capsys, words, said):
    assert said in refusal(capsys, "render", str(bare), "--out", str(tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


# query


def test_a_query_tells_what_is_around_and_how_high_the_ground_lies(results, tmp_path, capsys):
    words = ["--at", "5", "1", "0", "--radius", "2.5", "--out", str(tmp_path)]
    assert main(["map", "query", str(results), *words]) == 0
    facts = metrics_in(tmp_path)
    assert facts["ground_m"] == pytest.approx(-1.3, abs=0.05)
    assert facts["gaussians"] > 0 and facts["planes"] > 0 and len(facts["colour"]) == 3
    assert facts["nearest_plane_m"] == pytest.approx(1.3, abs=0.1)
    assert "ground" in capsys.readouterr().out


def test_where_nothing_is_the_ground_is_none(bare, tmp_path):
    words = ["--at", "500", "0", "0", "--quiet", "--out", str(tmp_path)]
    assert main(["map", "query", str(bare), *words]) == 0
    facts = metrics_in(tmp_path)
    assert facts["ground_m"] is None and facts["planes"] == facts["gaussians"] == 0


def test_the_ground_of_a_slope_is_where_the_slope_is():
    slope = surface(np.random.default_rng(0), [-10, -10, -2.0], [20, 0, 4.0], [0, 20, 0], 20_000)
    planes = mapped(slope).planes()
    for x in (-7.0, 0.4, 6.1):
        assert ground_height(planes, np.array([x, 1.0, 5.0])) == pytest.approx(0.2 * x, abs=0.03)
    assert ground_height(planes, np.array([0.0, 0.0, -3.0])) is None


def test_words_and_places_that_cannot_be_are_refused(bare, capsys):
    assert "come with the memory" in refusal(capsys, "query", str(bare), "red door")
    assert "give --at" in refusal(capsys, "query", str(bare))
    assert "radius above 0" in refusal(capsys, "query", str(bare), "--at", "0", "0", "0", "--radius", "0")


# planes as flat Gaussians


def test_a_disc_lies_in_its_plane_and_is_as_wide_as_its_points():
    points = surface(np.random.default_rng(0), [0.2, 0.2, 1.0], [3.6, 0, 0], [0, 1.2, 0], 4000)
    planes = mapped(points, MapConfig(max_points=100_000)).planes()
    flat = discs(planes[:1])
    assert len(planes) == 1
    np.testing.assert_allclose(flat.means[0], planes[0, CENTRE : CENTRE + 3], atol=1e-6)
    assert abs(planes[0, NORMAL + 2]) > 0.99
    np.testing.assert_allclose(np.exp(flat.log_scales[0]) / 1.4, [3.6 / 12**0.5, 1.2 / 12**0.5, 0.01 / 1.4], rtol=0.1)
    assert discs(planes[:0]).size == 0
