"""Paths need no quotes within an override; what Hydra cannot parse is one line with the command that it can."""

import shlex
import sys
from pathlib import Path

import pytest
from conftest import Run
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from sem_lightning.config import environment
from sem_lightning.config.compose import compose
from sem_lightning.config.overrides import explain, parse_overrides, quote, quote_paths
from sem_lightning.errors import UserError

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@settings(deadline=None)  # the parser's first use takes long
@given(names)
def test_quoted_text_is_read_as_it_was(name: str) -> None:
    parsed = OverridesParser.create().parse_override(f"key={quote(name)}")
    assert parsed.value() == name


@settings(deadline=None)
@given(names)
def test_the_shown_command_parses(value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["/usr/bin/sem-evaluate"])
        line = str(explain(f"split={value}"))
    command = shlex.split(line.partition("as text it is: ")[2])
    assert command[0] == "sem-evaluate" and OverridesParser.create().parse_override(command[1]).value() == value


@pytest.mark.parametrize(
    ("override", "sweeps", "expected"),
    [
        ("images=a=b.tif", False, 'images="a=b.tif"'),
        ("images=my folder/(1).tif", False, 'images="my folder/(1).tif"'),
        ("images=[a]", False, 'images="[a]"'),
        ("images=1e5", False, 'images="1e5"'),
        ("images=a,b", False, 'images="a,b"'),
        ("images=a,b", True, "images=a,b"),  # -m: two of them
        ("images=plain/*.tif", False, "images=plain/*.tif"),
        ("images='quoted, too'", False, "images='quoted, too'"),
        ("jsonl=null", False, "jsonl=null"),
        ("output=${oc.env:HOME}/x", False, "output=${oc.env:HOME}/x"),
        ("ckpt=[a.ckpt,b.ckpt]", False, "ckpt=[a.ckpt,b.ckpt]"),  # the one key with several
        ("ckpt=a.ckpt,b.ckpt", False, "ckpt=a.ckpt,b.ckpt"),
        ("class_weights=[1,2]", False, "class_weights=[1,2]"),
        ("~data.root", False, "~data.root"),
    ],
)
def test_only_paths_that_hydra_reads_otherwise_are_quoted(override: str, sweeps: bool, expected: str) -> None:
    assert quote_paths([override], sweeps) == [expected]
    assert quote_paths([expected], sweeps) == [expected]


def test_a_file_that_exists_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a,b.ckpt", "[a].ckpt", "'a", "[a"):
        Path(name).touch()
        assert compose("evaluate", [f"ckpt={name}"]).ckpt == name


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("noise.dose=a=b", "noise.dose: characters of 'a=b' have a meaning here; as text it is: noise.dose=\"a=b\""),
        ("folder", "folder: expected key=value"),
        ("a b=1", "a b=1: expected key=value"),
        ("x=" + "[" * 2000 + "]" * 2000, "x: found 2000 brackets in each other, expected at most 32"),
        ("x=[" + "0.5," * 50_000 + "1]", "x: found a value of 200003 characters, expected at most 10000"),
        ("output=" + "a" * 20_000, "output: found a value of 20000 characters"),
    ],
)
def test_what_cannot_be_parsed_is_one_line(override: str, message: str) -> None:
    for read in (quote_paths, parse_overrides):
        with pytest.raises(UserError) as error:
            read([override])
        assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_commands_say_it_in_one_line(run: Run) -> None:
    for argument, message in (
        (
            "split=a=b",
            "error: split: characters of 'a=b' have a meaning here; as text it is: sem-evaluate 'split=\"a=b\"'",
        ),
        ("folder", "error: folder: expected key=value"),
        ("ckpt=a=b.ckpt", "error: a=b.ckpt: No such file"),
    ):
        done = run("evaluate", argument)
        assert done.code == 1 and done.err.startswith(message) and done.err.count("\n") == 1
    done = run("train", "-m", "--cfg", "job")
    assert done.err == "error: only one of --multirun, --cfg, --info and --shell_completion can be given\n"


@pytest.mark.parametrize(
    "value", ["range(0,100000000)", "range(1e9)", "range(0, 10, 1e-6)", "range(start=0,stop=20001)"]
)
def test_a_sweep_has_limits(value: str) -> None:
    with pytest.raises(UserError, match="expected at most 10000"):
        quote_paths([f"seed={value}"])
    assert quote_paths(["seed=range(0,100,2)"]) == ["seed=range(0,100,2)"]


def test_a_quoted_secret_is_hidden_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "pa'ss\\w\trd"
    monkeypatch.setattr(environment, "_read", {"SECRET": secret})
    assert environment.hide_variables(f"polarity: found {secret!r}, and {secret}").count("${oc.env:SECRET}") == 2


def test_a_key_below_a_range_is_named() -> None:
    with pytest.raises(UserError, match=r"pattern\.pitch\.low: a range has no keys below it"):
        compose("preview", ["pattern.pitch.low=5"])


def test_a_range_that_is_no_number_is_one_line() -> None:
    with pytest.raises(UserError):
        quote_paths(["seed=range(1.2.3,5)"])
