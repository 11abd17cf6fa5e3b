"""GrayResNet is torchvision's ResNet: with the same weights it gives the same feature maps."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from sem_lightning.model.gray_resnet import GrayResNet


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    """torchvision's ResNet18 with one input channel, its batch norms with statistics and scales of their own."""
    torch.manual_seed(0)
    net: nn.Module = resnet18(weights=None)
    net.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
    net(torch.randn(4, 1, 64, 64))
    return net.eval()


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 96, 64), (2, 61, 75)])
def test_it_gives_torchvisions_feature_maps(reference: nn.Module, shape: tuple[int, int, int]) -> None:
    net = GrayResNet((2, 2, 2, 2), 64)
    state = {name: value for name, value in reference.state_dict().items() if not name.startswith("fc.")}
    net.load_state_dict(state)  # every name and shape
    found: dict[str, torch.Tensor] = {}
    for name in ("layer2", "layer3", "layer4"):
        module = reference.get_submodule(name)
        module.register_forward_hook(lambda _, __, output, name=name: found.__setitem__(name, output))
    image = torch.rand(shape[0], 1, *shape[1:])
    for mode in (False, True):  # also as in training, where batch norms use the batch's statistics
        reference.train(mode)
        net.train(mode)
        with torch.no_grad():
            reference(image)
            maps = net(image)
        assert net.channels == tuple(each.shape[1] for each in maps) == (128, 256, 512)
        for mine, name in zip(maps, ("layer2", "layer3", "layer4"), strict=True):
            assert torch.equal(mine, found[name]), name
    reference.eval()


@pytest.mark.parametrize(("blocks", "width"), [((1, 1, 1, 1), 64), ((2, 2, 2, 2), 32), ((1, 1, 1, 1), 32)])
def test_strides_and_channels_of_the_others(blocks: tuple[int, int, int, int], width: int) -> None:
    net = GrayResNet(blocks, width).eval()
    maps = net(torch.rand(2, 1, 64, 96))
    assert [tuple(each.shape) for each in maps] == [
        (2, channels, 64 // stride, 96 // stride) for channels, stride in zip(net.channels, (8, 16, 32), strict=True)
    ]
    norms = {parent.get_submodule(norm) for parent, _, norm in net.batch_norm_pairs()}
    assert norms == {module for module in net.modules() if isinstance(module, nn.BatchNorm2d)}  # each is folded
    sizes = {
        (parent.get_submodule(convolution).out_channels, parent.get_submodule(norm).num_features)
        for parent, convolution, norm in net.batch_norm_pairs()
    }
    assert all(before == after for before, after in sizes)


def test_a_frozen_stem_is_the_first_convolution_and_stage() -> None:
    net = GrayResNet((1, 1, 1, 1), 32)
    assert net.stem_modules() == [net.conv1, net.layer1]
