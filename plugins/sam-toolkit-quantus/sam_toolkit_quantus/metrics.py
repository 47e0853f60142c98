"""Quantus's metrics of a map, its image and the network."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from typing import Any

import quantus
from torch import Tensor

from sam_toolkit import Batch, ComponentError, Model, Rng
from sam_toolkit_quantus.base import QuantusMetric, Shape


class QuantusSparseness(QuantusMetric, of=quantus.Sparseness):
    """The Gini index of a map's magnitudes."""

    name = "quantus-sparseness"
    reference = "Chalasani et al., Concise Explanations of Neural Networks Using Adversarial Training, ICML 2020"


class QuantusComplexity(QuantusMetric, of=quantus.Complexity):
    """The entropy of a map's magnitudes."""

    name = "quantus-complexity"
    reference = "Bhatt et al., Evaluating and Aggregating Feature-based Model Explanations, IJCAI 2020"


class QuantusEffectiveComplexity(QuantusMetric, of=quantus.EffectiveComplexity):
    """How many magnitudes of a map exceed a threshold."""

    name = "quantus-effective-complexity"
    reference = "Nguyen and Martinez, On Quantitative Aspects of Model Interpretability, 2020, arXiv:2007.07584"


class QuantusPointingGame(QuantusMetric, of=quantus.PointingGame):
    """Whether the largest value lies in a box."""

    name = "quantus-pointing-game"
    reference = "Zhang et al., Top-down Neural Attention by Excitation Backprop, IJCV 2018"
    needs_boxes = True


class QuantusTopKIntersection(QuantusMetric, of=quantus.TopKIntersection):
    """The share of the k largest values that lie in a box."""

    name = "quantus-top-k-intersection"
    reference = "Theiner et al., Interpretable Semantic Photo Geolocation, WACV 2022"
    needs_boxes = True


class QuantusRelevanceMassAccuracy(QuantusMetric, of=quantus.RelevanceMassAccuracy):
    """The share of a map's sum that lies in a box."""

    name = "quantus-relevance-mass-accuracy"
    reference = "Arras et al., CLEVR-XAI, Information Fusion 2022, arXiv:2003.07258"
    needs_boxes = True


class QuantusRelevanceRankAccuracy(QuantusMetric, of=quantus.RelevanceRankAccuracy):
    """The share of the largest values, as many as pixels are boxed, that lie in a box."""

    name = "quantus-relevance-rank-accuracy"
    reference = "Arras et al., CLEVR-XAI, Information Fusion 2022, arXiv:2003.07258"
    needs_boxes = True


class QuantusAttributionLocalisation(QuantusMetric, of=quantus.AttributionLocalisation):
    """The share of a map's positive sum that lies in a box."""

    name = "quantus-attribution-localisation"
    reference = "Kohlbrenner et al., Towards Best Practice in Explaining Neural Network Decisions with LRP, IJCNN 2020"
    needs_boxes = True


class QuantusAUC(QuantusMetric, of=quantus.AUC):
    """The area under the ROC curve of a map that predicts what is boxed."""

    name = "quantus-auc"
    reference = "Fawcett, An Introduction to ROC Analysis, Pattern Recognition Letters 2006"
    needs_boxes = True


class InSteps(QuantusMetric):
    """A metric that changes the input in steps of some values, in the order of the map."""

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a step, and one for the image."""
        return 1 + ceil(prod(shape) / int(params.features_in_step))


class QuantusPixelFlipping(InSteps, of=quantus.PixelFlipping):
    """The mean score while the largest values are hidden, step by step."""

    name = "quantus-pixel-flipping"
    reference = "Bach et al., On Pixel-Wise Explanations by Layer-Wise Relevance Propagation, PLOS ONE 2015"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a step."""
        return super().cost(params, shape) - 1


class QuantusFaithfulnessEstimate(InSteps, of=quantus.FaithfulnessEstimate):
    """The correlation of what is hidden in each step with the drop of the score."""

    name = "quantus-faithfulness-estimate"
    reference = "Alvarez-Melis and Jaakkola, Towards Robust Interpretability, NeurIPS 2018"


class QuantusMonotonicity(InSteps, of=quantus.Monotonicity):
    """Whether the score never falls while values are put back, the smallest first."""

    name = "quantus-monotonicity"
    reference = "Arya et al., One Explanation Does Not Fit All, 2019, arXiv:1909.03012"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a step."""
        return super().cost(params, shape) - 1


class QuantusFaithfulnessCorrelation(QuantusMetric, of=quantus.FaithfulnessCorrelation):
    """The correlation of what random subsets sum to with the drop of the score when they are hidden."""

    name = "quantus-faithfulness-correlation"
    reference = "Bhatt et al., Evaluating and Aggregating Feature-based Model Explanations, IJCAI 2020"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row a subset, and one for the image."""
        return 1 + int(params.nr_runs)

    def draws(self, params: Any) -> bool:
        """Return True: subsets are drawn."""
        return True


class QuantusCompleteness(QuantusMetric, of=quantus.Completeness):
    """Whether the map sums to the drop of the score from the image to a baseline."""

    name = "quantus-completeness"
    reference = "Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, arXiv:1703.01365"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row for the image and one for the baseline."""
        return 2


class QuantusROAD(QuantusMetric, of=quantus.ROAD):
    """The mean accuracy while ever more of the largest values are imputed from their neighbours; of grey images."""

    name = "quantus-road"
    reference = "Rong et al., A Consistent and Efficient Evaluation Strategy for Attribution Methods, ICML 2022"

    def cost(self, params: Any, shape: Shape) -> int:
        """Return one row for each of the percentages 1, 3, ..., 99."""
        return 50

    def draws(self, params: Any) -> bool:
        """Return True: imputed values get noise."""
        return True

    def score(self, model: Model, batch: Batch, maps: Tensor, settings: Sequence[Any], rng: Rng) -> Tensor:
        """Return the scores `[S, M, N]`; raises ComponentError for images of several channels, as Quantus 0.6 fails."""
        if batch.images.shape[1] != 1:
            raise ComponentError(
                f"QuantusROAD: images must be grey, for Quantus takes ranks over all channels as places; got "
                f"{batch.images.shape[1]} channels."
            )
        return super().score(model, batch, maps, settings, rng)
