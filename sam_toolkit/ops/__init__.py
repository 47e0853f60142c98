"""Native operators: images with boxes replaced, occlusion maps, and SSIM of many pairs of maps.

Each has a compiled kernel (`csrc/`) and a plain PyTorch reference; the reference is used where the kernel is
not built or does not know the device or dtype, and where `SAM_TOOLKIT_OPS=reference` is set.
"""

from __future__ import annotations

from sam_toolkit.ops._library import Backend, calls, reset_calls, status
from sam_toolkit.ops.occlusion import assemble, occlude, occlusion_map
from sam_toolkit.ops.similarity import ssim, ssim_map

__all__ = [
    "Backend",
    "assemble",
    "calls",
    "occlude",
    "occlusion_map",
    "reset_calls",
    "ssim",
    "ssim_map",
    "status",
]
