"""Places of simulated pairs as training pictures, and the network that judges them."""

import numpy as np
import pytest
import torch

from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.errors import SettingError
from sem_lightning.inspection.inspection import Place
from sem_lightning.inspection.place_data import PlaceSource, check_places
from sem_lightning.inspection.place_picture import SIDE, PairPictures, cut
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.model.network import build_network
from sem_lightning.synthesis.pairs import PairSimulator
from sem_lightning.synthesis.simulator import Simulator

PER_CLASS = {"train": 3, "val": 1, "test": 1, "calibration": 1}


@pytest.fixture(scope="module")
def source() -> PlaceSource:
    simulator = PairSimulator.compose("pattern=routing", "defect=basic", "noise=low", "imaging.image_size=160")
    return PlaceSource(simulator, 0, PER_CLASS, 4)


def test_the_first_place_of_a_pair_shows_its_defect(source: PlaceSource) -> None:
    dataset = source.dataset("train")
    assert len(dataset) == 3 * 2 * 4 and source.counts("train") == {"good": 18, "gap": 3, "bridge": 3}
    shown = []
    for index in range(0, 24, 4):
        item = dataset[index]
        assert item["image"].shape == (1, 2 * SIDE, 2 * SIDE) and item["mask"].shape == (2 * SIDE, 2 * SIDE)
        assert source.classes[item["label"]] in ("gap", "bridge")
        # around the middle, give and take the jitter and the size of the defect
        shown.append(item["mask"][SIDE // 2 : 3 * SIDE // 2, SIDE // 2 : 3 * SIDE // 2].any().item())
        assert all(dataset[index + more]["label"] == 0 for more in (1, 2, 3))
        assert not any(dataset[index + more]["mask"].any() for more in (1, 2, 3))
    assert sum(shown) >= 5


def test_a_place_depends_on_its_index_only(source: PlaceSource) -> None:
    first, again = source.dataset("train"), source.dataset("train")
    backwards = {index: again[index]["image"] for index in (9, 5, 0)}
    assert all(torch.equal(first[index]["image"], image) for index, image in backwards.items())
    assert not torch.equal(first[0]["image"], first[len(first)]["image"])  # the next epoch has new pairs
    other = source.dataset("val")
    assert not torch.equal(first[0]["image"], other[0]["image"])


def test_the_difference_is_in_its_quarter(source: PlaceSource) -> None:
    dataset = source.dataset("train")
    contrasts = []
    for index in range(24):
        difference = dataset[index]["image"][0, SIDE:, :SIDE]
        middle = difference[SIDE // 2 - 8 : SIDE // 2 + 8, SIDE // 2 - 8 : SIDE // 2 + 8]
        contrasts.append((index % 4 == 0, float((middle - 0.5).abs().mean())))
    defective = [value for is_defect, value in contrasts if is_defect]
    clean = [value for is_defect, value in contrasts if not is_defect]
    assert np.median(defective) > 1.5 * np.median(clean)


def test_batches_reach_the_network(source: PlaceSource) -> None:
    batch = next(iter(SEMDataModule(source, batch_size=8).train_dataloader()))
    net = build_network("place_resnet10", None, 3, "average").eval()
    output = net(batch["image"])
    assert output.logits.shape == (8, 3) and output.maps[0].shape[2:] == (4, 4)


def test_the_network_sees_which_quarter_is_which() -> None:
    torch.manual_seed(0)
    net = build_network("place_resnet10", None, 3, "average").eval()
    picture = torch.rand(1, 1, 2 * SIDE, 2 * SIDE)
    swapped = torch.cat(picture.chunk(2, dim=3)[::-1], dim=3)
    assert not torch.allclose(net(picture).logits, net(swapped).logits)


def test_a_place_at_the_border_is_filled_up() -> None:
    ramp = np.arange(100, dtype=np.float32)[None].repeat(100, axis=0) / np.float32(100)
    part = cut(ramp, 0, 50)
    assert part.shape == (SIDE, SIDE)
    assert (part[:, : SIDE // 2] == 0).all() and part[0, -1] == pytest.approx((SIDE // 2 - 1) / 100)


def test_pictures_do_not_depend_on_gain() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((80, 80), np.float32)
    shown, scores = np.ones((80, 80), bool), np.zeros((80, 80), np.float32)
    one = PairPictures.of(image, image, shown, scores)
    other = PairPictures.of(image * np.float32(0.4) + np.float32(0.2), image, shown, scores)
    assert np.allclose(one.image, other.image, atol=1e-3) and np.allclose(one.reference, other.reference, atol=0.02)
    assert Place(2, 4, 3, 5, "defect", 1.0, 3, True).middle == (3.0, 6.0)


def test_each_network_judges_its_own_pictures(source: PlaceSource) -> None:
    from sem_lightning.data.sources import SimulatedSource

    images = SimulatedSource(Simulator.compose(), 0, PER_CLASS)
    places, whole = (
        ModelSettings(classes=("good", "gap", "bridge"), image_size=128, network=name)
        for name in ("place_resnet10", "resnet10")
    )
    check_places(places, source)
    check_places(whole, images)
    for settings, other in ((places, images), (whole, source)):
        with pytest.raises(SettingError, match=r"^data: .*data=pairs|^data: pairs are for model=place"):
            check_places(settings, other)


def test_small_fields_are_refused() -> None:
    simulator = PairSimulator.compose("pattern=line_space", "imaging.image_size=64")
    with pytest.raises(SettingError, match=r"imaging.image_size: found 64, expected 96"):
        PlaceSource(simulator, 0, PER_CLASS, 4)
