"""A classifier in a folder answers as its checkpoint does, without torch, or it is not written."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run, make_classifier, make_simulator, save_checkpoint

from sem_lightning.data.sources import SimulatedSource
from sem_lightning.decision.out_of_distribution import MahalanobisScore
from sem_lightning.decision.rule import RiskBound, Rule
from sem_lightning.decision.scores import Scores
from sem_lightning.errors import SettingError, UserError
from sem_lightning.export import export as exporting
from sem_lightning.export.export import Export, check_scores, export
from sem_lightning.export.graph import onnx_graph
from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import Predictor, load
from sem_lightning.model.checkpoint import TrainedModel, load_model
from sem_lightning.runtime.exported_folder import FORMATS
from sem_lightning.synthesis.simulator import render

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
SMALL = ("imaging.image_size=64", "data.num_workers=0", "images=16")
Made = Callable[[str, str], Path]


def images_of_many_sizes() -> list[np.ndarray]:
    simulator = make_simulator("imaging.image_size=160")
    whole = [render(simulator.draw(0, 0, i, simulator.classes[i % 3])).image for i in range(6)]
    shapes = ((160, 160), (64, 64), (150, 90))
    return [image[: shape[0], : shape[1]] for image, shape in zip(whole, shapes * 2, strict=True)]


def source_for(model: TrainedModel, calibration: int = 2) -> SimulatedSource:
    simulator = make_simulator(f"imaging.image_size={model.settings.image_size}")
    return SimulatedSource(simulator, 0, {"val": 4, "test": 4, "calibration": calibration})


def several_views() -> TrainedModel:
    torch.manual_seed(0)
    facts = {"polarity": "either", "view_scales": (1, 1.5, 2), "pooling": "peak_statistics"}
    return make_classifier(**facts).eval().trained


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The folder of `several_views` in a format and a precision."""
    place, model = tmp_path_factory.mktemp("exported"), several_views()

    def make(form: str, precision: str) -> Path:
        folder = place / f"{form}-{precision}"
        if not folder.exists():
            export(model, source_for(model), Export(folder, form, precision, 12, "simulated"))
        return folder

    return make


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_folder_answers_as_the_checkpoint(form: str, made: Made) -> None:
    images = images_of_many_sizes()
    for tiling in ("off", "on"):
        expected = Predictor(several_views(), tiling=tiling).predict(images)
        found = load(made(form, "fp32"), tiling=tiling).predict(images)
        for one, other in zip(found, expected, strict=True):
            assert one.logits == pytest.approx(other.logits, abs=1e-3 if form != "torch" else 0)
            assert one.features == pytest.approx(other.features, abs=1e-3 if form != "torch" else 0)
            assert np.allclose(one.maps, other.maps, atol=1e-4)
            assert (one.decision, one.shape, one.tiles) == (other.decision, other.shape, other.tiles)


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_an_image_has_the_same_scores_beside_any_others(form: str, made: Made) -> None:
    images = images_of_many_sizes()
    predictor = load(made(form, "fp32"))
    for _ in range(2):  # OpenVINO divides images among streams only after some
        together = predictor.predict(images * 3)[-len(images) :]
    predictor = load(made(form, "fp32"))
    for image, other in zip(images, together, strict=True):
        (alone,) = predictor.predict(image)
        # ONNX Runtime's last digit depends on an image's place in the batch where sides are no multiples of 16
        assert alone.logits == pytest.approx(other.logits, abs=1e-5 if form == "onnx" else 0)


def test_a_place_network_has_free_sizes_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = make_classifier(network="place_resnet10", image_size=128).eval().trained
    export(model, source_for(model), Export(tmp_path / "places", "onnx", "fp32", 12, "simulated"))


