"""Means, intervals and order of what jobs say together; names and digests by which they are found again."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy.stats import ttest_1samp

from sem_lightning.decision.intervals import wilson_interval
from sem_lightning.sweeps.jobs import FINISHED, UNFINISHED, Job, count_planned, swept_keys
from sem_lightning.sweeps.summary import as_number, best, summarise
from sem_lightning.sweeps.sweep_figures import draw_against
from sem_lightning.sweeps.sweep_folder import config_digest, job_name, sweep_name
from sem_lightning.sweeps.sweep_report import count_states


def job(overrides: dict[str, str], right: tuple[int, int], of: int = 100, state: str = FINISHED) -> Job:
    confusion = [[right[0], of - right[0]], [of - right[1], right[1]]]
    metrics = {"test/accuracy": sum(right) / (2 * of)}
    result = {"classes": ["good", "gap"], "confusion": confusion, "metrics": metrics}
    return Job(Path(",".join(overrides.values())), overrides, state, result if state == FINISHED else {}, None)


def test_seeds_are_averaged_and_student_gives_the_interval() -> None:
    rights = [(90, 80), (94, 70), (92, 78)]
    jobs = [job({"noise": "low", "seed": str(seed), "model": "a"}, right) for seed, right in enumerate(rights)]
    [group] = summarise(jobs)
    assert group.values == {} and swept_keys(jobs) == ["seed"]
    rates = np.array([sum(right) / 200 for right in rights])
    assert group.overall.mean == pytest.approx(rates.mean()) and group.overall.images == 600
    expected = ttest_1samp(rates, 0).confidence_interval(0.95)
    assert group.overall.interval == pytest.approx((expected.low, min(1.0, expected.high)))
    assert group.by_class["gap"].mean == pytest.approx(0.76)


def test_seeds_that_agree_do_not_make_an_interval_of_no_width() -> None:
    [group] = summarise([job({"seed": seed}, (100, 100)) for seed in ("0", "1")])
    assert group.overall.interval == pytest.approx(wilson_interval(400, 400))


def test_what_was_left_out_and_how_it_was_run() -> None:
    assert job_name("seed=0,~defect.bridge") != job_name("seed=0") == job_name("seed=0,sweep.force=true")
    assert sweep_name(["seed=0,1", "~defect.bridge"]) != sweep_name(["seed=0,1"])


def test_a_single_seed_has_the_interval_of_its_images() -> None:
    groups = summarise([job({"noise": noise}, (90, 80)) for noise in ("none", "low")])
    assert groups[0].overall.interval == pytest.approx(wilson_interval(170, 200))


def test_values_are_in_their_natural_order_and_unfinished_jobs_left_out() -> None:
    noises = ("extreme", "low", "none", "typical", "high")
    groups = summarise([job({"noise": noise}, (50, 50)) for noise in noises])
    assert [group.values["noise"] for group in groups] == ["none", "low", "typical", "high", "extreme"]
    doses = ("100", "20", "3", "[2,4]")
    jobs = [job({"noise.dose": dose}, (50 + len(dose), 50)) for dose in doses]
    jobs.append(job({"noise.dose": "7"}, (0, 0), state=UNFINISHED))
    groups = summarise(jobs)
    assert [group.values["noise.dose"] for group in groups] == ["3", "[2,4]", "20", "100"]
    assert best(groups)[0].values["noise.dose"] == "[2,4]"


def test_the_best_of_a_search_are_those_of_its_validation_metric() -> None:
    found = {"val/accuracy": (0.7, 0.9), "val/loss": (0.9, 0.7), "test/accuracy": (0.9, 0.7)}
    for metric, (first, second) in found.items():
        jobs = [job({"noise.dose": "1"}, (90, 90)), job({"noise.dose": "2"}, (70, 70))]  # the test likes the first
        for each, value in zip(jobs, (first, second), strict=True):
            each.result.update(optimized_metric=metric, metrics=each.result["metrics"] | {metric: value})
        assert best(summarise(jobs))[0].values["noise.dose"] == ("1" if metric == "test/accuracy" else "2"), metric


def test_jobs_that_have_not_begun_are_counted(tmp_path: Path) -> None:
    plan = {
        "sweeper": {"params": {"noise": "low,high", "seed": "0,1,2"}},
        "overrides": {"task": ["seed=range(5)", "a=[1,2]"]},
    }
    (tmp_path / "multirun.yaml").write_text(json.dumps({"hydra": plan}))
    assert count_planned(tmp_path) == 10
    jobs = [job({"seed": seed}, (50, 50)) for seed in ("0", "1")]
    assert count_states(jobs, 10) == "2 of 10 jobs: 2 finished" and count_states(jobs, 2) == "2 jobs: 2 finished"
    for broken in ("{", "hydra: 3", "[]"):
        (tmp_path / "multirun.yaml").write_text(broken)
        assert count_planned(tmp_path) is None


def test_figures_have_a_panel_for_each_combination_of_the_others() -> None:
    jobs = [
        job({"noise.dose": dose, "model": model, "seed": seed}, (60, 70))
        for dose in ("1", "10", "100")
        for model in ("a", "b")
        for seed in ("0", "1")
    ]
    figure = draw_against("noise.dose", summarise(jobs))
    assert [axes.get_title() for axes in figure.axes] == ["model=a", "model=b"]
    assert figure.axes[0].get_xscale() == "log"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"good", "gap", "all classes"}
    words = draw_against("model", summarise([job({"model": model}, (60, 70)) for model in ("a", "b")]))
    assert [label.get_text() for label in words.axes[0].get_xticklabels()] == ["a", "b"]


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_numbers_are_numbers(number: float) -> None:
    assert as_number(f"{number!r}") == number and as_number(f"[{number!r},{number!r}]") == pytest.approx(number)


def test_words_are_none() -> None:
    assert [as_number(value) for value in ("low", "[1,2,3]", "", "nan", "inf", "[a,b]")] == [None] * 6
    assert as_number("[1,3]") == 2 and math.isclose(as_number("1e3") or 0, 1000)


@given(st.lists(st.text(max_size=30), max_size=4))
def test_names_are_what_shells_and_hydra_take(overrides: list[str]) -> None:
    for name in (sweep_name(overrides), job_name(",".join(overrides))):
        assert name and len(name) <= 90 and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
        assert not name.startswith(("-", "."))


def test_the_order_of_overrides_is_no_other_sweep_and_other_values_are() -> None:
    one, two = "noise=none,low", "seed=range(3)"
    assert sweep_name([one, two]) == sweep_name([two, one])
    assert sweep_name([one, two, "data.batch_size=8"]) != sweep_name([one, two])
    assert sweep_name([one, two, "launcher=joblib", "sweep.force=true"]) == sweep_name([one, two])
    assert job_name("noise=low,sweep.force=true") == job_name("noise=low")
    assert sweep_name([one, "trainer.max_epochs=3"]).startswith("noise-none_low-")
    assert job_name("defect.gap.length=[0.3,1],noise=low").startswith("noise-low_defect.gap.length-_0.3_1")


def test_a_digest_follows_what_a_job_finds_and_nothing_else() -> None:
    base = {
        "seed": 0,
        "data": {"num_workers": 1},
        "noise": {"dose": [1, 2]},
        "callbacks": {"progress_bar": True, "patience": 3},
    }
    digest = config_digest(OmegaConf.create({**base, "sweep": {"force": False}}))
    changed = {**base, "data": {"num_workers": 0}, "callbacks": {"progress_bar": False, "patience": 3}}
    assert config_digest(OmegaConf.create({**changed, "sweep": {"force": True, "threads": 1}})) == digest
    assert config_digest(OmegaConf.create({**base, "seed": 1, "sweep": {}})) != digest
    assert config_digest(OmegaConf.create({**base, "noise": {"dose": [1, 3]}, "sweep": {}})) != digest
