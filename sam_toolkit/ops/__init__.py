"""Native operators: images with boxes replaced, occlusion maps, and SSIM, ranks and sets of pixels of many maps.

Each has a compiled kernel (`csrc/`) and a plain PyTorch reference; the reference is used where the kernel is
not built or does not know the device or dtype, and where `SAM_TOOLKIT_OPS=reference` is set.
"""

from __future__ import annotations

from sam_toolkit.ops._library import Backend, calls, reset_calls, status
from sam_toolkit.ops.neighbourhoods import diverse_picks, overlaps, reach
from sam_toolkit.ops.occlusion import assemble, occlude, occlusion_map
from sam_toolkit.ops.rankings import average_ranks, descending_order, kendall
from sam_toolkit.ops.similarity import ssim, ssim_map

__all__ = [
    "Backend",
    "assemble",
    "average_ranks",
    "calls",
    "descending_order",
    "diverse_picks",
    "kendall",
    "occlude",
    "occlusion_map",
    "overlaps",
    "reach",
    "reset_calls",
    "ssim",
    "ssim_map",
    "status",
]
