"""A sweep with launcher=joblib against the same jobs in sequence, with one thread each and with all threads each.

python benchmarks/sweep.py [--jobs 8]          13 minutes on two cores, with nothing else running

Prints seconds and the ratio to joblib's; the goals: 1.8 for one thread each on two cores, at least 1 for all threads.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TASK = (
    "trainer.accelerator=cpu", "model=resnet10", "logger=none", "callbacks.progress_bar=false", "data.num_workers=0",
    "imaging.image_size=64", "trainer.max_epochs=2",
    "data.train_per_class=800", "data.val_per_class=20", "data.test_per_class=100", "data.calibration_per_class=100",
)  # fmt: skip
WAYS = {
    "joblib, a job for each core": ("launcher=joblib",),
    "one after another, one thread each": ("sweep.threads=1",),
    "one after another, all threads each": (f"sweep.threads={os.cpu_count()}",),
}


def measure(jobs: int, options: tuple[str, ...]) -> float:
    """Seconds of a sweep over seeds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(REPOSITORY / "train.py"), "-m", f"seed=range(0,{jobs})", *TASK, *options]
        started = time.perf_counter()
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": str(REPOSITORY), **os.environ},
        )
        seconds = time.perf_counter() - started
        finished = len(list(Path(folder).glob("outputs/multirun/*/*/result.json")))
        assert finished == jobs, f"{finished} of {jobs} jobs finished"
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=8)
    jobs = parser.parse_args().jobs
    reference = None
    for way, options in WAYS.items():
        seconds = measure(jobs, options)
        reference = reference or seconds
        print(f"{way}: {seconds:.0f} s for {jobs} jobs, {seconds / reference:.2f} of joblib's")


if __name__ == "__main__":
    main()
