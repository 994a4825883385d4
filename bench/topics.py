# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The topics there are, in the order of the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """One module of this folder that measures something.

    Attributes:
        name: of the module, and of the JSON it leaves.
        title: heading of its section.
        limit_s: it is stopped after so long.
        threads: threads a numerical library may use; 0 leaves that to the library.
        usual: part of a run that names no topics.
    """

    name: str
    title: str
    limit_s: int
    threads: int = 1
    usual: bool = True


TOPICS = (
    Topic("kitti_speed", "KITTI drive 0005: CPU time of a scan", 600),
    Topic("kitti_accuracy", "KITTI drives 0005 and 0052: accuracy", 400),
    Topic("kitti_camera", "KITTI drive 0052: the first scans, held against the camera", 300),
    Topic("recordings", "Other recordings: deskewing, propagation, the trajectory error itself", 300),
    Topic("city", "City: loops of 300 m", 1500),
    Topic("bag_replay", "Unpaced replay of bags, and the first start", 400, threads=0),
    Topic("faults", "Faults of messages, clocks and sensors", 1500),
    Topic("health", "Corridor and kidnapping", 600),
    Topic("gaussian_kitti", "KITTI drive 0052: held-out pictures from the Gaussian map", 600),
    Topic("gaussian_city", "City loops with a camera: held-out pictures from the Gaussian map", 2400),
    Topic("gaussian_ablation", "Gaussian map and camera: what each part does", 7200),
    Topic("camera_corridor", "Corridor with murals: what the camera saves", 3000),
    Topic("camera_faults", "Cameras that fail", 3000),
    Topic("map_drive", "A drive of 1 km with a camera: memory and size of the map", 3600),
    Topic("orin", "Jetson Orin NX: what kernels and a window of Gaussians ask of it", 120),
    Topic("gpu", "Graphics processor: milliseconds of a rendering and a step", 300),
    Topic("splatting", "Rasteriser of Gaussians: forward and backward on one thread", 400),
    Topic("detection_speed", "Detector: milliseconds of a frame from sensors to boxes", 1500, threads=0),
    Topic("detection", "Detector: held-out towns, sensors that fail, identities, real frames", 7200),
    Topic("detection_training", "Detector: what each part earns, and forty minutes of training", 200_000, usual=False),
    Topic("memory", "Spatial memory: a million entries, and a few", 1500),
    Topic("memory_fidelity", "Reversible tokens: what is read from them, and how exactly writes are undone", 1500),
    Topic("navigation", "Following written directions: real streets, and errands in the town", 1800),
    Topic("agent_training", "Following written directions: what learning it takes", 3600, threads=2, usual=False),
    Topic("driving_city", "Written directions followed by driving, on perception alone", 5400),
    Topic("habitat", "Habitat: towns walked by written directions", 14400, usual=False),
    Topic("habitat_errands", "Habitat: errands without a reset, with and without memory", 7200, usual=False),
    Topic("ros_replay", "ROS 2: a city bag through player and odometry node", 1500),
    Topic("ros_driving", "ROS 2: written directions followed by the nodes over DDS", 3600),
    Topic("ros_faults", "ROS 2: faults while the nodes drive", 2400),
    Topic("memory_ablation", "What each part of the memory earns a navigation agent", 14400, usual=False),
    Topic("soak", "An hour round a loop", 3600, usual=False),
    Topic("ros_restart", "ROS 2: nodes killed while mem4nav up runs them", 900),
    Topic("ros_soak", "ROS 2: half an hour through player and odometry node", 2400, usual=False),
)
BY_NAME = {topic.name: topic for topic in TOPICS}
