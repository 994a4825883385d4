# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from numba import njit
from scipy.spatial.transform import Rotation

from slam import eigen, morton, so3


def test_exp_and_log_agree_with_scipy_and_undo_each_other():
    rng = np.random.default_rng(0)
    for v in rng.normal(0, 1.5, (100, 3)):
        R = so3.exp(v)
        assert np.allclose(R, Rotation.from_rotvec(v).as_matrix(), atol=1e-12)
        assert np.allclose(so3.exp(so3.log(R)), R, atol=1e-9)


@pytest.mark.parametrize("v", [[1e-10, 0, 0], [0, np.pi, 0], [np.pi - 1e-9, 0, 0], [0.6 * np.pi, 0.0, -0.8 * np.pi]])
def test_log_holds_near_no_turn_and_near_half_a_turn(v):
    R = so3.exp(np.array(v))
    assert np.allclose(so3.exp(so3.log(R)), R, atol=1e-7)


def test_rounding_is_removed_from_a_rotation():
    R = so3.orthonormalised(so3.exp(np.array([0.3, -1.0, 0.2])) + 1e-6)
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-14) and np.linalg.det(R) > 0


@njit
def _round_trip(indices, out):
    keys = np.empty(len(indices), np.uint64)
    for i in range(len(indices)):
        keys[i] = morton.encode(indices[i, 0], indices[i, 1], indices[i, 2])
        out[i, 0], out[i, 1], out[i, 2] = morton.decode(keys[i])
    return keys


def test_morton_keys_come_back_from_kilometres_away_and_at_negative_coordinates():
    rng = np.random.default_rng(0)
    corners = np.array([[-morton.LIMIT] * 3, [morton.LIMIT - 1] * 3, [-1, 0, 1], [0, 0, 0]])
    indices = np.unique(np.vstack([corners, rng.integers(-morton.LIMIT, morton.LIMIT, (5000, 3))]), axis=0)
    out = np.empty_like(indices)
    keys = _round_trip(indices, out)
    assert np.array_equal(out, indices)
    assert len(np.unique(keys)) == len(indices)


def test_the_parent_voxel_has_the_key_without_its_last_three_bits():
    children = np.array([[6, 7, -8], [7, 6, -7]])
    parent = np.array([[3, 3, -4]])
    shift = np.array([[morton.LIMIT] * 3])
    halves = _round_trip(parent + shift // 2 - shift, np.empty((1, 3), np.int64))
    assert set((_round_trip(children, np.empty((2, 3), np.int64)) >> np.uint64(3)).tolist()) == set(halves.tolist())


def test_eigenvalues_and_vectors_agree_with_lapack():
    rng = np.random.default_rng(3)
    for scale in (1.0, 1e-3):
        for _ in range(200):
            root = rng.normal(size=(3, 3)) * np.array([1.0, 0.3, scale])
            M = root @ root.T
            parts = M[0, 0], M[0, 1], M[0, 2], M[1, 1], M[1, 2], M[2, 2]
            values = eigen.eigenvalues(*parts)
            expected, vectors = np.linalg.eigh(M)
            assert np.allclose(values, expected, atol=1e-9 * expected[2])
            assert abs(np.dot(eigen.eigenvector(*parts, values[0]), vectors[:, 0])) > 1 - 1e-6


def test_an_eigenvector_of_a_sphere_is_undefined_and_says_so():
    assert eigen.eigenvector(1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0) == (0.0, 0.0, 0.0)
