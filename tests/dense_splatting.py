# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The rasteriser's oracle: every Gaussian at every pixel, in torch, with torch's own gradients.

What ``slam.splatting`` says, word by word, without tiles, ellipses' extents or hand-made derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from slam.splatting import BLUR_PX2, LEAST_ALPHA, LEAST_COSINE, LEAST_LIGHT, MARGIN, MOST_ALPHA, NEAR_M, NEAR_SIGMAS
from slam.splatting.gaussians import C0, Gaussians
from slam.splatting.view import View

CHUNK = 4096
"""Pixels blended at once."""


@dataclass(frozen=True)
class Dense:
    """The pictures as tensors, and the leaves that gradients reach: parameters and the pose [phi, rho].

    ``depth`` is the expected depth, 0 where the blended plane has none.
    """

    colour: torch.Tensor
    depth: torch.Tensor
    offset: torch.Tensor
    normal: torch.Tensor
    alpha: torch.Tensor
    contribution: torch.Tensor
    leaves: Gaussians
    pose: torch.Tensor

    def gradients(self, d_colour, d_depth, d_alpha, d_normal) -> tuple[list[np.ndarray], np.ndarray]:
        """By each of the leaves, and by the pose."""
        loss = sum(
            (picture * torch.as_tensor(d)).sum()
            for picture, d in zip(
                (self.colour, self.depth, self.alpha, self.normal), (d_colour, d_depth, d_alpha, d_normal), strict=True
            )
        )
        *by_leaf, by_pose = torch.autograd.grad(loss, [*self.leaves, self.pose])
        return [gradient.numpy() for gradient in by_leaf], by_pose.numpy()


