# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rays against triangles, through Embree as open3d ships it."""

from __future__ import annotations

import ctypes
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.mesh import Mesh
from sim_envs.errors import RaycastError

_FEW = 4096


@dataclass(frozen=True, slots=True)
class Hits:
    """Where N rays met triangles.

    Attributes:
        distance: (N,) float32, metres along the (unit) direction; inf for a miss.
        face: (N,) int64 triangle number, -1 for a miss.
        normal: (N, 3) float32 geometric normal of the triangle, not normalised to face the ray.
        bary: (N, 2) float32 weights of the triangle's second and third vertex.
    """

    distance: NDArray[np.float32]
    face: NDArray[np.int64]
    normal: NDArray[np.float32]
    bary: NDArray[np.float32]


@cache
def load_libusb() -> None:
    """Load PyPI's libusb-package, if it is there: open3d links libusb (for depth cameras), which few servers have."""
    spec = importlib.util.find_spec("libusb_package")
    if spec is not None and spec.origin is not None:
        for library in Path(spec.origin).parent.glob("libusb-1.0.so*"):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


@cache
def load_open3d() -> ModuleType:
    """open3d, also where the system lacks libusb.

    Raises:
        RaycastError: where open3d cannot be imported.
    """
    load_libusb()
    try:
        import open3d
    except ImportError as error:
        raise RaycastError(
            f"the city needs open3d (pip install 'mem4nav[sim]'; on Linux also libusb-1.0): {error}"
        ) from error
    return open3d


class Raycaster:
    """Casts rays at one rigid mesh; coordinates are those of the mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        o3d = load_open3d()
        self._tensor = o3d.core.Tensor
        self._scene = o3d.t.geometry.RaycastingScene()
        vertices = np.ascontiguousarray(mesh.vertices, np.float32)
        self._scene.add_triangles(self._tensor(vertices), self._tensor(mesh.faces.astype(np.uint32)))

    def cast(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> Hits:
        """First hits of rays from (N, 3) origins (or one (3,)) along (N, 3) unit directions."""
        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3] = origins
        rays[:, 3:] = directions
        answer = self._scene.cast_rays(self._tensor(rays), nthreads=1 if len(rays) < _FEW else 0)
        distance = answer["t_hit"].numpy()
        face = np.where(np.isfinite(distance), answer["primitive_ids"].numpy().astype(np.int64), -1)
        normal, bary = answer["primitive_normals"].numpy(), answer["primitive_uvs"].numpy()
        return Hits(distance, face, normal, bary)

    def blocked(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N,) whether anything lies along each ray, for shadows."""
        rays = np.concatenate([origins, directions], axis=1).astype(np.float32)
        return self._scene.test_occlusions(self._tensor(rays)).numpy()
