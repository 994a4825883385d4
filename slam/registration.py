# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The LiDAR measurement: points against the planes of the map (Yuan et al. 2022, sections III-C and IV).

For each point the plane with the highest probability among its voxel and, if none fits, the nearest neighbour
voxel; residual z = -n^T(R p + t - q), Jacobian H = s [(p x R^T n)^T, n^T] in the error order [theta, position], where s
is the part of the correction that the point takes (1 for a rigid scan).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam import morton
from slam.octree import DEPTH, PLANE, REACH2, SPLIT, STATE, TILT1, TILT2, VARIANCE, PlaneMap, find

UNKNOWN, NONE = -2, -1
"""Instead of a point's plane: not looked for yet; looked for in vain."""
PLANE_SHARE = 0.25
"""Points are laid on planes that are known so much better than they are themselves."""


class Noise(NamedTuple):
    """Variances of one return: along the beam (m^2), across it (rad^2), and what no model covers (m^2)."""

    range2: float
    bearing2: float
    floor2: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The linearised measurement at one pose.

    Attributes:
        information: (6, 6) H^T R^-1 H.
        vector: (6,) H^T R^-1 z.
        noise_information: (3, 3) the part of the translation block that uncertain normals explain by themselves.
        matched: points that found a plane within the gate.
        rms_m: root mean square distance of the matched points.
        weight: sum of the inverse variances.
    """

    information: NDArray[np.float64]
    vector: NDArray[np.float64]
    noise_information: NDArray[np.float64]
    matched: int
    rms_m: float
    weight: float


@njit(cache=True)
def _best_plane(a, root, corner, voxel, point, margin, variance, spread, best, stack, centres):
    """Most probable plane below ``root`` for the point; best = [log-likelihood, node, distance, sigma2].

    Subtrees whose cube lies farther from the point than half their own side and ``margin`` are passed over.
    ``variance``: 3 x 3 covariance of the measured point. ``spread``: what the pose's uncertainty adds for the gate.
    """
    x, y, z = point[0], point[1], point[2]
    stack[0], top = root, 1
    for k in range(3):
        centres[0, k] = corner[k] + 0.5 * voxel
    while top > 0:
        top -= 1
        node = stack[top]
        state = a.meta[node, STATE]
        if state == SPLIT:
            cx, cy, cz = centres[top, 0], centres[top, 1], centres[top, 2]
            quarter = 0.25 * voxel / (1 << a.meta[node, DEPTH])
            near = 2.0 * quarter + margin
            for octant in range(8):
                child = a.children[node, octant]
                if child < 0:
                    continue
                nx = cx + (quarter if octant & 4 else -quarter)
                ny = cy + (quarter if octant & 2 else -quarter)
                nz = cz + (quarter if octant & 1 else -quarter)
                if abs(x - nx) > near or abs(y - ny) > near or abs(z - nz) > near:
                    continue
                centres[top, 0], centres[top, 1], centres[top, 2] = nx, ny, nz
                stack[top] = child
                top += 1
            continue
        if state != PLANE:
            continue
        _compare(a.planes[node], node, point, variance, spread, best)


@njit(cache=True, inline="always")
def _compare(p, node, point, variance, spread, best):
    """Let the plane take the place of the best one so far, where the point passes its gates and it is more probable."""
    dx, dy, dz = point[0] - p[3], point[1] - p[4], point[2] - p[5]
    distance = p[0] * dx + p[1] * dy + p[2] * dz
    if dx * dx + dy * dy + dz * dz - distance * distance > p[REACH2]:
        return
    s, q = p[6] * dx + p[7] * dy + p[8] * dz, p[9] * dx + p[10] * dy + p[11] * dz
    sigma2 = p[VARIANCE] + p[TILT1] * s * s + p[TILT2] * q * q + _quadratic(variance, p)
    if distance * distance > 9.0 * (sigma2 + _quadratic(spread, p)):
        return
    score = -0.5 * distance * distance / sigma2 - 0.5 * math.log(sigma2)
    if score > best[0]:
        best[0], best[1], best[2], best[3] = score, node, distance, sigma2


@njit(cache=True, inline="always")
def _quadratic(m, n):
    """n^T m n of a symmetric matrix stored as (xx, xy, xz, yy, yz, zz)."""
    return (
        m[0] * n[0] * n[0] + m[3] * n[1] * n[1] + m[5] * n[2] * n[2]
        + 2.0 * (m[1] * n[0] * n[1] + m[2] * n[0] * n[2] + m[4] * n[1] * n[2])
    )  # fmt: skip


@njit(cache=True)
def _search(a, voxel, point, margin, variance, spread, best, work):
    """``_best_plane`` in the point's own voxel and, if none fits there, in the neighbour that it lies nearest to."""
    stack, centres, corner = work
    best[0], best[1] = -1e300, -1.0
    ix, iy, iz = math.floor(point[0] / voxel), math.floor(point[1] / voxel), math.floor(point[2] / voxel)
    if max(abs(ix), abs(iy), abs(iz)) >= morton.LIMIT - 1:
        return
    jx, jy, jz = ix, iy, iz
    for attempt in range(2):
        if attempt == 1:
            jx += _step(point[0] / voxel - ix)
            jy += _step(point[1] / voxel - iy)
            jz += _step(point[2] / voxel - iz)
            if best[1] >= 0.0 or (jx == ix and jy == iy and jz == iz):
                return
        root = find(a, morton.encode(np.int64(jx), np.int64(jy), np.int64(jz)))
        if root >= 0:
            corner[0], corner[1], corner[2] = jx * voxel, jy * voxel, jz * voxel
            _best_plane(a, root, corner, voxel, point, margin, variance, spread, best, stack, centres)


