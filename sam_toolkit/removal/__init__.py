"""Removal-based attributions: what removes players, what sums the predictions up, and what that bounds."""
