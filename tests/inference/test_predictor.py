"""One way from a file to its scores: whatever asks for them, and however they are asked for, they are the same bits."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from conftest import make_classifier, read_image, save_checkpoint, with_bar

from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.sources import FolderSource
from sem_lightning.decision.calibration import make_rule
from sem_lightning.decision.decision_settings import DecisionSettings
from sem_lightning.decision.rule import UNSURE, Rule
from sem_lightning.decision.scores import Scores, log_odds_good
from sem_lightning.errors import SettingError, UserError
from sem_lightning.evaluation.compatibility import judged_polarity
from sem_lightning.evaluation.prediction_collector import PredictionCollector, collect_scores
from sem_lightning.inference.prediction import Prediction, UnreadableImage
from sem_lightning.inference.predictor import Predictor, load
from sem_lightning.io import gray_image
from sem_lightning.io.gray_image import open_image
from sem_lightning.io.images import Span, encode_image, read_oriented
from sem_lightning.model.checkpoint import TrainedModel, load_model
from sem_lightning.polarity import Polarity

CLASSES = ["good", "gap", "bridge"]
STRICT = DecisionSettings("conservative", 0.5, 0.9, ood_rate=0.0, ambiguous_rate=0.0)
WITH_OOD = DecisionSettings("argmax", 0.5, 0.9, ood_rate=0.3, ambiguous_rate=0.1)


@dataclass(frozen=True)
class Kind:
    """A kind of checkpoint: the classifier's settings, how its rule is made, and the Predictor's options."""

    settings: dict[str, Any]
    decision: DecisionSettings | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def predictor(self, model: TrainedModel, **options: Any) -> Predictor:
        return Predictor(model, **(dict(self.options) | options))


KINDS = {
    "single view": Kind({}),
    "peak statistics": Kind({"pooling": "peak_statistics"}),
    "several views": Kind({"view_scales": (1, 1.5, 2)}),
    "no class good": Kind({"classes": ["bridge", "gap", "other"]}),
    "risk bound": Kind({}, STRICT),
    "risk bound, several views": Kind({"view_scales": (1, 1.5, 2)}, STRICT),
    "out of distribution": Kind({}, WITH_OOD),
    "dark": Kind({"polarity": Polarity.EITHER, "view_scales": (1, 1.5)}, WITH_OOD, (("polarity", "dark"),)),
    "tiles": Kind({}, WITH_OOD, (("tiling", "on"),)),
    "timm": Kind({"network": "timm", "name": "test_resnet"}),
}


def lines(shape: tuple[int, int], seed: int, duty: float = 0.35) -> np.ndarray:
    """Noisy bright lines, uint8."""
    rng = np.random.default_rng(seed)
    columns = (np.arange(shape[1]) % 16 < 16 * duty) * 110.0
    return (60 + columns + rng.normal(0, 12, shape)).clip(0, 255).astype(np.uint8)


def write_images(root: Path, classes: Sequence[str]) -> Path:
    """Labelled files of several sizes, aspects and depths, two of them with what their file says of them."""
    shapes = [(64, 64), (64, 64), (80, 120), (100, 100), (64, 64), (120, 80), (200, 150)]
    for number, label in enumerate(classes):
        (root / label).mkdir(parents=True)
        for i, shape in enumerate(shapes):
            image = lines(shape, 10 * number + i)
            if i == 3:
                image = image.astype(np.uint16) * 256 + 7
            assert cv2.imwrite(str(root / label / f"{i}.png"), image)
        bar = with_bar(lines((240, 280), 10 * number + 8), 40, 0, None)
        assert cv2.imwrite(str(root / label / "bar.png"), (bar * 255 + 0.5).astype(np.uint8))
        large = encode_image(lines((150, 200), 10 * number + 9), ".tif", 0.5)
        (root / label / "large.tif").write_bytes(large)
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("images")

    @functools.cache
    def folder(classes: tuple[str, ...]) -> Path:
        return write_images(place / "-".join(classes), classes)

    return folder


def source_of(root: Path, model: TrainedModel, polarity: str | None = None) -> FolderSource:
    classes, size = list(model.settings.classes), model.settings.image_size
    return FolderSource(root, classes, image_size=size, polarity=polarity, needed=(), decode=False)


def files_of(source: FolderSource) -> list[Path]:
    """In the order in which a source gives them."""
    return [file.path for file in source.dataset("all").files]


def labelled(source: FolderSource, workers: int = 0) -> Iterator[Any]:
    return SEMDataModule(source, num_workers=workers).labelled("all")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, folders: Any) -> Any:
    """A model of a kind, from a checkpoint with its rule, and a source of images for it."""
    place = tmp_path_factory.mktemp("checkpoints")

    @functools.cache
    def prepare(name: str) -> tuple[Kind, TrainedModel, FolderSource]:
        kind = KINDS[name]
        if kind.settings.get("network") == "timm":
            pytest.importorskip("timm")
        model = favour_good(load_model(save_checkpoint(make(kind), place / f"{name}.ckpt")))
        source = source_of(folders(tuple(model.settings.classes)), model)
        if kind.decision is not None:
            scores = collect_scores(kind.predictor(model), labelled(source))
            fitting = scores if kind.decision is WITH_OOD else collect_scores(kind.predictor(model), [])
            start = Rule(temperature=2.5)
            model.rule = make_rule(kind.decision, kind.predictor(model).classes, fitting, scores, start)
        return kind, model, source

    return prepare


def make(kind: Kind) -> Any:
    torch.manual_seed(1)
    return make_classifier(**kind.settings)


def favour_good(model: TrainedModel) -> TrainedModel:
    """An untrained network takes any image for any class; thresholds shall not be 0, so good is likely here."""
    with torch.no_grad():
        model.net.class_head.bias[0] += 5
    return model


def bits(found: Prediction) -> tuple[Any, ...]:
    """All scores of an image, compared without any tolerance."""
    assert found.logits.dtype == found.features.dtype == np.float64
    return (
        found.logits.tobytes(),
        found.features.tobytes(),
        found.log_odds_good,
        found.ood_score,
        found.decision,
        tuple(found.probabilities.items()),
    )


def same(found: Sequence[Prediction], expected: Sequence[Prediction]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert bits(one) == bits(other), other.path


@pytest.mark.parametrize("name", list(KINDS))
class TestSameBits:
    def test_in_one_call_one_by_one_and_beside_any_number_of_others(self, name: str, prepared: Any) -> None:
        kind, model, source = prepared(name)
        paths = files_of(source)
        together = kind.predictor(model).predict(paths)
        assert [found.path for found in together] == paths
        assert len({found.logits.tobytes() for found in together}) == len(paths)  # no two images have the same
        assert all((found.log_odds_good is None) == (name == "no class good") for found in together)
        assert all((found.ood_score is None) == (kind.decision is not WITH_OOD) for found in together)
        one_by_one = kind.predictor(model)
        same([found for path in paths for found in one_by_one.predict(path)], together)
        same(kind.predictor(model).predict(paths[::-1])[::-1], together)
        for count in (1, 2, 3, 7):  # what is judged together makes no difference
            same(kind.predictor(model).predict(paths[:count]), together[:count])

    def test_of_arrays(self, name: str, prepared: Any) -> None:
        kind, model, source = prepared(name)
        paths = files_of(source)
        together = kind.predictor(model).predict(paths)
        same(kind.predictor(model).predict([open_image(path) for path in paths]), together)
        plain = [i for i, path in enumerate(paths) if path.suffix == ".png" and path.stem != "bar"]
        raw = [read_image(paths[i], cv2.IMREAD_UNCHANGED) for i in plain]
        assert {image.dtype for image in raw} == {np.dtype(np.uint8), np.dtype(np.uint16)}
        same(kind.predictor(model).predict(raw), [together[i] for i in plain])
        floats = [open_image(paths[i]).pixels for i in plain]
        same(kind.predictor(model).predict(floats), [together[i] for i in plain])

    def test_in_evaluation_and_calibration(self, name: str, prepared: Any) -> None:
        kind, model, source = prepared(name)
        together = kind.predictor(model).predict(files_of(source))
        classes = list(model.settings.classes)
        collector = PredictionCollector(kind.predictor(model)).run(labelled(source))
        tested, scores = collector.test_predictions(), collector.scores()
        assert len(tested.labels) == len(together) and not collector.unreadable
        for i, found in enumerate(together):
            assert found.path is not None and classes[tested.labels[i]] == found.path.parent.name
            decision = tested.verdicts.decisions[i]
            ood_score = tested.verdicts.ood_scores[i]
            odds = float(log_odds_good(tested.logits[i : i + 1], model.rule.temperature)[0])
            assert bits(found) == (
                tested.logits[i].tobytes(),
                scores.features[i].tobytes(),
                odds if model.settings.knows_good else None,
                None if np.isnan(ood_score) else ood_score,
                "unsure" if decision == UNSURE else classes[decision],
                tuple(zip(classes, tested.verdicts.probabilities[i].tolist(), strict=True)),
            )
        calibrated = collect_scores(kind.predictor(model), labelled(source))
        for field in ("logits", "features", "labels"):
            assert np.array_equal(getattr(calibrated, field), getattr(scores, field)), field

    def test_whatever_the_rule_is_that_scores_are_made_for(self, name: str, prepared: Any) -> None:
        """A rule is made from scores; with the new rule the same images must have these scores again."""
        kind, model, source = prepared(name)
        paths = files_of(source)
        before = kind.predictor(replace(model, rule=Rule())).predict(paths)
        for rule in (model.rule, Rule(temperature=0.05), Rule(temperature=20.0)):
            after = kind.predictor(replace(model, rule=rule)).predict(paths)
            for one, other in zip(before, after, strict=True):
                assert one.logits.tobytes() == other.logits.tobytes(), (one.path, rule.temperature)
                assert one.features.tobytes() == other.features.tobytes()


def test_workers_that_read_change_no_bit(prepared: Any) -> None:
    kind, model, source = prepared("several views")
    here, there = (collect_scores(kind.predictor(model), labelled(source, workers)) for workers in (0, 2))
    assert np.array_equal(here.logits, there.logits) and np.array_equal(here.labels, there.labels)


def test_explanations_change_no_bit(prepared: Any) -> None:
    pytest.importorskip("captum")
    kind, model, source = prepared("several views")
    paths = files_of(source)[:6]
    explained = kind.predictor(model, explain=True).predict(paths)
    assert all(found.saliency is not None and found.image is not None for found in explained)
    same(explained, kind.predictor(model).predict(paths))


@pytest.mark.parametrize("name", ["risk bound", "risk bound, several views"])
def test_a_promised_threshold_lies_on_the_scale_of_log_odds_good(name: str, prepared: Any) -> None:
    kind, model, source = prepared(name)
    found = kind.predictor(model).predict(files_of(source))
    threshold = model.rule.threshold
    assert threshold is not None and threshold > 0.1 and model.rule.risk_bound is not None
    for one in found:
        assert one.log_odds_good is not None
        assert (one.decision == "good") == (one.log_odds_good > threshold)
    # the threshold is the score of one of the defective calibration images, to the last bit, and that one stays
    defective = [one for one in found if one.path is not None and one.path.parent.name != "good"]
    edge = [one for one in defective if one.log_odds_good == threshold]
    assert len(edge) == 1 and edge[0].decision != "good"
    passed = sum(one.decision == "good" for one in defective)
    assert passed == model.rule.risk_bound.escapes and len(defective) == model.rule.risk_bound.defects
    assert passed > 0  # of so few images some may, so that both sides of the threshold are seen
    kept = sum(one.decision != "good" for one in found if one not in defective)
    assert kept == model.rule.risk_bound.overkill


def test_a_large_tiff_with_its_pixel_size_is_judged_in_the_same_tiles_everywhere(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = favour_good(make_classifier(pixel_size=1.0).eval().trained)
    for number, label in enumerate(CLASSES):
        (tmp_path / label).mkdir()
        for i in range(2):
            image = lines((400, 600), 10 * number + i)
            image[100 + 40 * i : 140 + 40 * i, 300:340] = 230
            (tmp_path / label / f"{i}.tif").write_bytes(encode_image(image, ".tif", 0.5))
    source = source_of(tmp_path, model)
    found = Predictor(model).predict(files_of(source))
    for one in found:
        assert one.pixel_size == pytest.approx(0.5) and one.shape == (400, 600)
        assert one.tiles == 4 * 6 and one.seen_shape == (200, 300)  # 64 pixels each, a quarter shared
        assert list(one.by_view) == [1.0]
    scores = collect_scores(Predictor(model), labelled(source))
    assert np.array_equal(scores.logits, np.stack([one.logits for one in found]))
    assert np.array_equal(scores.features, np.stack([one.features for one in found]))
    tested = PredictionCollector(Predictor(model)).run(labelled(source)).test_predictions()
    assert [CLASSES[decision] for decision in tested.verdicts.decisions] == [one.decision for one in found]
    # the tile least likely to be good decides: cut out by hand and judged as images, none is less so
    assert found[0].log_odds_good == min(tiles_by_hand(model, found[0]))
    whole = Predictor(model, tiling="off").predict(files_of(source))
    assert all(one.tiles == 1 for one in whole)
    assert all((one.logits != other.logits).any() for one, other in zip(whole, found, strict=True))


def tiles_by_hand(model: TrainedModel, found: Prediction) -> list[float]:
    assert found.path is not None
    predictor = Predictor(model)
    seen = predictor.preprocessing.prepare(open_image(found.path))
    tiles = [seen.tiling.cut(seen.image, number) for number in range(len(seen.tiling))]
    odds = [one.log_odds_good for one in Predictor(model, tiling="off").predict(tiles)]
    return [each for each in odds if each is not None]


def test_data_that_is_dark_is_judged_as_dark(prepared: Any) -> None:
    kind, model, source = prepared("dark")
    dark = source_of(source.dataset("all").root, model, polarity="dark")
    assert judged_polarity(model.settings, dark) == "dark" and judged_polarity(model.settings, source) is None
    predictor = Predictor(model, polarity=judged_polarity(model.settings, dark))
    scores = collect_scores(predictor, labelled(dark))
    found = kind.predictor(model).predict(files_of(source))
    assert all(one.inverted for one in found)
    assert np.array_equal(scores.logits, np.stack([one.logits for one in found]))
    as_it_is = Predictor(model, polarity="bright").predict(files_of(source))
    assert not any(one.inverted for one in as_it_is)
    assert all((one.logits != other.logits).any() for one, other in zip(found, as_it_is, strict=True))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is decoded, in turn."""
    files: list[Path] = []

    def read(path: Path, span: Span | None = None) -> tuple[npt.NDArray[np.float32], int]:
        files.append(path)
        return read_oriented(path, span)

    monkeypatch.setattr(gray_image, "read_oriented", read)
    return files


