"""Weights between two networks, statistics of other images, and the device."""

import copy

import pytest
import torch
from torch import nn

from sem_lightning.errors import SettingError
from sem_lightning.model.batch_norm_adaptation import adapt_batch_norm
from sem_lightning.model.device import choose_device
from sem_lightning.model.network import ClassifierNetwork, build_network
from sem_lightning.model.weight_interpolation import average_weights, interpolate_weights


def make_network(seed: int) -> ClassifierNetwork:
    """Random weights, and batch norms that have seen images."""
    torch.manual_seed(seed)
    net = build_network("resnet18_small", None, 3, "peak_statistics")
    net(3 * torch.rand(8, 1, 32, 32))
    return net.eval()


def floats(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items() if value.is_floating_point()}


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 0.25])
def test_interpolation_runs_from_the_start_to_what_was_trained(alpha: float) -> None:
    before, net = make_network(0), make_network(1)
    start, trained = floats(before), floats(net)
    assert any("running_mean" in name for name in start)
    interpolate_weights(net, before.state_dict(), alpha)
    for name, value in floats(net).items():
        expected = {0.0: start[name], 1.0: trained[name]}.get(alpha)
        if expected is not None:  # at the ends to the bit
            assert torch.equal(value, expected), name
        assert torch.allclose(value, start[name] + alpha * (trained[name] - start[name]), atol=1e-6), name
    assert all(torch.equal(value, start[name]) for name, value in floats(before).items())


def test_an_average_is_the_mean_of_all() -> None:
    nets = [make_network(seed) for seed in range(4)]
    each = [floats(net) for net in nets]
    average_weights(nets[0], nets[1:])
    for name, value in floats(nets[0]).items():
        assert torch.allclose(value, torch.stack([one[name] for one in each]).mean(dim=0), atol=1e-5), name
    assert all(torch.equal(value, each[3][name]) for name, value in floats(nets[3]).items())
    average_weights(nets[1], [])
    assert all(torch.equal(value, each[1][name]) for name, value in floats(nets[1]).items())


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_batch_norms_move_a_share_of_the_way_and_nothing_else_does(share: float) -> None:
    net = make_network(0)
    before = floats(net)
    batches = [torch.rand(6, 1, 32, 32) ** 3 for _ in range(2)]
    first = net.backbone.get_submodule("conv1")(torch.cat([standardised(batch) for batch in batches])).detach()
    adapt_batch_norm(net, batches, share)
    assert not net.training and not any(module.training for module in net.modules())
    after = floats(net)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    statistics = {name for name in before if name.endswith(("running_mean", "running_var"))}
    assert moved == (statistics if share else set())
    theirs = first.mean(dim=(0, 2, 3))
    expected = before["backbone.bn1.running_mean"].lerp(theirs, share)
    assert torch.allclose(after["backbone.bn1.running_mean"], expected, atol=1e-5)


def standardised(batch: torch.Tensor) -> torch.Tensor:
    deviation, mean = torch.std_mean(batch, dim=(1, 2, 3), keepdim=True)
    return (batch - mean) / (deviation + 1e-5)


def test_adapting_to_images_of_training_changes_little() -> None:
    net = make_network(0)
    torch.manual_seed(5)
    images = 3 * torch.rand(64, 1, 32, 32)
    adapt_batch_norm(net, images.chunk(4), 1.0)
    again = copy.deepcopy(net)
    adapt_batch_norm(again, images.chunk(4), 0.5)
    for name, value in floats(net).items():
        assert torch.allclose(value, floats(again)[name], rtol=1e-4, atol=1e-5), name


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == "cpu"
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto") == ("cuda" if there else "cpu")
    with pytest.raises(SettingError, match=r"^device: found 'abacus', expected auto, cpu, cuda or cuda:N \(") as error:
        choose_device("abacus")
    assert error.value.key == "device" and "\n" not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_device_that_is_not_here_is_named() -> None:
    with pytest.raises(SettingError, match="device: found 'cuda:3'"):
        choose_device("cuda:3")
