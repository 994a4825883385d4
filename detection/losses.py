# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The losses of all heads (SparseFusion section 3.5; Lin et al. 2017; Law and Deng 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from detection.batch import Batch
from detection.camera_branch import MonoCandidates, lifted
from detection.config import LossConfig, ModelConfig
from detection.heads import Candidates
from detection.model import Outputs
from detection.targets import FOCAL_ALPHA, FOCAL_GAMMA, Truth, bev_peaks, cell_targets, image_peaks, matched, truth_of


def losses(outputs: Outputs, batch: Batch, config: ModelConfig, loss: LossConfig) -> dict[str, Tensor]:
    """Every term by name, weighted, and their sum as ``total``.

    All samples of the batch must have truth.
    """
    truths = [truth_of(batch, number, config) for number in range(len(batch))]
    device = outputs.bev_heat.device
    found = {"bev_heat": loss.heatmap * peak_loss(outputs.bev_heat, bev_peaks(truths, config, loss).to(device))}
    found["bev_box"] = cell_loss(outputs.bev_code, truths, loss)
    met = [truth.by_points for truth in truths]
    found |= _named("lidar", box_losses(outputs.lidar, truths, met, config, loss))
    if outputs.mono is not None and outputs.camera is not None:
        shapes = [(heat.shape[-2], heat.shape[-1]) for heat in outputs.image_heats]
        wanted = image_peaks(truths, shapes, config, loss)
        flat = [torch.cat([h.flatten(3) for h in group], dim=-1) for group in (outputs.image_heats, wanted)]
        seen = batch.seen[:, :, None, None]
        found["image_heat"] = loss.heatmap * peak_loss(flat[0].masked_fill(~seen, -20.0), flat[1].to(device))
        found |= _named("mono", mono_losses(outputs.mono, truths, batch, config, loss))
        shown = [truth.shown.any(axis=0) for truth in truths]
        found |= _named("camera", box_losses(outputs.camera, truths, shown, config, loss))
    either = [truth.by_points | truth.shown.any(axis=0) for truth in truths]
    found |= _named("fused", box_losses(outputs.fused, truths, either, config, loss))
    found["total"] = torch.stack(list(found.values())).sum()
    return found


def _named(head: str, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{head}_{name}": value for name, value in terms.items()}


def peak_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Penalty-reduced focal loss of heatmaps: near a peak, a high score costs less; a peak's share each."""
    score = logits.float().sigmoid()
    hit = wanted == 1.0
    right = -functional.logsigmoid(logits.float()) * (1.0 - score) ** 2 * hit
    wrong = -functional.logsigmoid(-logits.float()) * score**2 * (1.0 - wanted) ** 4 * ~hit
    return (right.sum() + wrong.sum()) / hit.sum().clamp(min=1)


def focal_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """(...,) focal loss of logits for 0 or 1, not summed (Lin et al. 2017, equation 5)."""
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    score = logits.sigmoid()
    missed = wanted * (1.0 - score) + (1.0 - wanted) * score
    return plain * missed**FOCAL_GAMMA * (wanted * FOCAL_ALPHA + (1.0 - wanted) * (1.0 - FOCAL_ALPHA))


def box_losses(
    found: Candidates, truths: list[Truth], known: Sequence[NDArray], config: ModelConfig, loss: LossConfig
) -> dict[str, Tensor]:
    """``classes`` and ``box`` of a head whose boxes stand in base_link."""
    absolute = found.absolute().float()
    logits = found.logits.float()
    pairs = [
        matched(*(_numpy(x[n]) for x in (logits, absolute, found.valid)), truth, known[n], config, loss)
        for n, truth in enumerate(truths)
    ]
    wanted = [truth.code[box] for truth, (_, box) in zip(truths, pairs, strict=True)]
    error = _code_error(_taken(absolute, pairs), wanted, _code_weight(loss))
    return {"classes": loss.classes * _class_loss(logits, found.valid, truths, pairs), "box": loss.box * error}


def cell_loss(code: Tensor, truths: list[Truth], loss: LossConfig) -> Tensor:
    """Error of the codes (B, 12, H, W) that cells give, over those next to the centre of a box that the LiDAR met."""
    sample, cell, wanted = cell_targets(truths, (code.shape[-2], code.shape[-1]))
    at = [torch.from_numpy(index).to(code.device) for index in (sample, cell[:, 1], cell[:, 0])]
    given = code.float().permute(0, 2, 3, 1)[at[0], at[1], at[2]]
    return loss.box * _code_error(given, [wanted], _code_weight(loss))


def mono_losses(
    found: MonoCandidates, truths: list[Truth], batch: Batch, config: ModelConfig, loss: LossConfig
) -> dict[str, Tensor]:
    """``classes`` and ``box`` of the candidates in front of their cameras; each answers in its own picture alone."""
    size = (config.image_height, config.image_width)
    with torch.no_grad():
        box = lifted(found, batch, size).float()
        cells = (box[..., :2] - box.new_tensor(config.low_m[:2])) / config.bev_cell_m
        absolute = torch.cat([cells, box[..., 2:]], dim=-1)
    logits, view = found.logits.float(), _numpy(found.view)
    pairs = [
        matched(*(_numpy(x[n]) for x in (logits, absolute, found.valid)), truth, truth.shown[view[n]], config, loss)
        for n, truth in enumerate(truths)
    ]
    wanted = [
        truth.mono[view[n][candidate], box]
        for n, (truth, (candidate, box)) in enumerate(zip(truths, pairs, strict=True))
    ]
    rest = loss.camera / loss.centre_2d
    weight = [1.0] * 2 + [rest * loss.depth] + [rest] * 5 + [rest * loss.velocity] * 2 + [rest] * 2
    error = _code_error(_taken(found.code.float(), pairs), wanted, weight)
    return {"classes": loss.classes * _class_loss(logits, found.valid, truths, pairs), "box": loss.centre_2d * error}


def _code_weight(loss: LossConfig) -> list[float]:
    return [1.0] * 8 + [loss.velocity] * 2 + [1.0] * 2


def _taken(code: Tensor, pairs: list[tuple[NDArray, NDArray]]) -> Tensor:
    """(M, 12) codes of the matched candidates, out of (B, Q, 12)."""
    rows = np.concatenate([np.full(len(candidate), n) for n, (candidate, _) in enumerate(pairs)]).astype(np.int64)
    columns = np.concatenate([candidate for candidate, _ in pairs]).astype(np.int64)
    return code[torch.from_numpy(rows).to(code.device), torch.from_numpy(columns).to(code.device)]


def _code_error(given: Tensor, wanted: list[NDArray], weight: list[float]) -> Tensor:
    """Weighted absolute error of (M, 12) codes, summed over entries, its mean; unknown (NaN) entries are left out."""
    target = torch.from_numpy(np.concatenate(wanted)).to(given)
    known = torch.isfinite(target)
    error = (given - torch.where(known, target, given.detach())).abs() * given.new_tensor(weight) * known
    return error.sum() / max(len(target), 1)


def _class_loss(logits: Tensor, valid: Tensor, truths: list[Truth], pairs: list[tuple[NDArray, NDArray]]) -> Tensor:
    wanted = torch.zeros_like(logits)
    for n, (candidate, box) in enumerate(pairs):
        wanted[n, torch.from_numpy(candidate), torch.from_numpy(truths[n].boxes.label[box])] = 1.0
    count = max(sum(len(candidate) for candidate, _ in pairs), 1)
    return (focal_loss(logits, wanted) * valid[..., None]).sum() / count


def _numpy(x: Tensor) -> NDArray:
    return x.detach().cpu().numpy()
