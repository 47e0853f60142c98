"""Methods with one planted fault each, and a sound one, for the conformance checks."""

from __future__ import annotations

from itertools import count

import numpy as np
import torch
from torch import Tensor

from sam_toolkit.component import MapFacts, Method
from sam_toolkit.rng import Rng
from sam_toolkit.types import Batch, Params, field

_calls = count()


class SmoothParams(Params):
    samples: int = field(4, ge=1, help="noisy copies")
    seed: int = field(0, ge=0, help="of the noise")


class Smooth(Method[SmoothParams]):
    """The mean gradient over noisy copies, nested in their number; sound, and the base of what is not."""

    name = "smooth"
    reference = "none"
    gradients = True

    def shares(self, params):
        return frozenset({"samples"})

    def rows(self, settings, shape):
        return max(setting.samples for setting in settings)

    def maps(self, model, batch, settings, rng):
        means = self.running_means(model, batch, settings, rng)
        return torch.stack([self.reduce(means[setting.samples - 1]) for setting in settings])

    def running_means(self, model, batch, settings, rng):
        samples = max(setting.samples for setting in settings)
        inputs = model.inputs(batch.images)
        stream = self.stream(rng, settings[0])

        def build(start: int, stop: int) -> Tensor:
            rows = [divmod(row, samples) for row in range(start, stop)]
            noise = [stream.normal(self.address(batch, n), i, inputs.shape[1:]) for n, i in rows]
            return inputs[[n for n, _ in rows]] + 0.1 * torch.stack(noise)

        passes = model.gradients(build, batch.targets.repeat_interleave(samples), "logit")
        gradients = torch.cat([gradient for _, gradient in passes]).unflatten(0, (-1, samples))
        return (gradients.cumsum(1) / torch.arange(1, samples + 1).view(-1, 1, 1, 1)).transpose(0, 1)

    def stream(self, rng: Rng, setting: SmoothParams) -> Rng:
        return rng.child(setting.seed)

    def address(self, batch: Batch, image: int) -> str:
        return batch.ids[image]

    def reduce(self, gradients: Tensor) -> Tensor:
        return gradients.mean(1)


class GroupChangesSettings(Smooth):
    """Every setting gets the map of the longest."""

    def maps(self, model, batch, settings, rng):
        means = self.running_means(model, batch, settings, rng)
        return self.reduce(means[-1]).expand(len(settings), -1, -1, -1)


class MixesUpSettings(Smooth):
    """The maps come back sorted by samples; singles are right."""

    def maps(self, model, batch, settings, rng):
        return super().maps(model, batch, sorted(settings, key=lambda one: -one.samples), rng)


class WritesToImages(Smooth):
    """The images are changed."""

    def maps(self, model, batch, settings, rng):
        result = super().maps(model, batch, settings, rng)
        batch.images.mul_(0.5)
        return result


class LeavesHook(Smooth):
    """A hook stays."""

    def maps(self, model, batch, settings, rng):
        model.module[0].register_full_backward_hook(lambda *_: None)
        return super().maps(model, batch, settings, rng)


class LeavesEvaluationMode(Smooth):
    """The network does not go back to training."""

    def maps(self, model, batch, settings, rng):
        model.module.eval()
        return super().maps(model, batch, settings, rng)


class LeavesGradients(Smooth):
    """Parameters have a gradient afterwards."""

    def maps(self, model, batch, settings, rng):
        with torch.enable_grad():
            sum(value.sum() for value in model.module.parameters() if value.requires_grad).backward()
        return super().maps(model, batch, settings, rng)


class FreezesParameters(Smooth):
    """Parameters no longer require a gradient."""

    def maps(self, model, batch, settings, rng):
        model.module.requires_grad_(False)
        return super().maps(model, batch, settings, rng)


class ChangesWeights(Smooth):
    """The last layer's weights are scaled."""

    def maps(self, model, batch, settings, rng):
        with torch.no_grad():
            model.module[-1].weight.mul_(1.01)
        return super().maps(model, batch, settings, rng)


