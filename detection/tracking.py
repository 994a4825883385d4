# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The same number for the same thing, frame after frame: constant-velocity tracking by centres on the ground.

In the manner of AB3DMOT (Weng et al., IROS 2020) and CenterPoint (Yin et al., CVPR 2021): predict, assign, correct. A
Kalman filter for each thing keeps place and velocity; x and y are filtered alike, so that one 2 x 2 covariance serves
both. Things that never move have the velocity 0, and are remembered for long, so that they are written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from detection.boxes import first_of_each, moved, wrap_angle
from detection.config import CITY_CLASSES
from detection.errors import DetectionConfigError, DetectionError
from detection.evaluation.rules import STATIC_CLASSES
from detection.sample import UNKNOWN, Boxes, joined_boxes, make_boxes

_SHAPE_MEMORY = 10  # detections that height and size, and a static thing's yaw, are averaged over
_MOVING_YAW_GAIN = 0.5


@dataclass(frozen=True, slots=True)
class TrackConfig:
    """How detections become tracks.

    Attributes:
        classes: names, in the order of the labels.
        static_classes: they never move.
        alike: classes that a detector takes for one another; a track may change among them, and bears the name that
            most of its detections, weighed by score, gave it.
        begin_score: only detections so sure begin a track,
        continue_score: surer than this they continue one.
        gate_m: a detection is at most so far from where a track is expected, beyond the doubt about that place.
        class_gate_m: the same for single classes.
        apart: detections nearer than this share of the gate to a surer one of the same kind, or, of what stands still,
            with their centre within its extent, are the same thing; so are tracks of what stands still.
        top_speed: of what is not static, m/s: how far off 0 the velocity of a new track may be.
        class_top_speed: the same for single classes.
        acceleration: how the velocity of things changes, m/s^2 (one deviation).
        static_drift: how static things wander with the odometry, m/sqrt(s).
        position_std: deviation of a detected centre, metres.
        velocity_std: deviation of a detected velocity, m/s; of a single sweep it says little.
        birth_hits: detections after which a track is told.
        tentative_s: a track that is not told yet dies after so long without a detection,
        death_s: one that is, after so long,
        static_death_s: and one of a static thing after so long.
    """

    classes: tuple[str, ...] = CITY_CLASSES
    static_classes: tuple[str, ...] = STATIC_CLASSES
    alike: tuple[tuple[str, ...], ...] = (("car", "van", "truck", "bus"), ("bicycle", "motorcycle"))
    begin_score: float = 0.3
    continue_score: float = 0.1
    gate_m: float = 1.5
    class_gate_m: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("car", "van", "truck", "bus"), 2.5))
    apart: float = 0.3
    top_speed: float = 12.0
    class_top_speed: dict[str, float] = field(default_factory=lambda: {"pedestrian": 2.0, "bicycle": 6.0})
    acceleration: float = 2.0
    static_drift: float = 0.02
    position_std: float = 0.4
    velocity_std: float = 3.0
    birth_hits: int = 3
    tentative_s: float = 0.75
    death_s: float = 2.0
    static_death_s: float = 120.0

    def __post_init__(self) -> None:
        if self.birth_hits < 1 or self.continue_score > self.begin_score:
            raise DetectionConfigError(
                f"tracks told after {self.birth_hits} detections, begun at score {self.begin_score} and continued at "
                f"{self.continue_score}: expected at least 1, and to continue at no more than to begin"
            )

    def kinds(self) -> NDArray[np.int64]:
        """(K,) for each class, the number that it shares with those it is taken for."""
        group = {name: names[0] for names in self.alike for name in names}
        heads = [group.get(name, name) for name in self.classes]
        return np.array([heads.index(head) for head in heads], np.int64)


