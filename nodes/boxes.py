# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes as messages: vision_msgs where it is installed, markers everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from detection.overlays import colour_of
from detection.sample import UNKNOWN, Boxes, make_boxes


def detection_array():
    """vision_msgs/Detection3DArray, or None where it is not installed."""
    try:
        from vision_msgs.msg import Detection3DArray
    except ImportError:
        return None
    return Detection3DArray


def detections(header: Header, boxes: Boxes, classes: Sequence[str]):
    """Boxes in the header's frame as vision_msgs/Detection3DArray; an identity becomes the detection's id."""
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    found = Detection3DArray(header=header)
    for number, label in enumerate(boxes.label):
        made = ObjectHypothesisWithPose()
        made.hypothesis.class_id, made.hypothesis.score = classes[int(label)], float(boxes.score[number])
        made.pose.pose = _pose(boxes, number)
        one = Detection3D(header=header, results=[made])
        one.bbox.center, one.bbox.size = _pose(boxes, number), Vector3(**_xyz(boxes.size[number]))
        if boxes.identity[number] != UNKNOWN:
            one.id = str(boxes.identity[number])
        found.detections.append(one)
    return found


def boxes_of(message, classes: Sequence[str]) -> tuple[Boxes, int]:
    """The boxes of a vision_msgs/Detection3DArray that are of these classes, and how many had numbers that are none."""
    rows = []
    for one in message.detections:
        best = max((result.hypothesis for result in one.results), key=lambda hypothesis: hypothesis.score, default=None)
        if best is None or best.class_id not in classes:
            continue
        p, q, s = one.bbox.center.position, one.bbox.center.orientation, one.bbox.size
        yaw = math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))
        rows.append((p.x, p.y, p.z, s.x, s.y, s.z, yaw, best.score, classes.index(best.class_id)))
    table = np.array(rows, np.float64).reshape(-1, 9)
    kept = np.isfinite(table).all(axis=1)
    left_out, table = int((~kept).sum()), table[kept]
    return make_boxes(table[:, :3], table[:, 3:6], table[:, 6], table[:, 8], score=table[:, 7]), left_out


def markers(header: Header, boxes: Boxes, classes: Sequence[str]) -> MarkerArray:
    """Boxes as coloured blocks with their names; what was shown before goes."""
    shown = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    for number, label in enumerate(boxes.label.tolist()):
        colour = ColorRGBA(**dict(zip("rgb", (c / 255.0 for c in colour_of(label)), strict=True)), a=0.5)
        block = Marker(header=header, ns="boxes", id=number, type=Marker.CUBE, pose=_pose(boxes, number), color=colour)
        block.scale = Vector3(**_xyz(np.maximum(boxes.size[number], 0.01)))
        text = f"{classes[label]} {100.0 * boxes.score[number]:.0f}"
        above = boxes.centre[number] + np.array([0.0, 0.0, 0.5 * boxes.size[number, 2] + 0.4])
        name = Marker(header=header, ns="names", id=number, type=Marker.TEXT_VIEW_FACING, text=text)
        name.pose.position, name.scale.z = Point(**_xyz(above)), 0.6
        name.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        shown.markers += [block, name]
    return shown


def _pose(boxes: Boxes, number: int) -> Pose:
    half = 0.5 * float(boxes.yaw[number])
    turn = Quaternion(x=0.0, y=0.0, z=math.sin(half), w=math.cos(half))
    return Pose(position=Point(**_xyz(boxes.centre[number])), orientation=turn)


def _xyz(values) -> dict[str, float]:
    return dict(zip("xyz", (float(value) for value in values), strict=True))