@pytest.mark.parametrize("polarity", [None, "auto", "dark"])
@pytest.mark.parametrize("trained", ["bright", "either"])
def test_each_file_is_decoded_once(
    polarity: str | None, trained: str, tmp_path: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sem_lightning.inference import polarity_vote

    monkeypatch.setattr(polarity_vote, "_MOST_VOTES", 8)  # some are voted on, some are not
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), lines((64, 72), number))
    (tmp_path / "05.png").write_bytes(b"no image")
    model = make_classifier(polarity=trained).eval().trained
    found = Predictor(model, polarity=polarity).predict(tmp_path, skip_unreadable=True)
    assert len(found) == 11
    readable = [path for path in decoded if path.name != "05.png"]
    assert sorted(readable) == sorted(set(readable)) and len(readable) == 11


@pytest.mark.parametrize("trained", ["bright", "dark", "either"])
def test_auto_finds_the_polarity_anew_in_each_call(trained: str, tmp_path: Path) -> None:
    for number in range(8):
        image = lines((64, 72), number, duty=0.2)
        cv2.imwrite(str(tmp_path / f"bright_{number}.png"), image)
        cv2.imwrite(str(tmp_path / f"dark_{number}.png"), 255 - image)
    model = make_classifier(polarity=trained).eval().trained
    predictor = Predictor(model, polarity="auto")
    for polarity in ("dark", "dark", "bright", "bright", "dark"):
        found = predictor.predict(str(tmp_path / f"{polarity}_*.png"))
        same(found, Predictor(model, polarity=polarity).predict(str(tmp_path / f"{polarity}_*.png")))
    with pytest.raises(SettingError, match="polarity: auto cannot tell"):
        predictor.predict([lines((64, 72), number, duty=0.5) for number in range(8)])


