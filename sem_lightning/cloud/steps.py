"""Steps of a job: commands with the user's overrides, and their input and output folders.

This module does not need Azure. Steps are checked, written as text, and run on any machine.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sem_lightning.config.overrides import Override, is_grid, parse_overrides
from sem_lightning.config.schemas import GenerateSettings, TrainSettings
from sem_lightning.errors import SettingError, UserError

ACTIONS = ("generate", "train", "evaluate", "pipeline", "sweep")
SET = "set"  # subfolder of the output folder, because a mounted folder cannot be renamed
MODEL_FILE = "model.safetensors"  # in the folder of a registered classifier
# keys of inputs: azureml:..., or a local file or folder, which is uploaded
_DATA = ("data.root", "ckpt", "init_from", "resume_from", "model.weights_path", "pattern.file")
_PACKAGED = ("robust", "places")  # classifiers in the package
_REMOTE = "azureml:"
_ODD = re.compile(r"[^A-Za-z0-9_]+")  # characters not allowed in the name of an input
METRIC = "test/accuracy"  # MLflow's name of the metric that a sweep job compares


@dataclass(frozen=True)
class Step:
    """A command as a step of a job.

    Attributes:
        name: Name of the step.
        command: The command: ``python -m sem_lightning.commands.COMMAND``.
        overrides: Shell-quoted overrides of the command. The cloud replaces ``${{inputs.NAME}}`` and
            ``${{outputs.NAME}}``.
        inputs: Source of each input: ``STEP.OUTPUT`` of this pipeline, ``azureml:...``, or an absolute local path.
        outputs: Names of the output folders.
        swept: Values of each input that a sweep varies.
    """

    name: str
    command: str
    overrides: tuple[str, ...]
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    swept: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The command line."""
        return " ".join((f"python -m sem_lightning.commands.{self.command}", *self.overrides))


def port(key: str, kind: str, name: str, inside: str = "") -> str:
    """``key=PATH`` with a placeholder for the cloud, quoted for the shell and for Hydra."""
    return f"'{key}=\"${{{{{kind}.{name}}}}}{inside}\"'"


def plan(action: str, overrides: Sequence[str]) -> list[Step]:
    """The steps of an action; each comes after the steps whose outputs it uses.

    Raises:
        UserError: An override that no step accepts or that the action does not support.
    """
    parsed = parse_overrides(overrides)
    given = {each.key_or_group for each in parsed}
    for group in ("launcher", "hparams_search"):
        if group in given:
            raise UserError(f"{group}: is for sweeps on this machine; the cloud's is action=sweep")
    swept = [each for each in parsed if each.is_sweep_override()]
    if swept and action != "sweep":
        raise UserError(f"{swept[0].input_line}: several values are for action=sweep")
    if action == "pipeline":
        return _plan_pipeline(parsed)
    if action == "sweep":
        return [_plan_sweep(parsed, swept)]
    if "output" in given:
        raise UserError("output: the cloud chooses where a job's files go; leave it out")
    written, inputs = _take_inputs(parsed)
    if action == "generate":
        return [Step(action, action, (*written, port("output", "outputs", "images", f"/{SET}")), inputs, ("images",))]
    if action == "evaluate":
        flag = () if "mlflow" in given else ("mlflow=true",)
        line = (*written, *flag, port("hydra.run.dir", "outputs", "report"))
        return [Step(action, action, line, inputs, ("report",))]
    return [Step(action, action, (*written, *_training_flags(given)), inputs, ("run",))]


def _training_flags(given: set[str]) -> list[str]:
    chosen = {"logger": "mlflow", "callbacks.progress_bar": "false"}
    flags = [f"{key}={value}" for key, value in chosen.items() if key not in given]
    return [*flags, port("hydra.run.dir", "outputs", "run")]


def _plan_pipeline(parsed: Sequence[Override]) -> list[Step]:
    """Generate a set, train on it, evaluate on its test split, and store the classifier for serving."""
    generating = {*GenerateSettings.__dataclass_fields__, "microscope"}
    training = {*TrainSettings.__dataclass_fields__} - generating | {"seed"}
    given = {each.key_or_group for each in parsed}
    for each in parsed:
        head = _head(each)
        if head in ("experiment", "output", "sweep"):
            raise UserError(f"{head}: is not for action=pipeline; use action=train, or single keys")
        if each.key_or_group in ("data", "data.root", "data.folds"):
            raise UserError(f"{each.key_or_group}: action=pipeline trains once, on what it generates; use action=train")
        if head not in generating | training:
            raise UserError(f"{each.input_line}: neither generate.py nor train.py has a key {head}")
    decision = [each for each in parsed if _head(each) == "decision"]
    if decision and "shares" not in given:
        raise UserError(
            "decision: needs images of its own to calibrate on: add "
            "'shares={train: 0.6, val: 0.1, test: 0.2, calibration: 0.1}'"
        )
    made, made_inputs = _take_inputs([each for each in parsed if _head(each) in generating])
    taught, taught_inputs = _take_inputs([each for each in parsed if _head(each) in training])
    size = [
        f"data.{each.input_line}".replace("imaging.", "")
        for each in parsed
        if each.key_or_group == "imaging.image_size"
    ]
    devices = ["device=cpu" for each in parsed if each.key_or_group == "trainer.accelerator" and each.value() == "cpu"]
    data = ["data=folder", port("data.root", "inputs", "images", f"/{SET}")]
    checkpoint = port("ckpt", "inputs", "run", "/checkpoints/best.ckpt")
    rule = [shlex.quote(str(each.input_line)) for each in decision if each.key_or_group != "decision"]
    rule = [
        next((str(each.input_line) for each in decision if each.key_or_group == "decision"), "decision=argmax"),
        *rule,
    ]
    both = {"images": "generate.images", "run": "train.run"}
    return [
        Step(
            "generate",
            "generate",
            (*made, port("output", "outputs", "images", f"/{SET}")),
            made_inputs,
            ("images",),
        ),
        Step(
            "train",
            "train",
            (*data, *size, *taught, *_training_flags(given)),
            {"images": "generate.images"} | taught_inputs,
            ("run",),
        ),
        Step(
            "evaluate",
            "evaluate",
            (checkpoint, *data, *devices, "mlflow=true", port("hydra.run.dir", "outputs", "report")),
            both,
            ("report",),
        ),
        Step(
            "register",
            "calibrate",
            (checkpoint, *data, *devices, *rule, port("output", "outputs", "model", f"/{MODEL_FILE}")),
            both,
            ("model",),
        ),
    ]


