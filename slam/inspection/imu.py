# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""IMU: unit, saturation, bias at rest, gravity's direction, values that stand still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slam.imu_units import STANDARD_GRAVITY, accelerometer_unit
from slam.inspection.report import Finding, Severity

REST_GYRO_STD, REST_GYRO_MEAN, REST_ACCEL_STD = 0.02, 0.15, 0.2
BIAS_WARN, BIAS_BAD = 0.02, 0.1
LARGEST_RATE = 40.0  # rad/s; common ranges end at 2000 deg/s = 34.9
SATURATED_SAMPLES = 4
STUCK_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class ImuSeries:
    """All samples of an IMU: (N,) int64 stamps, (N, 3) gyro in rad/s, (N, 3) accel as the driver scales it."""

    stamps_ns: NDArray[np.int64]
    gyro: NDArray[np.float64]
    accel: NDArray[np.float64]


@np.errstate(all="ignore")  # damaged messages hold numbers such as 1e300
def imu_findings(
    series: ImuSeries, name: str, T_base_imu: NDArray[np.float64] | None
) -> tuple[list[Finding], dict[str, Any]]:
    """Verdicts on the values of an IMU, and the numbers behind them."""
    finite = np.isfinite(series.gyro).all(axis=1) & np.isfinite(series.accel).all(axis=1)
    lost = int((~finite).sum())
    findings = [Finding(Severity.BAD, name, f"{lost} samples hold NaN or inf", "They are dropped.")] if lost else []
    gyro, accel, stamps = series.gyro[finite], series.accel[finite], series.stamps_ns[finite]
    if not len(gyro):
        return [*findings, Finding(Severity.BAD, name, "no finite sample")], {}
    scale, sentence = accelerometer_unit(np.linalg.norm(accel, axis=1))
    unclear = "warning" in sentence
    findings.append(Finding(Severity.WARN if unclear else Severity.OK, name, sentence.removeprefix("warning: ")))
    accel = accel * scale
    findings += [*_saturation(gyro, accel, name), *_stuck(gyro, accel, name), *_degrees(gyro, name)]
    rest = rest_windows(stamps, gyro, accel)
    findings += _at_rest(rest, name, T_base_imu)
    numbers = {"accel_scale": scale, "largest_rate_rad_s": float(np.abs(gyro).max()), "rest_windows": len(rest)}
    if len(rest):
        numbers["gyro_bias_rad_s"] = np.median(rest[:, :3], axis=0).tolist()
    return findings, numbers


def rest_windows(stamps_ns: NDArray, gyro: NDArray, accel: NDArray) -> NDArray[np.float64]:
    """(W, 6) mean gyro and accel of each second in which the sensor did not move."""
    second = ((stamps_ns - stamps_ns[0]) // 1_000_000_000).astype(np.int64)
    edges = np.flatnonzero(np.diff(second)) + 1
    means = []
    for g, a in zip(np.split(gyro, edges), np.split(accel, edges), strict=True):
        still = g.std(axis=0).max() < REST_GYRO_STD and a.std(axis=0).max() < REST_ACCEL_STD
        if len(g) >= 5 and still and np.linalg.norm(g.mean(axis=0)) < REST_GYRO_MEAN:
            means.append(np.concatenate([g.mean(axis=0), a.mean(axis=0)]))
    return np.array(means).reshape(-1, 6)


def _at_rest(rest: NDArray, name: str, T_base_imu: NDArray | None) -> list[Finding]:
    if not len(rest):
        return [Finding(Severity.OK, name, "never at rest for a second: gyroscope bias not measured")]
    bias, force = np.median(rest[:, :3], axis=0), np.median(rest[:, 3:], axis=0)
    size = float(np.linalg.norm(bias))
    text = f"gyroscope at rest {bias[0]:+.4f} {bias[1]:+.4f} {bias[2]:+.4f} rad/s ({len(rest)} s of rest)"
    severity = Severity.BAD if size > BIAS_BAD else Severity.WARN if size > BIAS_WARN else Severity.OK
    remedy = "" if severity is Severity.OK else "Large: it is estimated, but let the robot stand still at first."
    return [Finding(severity, name, text, remedy), *_gravity(force, name, T_base_imu)]


def _gravity(force: NDArray, name: str, T_base_imu: NDArray | None) -> list[Finding]:
    """At rest the specific force points up, along +z of base_link on level ground."""
    if T_base_imu is None:
        return []
    up = T_base_imu[:3, :3] @ force / STANDARD_GRAVITY
    if up[2] > 0.7:
        return []
    axes = f"({up[0]:+.2f}, {up[1]:+.2f}, {up[2]:+.2f}) g in base_link"
    remedy = "The IMU's rotation in tf_static is wrong, or the driver flips the sign of gravity (REP-145)."
    return [Finding(Severity.BAD if up[2] < -0.3 else Severity.WARN, name, f"at rest it feels {axes}, not +z", remedy)]


def _saturation(gyro: NDArray, accel: NDArray, name: str) -> list[Finding]:
    found = []
    for what, values, least, unit in (("gyroscope", gyro, 2.0, "rad/s"), ("accelerometer", accel, 18.0, "m/s^2")):
        limit = float(np.abs(values).max())
        count = int((np.abs(values) >= 0.9999 * limit).any(axis=1).sum())
        if limit > least and count >= SATURATED_SAMPLES:
            text = f"{what} saturated: {count} samples at {limit:.2f} {unit}"
            found.append(Finding(Severity.WARN, name, text, "Set a larger measuring range, or damp the mount."))
    return found


def _stuck(gyro: NDArray, accel: NDArray, name: str) -> list[Finding]:
    same = (np.diff(gyro, axis=0) == 0).all(axis=1) & (np.diff(accel, axis=0) == 0).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], same.astype(np.int8), [0]])))
    longest = int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
    if longest < STUCK_SAMPLES:
        return []
    text = f"the same values {longest + 1} times in a row"
    return [Finding(Severity.WARN, name, text, "A frozen driver? A simulator without noise does this at rest.")]


def _degrees(gyro: NDArray, name: str) -> list[Finding]:
    largest = float(np.abs(gyro).max())
    if largest <= LARGEST_RATE:
        return []
    text = f"turn rates up to {largest:.0f} rad/s"
    return [Finding(Severity.BAD, name, text, "Degrees per second? REP-103 wants rad/s: scale them in the driver.")]
