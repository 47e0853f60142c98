"""Whole studies against a user's script: `sam-toolkit bench study` from a checkout; options are the same."""

from __future__ import annotations

from sam_toolkit.bench.commands import study

if __name__ == "__main__":
    study()
