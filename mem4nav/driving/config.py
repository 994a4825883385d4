# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How a driver sees streets, drives along them and follows directions."""

from __future__ import annotations

from dataclasses import dataclass, field

from mem4nav.errors import Mem4NavError


class DrivingConfigError(Mem4NavError):
    """Settings of a driver that contradict one another."""


@dataclass(frozen=True, slots=True)
class GridConfig:
    """The rolling grid round the vehicle.

    Attributes:
        cell_m: side of a cell.
        size_m: side of the grid.
        range_m: points further away are left out.
        kerb_m: ground that rises by more than this between neighbours bounds a street.
        fill_m: ground that was not seen takes the height of what was seen so near.
        obstacle_low_m, obstacle_high_m: heights over the ground between which a point is an obstacle.
        obstacle_hits: points in a cell that make it one.
        gain: of a new height against the mean of those before.
        forget: share of a cell's obstacle points that is left after a scan that saw its ground.
    """

    cell_m: float = 0.3
    size_m: float = 72.0
    range_m: float = 28.0
    kerb_m: float = 0.085
    fill_m: float = 0.75
    obstacle_low_m: float = 0.35
    obstacle_high_m: float = 2.0
    obstacle_hits: float = 2.0
    gain: float = 0.3
    forget: float = 0.7


@dataclass(frozen=True, slots=True)
class StreetConfig:
    """What a street and a crossing look like.

    Attributes:
        half_width_m: (least, most) distance of a kerb from the axis.
        behind_m, ahead_m: reach along the axis in which kerbs are looked for.
        mouth_m: ground free of kerbs so far to the side is the mouth of another street.
        mouth_width_m: least width of a mouth.
        look_m: mouths are looked for so far ahead.
        ring_m: ways out of a crossing are where the circle of this radius round its middle is free.
        way_m: least width of a way out there.
        straight_deg: a way within this of the axis leads straight on.
    """

    half_width_m: tuple[float, float] = (3.8, 8.0)
    behind_m: float = 14.0
    ahead_m: float = 22.0
    mouth_m: float = 9.0
    mouth_width_m: float = 4.5
    look_m: float = 20.0
    ring_m: float = 13.0
    way_m: float = 4.5
    straight_deg: float = 40.0


@dataclass(frozen=True, slots=True)
class FollowerConfig:
    """How the path is followed (pure pursuit, Coulter 1992).

    Attributes:
        speed: on a free street, m/s.
        seeking_speed: on a street along which a landmark has to be found, m/s.
        crossing_speed: at and before crossings, m/s.
        doubting_speed: towards what may be a landmark that is sought, and was not yet seen well enough, m/s.
        turn_rate: highest, rad/s.
        lookahead_m: least distance of the point that is steered at.
        lookahead_s: and how much of it a second of driving adds.
        lateral: highest sideways acceleration, m/s^2.
        braking: deceleration that the way to an obstacle or to the goal is planned with, m/s^2.
        half_width_m: of the vehicle, with its margin.
        nose_m: how far the vehicle reaches before base_link.
        margin_m: distance that is kept to an obstacle ahead.
        lane_m: how far right of the axis it drives.
    """

    speed: float = 4.5
    seeking_speed: float = 3.2
    crossing_speed: float = 2.5
    doubting_speed: float = 1.6
    turn_rate: float = 0.8
    lookahead_m: float = 3.0
    lookahead_s: float = 0.6
    lateral: float = 1.5
    braking: float = 1.2
    half_width_m: float = 1.15
    nose_m: float = 2.9
    margin_m: float = 1.5
    lane_m: float = 0.6


@dataclass(frozen=True, slots=True)
class DriverConfig:
    """A driver.

    Attributes:
        grid, street, follower: of its parts.
        silence_s: it stops when no scan or pose has come for so long.
        blocked_s: it gives up when something has stood in the way for so long.
        longest_s: it gives up after so long.
        farthest_m: it gives up when a clause has led so far without its end.
        settle_s: it stands so long at first, and looks.
        least_score: weaker detections are left out.
        sure_hits: a landmark counts once it was detected so often,
        sure_weight: with scores of at least this sum.
        beside_m: a landmark that counts stands at most so far from the axis of the street.
        stop_within_m: it has arrived when the landmark is at most so far ahead along the street.
    """

    grid: GridConfig = field(default_factory=GridConfig)
    street: StreetConfig = field(default_factory=StreetConfig)
    follower: FollowerConfig = field(default_factory=FollowerConfig)
    silence_s: float = 0.35
    blocked_s: float = 20.0
    longest_s: float = 600.0
    farthest_m: float = 350.0
    settle_s: float = 1.5
    least_score: float = 0.1
    sure_hits: int = 4
    sure_weight: float = 2.0
    beside_m: float = 11.0
    stop_within_m: float = 0.5

    def __post_init__(self) -> None:
        if self.street.mouth_m <= self.street.half_width_m[1]:
            raise DrivingConfigError(
                f"mouth_m is {self.street.mouth_m} and a kerb may be {self.street.half_width_m[1]} m from the axis: "
                "every wide street would be a crossing"
            )
        if min(self.silence_s, self.follower.speed, self.follower.lookahead_m) <= 0.0:
            raise DrivingConfigError(
                f"silence_s {self.silence_s}, speed {self.follower.speed}, lookahead_m {self.follower.lookahead_m}: "
                "all must be positive"
            )
