# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Drives a recording through sequencer and odometry: the batch twin of the ROS node."""
