# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Shapes of cars, cyclists and pedestrians. All stand on their origin and face +x."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.materials import Material, Semantic
from sim_envs.city.mesh import Mesh, box, merge, prism
from sim_envs.city.moving import Model
from sim_envs.city.raycast import Raycaster
from sim_envs.city.solids import blob, disc

_GLASS = (0.06, 0.07, 0.09)
_TYRE = (0.03, 0.03, 0.03)
_RIM = (0.45, 0.45, 0.47)
_HEADLIGHT = (0.85, 0.84, 0.75)
_TAILLIGHT = (0.55, 0.03, 0.03)
PAINTS: dict[str, tuple[float, float, float]] = {
    "white": (0.75, 0.75, 0.73),
    "black": (0.04, 0.04, 0.05),
    "silver": (0.45, 0.47, 0.50),
    "red": (0.50, 0.04, 0.04),
    "blue": (0.05, 0.12, 0.42),
    "green": (0.06, 0.22, 0.12),
    "yellow": (0.70, 0.50, 0.05),
}
_CAR_SIZES = {"car": (4.4, 1.8, 1.48), "hatchback": (3.9, 1.72, 1.52), "van": (5.1, 1.95, 2.2)}
_CLOTHES = ((0.45, 0.10, 0.10), (0.10, 0.15, 0.40), (0.12, 0.30, 0.15), (0.55, 0.50, 0.40), (0.25, 0.12, 0.30))
_TROUSERS = ((0.08, 0.09, 0.15), (0.15, 0.13, 0.10), (0.25, 0.25, 0.27))
_SKINS = ((0.62, 0.42, 0.32), (0.35, 0.20, 0.13), (0.50, 0.33, 0.24))


def car_mesh(kind: str, paint: tuple[float, float, float]) -> tuple[Mesh, NDArray[np.float64]]:
    """A car of a kind ("car", "hatchback", "van"), and its exact (length, width, height)."""
    length, width, height = size = np.array(_CAR_SIZES[kind])
    belt = 0.92 if kind != "van" else 1.15
    body = Material.CAR_BODY
    shift, share = {"car": (-0.12, 0.56), "hatchback": (-0.35, 0.66), "van": (-0.35, 0.80)}[kind]
    cabin = [share * length, width - 0.12, height - belt - 0.06]
    taper = (0.72, 0.84) if kind != "van" else (0.90, 0.92)
    roof = [cabin[0] * taper[0], cabin[1] * taper[1], 0.06]
    pieces = [
        box([0, 0, 0.26], [length, width, 0.34], body, paint),
        box([0, 0, 0.60], [length, width, belt - 0.60], body, paint, top=(0.96, 0.95)),
        box([shift, 0, belt], cabin, Material.CAR_GLASS, _GLASS, top=taper),
        box([shift, 0, height - 0.06], roof, body, paint, top=(0.94, 0.94)),
        box([0.05, 0, 0.12], [length - 0.9, width - 0.2, 0.15], Material.RUBBER, _TYRE),
    ]
    if kind == "van":
        pieces.append(box([-0.9, 0, belt], [3.0, width - 0.08, height - belt - 0.03], body, paint, top=(0.97, 0.90)))
    pieces += _wheels(length, width)
    for side in (-1.0, 1.0):
        y = side * (0.5 * width - 0.24)
        pieces.append(box([0.5 * length - 0.03, y, 0.62], [0.06, 0.34, 0.14], Material.LAMP, _HEADLIGHT))
        pieces.append(box([0.03 - 0.5 * length, y, 0.64], [0.06, 0.34, 0.16], Material.LAMP, _TAILLIGHT))
        pieces += _pillars(shift, cabin, taper, belt, side, paint)
    pieces.append(box([0.5 * length - 0.02, 0, 0.38], [0.04, 0.52, 0.12], Material.PAINT, (0.7, 0.7, 0.65)))
    pieces.append(box([0.02 - 0.5 * length, 0, 0.42], [0.04, 0.52, 0.12], Material.PAINT, (0.7, 0.7, 0.65)))
    return merge(pieces), size


def _wheels(length: float, width: float) -> list[Mesh]:
    return [
        disc([x * length, side * (0.5 * width - 0.11), 0.33], 0.33, 0.22, Material.RUBBER, _TYRE, _RIM)
        for x in (-0.30, 0.31)
        for side in (-1.0, 1.0)
    ]


def _pillars(shift: float, cabin: list[float], taper: tuple, belt: float, side: float, paint: tuple) -> list[Mesh]:
    """Uprights between the side windows."""
    y = side * 0.5 * cabin[1] * (0.5 + 0.5 * taper[1])
    height = cabin[2]
    return [box([shift + x * cabin[0], y, belt], [0.09, 0.10, height], Material.CAR_BODY, paint) for x in (-0.02, 0.26)]


