"""Writes docs/reference/configuration.md and docs/reference/commands.md from conf/ and the schemas.

python docs/build_reference.py        (`make docs` runs it before mkdocs)
"""

import contextlib
import dataclasses
import io
import re
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from omegaconf import OmegaConf  # noqa: E402

from sem_lightning.cloud.azure_settings import AzureSettings  # noqa: E402
from sem_lightning.cloud.cloud_settings import CloudSettings  # noqa: E402
from sem_lightning.commands import report  # noqa: E402
from sem_lightning.config.schemas import DATA_SCHEMAS, SCHEMAS, SweepSettings  # noqa: E402
from sem_lightning.data.export.storage import WriterSettings  # noqa: E402
from sem_lightning.decision.decision_settings import DecisionSettings  # noqa: E402
from sem_lightning.review.review_settings import AcceptanceSettings  # noqa: E402
from sem_lightning.synthesis.defects.defect import SETTINGS_TYPES, make_settings_types  # noqa: E402
from sem_lightning.synthesis.imaging import Imaging  # noqa: E402
from sem_lightning.synthesis.noise import Noise  # noqa: E402
from sem_lightning.synthesis.patterns.all_patterns import PatternSettings  # noqa: E402
from sem_lightning.synthesis.patterns.routing import Routing  # noqa: E402
from sem_lightning.synthesis.processing import ProcessingSettings  # noqa: E402
from sem_lightning.training.run_settings import CallbackSettings, LoggerSettings, ModelOptions  # noqa: E402

CONF, OUTPUT = ROOT / "conf", ROOT / "docs" / "reference"
GROUPS: dict[str, tuple[str, type | None]] = {  # group: the option that documents its keys, and its schema
    "pattern": ("line_space", None),  # None: every file names its own
    "defect": ("basic", None),
    "defect/types": ("gap", None),
    "imaging": ("cdsem", Imaging),
    "noise": ("typical", Noise),
    "processing": ("none", ProcessingSettings),
    "data": ("synthetic", None),
    "model": ("resnet18", ModelOptions),
    "decision": ("argmax", DecisionSettings),
    "trainer": ("auto", None),
    "logger": ("tensorboard", LoggerSettings),
    "callbacks": ("default", CallbackSettings),
    "writer": ("files", WriterSettings),
    "cloud": ("azure", AzureSettings),
}
ACROSS_GROUPS = ("microscope", "experiment", "launcher", "hparams_search")  # they set keys of other groups
IN_COMMANDS = {
    "acceptance": AcceptanceSettings,
    "sweep": SweepSettings,
    "wires": Routing,
    "imaging": Imaging,
    "noise": Noise,
}
COMMANDS = (
    "train",
    "generate",
    "preview",
    "predict",
    "inspect",
    "review",
    "serve",
    "watch",
    "evaluate",
    "calibrate",
    "export",
    "fit",
    "cloud",
)
_KEY = re.compile(r"^(\s*)([\w.]+):(?:\s+(.*?))?(?:\s+#\s?(.*))?$")
_COMMENT = re.compile(r"^\s+#\s*(.*)$")


@dataclass
class Entry:
    """A key of a YAML file."""

    key: str
    value: str
    meaning: str


@dataclass
class Option:
    """A YAML file: its opening comment, the options and schemas that it starts from, and its keys."""

    name: str
    about: list[str] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def main() -> None:
    """Write both pages."""
    make_settings_types()
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / "configuration.md").write_text(configuration())
    (OUTPUT / "commands.md").write_text(commands())


def configuration() -> str:
    """Every key of every group and command."""
    page = [
        "# Configuration keys",
        "This page is made from the files in `conf/` and the schemas in `sem_lightning/config/schemas.py`. "
        "`group=option` chooses a file, `group.key=value` changes a key. A key of the type *range* is a number, or "
        "`[low, high]` to draw from for each image.",
    ]
    for group, (first, schema) in GROUPS.items():
        page += [f"## {group}", *_group(group, first, schema)]
    for group in ACROSS_GROUPS:
        page += [f"## {group}", "Options of this group set keys of other groups."]
        for option in _options(group):
            page += [f"### {group}={option.name}", *_about(option), *_changes(option)]
    page.append("## Keys of the commands")
    for command in COMMANDS:
        option = _read(CONF / f"{command}.yaml")
        schema = CloudSettings if command == "cloud" else SCHEMAS[command]
        page += [f"### sem-{command}", _table(option, {None: schema, **IN_COMMANDS})]
    return "\n\n".join(page) + "\n"


def _group(group: str, first: str, schema: type | None) -> list[str]:
    parts = []
    for option in sorted(_options(group), key=lambda option: option.name != first):
        own = schema or _schema_of(group, option)
        parts += [f"### {group}={option.name}", *_about(option)]
        documented = option.name == first or any("schema/" in base for base in option.bases)
        bases = [base for base in option.bases if "schema/" not in base and base != "_self_"]
        if documented and option.entries:
            parts.append(_table(option, {None: own}))
        elif bases:
            parts += [f"Starts from {', '.join(f'`{base}`' for base in bases)}.", *_changes(option)]
        else:
            parts += _changes(option)
    return parts


def _options(group: str) -> list[Option]:
    return [_read(path) for path in sorted((CONF / group).glob("*.yaml"))]


