# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A driver: from poses, LiDAR points and detections to speeds, along written directions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from detection.sample import Boxes
from mem4nav.driving.clauses import Verb, read_clauses
from mem4nav.driving.config import DriverConfig
from mem4nav.driving.crossing import Crossing, find_crossing, wrapped
from mem4nav.driving.directions import Directions
from mem4nav.driving.follower import STAND, Command, ahead_of, pursue, slowed
from mem4nav.driving.grid import Ground, LocalGrid
from mem4nav.driving.landmarks import Landmarks
from mem4nav.driving.paths import crossing_path, freest, street_path
from mem4nav.driving.street import Street, fitted

log = logging.getLogger(__name__)

_DECIDE_M = 7.5
_LEFT_BEHIND_M = 11.0
_NEXT_CROSSING_M = 22.0
_PATH_M = 25.0
_ENOUGH_M = 14.0
_TURNED_DEG = 6.0
_BLIND_M = 40.0


class Phase(str, Enum):
    """What the driver is about."""

    WAITING = "waiting"
    DRIVING = "driving"
    CROSSING = "crossing"
    TURNING_ROUND = "turning round"
    ARRIVED = "arrived"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Decision:
    """A crossing as it was taken: a node of the topology that is built on the way.

    Attributes:
        crossing: where, and its ways.
        came, took: headings in odom on arrival and on leaving, radians.
    """

    crossing: Crossing
    came: float
    took: float


