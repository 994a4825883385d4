# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Points and pictures in; boxes out, as detections, markers and an annotated picture."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import MarkerArray

from detection.inference import CITY_WEIGHTS, Detector
from detection.live import LiveDetector, Seen
from detection.overlays import draw_sheet
from mem4nav.driving.poses import Poses
from nodes import boxes as box_messages
from nodes import messages
from nodes.diagnostics import Diagnostics, Trouble
from nodes.inbox import Inbox
from nodes.lifecycle import SensorNode, brought_up
from nodes.messages import matrix
from nodes.parameters import Parameter, declare
from nodes.running import RefusedError, run
from slam.config import load
from slam.io.live import LiveSensors
from slam.measurements import Measurement, Scan
from slam.replay_config import ReplayConfig

PARAMETERS = (
    Parameter("config", "", "YAML file with the keys that `mem4nav replay --config` takes; empty: the defaults"),
    Parameter("cameras", [""], "names of the cameras that are looked at; topics camera/<name>/image and camera_info"),
    Parameter("livox", False, "points are livox_ros_driver2/CustomMsg"),
    Parameter("base_frame", "base_link", "frame of the boxes; tf_static says where the sensors sit in it"),
    Parameter("checkpoint", "", "the detector's file; empty: the weights that ship"),
    Parameter("device", "auto", "cpu, cuda, or auto: cuda where there is one"),
    Parameter("precision", "float32", "float32 or bfloat16"),
    Parameter("threads", 1, "of the CPU; 0: as many as PyTorch likes", 0, 256),
    Parameter("ground_m", math.nan, "height of the ground in base_frame, metres; .nan: found in the first scans"),
    Parameter("score", 0.1, "weaker detections are not published", 0.0, 1.0, live=True),
    Parameter("shown_score", 0.3, "weaker ones are neither markers nor in the picture", 0.0, 1.0, live=True),
    Parameter(
        "max_hz", 0.0, "at most so many scans a second are looked at; 0: as many as can be", 0.0, 100.0, live=True
    ),
    Parameter("track", False, "publish what was seen several times, with identities; needs odom"),
    Parameter(
        "picture_period_s", 0.5, "between two annotated pictures, where somebody listens", 0.0, 3600.0, live=True
    ),
    Parameter("silence_s", 1.0, "without a scan for so long is an error", 0.05, 60.0, live=True),
)
_POSE_WAIT_S = 0.3
_SAME_MOMENT_NS = 60_000_000
_UNPAIRED = 20
_FAULTS = ("without", "does not", "not usable", "differs")


