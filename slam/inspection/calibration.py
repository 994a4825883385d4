# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Calibration that cannot be right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slam.calibration import Calibration, Camera
from slam.inspection.report import Finding, Severity

LARGEST_DISTANCE_M = 10.0
ORTHONORMAL = 1e-3
FOCAL_OF_WIDTH = (0.2, 10.0)
SUBJECT = "calibration"


@np.errstate(all="ignore")  # damaged messages hold numbers such as 1e300
def calibration_findings(calibration: Calibration, has_imu: bool) -> list[Finding]:
    """Verdicts on extrinsics and intrinsics."""
    findings = [_source(calibration)]
    findings += _transform(calibration.T_base_lidar, "T_base_lidar")
    if calibration.T_base_imu is not None:
        findings += _transform(calibration.T_base_imu, "T_base_imu")
    elif has_imu:
        remedy = "Publish tf_static to the IMU's frame, or set recording.T_base_imu; else the IMU is of little use."
        findings.append(Finding(Severity.BAD, SUBJECT, "nobody says where the IMU sits", remedy))
    for name, camera in calibration.cameras.items():
        findings += _transform(camera.T_base_camera, f"camera {name}") + _camera(camera, name)
    return findings


def _source(calibration: Calibration) -> Finding:
    if calibration.source.startswith("identity"):
        remedy = "Record tf_static, or set recording.T_base_lidar and T_base_imu in the configuration."
        return Finding(Severity.WARN, SUBJECT, f"extrinsics are {calibration.source}", remedy)
    return Finding(Severity.OK, SUBJECT, f"extrinsics from {calibration.source}")


def _transform(T: NDArray[np.float64], name: str) -> list[Finding]:
    if not np.isfinite(T).all():
        return [Finding(Severity.BAD, SUBJECT, f"{name} holds NaN or inf", "Repair it in tf_static.")]
    found = []
    R, t = T[:3, :3], T[:3, 3]
    error, size = float(np.abs(R @ R.T - np.eye(3)).max()), float(np.linalg.norm(t))
    if error > ORTHONORMAL or np.linalg.det(R) < 0:
        text = f"the rotation of {name} is none: R R^T is off by {error:.2g}, det {np.linalg.det(R):.3f}"
        found.append(Finding(Severity.BAD, SUBJECT, text, "Calibrate again, or normalise the quaternion."))
    if size > LARGEST_DISTANCE_M:
        text = f"{name} moves by {size:.1f} m"
        found.append(Finding(Severity.BAD, SUBJECT, text, "Metres, not millimetres; and no map or odom frame in it."))
    return found


def _camera(camera: Camera, name: str) -> list[Finding]:
    K, width, height = camera.K, camera.width, camera.height
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    wrong = []
    if width and not FOCAL_OF_WIDTH[0] <= fx / width <= FOCAL_OF_WIDTH[1]:
        wrong.append(f"fx {fx:.4g} px for a width of {width} px")
    if not 0.5 <= fy / fx <= 2.0:
        wrong.append(f"fx {fx:.4g} and fy {fy:.4g} px differ")
    if width and not (0.2 * width <= cx <= 0.8 * width and 0.2 * height <= cy <= 0.8 * height):
        wrong.append(f"principal point ({cx:.4g}, {cy:.4g}) px of {width} x {height}")
    if np.abs(camera.distortion).max() > 10:
        wrong.append(f"distortion up to {np.abs(camera.distortion).max():.3g}")
    if not wrong:
        return [Finding(Severity.OK, f"camera {name}", f"fx {fx:.1f} px of {width} x {height}")]
    remedy = "camera_info of another resolution, or never calibrated?"
    return [Finding(Severity.BAD, f"camera {name}", "; ".join(wrong), remedy)]
