# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The stack's own dataset on disk: docs/detection_data.md has the layout. Read here, and written frame by frame."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.datasets.dataset import Dataset
from detection.datasets.reading import numbers, placed, read_json, read_view, rigid, wanted
from detection.errors import DatasetError
from detection.sample import POINT_FIELDS, UNKNOWN, Boxes, Sample, View, make_boxes
from slam.files import write_bytes, write_text
from slam.io.extrinsics import inverse

VERSION = 1
FRAME, POINTS = "frame.json", "points.npy"
BOX_KEYS = ("centre", "size", "yaw", "label")


class FolderDataset(Dataset):
    """Frames of a folder, in the order of their names."""

    def __init__(self, folder: str | Path, *, sweeps: int = 0, cameras: Collection[str] | None = None) -> None:
        """Args:
            folder: holds dataset.json and frames/.
            sweeps: how many earlier frames of the same drive lend their current points as past sweeps.
            cameras: names of those to read; None: all.

        Raises:
            DatasetError: dataset.json is missing, damaged or of a later version.
        """
        self.folder, self._sweeps, self._wanted = Path(folder), sweeps, cameras
        self.classes = _read_classes(self.folder)
        frames = (self.folder / "frames").glob("[!.]*")
        self.names = tuple(sorted(path.name for path in frames if path.is_dir()))

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Sample:
        path = self._frame(index)
        frame = read_json(path)
        try:
            return self._sample(frame, index, path)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise DatasetError(f"{path} is damaged, or of another layout: {type(err).__name__} {err}") from None

    def _sample(self, frame: dict[str, Any], index: int, path: Path) -> Sample:
        T = frame.get("T_world_base")
        return Sample(
            name=self.names[index],
            stamp_ns=int(frame["stamp_ns"]),
            points=np.concatenate([_read_points(path.with_name(POINTS)), *self._past(frame, index)]),
            views=tuple(_read_view(one, path) for one in frame["cameras"] if wanted(one["name"], self._wanted)),
            boxes=None if frame["boxes"] is None else self._boxes(frame["boxes"], path),
            T_world_base=None if T is None else rigid(T, f"{path}: T_world_base"),
            lidar_origin=numbers(frame["lidar_origin"], (3,), f"{path}: lidar_origin"),
        )

    def _frame(self, index: int) -> Path:
        return self.folder / "frames" / self.names[index] / FRAME

    def _past(self, now: dict[str, Any], index: int) -> list[NDArray[np.float32]]:
        """Current points of the frames before, as long as they belong to the same drive."""
        found = []
        for earlier in range(index - 1, max(index - self._sweeps, 0) - 1, -1):
            path = self._frame(earlier)
            then = read_json(path)
            if now.get("drive") is None or then.get("drive") != now["drive"]:
                break
            poses = [rigid(one["T_world_base"], f"{path}: T_world_base") for one in (now, then)]
            points = _read_points(path.with_name(POINTS))
            points = points[points[:, 4] == 0.0]
            age_s = (now["stamp_ns"] - then["stamp_ns"]) * 1e-9
            found.append(placed(points[:, :3], points[:, 3], inverse(poses[0]) @ poses[1], age_s))
        return found

    def _boxes(self, rows: list[dict[str, Any]], path: Path) -> Boxes:
        if unknown := sorted({row["label"] for row in rows} - set(self.classes)):
            raise DatasetError(f"{path}: the labels {unknown} are none of the dataset's {self.classes}")
        columns = {key: [row[key] for row in rows] for key in BOX_KEYS}
        velocity = [row.get("velocity") or (np.nan, np.nan) for row in rows]
        return make_boxes(
            numbers(columns["centre"] or np.zeros((0, 3)), (len(rows), 3), f"{path}: centre of the boxes"),
            numbers(columns["size"] or np.zeros((0, 3)), (len(rows), 3), f"{path}: size of the boxes"),
            numbers(columns["yaw"], (len(rows),), f"{path}: yaw of the boxes"),
            [self.classes.index(name) for name in columns["label"]],
            velocity=np.array(velocity, np.float32).reshape(-1, 2),
            **{key: [row.get(key, UNKNOWN) for row in rows] for key in ("identity", "points", "pixels")},
        )