def test_the_order_is_kept_and_every_bad_file_is_named(tmp_path: Path) -> None:
    model = make_classifier().eval().trained
    images: list[Any] = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        shape = ((64, 64), (70, 90), (90, 70))[number % 3]
        cv2.imwrite(str(path), lines(shape, number))
        bad = tmp_path / f"bad_{number}.png"
        bad.write_bytes(b"" if number % 2 else b"no image")
        images += [path, bad]
    images.insert(3, np.zeros((4, 4, 3), np.uint8))
    images.append(tmp_path / "missing.png")
    predictor = Predictor(model)
    with pytest.raises(UserError) as refused:
        predictor.predict(images)
    message = str(refused.value)
    assert message.startswith("8 of 14 images cannot be used: ") and "skip_unreadable=True" in message
    assert all(f"bad_{number}.png: " in message for number in range(6))
    assert "missing.png: No such file" in message and "array of shape (4, 4, 3)" in message
    found = predictor.predict(images, skip_unreadable=True)
    assert [one.path for one in found] == [tmp_path / f"{number}.png" for number in range(6)]
    in_turn = list(predictor.stream(images))
    wanted = [path if isinstance(path, Path) else Path("array") for path in images]
    assert [one.path for one in in_turn] == wanted
    assert [isinstance(one, UnreadableImage) for one in in_turn] == [
        not isinstance(path, Path) or not path.stem.isdecimal() for path in images
    ]
    # those in between leave the others' scores alone
    same(found, Predictor(model).predict([path for path in images if isinstance(path, Path) and path.stem.isdecimal()]))
    with pytest.raises(UserError, match="found no images"):
        predictor.predict(str(tmp_path / "*.tif"))


