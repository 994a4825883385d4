# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a vehicle tells its memory as it drives, and what it answers from there."""
