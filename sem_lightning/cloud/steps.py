"""What a job does: our commands with the user's overrides, and the folders that go in and come out.

Nothing here needs Azure: steps are checked, written as text, and run on any machine.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from sem_lightning.commands.open_data import SHIPPED
from sem_lightning.errors import SettingError, UserError

ACTIONS = ("generate", "train", "evaluate", "pipeline", "sweep")
# keys of what a job reads: azureml:..., or something on this machine, which is then uploaded
_DATA = ("data.root", "ckpt", "ckpt_path", "model.weights_path", "pattern.file")
_REMOTE = "azureml:"
_ODD = re.compile(r"[^A-Za-z0-9_]+")  # in the name of an input
SET = "set"  # in the folder of generated images: that one is a mount, which nothing can take the place of
MODEL_FILE = "model.safetensors"  # in the folder of a registered classifier


@dataclass(frozen=True)
class Step:
    """One of our commands as a job.

    Attributes:
        name: Of the step.
        command: Which of ours: ``python -m sem_lightning COMMAND``.
        overrides: Of the command, ready for a shell; ``${{inputs.NAME}}`` and ``${{outputs.NAME}}`` stand for what the
            cloud fills in.
        inputs: For each input where it comes from: ``STEP.OUTPUT`` of this pipeline, ``azureml:...``, or an absolute
            path on this machine.
        outputs: Names of the folders that come out.
        swept: For each input that a sweep fills in its values.
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
        return " ".join(("python -m sem_lightning", self.command, *self.overrides))


def plan(action: str, overrides: Sequence[str]) -> list[Step]:
    """The steps of an action, each after those whose outputs it takes.

    Raises:
        UserError: An override that no step takes, or that the action cannot do.
    """
    parsed = _parse(overrides)
    swept = [each for each in parsed if each.is_sweep_override()]
    if swept and action != "sweep":
        raise UserError(f"{swept[0].input_line}: several values are for action=sweep")
    if action == "pipeline":
        return _plan_pipeline(parsed)
    if action == "sweep":
        return [_plan_sweep(parsed, swept)]
    flags = {
        "generate": [f"output=${{{{outputs.images}}}}/{SET}"],
        "train": ["hydra.run.dir=${{outputs.run}}", "callbacks.progress_bar=false", "logger=mlflow"],
        "evaluate": ["hydra.run.dir=${{outputs.report}}"],
    }[action]
    given = {each.key_or_group for each in parsed}
    if "output" in given:
        raise UserError("output: the cloud chooses where a job's files go; leave it out")
    written, inputs = _take_inputs(parsed)
    ours = [flag for flag in flags if flag.partition("=")[0] not in given]
    made = {"generate": "images", "train": "run", "evaluate": "report"}[action]
    return [Step(action, action, (*written, *ours), inputs, (made,))]


def _plan_pipeline(parsed: Sequence[Override]) -> list[Step]:
    """Generate, train on it, evaluate on its test split, and store the classifier for serving."""
    from sem_lightning.commands.generate import GenerateSettings  # torch, for the types alone
    from sem_lightning.commands.train import TrainSettings

    generating = {*GenerateSettings.__dataclass_fields__, "microscope"}
    training = {*TrainSettings.__dataclass_fields__, "callbacks", "logger"} - generating | {"seed"}
    for each in parsed:
        head = _head(each)
        if head in ("experiment", "output", "hydra", "launcher"):
            raise UserError(f"{head}: is not for action=pipeline; use action=train, or single keys")
        if head == "data" and not each.key_or_group.startswith("data."):
            raise UserError("data: action=pipeline trains on what it generates; use action=train for other data")
        if head not in generating | training:
            raise UserError(f"{each.input_line}: neither generate.py nor train.py has a key {head}")
    parts = {head: [each for each in parsed if _head(each) == head] for head in map(_head, parsed)}

    def some(heads: set[str]) -> list[str]:
        return [line for head in parts if head in heads for line in _take_inputs(parts[head])[0]]

    data = ["data=folder", f"data.root=${{{{inputs.images}}}}/{SET}"]
    checkpoint = "ckpt=${{inputs.run}}/checkpoints/best.ckpt"
    stored = f"output=${{{{outputs.model}}}}/{MODEL_FILE}"
    logger = [] if "logger" in parts else ["logger=mlflow"]
    return [
        Step("generate", "generate", (*some(generating), f"output=${{{{outputs.images}}}}/{SET}"), {}, ("images",)),
        Step(
            "train",
            "train",
            (*data, *some(training), *logger, "callbacks.progress_bar=false", "hydra.run.dir=${{outputs.run}}"),
            {"images": "generate.images"} | _take_inputs([e for head in training for e in parts.get(head, [])])[1],
            ("run",),
        ),
        Step(
            "evaluate",
            "evaluate",
            (checkpoint, *data, *some({"trainer"}), "hydra.run.dir=${{outputs.report}}"),
            {"images": "generate.images", "run": "train.run"},
            ("report",),
        ),
        Step(
            "register",
            "calibrate",
            (checkpoint, *data, *(some({"decision"}) or ["decision=argmax"]), stored),
            {"images": "generate.images", "run": "train.run"},
            ("model",),
        ),
    ]


