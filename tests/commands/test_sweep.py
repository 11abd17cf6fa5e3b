"""A sweep has one folder, forgets nothing that it finished, and says what its jobs say together."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Run
from omegaconf import OmegaConf

from sem_lightning.io.atomic import exclusive
from sem_lightning.sweeps import sweep_folder as sweep_folder_module
from sem_lightning.sweeps.sweep_folder import only_sweep
from sem_lightning.sweeps.sweep_job import fair_share

REPOSITORY = Path(__file__).parents[2]
QUICK = TINY
HOLDS = """
import sys
from pathlib import Path
from sem_lightning.sweeps.sweep_folder import only_job
with only_job(Path(sys.argv[1])):
    print("at work", flush=True)
    sys.stdin.read()
"""  # as a process of a launcher does whose sweep was killed


def sweep_folder(folder: Path) -> Path:
    [sweep] = (folder / "outputs" / "multirun").iterdir()
    return sweep


def results(sweep: Path) -> dict[str, int]:
    """When each finished job wrote its result, by its folder's name."""
    return {path.parent.name: path.stat().st_mtime_ns for path in sweep.glob("*/result.json")}


def test_the_same_command_runs_only_what_is_missing(run: Run) -> None:
    command = ("train", "-m", "noise=none,high", "seed=0", *QUICK)
    Path("conf").mkdir()  # which is then looked into: one flag more on the command line
    first = run(*command)
    assert first.code == 0, first.err
    sweep = sweep_folder(first.folder)
    assert sweep.name.startswith("noise-none_high-")
    before = results(sweep)
    assert len(before) == 2 and all(f"noise-{noise}" in " ".join(before) for noise in ("none", "high"))
    [lost] = sweep.glob("*noise-high*")
    (lost / "result.json").unlink()
    page = (sweep / "report.html").read_text()
    again = run(*command)
    assert again.code == 0, again.err
    assert again.out.count("finished before") == 1 and "2 jobs: 2 finished" in again.out
    after = results(sweep)
    assert {name for name in before if before[name] != after[name]} == {lost.name}
    assert (sweep / "report.html").read_text() == page  # the same numbers, the same page
    here = (*QUICK, f"hydra.sweep.dir={sweep}")
    forced = run("train", "-m", "noise=high", "seed=0", *here, "sweep.force=true")
    assert forced.code == 0 and "finished before" not in forced.out
    assert {name for name, when in results(sweep).items() if when > after[name]} == {lost.name}
    before = results(sweep)
    grown = run("train", "-m", "noise=none,low", "seed=0", *here)  # another grid in the same folder
    assert grown.out.count("finished before") == 1 and len(results(sweep)) == 3
    assert before.items() <= results(sweep).items()
    other = run("train", "-m", "noise=none", "seed=0", *here, "trainer.max_epochs=2")  # another setting, another job
    assert "finished before" not in other.out and len(results(sweep)) == 4


def test_one_job_that_fails_loses_nothing_and_is_tried_again(run: Run) -> None:
    command = ("train", "-m", "noise.dose=-1,50", *QUICK)
    done = run(*command)
    assert done.code == 1 and "noise.dose: found -1" in done.err
    assert "2 jobs: 1 finished, 1 failed" in done.out and "failed: " in done.out
    sweep = sweep_folder(done.folder)
    [failed] = sweep.glob("*/error.json")
    assert "noise.dose" in json.loads(failed.read_text())["error"]
    with (sweep / "jobs.csv").open(newline="") as stream:
        rows = {row["noise.dose"]: row for row in csv.DictReader(stream)}
    assert rows["-1"]["state"] == "failed" and "found -1" in rows["-1"]["error"]
    assert rows["50"]["state"] == "finished" and 0 <= float(rows["50"]["test/accuracy"]) <= 1
    again = run(*command)
    assert again.code == 1 and again.out.count("finished before") == 1 and "noise.dose: found -1" in again.err


def test_a_killed_sweep_is_finished_by_the_same_command(run: Run, tmp_path: Path) -> None:
    command = ("-m", "seed=0,1", *QUICK)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    os.chdir(tmp_path / "whole")
    assert run("train", *command).code == 0
    os.chdir(tmp_path / "killed")
    code = "from sem_lightning.commands.train import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while not list(Path().glob("outputs/multirun/*/*/result.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    sweep = sweep_folder(tmp_path / "killed")
    assert len(results(sweep)) == 1
    assert "of 2 jobs: " in run("report", str(sweep)).out or len(list(sweep.glob("*/.hydra"))) == 2
    done = run("train", *command)
    assert done.code == 0 and "finished before" in done.out
    whole = sweep_folder(tmp_path / "whole")
    assert whole.name == sweep.name
    pictures = sorted(path.name for path in whole.glob("*.png"))
    for name in ("report.html", "jobs.csv", *pictures):
        assert (sweep / name).read_bytes() == (whole / name).read_bytes(), name