@njit(cache=True, inline="always")
def _step(fraction):
    """Towards the neighbour from the outer quarters of a voxel."""
    return 1 if fraction > 0.75 else (-1 if fraction < 0.25 else 0)


@njit(cache=True)
def _accumulate(a, points, matches, rotations, translations, stiffness, lever, pose_cov, noise, voxel, A, b, N):
    """Sums over all points into A (6, 6), b (6,), N (3, 3); returns matched, sum of squares, weight."""
    best, point, h = np.empty(4), np.empty(3), np.empty(6)
    work = (np.empty(64, np.int64), np.empty((64, 3)), np.empty(3))
    variance, spread = np.empty(6), np.empty(6)
    margin, last = 3.0 * math.sqrt(max(pose_cov[1][0], pose_cov[1][3], pose_cov[1][5])), len(rotations) - 1
    matched, squares, weight = 0, 0.0, 0.0
    for i in range(len(points)):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        k = np.int64(points[i, 3] * last + 0.5)
        share = stiffness + (1.0 - stiffness) * points[i, 3]
        R, t = rotations[k], translations[k]
        rx = R[0, 0] * px + R[0, 1] * py + R[0, 2] * pz
        ry = R[1, 0] * px + R[1, 1] * py + R[1, 2] * pz
        rz = R[2, 0] * px + R[2, 1] * py + R[2, 2] * pz
        point[0], point[1], point[2] = rx + t[0], ry + t[1], rz + t[2]
        _point_covariance(rx - lever[0], ry - lever[1], rz - lever[2], noise, variance)
        _pose_spread(rx, ry, rz, pose_cov, spread)
        if matches[i] == UNKNOWN:
            _search(a, voxel, point, margin, variance, spread, best, work)
            matches[i] = np.int64(best[1]) if best[1] >= 0.0 else NONE
        else:
            best[0], best[1] = -1e300, -1.0
            if matches[i] >= 0:
                _compare(a.planes[matches[i]], matches[i], point, variance, spread, best)
        if best[1] < 0.0:
            continue
        p, distance, w = a.planes[np.int64(best[1])], best[2], 1.0 / best[3]
        matched += 1
        squares += distance * distance
        weight += share * share * w
        bx = R[0, 0] * p[0] + R[1, 0] * p[1] + R[2, 0] * p[2]
        by = R[0, 1] * p[0] + R[1, 1] * p[1] + R[2, 1] * p[2]
        bz = R[0, 2] * p[0] + R[1, 2] * p[1] + R[2, 2] * p[2]
        h[0], h[1], h[2] = share * (py * bz - pz * by), share * (pz * bx - px * bz), share * (px * by - py * bx)
        h[3], h[4], h[5] = share * p[0], share * p[1], share * p[2]
        for r in range(6):
            b[r] -= w * h[r] * distance
            for c in range(r, 6):
                A[r, c] += w * h[r] * h[c]
        w *= share * share
        for r in range(3):
            for c in range(3):
                N[r, c] += w * (p[TILT1] * p[6 + r] * p[6 + c] + p[TILT2] * p[9 + r] * p[9 + c])
    for r in range(6):
        for c in range(r):
            A[r, c] = A[c, r]
    return matched, squares, weight