class FolderWriter:
    """Writes samples as frames of a folder; a frame is there whole or not at all."""

    def __init__(self, folder: str | Path, classes: tuple[str, ...], *, jpeg_quality: int | None = 95) -> None:
        """Args:
            folder: made where missing; one that is there must have the same classes, and is added to.
            classes: names, in the order of the samples' labels.
            jpeg_quality: of the pictures; None writes PNG, without loss and about three times as large.

        Raises:
            DatasetError: the folder holds a dataset of other classes.
        """
        self.folder, self.classes, self._quality = Path(folder), tuple(classes), jpeg_quality
        if not (self.folder / "dataset.json").exists():
            write_text(self.folder / "dataset.json", _json({"version": VERSION, "classes": self.classes}))
        elif (there := _read_classes(self.folder)) != self.classes:
            raise DatasetError(f"{self.folder} holds a dataset of the classes {there}, not {self.classes}")

    def write(self, sample: Sample, drive: str | None = None) -> Path:
        """Write a sample as frames/<its name>, over one of that name; the frame's folder.

        Args:
            drive: frames with the same one, in the order of their names, follow each other in time.

        Raises:
            DatasetError: a name, of the sample or of a camera, that is no file name.
        """
        for name in (sample.name, *(view.name for view in sample.views)):
            if name in ("", FRAME, POINTS) or name.startswith(".") or Path(name).name != name:
                raise DatasetError(f"{name!r} cannot name a file in {self.folder}")
        target = self.folder / "frames" / sample.name
        aside = target.with_name(f".{sample.name}.{os.getpid()}.part")
        try:
            for name, content in self._files(sample, drive).items():
                write_bytes(aside / name, content)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return target

    def _files(self, sample: Sample, drive: str | None) -> dict[str, bytes]:
        suffix = ".png" if self._quality is None else ".jpg"
        files = {f"{view.name}{suffix}": self._picture(view) for view in sample.views}
        points = BytesIO()
        np.save(points, sample.points.astype("<f4"), allow_pickle=False)
        T = sample.T_world_base
        frame = {
            "stamp_ns": sample.stamp_ns,
            "drive": drive,
            "T_world_base": None if T is None else T.tolist(),
            "lidar_origin": sample.lidar_origin.tolist(),
            "cameras": [_camera(view, f"{view.name}{suffix}") for view in sample.views],
            "boxes": None if sample.boxes is None else _rows(sample.boxes, self.classes),
        }
        return files | {POINTS: points.getvalue(), FRAME: _json(frame).encode()}

    def _picture(self, view: View) -> bytes:
        from PIL import Image as Pillow

        held = BytesIO()
        picture = Pillow.fromarray(view.pixels)
        if self._quality is None:
            picture.save(held, "PNG", compress_level=1)
        else:
            picture.save(held, "JPEG", quality=self._quality)
        return held.getvalue()


def _read_classes(folder: Path) -> tuple[str, ...]:
    path = folder / "dataset.json"
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("classes"), list):
        raise DatasetError(f"{path} holds no list of classes")
    if content.get("version") != VERSION:
        raise DatasetError(f"{path} is of version {content.get('version')}; this release reads version {VERSION}")
    return tuple(content["classes"])


def _read_points(path: Path) -> NDArray[np.float32]:
    try:
        points = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as err:
        raise DatasetError(f"{path} cannot be read, or is cut off: {err}") from None
    if points.ndim != 2 or points.shape[1] != len(POINT_FIELDS) or points.dtype != np.float32:
        raise DatasetError(f"{path} is {points.shape} {points.dtype}: expected (P, 5) float32, {POINT_FIELDS}")
    return points


def _read_view(camera: dict[str, Any], frame: Path) -> View:
    name = camera["name"]
    return read_view(
        frame.with_name(camera["file"]),
        name,
        camera["K"],
        rigid(camera["T_base_camera"], f"{frame}: T_base_camera of {name}"),
        distortion=camera["distortion"],
        size=(camera["width"], camera["height"]),
    )


def _camera(view: View, file: str) -> dict[str, Any]:
    camera = view.camera
    return {
        "name": view.name,
        "file": file,
        "width": camera.width,
        "height": camera.height,
        "K": camera.K.tolist(),
        "distortion": camera.distortion.tolist(),
        "T_base_camera": camera.T_base_camera.tolist(),
    }


def _rows(boxes: Boxes, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "label": classes[boxes.label[at]],
            "centre": boxes.centre[at].tolist(),
            "size": boxes.size[at].tolist(),
            "yaw": float(boxes.yaw[at]),
            "velocity": boxes.velocity[at].tolist() if np.isfinite(boxes.velocity[at]).all() else None,
            "identity": int(boxes.identity[at]),
            "points": int(boxes.points[at]),
            "pixels": int(boxes.pixels[at]),
        }
        for at in range(len(boxes))
    ]


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, allow_nan=False) + "\n"
