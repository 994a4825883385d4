# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a detector makes of what can be seen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mem4nav.environment import Sighting
from sim_envs.city.navigation.street_plan import compass_deg
from sim_envs.city.navigation.visibility import Thing
from sim_envs.city.shops import COLOURS
from sim_envs.errors import SimConfigError


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """How far a detector sees and how it errs.

    Attributes:
        seed: of all errors; the same place seen again gives the same detections.
        range_m: nothing is detected from further away.
        readable_m: a sign is read from up to here; further away the name is "".
        missed: share of visible things that are not detected.
        miscoloured: share of detections with a wrong colour.
        bearing_sd_deg: standard deviation of the bearing.
        distance_sd: standard deviation of the distance, as a share of it.
    """

    seed: int = 0
    range_m: float = 35.0
    readable_m: float = 25.0
    missed: float = 0.05
    miscoloured: float = 0.03
    bearing_sd_deg: float = 2.0
    distance_sd: float = 0.04

    def __post_init__(self) -> None:
        if not (0.0 <= self.missed < 1.0 and 0.0 <= self.miscoloured <= 1.0):
            raise SimConfigError(f"missed is {self.missed}, miscoloured {self.miscoloured}: shares lie in [0, 1)")
        if min(self.bearing_sd_deg, self.distance_sd) < 0.0 or self.range_m <= 0.0:
            raise SimConfigError(
                f"range_m {self.range_m}, bearing_sd_deg {self.bearing_sd_deg}, distance_sd {self.distance_sd}: "
                "the range is positive and no deviation negative"
            )

    def perfect(self) -> DetectorConfig:
        """The same reach without any error."""
        return replace(self, missed=0.0, miscoloured=0.0, bearing_sd_deg=0.0, distance_sd=0.0)


@dataclass(frozen=True, slots=True)
class Detections:
    """Landmark source of a town.

    Attributes:
        by_place: sightings from each place, nearest first.
    """

    by_place: tuple[tuple[Sighting, ...], ...] = field(repr=False)

    def sightings(self, number: int) -> tuple[Sighting, ...]:
        """What is detected from a place."""
        return self.by_place[number]


def detect(
    things: tuple[Thing, ...], seen: NDArray[np.bool_], positions: NDArray[np.float64], config: DetectorConfig
) -> Detections:
    """What the detector reports where ``seen`` (places, things) is true, from the (places, 2) positions."""
    return Detections(
        tuple(_from_place(place, things, seen[place], positions[place], config) for place in range(len(positions)))
    )


def _from_place(
    place: int,
    things: tuple[Thing, ...],
    seen: NDArray[np.bool_],
    position: NDArray[np.float64],
    config: DetectorConfig,
) -> tuple[Sighting, ...]:
    # One row of chances for each thing, seen or not: whether one is visible changes nothing about the others.
    rng = np.random.default_rng([config.seed, 0xDE7, place])
    luck, wrong = rng.random((len(things), 2)), rng.integers(len(COLOURS), size=len(things))
    noise = rng.standard_normal((len(things), 2)) * [config.bearing_sd_deg, config.distance_sd]
    found = []
    for number in np.flatnonzero(seen & (luck[:, 0] >= config.missed)):
        thing = things[number]
        away = thing.position_m - position
        distance = float(np.linalg.norm(away))
        tags = dict(thing.tags)
        if thing.colour and luck[number, 1] < config.miscoloured:
            tags["colour"] = _another(thing.colour, int(wrong[number]))
        if not _readable(thing, away, distance, config):
            tags.pop("name", None)
        bearing = (compass_deg(away) + float(noise[number, 0])) % 360.0
        measured = distance * (1.0 + float(noise[number, 1]))
        found.append(Sighting(f"thing-{number}", tags.get("name", ""), thing.category, tags, bearing, measured))
    return tuple(sorted(found, key=lambda sighting: sighting.distance_m))


def _readable(thing: Thing, away: NDArray[np.float64], distance: float, config: DetectorConfig) -> bool:
    """Near enough, and not looked at from too far aside."""
    return distance <= config.readable_m and float(-away @ thing.facing) >= 0.3 * distance


def _another(colour: str, step: int) -> str:
    """A colour that is not this one (which, of furniture, may be none of the shops')."""
    words = [word for word in COLOURS if word != colour]
    return words[step % len(words)]