def test_two_sweeps_do_not_share_a_folder(run: Run) -> None:
    with only_sweep(Path("mine")):
        done = run("train", "-m", "seed=0,1", *QUICK, "hydra.sweep.dir=mine")
    assert done.code == 1 and done.err.startswith("error: mine: another sweep is running here")
    assert not list(Path("mine").glob("*/config.yaml"))


def test_a_job_that_outlives_its_sweep_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("train", "-m", "seed=0", *QUICK, "hydra.sweep.dir=mine")
    assert run(*command).code == 0
    [job] = (path.parent for path in Path("mine").glob("*/result.json"))
    holds = [sys.executable, "-c", HOLDS, str(job)]
    with subprocess.Popen(holds, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == "at work\n"
        end, wait = process.stdin.close, exclusive
        monkeypatch.setattr(
            sweep_folder_module, "exclusive", lambda lock, on_wait: wait(lock, lambda: (on_wait(), end()))
        )
        done = run(*command)
    assert process.returncode == 0 and done.code == 0 and "finished before" in done.out
    assert done.err.startswith(f"{job.name}: a process of an earlier sweep still works on it; waiting")


def test_a_killed_job_is_one_line_and_the_sweep_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "train.py"), "-m", "launcher=joblib", "seed=0,1", *QUICK]
    command += ["hydra.launcher.n_jobs=2", "trainer.max_epochs=1000"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("outputs/multirun/*/*/config.yaml")) and time.monotonic() < deadline:
            time.sleep(0.1)
        of_joblib = ["pgrep", "-P", str(process.pid), "-f", "popen_loky_posix"]
        workers = subprocess.run(of_joblib, capture_output=True, text=True, check=True).stdout.split()
        for worker in workers:
            os.kill(int(worker), signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and len(workers) == 2
    assert "error: a job's process was killed" in err and "the same command goes on" in err and "Traceback" not in err


def test_a_folder_that_the_same_command_would_not_find_is_refused(run: Run) -> None:
    done = run("train", "-m", "seed=0", *QUICK, "hydra.sweep.dir=sweeps/${now:%Y}")
    assert done.code == 1 and done.err.startswith("error: hydra.sweep.dir: found sweeps/${now:%Y}, expected a plain")
    assert not Path("sweeps").exists()


def test_a_report_of_seeds_and_of_a_sweep_that_was_changed_moved_and_partly_deleted(run: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert run("train", "-m", "seed=0,1,2", "noise=none", *QUICK, 'hydra.sweep.dir="a, b (1)"').code == 0
    page = Path("a, b (1)/report.html").read_text()
    assert "the one configuration" in page and ">3</td>" in page
    events = EventAccumulator(str(next(Path("a, b (1)/hparams").iterdir())))
    events.Reload()
    assert "test/accuracy" in events.Tags()["scalars"]

    Path("a, b (1)").rename("moved")
    jobs = sorted(Path("moved").glob("*/result.json"))
    content = json.loads(jobs[0].read_text())
    jobs[0].write_text(json.dumps(content | {"digest_without_seed": "before a file in conf/ changed"}))
    os.utime(jobs[0], (0, 0))
    (jobs[1].parent / ".hydra/overrides.yaml").unlink()  # as by a copy without hidden files
    done = run("report", "moved")
    assert done.code == 0 and "3 jobs: 1 finished, 1 unfinished, 1 outdated" in done.out, done.out
    page = Path("moved/report.html").read_text()
    assert "other settings than the newest" in page and "so its settings are unknown" in page
    jobs[0].unlink()
    jobs[1].write_text("{half of")
    done = run("report", "moved")
    assert done.code == 0, done.err
    assert "3 jobs: 1 finished, 2 unfinished" in done.out
    for name in ("nothing", "moved/hparams"):
        done = run("report", name)
        assert done.code == 1 and done.err.startswith(f"error: {name}") and len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "launchers",
    [("hydra/launcher=joblib", "launcher=slurm_local"), ("launcher=ray",)],
)
@pytest.mark.slow
def test_no_part_of_a_sweep_depends_on_its_launcher(run: Run, launchers: tuple[str, ...]) -> None:
    """joblib's, submitit's and Ray's processes find what one process finds, one job after the other."""
    plain = [each for each in QUICK if not each.startswith(("callbacks", "data.num_workers"))]
    found = []
    for number, launched in enumerate(((), *((each,) for each in launchers))):
        arguments = ("-m", *launched, "seed=0,1", *plain, f"hydra.sweep.dir=sweep{number}")
        if launched == ("launcher=ray",):  # which leaves threads behind
            alone = [sys.executable, str(REPOSITORY / "train.py"), *arguments]
            ended = subprocess.run(alone, capture_output=True, text=True, check=False)
            code, out, err = ended.returncode, ended.stdout, ended.stderr
        else:
            done = run("train", *arguments)
            code, out, err = done.code, done.out, done.err
        assert code == 0 and "2 jobs: 2 finished" in out, err[-2000:]
        results_ = [json.loads(path.read_text()) for path in Path(f"sweep{number}").glob("*/result.json")]
        found.append(sorted((one["seed"], one["confusion"], one["metrics"]["val/loss"]) for one in results_))
    assert all(each == found[0] for each in found)


def test_cores_are_shared_between_jobs_that_run_together() -> None:
    cores = len(os.sched_getaffinity(0))
    joblib = OmegaConf.create({"n_jobs": -1})
    assert fair_share(joblib, None) == 1 and fair_share(joblib, 1) == cores  # a study hands out one trial at a time
    assert fair_share(OmegaConf.create({"ray": {"remote": {"num_cpus": 0.5}}}), None) == 1
    assert fair_share(OmegaConf.create({}), None) is None


def test_a_study_goes_on_and_ends_trials_that_lag_behind(run: Run) -> None:
    optuna = pytest.importorskip("optuna")
    command = ("train", "-m", "hparams_search=optuna", "hydra.sweeper.n_trials=1", "hydra.sweep.dir=search", *QUICK,
               "trainer.max_epochs=6")  # fmt: skip
    storage = "sqlite:///search/study.db"
    Path("search").mkdir()
    study = optuna.create_study(study_name="sem-lightning", storage=storage, direction="minimize")

    def perfect(trial: Any) -> float:
        for epoch in range(6):
            trial.report(0.0, epoch)
        return 0.0

    study.optimize(perfect, n_trials=4)  # better from the first epoch on than any training can be
    done = run(*command)
    assert done.code == 0, done.err
    [result] = [json.loads(path.read_text()) for path in Path("search").glob("*/result.json")]
    assert result["epochs"] == 2
    trials = optuna.load_study(study_name="sem-lightning", storage=storage).trials
    assert len(trials) == 5 and trials[-1].value == result["metrics"]["val/loss"]
    assert run(*command).code == 0
    study = optuna.load_study(study_name="sem-lightning", storage=storage)
    assert len(study.trials) == 6
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        for dose in (-1, 50):
            study.enqueue_trial({"noise.dose": dose})
    done = run(
        *command, "hydra.sweeper.n_trials=2", "noise.dose=choice(-1,50)", "sweep.prune=false", "trainer.max_epochs=1"
    )
    assert done.code == 1 and "jobs that failed: 1" in done.err
    assert len(optuna.load_study(study_name="sem-lightning", storage=storage).trials) == 8
    page = Path("search/report.html").read_text()
    assert "accuracy against model.learning_rate" in page.lower()


def test_pruning_without_a_study_is_refused(run: Run) -> None:
    done = run("train", "sweep.prune=true", *QUICK)
    assert done.code == 1 and "sweep.prune: is for trials of a study" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("optimized_metric=test/accuracy",),
            "optimized_metric: found test/accuracy, but trials are ended by val/loss",
        ),
        (
            ("hydra.sweeper.direction=maximize",),
            "hydra.sweeper.direction: found maximize, but val/loss is to be minimized",
        ),
    ],
)
def test_a_study_that_would_look_for_the_worst_is_refused(run: Run, options: tuple[str, ...], said: str) -> None:
    pytest.importorskip("optuna")
    done = run("train", "-m", "hparams_search=optuna", "hydra.sweeper.n_trials=1", *options, *QUICK)
    assert said in done.err and not list(done.folder.rglob("result.json"))
