# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters that nodes refuse, and a word of the reason that each gives."""

from __future__ import annotations

from typing import Any

_REFUSED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "odometry": [
        ({"map_period_s": 0.0}, "map_period_s"),
        ({"silence_s": "soon"}, "silence_s"),
        ({"config": "/nowhere/config.yaml"}, "/nowhere/config.yaml"),
        ({"save_on_exit": True}, "map_folder is not"),
        ({"livox": True}, "livox_ros_driver2"),
    ],
    "bag_player": [
        ({}, "parameter bag is not set"),
        ({"bag": "/nowhere/town"}, "/nowhere/town"),
        ({"bag": "x", "rate": -1.0}, "rate"),
    ],
    "detection": [
        ({"checkpoint": "/nowhere/detector.safetensors"}, "/nowhere/detector.safetensors"),
        ({"checkpoint": __file__}, "cannot read a detector"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"precision": "int3"}, "precision is 'int3'"),
        ({"score": 2.0}, "score"),
        ({"config": "/nowhere/config.yaml"}, "/nowhere/config.yaml"),
    ],
    "memory": [
        ({"every_m": -1.0}, "every_m"),
        ({"encoder": "oracle"}, "encoder is 'oracle'"),
        ({"folder": "/proc/nowhere"}, "/proc/nowhere"),
        ({"top": "many"}, "top"),
    ],
    "navigator": [
        ({"silence_s": 2.0}, "silence_s"),
        ({"speed": "fast"}, "speed"),
    ],
    "simulator": [
        ({"task": -1}, "task"),
        ({"lidar_columns": 7}, "lidar_columns"),
    ],
}


def refused(*nodes: str) -> list[tuple[str, dict[str, Any], str]]:
    """Node, parameters and reason, of these nodes; of all where none is named."""
    return [(node, parameters, reason) for node in nodes or _REFUSED for parameters, reason in _REFUSED[node]]
