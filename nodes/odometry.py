# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Points, IMU and pictures in; odom, tf, path and map out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath

from geometry_msgs.msg import Pose, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry as OdometryMessage
from nav_msgs.msg import Path
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, Imu, PointCloud2
from std_srvs.srv import Trigger

from nodes import messages
from nodes.diagnostics import Diagnostics, Trouble
from nodes.lifecycle import SensorNode, brought_up
from nodes.parameters import Parameter, declare
from nodes.polling import PolledSubscription
from nodes.running import RefusedError, run
from slam.config import load
from slam.errors import SlamError
from slam.io.live import LONGEST_WAIT, LiveSensors
from slam.io.messages import parse_stamp
from slam.live import RESET_NS, LiveOdometry, warm_up
from slam.measurements import Measurement
from slam.octree import CENTRE
from slam.replay_config import ReplayConfig
from slam.results import ScanResult, State

PARAMETERS = (
    Parameter("config", "", "YAML file with the keys that `mem4nav replay --config` takes; empty: the defaults"),
    Parameter("cameras", [""], "names of the cameras whose pictures correct the pose; topics camera/<name>/image"),
    Parameter("use_imu", True, "false: a model of constant velocity takes its place"),
    Parameter("livox", False, "points are livox_ros_driver2/CustomMsg"),
    Parameter("odom_frame", "odom", "frame that poses are in"),
    Parameter("base_frame", "base_link", "frame that poses are of"),
    Parameter("map_frame", "map", "frame of the map, where publish_map_tf is on"),
    Parameter("publish_tf", True, "publish the transform from odom to base_link"),
    Parameter("publish_map_tf", False, "publish map to odom as well: nobody else corrects it"),
    Parameter("publish_points", True, "publish each scan in odom, its motion undone, where somebody listens"),
    Parameter("map_folder", "", "where save_map stores the map and load_map reads it"),
    Parameter("save_on_exit", False, "store the map in map_folder when the node ends"),
    Parameter("map_period_s", 2.0, "between two clouds of the map", 0.1, 3600.0),
    Parameter("path_length", 2000, "newest poses in the path", 1, 100_000),
    Parameter("silence_s", 1.0, "without a scan for so long is an error", 0.05, 60.0, live=True),
)
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_SCANS_WAITING, _PICTURES_WAITING, _IMU_WAITING = 5, 5, 2000
_QUIET = PublisherEventCallbacks(use_default_callbacks=False)
"""The usual handlers of events are looked at each time that the node wakes; who listens is told of the same events."""
_POLL_S, _IDLE_S = 0.01, 0.1
_LONGEST_PERIOD_S = 0.1
_FAULTS = {
    "scans_rejected": "scans rejected for their stamps", "scans_without_imu": "scans without IMU",
    "imu_not_finite": "IMU samples that are NaN or infinite", "imu_mis_stamped": "IMU samples with wrong stamps",
    "imu_late": "IMU samples that came too late", "imu_duplicates": "IMU samples that came twice",
}  # fmt: skip
"""Of the sequencer's totals, what /diagnostics names."""
_COUNTED_S, _BLIND_SCANS = 1.0, 2
"""Over which time it counts them, and from how many scans without IMU on that is an error: one is a hiccup."""

_IMU_BEHIND_S = 0.2
"""A scan waits for half a second, then it goes without: who drives is to know before."""


