# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav demo``: what the stack does so far, in embedded towns."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.errors import UsageError

if TYPE_CHECKING:
    from sim_envs.city import SimulatedDrive

PICTURES = {"width": 320, "height": 240, "rate_hz": 3.0}
"""So few and small that a demo on two cores takes minutes."""


def demo(
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("out/demo"),
    seed: int = 1,
    length: Annotated[float, tyro.conf.arg(metavar="M")] = 200.0,
    quiet: bool = False,
) -> None:
    """Simulate a drive through a town with LiDAR, IMU and a camera, replay it, and write a report.

    It ends with instructions that an agent with a memory follows in another town, always the same.

    Args:
        out: gets the bag, report.html, map/, map.png, metrics.json, the trajectories, config.yaml and log.txt.
        seed: of the town and of the drive.
        length: metres to drive.
        quiet: say nothing but errors.
    """
    if length < 50.0:
        raise UsageError(f"--length {length:g}: the shortest way round a block is 50 m or more")
    from mem4nav.cli.demo_episode import walk_episode
    from mem4nav.cli.replay_run import run
    from mem4nav.cli.report import Chapter
    from mem4nav.cli.report_episode import episode_section
    from sim_envs.city import CameraConfig, CityConfig, DriveConfig, make_city, simulate_drive
    from slam.io.opening import open_recording
    from slam.replay_config import JudgedMapping, ReplayConfig

    terminal = Terminal(quiet)
    with terminal.progress():
        with terminal.task("following instructions", None):
            episode = walk_episode()
        last = Chapter(episode_section(episode), {"episode": episode.metrics()})
        with terminal.task("building the town", None):
            config = DriveConfig(seed=seed, length_m=length, cameras=(CameraConfig(**PICTURES),))
            drive = simulate_drive(make_city(CityConfig(seed=seed)), config)
        bag = _record(drive, out / "bag", terminal)
        settings = ReplayConfig(mapping=JudgedMapping(scale=1.0))  # the pictures are small already
        run(open_recording(bag), settings, out, terminal, title=f"A drive through town {seed}", last=last)
    terminal.say(f"then, in another town: {episode.verdict}")


def _record(drive: SimulatedDrive, bag: Path, terminal: Terminal) -> Path:
    """The drive as a bag on the disk, so that the replay reads what a robot would have recorded."""
    from sim_envs.city.bag import write_bag

    if (bag / "metadata.yaml").is_file():  # of an earlier demo
        shutil.rmtree(bag)
    with terminal.task(f"driving {drive.name}", drive.scan_count) as advance:
        write_bag(drive, bag, images=True, progress=lambda done: advance())
    return bag