@njit(cache=True, inline="always")
def _point_covariance(x, y, z, noise, out):
    """range2 d d^T + bearing2 r^2 (I - d d^T), plus the floor, of a return at (x, y, z) from the sensor."""
    r2 = x * x + y * y + z * z
    across = noise.bearing2 * r2
    k = (noise.range2 - across) / max(r2, 1e-9)
    base = across + noise.floor2
    out[0], out[1], out[2] = base + k * x * x, k * x * y, k * x * z
    out[3], out[4], out[5] = base + k * y * y, k * y * z, base + k * z * z


@njit(cache=True, inline="always")
def _pose_spread(x, y, z, cov, out):
    """[p]x C_tt [p]x^T + C_pp of a point at (x, y, z) from the body.

    ``cov`` = (rotation variance, C_pp as xx xy xz yy yz zz).
    """
    c, P = cov
    r2 = c * (x * x + y * y + z * z)
    out[0], out[1], out[2] = P[0] + r2 - c * x * x, P[1] - c * x * y, P[2] - c * x * z
    out[3], out[4], out[5] = P[3] + r2 - c * y * y, P[4] - c * y * z, P[5] + r2 - c * z * z


def linearise(
    plane_map: PlaneMap,
    points: NDArray[np.float64],
    poses: tuple[NDArray[np.float64], NDArray[np.float64]],
    stiffness: float,
    lever: NDArray[np.float64],
    pose_variance: tuple[float, NDArray[np.float64]],
    noise: Noise,
    matches: NDArray[np.int64] | None = None,
) -> Fit:
    """Match body-frame points and sum up the normal equations for the pose at the end of their path.

    Args:
        points: (N, 4) x, y, z and the share of the path at which each was measured.
        poses, stiffness: rotations (K, 3, 3) and translations (K, 3) by share, see ``slam.deskew.bend``. The Jacobian
            of a point is that of the textbook times its part of the end's correction.
        lever: (3,) LiDAR origin in the body frame, metres: ranges count from there.
        pose_variance: variance of rotation (rad^2), and covariance of position (6,) as xx xy xz yy yz zz (m^2); they
            widen the gate only.
        noise: of one return.
        matches: (N,) plane of each point found before, NONE, or UNKNOWN where it is to be looked for and filled in.
    """
    if matches is None:
        matches = np.full(len(points), UNKNOWN)
    A, b, N = np.zeros((6, 6)), np.zeros(6), np.zeros((3, 3))
    matched, squares, weight = _accumulate(
        plane_map.arrays, points, matches, *poses, stiffness, poses[0][-1] @ lever, pose_variance, noise,
        plane_map.rules.voxel, A, b, N,
    )  # fmt: skip
    rms = math.sqrt(squares / matched) if matched else math.nan
    return Fit(A, b, N, matched, rms, weight)


@njit(cache=True)
def _lay(a, voxel, points, eye, variance, most_share, laid):
    best, spread = np.empty(4), np.zeros(6)
    work = (np.empty(64, np.int64), np.empty((64, 3)), np.empty(3))
    margin = 3.0 * math.sqrt(variance[0])
    for i in range(len(points)):
        point = points[i]
        _search(a, voxel, point, margin, variance, spread, best, work)
        node = np.int64(best[1])
        if node < 0 or best[3] - variance[0] > PLANE_SHARE**2 * variance[0]:
            continue
        p = a.planes[node]
        sight = p[0] * (point[0] - eye[0]) + p[1] * (point[1] - eye[1]) + p[2] * (point[2] - eye[2])
        rough = p[VARIANCE] * a.moments[node, 0] > variance[0]
        if rough or abs(best[2]) > most_share * abs(sight):
            continue
        laid[i] = True
        for k in range(3):
            point[k] -= best[2] / sight * (point[k] - eye[k])


def lay_on_planes(
    plane_map: PlaneMap, points: NDArray[np.float64], eye: NDArray[np.float64], sigma_m: float, most_share: float = 0.1
) -> NDArray[np.bool_]:
    """Move points (N, 3, odom), in place, along their lines of sight from ``eye`` (3,) onto the planes they belong to.

    Planes that are rougher than the points, or known little better (few returns far away leave a tilt), take none.

    Args:
        sigma_m: standard deviation of the points, in any direction; no plane is theirs that is off by three of it.
        most_share: of its distance that a point may be moved by.

    Returns:
        (N,) which points were moved.
    """
    laid = np.zeros(len(points), np.bool_)
    variance = sigma_m**2 * np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
    _lay(plane_map.arrays, plane_map.config.voxel_m, points, eye, variance, most_share, laid)
    return laid
