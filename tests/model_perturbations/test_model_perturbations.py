import pytest
import torch
from nets import colour_model
from torch import nn

from sam_toolkit import OtherWeights, WeightNoise, WeightRandomization
from sam_toolkit.errors import ComponentError, ModelError
from sam_toolkit.model import Model


def weights(model):
    return {name: value.clone() for name, value in model.module.state_dict().items()}


def changed_layers(model, other):
    before, after = weights(model), weights(other)
    return {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}


def deep_model():
    layers = [nn.Linear(6, 6) for _ in range(4)]
    return Model(nn.Sequential(*layers))


def test_relative_noise_has_the_standard_deviation_asked_for():
    model = Model(nn.Linear(200, 300))
    noisy = weights(WeightNoise(sigma=0.05)(model))["weight"] / weights(model)["weight"] - 1
    assert float(noisy.std()) == pytest.approx(0.05, rel=0.02)
    assert float(noisy.mean()) == pytest.approx(0, abs=1e-3)


def test_absolute_noise_is_added_and_scales_with_sigma():
    model = colour_model()
    small, large = (weights(WeightNoise(sigma=sigma, noise="absolute")(model)) for sigma in (0.1, 0.2))
    for name, value in weights(model).items():
        torch.testing.assert_close(large[name] - value, 2 * (small[name] - value))


def test_without_noise_the_model_says_what_it_said():
    model = colour_model()
    same = WeightNoise(sigma=0)(model)
    assert same.fingerprint == model.fingerprint
    assert same.module is not model.module


def test_cascading_randomises_the_last_layers_and_independent_one_alone():
    model = deep_model()
    cascading = [changed_layers(model, WeightRandomization(layers=count)(model)) for count in (1, 2, 4)]
    assert cascading == [{"3"}, {"3", "2"}, {"3", "2", "1", "0"}]
    independent = WeightRandomization(order="independent", layers=3)(model)
    assert changed_layers(model, independent) == {"1"}
    assert changed_layers(model, WeightRandomization(layers="all")(model)) == {"0", "1", "2", "3"}


def test_a_layer_has_the_same_random_weights_however_many_are_randomised():
    model = deep_model()
    one, all_ = (weights(WeightRandomization(layers=layers)(model)) for layers in (1, "all"))
    assert torch.equal(one["3.weight"], all_["3.weight"])


def test_scaled_weights_keep_mean_and_deviation():
    model = Model(nn.Linear(200, 200))
    nn.init.normal_(model.module.weight, 0.3, 2.0)
    random = weights(WeightRandomization(weights="scaled")(model))["weight"]
    assert not torch.equal(random, weights(model)["weight"])
    assert float(random.mean()) == pytest.approx(0.3, abs=0.05)
    assert float(random.std()) == pytest.approx(2.0, rel=0.02)


class _Offset(nn.Module):
    def __init__(self):
        super().__init__()
        self.offset = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, rows):
        return rows + self.offset


def test_a_layer_that_cannot_initialise_itself_gets_scaled_weights():
    model = Model(nn.Sequential(nn.Linear(3, 3), _Offset()))
    random = WeightRandomization()(model).module[1].offset
    assert not torch.equal(random, model.module[1].offset)


def test_a_network_with_fewer_layers_is_refused():
    with pytest.raises(ComponentError, match="has 4 layers with weights; got 5"):
        WeightRandomization(layers=5)(deep_model())


def test_other_weights_are_those_of_the_file(tmp_path):
    other, path = colour_model(seed=1), tmp_path / "other.pth"
    torch.save(other.module.state_dict(), path)
    model = colour_model()
    changed = OtherWeights(file=path)(model)
    assert changed.fingerprint == other.fingerprint != model.fingerprint
    with pytest.raises(ModelError, match="do not fit"):
        OtherWeights(file=path)(deep_model())