def pedestrian_mesh(rng: np.random.Generator) -> tuple[Mesh, NDArray[np.float64]]:
    """A walking person in mid-stride, and the exact (length, width, height)."""
    height = float(rng.uniform(1.58, 1.88))
    coat, legs = _CLOTHES[rng.integers(len(_CLOTHES))], _TROUSERS[rng.integers(len(_TROUSERS))]
    skin = _SKINS[rng.integers(len(_SKINS))]
    hip, neck = 0.50 * height, 0.85 * height
    pieces = [
        box([0.13, 0.10, 0.0], [0.26, 0.13, hip], Material.CLOTH, legs, top=(0.6, 1.0)),
        box([-0.13, -0.10, 0.0], [0.26, 0.13, hip], Material.CLOTH, legs, top=(0.6, 1.0)),
        box([0.0, 0.0, hip - 0.03], [0.24, 0.34, neck - hip + 0.03], Material.CLOTH, coat, top=(0.9, 1.2)),
        box([0.10, 0.24, hip - 0.04], [0.12, 0.10, 0.58], Material.CLOTH, coat),
        box([-0.10, -0.24, hip - 0.04], [0.12, 0.10, 0.58], Material.CLOTH, coat),
        prism([0, 0, neck], (0.06, 0.06), 0.06, Material.SKIN, skin),
        blob([0, 0, 0.5 * (neck + 0.04 + height)], [0.11, 0.09, 0.5 * (height - neck - 0.04)], Material.SKIN, skin),
    ]
    return _fitted(merge(pieces))


def cyclist_mesh(rng: np.random.Generator) -> tuple[Mesh, NDArray[np.float64]]:
    """A person on a bicycle, and the exact (length, width, height)."""
    coat, legs = _CLOTHES[rng.integers(len(_CLOTHES))], _TROUSERS[rng.integers(len(_TROUSERS))]
    skin = _SKINS[rng.integers(len(_SKINS))]
    frame = list(PAINTS.values())[rng.integers(len(PAINTS))]
    pieces = [
        disc([0.52, 0, 0.34], 0.34, 0.05, Material.BIKE, _TYRE, _RIM),
        disc([-0.52, 0, 0.34], 0.34, 0.05, Material.BIKE, _TYRE, _RIM),
        box([0.0, 0, 0.48], [0.95, 0.05, 0.06], Material.BIKE, frame),
        box([0.42, 0, 0.50], [0.05, 0.05, 0.55], Material.BIKE, frame),
        box([0.40, 0, 1.03], [0.05, 0.55, 0.04], Material.BIKE, frame),
        box([-0.22, 0, 0.50], [0.06, 0.05, 0.42], Material.BIKE, frame),
        box([-0.02, 0.12, 0.25], [0.28, 0.12, 0.72], Material.CLOTH, legs),
        box([-0.02, -0.12, 0.40], [0.28, 0.12, 0.57], Material.CLOTH, legs),
        box([-0.08, 0, 0.92], [0.30, 0.36, 0.58], Material.CLOTH, coat, top=(0.9, 1.15)),
        box([0.18, 0.22, 1.08], [0.50, 0.09, 0.10], Material.CLOTH, coat),
        box([0.18, -0.22, 1.08], [0.50, 0.09, 0.10], Material.CLOTH, coat),
        blob([0.02, 0, 1.62], [0.12, 0.10, 0.14], Material.SKIN, skin),
        blob([0.0, 0, 1.69], [0.14, 0.11, 0.09], Material.BIKE, frame),
    ]
    return _fitted(merge(pieces))


def _fitted(mesh: Mesh) -> tuple[Mesh, NDArray[np.float64]]:
    """The mesh with its origin under the middle of its bounding box."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    mesh.vertices[:] -= [*(0.5 * (low + high))[:2], low[2]]
    return mesh, high - low


def make_models(rng: np.random.Generator) -> dict[str, list[Model]]:
    """Some of each kind: "car" (vans and hatchbacks among them), "cyclist", "pedestrian"."""
    cars = [_model(kind, Semantic.CAR, car_mesh(kind, paint)) for kind, paint in _car_choice(rng)]
    riders = [_model("cyclist", Semantic.CYCLIST, cyclist_mesh(rng)) for _ in range(3)]
    walkers = [_model("pedestrian", Semantic.PEDESTRIAN, pedestrian_mesh(rng)) for _ in range(6)]
    return {"car": cars, "cyclist": riders, "pedestrian": walkers}


def _car_choice(rng: np.random.Generator) -> list[tuple[str, tuple[float, float, float]]]:
    kinds = ["car", "hatchback", "car", "van", "car", "hatchback", "car"]
    paints = [list(PAINTS.values())[i] for i in rng.permutation(len(PAINTS))]
    return list(zip(kinds, paints, strict=True))


def _model(kind: str, semantic: Semantic, shape: tuple[Mesh, NDArray[np.float64]]) -> Model:
    mesh, size = shape
    name = "van" if kind == "van" else "car" if semantic == Semantic.CAR else kind
    return Model(name, semantic, size, mesh, Raycaster(mesh))
