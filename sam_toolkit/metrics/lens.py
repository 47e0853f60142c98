"""LENS: top-k intersection that forgives shifts by a few pixels."""

from __future__ import annotations

from sam_toolkit.metrics.top_k import TopKMetric, TopKParams


class LensRecall(TopKMetric[TopKParams]):
    """The share of the second map's k best pixels, ties by lower index, that lie in windows around those of the first.

    Diverse sets that find fewer than k pixels count by what was found. The chance level is exact for pixels drawn at
    random: the share of the map that the windows cover.
    """

    name = "lens-recall"


class LensPrecision(TopKMetric[TopKParams]):
    """The share of the first map's k best pixels, ties by lower index, that lie in windows around those of the second.

    It is the recall of the two maps exchanged.
    """

    name = "lens-precision"
    counts_second = False
