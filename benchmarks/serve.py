"""sem-serve under load from another process, and what it adds to a direct call of the Predictor.

PYTHONPATH=tests/serving python benchmarks/serve.py [--seconds 120] [--ckpt robust] [arguments of sem-serve]

The overhead is measured by turns: one image by a direct call, the same image by a request, and so on. Then clients that
wait for each answer find the rate that can be served; twice that rate is sent without waiting. At last all hostile
requests of the tests.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hostile import fault_of, hostile_requests, request, send
from service import Started, service

from sem_lightning.inference.prediction import Prediction
from sem_lightning.inference.predictor import Predictor, load
from sem_lightning.io.gray_image import decode_image
from sem_lightning.serving.answers import answer_prediction
from sem_lightning.synthesis.simulator import Simulator

SIZE, IMAGES, CLIENTS, MOST_OPEN = 128, 24, 16, 200


@dataclass
class Tally:
    """What came of the requests: seconds by status, wrong answers, and requests that found no free connection."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    wrong: int = 0
    broken: int = 0
    unsent: int = 0

    def add(self, status: int, seconds: float) -> None:
        self.seconds.setdefault(status, []).append(seconds)

    def count(self, status: int) -> int:
        return len(self.seconds.get(status, []))


def encode() -> list[bytes]:
    simulator = Simulator.compose(f"imaging.image_size={SIZE}")
    return [cv2.imencode(".png", simulator.sample(number).image)[1].tobytes() for number in range(IMAGES)]


def call(predictor: Predictor, data: bytes) -> dict[str, Any]:
    (found,) = predictor.stream([decode_image(data)])
    assert isinstance(found, Prediction)
    return answer_prediction("image", found)


def wire_of(data: bytes) -> bytes:
    return request(data, "image/png").replace(b"Connection: close\r\n", b"")


