# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes as JSON, in the layout of a nuScenes submission.

What differs: boxes are in base_link (``meta.frame`` says so) and their class names are any; an unknown velocity is
null, since JSON knows no NaN; identity and visible pixels stand in ``tracking_id`` and ``num_pixels``, which nuScenes'
own readers pass over. Everything else (width before length, quaternions wxyz) is as there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detection.errors import DetectionError
from detection.sample import UNKNOWN, Boxes, make_boxes

FRAME = "base_link"


def to_json(
    frames: Mapping[str, Boxes], classes: Sequence[str], *, lidar: bool = True, camera: bool = True
) -> dict[str, Any]:
    """A document for `json.dumps` of the boxes of each sample, by the sample's name.

    Args:
        frames: boxes in base_link, labels into ``classes``.
        lidar, camera: what they were found with.
    """
    meta = {"use_lidar": lidar, "use_camera": camera, "use_radar": False, "use_map": False, "use_external": False}
    results = {
        name: [_entry(name, boxes, number, classes) for number in range(len(boxes))] for name, boxes in frames.items()
    }
    return {"meta": {**meta, "frame": FRAME, "classes": list(classes)}, "results": results}


def from_json(document: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Boxes]:
    """What `to_json` wrote, or any nuScenes submission whose boxes are in base_link: boxes by the sample's name.

    Raises:
        DetectionError: a field that is missing, a class that is none of ``classes``, or boxes of another frame.
    """
    frame = document.get("meta", {}).get("frame", FRAME)
    if frame != FRAME:
        raise DetectionError(f"boxes stand in the frame {frame!r}: expected {FRAME}, move them there first")
    if "results" not in document:
        raise DetectionError(f"no boxes: the file has no 'results' but {sorted(document)}; is it a submission at all?")
    return {name: _boxes(name, entries, classes) for name, entries in document["results"].items()}


def _entry(name: str, boxes: Boxes, number: int, classes: Sequence[str]) -> dict[str, Any]:
    half = 0.5 * float(boxes.yaw[number])
    length, width, height = boxes.size[number].tolist()
    return {
        "sample_token": name,
        "translation": boxes.centre[number].tolist(),
        "size": [width, length, height],
        "rotation": [float(np.cos(half)), 0.0, 0.0, float(np.sin(half))],
        "velocity": [value if np.isfinite(value) else None for value in boxes.velocity[number].tolist()],
        "detection_name": classes[boxes.label[number]],
        "detection_score": float(boxes.score[number]),
        "attribute_name": "",
        "num_pts": int(boxes.points[number]),
        "num_pixels": int(boxes.pixels[number]),
        "tracking_id": int(boxes.identity[number]),
    }


def _boxes(name: str, entries: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Boxes:
    label_of = {one: label for label, one in enumerate(classes)}
    try:
        labels = [label_of[entry["detection_name"]] for entry in entries]
        centre, size, quaternion = (
            np.array([entry[key] for entry in entries], np.float64).reshape(-1, width)
            for key, width in (("translation", 3), ("size", 3), ("rotation", 4))
        )
        # None becomes NaN.
        velocity = np.array([entry["velocity"] for entry in entries], np.float64).reshape(-1, 2)
    except KeyError as missing:
        raise DetectionError(f"boxes of {name}: {missing} is neither a field there nor one of the classes") from missing
    numbers = {
        key: [int(entry.get(field, UNKNOWN)) for entry in entries]
        for key, field in (("points", "num_pts"), ("pixels", "num_pixels"), ("identity", "tracking_id"))
    }
    w, x, y, z = quaternion.T
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    score = [entry.get("detection_score", 1.0) for entry in entries]
    return make_boxes(centre, size[:, [1, 0, 2]], yaw, labels, velocity=velocity, score=score, **numbers)