class DetectionNode(SensorNode):
    """Callbacks only enqueue; ``work`` computes in a thread of its own, on the newest scan."""

    def __init__(self, **options) -> None:
        super().__init__("detection", **options)
        declare(self, PARAMETERS)
        self._odom, self._lock = Inbox(), threading.Lock()
        self._live: LiveDetector | None
        self._poses = Poses()
        self._said, self._skipped, self._found, self._untracked = 0, 0, 0, 0
        self._began_s = time.monotonic()
        self._looked_s = self._drawn_s = -math.inf
        self._device = ""
        self._last_was_empty = False
        self._diagnostics = Diagnostics(self, self._inbox, self._troubles, self._values)

    # the life cycle

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget all, and close the topics."""
        with self._lock:
            self._live, self._said, self._last_was_empty = None, 0, False
        for one in (self._boxes, self._markers, self._picture):
            if one is not None:
                self.destroy_publisher(one)
        return super().on_cleanup(state)

    def work(self, stopped: threading.Event) -> None:
        """Do what was enqueued until told to stop."""
        while not stopped.is_set():
            parcel = self._inbox.take(0.1)
            if parcel is None:
                continue
            self._began_s = parcel.arrived_s
            with self._lock:
                if self._live is not None:
                    parcel.task()

    def _made(self) -> LiveDetector:
        file, precision = self._value("config"), self._value("precision")
        if precision not in ("float32", "bfloat16"):
            raise RefusedError(f"precision is {precision!r}: it is float32 or bfloat16")
        self._points_kind()
        self._device = self._chosen_device()
        if threads := self._value("threads"):
            torch.set_num_threads(threads)
        recording = load(ReplayConfig, Path(file) if file else None).recording
        recording = replace(recording, base_frame=self._value("base_frame"))
        has_tf = messages.tf_message() is not None
        sensors = LiveSensors(recording, self._cameras(), use_imu=False, wait_for_tf=has_tf)
        detector = Detector.load(self._value("checkpoint") or CITY_WEIGHTS, self._device)
        ground = self._value("ground_m")
        live = LiveDetector(detector, sensors, ground_m=None if math.isnan(ground) else ground, precision=precision)
        live.warm_up()
        return live

    def _chosen_device(self) -> str:
        wanted, has = self._value("device"), torch.cuda.is_available()
        if wanted not in ("auto", "cpu", "cuda"):
            raise RefusedError(f"device is {wanted!r}: it is auto, cpu or cuda")
        if wanted == "cuda" and not has:
            raise RefusedError("device is cuda, but PyTorch finds none: is its CPU build installed?")
        return "cuda" if has and wanted != "cpu" else "cpu"

    def _advertise(self) -> None:
        overridable = QoSOverridingOptions.with_default_policies()
        kind = box_messages.detection_array()
        if kind is None:
            self.get_logger().warning(
                "vision_msgs is not installed: markers alone are published (python -m nodes.interfaces builds it)"
            )
        self._boxes = self.create_publisher(kind, "detections", 5, qos_overriding_options=overridable) if kind else None
        self._markers = self.create_publisher(MarkerArray, "detections_markers", 1)
        self._picture = self.create_publisher(Image, "detections_image", 1)

    def _listen(self) -> None:
        self._on_points(1)
        for name in self._cameras():
            self._on(Image, f"camera/{name}/image", lambda s, data, n=name: s.image(n, data), 2)
            self._on(CameraInfo, f"camera/{name}/camera_info", lambda s, data, n=name: s.camera_info(n, data) or [], 1)
        if (tf := messages.tf_message()) is not None:
            latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._on(tf, "/tf_static", lambda s, data: s.transforms(data) or [], 100, latched)
        if self._value("track"):
            quality = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._listening.append(self.create_subscription(Odometry, "odom", self._enqueue_pose, quality))

    # what is computed

    def _take(self, decode: Callable[[LiveSensors], list[Measurement]]) -> None:
        assert self._live is not None
        arrived_s, scan = self._began_s, self._live.take(decode)
        for note in self._live.sensors.notes[self._said :]:
            self.get_logger().info(note)
        self._said = len(self._live.sensors.notes)
        if scan is None:
            return
        if (most := self._value("max_hz")) and arrived_s - self._looked_s < 1.0 / most:
            self._skipped += 1
            return
        self._looked_s = arrived_s
        self._look_at(scan)
        self._diagnostics.latency_s.append(time.monotonic() - arrived_s)

    def _look_at(self, scan: Scan) -> None:
        assert self._live is not None
        told = self._live.differs is not None
        seen = self._live.detect(scan)
        self._last_was_empty = not len(seen.sample.points)
        if not told:
            for sentence in self._live.differs or []:
                self.get_logger().warning(f"beware: {sentence}")
        if self._value("track"):
            if (T := self._pose_at(scan.stamp_ns)) is None:
                self._untracked += 1
                return
            seen = self._live.tracked(seen, T)
        self._publish(seen)

    def _publish(self, seen: Seen) -> None:
        assert self._live is not None
        header = messages.header(seen.sample.stamp_ns, self._value("base_frame"))
        boxes = seen.boxes.pick(seen.boxes.score >= self._value("score"))
        self._found = len(boxes)
        if self._boxes is not None:
            self._boxes.publish(box_messages.detections(header, boxes, self._live.classes))
        shown = seen.boxes.score >= self._value("shown_score")
        if self._markers.get_subscription_count():
            self._markers.publish(box_messages.markers(header, seen.boxes.pick(shown), self._live.classes))
        due = time.monotonic() - self._drawn_s >= self._value("picture_period_s")
        if due and self._picture.get_subscription_count():
            self._drawn_s = time.monotonic()
            sheet = draw_sheet(seen.sample, seen.standing.pick(shown), self._live.classes)
            self._picture.publish(messages.picture(header, np.asarray(sheet)))

    # poses, for tracking alone

    def _enqueue_pose(self, message: Odometry) -> None:
        self._odom.put("odom", lambda: self._take_pose(message), 50)

    def _take_pose(self, message: Odometry) -> None:
        try:
            self._poses.add(messages.stamp_ns(message.header), matrix(message.pose.pose))
        except ValueError as error:
            self.get_logger().warning(f"odom left out: {error}", throttle_duration_sec=5.0)

    def _pose_at(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """The pose of a scan, which the odometry may tell a little later; None where it does not."""
        end = time.monotonic() + _POSE_WAIT_S
        while (T := self._poses.at(stamp_ns, _SAME_MOMENT_NS)) is None and (left := end - time.monotonic()) > 0.0:
            if (parcel := self._odom.take(left)) is not None:
                parcel.task()
        return T

    # how it is

    def _troubles(self) -> list[Trouble]:
        live, found = self._live, []
        if live is None or not self._active:
            return [Trouble(f"refused: {self.refused}" if self.refused else "not active", error=bool(self.refused))]
        silent = time.monotonic() - self._heard_s
        if silent > self._value("silence_s"):
            found.append(Trouble(f"no scan for {silent:.1f} s", error=True))
        if self._last_was_empty:
            found.append(Trouble(f"the last scan had no valid return ({live.empty} in all)", error=True))
        if (publishers := self.count_publishers("points")) > 1:
            found.append(Trouble(f"{publishers} publishers on points: there must be one"))
        if self._untracked:
            found.append(Trouble(f"{self._untracked} scans without a pose in odom: not published, since track is set"))
        if live.resets:
            found.append(Trouble(f"the clock went back {live.resets} times"))
        return found + self._sensor_troubles(live)

    def _sensor_troubles(self, live: LiveDetector) -> list[Trouble]:
        sensors = live.sensors
        found = [f"waiting for {sensors.missing}"] if sensors.missing else []
        found += [note for note in sensors.notes if any(word in note for word in _FAULTS)]
        for topic, frame in list(sensors.strays.items()):
            found.append(f"{topic} came in frame {frame!r}, before in {sensors.frames[topic]!r}: left out")
        for kind, (count, why) in sensors.undecoded.items():
            found.append(f"{count} messages of {kind} could not be decoded: {why}")
        found += [f"pictures of {camera} are left out: {why}" for camera, why in live.misfits.items()]
        for camera, count in live.unpaired.items():
            if count >= _UNPAIRED:
                found.append(f"no picture of {camera} within 60 ms of the last {count} scans")
        return [Trouble(sentence) for sentence in found]

    def _values(self) -> dict[str, object]:
        live = self._live
        if live is None:
            return {}
        return {
            "device": f"{self._device}, {self._value('precision')}",
            "checkpoint": self._value("checkpoint") or CITY_WEIGHTS.name,
            "ground in base_frame (m)": "not known yet" if live.ground_m is None else f"{live.ground_m:.2f}",
            "detections in the last scan": self._found,
            "skipped for max_hz": self._skipped,
            "differs from training": "; ".join(live.differs or []) or "nothing known",
        }


def main(args=None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run(lambda: brought_up(DetectionNode()), args)


if __name__ == "__main__":
    main()
