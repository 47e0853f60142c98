"""Sensitivity to hyperparameters and to noise as metrics of Quantus, by any similarity of sam_toolkit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import quantus
import torch
from quantus.helpers.enums import DataType, EvaluationCategory, ModelType, ScoreDirection
from torch import Tensor

from sam_toolkit import SSIM, ComponentError, LensRecall, PairMetric, Rng

_BASE: dict[str, Any] = {
    "abs": False,
    "normalise": False,
    "normalise_func": None,
    "normalise_func_kwargs": None,
    "return_aggregate": False,
    "aggregate_func": None,
    "default_plot_func": None,
    "disable_warnings": True,
    "display_progressbar": False,
}
"""The arguments that every metric of Quantus takes, with defaults."""
_CALL: dict[str, Any] = {
    "a_batch": None,
    "s_batch": None,
    "channel_first": True,
    "explain_func_kwargs": None,
    "model_predict_kwargs": None,
    "softmax": False,
}


class Similarity(quantus.Metric[Any]):  # type: ignore[misc]
    """What metrics have in common that explain anew and compare maps, each divided by its largest magnitude."""

    data_applicability = {DataType.IMAGE}  # noqa: RUF012 - as Quantus declares it
    model_applicability = {ModelType.TORCH}  # noqa: RUF012 - likewise
    score_direction = ScoreDirection.HIGHER
    evaluation_category = EvaluationCategory.ROBUSTNESS

    def __init__(self, similarity: PairMetric[Any], **kwargs: Any) -> None:
        """Take a similarity, and what every metric of Quantus takes."""
        super().__init__(**{**_BASE, **kwargs})
        self.similarity = similarity

    def __call__(self, model: Any, x_batch: np.ndarray, y_batch: np.ndarray, **kwargs: Any) -> Any:
        """Return a score an image, between those of unlike and of equal maps; 1 is best. Needs `explain_func`."""
        if kwargs.get("explain_func") is None:
            raise ComponentError(f"{type(self).__name__}: explain_func must be given, for it explains anew; got None.")
        asked = {**_CALL, **kwargs}
        asked["explain_func_kwargs"] = dict(asked["explain_func_kwargs"] or {})  # Quantus writes to it
        return super().__call__(model=model, x_batch=x_batch, y_batch=y_batch, **asked)

    def maps(self, model: Any, x_batch: np.ndarray, y_batch: np.ndarray) -> Tensor:
        """Return explanations as maps `[N, H, W]` with a largest magnitude of 1."""
        found = torch.from_numpy(np.asarray(self.explain_batch(model, x_batch, y_batch), dtype=np.float32)).mean(dim=1)
        largest = found.abs().amax(dim=(1, 2), keepdim=True)
        return found / largest.where(largest > 0, torch.ones_like(largest))


class HyperparameterSensitivity(Similarity):
    """The mean similarity of an explanation to itself under other settings, over all pairs of them.

    Bansal, Agarwal and Nguyen, SAM: The Sensitivity of Attribution Methods to Hyperparameters, CVPR 2020.
    """

    name = "Hyperparameter Sensitivity"

    def __init__(
        self, settings: Sequence[Mapping[str, Any]], similarity: PairMetric[Any] | None = None, **kwargs: Any
    ) -> None:
        """Take at least two mappings of keywords of `explain_func`; SSIM by default.

        Raises ComponentError where there are fewer.
        """
        if len(settings) < 2:
            raise ComponentError(f"HyperparameterSensitivity: settings must be two or more; got {len(settings)}.")
        super().__init__(similarity or SSIM(data_range=2.0), **kwargs)
        self.settings = [dict(setting) for setting in settings]

    def evaluate_batch(self, model: Any, x_batch: np.ndarray, y_batch: np.ndarray, **kwargs: Any) -> list[float]:
        """Return a mean similarity an image."""
        base, maps = self.explain_func_kwargs, []
        try:
            for setting in self.settings:
                self.explain_func_kwargs = {**base, **setting}
                maps.append(self.maps(model, x_batch, y_batch))
        finally:
            self.explain_func_kwargs = base
        scores = torch.stack([self.similarity(first, second) for first, second in combinations(maps, 2)])
        return [float(score) for score in scores.mean(dim=0)]


class InputSensitivity(Similarity):
    """The mean similarity of an explanation to that of noisy copies of the input; LENS-recall by default.

    Ning et al., LENS, AAAI 2024: a pixel of one map is found if one of the other's largest is in its neighbourhood.
    Copy i of an image is the same whatever else is in the batch.
    """

    name = "Input Sensitivity"

    def __init__(
        self,
        similarity: PairMetric[Any] | None = None,
        sigma: float = 0.05,
        copies: int = 5,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        """Take a similarity, the noise's standard deviation in the input's units, and how many copies there are."""
        super().__init__(similarity or LensRecall(k=100, w=1), **kwargs)
        self.sigma = sigma
        self.rng = Rng(seed).child("quantus")
        self.copies = copies

    def evaluate_batch(self, model: Any, x_batch: np.ndarray, y_batch: np.ndarray, **kwargs: Any) -> list[float]:
        """Return a mean similarity an image."""
        clean = self.maps(model, x_batch, y_batch)
        names = [image.tobytes().hex() for image in x_batch]
        scores = []
        for copy in range(self.copies):
            noise = np.stack([self.rng.normal(name, copy, x_batch.shape[1:]).numpy() for name in names])
            noisy = (x_batch + self.sigma * noise).astype(x_batch.dtype)
            scores.append(self.similarity(clean, self.maps(model, noisy, y_batch)))
        return [float(score) for score in torch.stack(scores).mean(dim=0)]
