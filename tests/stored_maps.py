# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Small maps whose content says which version they are, and a Gaussian map reduced to what storing asks of it."""

from __future__ import annotations

import numpy as np

from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.regions import RegionStore
from slam.gaussian_map.store import GaussianMap
from slam.octree import CENTRE, PlaneMap
from slam.odometry_config import MapConfig
from slam.splatting.gaussians import Gaussians


def gaussian_map_on(plane_map, **options):
    """A Gaussian on each plane, coloured by its height."""
    gaussian_map = GaussianMap(plane_map, **options)
    planes = plane_map.planes()
    gaussians = Gaussians.zeros(len(planes))
    gaussians.means[:] = planes[:, CENTRE : CENTRE + 3]
    gaussians.quats[:, 3], gaussians.log_scales[:], gaussians.logits[:] = 1.0, -2.0, 1.0
    gaussians.harmonics[:, 0] = gaussians.means[:, 2:]
    levels = np.full(len(planes), gaussian_map.config.max_level)
    assert len(gaussian_map.add(gaussians, levels, 3)) > 50
    return gaussian_map


class FewGaussians:
    """Means and steps of a few Gaussians, all equal to one number, and regions as a Gaussian map has them."""

    def __init__(self, plane_map=None, config=None, regions=None, version=0):
        self.plane_map, self.config, self.regions = plane_map, config or GaussianMapConfig(), regions
        self.restore({"means": np.full((5, 3), version, np.float32), "steps": np.full(5, version, np.int32)})

    def tensors(self):
        return {"means": self.means, "steps": self.steps}

    def restore(self, tensors):
        self.means, self.steps = tensors["means"], tensors["steps"]

    @property
    def version(self):
        assert (self.means == self.steps[0]).all() and (self.steps == self.steps[0]).all()
        return int(self.steps[0])


def numbered_planes(version):
    """A plane map of as many voxels as its number."""
    plane_map = PlaneMap(MapConfig(voxel_m=1.0), 1)
    points = np.zeros((version, 3))
    points[:, 0] = np.arange(version) + 0.5
    plane_map.insert(points, np.eye(3), np.zeros(3), 0)
    return plane_map


def numbered_region(version):
    """The tensors of a region."""
    return {"means": np.full((3, 3), version, np.float32), "key": np.arange(3, dtype=np.uint64)}


def numbered_map(version, spool):
    """Planes and Gaussians of one number, with two regions of it in the folder ``spool``."""
    regions = RegionStore(spool)
    for key in ((0, 0, 0), (-1, 2, -3)):
        regions.put(key, numbered_region(version))
    planes = numbered_planes(version)
    return planes, FewGaussians(planes, None, regions, version)