class Connection:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, wire: bytes) -> tuple[int, bytes]:
        """Status and body. The service may close a connection that nobody uses, just when it is used again."""
        is_fresh = self._streams is None
        try:
            return await self._ask(wire)
        except (ConnectionError, asyncio.IncompleteReadError):
            if is_fresh:
                raise
            return await self._ask(wire)

    async def _ask(self, wire: bytes) -> tuple[int, bytes]:
        if self._streams is None or self._streams[0].at_eof():  # closed by the service, which nobody used for 5 s
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(wire)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        except BaseException:
            self.close()
            raise
        if b"connection: close" in head:
            self.close()
        return int(head.split()[1]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def ask_once(connection: Connection, number: int, wires: Sequence[bytes], expected: Any, tally: Tally) -> None:
    begun = time.perf_counter()
    try:
        status, body = await connection.ask(wires[number % len(wires)])
    except (OSError, asyncio.IncompleteReadError):
        tally.broken += 1
        return
    tally.add(status, time.perf_counter() - begun)
    if status == 200:
        tally.wrong += json.loads(body)["answers"][0] != expected[number % len(wires)]


def compare(started: Started, predictor: Predictor, images: Sequence[bytes], rounds: int) -> list[dict[str, Any]]:
    async def run() -> tuple[list[float], list[float], list[float], list[dict[str, Any]]]:
        connection, direct, served, bare = Connection(started.port), list[float](), list[float](), list[float]()
        expected = [call(predictor, data) for data in images]
        for number in range(rounds):
            data = images[number % len(images)]
            begun = time.perf_counter()
            call(predictor, data)
            direct.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            status, body = await connection.ask(wire_of(data))
            served.append(time.perf_counter() - begun)
            assert status == 200, body
            assert json.loads(body)["answers"][0] == expected[number % len(images)]
            begun = time.perf_counter()
            assert (await connection.ask(wire_of(b"no image")))[0] == 422
            bare.append(time.perf_counter() - begun)
        connection.close()
        return direct, served, bare, expected

    direct, served, bare, expected = asyncio.run(run())
    print(f"direct call {describe(direct)}; request {describe(served)}")
    print(f"a request through the queue and back whose file is no image: {describe(bare)}")
    for share in (10, 50):  # on a busy machine the fast tenth says more
        added = float(np.percentile(served, share) - np.percentile(direct, share))
        print(f"the service adds {1000 * added:.1f} ms at p{share}")
    return expected


async def saturate(started: Started, wires: Sequence[bytes], expected: Any, seconds: float) -> float:
    """Answers a second to clients that wait for each answer."""
    tally, end = Tally(), time.perf_counter() + seconds

    async def client(first: int) -> None:
        connection, number = Connection(started.port), first
        while time.perf_counter() < end:
            await ask_once(connection, number, wires, expected, tally)
            number += 1
        connection.close()

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    assert tally.wrong == tally.broken == 0
    return tally.count(200) / seconds


async def overload(
    started: Started, wires: Sequence[bytes], expected: Any, rate: float, seconds: float
) -> tuple[Tally, list[float]]:
    """Send at a rate without waiting; returns what came of it, and the service's memory over time, MB."""
    tally, memory, tasks = Tally(), list[float](), set[asyncio.Task[None]]()
    free = [Connection(started.port) for _ in range(MOST_OPEN)]

    async def one(number: int) -> None:
        connection = free.pop()
        await ask_once(connection, number, wires, expected, tally)
        free.append(connection)

    begun, number = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < seconds:
        while number < passed * rate:
            if free:
                task = asyncio.create_task(one(number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                tally.unsent += 1
            number += 1
            await asyncio.sleep(0)
        if len(memory) <= passed / 2:
            memory.append(started.memory())
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    for connection in free:
        connection.close()
    return tally, memory


def describe(seconds: Sequence[float]) -> str:
    p50, p95, p99 = (1000 * float(np.percentile(seconds, each)) for each in (50, 95, 99))
    return f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms"


def attack(started: Started) -> None:
    statuses: Counter[int] = Counter()
    faults, slowest = [], 0.0
    for kind in hostile_requests():
        begun = time.perf_counter()
        status, body = send(started.port, kind.wire, 60)
        slowest = max(slowest, time.perf_counter() - begun)
        statuses[status] += 1
        fault = fault_of(kind, status, body)
        faults += [fault] if fault else []
    print(f"{statuses.total()} kinds of hostile requests: {dict(sorted(statuses.items()))}, slowest {slowest:.1f} s")
    print(f"wrong: {len(faults)}", *faults, sep="\n")
    print(f"memory {started.memory():.0f} MB; ready: {started.get('/ready')[0]}")
    print(f"stack traces in the log: {started.log.read_text().count('Traceback')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--ckpt", default="robust")
    known, others = parser.parse_known_args()
    images = encode()
    wires = [wire_of(data) for data in images]
    predictor = load(known.ckpt)
    with tempfile.TemporaryDirectory() as name, service(Path(name), f"ckpt={known.ckpt}", *others) as started:
        expected = compare(started, predictor, images, known.rounds)
        rate = asyncio.run(saturate(started, wires, expected, max(5.0, known.seconds / 8)))
        print(f"{CLIENTS} clients that wait: {rate:.1f} answers/s")
        tally, memory = asyncio.run(overload(started, wires, expected, 2 * rate, known.seconds))
        sent = sum(map(len, tally.seconds.values()))
        print(f"{known.seconds:.0f} s at {2 * rate:.1f} requests/s, {sent} sent, {tally.unsent} without a connection:")
        for status, seconds in sorted(tally.seconds.items()):
            print(f"  {status}: {len(seconds)} ({len(seconds) / known.seconds:.1f} a second), {describe(seconds)}")
        print(f"  wrong answers {tally.wrong}, broken connections {tally.broken}, ready: {started.get('/ready')[0]}")
        quarter = len(memory) // 4
        print(
            f"  memory {memory[quarter]:.0f} MB after a quarter, {max(memory):.0f} at most, {memory[-1]:.0f} at the end"
        )
        attack(started)


if __name__ == "__main__":
    main()
