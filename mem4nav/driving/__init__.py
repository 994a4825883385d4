# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Following written directions by driving: streets and crossings from the LiDAR, landmarks from the detector."""
