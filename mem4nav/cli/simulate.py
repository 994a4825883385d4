# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav simulate``: drives through the town and records a rosbag2."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from mem4nav.cli.console import Terminal

if TYPE_CHECKING:
    from sim_envs.city import SimulatedDrive
    from sim_envs.city.bag import BagCounts

_FAULT = "SENSOR:KIND[:START[:END[:AMOUNT]]]"


def simulate(
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")],
    seed: int = 1,
    world: Literal["city", "corridor"] = "city",
    length: float = 300.0,
    speed: float = 8.0,
    laps: int = 1,
    duration: float | None = None,
    moving_start: bool = False,
    images: bool = True,
    image_rate: float = 5.0,
    lidar: Literal["spinning", "solid_state"] = "spinning",
    channels: int | None = None,
    columns: int | None = None,
    fault: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar=_FAULT)] = (),
    rain: float = 0.0,
    kidnap: float | None = None,
    quiet: bool = False,
) -> None:
    """Drive through a procedural town and record what the sensors saw, with the truth.

    Leaves DIR/bag (a rosbag2 folder, mcap), DIR/ground_truth.tum (base_link) and DIR/metrics.json.
    Sensors are lidar, imu and camera; kinds of fault are PX4's: off, stuck, garbage, wrong, slow, delayed,
    intermittent; also clock_offset, and rain on the lidar. Times are seconds since the start.

    Args:
        out: folder for the results; its bag must not exist yet.
        seed: of the town, the drive, the sensors' errors and the traffic: the same seed, the same bytes.
        world: the town, or a smooth straight corridor longer than twice the LiDAR's range.
        length: metres to go round in the town; the nearest loop there is.
        speed: cruising speed, m/s.
        laps: times round the loop.
        duration: stop after so many seconds.
        moving_start: begin and end at speed instead of standing.
        images: render and record camera pictures too (slower than the rest together).
        image_rate: pictures a second.
        lidar: all round in rings, or a rosette forward that never repeats.
        channels: rings of the LiDAR.
        columns: firings a sweep.
        fault: a sensor that fails, as imu:off:10:11; may be given again.
        rain: mm/h on the LiDAR.
        kidnap: put the vehicle 4 m aside and turn it by 86 degrees at this time, seconds.
        quiet: say nothing but errors.
    """
    # Imported here, so that --help and a mistyped option answer at once.
    from sim_envs import city

    terminal = Terminal(quiet)
    begun = time.perf_counter()
    faults = [city.parse_fault(text) for text in fault]
    if rain > 0.0:
        faults.append(city.Fault("lidar", "rain", amount=rain))
    sensor = city.lidar_preset(lidar, channels, columns)
    driving = city.DrivingConfig(speed=speed, laps=laps, moving_start=moving_start)
    cameras = (city.CameraConfig(rate_hz=image_rate),)
    moved = None if kidnap is None else city.KidnapConfig(kidnap)
    config = city.DriveConfig(seed, length, duration, driving, sensor, cameras=cameras, kidnap=moved)
    town, tunnel = city.CityConfig(seed=seed), city.CorridorConfig(seed=seed)
    built = city.make_city(town) if world == "city" else city.make_corridor(tunnel)
    drive = city.simulate_drive(built, config).with_faults(*faults)
    counts = _record(drive, out, images, terminal)
    _results(drive, counts, out, [*fault], time.perf_counter() - begun)
    terminal.say(f"{drive.duration_s:.1f} s simulated in {time.perf_counter() - begun:.1f} s: {out / 'bag'}")


def _record(drive: SimulatedDrive, out: Path, images: bool, terminal: Terminal) -> BagCounts:
    from sim_envs.city.bag import write_bag

    with terminal.task(f"driving {drive.name}", drive.scan_count) as advance:
        return write_bag(drive, out / "bag", images=images, progress=lambda done: advance())


def _results(drive: SimulatedDrive, counts: BagCounts, out: Path, faults: list[str], wall_s: float) -> None:
    from mem4nav.cli.metrics_file import versions, write_metrics
    from slam.trajectory import write_tum

    truth = drive.ground_truth()
    write_tum(out / "ground_truth.tum", truth)
    metrics = {
        "drive": drive.name,
        "seed": drive.config.seed,
        "simulated_s": drive.duration_s,
        "path_length_m": truth.length_m(),
        "scans": counts.scans,
        "imu_samples": counts.imu,
        "images": counts.images,
        "moving_objects": len(drive.tracks),
        "faults": faults,
        "notes": drive.notes,
        "wall_s": wall_s,
        "versions": versions(),
    }
    write_metrics(out, metrics)
