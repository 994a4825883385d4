# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what was detected: boxes drawn into the cameras' views, and the scene from above."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from detection.boxes import corners, project
from detection.sample import Boxes, Sample, View
from slam.calibration import Camera

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (66, 135, 245), (24, 196, 193), (255, 152, 30), (236, 64, 96), (250, 214, 40),
    (200, 70, 220), (160, 110, 70), (70, 190, 80), (255, 130, 190), (140, 150, 255),
)  # fmt: skip
TRUTH: Colour = (255, 255, 255)
GROUND: Colour = (22, 24, 29)
GRID: Colour = (48, 52, 60)

# Edges between the corners that ``boxes.corners`` gives; the front face is 0, 3, 7, 4.
EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
FRONT = ((0, 7), (3, 4))
EDGE_PARTS = 10
NEAREST_M = 0.2
OVERSAMPLING = 2
COLUMN_PX = 640


def colour_of(label: int) -> Colour:
    """The colour of a class, the same in every picture."""
    return PALETTE[label % len(PALETTE)]


def draw_view(
    view: View, boxes: Boxes, classes: Sequence[str], truth: Boxes | None = None, width: int = 640
) -> Image.Image:
    """A camera's picture with the boxes in it as wire frames, their fronts crossed.

    Args:
        view: picture and camera.
        boxes: in base_link; drawn in the colours of their classes, with class and score in per cent.
        classes: names, in the order of the labels.
        truth: drawn thin and white under them.
        width: the picture is enlarged or shrunk to it before anything is drawn, pixels.
    """
    factor = width / view.camera.width
    picture = Image.fromarray(view.pixels).resize((width, round(factor * view.camera.height)))
    draw = ImageDraw.Draw(picture)
    if truth is not None:
        for box in corners(truth):
            _draw_wires(draw, view.camera, box, EDGES, TRUTH, factor, 1)
    # The farthest first, so that the nearest lies on top.
    order = np.argsort(-np.linalg.norm(boxes.centre - view.camera.T_base_camera[:3, 3], axis=1), kind="stable")
    ordered = boxes.pick(order)
    for box, label, score in zip(corners(ordered), ordered.label, ordered.score, strict=True):
        colour = colour_of(int(label))
        seen = _draw_wires(draw, view.camera, box, (*EDGES, *FRONT), colour, factor, 2)
        if len(seen):
            _draw_label(draw, seen.min(axis=0), f"{classes[label]} {100.0 * score:.0f}", colour, picture.size)
    return picture


def draw_above(
    sample: Sample, boxes: Boxes, classes: Sequence[str], truth: Boxes | None = None, *, reach_m: float = 40.0,
    size: int = 800,
) -> Image.Image:  # fmt: skip
    """The scene from above, x (ahead) up and y (left) to the left: points by height, boxes by class, truth in white.

    Args:
        sample: gives the points and the cameras' fields of view.
        boxes: in base_link, each with a line from its centre to its front, and a thin one along its way in one second.
        classes: names, in the order of the labels; those that occur are listed at the side.
        truth: drawn white.
        reach_m: from the middle to the border.
        size: side of the picture, pixels.
    """
    scale = OVERSAMPLING * size / (2.0 * reach_m)
    canvas = _points_above(sample.points, scale, OVERSAMPLING * size)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    _draw_rings(draw, scale, reach_m, picture.size[0])
    _draw_fields_of_view(draw, sample.views, scale, picture.size[0])
    for some, colour, width in ((truth, TRUTH, 2), (boxes, None, 4)):
        if some is not None:
            _draw_outlines(draw, some, colour, width, scale, picture.size[0])
    picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    _draw_legend(ImageDraw.Draw(picture), boxes, classes, truth)
    return picture


def draw_sheet(
    sample: Sample, boxes: Boxes, classes: Sequence[str], truth: Boxes | None = None, *, reach_m: float = 40.0
) -> Image.Image:
    """All cameras' views in two columns, and the scene from above beside them."""
    views = [draw_view(view, boxes, classes, truth, COLUMN_PX) for view in sample.views]
    if not views:
        return draw_above(sample, boxes, classes, truth, reach_m=reach_m)
    columns = min(2, len(views))
    rows = [views[first : first + columns] for first in range(0, len(views), columns)]
    heights = [max(one.height for one in row) for row in rows]
    side = max(sum(heights), COLUMN_PX)
    sheet = Image.new("RGB", (columns * COLUMN_PX + side, side), GROUND)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, one in enumerate(row):
            sheet.paste(one, (column * COLUMN_PX, top))
        top += height
    sheet.paste(draw_above(sample, boxes, classes, truth, reach_m=reach_m, size=side), (columns * COLUMN_PX, 0))
    return sheet