def _plan_sweep(parsed: Sequence[Override], swept: Sequence[Override]) -> Step:
    if not swept:
        raise UserError("action=sweep: nothing has several values; write them as for train.py -m, such as seed=0,1,2")
    values: dict[str, tuple[str, ...]] = {}
    written, inputs = _take_inputs([each for each in parsed if not each.is_sweep_override()])
    for each in swept:
        if not each.is_choice_sweep() and not each.is_range_sweep():
            raise UserError(f"{each.input_line}: a grid takes lists and ranges, such as 1,2,3 or range(0,3)")
        name = _ODD.sub("_", each.key_or_group).strip("_")
        values[name] = tuple(each.sweep_string_iterator())
        written.append(f"{each.get_key_element()}=${{{{inputs.{name}}}}}")
    flags = ("logger=mlflow", "callbacks.progress_bar=false", "hydra.run.dir=${{outputs.run}}")
    return Step("train", "train", (*written, *flags), inputs, ("run",), values)


def _parse(overrides: Sequence[str]) -> list[Override]:
    parser, parsed = OverridesParser.create(), []
    for each in overrides:
        try:
            parsed.append(parser.parse_override(each))
        except HydraException as error:
            raise UserError(f"{each}: {str(error).splitlines()[0]}") from None
    return parsed


def _head(override: Override) -> str:
    """The top-level key or group that an override is about."""
    return re.split(r"[./@]", override.key_or_group)[0]


def _take_inputs(parsed: Sequence[Override]) -> tuple[list[str], dict[str, str]]:
    """Overrides for a shell, and the inputs that stand for the files in them."""
    written, inputs = [], {}
    for each in parsed:
        line = each.input_line or ""
        value = line.partition("=")[2].strip("'\"")
        path = Path(value).expanduser()
        local = each.key_or_group in _DATA and value not in SHIPPED and path.exists()
        if not value.startswith(_REMOTE) and not local:
            written.append(shlex.quote(line))
            continue
        if each.key_or_group not in _DATA:
            raise SettingError(each.key_or_group, f"found {value}, which can stand for {', '.join(_DATA)} alone")
        value = str(path.resolve()) if local else value
        name = _ODD.sub("_", each.key_or_group)
        inputs[name] = value
        inside = f"/{MODEL_FILE}" if is_registered_model(name, value) else ""
        written.append(f"{each.get_key_element()}=${{{{inputs.{name}}}}}{inside}")
    return written, inputs


def is_registered_model(name: str, value: str) -> bool:
    """Whether an input is a classifier of the workspace, ``azureml:NAME:VERSION``, and not a path to a file."""
    return name == "ckpt" and value.startswith(_REMOTE) and not value.startswith("azureml://")


def is_elsewhere(source: str) -> bool:
    """Whether an input does not come from another step."""
    return source.startswith((_REMOTE, "/"))


_REFERENCE = re.compile(r"\$\{\{(inputs|outputs)\.([A-Za-z0-9_]+)\}\}")


def lint(steps: Sequence[Step]) -> None:
    """Refuse what Azure's own validators let pass: a command line and its inputs and outputs that do not agree.

    Raises:
        UserError: The first such step.
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