@dataclass(slots=True, eq=False)
class _Track:
    """One thing, in the fixed frame.

    Attributes:
        votes: (K,) summed scores of the detections as each class.
        mean: (2, 2) place, then velocity, along x and y.
        spread: (2, 2) covariance of place and velocity, of either axis.
        rest: height of the centre, then length, width and height.
        box: number of the detection that was it in this frame; -1 for none.
    """

    votes: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    rest: NDArray[np.float64]
    yaw: float
    static: bool
    seen_ns: int
    hits: int = 1
    identity: int = UNKNOWN
    box: int = -1

    @property
    def label(self) -> int:
        return int(self.votes.argmax())

    def predict(self, dt: float, config: TrackConfig) -> None:
        """To ``dt`` seconds later, by constant velocity with white acceleration."""
        if self.static:
            self.spread[0, 0] += config.static_drift**2 * dt
            return
        F, g = np.array([[1.0, dt], [0.0, 1.0]]), np.array([0.5 * dt * dt, dt])
        self.mean = F @ self.mean
        self.spread = F @ self.spread @ F.T + config.acceleration**2 * np.outer(g, g)

    def correct(self, boxes: Boxes, number: int, stamp_ns: int, config: TrackConfig) -> None:
        """By the detection ``number`` of ``boxes``, which stand in the fixed frame."""
        seen = _measured(boxes, number)
        deviations = np.array([config.position_std, config.velocity_std])
        # A velocity that nobody measured, or that is known to be 0, tells nothing.
        told = 1 if self.static or not np.isfinite(seen[1]).all() else 2
        H = np.eye(2)[:told]
        K = self.spread @ H.T @ np.linalg.inv(H @ self.spread @ H.T + np.diag(deviations[:told] ** 2))
        self.mean = self.mean + K @ (seen[:told] - H @ self.mean)
        self.spread = (np.eye(2) - K @ H) @ self.spread
        self.hits, self.seen_ns, self.box = self.hits + 1, stamp_ns, number
        self.votes[boxes.label[number]] += boxes.score[number]
        gain = 1.0 / min(self.hits, _SHAPE_MEMORY)
        self.rest += gain * (_rest(boxes, number) - self.rest)
        turn = float(wrap_angle(float(boxes.yaw[number]) - self.yaw))
        self.yaw += (gain if self.static else _MOVING_YAW_GAIN) * turn

    def dead(self, stamp_ns: int, config: TrackConfig) -> bool:
        alone_s = 1e-9 * (stamp_ns - self.seen_ns)
        if self.identity == UNKNOWN:
            return alone_s > config.tentative_s
        return alone_s > (config.static_death_s if self.static else config.death_s)


