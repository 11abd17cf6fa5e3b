"""What ``import sem_lightning`` offers: names, documentation, and that it costs nothing until it is used."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import sem_lightning as sl
from sem_lightning.data.labelled_image import LabelledImage


@pytest.mark.parametrize("name", sl.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(sl, name)
    assert name in dir(sl)
    if name == "__version__":
        assert isinstance(value, str)
        return
    text = inspect.getdoc(value)
    assert text and text.strip()
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert own and not own.startswith(f"{name}("), "a docstring of its own, not a dataclass's signature"
    assert value.__module__.startswith("sem_lightning.")


def test_what_is_not_public_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'sem_lightning' has no attribute 'Detector'"):
        _ = sl.Detector


def run_fresh(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_imports_neither_torch_nor_hydra() -> None:
    heavy = "{'torch', 'lightning', 'torchvision', 'torchmetrics', 'hydra', 'omegaconf', 'numpy', 'cv2', 'scipy'}"
    report = f"print(sorted({heavy} & set(sys.modules)))"
    assert run_fresh(f"import sys, sem_lightning; dir(sem_lightning); {report}") == "[]"


def test_simulating_needs_no_torch() -> None:
    program = "import sys, sem_lightning as sl; sl.Simulator.compose().sample(0); print('torch' in sys.modules)"
    assert run_fresh(program) == "False"


def test_a_simulator_is_composed_and_samples() -> None:
    simulator = sl.Simulator.compose("pattern=routing", "noise=high", "imaging.image_size=96")
    sample = simulator.sample(7, label="bridge")
    assert isinstance(sample, sl.Sample) and isinstance(sample.scene, sl.Scene)
    assert sample.scene.label == "bridge" and sample.scene.index == 7 and sample.image.shape == (96, 96)
    assert sample.mask.any() and all(isinstance(each, sl.Instance) for each in sample.instances)
    again = simulator.sample(7, label="bridge")
    assert np.array_equal(again.image, sample.image) and again.scene == sample.scene
    assert np.array_equal(sl.render(sample.scene).image, sample.image)
    assert not np.array_equal(simulator.sample(8, label="bridge").image, sample.image)
    assert not np.array_equal(simulator.sample(7, label="bridge", seed=1).image, sample.image)
    assert [simulator.sample(i).scene.label for i in range(4)] == [*simulator.classes, simulator.classes[0]]
    with pytest.raises(sl.SettingError, match="label: found 'scratch', expected one of good, gap, bridge"):
        simulator.sample(7, label="scratch")
    with pytest.raises(sl.UserError):
        sl.Simulator.compose("imaging.image_size=1")


def small() -> sl.Simulator:
    return sl.Simulator.compose("imaging.image_size=64")


def take(stream: Any, workers: int, count: int) -> list[torch.Tensor]:
    """The first images, in the order in which they come."""
    loader = DataLoader(stream, batch_size=None, num_workers=workers)
    images = []
    iterator = iter(loader)
    for _ in range(count):
        images.append(next(iterator)["image"])
    del iterator
    return images


def test_a_stream_gives_the_same_images_from_any_number_of_workers() -> None:
    stream = sl.SimulatedStream(small(), seed=3)
    alone = take(stream, 0, 7)
    together = take(stream, 2, 7)
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    assert len({image.numpy().tobytes() for image in alone}) == 7
    known = sl.SimulatedDataset(small(), seed=3, split="train", size=9, fresh=True)
    assert all(torch.equal(image, known[i]["image"]) for i, image in enumerate(alone))
    later = take(sl.SimulatedStream(small(), seed=3, start=4), 2, 3)
    assert all(torch.equal(one, other) for one, other in zip(alone[4:], later, strict=True))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[sl.SEMClassifier, lightning.Trainer, sl.SEMDataModule]:
    torch.manual_seed(0)
    counts = {"train": 4, "val": 2, "test": 3, "calibration": 0}
    source = sl.SimulatedSource(small(), per_class=counts)
    data = sl.SEMDataModule(source, batch_size=4)
    classifier = sl.SEMClassifier(
        classes=source.classes,
        image_size=source.image_size,
        pixel_size=source.pixel_size,
        polarity=source.polarity,
        network="resnet18_small",
        mask_weight=1.0,
    )
    folder = tmp_path_factory.mktemp("training")
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        log_every_n_steps=1,
    )
    return classifier, trainer, data


def labelled(data: sl.SEMDataModule) -> Iterator[LabelledImage]:
    for item in data.labelled("test"):
        assert isinstance(item, LabelledImage)
        yield item


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_a_classifier_trains_and_tests_in_a_trainer_of_the_users_own(
    trained: tuple[sl.SEMClassifier, lightning.Trainer, sl.SEMDataModule],
) -> None:
    classifier, trainer, data = trained
    before = {name: value.clone() for name, value in classifier.net.state_dict().items()}
    trainer.fit(classifier, datamodule=data)
    assert trainer.current_epoch == 1 and trainer.global_step == 3
    assert {"train/loss", "val/loss", "val/accuracy", "val/accuracy_gap"} <= set(trainer.callback_metrics)
    assert any(not torch.equal(before[name], value) for name, value in classifier.net.state_dict().items())
    (metrics,) = trainer.test(classifier, datamodule=data, verbose=False)
    assert 0 <= metrics["test/accuracy"] <= 1 and "test/recall_bridge" in metrics
    # its checkpoint is one that Predictors take
    path = f"{trainer.default_root_dir}/mine.ckpt"
    trainer.save_checkpoint(path)
    assert sl.load_model(path).settings == classifier.settings
    images = [item.image for item in labelled(data)]
    found, expected = sl.load(path).predict(images), sl.Predictor(classifier.trained).predict(images)
    assert [one.logits.tolist() for one in found] == [one.logits.tolist() for one in expected]
    assert [one.label for one in found] and all(isinstance(one, sl.Prediction) for one in found)
    assert sl.load_classifier(path).settings == classifier.settings
    # where views are single and of the training size, test_step sees what the Predictor sees
    right = sum(one.label == classifier.classes[item.label] for one, item in zip(found, labelled(data), strict=True))
    assert metrics["test/accuracy"] == pytest.approx(right / len(found))
