"""Meaningful Perturbation as a user's script has it: autograd and PyTorch's Adam, one setting at a time."""

from __future__ import annotations

from math import ceil

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import interpolate, pad

from sam_toolkit.bench.script import Network, Seen, Way
from sam_toolkit.methods.meaningful_perturbation import MeaningfulPerturbationParams

_TUNED_SIZE = 28


def meaningful_perturbation(net: Network, seen: Seen, setting: MeaningfulPerturbationParams, way: Way) -> Tensor:
    """Return the map `[H, W]` of Fong and Vedaldi (2017), in the default fill, scaling and upsampling of ours."""
    scene = _Scene(net, seen, setting)
    mask = scene.start(way).double().requires_grad_()
    adam = torch.optim.Adam([mask], lr=setting.learning_rate, betas=(setting.beta1, setting.beta2), eps=setting.epsilon)
    for step in range(setting.iterations):
        adam.zero_grad()
        scene.loss(mask, step).backward()
        adam.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
    whole = scene.enlarged(mask.detach()[None])[0, 0].numpy()
    return torch.from_numpy(1 - gaussian_filter(whole, setting.map_sigma, mode="nearest")).clamp(0, 1).float()


class _Scene:
    def __init__(self, net: Network, seen: Seen, setting: MeaningfulPerturbationParams) -> None:
        self.net, self.seen, self.setting = net, seen, setting
        sigma = (0, setting.blur_sigma, setting.blur_sigma)
        blurred = torch.from_numpy(gaussian_filter(seen.image.numpy(), sigma, mode="nearest"))
        self.shown, self.hidden = seen.inputs(seen.image), seen.inputs(blurred)
        self.share = (_TUNED_SIZE / setting.mask_size) ** 2
        self.stream = seen.draws("meaningful-perturbation")

    def enlarged(self, masks: Tensor) -> Tensor:
        """Return masks `[N, size, size]` as `[N, 1, H, W]`."""
        return interpolate(masks[:, None], size=self.shown.shape[-2:], mode="nearest")

    def under(self, masks: Tensor) -> Tensor:
        weight = self.enlarged(masks).to(self.shown)
        return self.shown * weight + self.hidden * (1 - weight)

    def loss(self, mask: Tensor, step: int) -> Tensor:
        setting, seen = self.setting, self.seen
        stream = self.stream.child("jitter", setting.seed)
        down, right = torch.randint(setting.jitter, (2,), generator=stream.generator(seen.name, step)).tolist()
        height, width = self.shown.shape[-2:]
        moved = pad(self.under(mask[None]), (setting.jitter // 2,) * 4, mode="replicate")
        score = self.net(moved[:, :, down : down + height, right : right + width]).softmax(dim=1)[0, seen.target]
        rough = (mask[1:] - mask[:-1]).abs().pow(setting.tv_exponent).sum()
        rough = rough + (mask[:, 1:] - mask[:, :-1]).abs().pow(setting.tv_exponent).sum()
        return self.share * (setting.l1 * (1 - mask).abs().sum() + setting.tv * rough) + score

    def start(self, way: Way) -> Tensor:
        size = self.setting.mask_size
        if self.setting.init == "ones":
            return torch.ones(size, size)
        if self.setting.init == "random":
            return self.stream.child("init", self.setting.seed).uniform(self.seen.name, 0, (size, size))
        masks = self._discs()
        scores = torch.cat([
            self.net.probabilities(self.under(part))[:, self.seen.target].double() for part in masks.split(way.batch)
        ])  # fmt: skip
        left = (scores - scores[-1]) / (scores[0] - scores[-1])
        enough = left < 1 - self.setting.suppression
        enough[-1] = True
        return masks[int(enough.byte().argmax())]

    def _discs(self) -> Tensor:
        """Return masks `[R, size, size]` with ever larger blurred discs in the middle, up to all of the image."""
        size, side = self.setting.mask_size, self.shown.shape[-1]
        middles = (np.arange(size) + 0.5 - size / 2) * side / size
        distances = np.hypot(middles[:, None], middles)
        radii = self.setting.circle_step * np.arange(ceil(np.hypot(side, side) / 2 / self.setting.circle_step) + 1)
        discs = (distances < radii[:, None, None]).astype(np.float64)
        sigma = self.setting.circle_sigma * size / side
        return 1 - torch.from_numpy(gaussian_filter(discs, (0, sigma, sigma), mode="nearest"))
