# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""LiDAR and cameras: what returns from where, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("open3d")

from city_worlds import CLEAN_LIDAR, SHORT, SMALL_CAMERA, clean_drive, in_map, short_drive, small_corridor
from sim_envs.city import DriveConfig, LidarConfig, simulate_drive
from sim_envs.city.camera import pixel_rays, project
from sim_envs.city.drive import START_NS, rigid
from sim_envs.city.lidar import Lidar, rosette_rays
from sim_envs.city.materials import Semantic
from sim_envs.city.moving import cast_scene, turn_about_z
from sim_envs.city.snapshot import take_snapshot
from slam.measurements import Image, ImuSample, Scan


class Standing:
    """A vehicle that stands still at a place."""

    duration_s = 10.0

    def pose(self, time_s):
        count = len(np.atleast_1d(time_s))
        return np.broadcast_to(np.eye(3), (count, 3, 3)), np.zeros((count, 3))

    def at(self, time_s):
        raise NotImplementedError


def test_a_scan_from_a_standing_vehicle_meets_walls_at_their_exact_range() -> None:
    lidar = Lidar(CLEAN_LIDAR, rigid([0.0, 0.0, 1.9]), 0)
    scan = lidar.scan(0, START_NS, small_corridor(), [], Standing())
    y, z = scan.points[:, 1], scan.points[:, 2] + 1.9
    off = np.min([np.abs(np.abs(y) - 4.0), np.abs(z), np.abs(z - 4.5)], axis=0)
    assert off.max() < 1e-4
    assert np.linalg.norm(scan.points, axis=1).max() < 100.0


def test_points_of_a_moving_vehicle_lie_on_the_walls_when_each_is_put_back_at_its_own_time() -> None:
    drive = simulate_drive(small_corridor(), DriveConfig(lidar=CLEAN_LIDAR, cameras=()))
    scan = drive.scan(100)
    x, y, z = in_map(drive, scan).T
    off = np.min([np.abs(np.abs(y) - 4.0), np.abs(z), np.abs(z - 4.5), np.abs(np.abs(x) - 135.0)], axis=0)
    assert np.linalg.norm(drive.state_at(10.0).velocity) > 7.0
    assert off.max() < 1e-3


def test_point_times_run_through_the_whole_sweep() -> None:
    scan = short_drive().scan(7)
    assert scan.stamp_ns == START_NS + 700_000_000
    assert (np.diff(scan.offsets_ns) >= 0).all()
    assert 95_000_000 < scan.offsets_ns.max() < 100_000_000


def test_range_noise_and_dropouts_are_as_configured() -> None:
    errors, share = [], []
    noisy, clean = short_drive(), clean_drive()
    for index in range(0, 200, 40):
        n, c = noisy.scan(index), clean.scan(index)
        times, where = np.unique(
            np.column_stack([c.offsets_ns, clean.lidar.rings(c.points)]), axis=0, return_index=True
        )
        known = {tuple(t): i for t, i in zip(times.tolist(), where.tolist(), strict=True)}
        keys = np.column_stack([n.offsets_ns, noisy.lidar.rings(n.points)]).tolist()
        pairs = [(i, known[tuple(k)]) for i, k in enumerate(keys) if tuple(k) in known]
        a, b = np.array(pairs).T
        errors.append(np.linalg.norm(n.points[a], axis=1) - np.linalg.norm(c.points[b], axis=1))
        share.append(1.0 - len(n.points) / len(c.points))
    assert np.std(np.concatenate(errors)) == pytest.approx(0.02, rel=0.1)
    assert np.mean(share) == pytest.approx(0.02, abs=0.008)


def test_boxes_hold_every_point_that_returned_from_a_moving_thing_at_its_own_time() -> None:
    drive, found = clean_drive(), 0
    for index in range(0, drive.scan_count, 15):
        time = 0.1 * index + 1e-9 * drive.lidar.column_offsets_ns()
        rotation, position = drive.motion.pose(time)
        rays = np.einsum("cij,crj->cri", rotation @ drive.lidar.T_base_lidar[:3, :3], drive.lidar.directions(index))
        origins = np.repeat(position + rotation @ drive.lidar.T_base_lidar[:3, 3], 16, axis=0)
        rays, time = rays.reshape(-1, 3), np.repeat(time, 16)
        hits = cast_scene(drive.world.static, drive.tracks, origins, rays, time, 100.0)
        for number in np.unique(hits.track[hits.track >= 0]):
            track, those = drive.tracks[number], hits.track == number
            foot, yaw = track.at(time[those])
            points = origins[those] + rays[those] * hits.distance[those, None] - foot
            local = np.abs(turn_about_z(points, -yaw) - [0.0, 0.0, 0.5 * track.model.size[2]])
            assert (local < 0.5 * track.model.size + 1e-3).all()
            found += int(those.sum())
    assert found > 500