def test_a_network_that_answers_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = several_views()
    other = several_views()
    with torch.no_grad():
        other.net.class_head.bias[1] += 0.01
    graph = onnx_graph(other.net, 64)
    monkeypatch.setattr(exporting, "onnx_graph", lambda net, size: graph)
    with pytest.raises(UserError, match=r"logits differ by 0\.01.* at batch size 1, expected at most 0\.001"):
        export(model, source_for(model), Export(tmp_path / "wrong", "onnx", "fp32", 12, "simulated"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_in_integers_a_rule_of_the_same_promise_is_made(form: str, tmp_path: Path) -> None:
    model = several_views()
    model.rule = Rule("conservative", threshold=0.0, risk_bound=RiskBound(0.3, 0.9, 10, 0, 10, 0), margin=0.25)
    source = source_for(model, calibration=6)
    found = export(model, source, Export(tmp_path / "int8", form, "int8", 12, "simulated"))
    read = load(tmp_path / "int8").rule
    assert read.risk_bound is not None and read.threshold == found.rule.threshold and read.margin == 0.25
    assert (read.risk_bound.max_escape, read.risk_bound.confidence, read.risk_bound.defects) == (0.3, 0.9, 12)
    assert {"accuracy", "accuracy_of_checkpoint", "escapes", "defects"} <= found.card.keys()
    model.rule = replace(model.rule, risk_bound=RiskBound(0.01, 0.95, 10, 0, 10, 0))
    with pytest.raises(SettingError, match=r"max_escape: 0\.01 cannot be promised .* from 12 defective"):
        export(model, source, Export(tmp_path / "strict", form, "int8", 12, "simulated"))
    assert not (tmp_path / "strict").exists()


def made_up(right: int, wrong: int) -> Scores:
    """Defects, some of which look good."""
    logits = np.array([[0.0, 5.0]] * right + [[5.0, 0.0]] * wrong)
    count = right + wrong
    return Scores(logits, np.zeros((count, 2)), np.ones(count, np.int64), np.ones(count, np.bool_))


def test_a_loss_of_accuracy_or_a_broken_promise_is_refused() -> None:
    promise = Rule("conservative", threshold=0.0, risk_bound=RiskBound(0.01, 0.95, 300, 0, 10, 0))
    assert check_scores(made_up(995, 5), made_up(991, 9), promise, "int8")["escapes"] == 9
    with pytest.raises(UserError, match=r"precision=int8 costs 0\.0060 of accuracy \(1\.0000 to 0\.9940\)"):
        check_scores(made_up(1000, 0), made_up(994, 6), Rule(), "int8")
    with pytest.raises(UserError, match=r"does not keep the promise: 20 of 1000 defective images"):
        check_scores(made_up(980, 20), made_up(980, 20), promise, "int8")


def test_the_command_says_what_it_was_checked_on(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    done = run("export", f"ckpt={checkpoint}", "output=line", "format=openvino", *SMALL)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "line holds the classifier (openvino, fp32): sem-predict ckpt=line"
    card = json.loads((tmp_path / "line" / "classifier.json").read_text())["card"]
    assert card["images"].startswith("16 ") and "imaging.image_size=64" in card["images"]
    assert card["largest_difference_of_logits"] < 1e-3


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("export", ["ckpt=CHECKPOINT", "output=line"], "output: line is there already"),
        ("export", ["ckpt=CHECKPOINT", "output=new", "format=tflite"], "format: found 'tflite', expected one of"),
        ("export", ["ckpt=CHECKPOINT", "output=new", "precision=bf16"], "precision: found 'bf16', expected fp32 or"),
        (
            "export",
            ["ckpt=CHECKPOINT", "output=new", "data.val_per_class=2", "data.test_per_class=2", *SMALL],
            "images: found 12 in the splits test and val",
        ),
        ("export", ["ckpt=line", "output=new", *SMALL], "line: Is a directory; expected a checkpoint"),
        ("calibrate", ["ckpt=line", "output=new.ckpt"], "line: Is a directory; expected a checkpoint"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    command: str, arguments: list[str], message: str, run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "line").mkdir()
    (tmp_path / "line" / "classifier.json").write_text("{}")
    done = run(command, *(each.replace("CHECKPOINT", str(checkpoint)) for each in arguments))
    assert done.code == 1 and done.err.startswith(f"error: {message}") and done.err.count("\n") == 1, done.err
    assert not (tmp_path / "new").exists()


def test_what_needs_gradients_or_batch_norms_needs_torch(made: Made) -> None:
    images = images_of_many_sizes() * 2
    with pytest.raises(SettingError, match=r"explain: .* has no gradients"):
        load(made("openvino", "fp32"), explain=True)
    with pytest.raises(SettingError, match=r"adapt: needs a network that torch runs"):
        load(made("onnx", "fp32")).adapt(images)
    with pytest.raises(SettingError, match=r"device: found 'cuda'"):
        load(made("onnx", "fp32"), device="cuda")
    assert load(made("torch", "fp32")).adapt(images) == len(images)


def test_a_checkpoint_that_was_calibrated_keeps_its_rule(tmp_path: Path, made: Made) -> None:
    model = load_model(save_checkpoint(make_classifier(), tmp_path / "a.ckpt"))
    rng = np.random.default_rng(0)
    features = rng.random((20, model.net.num_features))
    scores = Scores(rng.random((20, 3)), features, np.arange(20) % 3, np.ones(20, np.bool_))
    ood = MahalanobisScore.fit(scores, 3)
    assert ood is not None
    model.rule = Rule(temperature=1.7, ood=MahalanobisScore.from_dict(ood.to_dict()), ood_limit=1e6)
    export(model, source_for(model), Export(tmp_path / "line", "onnx", "fp32", 12, "simulated"))
    image = images_of_many_sizes()[1]
    found, expected = (one.predict(image)[0] for one in (load(tmp_path / "line"), Predictor(model)))
    assert isinstance(found, Prediction) and found.ood_score == pytest.approx(expected.ood_score, rel=1e-4)
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