def skew(v: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros((), dtype=v.dtype)
    return torch.stack([zero, -v[2], v[1], v[2], zero, -v[0], -v[1], v[0], zero]).reshape(3, 3)


def rotations(quats: torch.Tensor) -> torch.Tensor:
    x, y, z, w = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def spherical_harmonics(directions: torch.Tensor, count: int) -> torch.Tensor:
    x, y, z = directions.unbind(-1)
    c1, (c20, c21, c22) = 0.4886025119029199, (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
    c30, c31, c32 = 0.5900435899266435, 2.890611442640554, 0.4570457994644658
    c33, c34 = 0.3731763325901154, 1.445305721320277
    terms = [
        torch.full_like(x, C0), -c1 * y, c1 * z, -c1 * x,
        c20 * x * y, -c20 * y * z, c21 * (2 * z * z - x * x - y * y), -c20 * x * z, c22 * (x * x - y * y),
        -c30 * y * (3 * x * x - y * y), c31 * x * y * z, -c32 * y * (4 * z * z - x * x - y * y),
        c33 * z * (2 * z * z - 3 * x * x - 3 * y * y), -c32 * x * (4 * z * z - x * x - y * y),
        c34 * z * (x * x - y * y), -c30 * x * (x * x - 3 * y * y),
    ]  # fmt: skip
    return torch.stack(terms[:count], -1)


def screen_covariances(m: torch.Tensor, S: torch.Tensor, view: View) -> torch.Tensor:
    """C = J S J^T + blur, S in the camera frame."""
    fx, fy, cx, cy = view.K[0, 0], view.K[1, 1], view.K[0, 2], view.K[1, 2]
    more_x, more_y = MARGIN * view.width / (2 * fx), MARGIN * view.height / (2 * fy)
    z = m[:, 2]
    x = z * (m[:, 0] / z).clamp(-(cx / fx + more_x), (view.width - cx) / fx + more_x)
    y = z * (m[:, 1] / z).clamp(-(cy / fy + more_y), (view.height - cy) / fy + more_y)
    zero = torch.zeros_like(z)
    J = torch.stack([fx / z, zero, -fx * x / z**2, zero, fy / z, -fy * y / z**2], -1).reshape(-1, 2, 3)
    return J @ S @ J.transpose(1, 2) + BLUR_PX2 * torch.eye(2, dtype=m.dtype)


def blend(pixels, centres, conics, opacities, values):
    """Channels (P, C), the light left (P,) and the weights' sums (N,) of pixels (P, 2), Gaussians nearest first."""
    d = pixels[:, None] - centres
    xx, xy, yy = conics[:, 0, 0], conics[:, 0, 1], conics[:, 1, 1]
    power = -0.5 * (xx * d[..., 0] ** 2 + yy * d[..., 1] ** 2) - xy * d[..., 0] * d[..., 1]
    a = (opacities * power.exp()).clamp(max=MOST_ALPHA)
    a = torch.where(a < LEAST_ALPHA, torch.zeros_like(a), a)
    left = torch.cumprod(1 - a, 1)
    # Light never grows, so the first that falls below the bar stops the pixel, and all after it are below it too.
    a = torch.where(left < LEAST_LIGHT, torch.zeros_like(a), a)
    left = torch.cumprod(1 - a, 1)
    before = torch.cat([torch.ones_like(left[:, :1]), left[:, :-1]], 1)
    weights = before * a
    return weights @ values, left[:, -1] if left.shape[1] else torch.ones(len(pixels), dtype=a.dtype), weights.sum(0)


def render(gaussians: Gaussians, view: View, background=(0.0, 0.0, 0.0), dtype=torch.float64) -> Dense:
    """All pictures; every Gaussian in front of the near plane must be finite."""
    leaves = Gaussians(*(torch.tensor(array, dtype=dtype, requires_grad=True) for array in gaussians))
    pose = torch.zeros(6, dtype=dtype, requires_grad=True)
    R0, t0 = (
        torch.tensor(view.T_camera_world[:3, :3], dtype=dtype),
        torch.tensor(view.T_camera_world[:3, 3], dtype=dtype),
    )
    turn = torch.eye(3, dtype=dtype) + skew(pose[:3])
    R, t = turn @ R0, turn @ t0 + pose[3:]
    m = leaves.means @ R.T + t
    near_first = np.argsort(m[:, 2].detach().numpy(), kind="stable")
    order = torch.as_tensor(near_first[m[near_first, 2].detach().numpy() > NEAR_M])
    deep = (R @ rotations(leaves.quats[order]) * leaves.log_scales[order].exp()[:, None])[:, 2].norm(dim=1)
    order = order[(NEAR_SIGMAS * deep < m[order, 2]).detach()]
    m, log_scales = m[order], leaves.log_scales[order]
    axes = R @ rotations(leaves.quats[order])
    spread = axes * log_scales.exp()[:, None]
    C = screen_covariances(m, spread @ spread.transpose(1, 2), view)
    centres = torch.stack([view.K[k, k] * m[:, k] / m[:, 2] + view.K[k, 2] + 0.5 for k in range(2)], -1)
    normals = _normals(axes, log_scales, m)
    offsets = -(normals * m).sum(1, keepdim=True)
    values = torch.cat([_colours(leaves, order, R, R0, t), offsets, normals], 1)
    opacities = torch.sigmoid(leaves.logits[order])
    pixels = torch.stack(torch.meshgrid(torch.arange(view.height), torch.arange(view.width), indexing="ij"), -1)
    pixels = pixels.reshape(-1, 2).flip(-1).to(dtype) + 0.5
    parts = [blend(part, centres, torch.linalg.inv(C), opacities, values) for part in pixels.split(CHUNK)]
    channels, light = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    colour = channels[:, :3] + light[:, None] * torch.tensor(background, dtype=dtype)
    size = (view.height, view.width)
    contribution = torch.zeros(gaussians.size, dtype=dtype)
    contribution[order] = sum(part[2] for part in parts).detach()
    depth = _depths(pixels, channels[:, 3], channels[:, 4:], 1 - light, view)
    return Dense(
        colour.reshape(*size, 3), depth.reshape(size), channels[:, 3].reshape(size), channels[:, 4:].reshape(*size, 3),
        (1 - light).reshape(size), contribution, leaves, pose,
    )  # fmt: skip


def _depths(pixels, offset, normal, alpha, view: View) -> torch.Tensor:
    """(P,) where the rays through pixels (P, 2) meet the blended plane, 0 where that is all but edge on."""
    f, c = torch.as_tensor(view.K[[0, 1], [0, 1]]), torch.as_tensor(view.K[:2, 2])
    rays = torch.cat([(pixels - 0.5 - c) / f, torch.ones_like(pixels[:, :1])], 1).to(pixels.dtype)
    facing = -(normal * rays).sum(1)
    known = facing > LEAST_COSINE * alpha * rays.norm(dim=1)
    return torch.where(known, offset / torch.where(known, facing, torch.ones_like(facing)), torch.zeros_like(facing))


def _colours(leaves: Gaussians, order, R, R0, t) -> torch.Tensor:
    """Seen from the camera's centre; the turned R is a rotation to first order alone, and so is undone by solving."""
    turn = R @ R0.T
    position = -R0.T @ torch.linalg.solve(turn, t)
    directions = torch.nn.functional.normalize(leaves.means[order] - position, dim=-1)
    bases = spherical_harmonics(directions, leaves.harmonics.shape[1])
    return (0.5 + torch.einsum("nk,nkc->nc", bases, leaves.harmonics[order])).clamp(min=0)


def _normals(axes, log_scales, m) -> torch.Tensor:
    """The axis of the smallest scale, towards the camera."""
    thinnest = log_scales.detach().numpy().argmin(1)
    normals = axes[torch.arange(len(axes)), :, torch.as_tensor(thinnest)]
    away = (normals * m).sum(-1, keepdim=True) > 0
    return torch.where(away, -normals, normals)