def _plan_sweep(parsed: Sequence[Override], swept: Sequence[Override]) -> Step:
    """One training for each combination of values."""
    if not swept:
        raise UserError("action=sweep: nothing has several values; write them as for train.py -m, such as seed=0,1,2")
    fixed = {"optimized_metric": METRIC, "logger": "mlflow"}
    for each in parsed:
        if each.key_or_group in fixed and each.value() != fixed[each.key_or_group]:
            raise UserError(f"{each.input_line}: a sweep job compares {METRIC}, which it hears from MLflow")
        if each.key_or_group in _DATA and each.is_sweep_override():
            raise UserError(f"{each.input_line}: files are not swept; make a sweep for each")
    values: dict[str, tuple[str, ...]] = {}
    written, inputs = _take_inputs([each for each in parsed if not each.is_sweep_override()])
    for each in swept:
        if not is_grid(each):
            raise UserError(f"{each.input_line}: a grid takes lists and ranges, such as 1,2,3 or range(0,3)")
        name = _ODD.sub("_", each.key_or_group).strip("_")
        values[name] = tuple(each.sweep_string_iterator())
        if any("'" in value for value in values[name]):
            raise UserError(f"{each.input_line}: values of a sweep job have no single quotes")
        written.append(f"'{each.get_key_element()}=${{{{inputs.{name}}}}}'")
    given = {each.key_or_group for each in parsed}
    return Step("train", "train", (*written, *_training_flags(given)), inputs, ("run",), values)


def _head(override: Override) -> str:
    """The top-level key or group of an override."""
    return re.split(r"[./@]", override.key_or_group)[0]


def _take_inputs(parsed: Sequence[Override]) -> tuple[list[str], dict[str, str]]:
    """Shell-quoted overrides, and inputs that replace the files in them.

    Raises:
        SettingError: A missing file, or ``azureml:`` for a key that is not a file.
    """
    written, inputs = [], {}
    for each in parsed:
        line, key = each.input_line or "", each.key_or_group
        value = line.partition("=")[2].strip("'\"")
        if key not in _DATA:
            if _REMOTE in value:
                raise SettingError(key, f"found {value}, which can stand for {', '.join(_DATA)} alone")
            written.append(shlex.quote(line))
            continue
        if value == "null" or (key in ("ckpt", "init_from") and value in _PACKAGED):
            written.append(shlex.quote(line))
            continue
        name = _ODD.sub("_", key)
        if value.startswith(_REMOTE):
            inputs[name] = value
        elif value and Path(value).expanduser().exists():
            inputs[name] = str(Path(value).expanduser().resolve())
        else:
            raise SettingError(key, f"found {value!r}, expected azureml:..., or a file or folder on this machine")
        inside = f"/{MODEL_FILE}" if is_registered_model(name, inputs[name]) else ""
        written.append(port(each.get_key_element(), "inputs", name, inside))
    return written, inputs


def is_registered_model(name: str, value: str) -> bool:
    """Whether an input is a registered classifier, ``azureml:NAME:VERSION``, and not a path."""
    return name in ("ckpt", "init_from") and value.startswith(_REMOTE) and not value.startswith("azureml://")


def is_elsewhere(source: str) -> bool:
    """Whether an input does not come from another step."""
    return source.startswith((_REMOTE, "/"))


_REFERENCE = re.compile(r"\$\{\{(inputs|outputs)\.([A-Za-z0-9_]+)\}\}")


def lint(steps: Sequence[Step]) -> None:
    """Check that command lines agree with inputs and outputs, because Azure's validators do not.

    Raises:
        UserError: The first invalid step.
    """
    made: set[str] = set()
    for step in steps:
        used = {(kind, name) for kind, name in _REFERENCE.findall(step.line)}
        known = {("inputs", name) for name in (*step.inputs, *step.swept)} | {("outputs", n) for n in step.outputs}
        if used != known:
            odd = ", ".join(sorted(".".join(each) for each in used ^ known))
            raise UserError(f"step {step.name}: its command line and its ports do not agree about {odd}")
        for name, source in step.inputs.items():
            if not is_elsewhere(source) and source not in made:
                raise UserError(f"step {step.name}: its input {name} comes from {source}, which no earlier step makes")
        made |= {f"{step.name}.{output}" for output in step.outputs}
