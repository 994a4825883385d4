# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What is written for other programs is in their formats to the letter."""

import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from slam.calibration import Camera
from slam.errors import MapError
from slam.gaussian_map.colmap import Picture, coloured_points, write_colmap
from slam.gaussian_map.ply import read_ply, write_ply
from slam.splatting.gaussians import Gaussians

K = np.array([[200.0, 0.0, 159.5], [0.0, 210.0, 99.5], [0.0, 0.0, 1.0]])


def some(count=50, coefficients=4, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, coefficients, 3))
    gaussians = Gaussians(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))
    return gaussians._replace(quats=gaussians.quats / np.linalg.norm(gaussians.quats, axis=1, keepdims=True))


# PLY


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_gaussians_come_back_from_a_ply_of_any_degree(tmp_path, coefficients):
    written = some(coefficients=coefficients)
    for name, found, put in zip(
        Gaussians._fields, read_ply(write_ply(tmp_path / "map.ply", written)), written, strict=True
    ):
        assert found.dtype == np.float32 and found.flags.c_contiguous and found.shape == put.shape
        np.testing.assert_allclose(found, put, rtol=1e-6, atol=1e-7, err_msg=name)


def test_the_ply_is_laid_out_byte_for_byte_as_viewers_read_it(tmp_path):
    one = some(1, 4)
    one = one._replace(harmonics=np.arange(12, dtype=np.float32).reshape(1, 4, 3))
    head, _, body = write_ply(tmp_path / "one.ply", one).read_bytes().partition(b"end_header\n")
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(9))]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    lines = ["ply", "format binary_little_endian 1.0", "element vertex 1", *(f"property float {n}" for n in names)]
    assert head.decode() == "".join(f"{line}\n" for line in lines)
    values = dict(zip(names, struct.unpack(f"<{len(names)}f", body), strict=True))
    assert [values[n] for n in ("nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2")] == [0, 0, 0, 0, 1, 2]
    red, green, blue = [3, 6, 9], [4, 7, 10], [5, 8, 11]
    assert [values[f"f_rest_{i}"] for i in range(9)] == [*red, *green, *blue]
    x, y, z, w = one.quats[0]
    np.testing.assert_allclose([values[f"rot_{i}"] for i in range(4)], [w, x, y, z], rtol=1e-6)
    assert [values[n] for n in ("opacity", "scale_0", "scale_2")] == [one.logits[0], *one.log_scales[0, [0, 2]]]


def test_quaternions_are_written_with_unit_length(tmp_path):
    long = some()._replace(quats=(7.0 * some().quats).astype(np.float32))
    np.testing.assert_allclose(read_ply(write_ply(tmp_path / "a.ply", long)).quats, some().quats, atol=1e-6)


def test_a_map_of_nothing_is_a_ply_of_nothing(tmp_path):
    assert read_ply(write_ply(tmp_path / "none.ply", Gaussians.zeros(0))).size == 0


def test_properties_in_another_order_comments_and_further_elements_are_read(tmp_path):
    put = some(6, 1)
    data = write_ply(tmp_path / "a.ply", put).read_bytes()
    body = np.frombuffer(data.partition(b"end_header\n")[2], np.float32).reshape(6, 17)
    names = [line.split()[-1] for line in data.decode("latin-1").splitlines() if line.startswith("property")]
    lines = ["ply", "format binary_little_endian 1.0", "comment made elsewhere", "element vertex 6"]
    lines += ["property uchar red", *(f"property double {name}" for name in names[::-1])]
    lines += ["element face 0", "property list uchar int vertex_indices", "end_header"]
    rows = np.zeros(6, [("red", "u1"), *((name, "<f8") for name in names[::-1])])
    for name, column in zip(names, body.T, strict=True):
        rows[name] = column
    (tmp_path / "b.ply").write_bytes("".join(f"{line}\n" for line in lines).encode() + rows.tobytes())
    for found, array in zip(read_ply(tmp_path / "b.ply"), put, strict=True):
        np.testing.assert_allclose(found, array, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"ply\n", b"PLY\n", "no PLY file"),
        (b"binary_little_endian", b"ascii", "not a binary little-endian PLY"),
        (b"property float opacity\n", b"", "lacks opacity"),
        (b"property float scale_1", b"property half scale_1", "half"),
        (b"element vertex 50", b"element vertex 51", "cut off: 51 vertices"),
        (b"element vertex 50", b"element face 50", "first element is face"),
        (b"f_rest_8", b"other", "it has 8"),
    ],
)
def test_a_ply_that_is_not_one_of_gaussians_is_refused(tmp_path, old, new, said):
    path = write_ply(tmp_path / "a.ply", some())
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(MapError, match=said):
        read_ply(path)


