# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Replays actions in habitat-lab and prints its own measures, to check ours against.

    hab-python lab_replay.py EPISODES.json.gz SCENES PREDICTIONS.jsonl

Run as a script by an interpreter that has habitat-lab 0.3.3 (``python -m sim_envs.habitat.setup DEST --with-lab``) and
nothing of ours; one JSON object an episode comes out. habitat-lab 0.3.3 is written for habitat-sim 0.3: what it asks of
0.2.2 in vain is made up for here.
"""

from __future__ import annotations

import json
import os
import sys
import types
from typing import Any

import setuptools  # noqa: F401 (brings distutils back, which gym imports)

_NAMES = {"forward": "move_forward", "left": "turn_left", "right": "turn_right", "stop": "stop"}
_MOST_STEPS = 10_000
_SUCCESS_M = 3.0


class _Namesake(types.ModuleType):
    """A module any name of which is an empty class: habitat-lab names them in annotations alone."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.__dict__.setdefault(name, type(name, (), {}))


def _with(base: Any, **attributes: Any) -> Any:
    """A subclass that also takes attributes of later releases."""
    return type(base.__name__, (base,), attributes)


def _load_beside(simulator: Any, config: Any) -> None:
    """The navmesh beside the scene, as our worker does, instead of one made anew for another walker."""
    beside = os.path.splitext(config.sim_cfg.scene_id)[0].removesuffix(".stage_config") + ".navmesh"
    if not simulator.pathfinder.is_loaded and not simulator.pathfinder.load_nav_mesh(beside):
        raise FileNotFoundError(beside)
    simulator.pathfinder.seed(config.sim_cfg.random_seed)


def _make_up_for_0_2() -> None:
    import habitat_sim
    import magnum

    for name in ("trade", "meshtools", "scenetools", "primitives", "gl", "shaders"):
        if not hasattr(magnum, name):
            sys.modules[f"magnum.{name}"] = module = _Namesake(f"magnum.{name}")
            setattr(magnum, name, module)
    sys.modules.setdefault("corrade", types.ModuleType("corrade"))
    for name in ("ReplayRenderer", "ReplayRendererConfiguration"):
        if not hasattr(habitat_sim, name):
            setattr(habitat_sim, name, type(name, (), {}))
    sim: Any = habitat_sim
    sim.SimulatorConfiguration = _with(sim.SimulatorConfiguration, navmesh_settings=None)
    sim.NavMeshSettings = sim.nav.NavMeshSettings = _with(sim.nav.NavMeshSettings, include_static_objects=False)
    sim.Configuration = sim.simulator.Configuration = _with(sim.Configuration, enable_batch_renderer=False)
    sim.Simulator._config_pathfinder = _load_beside


def _skip_unknown_settings() -> None:
    """Settings that 0.2.2 does not have are left out."""
    from habitat.sims.habitat_simulator import habitat_simulator as lab

    original: Any = lab.overwrite_config

    def overwrite(config_from: Any, config_to: Any, ignore_keys: Any = None, **more: Any) -> Any:
        unknown = {key for key in config_from if not hasattr(config_to, key.lower())}
        return original(config_from=config_from, config_to=config_to, ignore_keys={*(ignore_keys or ()), *unknown},
                        **more)  # fmt: skip

    lab.overwrite_config = overwrite


def _environment(episodes: str, scenes: str) -> Any:
    import habitat
    from habitat.config.default import get_config

    _skip_unknown_settings()
    first = next(name for name in sorted(os.listdir(scenes)) if name.endswith(".stage_config.json"))
    sensors = "habitat.simulator.agents.main_agent.sim_sensors"
    config = get_config("benchmark/nav/vln_r2r.yaml", overrides=[
        "habitat.dataset.split=val", f"habitat.dataset.scenes_dir={scenes}/",
        f'habitat.dataset.data_path="{episodes}"', f"habitat.simulator.scene={scenes}/{first}",
        "habitat.simulator.habitat_sim_v0.gpu_device_id=-1", f"habitat.environment.max_episode_steps={_MOST_STEPS}",
        "habitat.environment.iterator_options.shuffle=False",
        f"habitat.task.measurements.success.success_distance={_SUCCESS_M}",
        *(f"{sensors}.{kind}_sensor.{side}=16" for kind in ("rgb", "depth") for side in ("width", "height")),
    ])  # fmt: skip
    return habitat.Env(config=config)


def main() -> None:
    episodes, scenes, predictions = (os.path.abspath(path) for path in sys.argv[1:4])
    with open(predictions, encoding="utf-8") as file:
        actions = {row["id"]: row["actions"] for row in map(json.loads, file)}
    _make_up_for_0_2()
    environment = _environment(episodes, scenes)
    for _ in range(len(environment.episodes)):
        environment.reset()
        name = environment.current_episode.episode_id
        if name not in actions:
            continue
        for action in actions[name]:
            environment.step(_NAMES[action])
        measured = environment.get_metrics()
        row = {key: float(measured[key]) for key in ("success", "spl", "distance_to_goal")}
        sys.stdout.write(json.dumps({"id": name, **row}) + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