def test_a_network_of_places_judges_no_whole_images() -> None:
    with pytest.raises(SettingError, match=r"ckpt: places compares an image with its reference"):
        load("places")


def test_files_that_evaluation_cannot_read_are_reported_and_calibration_refuses_them(tmp_path: Path) -> None:
    model = make_classifier().eval().trained
    for number, label in enumerate(CLASSES):
        (tmp_path / label).mkdir()
        for i in range(3):
            cv2.imwrite(str(tmp_path / label / f"{i}.png"), lines((64, 64), 10 * number + i))
    (tmp_path / "gap" / "1.png").write_bytes(b"no image")
    source = source_of(tmp_path, model)
    collector = PredictionCollector(Predictor(model)).run(labelled(source))
    assert [str(error).split(":")[0] for error in collector.unreadable] == [str(tmp_path / "gap" / "1.png")]
    readable = [path for path in files_of(source) if path != tmp_path / "gap" / "1.png"]
    expected = Predictor(model).predict(readable)
    assert np.array_equal(collector.scores().logits, np.stack([one.logits for one in expected]))
    names = [source.classes[label] for label in collector.scores().labels]
    assert names == [path.parent.name for path in readable]
    with pytest.raises(UserError, match=r"gap/1\.png: not a readable image"):
        collect_scores(Predictor(model), labelled(source))
    empty = collect_scores(Predictor(model), [])
    assert isinstance(empty, Scores) and len(empty) == 0 and empty.logits.shape == (0, 3)
