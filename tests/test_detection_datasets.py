# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Datasets on disk become samples in base_link, in whatever layout they lie."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detection.boxes import points_in_boxes, project
from detection.datasets import FolderDataset, FolderWriter, Part, open_dataset, remapped
from detection.datasets.kitti import Kitti
from detection.datasets.nuscenes import NuScenes
from detection.errors import DatasetError
from detection.sample import Sample, View, make_boxes, no_boxes
from shared_data import require
from slam.calibration import Camera
from written_datasets import (
    CAMERA_LEAD_S,
    CAR_SIZE,
    CAR_SPEED,
    POSTS,
    START_NS,
    T_EGO_CAMERA,
    K,
    car,
    expected_pixels,
    pose,
    seen,
    write_argoverse2,
    write_kitti,
    write_nuscenes,
)

CLASSES = ("car", "bench")
AXLE_UP = np.array([0.0, 0.0, 0.33])


def a_sample(name: str = "frame-0", seconds: float = 0.0, shade: int = 0) -> Sample:
    rng = np.random.default_rng(7)
    points = rng.random((20, 5)).astype(np.float32)
    points[:, 4] = 0.0
    boxes = make_boxes(
        rng.random((2, 3)), rng.random((2, 3)) + 1.0, [0.3, -2.0], [1, 0], velocity=[[1.5, -0.5], [np.nan, np.nan]],
        identity=[2**60 + 1, -1], points=[5, 0], pixels=[-1, 70],
    )  # fmt: skip
    columns = np.tile(np.arange(96, dtype=np.uint8), (64, 1))
    camera = Camera(96, 64, K, np.array([0.1, 0.0, 0.01, 0.0, 0.0]), T_EGO_CAMERA)
    view = View("front", np.stack([columns, columns + shade, 255 - columns], axis=2), camera)
    return Sample(name, START_NS + round(seconds * 1e9), points, (view,), boxes, pose(seconds), np.array([0.1, 0, 2.0]))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The folder of one frame, written without loss."""
    FolderWriter(tmp_path, CLASSES, jpeg_quality=None).write(a_sample())
    return tmp_path


@pytest.fixture
def argoverse2(tmp_path: Path) -> Path:
    pytest.importorskip("pyarrow", reason="Argoverse 2 files need pyarrow (extra detect)")
    return write_argoverse2(tmp_path / "log")


def test_a_sample_that_was_written_comes_back_the_same(written: Path) -> None:
    (got,), want = open_dataset(written), a_sample()
    assert (got.name, got.stamp_ns) == (want.name, want.stamp_ns)
    assert np.array_equal(got.points, want.points) and np.array_equal(got.lidar_origin, want.lidar_origin)
    assert np.allclose(got.T_world_base, want.T_world_base, atol=1e-12)
    for name in ("centre", "size", "yaw", "velocity", "label", "score", "identity", "points", "pixels"):
        assert np.array_equal(getattr(got.boxes, name), getattr(want.boxes, name), equal_nan=True), name
    (view,), (expected,) = got.views, want.views
    assert view.name == "front" and np.array_equal(view.pixels, expected.pixels)
    for name in ("K", "distortion", "T_base_camera"):
        assert np.allclose(getattr(view.camera, name), getattr(expected.camera, name), atol=1e-12), name


def test_jpeg_is_small_and_near_enough(tmp_path: Path) -> None:
    FolderWriter(tmp_path, CLASSES).write(a_sample())
    (got,) = FolderDataset(tmp_path)
    assert (tmp_path / "frames/frame-0/front.jpg").is_file()
    assert np.abs(got.views[0].pixels.astype(int) - a_sample().views[0].pixels).mean() < 3.0


def test_a_frame_without_sensors_or_truth_is_a_frame_too(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, CLASSES)
    writer.write(Sample("a", 1, np.zeros((0, 5), np.float32)))
    writer.write(Sample("b", 2, np.zeros((0, 5), np.float32), boxes=no_boxes()))
    bare, empty = FolderDataset(tmp_path)
    assert bare.boxes is None and bare.T_world_base is None and bare.views == () and bare.points.shape == (0, 5)
    assert empty.boxes is not None and len(empty.boxes) == 0


def test_a_frame_is_replaced_whole_and_nothing_is_left_aside(written: Path) -> None:
    writer = FolderWriter(written, CLASSES)
    writer.write(replace(a_sample(), stamp_ns=5, views=()))
    (again,) = FolderDataset(written)
    assert again.stamp_ns == 5 and again.views == ()
    assert sorted(p.name for p in (written / "frames").rglob("*")) == ["frame-0", "frame.json", "points.npy"]


def test_a_frame_half_written_is_not_there(written: Path) -> None:
    (written / "frames/.frame-1.99.part").mkdir()
    assert len(FolderDataset(written)) == 1


def test_a_folder_is_added_to_only_under_the_same_classes(written: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds a dataset of the classes .*car.*, not .*tree"):
        FolderWriter(written, ("tree",))


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", ""])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="cannot name a file"):
        FolderWriter(tmp_path, CLASSES).write(a_sample(name))


def test_earlier_frames_of_a_drive_are_its_past_sweeps(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, CLASSES)
    for number in range(4):
        t = number / 10.0
        points = np.zeros((len(POSTS), 5), np.float32)
        points[:, :3] = seen(POSTS, pose(t))
        drive = "town" if number else "elsewhere"
        writer.write(Sample(f"f{number}", START_NS + number * 10**8, points, T_world_base=pose(t)), drive=drive)
    last = open_dataset(tmp_path, sweeps=5)[3]
    assert np.allclose(last.points[:, 4], np.repeat([0.0, 0.1, 0.2], 3))
    assert np.allclose(last.points[:, :3], np.tile(seen(POSTS, pose(0.3)), (3, 1)), atol=1e-4)


DAMAGE = {
    "frame.json": b"{",
    "points.npy": b"\x93NUMPY",
    "front.png": b"\x89PNG",
}


@pytest.mark.parametrize("file", DAMAGE)
@pytest.mark.parametrize("how", ["missing", "empty", "cut off", "other bytes"])
def test_a_damaged_frame_is_told_with_its_file(written: Path, file: str, how: str) -> None:
    path = written / "frames/frame-0" / file
    whole = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut off": whole[: len(whole) // 2], "other bytes": DAMAGE[file]}[how])
    with pytest.raises(DatasetError, match=file):
        FolderDataset(written)[0]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("T_world_base", np.zeros((3, 4)).tolist(), r"T_world_base is \(3, 4\)"),
        ("T_world_base", np.diag([1.0, 2.0, 1.0, 1.0]).tolist(), "no rotation"),
        ("lidar_origin", [0, 1], r"lidar_origin is \(2,\)"),
        ("boxes", [{"label": "cow", "centre": [0, 0, 0], "size": [1, 1, 1], "yaw": 0}], "cow"),
        ("boxes", [{"label": "car", "centre": [0, 0], "size": [1, 1, 1], "yaw": 0}], "centre of the boxes"),
        ("boxes", [{"label": "car"}], "centre"),
        ("boxes", 3, "another layout"),
        ("cameras", [{"name": "front"}], "file"),
        ("stamp_ns", None, "another layout"),
    ],
)
def test_a_frame_with_numbers_that_cannot_be_is_told(written: Path, key: str, value: object, said: str) -> None:
    path = written / "frames/frame-0/frame.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DatasetError, match=said):
        FolderDataset(written)[0]


@pytest.mark.parametrize(("key", "value", "said"), [("K", [[1, 2], [3, 4]], "K is"), ("width", 95, "is for 95 x 64")])
def test_a_camera_that_does_not_fit_its_picture_is_told(written: Path, key: str, value: object, said: str) -> None:
    path = written / "frames/frame-0/frame.json"
    frame = json.loads(path.read_text())
    frame["cameras"][0][key] = value
    path.write_text(json.dumps(frame))
    with pytest.raises(DatasetError, match=said):
        FolderDataset(written)[0]
    assert FolderDataset(written, cameras=())[0].views == ()


def test_a_dataset_is_a_sequence(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path, CLASSES)
    for number in range(5):
        writer.write(a_sample(f"f{number}"))
    data = open_dataset(tmp_path)
    assert [sample.name for sample in data] == ["f0", "f1", "f2", "f3", "f4"]
    assert data[-1].name == "f4" and [s.name for s in data[1::2]] == ["f1", "f3"] and len(data[3:]) == 2
    assert [s.name for s in Part(data, [4, 0])] == ["f4", "f0"] and data[1:3].classes == CLASSES
    with pytest.raises(IndexError, match="sample 5 of 5"):
        data[5]


def test_classes_are_renamed_joined_and_left_out(written: Path) -> None:
    data = remapped(open_dataset(written), {"bench": "thing", "car": None}, ("tree", "thing"))
    boxes = data[0].boxes
    assert data.classes == ("tree", "thing") and boxes.label.tolist() == [1] and boxes.points.tolist() == [5]


@pytest.mark.parametrize(
    ("mapping", "said"), [({"car": "car"}, r"no word on the classes \['bench'\]"), ({"car": "a", "bench": "b"}, "'b'")]
)
def test_a_renaming_that_forgets_a_class_is_refused(written: Path, mapping: dict[str, str], said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        remapped(open_dataset(written), mapping, ("car", "a"))


def test_nuscenes_boxes_stand_in_base_link_and_move_as_they_do(tmp_path: Path) -> None:
    data = open_dataset(write_nuscenes(tmp_path))
    first, middle, last = data
    assert len(data) == 3 and middle.stamp_ns == START_NS + 500_000_000
    for sample, t in ((first, 0.0), (middle, 0.5), (last, 1.0)):
        at = sample.boxes.label.tolist().index(data.classes.index("car"))
        assert np.allclose(sample.boxes.centre[at], seen(car(t), pose(t)), atol=1e-5)
        assert np.allclose(sample.boxes.size[at], CAR_SIZE) and np.isclose(sample.boxes.yaw[at], -0.8 - 0.3 * t)
        assert np.allclose(pose(t)[:2, :2] @ sample.boxes.velocity[at], [CAR_SPEED, 0.0], atol=1e-4)
        assert sample.boxes.points[at] == 7
    assert first.boxes.identity[0] == last.boxes.identity[0] >= 0
    assert sorted(data.classes[label] for label in first.boxes.label) == ["car", "traffic_cone"], "the animal is none"
    assert np.isnan(first.boxes.velocity[first.boxes.label == data.classes.index("traffic_cone")]).all()


def test_nuscenes_key_frames_too_far_apart_say_no_velocity(tmp_path: Path) -> None:
    path = write_nuscenes(tmp_path) / "v1.0-tiny/sample.json"
    rows = json.loads(path.read_text())
    rows[2]["timestamp"] += 1_200_000
    path.write_text(json.dumps(rows))
    first, middle, last = NuScenes(tmp_path)
    assert np.isfinite(first.boxes.velocity[0]).all() and np.isnan(last.boxes.velocity[0]).all()
    assert np.isfinite(middle.boxes.velocity[0]).all(), "before and after may be 3 s apart"


def test_nuscenes_past_sweeps_are_moved_to_now_and_lose_the_own_roof(tmp_path: Path) -> None:
    sample = open_dataset(write_nuscenes(tmp_path), sweeps=3)[1]
    age = sample.points[:, 4]
    assert np.allclose(np.unique(age), [0.0, 0.1, 0.2, 0.3]) and (age == 0.0).sum() == 4 and len(age) == 13
    past = sample.points[age > 0.0]
    assert np.allclose(past[:, :3], np.tile(seen(POSTS, pose(0.5)), (3, 1)), atol=1e-4)
    assert np.allclose(past[:, 3], 0.2)
    assert len(open_dataset(tmp_path, sweeps=9)[0].points) == 4, "the first frame has no past"


def test_a_nuscenes_camera_stands_where_it_took_its_picture(tmp_path: Path) -> None:
    sample = open_dataset(write_nuscenes(tmp_path))[1]
    pixels, depth = project(sample.views[0].camera, seen(POSTS[:2], pose(0.5)))
    assert (depth > 0.0).all() and np.allclose(pixels, expected_pixels(POSTS[:2], 0.5 - CAMERA_LEAD_S), atol=1e-6)


def test_nuscenes_scenes_are_chosen_by_name(tmp_path: Path) -> None:
    write_nuscenes(tmp_path)
    assert len(NuScenes(tmp_path, scenes=["scene-0001"])) == 3
    with pytest.raises(DatasetError, match="no scene scene-9"):
        NuScenes(tmp_path, scenes=["scene-9"])


def test_nuscenes_without_annotations_has_no_truth(tmp_path: Path) -> None:
    (write_nuscenes(tmp_path) / "v1.0-tiny/sample_annotation.json").write_text("[]")
    assert open_dataset(tmp_path)[0].boxes is None


@pytest.mark.parametrize("table", ["sample", "sample_data", "ego_pose", "calibrated_sensor", "instance", "category"])
@pytest.mark.parametrize("text", [None, "[", "{}", "[]", '[{"token": "x"}]'])
def test_a_nuscenes_table_that_is_missing_or_damaged_is_told(tmp_path: Path, table: str, text: str | None) -> None:
    path = write_nuscenes(tmp_path) / "v1.0-tiny" / f"{table}.json"
    path.unlink() if text is None else path.write_text(text)
    if table == "sample" and text == "[]":
        assert len(open_dataset(tmp_path)) == 0
        return
    with pytest.raises(DatasetError, match=r"v1\.0-tiny"):
        open_dataset(tmp_path)


def test_a_nuscenes_sweep_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = write_nuscenes(tmp_path) / "samples/LIDAR_TOP/5.pcd.bin"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DatasetError, match=r"5\.pcd\.bin holds 77 bytes, no multiple of 20"):
        open_dataset(tmp_path)[1]


def test_kitti_boxes_stand_on_the_ground_and_project_into_the_picture(tmp_path: Path) -> None:
    data = open_dataset(write_kitti(tmp_path))
    sample = data[0]
    assert np.allclose(sample.boxes.centre, [[10.0, 0.0, 1.73 - 0.08 - 1.65 + 0.75]], atol=1e-5)
    assert np.allclose(sample.boxes.size, [[4.0, 1.8, 1.5]]) and np.allclose(sample.boxes.yaw, [0.0], atol=1e-6)
    pixels, depth = project(sample.views[0].camera, sample.boxes.centre)
    assert np.allclose(depth, 9.83) and np.allclose(
        pixels, [[(48 * 9.73 - 50) / 9.83, (90 + 32 * 9.73 + 3) / 9.83]], atol=1e-4
    )
    assert len(data[1].boxes) == 0


def test_kitti_regions_to_ignore_are_told_apart_from_boxes(tmp_path: Path) -> None:
    data = Kitti(write_kitti(tmp_path))
    assert data.ignored_regions(0).tolist() == [[1.5, 2.5, 10.0, 20.0]] and data.ignored_regions(1).shape == (0, 4)
    car = data.objects(0)[0]
    assert (car.name, car.truncated, car.occluded, car.region_px.tolist()) == ("Car", 0.25, 1, [40, 30, 60, 50])


def test_kitti_points_outside_of_the_picture_are_left_out(tmp_path: Path) -> None:
    write_kitti(tmp_path)
    assert len(Kitti(tmp_path)[0].points) == 2 and len(Kitti(tmp_path, crop_to_picture=False)[0].points) == 4
    blind = Kitti(tmp_path, cameras=())[0]
    assert blind.views == () and len(blind.points) == 2


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("calib/000000.txt", "P2: 1 2 3\n", r"calib/000000.txt: P2 is \(3,\)"),
        ("label_2/000000.txt", "Cow 0 0 0 0 0 0 0 1 1 1 1 1 1 1\n", "line 1: 'Cow'"),
        ("label_2/000000.txt", "Car 0 0 0 0 0 0 0 1\n", r"line 1 is \(8,\)"),
        ("velodyne/000000.bin", "seven..", "holds 7 bytes, no multiple of 16"),
        ("image_2/000000.png", "none", "cannot be decoded"),
    ],
)
def test_a_damaged_kitti_file_is_told(tmp_path: Path, file: str, text: str, said: str) -> None:
    (write_kitti(tmp_path) / file).write_text(text)
    with pytest.raises(DatasetError, match=said):
        Kitti(tmp_path)[0]


@pytest.mark.parametrize("file", ["calib/000000.txt", "label_2/000000.txt", "image_2/000000.png"])
def test_a_missing_kitti_file_is_told(tmp_path: Path, file: str) -> None:
    (write_kitti(tmp_path) / file).unlink()
    with pytest.raises(DatasetError, match=file):
        Kitti(tmp_path)[0]


def test_argoverse2_is_moved_to_the_ground_and_swept(argoverse2: Path) -> None:
    data = open_dataset(argoverse2.parent, sweeps=2)
    assert len(data) == 4 and data[3].name == f"log_{START_NS + 300_000_000}"
    sample = data[3]
    assert np.allclose(sample.points[:, 4], np.repeat([0.0, 0.1, 0.2], 3)) and np.allclose(sample.points[:, 3], 0.2)
    expected = seen(POSTS, pose(0.3)) + AXLE_UP
    assert np.allclose(sample.points[:, :3], np.tile(expected, (3, 1)), atol=0.02), "half floats"
    assert np.allclose(sample.boxes.centre[0], seen(car(0.3), pose(0.3)) + AXLE_UP, atol=1e-4)
    assert np.allclose(pose(0.3)[:2, :2] @ sample.boxes.velocity[0], [CAR_SPEED, 0.0], atol=1e-3)
    assert data[0].boxes.identity[0] == sample.boxes.identity[0]


def test_an_argoverse2_camera_stands_where_it_took_its_picture(argoverse2: Path) -> None:
    sample = open_dataset(argoverse2)[2]
    (view,) = sample.views
    pixels, _ = project(view.camera, seen(POSTS[:2], pose(0.2)) + AXLE_UP)
    assert np.allclose(pixels, expected_pixels(POSTS[:2], 0.2 - CAMERA_LEAD_S), atol=1e-6)


@pytest.mark.parametrize("file", ["city_SE3_egovehicle", "calibration/intrinsics", "annotations"])
def test_a_damaged_argoverse2_table_is_told(argoverse2: Path, file: str) -> None:
    (argoverse2 / f"{file}.feather").write_bytes(b"ARROW1")
    with pytest.raises(DatasetError, match=f"{file}.feather cannot be read"):
        open_dataset(argoverse2)[0]


def test_what_is_no_dataset_is_told_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset\.json.*v1\.0.*velodyne/.*sensors/lidar"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(tmp_path / "nothing")
    with pytest.raises(DatasetError, match="no past sweeps, but 2 are asked for"):
        open_dataset(write_kitti(tmp_path / "kitti"), sweeps=2)
    (tmp_path / "info.json").write_text("[1, 2]")
    with pytest.raises(DatasetError, match="no info file"):
        open_dataset(tmp_path / "info.json")


def share_of_equal_counts(sample: Sample) -> float:
    current = sample.points[sample.points[:, 4] == 0.0]
    return float((points_in_boxes(current, sample.boxes) == sample.boxes.points).mean())


def test_a_real_nuscenes_frame_projects_and_counts_as_annotated() -> None:
    path = require("detection/nuscenes_sample/sample.json")
    sample = open_dataset(path)[0]
    annotated = json.loads(path.read_text())["data_list"][0]["cam_instances"]
    assert len(sample.boxes) == 68 and len(sample.views) == 6
    for view in sample.views:
        pixels, _ = project(view.camera, sample.boxes.centre)
        for one in annotated[view.name]:
            assert np.nanmin(np.abs(pixels - one["center_2d"]).max(axis=1)) < 1e-3, (view.name, one["center_2d"])
    assert share_of_equal_counts(sample) > 0.9, "62 of 68; the boxes lose their tilt of a degree"


def test_real_kitti_boxes_project_where_the_labels_say_and_hold_points() -> None:
    folder = require("detection/kitti")
    data = Kitti(folder)
    for index in range(len(data)):
        sample = data[index]
        P2 = np.array((folder / "calib" / f"{sample.name}.txt").read_text().splitlines()[2].split()[1:], float)
        objects = [one for one in data.objects(index) if one.name != "DontCare"]
        middle = np.array([one.bottom - [0.0, 0.5 * one.size[2], 0.0] for one in objects])
        ray = np.c_[middle, np.ones(len(middle))] @ P2.reshape(3, 4).T
        pixels, depth = project(sample.views[0].camera, sample.boxes.centre)
        assert np.allclose(pixels, ray[:, :2] / ray[:, 2:], atol=1e-3) and np.allclose(depth, ray[:, 2], atol=1e-5)
        assert (points_in_boxes(sample.points, sample.boxes) >= 9).all()


def test_real_argoverse2_sweeps_count_as_annotated_and_lie_on_the_ground() -> None:
    pytest.importorskip("pyarrow", reason="Argoverse 2 files need pyarrow (extra detect)")
    data = open_dataset(require("detection/av2"), sweeps=1)
    assert [share_of_equal_counts(sample) for sample in data] == [1.0, 1.0]
    near = data[0].points[np.hypot(*data[0].points[:, :2].T) < 8.0, 2]
    assert abs(np.percentile(near, 5)) < 0.15
    assert (data[0].points[:, 4] == 0.0).all() and np.isclose(data[1].points[:, 4].max(), 0.1, atol=0.01)
