# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Simulated drives, recorded once as rosbag2 (mcap) under out/bench/drives and read from there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from bench.places import OUT, ROOT

SEEDS = (1, 2, 3)
HELD_OUT = (11, 12, 13)
IMAGE_HZ = {"city_seen": 5.0, "corridor_seen": 10.0, "kilometre_seen": 5.0, "city_dense": 10.0}
"""Pictures a second of the drives that have any; 640 x 480 of one ray a pixel, which halving makes four."""
KIDNAPPED_AT_S = 15.0
LONG_M, SHORT_RANGE_M = 400.0, 40.0
"""Of the corridor with murals, and of the LiDAR in it: forty seconds without either end, in which an IMU drifts."""
SETTINGS = b"2"
"""Change it together with ``drive``: bags of other settings are not taken then."""


def bags(kind: str, seeds: Iterable[int]) -> dict[int, Path]:
    """Bag folder of each seed's drive, recorded first where it is not there yet, two at a time.

    Args:
        kind: "city" (loops of 300 m), "corridor", "kidnap" (20 s of the city) or "small" (the loop with few rays); with
            pictures "city_seen", "city_dense" (64 rings), "corridor_seen" (with murals) and "kilometre_seen" (1 km).
    """
    folder = _folder()
    paths = {seed: folder / f"{kind}-{seed}" for seed in seeds}
    missing = [(kind, seed, path) for seed, path in paths.items() if not path.exists()]
    if missing:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            list(pool.map(_record, *zip(*missing, strict=True)))
    return paths


def _folder() -> Path:
    """Named after the simulator's source and the drives' settings, so that no bag of another simulator is taken."""
    sources = sorted((ROOT / "sim_envs" / "city").glob("*.py"))
    digest = hashlib.sha256(SETTINGS + b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    drives = OUT / "drives"
    (drives / digest).mkdir(parents=True, exist_ok=True)
    for old in sorted(drives.iterdir(), key=lambda path: path.stat().st_mtime)[:-2]:
        shutil.rmtree(old, ignore_errors=True)
    return drives / digest


def _record(kind: str, seed: int, path: Path) -> None:
    from sim_envs.city.bag import write_bag

    write_bag(drive(kind, seed), path, images=kind in IMAGE_HZ)


def drive(kind: str, seed: int):
    """The simulated drive itself, a ``SimulatedDrive``."""
    from sim_envs.city import CityConfig, CorridorConfig, make_city, make_corridor, simulate_drive

    if kind == "corridor_seen":
        return simulate_drive(make_corridor(CorridorConfig(seed, LONG_M, murals=True)), _config(kind, seed))
    if kind == "corridor":
        return simulate_drive(make_corridor(CorridorConfig(seed=seed)), _config(kind, seed))
    return simulate_drive(make_city(CityConfig(seed=seed)), _config(kind, seed))


def _config(kind: str, seed: int):
    from sim_envs.city import CameraConfig, DriveConfig, KidnapConfig, LidarConfig

    config = DriveConfig(seed=seed)
    if kind in IMAGE_HZ:
        config = replace(config, cameras=(CameraConfig(rate_hz=IMAGE_HZ[kind], samples=1),))
    if kind == "corridor_seen":
        config = replace(config, lidar=LidarConfig(max_range_m=SHORT_RANGE_M))
    if kind == "city_dense":
        config = replace(config, lidar=LidarConfig(channels=64, columns=1536), duration_s=45.0)
    if kind == "kilometre_seen":
        config = replace(config, length_m=1000.0)
    if kind == "kidnap":
        config = replace(config, kidnap=KidnapConfig(time_s=KIDNAPPED_AT_S), duration_s=KIDNAPPED_AT_S + 5.0)
    if kind == "small":
        config = replace(config, lidar=LidarConfig(channels=16, columns=360))
    return config