class Driver:
    """Follows one instruction. Call ``see`` with detections, ``update`` with scans, ``command`` as often as wished.

    Args:
        instruction: the written directions.
        classes: of the detector, in the order of its labels.
        config: how to drive.

    Raises:
        InstructionError: the directions cannot be followed with these classes.

    Attributes:
        phase: what it is about.
        reason: why it failed, or where it arrived; "" before.
        decisions: the crossings so far.
        path: (M, 2) metres in odom that it follows; (0, 2) while it stands.
        landmarks: what was detected along the way.
        street: the one it drives along, None before the first scan.
        driven_m: the way so far.
    """

    def __init__(self, instruction: str, classes: Sequence[str], config: DriverConfig | None = None) -> None:
        self.config = config or DriverConfig()
        clauses = read_clauses(instruction, classes)
        self.directions = Directions(clauses, self.config)
        self.landmarks = Landmarks(classes, self.config.least_score)
        self.phase, self.reason = Phase.WAITING, ""
        self.decisions: list[Decision] = []
        self.path = np.zeros((0, 2))
        self.street: Street | None = None
        self.driven_m = 0.0
        self._grid = LocalGrid(self.config.grid)
        self._command, self._way, self._decided_at = STAND, 0.0, np.zeros(2)
        self._begun_ns: int | None = None
        self._stamp_ns, self._free_ns = 0, 0
        self._position = np.zeros(2)
        self._marks = {"clause": (0, 0.0), "seen": (0, 0.0)}

    @property
    def is_over(self) -> bool:
        """Whether it has arrived or failed."""
        return self.phase in (Phase.ARRIVED, Phase.FAILED)

    def see(self, boxes: Boxes, T_odom_base: NDArray[np.float64]) -> None:
        """Take in one frame's detections.

        Args:
            boxes: in base_link.
            T_odom_base: (4, 4) its pose in odom at the frame's stamp.
        """
        self.landmarks.add(boxes, T_odom_base)

    def update(self, stamp_ns: int, T_odom_base: NDArray[np.float64], points: NDArray[np.floating]) -> Command:
        """Take in a scan, and decide.

        Args:
            stamp_ns: of the pose.
            T_odom_base: (4, 4) base_link in odom.
            points: (N, 3) in odom, the motion within the scan undone.

        Returns:
            what the vehicle is told until the next scan.
        """
        self._move(stamp_ns, T_odom_base)
        self._grid.insert(points[np.isfinite(points).all(axis=1)], T_odom_base[:3, 3])
        if self.is_over:
            return STAND
        yaw = float(np.arctan2(T_odom_base[1, 0], T_odom_base[0, 0]))
        if self.street is None or self._begun_ns is None:
            self.street, self._begun_ns = Street(self._position, yaw), stamp_ns
        ground = self._grid.ground()
        self._command = self._decided(ground, yaw)
        self._give_up_where_hopeless()
        return self._command if not self.is_over else STAND

    def command(self, now_ns: int) -> Command:
        """What holds now: the last decision, or standing still where no scan has come for too long."""
        silent = now_ns - self._stamp_ns > self.config.silence_s * 1e9
        return STAND if silent or self.is_over else self._command

    def _move(self, stamp_ns: int, T_odom_base: NDArray[np.float64]) -> None:
        if self._begun_ns is not None:
            self.driven_m += float(np.linalg.norm(T_odom_base[:2, 3] - self._position))
        self._position, self._stamp_ns = T_odom_base[:2, 3].copy(), stamp_ns

    def _decided(self, ground: Ground, yaw: float) -> Command:
        assert self.street is not None and self._begun_ns is not None
        if self.phase is Phase.WAITING:
            if self._stamp_ns - self._begun_ns < self.config.settle_s * 1e9:
                return STAND
            self._free_ns = self._stamp_ns
            around = self.directions.clause.verb is Verb.TURN_AROUND
            self._enter(Phase.TURNING_ROUND if around else Phase.DRIVING)
            if around:
                self.street = Street(self._position, wrapped(self.street.heading + np.pi))
        if self.phase is Phase.TURNING_ROUND:
            return self._turn_round(yaw)
        if self.phase is Phase.CROSSING:
            return self._go_over(ground, yaw)
        return self._go_along(ground, yaw)

    def _turn_round(self, yaw: float) -> Command:
        assert self.street is not None
        turn = wrapped(self.street.heading - yaw)
        if abs(turn) < np.radians(_TURNED_DEG):
            self.directions.turned_around()
            self._enter(Phase.DRIVING)
            return STAND
        return Command(0.0, float(np.clip(turn, -1.0, 1.0)) * 0.75 * self.config.follower.turn_rate)

    def _go_along(self, ground: Ground, yaw: float) -> Command:
        """Along the street, up to where a crossing has to be decided or the goal is abreast."""
        assert self.street is not None
        c = self.config
        self.street = fitted(self.street, ground, self._position, c.street)
        if self.street.seen:
            self._marks["seen"] = (0, self.driven_m)
        goal = self.directions.look(self.landmarks, self.street, self._position)
        if goal is not None and goal <= c.stop_within_m:
            return self._end(Phase.ARRIVED, f"stopped by the {self.directions.clause.landmark}")
        crossing = find_crossing(self.street, ground, self._search_from(), c.street)
        speed = c.follower.seeking_speed if self.directions.seeks else c.follower.speed
        if self.directions.doubts(self.landmarks, self.street, self._position):
            speed = min(speed, c.follower.doubting_speed)
        if goal is not None:
            speed = slowed(speed, goal, c.follower)
        if crossing is not None:
            ahead = float(self.street.station(crossing.middle)[0])
            if ahead <= _DECIDE_M:
                return self._take(crossing, ground, yaw)
            speed = min(speed, np.hypot(c.follower.crossing_speed, slowed(99.0, ahead - _DECIDE_M, c.follower)))
        return self._steer(street_path(self.street, self._position, _PATH_M), float(speed), ground, yaw)

    def _search_from(self) -> float:
        """Metres along the street from which on the next crossing may begin."""
        assert self.street is not None
        if not self.decisions:
            return -3.0
        last = float(self.street.station(self.decisions[-1].crossing.middle)[0])
        return max(-3.0, last + _NEXT_CROSSING_M)

    def _take(self, crossing: Crossing, ground: Ground, yaw: float) -> Command:
        """Decide at a crossing."""
        assert self.street is not None
        way = self.directions.cross(crossing, self.street.heading, self.config.street.straight_deg)
        if way is None:
            turns = ", ".join(f"{np.degrees(wrapped(w - self.street.heading)):+.0f}" for w in crossing.ways) or "none"
            asked = self.directions.clause.text
            return self._end(
                Phase.FAILED, f"no way on as {asked!r} asks at crossing {len(self.decisions) + 1}: {turns}"
            )
        self.decisions.append(Decision(crossing, self.street.heading, way))
        self._way, self._decided_at = way, self._position
        self._enter(Phase.CROSSING)
        return self._go_over(ground, yaw)

    def _go_over(self, ground: Ground, yaw: float) -> Command:
        assert self.street is not None
        middle, way = self.decisions[-1].crossing.middle, self._way
        out = np.array([np.cos(way), np.sin(way)])
        if float((self._position - middle) @ out) > _LEFT_BEHIND_M:
            self.street = Street(middle, way, self.street.half_width)
            self._enter(Phase.DRIVING)
            return self._go_along(ground, yaw)
        path = crossing_path(self.street, self._decided_at, middle, way, _LEFT_BEHIND_M + _PATH_M)
        return self._steer(path, self.config.follower.crossing_speed, ground, yaw)

    def _steer(self, path: NDArray[np.float64], speed: float, ground: Ground, yaw: float) -> Command:
        """Follow a path or one beside it, as fast as what stands there allows."""
        f = self.config.follower
        offsets = (-f.lane_m, 0.0, 0.7, -1.3, 1.4)
        self.path, way = freest(ahead_of(path, self._position), offsets, ground, f.half_width_m, _ENOUGH_M)
        way -= f.nose_m + f.margin_m
        speed = slowed(speed, way, f)
        if way > 0.0:
            self._free_ns = self._stamp_ns
        return pursue(self.path, self._position, yaw, speed, f) if speed > 0.0 else STAND

    def _give_up_where_hopeless(self) -> None:
        assert self._begun_ns is not None
        c, clause = self.config, self.directions.number
        if self._marks["clause"][0] != clause:
            self._marks["clause"] = (clause, self.driven_m)
        spent_s, waited_s = ((self._stamp_ns - since) * 1e-9 for since in (self._begun_ns, self._free_ns))
        led_m, blind_m = (self.driven_m - self._marks[mark][1] for mark in ("clause", "seen"))
        if spent_s > c.longest_s:
            self._end(Phase.FAILED, f"not there after {spent_s:.0f} s")
        elif led_m > c.farthest_m:
            self._end(Phase.FAILED, f"{led_m:.0f} m without the end of {self.directions.clause.text!r}")
        elif blind_m > _BLIND_M:
            self._end(Phase.FAILED, f"no kerbs in view for {blind_m:.0f} m: this is no street")
        elif self.phase in (Phase.DRIVING, Phase.CROSSING) and waited_s > c.blocked_s:
            self._end(Phase.FAILED, f"something has stood in the way for {waited_s:.0f} s")

    def _end(self, phase: Phase, reason: str) -> Command:
        self.reason, self.path = reason, np.zeros((0, 2))
        self._enter(phase)
        return STAND

    def _enter(self, phase: Phase) -> None:
        log.info("%s -> %s after %.0f m; %s", self.phase.value, phase.value, self.driven_m, self.reason)
        self.phase = phase
