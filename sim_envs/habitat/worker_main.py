# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Habitat's own process: requests as JSON lines on standard input, answers on a pipe, pictures in shared memory.

Run as a script by an interpreter that has habitat_sim, numpy and nothing of ours. Positions and quaternions (xyzw) are
Habitat's here; the other end converts. What differs between habitat-sim 0.2.2 and 0.3 is settled in this file.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import threading
import time
from typing import Any

import habitat_sim
import numpy as np

_TYPES = {
    "rgb": habitat_sim.SensorType.COLOR,
    "depth": habitat_sim.SensorType.DEPTH,
    "semantic": habitat_sim.SensorType.SEMANTIC,
}
_ACTIONS = {"forward": "move_forward", "left": "turn_left", "right": "turn_right"}


def _sensor_spec(sensor):
    spec = habitat_sim.EquirectangularSensorSpec() if sensor["panorama"] else habitat_sim.CameraSensorSpec()
    spec.uuid, spec.sensor_type = sensor["name"], _TYPES[sensor["kind"]]
    spec.resolution = [sensor["height_px"], sensor["width_px"]]
    spec.position = [0.0, sensor["eye_m"], 0.0]
    spec.orientation = [0.0, float(np.radians(sensor["yaw_deg"])), 0.0]
    spec.far = sensor["far_m"]
    if not sensor["panorama"]:
        spec.hfov = sensor["hfov_deg"]
    return spec


def _actions(body):
    def act(name, amount):
        return habitat_sim.ActionSpec(name, habitat_sim.ActuationSpec(amount))

    turns = {name: act(name, body["turn_deg"]) for name in ("turn_left", "turn_right")}
    return {"move_forward": act("move_forward", body["forward_m"]), **turns}


def _navmesh_settings(body, cell_m):
    settings = habitat_sim.NavMeshSettings()
    settings.set_defaults()
    settings.agent_height, settings.agent_radius = body["height_m"], body["radius_m"]
    settings.agent_max_climb, settings.agent_max_slope = body["climb_m"], body["slope_deg"]
    settings.cell_size, settings.cell_height = cell_m, min(cell_m, 0.1)
    return settings


class _Simulator(habitat_sim.Simulator):
    """Makes no navmesh by itself: the default one takes long, and has cells too small for large scenes."""

    def _config_pathfinder(self, config):
        beside = os.path.splitext(config.sim_cfg.scene_id)[0].removesuffix(".stage_config") + ".navmesh"
        if not self.pathfinder.is_loaded and os.path.exists(beside):
            self.pathfinder.load_nav_mesh(beside)
        self.pathfinder.seed(config.sim_cfg.random_seed)


