# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A chessboard of streets as a LiDAR would map it, and a vehicle that does at once what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detection.sample import Boxes, make_boxes
from mem4nav.driving.driver import Driver

BLOCK_M, HALF_WIDTH_M, KERB_M = 80.0, 5.5, 0.14
CLASSES = ("hydrant", "bench", "traffic light")
STEP_S = 0.1


def on_street(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Streets run along every multiple of 80 m, both ways."""
    near = [np.abs((v + 0.5 * BLOCK_M) % BLOCK_M - 0.5 * BLOCK_M) < HALF_WIDTH_M for v in (x, y)]
    return near[0] | near[1]


def look_round(position: NDArray[np.float64], things: list[tuple[float, float]], reach: float = 22.0):
    """(N, 3) points of the ground round a position (2,), and of posts at ``things``."""
    axis = np.arange(-reach, reach, 0.25)
    x, y = (grid.ravel() for grid in np.meshgrid(axis, axis))
    near = np.hypot(x, y) < reach
    x, y = x[near] + position[0], y[near] + position[1]
    ground = np.column_stack([x, y, np.where(on_street(x, y), 0.0, KERB_M)])
    posts = [np.column_stack([*np.tile([[px], [py]], 20), np.linspace(0.0, 1.6, 20)]) for px, py in things]
    return np.concatenate([ground, *posts])


@dataclass
class Ride:
    """A driver at work on the chessboard.

    Attributes:
        driver: that is driven by.
        pose: (3,) x, y, yaw of base_link.
        marks: (class, x, y) of what its detector sees within 20 m.
        posts: what stands in the way.
    """

    driver: Driver
    pose: NDArray[np.float64]
    marks: list[tuple[str, float, float]] = field(default_factory=list)
    posts: list[tuple[float, float]] = field(default_factory=list)
    now_ns: int = 0
    trace: list[NDArray[np.float64]] = field(default_factory=list)

    def transform(self) -> NDArray[np.float64]:
        x, y, yaw = self.pose
        T = np.eye(4)
        T[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
        T[:2, 3] = x, y
        return T

    def boxes(self) -> Boxes:
        """The marks in view, in base_link."""
        inverse = np.linalg.inv(self.transform())
        seen = [(CLASSES.index(kind), *(inverse @ [x, y, 0.4, 1.0])[:3]) for kind, x, y in self.marks]
        seen = [one for one in seen if np.hypot(one[1], one[2]) < 20.0]
        centre = np.array([one[1:] for one in seen]).reshape(-1, 3)
        return make_boxes(centre, np.ones_like(centre), np.zeros(len(seen)), [one[0] for one in seen])

    def until_over(self, most_s: float = 200.0) -> Driver:
        while not self.driver.is_over and self.now_ns * 1e-9 < most_s:
            self.step()
        return self.driver

    def step(self) -> None:
        self.now_ns += round(STEP_S * 1e9)
        T = self.transform()
        self.driver.see(self.boxes(), T)
        command = self.driver.update(self.now_ns, T, look_round(self.pose[:2], self.posts))
        yaw = self.pose[2] + 0.5 * STEP_S * command.turn_rate
        ahead = STEP_S * command.speed * np.array([np.cos(yaw), np.sin(yaw)])
        self.pose = np.add(self.pose, [*ahead, STEP_S * command.turn_rate])
        self.trace.append(self.pose.copy())