def test_a_ply_that_is_missing_or_holds_infinities_is_refused(tmp_path):
    with pytest.raises(MapError, match="cannot be read"):
        read_ply(tmp_path / "absent.ply")
    bad = some()
    bad.means[3, 1] = np.inf
    with pytest.raises(MapError, match="1 values of means"):
        read_ply(write_ply(tmp_path / "a.ply", bad))


def test_the_files_of_gsplat_are_read(tmp_path):
    gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed")
    torch = pytest.importorskip("torch")
    put = some(20, 9)
    wxyz = put._replace(quats=put.quats[:, [3, 0, 1, 2]])
    means, quats, scales, opacities, harmonics = (torch.from_numpy(np.ascontiguousarray(array)) for array in wxyz)
    path = str(tmp_path / "theirs.ply")
    gsplat.export_splats(means, scales, quats, opacities, harmonics[:, :1], harmonics[:, 1:], save_to=path)
    for name, found, array in zip(Gaussians._fields, read_ply(path), put, strict=True):
        np.testing.assert_array_equal(found, array, name)


# COLMAP


def poses(count=5, seed=1):
    rng = np.random.default_rng(seed)
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = Rotation.random(count, random_state=seed).as_matrix()
    T[:, :3, 3] = rng.normal(size=(count, 3)) * 10.0
    return T


def records(path):
    return [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]


def test_a_point_projects_in_the_colmap_model_half_a_pixel_from_where_it_does_here(tmp_path):
    T, rng = poses(), np.random.default_rng(2)
    points, colours = rng.normal(size=(7, 3)) * 5.0, rng.integers(0, 256, (7, 3)).astype(np.uint8)
    pictures = [Picture(f"{i:06d}.png", 0, pose) for i, pose in enumerate(T)]
    folder = write_colmap(tmp_path / "model", [Camera(320, 200, K)], pictures, points, colours)
    ((number, model, width, height, fx, fy, cx, cy),) = records(folder / "cameras.txt")
    assert (number, model, width, height) == ("1", "PINHOLE", "320", "200")
    assert [float(value) for value in (fx, fy, cx, cy)] == [200.0, 210.0, 160.0, 100.0]
    lines = records(folder / "images.txt")
    assert lines[1::2] == [[]] * 5
    for i, words in enumerate(lines[::2]):
        assert (words[0], words[8], words[9]) == (str(i + 1), "1", f"{i:06d}.png")
        w, x, y, z, *t = map(float, words[1:8])
        R = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        local = points @ R.T + t
        theirs = local[:, :2] / local[:, 2:] * [float(fx), float(fy)] + [float(cx), float(cy)]
        here = (np.linalg.inv(T[i]) @ np.column_stack([points, np.ones(7)]).T)[:3].T
        np.testing.assert_allclose(theirs - 0.5, ((here / here[:, 2:]) @ K.T)[:, :2], rtol=1e-6, atol=1e-6)
    rows = np.array(records(folder / "points3D.txt"), float)
    assert rows[:, 0].tolist() == [*range(1, 8)] and rows.shape == (7, 8)
    np.testing.assert_allclose(rows[:, 1:4], points, atol=1e-6)
    np.testing.assert_array_equal(rows[:, 4:7], colours)


def test_several_cameras_are_told_apart(tmp_path):
    cameras = [Camera(320, 200, K), Camera(640, 400, K)]
    pictures = [Picture("a.png", 1, np.eye(4)), Picture("b.png", 0, np.eye(4))]
    folder = write_colmap(tmp_path, cameras, pictures, np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    assert [words[:4] for words in records(folder / "cameras.txt")] == [
        ["1", "PINHOLE", "320", "200"], ["2", "PINHOLE", "640", "400"]
    ]  # fmt: skip
    assert [words[8:] for words in records(folder / "images.txt") if words] == [["2", "a.png"], ["1", "b.png"]]
    assert records(folder / "points3D.txt") == []


@pytest.mark.parametrize(
    ("camera", "pictures", "said"),
    [
        (Camera(8, 8, K, np.full(5, 0.1)), [], "undistort"),
        (Camera(8, 8, K), [Picture("a b.png", 0, np.eye(4))], "spaces"),
        (Camera(8, 8, K), [Picture("a.png", 1, np.eye(4))], "camera 1 is not one of 1"),
        (Camera(8, 8, K), [Picture("a.png", 0, np.eye(4))] * 2, "given 2 times"),
    ],
)
def test_what_colmap_could_not_read_is_refused(tmp_path, camera, pictures, said):
    with pytest.raises(MapError, match=said):
        write_colmap(tmp_path, [camera], pictures, np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_points_are_the_gaussians_that_can_be_seen_thinned_evenly():
    gaussians = some(1000, 1)
    points, colours = coloured_points(gaussians)
    visible = gaussians.logits > 0.0
    assert len(points) == visible.sum() and colours.dtype == np.uint8
    np.testing.assert_array_equal(points, gaussians.means[visible].astype(np.float64))
    assert len(coloured_points(gaussians, 100)[0]) == 100