class Worker:
    """Answers one request after the other; each public method is one."""

    def __init__(self, shared):
        self.shared, self.sensors = shared, []
        self.sim: Any = None

    def open(self, scene, dataset, navmesh, cell_m, sensors, body):
        if self.sim is not None:
            self.sim.close()
        backend = habitat_sim.SimulatorConfiguration()
        backend.scene_id, backend.gpu_device_id = scene, int(os.environ.get("MEM4NAV_HABITAT_GPU", "-1"))
        backend.enable_physics, backend.create_renderer = False, True
        if dataset:
            backend.scene_dataset_config_file = dataset
        agent = habitat_sim.agent.AgentConfiguration(height=body["height_m"], radius=body["radius_m"])
        agent.sensor_specifications = [_sensor_spec(sensor) for sensor in sensors]
        agent.action_space = _actions(body)
        self.sim = _Simulator(habitat_sim.Configuration(backend, [agent]))
        self.sensors = sensors
        self._load_navmesh(navmesh, cell_m, body)
        return {"version": habitat_sim.__version__, "area_m2": float(self.sim.pathfinder.navigable_area)}

    def _load_navmesh(self, path, cell_m, body):
        finder = self.sim.pathfinder
        if path and os.path.exists(path):
            if not finder.load_nav_mesh(path):
                raise ValueError(f"{path} is no navmesh that this habitat-sim reads")
            return
        if path or not finder.is_loaded:
            if not self.sim.recompute_navmesh(finder, _navmesh_settings(body, cell_m)) or not finder.is_loaded:
                raise ValueError(f"no navmesh could be made with cells of {cell_m} m: larger ones may do")
            if path:
                aside = f"{path}.{os.getpid()}"
                finder.save_nav_mesh(aside)
                os.replace(aside, path)

    def seed(self, seed):
        self.sim.seed(seed)
        self.sim.pathfinder.seed(seed)
        return {}

    def place(self, position, rotation):
        state = habitat_sim.AgentState()
        state.position = np.array(position, np.float32)
        state.rotation = np.quaternion(rotation[3], *rotation[:3])
        self.sim.get_agent(0).set_state(state, reset_sensors=True)
        return self._pose()

    def observe(self, names):
        """Look with these sensors alone: what each draws takes its time."""
        began = time.perf_counter()
        wanted = {name: self.sim._sensors[name] for name in names}
        for sensor in wanted.values():
            sensor.draw_observation()
        return self._answer({name: sensor.get_observation() for name, sensor in wanted.items()}, False, began)

    def step(self, action):
        began = time.perf_counter()
        seen = self.sim.step(_ACTIONS[action])
        return self._answer(seen, bool(seen.get("collided", False)), began)

    def act(self, action):
        """A step without looking."""
        collided = bool(self.sim.get_agent(0).act(_ACTIONS[action]))
        return {**self._pose(), "collided": collided}

    def _answer(self, seen, collided, began):
        simulated = time.perf_counter() - began
        for sensor in self.sensors:
            if sensor["name"] not in seen:
                continue
            picture = np.ascontiguousarray(seen[sensor["name"]])
            first = sensor["offset"]
            self.shared[first : first + picture.nbytes] = picture.data.cast("B")
        return {**self._pose(), "collided": collided, "simulated_s": simulated}

    def _pose(self):
        state = self.sim.get_agent(0).get_state()
        q = state.rotation
        return {"position": [float(x) for x in state.position], "rotation": [q.x, q.y, q.z, q.w]}

    def pose(self):
        return self._pose()

    def path(self, start, goals):
        """Shortest way to the nearest of the goals; its length is null where none can be reached."""
        path = habitat_sim.MultiGoalShortestPath()
        path.requested_start, path.requested_ends = start, goals
        found = self.sim.pathfinder.find_path(path) and np.isfinite(path.geodesic_distance)
        points = [[float(x) for x in point] for point in path.points] if found else []
        return {"length_m": float(path.geodesic_distance) if found else None, "points": points}

    def distances(self, points, goals):
        """From each point to the nearest of the goals; null where no way leads there."""
        lengths = [self.path(point, goals)["length_m"] for point in points]
        return {"length_m": lengths}

    def snap(self, point):
        """The nearest walkable point; null where there is none near."""
        at = np.asarray(self.sim.pathfinder.snap_point(np.array(point, np.float32)), float)
        island = self.sim.pathfinder.island_radius(at) if np.isfinite(at).all() else 0.0
        return {"point": at.tolist() if np.isfinite(at).all() else None, "island_m": float(island)}

    def random_point(self):
        return {"point": [float(x) for x in self.sim.pathfinder.get_random_navigable_point()]}

    def topdown(self, metres_per_pixel, height):
        """Walkable cells as rows of hexadecimal bits, and the corner of the first."""
        view = np.asarray(self.sim.pathfinder.get_topdown_view(metres_per_pixel, height), bool)
        low, _ = self.sim.pathfinder.get_bounds()
        rows = [np.packbits(row).tobytes().hex() for row in view]
        return {"rows": rows, "width": view.shape[1], "corner": [float(x) for x in low]}


def _watch(parent):
    """End with the process that started this one, whatever this one is doing."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main():
    answers_fd, shared_fd, shared_bytes, parent = (int(argument) for argument in sys.argv[1:5])
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    answers = os.fdopen(answers_fd, "w", buffering=1)
    worker = Worker(memoryview(mmap.mmap(shared_fd, shared_bytes)))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request["do"])(**request["with"])
        except Exception as error:  # the other end decides what to make of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
    os._exit(0)


if __name__ == "__main__":
    main()
