"""Exact incremental occlusion: the logits of an image with windows hidden, of which only what changes is computed."""

from __future__ import annotations

from sam_toolkit.incremental.occlusion import IncrementalOcclusion
from sam_toolkit.incremental.plan import Request, Window
from sam_toolkit.incremental.saving import Saving, saving

__all__ = ["IncrementalOcclusion", "Request", "Saving", "Window", "saving"]