class Tracker:
    """Gives detections identities: call `update` once a frame, in the order of time."""

    def __init__(self, config: TrackConfig | None = None) -> None:
        self.config = config or TrackConfig()
        self._kinds = self.config.kinds()
        self._tracks: list[_Track] = []
        self._told = 0
        self._stamp_ns: int | None = None
        self._origin = np.zeros(3)

    def update(self, stamp_ns: int, boxes: Boxes, T_world_base: NDArray[np.float64]) -> Boxes:
        """The things seen in this frame that are sure to be there.

        Args:
            stamp_ns: of the frame.
            boxes: detections in base_link.
            T_world_base: (4, 4) float64 pose of the vehicle in a frame that does not move.

        Returns:
            boxes in base_link with identities from 0 up, filtered places and velocities; score, points and pixels are
            those of the detection.

        Raises:
            DetectionError: a stamp that is not later than the last one.
        """
        self._predict(stamp_ns, T_world_base)
        T_fixed_base = T_world_base.copy()
        T_fixed_base[:3, 3] -= self._origin
        seen = moved(self._distinct(boxes.pick(boxes.score >= self.config.continue_score)), T_fixed_base)
        free = np.ones(len(seen), bool)
        for told in (True, False):
            tracks = [one for one in self._tracks if (one.identity != UNKNOWN) == told]
            self._assign(tracks, seen, free, stamp_ns)
        self._unite(seen, stamp_ns)
        self._begin(seen, free, stamp_ns)
        self._tracks = [one for one in self._tracks if not one.dead(stamp_ns, self.config)]
        return moved(self._present(seen), np.linalg.inv(T_fixed_base))

    def _predict(self, stamp_ns: int, T_world_base: NDArray[np.float64]) -> None:
        if self._stamp_ns is None:
            # Boxes are float32: near the start of the drive they lose nothing, in a map's grid they would.
            self._stamp_ns, self._origin = stamp_ns, T_world_base[:3, 3].copy()
        elif stamp_ns <= self._stamp_ns:
            raise DetectionError(
                f"a frame at {stamp_ns} ns after one at {self._stamp_ns} ns: frames must come in the order of time"
            )
        for track in self._tracks:
            track.predict(1e-9 * (stamp_ns - self._stamp_ns), self.config)
            track.box = -1
        self._stamp_ns = stamp_ns

    def _distinct(self, boxes: Boxes) -> Boxes:
        """Without those that a surer one of the same kind nearly covers."""
        boxes = boxes.pick(np.argsort(-boxes.score, kind="stable"))
        return boxes.pick(first_of_each(self._same(boxes.label, boxes.centre[:, :2], boxes.yaw, boxes.size[:, :2])))

    def _same(
        self,
        label: NDArray[np.int64],
        place: NDArray[np.floating],
        yaw: NDArray[np.floating],
        size: NDArray[np.floating],
    ) -> NDArray[np.bool_]:
        """(N, N) whether each nearly covers each, where both are of one kind: ``apart`` in `TrackConfig`."""
        kind = self._kinds[label]
        reach = self.config.apart * self._of_class(self.config.class_gate_m, self.config.gate_m)[label]
        half = np.maximum(reach[:, None], self._half_extent(label, size))
        return (_gates(place, yaw, half, place).T < 1.0) & (kind[:, None] == kind[None])

    def _unite(self, seen: Boxes, stamp_ns: int) -> None:
        """Tracks of what stands still that have come to lie on one another go on as the one that was told first."""
        still = [one for one in self._tracks if one.static]
        if len(still) < 2:
            return
        still.sort(key=lambda one: (one.identity == UNKNOWN, one.identity))
        rest = np.array([one.rest for one in still])
        label, yaw = np.array([one.label for one in still]), np.array([one.yaw for one in still])
        same = self._same(label, np.array([one.mean[0] for one in still]), yaw, rest[:, 1:3])
        stays = first_of_each(same)
        for number in np.flatnonzero(~stays):
            heir, gone = still[int((same[number, :number] & stays[:number]).argmax())], still[number]
            if heir.box < 0 <= gone.box:
                heir.correct(seen, gone.box, stamp_ns, self.config)
            self._tracks.remove(gone)

    def _assign(self, tracks: Sequence[_Track], seen: Boxes, free: NDArray[np.bool_], stamp_ns: int) -> None:
        """The assignment of least total distance, in gates; to stay alone costs one gate."""
        columns = np.flatnonzero(free)
        if not tracks or not len(columns):
            return
        labels = np.array([one.label for one in tracks])
        doubt = np.sqrt([one.spread[0, 0] for one in tracks])
        gate = self._of_class(self.config.class_gate_m, self.config.gate_m)[labels] + doubt
        place = np.array([one.mean[0] for one in tracks])
        half = gate[:, None] + self._half_extent(labels, np.array([one.rest[1:3] for one in tracks]))
        yaw = np.array([one.yaw for one in tracks])
        cost = np.minimum(_gates(place, yaw, half, seen.centre[columns, :2]), 1.0)
        cost[self._kinds[labels][:, None] != self._kinds[seen.label[columns]][None]] = 1.0
        for row, column in zip(*linear_sum_assignment(cost), strict=True):
            if cost[row, column] < 1.0:
                tracks[row].correct(seen, int(columns[column]), stamp_ns, self.config)
                free[columns[column]] = False

    def _begin(self, seen: Boxes, free: NDArray[np.bool_], stamp_ns: int) -> None:
        speeds = self._of_class(self.config.class_top_speed, self.config.top_speed)
        for number in np.flatnonzero(free & (seen.score >= self.config.begin_score)):
            label = int(seen.label[number])
            static = self.config.classes[label] in self.config.static_classes
            votes, mean = np.zeros(len(self.config.classes)), _measured(seen, int(number))
            votes[label] = seen.score[number]
            known = bool(np.isfinite(mean[1]).all())
            speed_std = 0.0 if static else self.config.velocity_std if known else speeds[label]
            mean[1] = mean[1] if known and not static else 0.0
            spread = np.diag([self.config.position_std**2, speed_std**2])
            track = _Track(votes, mean, spread, _rest(seen, int(number)), float(seen.yaw[number]), static, stamp_ns)
            track.box = int(number)
            self._tracks.append(track)

    def _present(self, seen: Boxes) -> Boxes:
        """Tracks with a detection in this frame and enough before, in the order of their identities."""
        here = [one for one in self._tracks if one.box >= 0 and one.hits >= self.config.birth_hits]
        for one in here:
            if one.identity == UNKNOWN:
                one.identity, self._told = self._told, self._told + 1
        here.sort(key=lambda one: one.identity)
        return joined_boxes([_box(one, seen) for one in here])

    def _half_extent(self, labels: NDArray[np.int64], size: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 2) half the length and width of what stands still, 0 of what moves.

        A sign along a wall is seen in parts, and the centre of a part is anywhere on it.
        """
        static = np.array([name in self.config.static_classes for name in self.config.classes])
        return np.where(static[labels][:, None], 0.5 * size, 0.0)

    def _of_class(self, special: dict[str, float], usual: float) -> NDArray[np.float64]:
        return np.array([special.get(name, usual) for name in self.config.classes])


def _gates(
    place: NDArray[np.floating], yaw: NDArray[np.floating], reach: NDArray[np.floating], other: NDArray[np.floating]
) -> NDArray[np.float64]:
    """(N, M) distances of (M, 2) places from N boxes at (N, 2), as shares of (N, 2) metres along and across a box."""
    away = other[None].astype(np.float64) - place[:, None]
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    along, across = c * away[..., 0] + s * away[..., 1], c * away[..., 1] - s * away[..., 0]
    return np.hypot(along / reach[:, :1], across / reach[:, 1:])


def _measured(boxes: Boxes, number: int) -> NDArray[np.float64]:
    """(2, 2) place and velocity."""
    return np.stack([boxes.centre[number, :2], boxes.velocity[number]]).astype(np.float64)


def _rest(boxes: Boxes, number: int) -> NDArray[np.float64]:
    """(4,) height of the centre, and size."""
    return np.append(boxes.centre[number, 2], boxes.size[number]).astype(np.float64)


def _box(track: _Track, seen: Boxes) -> Boxes:
    """One box in the fixed frame."""
    made = make_boxes([*track.mean[0], track.rest[0]], track.rest[1:], [track.yaw], [track.label])
    detection = seen.pick([track.box])
    return replace(
        made,
        velocity=track.mean[1:].astype(np.float32),
        score=detection.score,
        identity=np.array([track.identity]),
        points=detection.points,
        pixels=detection.pixels,
    )
