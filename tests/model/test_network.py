"""The classifier's network: a ResNet18 for one channel, its heads, and ImageNet's weights for it."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18

from sem_lightning.errors import UserError
from sem_lightning.model.network import NETWORKS, ClassifierNetwork, build_network, peak_statistics, standardise
from sem_lightning.model.pretrained import load_pretrained, read_weights


def make_network(network: str = "resnet18", pooling: str = "average") -> ClassifierNetwork:
    return build_network(network, None, 3, pooling)


@pytest.fixture(scope="module")
def rgb_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RGB weights as torchvision saves them, with batch-norm statistics as training leaves them."""
    torch.manual_seed(0)
    model = resnet18(weights=None)
    model.train()
    model(torch.randn(4, 3, 64, 64))
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(model.state_dict(), path)
    return path


def test_it_is_resnet18_for_one_channel() -> None:
    net = make_network()
    reference = resnet18(weights=None, num_classes=3)
    count = sum(p.numel() for part in (net.backbone, net.class_head) for p in part.parameters())
    assert count == sum(p.numel() for p in reference.parameters()) - 2 * 64 * 7 * 7
    assert sum(p.numel() for p in net.parameters()) * 4 < 50e6


def test_the_student_needs_less_than_a_fifth_of_the_operations() -> None:
    counts = []
    for network in ("resnet18", "resnet10_small"):
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            make_network(network).eval()(torch.rand(1, 1, 128, 128))
        counts.append(counter.get_total_flops())
    assert counts[1] < counts[0] / 5


def test_outputs() -> None:
    prediction = make_network().eval()(torch.rand(2, 1, 128, 128))
    assert prediction.logits.shape == (2, 3)
    assert [tuple(m.shape) for m in prediction.maps] == [(2, 3, 8, 8), (2, 3, 4, 4)]
    assert prediction.features.shape == (2, 128 + 256)


def test_brightness_and_contrast_do_not_matter() -> None:
    net = make_network().eval()
    image = torch.rand(2, 1, 64, 64)
    assert torch.allclose(net(image).logits, net(0.3 * image + 0.2).logits, atol=1e-3)
    assert standardise(torch.full((1, 1, 8, 8), 0.7)).abs().max() < 1e-3


def test_what_stands_out_is_ahead_of_other_places_not_of_its_own_flank() -> None:
    evidence = torch.zeros(3, 1, 9, 9)
    evidence[:, 0, 2, 2], evidence[:, 0, 2, 3] = 5.0, 4.0  # a peak and its flank
    evidence[1, 0, 7, 7] = 3.0  # another place like it
    evidence[2, 0, 7, 7] = 5.0
    peak, lead, mean, deviation = peak_statistics(evidence).unbind(dim=1)
    assert peak.tolist() == [5, 5, 5]
    assert lead.tolist() == pytest.approx([5 - 9 / 81, 2, 0])
    assert torch.allclose(mean, evidence.mean(dim=(1, 2, 3)))
    assert torch.allclose(deviation, evidence.std(dim=(1, 2, 3), correction=0), atol=1e-3)
    both = peak_statistics(torch.cat([evidence, 2 - evidence], dim=1))  # of each class: peaks, leads, means, deviations
    assert torch.equal(both[:, 0::2], peak_statistics(evidence))


@pytest.mark.parametrize("size", [16, 32, 64])
def test_peaks_learn_from_the_smallest_images(size: int) -> None:
    net = make_network("resnet10", "peak_statistics")
    net(torch.rand(4, 1, size, size)).logits.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
    assert net.peak_head is not None and net.peak_head.weight.grad is not None


@pytest.mark.parametrize("network", list(NETWORKS))
def test_folding_batch_norm_changes_no_answer(network: str) -> None:
    torch.manual_seed(0)
    net = make_network(network)
    net(3 + torch.randn(8, 1, 64, 64))  # statistics and scales that are not those of the start
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
    folded = copy.deepcopy(net.eval())
    folded.fold_batch_norm()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    image = torch.rand(2, 1, 64, 64)
    before, after = net(image), folded(image)
    for mine, theirs in (
        (before.logits, after.logits),
        (before.maps[0], after.maps[0]),
        (before.features, after.features),
    ):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-3)


def test_pretrained_stem_answers_grey_as_the_rgb_one_does(rgb_weights: Path) -> None:
    state = torch.load(rgb_weights, weights_only=True)
    older = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(older, rgb_weights)  # as older versions of torchvision wrote them
    net = make_network()
    own_head = net.class_head.weight.clone()
    load_pretrained(net.backbone, rgb_weights)
    rgb = resnet18(weights=None)
    rgb.load_state_dict(state)
    grey = torch.rand(2, 1, 64, 64)
    stem = net.backbone.get_submodule("conv1")
    assert torch.allclose(stem(grey), rgb.conv1(grey.expand(-1, 3, -1, -1)), atol=1e-4)
    assert torch.equal(net.backbone.get_parameter("layer4.0.conv1.weight"), rgb.layer4[0].conv1.weight)
    assert torch.equal(net.class_head.weight, own_head)


def test_weights_that_are_none_are_refused(tmp_path: Path, rgb_weights: Path) -> None:
    backbone = make_network().backbone
    with pytest.raises(UserError, match="No such file"):
        load_pretrained(backbone, tmp_path / "missing.pth")
    text = tmp_path / "text.pth"
    text.write_text("hello")
    with pytest.raises(UserError, match="not a file of PyTorch weights"):
        load_pretrained(backbone, text)
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    with pytest.raises(UserError, match=r"no tensor conv1\.weight"):
        load_pretrained(backbone, other)
    state = read_weights(rgb_weights)
    del state["layer1.0.conv1.weight"]
    torch.save(state, other)
    with pytest.raises(UserError, match=r"layer1\.0\.conv1\.weight"):
        load_pretrained(backbone, other)
    torch.save(resnet18(weights=None).state_dict(), other)
    with pytest.raises(UserError, match="never trained"):
        load_pretrained(backbone, other)


def test_no_network_says_where_to_put_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def fail(*args: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(UserError, match=r"put it at .*resnet18-f37072fd\.pth.*model\.weights_path="):
        load_pretrained(make_network().backbone, None)


def test_a_damaged_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rgb_weights: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    cached = tmp_path / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir()
    cached.write_bytes(rgb_weights.read_bytes())
    with pytest.raises(UserError, match="damaged or not ImageNet"):
        load_pretrained(make_network().backbone, None)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(tmp_path / "sprung").touch, ())  # type: ignore[return-value]

    torch.save({"conv1.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(UserError, match="not a file of PyTorch weights"):
        read_weights(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()
