"""Kills replicas of the Ray deployment while clients ask, and counts what came of the requests.

python benchmarks/replicas.py [--kills 5] [--clients 4] [--replicas 2]        2 minutes on two idle cores

The last line is the result as JSON: answers by status, broken connections, wrong answers, the longest time between two
answers, and for each kill the seconds until all replicas run again. An answer is wrong if it is not that of the
Predictor for the same image, which is asked directly.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import load
from sem_lightning.io.gray_image import decode_image
from sem_lightning.serving.answers import answer_prediction
from sem_lightning.serving.ray_deployment import application
from sem_lightning.synthesis.simulator import Simulator

SIZE, IMAGES = 128, 24
LONGEST = 120.0  # seconds until a killed replica must be back
STEADY = 3.0  # seconds of requests before each kill, and after the last
CLOSE = 1e-3  # between numbers of an answer: cores and their number change the last digits


@dataclass
class Tally:
    """What came of the requests.

    Attributes:
        statuses: Answers by status.
        broken: Connections that ended without an answer.
        wrong: Answers that are not those of the Predictor.
        longest_gap: Between two right answers, seconds.
        back_after: For each kill, seconds until all replicas answer again.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    wrong: list[str] = field(default_factory=list)
    longest_gap: float = 0.0
    back_after: list[float] = field(default_factory=list)


@dataclass
class Clients:
    """Ask one after the other, until told to stop."""

    port: int
    images: Sequence[bytes]
    expected: Sequence[dict[str, Any]]
    tally: Tally = field(default_factory=Tally)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    last: float = field(default_factory=time.monotonic)

    def ask(self, first: int) -> None:
        number = first
        while not self.stopped.is_set():
            number = (number + 1) % len(self.images)
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request("POST", "/predict", self.images[number], {"Content-Type": "image/png"})
                answer = connection.getresponse()
                self.count(number, answer.status, answer.read())
            except (OSError, http.client.HTTPException):
                with self.lock:
                    self.tally.broken += 1
            finally:
                connection.close()

    def count(self, number: int, status: int, body: bytes) -> None:
        with self.lock:
            self.tally.statuses[status] += 1
            if status != 200:
                return
            now = time.monotonic()
            self.tally.longest_gap = max(self.tally.longest_gap, now - self.last)
            self.last = now
            if not is_same(json.loads(body)["answers"][0], self.expected[number]):
                self.tally.wrong.append(f"image {number}: {body.decode()[:300]}")


def is_same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    exact = ("label", "decision", "reason", "height", "width", "inverted")
    close = bool(np.abs(numbers_of(found) - numbers_of(expected)).max() < CLOSE)
    return close and all(found[key] == expected[key] for key in exact)


def numbers_of(answer: dict[str, Any]) -> npt.NDArray[np.float64]:
    return np.array([*answer["probabilities"].values(), answer["ood_score"]])


def make_images() -> tuple[list[bytes], list[dict[str, Any]]]:
    """Files, and what the packaged classifier says of each."""
    simulator = Simulator.compose(f"imaging.image_size={SIZE}")
    images = [cv2.imencode(".png", simulator.sample(number).image)[1].tobytes() for number in range(IMAGES)]
    expected = []
    for found in load("robust").stream([decode_image(data) for data in images]):
        assert isinstance(found, Prediction)
        expected.append(answer_prediction("image", found))
    numbers = np.array([numbers_of(each) for each in expected])
    apart = np.abs(numbers[:, None] - numbers).max(-1)[np.triu_indices(IMAGES, 1)]
    assert apart.min() > 2 * CLOSE  # or an answer to another image would pass
    return images, expected


@contextmanager
def deployed(replicas: int) -> Iterator[int]:
    """The application on a cluster of this machine; its port."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # other processes may use the cores, too
    import ray
    from ray import serve

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    ray.init(num_cpus=replicas, include_dashboard=False, log_to_driver=False)
    try:
        serve.start(http_options={"port": port})
        serve.run(application({"replicas": replicas, "limits": {"seconds": 60}}))  # no 429 on a busy machine
        yield port
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def running() -> list[int]:
    """Process ids of the replicas, which are children of a child of this process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            name, parent = (path / "cmdline").read_bytes(), parent_of(path)
            if name.startswith(b"ray::ServeReplica") and parent_of(Path("/proc") / str(parent)) == os.getpid():
                found.append(int(path.name))
        except (OSError, IndexError):  # it has just ended
            continue
    return found


def parent_of(path: Path) -> int:
    return int((path / "stat").read_text().rpartition(")")[2].split()[1])


def kill_and_wait(replicas: int, random: np.random.Generator) -> float:
    """Kill one replica; returns the seconds until as many as before take requests."""
    from ray import serve

    before = running()
    assert len(before) == replicas, before
    victim = int(random.choice(before))
    os.kill(victim, signal.SIGKILL)
    begun = time.monotonic()
    while time.monotonic() - begun < LONGEST:
        (status,) = serve.status().applications["default"].deployments.values()
        states = {str(state): count for state, count in status.replica_states.items()}
        if victim not in running() and len(running()) == replicas and states == {"RUNNING": replicas}:
            return time.monotonic() - begun
        time.sleep(0.1)
    raise AssertionError(f"no replica came back within {LONGEST:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--replicas", type=int, default=2)
    arguments = parser.parse_args()
    images, expected = make_images()
    random = np.random.default_rng(0)
    with deployed(arguments.replicas) as port:
        clients = Clients(port, images, expected)
        threads = [threading.Thread(target=clients.ask, args=(6 * each,)) for each in range(arguments.clients)]
        for each in threads:
            each.start()
        try:
            for _ in range(arguments.kills):
                time.sleep(STEADY + float(random.uniform(0, 1)))
                clients.tally.back_after.append(round(kill_and_wait(arguments.replicas, random), 1))
            time.sleep(STEADY)
        finally:
            clients.stopped.set()
            for each in threads:
                each.join()
    print(json.dumps(vars(clients.tally)))


if __name__ == "__main__":
    main()