def _draw_wires(
    draw: ImageDraw.ImageDraw,
    camera: Camera,
    box: NDArray[np.float64],
    edges: Sequence[tuple[int, int]],
    colour: Colour,
    factor: float,
    width: int,
) -> NDArray[np.float64]:
    """Draw a box's edges, in parts so that a lens may bend them; the pixels (K, 2) of those that are in the picture."""
    share = np.linspace(0.0, 1.0, EDGE_PARTS + 1)[None, :, None]
    ends = box[np.array(edges)]
    along = ends[:, :1] + share * (ends[:, 1:] - ends[:, :1])
    pixels, depth = project(camera, along.reshape(-1, 3))
    size = np.array([camera.width, camera.height])
    with np.errstate(invalid="ignore"):
        inside = (depth > NEAREST_M) & (pixels > -0.5).all(axis=1) & (pixels < size - 0.5).all(axis=1)
    # A part is drawn where both its ends are in front of the camera, one of them in the picture.
    shown = (depth > NEAREST_M) & (np.abs(pixels - size / 2.0) < 2.0 * size).all(axis=1)
    pixels = (factor * (pixels + 0.5)).reshape(len(edges), -1, 2)
    inside, shown = inside.reshape(len(edges), -1), shown.reshape(len(edges), -1)
    drawn = shown[:, :-1] & shown[:, 1:] & (inside[:, :-1] | inside[:, 1:])
    for edge, part in zip(*np.nonzero(drawn), strict=True):
        draw.line([*pixels[edge, part], *pixels[edge, part + 1]], fill=colour, width=width)
    return pixels[inside]


def _draw_label(
    draw: ImageDraw.ImageDraw, at: NDArray[np.float64], text: str, colour: Colour, size: tuple[int, int]
) -> None:
    font = ImageFont.load_default(13)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    x = min(max(float(at[0]), 0.0), size[0] - right - 4.0)
    y = min(max(float(at[1]) - bottom - 4.0, 0.0), size[1] - bottom - 4.0)
    draw.rectangle((x + left, y + top - 1, x + right + 4, y + bottom + 3), fill=colour)
    draw.text((x + 2, y), text, fill=(0, 0, 0), font=font)


def _points_above(points: NDArray[np.float32], scale: float, side: int) -> NDArray[np.uint8]:
    """(side, side, 3) the points, low ones dark, high ones light."""
    canvas = np.full((side, side, 3), GROUND, np.uint8)
    now = points[points[:, 4] <= 0.0]
    place = _above(now[:, :2], scale, side).astype(np.int64)
    inside = ((place >= 0) & (place < side - 1)).all(axis=1)
    place, height = place[inside], now[inside, 2]
    light = (70.0 + 150.0 * np.clip((height + 0.3) / 4.0, 0.0, 1.0)).astype(np.uint8)
    order = np.argsort(light, kind="stable")
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        canvas[place[order, 1] + dy, place[order, 0] + dx] = light[order, None]
    return canvas


def _above(places: NDArray[np.floating], scale: float, side: int) -> NDArray[np.float64]:
    """Pixels of (..., 2) metres: x up, y to the left."""
    return side / 2.0 - scale * np.stack([places[..., 1], places[..., 0]], axis=-1)


def _draw_rings(draw: ImageDraw.ImageDraw, scale: float, reach_m: float, side: int) -> None:
    for radius in np.arange(10.0, 1.5 * reach_m, 10.0):
        r = scale * radius
        draw.ellipse((side / 2 - r, side / 2 - r, side / 2 + r, side / 2 + r), outline=GRID, width=OVERSAMPLING)
    nose = _above(np.array([[2.2, 0.0], [-1.8, 0.9], [-1.8, -0.9]]), scale, side)
    draw.polygon([tuple(p) for p in nose], outline=TRUTH, width=OVERSAMPLING)


def _draw_fields_of_view(draw: ImageDraw.ImageDraw, views: Sequence[View], scale: float, side: int) -> None:
    for view in views:
        camera = view.camera
        for u in (-0.5, camera.width - 0.5):
            ray = camera.T_base_camera[:3, :3] @ np.array([(u - camera.K[0, 2]) / camera.K[0, 0], 0.0, 1.0])
            ends = camera.T_base_camera[:2, 3] + np.array([[0.0], [8.0]]) * ray[:2] / np.linalg.norm(ray[:2])
            draw.line([tuple(p) for p in _above(ends, scale, side)], fill=(90, 96, 110), width=OVERSAMPLING)


def _draw_outlines(
    draw: ImageDraw.ImageDraw, boxes: Boxes, colour: Colour | None, width: int, scale: float, side: int
) -> None:
    outlines = _above(corners(boxes)[:, :4, :2], scale, side)
    ahead = np.stack([np.cos(boxes.yaw), np.sin(boxes.yaw)], axis=1)
    middles = _above(boxes.centre[:, :2], scale, side)
    fronts = _above(boxes.centre[:, :2] + 0.5 * boxes.size[:, :1] * ahead, scale, side)
    goals = _above(boxes.centre[:, :2] + np.nan_to_num(boxes.velocity), scale, side)
    for number, label in enumerate(boxes.label):
        ink = colour or colour_of(int(label))
        draw.polygon([tuple(p) for p in outlines[number]], outline=ink, width=width)
        draw.line([tuple(middles[number]), tuple(fronts[number])], fill=ink, width=width)
        if np.linalg.norm(goals[number] - middles[number]) > scale * 0.3:
            draw.line([tuple(middles[number]), tuple(goals[number])], fill=ink, width=1)


def _draw_legend(draw: ImageDraw.ImageDraw, boxes: Boxes, classes: Sequence[str], truth: Boxes | None) -> None:
    font = ImageFont.load_default(14)
    labels, counts = np.unique(boxes.label, return_counts=True)
    lines = [(f"{classes[k]} ({n})", colour_of(int(k))) for k, n in zip(labels, counts, strict=True)]
    lines += [(f"truth ({len(truth)})", TRUTH)] if truth is not None else []
    for row, (text, colour) in enumerate(lines):
        draw.text((10, 8 + 18 * row), text, fill=colour, font=font)