class OdometryNode(SensorNode):
    """Callbacks only enqueue; ``work`` computes in a thread of its own."""

    def __init__(self, **options) -> None:
        super().__init__("odometry", **options)
        declare(self, PARAMETERS)
        self._lock = threading.Lock()
        self._live: LiveOdometry | None
        self._last: ScanResult | None = None
        self._path: list = []
        self._mapped_s, self._said = time.monotonic(), 0
        self._diagnostics = Diagnostics(self, self._inbox, self._troubles, self._values)
        self._imu: PolledSubscription | None = None
        self._serving: list = []
        self._arrived_s: dict[int, float] = {}
        self._period_s = _LONGEST_PERIOD_S
        self._counted: deque[tuple[float, dict[str, int]]] = deque()

    # the life cycle

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening; what is known stays."""
        with self._lock:
            if self._imu is not None:
                self._imu.destroy()
            self._imu = None
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget all, and close topics and services."""
        with self._lock:
            self._live, self._last, self._path, self._said = None, None, [], 0
        for one in (self._odom, self._way, self._points, self._map, self._tf):
            if one is not None:
                self.destroy_publisher(one)
        while self._serving:
            self.destroy_service(self._serving.pop())
        return super().on_cleanup(state)

    def work(self, stopped: threading.Event) -> None:
        """Do what was enqueued until told to stop; then store the map if that is wanted."""
        while not stopped.is_set():
            parcel = self._inbox.take(_POLL_S if self._arrived_s else _IDLE_S)
            with self._lock:
                self._take_imu()
                if parcel is not None and self._live is not None:
                    parcel.task()
                    self._take_imu()
                self._fit_map()
        if self._value("save_on_exit") and self._live is not None:
            self._live.save_map(self._folder())

    def _fit_map(self) -> None:
        """In the time that is left until the next scan is due."""
        left_s = self._heard_s + self._period_s - time.monotonic()
        if self._live is not None and left_s > 0.0 and not self._inbox.holds("points"):
            self._live.work(left_s)

    def _made(self) -> LiveOdometry:
        file = self._value("config")
        try:
            settings = load(ReplayConfig, FilePath(file) if file else None)
        except SlamError as error:
            raise RefusedError(f"config: {error}") from None
        if self._value("save_on_exit") and not self._value("map_folder"):
            raise RefusedError("save_on_exit is set, but map_folder is not: there is nowhere to store the map")
        self._points_kind()
        cameras = self._cameras()
        sensors = LiveSensors(
            settings.recording, cameras, use_imu=self._value("use_imu"), wait_for_tf=messages.tf_message() is not None
        )
        mapping = replace(settings.mapping, hold_out=0) if cameras else None
        warm_up(settings.odometry, mapping)
        return LiveOdometry(sensors, settings.odometry, mapping)

    def _advertise(self) -> None:
        overridable = QoSOverridingOptions.with_default_policies()
        self._odom = self.create_publisher(
            OdometryMessage, "odom", 10, event_callbacks=_QUIET, qos_overriding_options=overridable
        )
        self._way = self.create_publisher(Path, "path", 1, event_callbacks=_QUIET)
        self._points = self.create_publisher(
            PointCloud2, "points_registered", 2, event_callbacks=_QUIET, qos_overriding_options=overridable
        )
        self._map = self.create_publisher(PointCloud2, "map_points", _LATCHED, event_callbacks=_QUIET)
        message = messages.tf_message()
        if message is None:
            self.get_logger().warning("tf2_msgs is not installed: on without tf (python -m nodes.interfaces builds it)")
        self._tf = self.create_publisher(message, "/tf", 100, event_callbacks=_QUIET) if message is not None else None
        for name, do in (("save_map", self._save), ("load_map", self._load), ("reset", self._reset)):
            self._serving.append(self.create_service(Trigger, f"~/{name}", partial(self._serve, do)))

    def _listen(self) -> None:
        live = self._live
        assert live is not None
        self._on_points(_SCANS_WAITING)
        if self._value("use_imu"):
            quality = QoSProfile(depth=_IMU_WAITING, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._imu = PolledSubscription(self, Imu, "imu", quality)
        for name in self._cameras():
            self._on(Image, f"camera/{name}/image", partial(self._see, name), _PICTURES_WAITING)
            self._on(CameraInfo, f"camera/{name}/camera_info", lambda s, data, n=name: s.camera_info(n, data) or [], 1)
        if (message := messages.tf_message()) is not None:
            latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._on(message, "/tf_static", lambda s, data: s.transforms(data) or [], 100, latched)
        self._listening.append(
            self.create_subscription(PoseWithCovarianceStamped, "/initialpose", self._place, QoSProfile(depth=1))
        )

    def _see(self, camera: str, sensors: LiveSensors, data: bytes) -> list[Measurement]:
        """A picture, if the map is through with the one before: no pose waits behind a queue of pictures."""
        assert self._live is not None
        if self._live.is_through_with_pictures:
            return sensors.image(camera, data)
        self._inbox.dropped[f"camera/{camera}/image"] += 1
        return []

    def _take_scan(self, data: bytes, heard_s: float) -> None:
        """A scan is answered once the IMU has passed its end."""
        self._arrived_s[parse_stamp(data, False)[0]] = heard_s
        if len(self._arrived_s) > LONGEST_WAIT:
            self._arrived_s.pop(next(iter(self._arrived_s)))
        super()._take_scan(data, heard_s)

    def _take_imu(self) -> None:
        bundle = self._imu.take() if self._imu is not None and self._live is not None else []
        if bundle:
            self._inbox.arrived["imu"] += len(bundle)
            self._take(lambda sensors: [one for data in bundle for one in sensors.imu(data)])

    # what is computed

    def _take(self, decode: Callable[[LiveSensors], list[Measurement]]) -> None:
        assert self._live is not None
        for result in self._live.take(decode):
            self._publish(result)
        for note in self._live.sensors.notes[self._said :]:
            self.get_logger().info(note)
        self._said = len(self._live.sensors.notes)

    def _publish(self, result: ScanResult) -> None:
        odom, base = self._value("odom_frame"), self._value("base_frame")
        assert self._live is not None and self._live.odometry is not None
        if self._last is not None and result.stamp_ns < self._last.stamp_ns - 1_000_000_000:
            self._path.clear()
        elif self._last is None:
            self._arrived_s.clear()  # what came while the sensors were being recognised says nothing about latency
        else:
            self._period_s = min(1e-9 * (result.stamp_ns - self._last.stamp_ns), _LONGEST_PERIOD_S)
        self._last = result
        posed = messages.pose(result.T_odom_base)
        self._odom.publish(messages.odometry(result, posed, odom, base, self._live.odometry.twist()))
        self._note_latency(result.stamp_ns)
        if self._tf is not None:
            self._publish_tf(result.stamp_ns, posed, odom, base)
        self._path = [*self._path[-self._value("path_length") + 1 :], result]
        if self._way.get_subscription_count():
            poses = [messages.stamped(one.stamp_ns, odom, one.T_odom_base) for one in self._path]
            self._way.publish(Path(header=messages.header(result.stamp_ns, odom), poses=poses))
        if self._value("publish_points") and self._points.get_subscription_count():
            points = self._live.odometry.registered_points()
            self._points.publish(messages.cloud(result.stamp_ns, odom, points))
        if self._map.get_subscription_count() and time.monotonic() - self._mapped_s > self._value("map_period_s"):
            self._mapped_s = time.monotonic()
            centres = self._live.odometry.map.planes()[:, CENTRE : CENTRE + 3]
            self._map.publish(messages.cloud(result.stamp_ns, odom, centres))

    def _note_latency(self, stamp_ns: int) -> None:
        if (arrived_s := self._arrived_s.get(stamp_ns)) is not None:
            self._diagnostics.latency_s.append(time.monotonic() - arrived_s)
        for answered in [one for one in list(self._arrived_s) if one <= stamp_ns or one > stamp_ns + RESET_NS]:
            self._arrived_s.pop(answered, None)

    def _publish_tf(self, stamp_ns: int, posed: Pose, odom: str, base: str) -> None:
        transforms = []
        if self._value("publish_tf"):
            transforms.append(messages.transform(stamp_ns, odom, base, posed))
        if self._value("publish_map_tf"):
            transforms.append(messages.transform(stamp_ns, self._value("map_frame"), odom, Pose()))
        if transforms:
            self._tf.publish(messages.tf_message()(transforms=transforms))

    # what is asked for

    def _serve(self, do: Callable[[], str], _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                answer.success, answer.message = True, do()
        except (SlamError, RefusedError, OSError) as error:
            answer.success, answer.message = False, str(error)
        return answer

    def _save(self) -> str:
        assert self._live is not None
        self._live.save_map(self._folder())
        return f"map stored in {self._folder()}"

    def _load(self) -> str:
        assert self._live is not None
        self._live.load_map(self._folder())
        return f"map of {self._folder()} loaded; /initialpose says where the vehicle is, else it is at the map's origin"

    def _reset(self) -> str:
        assert self._live is not None
        self._live.reset()
        self._path.clear()
        return "begun anew"

    def _folder(self) -> str:
        folder = self._value("map_folder")
        if not folder:
            raise RefusedError("the parameter map_folder is not set: there is no map to store or to read")
        return folder

    def _place(self, message: PoseWithCovarianceStamped) -> None:
        frame = message.header.frame_id
        if frame not in (self._value("map_frame"), self._value("odom_frame")):
            return self.get_logger().error(f"/initialpose is in frame {frame!r}: it must be in the map's")
        try:
            T = messages.matrix(message.pose.pose)
        except ValueError as error:
            return self.get_logger().error(f"/initialpose: {error}")
        self._inbox.put("initialpose", lambda: self._live.place(T) if self._live else None, 1)

    # how it is

    def _troubles(self) -> list[Trouble]:
        live, found = self._live, []
        if live is None or not self._active:
            return [Trouble("not active")]
        silent = time.monotonic() - self._heard_s
        if silent > self._value("silence_s"):
            found.append(Trouble(f"no scan for {silent:.1f} s", error=True))
        found += [Trouble(f"waiting for {live.sensors.missing}")] if live.sensors.missing else []
        placed = messages.tf_message() is not None  # else nobody can say where the sensors sit
        found += [Trouble(note, placed) for note in live.sensors.notes if "without" in note or "does not" in note]
        for topic, frame in list(live.sensors.strays.items()):
            first = live.sensors.frames[topic]
            found.append(Trouble(f"{topic} came in frame {frame!r}, before in {first!r}: left out"))
        for kind, (count, why) in live.sensors.undecoded.items():
            found.append(Trouble(f"{count} messages of {kind} could not be decoded: {why}"))
        for topic in ("points", "imu"):
            if (publishers := self.count_publishers(topic)) > 1:
                found.append(Trouble(f"{publishers} publishers on {topic}: there must be one", error=True))
        if (behind := live.imu_behind_s) >= _IMU_BEHIND_S:
            found.append(Trouble(f"the IMU is {behind:.1f} s behind the scans that wait for it", error=True))
        if live.resets:
            found.append(Trouble(f"the clock went back {live.resets} times: begun anew"))
        return found + self._faults(live.statistics) + self._verdict()

    def _faults(self, totals: dict[str, int]) -> list[Trouble]:
        """What the sequencer has counted in the last second."""
        now = time.monotonic()
        while len(self._counted) > 1 and now - self._counted[1][0] > _COUNTED_S:
            self._counted.popleft()
        self._counted.append((now, totals))
        before = self._counted[0][1]
        news = {key: totals.get(key, 0) - before.get(key, 0) for key in _FAULTS}
        blind = self._value("use_imu") and news["scans_without_imu"] >= _BLIND_SCANS
        return [
            Trouble(f"{count} {_FAULTS[key]}", error=blind and key == "scans_without_imu")
            for key, count in news.items()
            if count > 0
        ]

    def _verdict(self) -> list[Trouble]:
        if self._last is None or self._last.health.state is State.OK:
            return []
        health = self._last.health
        return [Trouble(f"{health.state.value}: {', '.join(health.reasons)}", error=health.state is State.LOST)]

    def _values(self) -> dict[str, object]:
        odometry = self._live.odometry if self._live is not None else None
        if odometry is None or self._last is None:
            return {}
        events = [sentence for _, sentence in odometry.events[-3:]]
        return {"health": self._last.health.state.value, "segment": self._last.segment, "events": " | ".join(events)}


def main(args=None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run(lambda: brought_up(OdometryNode()), args, make_ready=warm_up)


if __name__ == "__main__":
    main()
