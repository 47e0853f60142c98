"""Removal-based attributions: what removes players, what sums the predictions up, and what that bounds."""

from sam_toolkit.removal.method import RemovalBased

__all__ = ["RemovalBased"]