def test_no_ray_that_meets_a_moving_thing_is_missed() -> None:
    drive = clean_drive()
    track = min(drive.tracks, key=lambda t: np.linalg.norm(t.position[0] - drive.state_at(0.0).position[0]))
    position, _ = track.at(np.zeros(1))
    origin = np.add(position, [6.0, 4.0, 1.5])
    rays = np.random.default_rng(0).normal(size=(4000, 3)) * 0.2 + (position - origin) / np.linalg.norm(
        position - origin
    )
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    hits = cast_scene(drive.world.static, [track], np.repeat(origin, 4000, axis=0), rays, np.zeros(4000), 100.0)
    now = take_snapshot(drive.world, [track], 0.0)
    exact, moving = now.cast(origin[0], rays)
    np.testing.assert_array_equal(hits.track >= 0, moving)
    np.testing.assert_allclose(hits.distance[moving], exact.distance[moving], atol=1e-3)
    assert moving.sum() > 20


def test_velocities_of_boxes_are_the_derivatives_of_their_centres() -> None:
    drive, h = short_drive(), 0.01
    before, now, after = (drive.boxes(5.05 + d) for d in (-h, 0.0, h))
    for a, b, c in zip(before, now, after, strict=True):
        np.testing.assert_allclose((c.centre - a.centre) / (2 * h), b.velocity, atol=1e-6)


def test_a_rosette_never_repeats_and_stays_in_its_cone() -> None:
    config = LidarConfig("solid_state", 6, 400, fov_deg=(-35.0, 35.0))
    first, second = rosette_rays(config, 0), rosette_rays(config, 1)
    np.testing.assert_allclose(np.linalg.norm(first, axis=-1), 1.0)
    assert np.degrees(np.arccos(first[..., 0].min())) < 35.1
    nearest = [np.abs(second.reshape(-1, 3) - ray).sum(axis=1).min() for ray in first.reshape(-1, 3)[::17]]
    assert np.median(nearest) > 1e-3


def test_rings_are_told_from_the_points_alone() -> None:
    drive = clean_drive()
    scan = drive.scan(3)
    assert set(np.unique(drive.lidar.rings(scan.points))) == set(range(16))


def test_the_same_seed_gives_the_same_bytes_in_any_order_of_asking() -> None:
    late, early = short_drive().scan(50), short_drive().scan(2)
    again = simulate_drive(short_drive().world, SHORT)
    assert again.scan(2).points.tobytes() == early.points.tobytes()
    assert again.scan(50).intensity.tobytes() == late.intensity.tobytes()
    assert again.imu.accel.tobytes() == short_drive().imu.accel.tobytes()
    assert again.render("front", 4.0).pixels.tobytes() == short_drive().render("front", 4.0).pixels.tobytes()


def test_measurements_arrive_in_time_order_and_scans_when_they_end() -> None:
    drive = simulate_drive(short_drive().world, replace(SHORT, duration_s=1.0))
    stream = list(drive.measurements(images=True))
    kinds = [sum(isinstance(m, kind) for m in stream) for kind in (Scan, ImuSample, Image)]
    assert kinds == [10, 201, 10]
    latest = 0
    for m in stream:
        arrival = m.stamp_ns + (100_000_000 if isinstance(m, Scan) else 0)
        assert arrival >= latest
        latest = arrival


def test_pixels_and_rays_are_inverse_to_each_other() -> None:
    camera = SMALL_CAMERA.calibration()
    rays = pixel_rays(camera).reshape(-1, 3)
    grid = np.stack(np.meshgrid(np.arange(96), np.arange(72)), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(project(camera, rays), grid, atol=1e-6)


def test_depth_pictures_agree_with_the_lidar() -> None:
    drive = clean_drive()
    seen = drive.render("front", 2.0)
    camera = drive.calibration.cameras["front"]
    scan = drive.scan(20)
    T = np.linalg.inv(camera.T_base_camera) @ drive.calibration.T_base_lidar
    points = scan.points @ T[:3, :3].T + T[:3, 3]
    points = points[points[:, 2] > 2.0]
    u, v = np.rint(project(camera, points)).astype(int).T
    inside = (u >= 0) & (u < 96) & (v >= 0) & (v < 72)
    error = np.abs(seen.depth[v[inside], u[inside]] - points[inside, 2]) / points[inside, 2]
    assert inside.sum() > 100
    assert np.median(error) < 0.06


def test_pictures_show_gradient_everywhere_below_the_sky() -> None:
    seen = short_drive().render("front", 2.0)
    grey = seen.pixels.astype(float).mean(axis=2)
    slope = np.hypot(*np.gradient(grey))
    ground = seen.semantic != Semantic.SKY
    assert np.isfinite(seen.depth[ground]).all()
    assert np.mean(slope[ground] > 0.5) > 0.85
    assert {Semantic.ROAD, Semantic.BUILDING, Semantic.SKY} <= set(np.unique(seen.semantic))


def test_exposure_and_gain_change_over_the_drive() -> None:
    pairs = np.array([SMALL_CAMERA.exposure(t, 1) for t in np.linspace(0.0, 40.0, 200)])
    assert np.ptp(pairs[:, 0]) > 0.3
    assert np.ptp(pairs[:, 1]) > 0.3
    assert np.abs(np.diff(pairs, axis=0)).max() < 0.25
