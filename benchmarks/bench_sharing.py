"""How the cost of a study grows: `sam-toolkit bench sharing` from a checkout; options are the same."""

from __future__ import annotations

from sam_toolkit.bench.commands import sharing

if __name__ == "__main__":
    sharing()