def _schema_of(group: str, option: Option) -> type | None:
    kinds: dict[str, dict[str, Any]] = {
        "pattern": PatternSettings.kinds, "defect/types": SETTINGS_TYPES, "data": DATA_SCHEMAS
    }  # fmt: skip
    for base in option.bases:
        found = re.search(r"schema/(\w+)@_here_", base)
        if found and found[1] in kinds.get(group, {}):
            kind: type = kinds[group][found[1]]
            return kind
    return None


def _read(path: Path) -> Option:
    """A file of conf/; its comments are a part of it, so it is read line by line."""
    option, block, path_of_keys = Option(path.stem), "about", list[tuple[int, str]]()
    for line in path.read_text().splitlines():
        if line.startswith("#") and block == "about":
            if "@package" not in line:
                option.about.append(line[1:].removeprefix(" "))
            continue
        if line.startswith("- ") or line.startswith("  - "):
            if block == "defaults":
                option.bases.append(line.strip()[2:].split(" #")[0])
            continue
        found, comment = _KEY.match(line), _COMMENT.match(line)
        if found is None or line.lstrip().startswith("#"):
            if comment and option.entries and block == "keys":
                option.entries[-1].meaning += f" {comment[1]}"
            continue
        indent, key = len(found[1]), found[2]
        if indent == 0:
            block = key if key in ("defaults", "hydra") else "keys"
        if block in ("defaults", "about") or (block == "hydra" and path.parent == CONF):
            continue
        path_of_keys = [(i, k) for i, k in path_of_keys if i < indent] + [(indent, key)]
        value, meaning = re.sub(r"^[&*]\w+\s*", "", found[3] or ""), found[4] or ""
        if value.startswith("#"):
            value, meaning = "", value[1:].strip()
        option.entries.append(Entry(".".join(k for _, k in path_of_keys), value, meaning))
    parents = {entry.key.rpartition(".")[0] for entry in option.entries}
    option.entries = [entry for entry in option.entries if entry.key not in parents or entry.value]
    return option


def _about(option: Option) -> list[str]:
    """The opening comment: sentences as text, indented lines as commands."""
    parts: list[str] = []
    text: list[str] = []
    for line in [*option.about, "   "]:
        if line.startswith("  "):
            parts += [_plain(" ".join(text))] if text else []
            parts += [f"```console\n{line.strip()}\n```"] if line.strip() else []
            text = []
        else:
            text.append(line)
    return parts


def _changes(option: Option) -> list[str]:
    if not option.entries:
        return []
    rows = [f"| `{entry.key}` | {_code(entry.value)} | {_plain(entry.meaning)} |" for entry in option.entries]
    return ["\n".join(["| key | value | |", "| --- | --- | --- |", *rows])]


def _table(option: Option, schemas: Mapping[str | None, type | None]) -> str:
    rows = ["| key | default | type | meaning |", "| --- | --- | --- | --- |"]
    for entry in option.entries:
        parent, _, name = entry.key.rpartition(".")
        kind = _type(schemas.get(parent or None), name, entry.value)
        rows.append(f"| `{entry.key}` | {_code(entry.value)} | {kind} | {_plain(entry.meaning)} |")
    return "\n".join(rows)


def _type(schema: type | None, name: str, value: str) -> str:
    """What a key takes, from the schema's field; without a schema, from its value."""
    fields = {each.name: each for each in dataclasses.fields(schema)} if schema else {}
    if name not in fields:
        return "" if value in ("", "null", "???") else _name(type(OmegaConf.create(f"x: {value}").x))
    limits = fields[name].metadata.get("limits")
    if limits is None:
        return _name(fields[name].type)
    said = [limits.describe().replace("a number or [low, high]", "range", 1)]
    said += ["drawn log-uniformly"] if limits.log else []
    said += ["follows from severity"] if limits.by_severity else []
    return _plain("; ".join(said))


def _name(kind: Any) -> str:
    """A type in words."""
    words = {float: "number", int: "whole number", bool: "true or false", str: "text", type(None): "null", Any: "any"}
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_name(each) for each in inner)
    if origin in (list, tuple):
        return f"list of {_name(inner[0])}s"
    if origin is dict or getattr(kind, "__name__", "").endswith("Config"):
        return "mapping" if "List" not in getattr(kind, "__name__", "") else "list"
    return str(words.get(kind, getattr(kind, "__name__", str(kind))))


def _code(value: str) -> str:
    if value == "???":
        return "*required*"
    return f"`{value}`".replace("|", "\\|") if value else ""


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    escaped = re.sub(r"([|<>*_\[\]])", r"\\\1", text.strip())
    return escaped.replace("$", "&#36;")


def commands() -> str:
    """The help text of every command."""
    page = [
        "# Commands",
        "Each text is what the command prints with `--help`. Every command but `sem-report` prints its whole "
        "configuration with `--cfg job`; [the configuration keys](configuration.md) say what each key means.",
    ]
    for command in COMMANDS:
        hydra = OmegaConf.load(CONF / f"{command}.yaml").hydra
        page += [f"## sem-{command}", f"```text\n{str(hydra.help.template).rstrip()}\n```"]
    page += ["## sem-report", f"```text\n{_report_help().rstrip()}\n```"]
    return "\n\n".join(page) + "\n"


def _report_help() -> str:
    text = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["sem-report", "--help"]),
        mock.patch.dict("os.environ", {"COLUMNS": "100"}),
        contextlib.redirect_stdout(text),
        contextlib.suppress(SystemExit),
    ):
        report.main()
    return text.getvalue()


if __name__ == "__main__":
    main()
