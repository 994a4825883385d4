# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Measurements of speed and accuracy against bars and peers.

``python -m bench`` runs them and writes docs/benchmarks.md. One module a topic: ``python -m bench city faults`` runs
two of them. Each leaves a JSON and a log under out/bench.
"""
