# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The town as samples for the detector: which towns it learns from, which it is judged in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from detection.config import CITY_CLASSES
from detection.errors import DetectionConfigError
from detection.sample import Boxes, Sample, View, make_boxes
from sim_envs.city.scenes import KINDS, RigPlay, Scene, SceneConfig, Things, drive_scenes, mixed_scenes

TRAIN_SEEDS, CALIBRATION_SEEDS = range(1000, 9000), range(9000, 10_000)
"""Towns to learn from, and to calibrate scores in; held-out towns have other numbers."""

_FIRST_HELD_OUT = 10_000
_HELD_OUT_STEP = 100


def held_out_seeds(seed: int, towns: int = 12) -> range:
    """Towns of an evaluation: no two seeds share one, and none of them is learned from.

    Raises:
        DetectionConfigError: a negative seed, or more towns than one seed has.
    """
    if seed < 0 or not 0 < towns <= _HELD_OUT_STEP:
        raise DetectionConfigError(
            f"{towns} held-out towns of seed {seed}: the seed is 0 or more, the towns 1 to {_HELD_OUT_STEP}"
        )
    first = _FIRST_HELD_OUT + _HELD_OUT_STEP * seed
    return range(first, first + towns)


def training_scenes() -> SceneConfig:
    """Scenes to learn from: every town is seen by a rig of its own, so that the detector is bound to none."""
    return SceneConfig(play=RigPlay(height_m=0.3, yaw_deg=3.0, fov_deg=8.0))


def held_out_scenes() -> SceneConfig:
    """Scenes to be judged on: 20 of each town, all seen by the one rig.

    The twelve towns of a seed show each class 150 times or more near enough and clear enough to count.
    """
    return SceneConfig(frames=20)


def sample_of(scene: Scene, classes: Sequence[str] = CITY_CLASSES) -> Sample:
    """A scene as the detector takes it; boxes are of all things of these classes that any ray or pixel met."""
    ages = np.zeros((len(scene.points), 1), np.float32)
    views = tuple(View(name, pixels, scene.calibration.cameras[name]) for name, pixels in scene.pictures.items())
    return Sample(
        scene.name,
        scene.stamp_ns,
        np.concatenate([scene.points, scene.intensity[:, None], ages], axis=1),
        views,
        _boxes(scene.things, classes),
        scene.T_world_base,
        scene.calibration.T_base_lidar[:3, 3],
    )


def _boxes(things: Things, classes: Sequence[str]) -> Boxes:
    label = np.array([classes.index(kind) if kind in classes else -1 for kind in KINDS])[things.kind]
    seen = (label >= 0) & ((things.points > 0) | (things.pixels > 0))
    kept, label = things.pick(seen), label[seen]
    return make_boxes(
        kept.centre, kept.size, kept.yaw, label,
        velocity=kept.velocity, identity=kept.identity, points=kept.points, pixels=kept.pixels,
    )  # fmt: skip


def drive_samples(
    config: SceneConfig, seed: int, seconds: float = 20.0, classes: Sequence[str] = CITY_CLASSES
) -> Iterator[Sample]:
    """A drive through one town in the order of time, a sample a sweep, identities kept."""
    return (sample_of(scene, classes) for scene in drive_scenes(config, seed, seconds))


def city_samples(
    config: SceneConfig,
    seeds: Sequence[int],
    classes: Sequence[str] = CITY_CLASSES,
    *,
    lanes: int = 4,
    workers: int = 0,
) -> Iterator[Sample]:
    """Samples of many towns, mixed; lanes and workers as in ``mixed_scenes``, which see also for what is raised."""
    return (sample_of(scene, classes) for scene in mixed_scenes(config, seeds, lanes=lanes, workers=workers))
