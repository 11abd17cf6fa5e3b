"""What a job runs: our commands, with each override where it belongs and every folder wired."""

import shlex
from pathlib import Path

import pytest

from sem_lightning.cloud.steps import Step, lint, plan
from sem_lightning.errors import UserError


def lines(action: str, *overrides: str) -> dict[str, str]:
    steps = plan(action, overrides)
    lint(steps)
    return {step.name: step.line for step in steps}


def test_a_pipeline_gives_each_override_to_the_commands_that_know_it() -> None:
    found = lines("pipeline", "pattern=routing", "num_per_class=50", "seed=3", "trainer.max_epochs=2", "~defect.gap")
    for part in ("pattern=routing", "num_per_class=50", "seed=3", "~defect.gap"):
        assert part in shlex.split(found["generate"])
    assert "trainer.max_epochs=2" in found["train"] and "seed=3" in found["train"] and "logger=mlflow" in found["train"]
    assert "trainer" not in found["generate"] and "pattern" not in found["train"] + found["evaluate"]
    assert shlex.split(found["evaluate"])[:4] == [
        "python", "-m", "sem_lightning.commands.evaluate", 'ckpt="${{inputs.run}}/checkpoints/best.ckpt"',
    ]  # fmt: skip
    assert shlex.split(found["register"])[-2:] == ["decision=argmax", 'output="${{outputs.model}}/model.safetensors"']
    found = lines("pipeline", "logger.every_n_steps=5", "imaging.image_size=256", "trainer=ddp")
    assert "logger=mlflow" in found["train"] and "data.image_size=256" in found["train"]
    assert "ddp" not in found["evaluate"] + found["register"]  # of one process
    assert "device" not in found["evaluate"] + found["register"]
    found = lines("pipeline", "trainer.accelerator=cpu")  # they have no trainer, but say where to run in their own way
    assert all("device=cpu" in shlex.split(found[step]) for step in ("evaluate", "register"))
    assert "trainer" not in found["evaluate"] + found["register"] and "device" not in found["train"]
    found = lines(
        "pipeline", "decision.max_escape=0.02", "decision=conservative", "shares={train: 0.5, calibration: 0.5}"
    )
    assert "decision=conservative decision.max_escape=0.02" in found["register"] and "decision" in found["train"]


def test_what_the_cloud_has_and_what_is_here_become_inputs(tmp_path: Path) -> None:
    images = tmp_path / "my images"
    images.mkdir()
    [step] = plan("train", [f"data.root={images}", "data=folder", "init_from=azureml:sem-lightning:3"])
    assert step.inputs == {"data_root": str(images), "init_from": "azureml:sem-lightning:3"}
    assert 'data.root="${{inputs.data_root}}"' in shlex.split(step.line)
    assert 'init_from="${{inputs.init_from}}/model.safetensors"' in shlex.split(step.line)
    [step] = plan("evaluate", ["ckpt=azureml:sem-lightning:3"])
    assert 'ckpt="${{inputs.ckpt}}/model.safetensors"' in shlex.split(step.line)
    assert plan("train", ["init_from=robust"])[0].inputs == {}  # comes with the package
    assert plan("evaluate", ["ckpt=robust"])[0].inputs == {}
    (tmp_path / "chip.gds").touch()
    generate = plan("pipeline", ["pattern=layout", f"pattern.file={tmp_path / 'chip.gds'}"])[0]
    assert generate.inputs == {"pattern_file": str(tmp_path / "chip.gds")}


def test_a_grid_is_what_multirun_makes_of_it() -> None:
    [step] = plan("sweep", ["noise=low,high", "seed=range(0,3)", "noise.dose=[1,2],[3,4]", "trainer.max_epochs=1"])
    assert step.swept == {"noise": ("low", "high"), "seed": ("0", "1", "2"), "noise_dose": ("[1,2]", "[3,4]")}
    assert "'noise.dose=${{inputs.noise_dose}}'" in step.line and "trainer.max_epochs=1" in step.line


@pytest.mark.parametrize(
    ("action", "overrides", "named"),
    [
        ("pipeline", ["experiment=paper"], "experiment"),
        ("pipeline", ["data=fixed"], "data"),
        ("pipeline", ["nonsense=1"], "nonsense"),
        ("train", ["noise=low,high"], "noise=low,high: several values are for action=sweep"),
        ("train", ["noise=azureml:x:1"], "noise"),
        ("generate", ["output=here"], "output"),
        ("sweep", ["noise=low"], "nothing has several values"),
        ("sweep", ["model.learning_rate=interval(0,1)"], "a grid takes lists and ranges"),
        ("train", ["noise=[1,2"], "noise"),
        ("train", ["init_from=nowhere.ckpt"], "init_from: found 'nowhere.ckpt', expected azureml:..., or a file"),
        ("train", ["data.root="], "data.root: found ''"),
        ("train", ["launcher=joblib"], "launcher"),
        ("evaluate", ["ckpt=[azureml:a:1,azureml:b:2]"], "ckpt"),
        ("pipeline", ["data.root=."], "data.root"),
        ("pipeline", ["data.folds=3"], "data.folds"),
        ("pipeline", ["decision=conservative"], "shares="),
        ("sweep", ["seed=0,1", "optimized_metric=val/loss"], "optimized_metric=val/loss"),
        ("sweep", ["seed=0,1", "logger=csv"], "logger=csv"),
        ("sweep", ["init_from=azureml:a:1,azureml:b:1"], "files are not swept"),
        ("sweep", ["seed=glob(*)"], "seed=glob(*)"),
    ],
)
def test_what_no_job_can_do_is_refused_by_its_name(action: str, overrides: list[str], named: str) -> None:
    with pytest.raises(UserError) as refused:
        plan(action, overrides)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "steps",
    [
        [Step("a", "train", ("data.root=${{inputs.images}}",))],
        [Step("a", "train", (), {}, ("run",))],
        [Step("a", "train", ("x=${{inputs.i}}",), {"i": "later.images"})],
    ],
)
def test_ports_that_a_command_line_does_not_know_are_found(steps: list[Step]) -> None:
    with pytest.raises(UserError, match="step a"):
        lint(steps)
