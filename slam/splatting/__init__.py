# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussian splatting: a differentiable rasteriser of 3-D Gaussians, compiled for the CPU and for CUDA.

What both do, to the letter (Zwicker et al. 2002, EWA splatting; Kerbl et al. 2023, 3D Gaussian splatting):

1. Projection. m = R mean + t in the camera frame; Gaussians with m_z <= ``NEAR_M``, or that reach the
   camera's plane within ``NEAR_SIGMAS`` standard deviations along z, are left out: no ellipse stands for those.
   Covariance S = Q diag(exp(2 log_scales)) Q^T with Q the rotation of the normalised quaternion. J is the Jacobian of
   the pinhole at m, with m_x / m_z and m_y / m_z clamped (in J alone) to the picture widened by ``MARGIN`` of half its
   angle:
   x in [-(cx / fx + MARGIN width / (2 fx)), (width - cx) / fx + MARGIN width / (2 fx)], y likewise.
   Screen covariance C = J R S R^T J^T + ``BLUR_PX2`` I. Pixel (column i, row j) has its centre at (i + 0.5, j + 0.5);
   the mean projects to K m / m_z + 0.5, since ``K`` counts pixel centres as whole numbers (OpenCV, ROS).
2. Alpha at offset d from the projected mean: a = min(``MOST_ALPHA``, sigmoid(logit) exp(-d^T C^-1 d / 2)); smaller
   than ``LEAST_ALPHA`` is nothing. A Gaussian reaches the tiles of ``TILE`` px that its ellipse a = LEAST_ALPHA
   touches.
3. Colour c = max(0, 0.5 + sum over k of Y_k(direction from the camera to the mean, world frame) harmonics_k).
4. Normal n: axis of the smallest scale (the first of equals), in the camera frame, turned towards the camera.
   Offset o = -n . m, never negative: how far the camera is from the Gaussian's plane.
5. Front to back by m_z (ties: by index): T = 1; for each Gaussian: if T (1 - a) < ``LEAST_LIGHT``: stop (it is not
   added); w = T a; colour += w c; offset += w o; normal += w n; T *= 1 - a. Then alpha = 1 - T and
   colour += T background. Offset and normal are sums, not divided by alpha.
6. Expected depth (Chen et al. 2024, PGSR, unbiased depth): where the ray r = ((j - cx) / fx, (i - cy) / fy, 1) of
   row i, column j meets the blended plane, offset / (-normal . r), if -normal . r > ``LEAST_COSINE`` alpha |r|. The
   mean of m_z would lie before a slanted surface: there the nearer splats hide the farther part of their neighbours.

Gradients are of exactly this: clamps and thresholds pass none, sorting is constant.
"""

NEAR_M = 0.1
NEAR_SIGMAS = 1.5
MARGIN = 0.3
BLUR_PX2 = 0.3
MOST_ALPHA = 0.99
LEAST_ALPHA = 1.0 / 255.0
LEAST_LIGHT = 0.9e-4  # two of MOST_ALPHA leave 1e-4, which no rounding brings below this
LEAST_COSINE = 0.02
TILE = 16