class TurnsGradientsOff(Smooth):
    """The global switch stays off."""

    def maps(self, model, batch, settings, rng):
        result = super().maps(model, batch, settings, rng)
        torch.set_grad_enabled(False)
        return result


class DrawsGlobally(Smooth):
    """The global state of torch moves on."""

    def reduce(self, gradients):
        return super().reduce(gradients) + torch.randn(())


class DrawsGloballyFromNumpy(Smooth):
    """The global state of numpy moves on."""

    def reduce(self, gradients):
        return super().reduce(gradients) + float(np.random.rand())


class ListensToGlobalSeed(Smooth):
    """The global state is put back, but was used."""

    def reduce(self, gradients):
        with torch.random.fork_rng(devices=[]):
            return super().reduce(gradients) + torch.randn(())


class NotRepeatable(Smooth):
    """Every call gives other maps."""

    def reduce(self, gradients):
        return super().reduce(gradients) * (1 + next(_calls))


class AddressesPosition(Smooth):
    """Draws depend on where in the batch an image stands."""

    def address(self, batch, image):
        return str(image)


class AveragesOverImages(Smooth):
    """Maps are scaled by a statistic of the batch."""

    def reduce(self, gradients):
        maps = super().reduce(gradients)
        return maps / maps.abs().amax()


class SameDrawForAllImages(Smooth):
    """Images share their noise."""

    def address(self, batch, image):
        return "all"


class DependsOnChunk(Smooth):
    """The number of rows at once is in the result."""

    def maps(self, model, batch, settings, rng):
        return super().maps(model, batch, settings, rng) * (1 + 0.01 * model.chunk)


class SkipsModel(Smooth):
    """The network is called in whatever mode it is in, and dropout with it."""

    gradients = False

    def rows(self, settings, shape):
        return 0

    def maps(self, model, batch, settings, rng):
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings[0].seed)
            whole = [model.module(model.inputs(image[None]))[0, 0] for image in batch.images]
        return torch.stack(whole).view(1, -1, 1, 1).expand(len(settings), -1, *batch.images.shape[-2:]).clone()


class CountsRowsWrong(Smooth):
    """Groups are promised to cost what settings cost one by one."""

    def rows(self, settings, shape):
        return sum(setting.samples for setting in settings)


class HidesBackward(Smooth):
    """Backward passes are not declared."""

    gradients = False


class NegativeThoughUnsigned(Smooth):
    """Signed maps are promised to be magnitudes."""

    def facts(self, params):
        return MapFacts(signed=False)


class LeavesRange(Smooth):
    """The promised range is too small."""

    def facts(self, params):
        return MapFacts(value_range=(-1e-3, 1e-3))


class CoarserThanNothing(Smooth):
    """The grid is larger than the image."""

    def grid(self, params, size):
        return size[0] * 2, size[1]


class NotFinite(Smooth):
    """Maps are divided by zero."""

    def reduce(self, gradients):
        return super().reduce(gradients) / 0


class WrongShape(Smooth):
    """Channels are kept."""

    def reduce(self, gradients):
        return gradients


class WrongType(Smooth):
    """Maps are float64."""

    def reduce(self, gradients):
        return super().reduce(gradients).double()


class SharesUnknownField(Smooth):
    """A field is misspelt."""

    def shares(self, params):
        return frozenset({"sample"})


class HidesDraws(Smooth):
    """Nothing is said to be drawn."""

    def reruns(self, params, count):
        return []


class RerunsChangeNothing(Smooth):
    """The seed is not used."""

    def stream(self, rng, setting):
        return rng


class IgnoresStudySeed(Smooth):
    """The seed of the study is not used."""

    def stream(self, rng, setting):
        return Rng(setting.seed)


class LosesItsGradient(Smooth):
    """The maps are said to have a gradient, and are detached."""

    def differentiable(self, params):
        return True

    def reduce(self, gradients):
        return super().reduce(gradients).detach()


class LosesHalfItsGradient(LosesItsGradient):
    """The maps are squares, of which one factor is detached."""

    def reduce(self, gradients):
        maps = Smooth.reduce(self, gradients)
        return maps * maps.detach()
