# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The Gaussian map: what the camera adds to the plane map, kept in its octree, optimised in a sliding window."""
