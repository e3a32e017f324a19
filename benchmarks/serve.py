"""Latency, throughput and memory of the server, beside the bare forward pass, on this machine alone.

    python benchmarks/serve.py RUN [--seconds 10] [--clients 1 8 64] [--history 100] [--soak 120]

A server is started at a free port of 127.0.0.1 and asked by clients in one process of their own, each of
which waits for an answer before it asks again; every measurement stops by itself. In the same run the model's
pass is timed without a server: batches of 1, 8 and 64 histories like those that are sent.
"""

# ruff: noqa: PLC0415 - torch is only needed where the model is timed

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

_MOST = 200_000
"""Requests of one measurement, at most."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--history", type=int, default=100, help="ratings sent")
    parser.add_argument(
        "--soak", type=float, default=0.0, help="seconds of mixed reads and writes afterwards"
    )
    parser.add_argument("--because", type=int, default=3)
    given = parser.parse_args()
    seconds = min(given.seconds, 120.0)
    bodies = requests(given.run, given.history, given.because)
    measure_pass(given.run, given.history, given.because)
    with tempfile.TemporaryDirectory() as folder, server(given.run, Path(folder)) as (port, pid):
        print(
            f"{'clients':>8} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7} {'memory MB':>10}"
        )
        for clients in given.clients:
            took = in_another_process(port, bodies, clients, seconds)
            report(str(clients), took, seconds, memory(pid))
        if given.soak:
            soak(port, pid, bodies, min(given.soak, 600.0))


def histories(run: Path, count: int, length: int) -> list[dict[str, float]]:
    """Histories of random items of the model."""
    from refeed.trained_model import TrainedModel

    trained, generator = TrainedModel.load(run), np.random.default_rng(0)
    low, high = trained.scale
    length = min(length, len(trained.items.ids) // 2)
    found = []
    for _ in range(count):
        items = generator.choice(len(trained.items.ids), length, replace=False)
        values = np.clip(generator.integers(int(low), int(high) + 1, length), low, high)
        found.append({trained.items.ids[int(i)]: float(v) for i, v in zip(items, values, strict=True)})
    return found


def requests(run: Path, length: int, because: int) -> list[bytes]:
    """The bytes of requests for lists of ten."""
    made = []
    for history in histories(run, 256, length):
        body = json.dumps({"history": history, "k": 10, "because": because}).encode()
        head = (
            "POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def measure_pass(run: Path, length: int, because: int) -> None:
    """Time the model's pass, and the pass with its lists, without a server."""
    import torch

    from refeed.serve.engine import Engine
    from refeed.serve.lines import Question
    from refeed.trained_model import TrainedModel

    torch.set_num_threads(1)
    engine, model = Engine.load("main", run), TrainedModel.load(run).model
    questions = []
    for history in histories(run, 64, length):
        items, values, _ = engine.history(history)
        questions.append(Question(items, values, k=10, reasons=because))
    print(f"{'batch':>8} {'model ms':>11} {'pass ms':>8} {'lists ms':>9} {'lists/s':>9}")
    for size in (1, 8, 64):
        batch = engine.histories(questions[:size])
        bare = timed(partial(model.predict_all, batch, np.arange(size)))
        folded = timed(partial(engine.fold, batch))
        whole = timed(partial(engine.answer, questions[:size]))
        print(f"{size:8} {bare * 1e3:11.2f} {folded * 1e3:8.2f} {whole * 1e3:9.2f} {size / whole:9.0f}")


def timed(call: Callable[[], object], seconds: float = 1.5) -> float:
    """The median time of a call."""
    call()
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(took) < 5:
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return float(np.median(took))


@contextmanager
def server(run: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port, and the process's id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "refeed", "serve", str(run), "--port", str(port), "--no-access-log"]
    process = subprocess.Popen(
        [*command, "--database", str(folder / "r.sqlite")], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        for _ in range(1200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
                    break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit("the server did not start") from None
                time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(60)


def memory(pid: int) -> float:
    """What a process holds, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def in_another_process(port: int, bodies: list[bytes], clients: int, seconds: float) -> list[float]:
    """The seconds that each request took, −1 for one that failed."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run_clients, (port, bodies, clients, seconds))


def run_clients(port: int, bodies: list[bytes], clients: int, seconds: float) -> list[float]:
    """Some clients at once; each with one connection."""
    return asyncio.run(_clients(port, bodies, clients, seconds))


async def _clients(port: int, bodies: list[bytes], clients: int, seconds: float) -> list[float]:
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        at = number * 7
        warm = 3
        while time.perf_counter() < end and len(took) < _MOST:
            started = time.perf_counter()
            writer.write(bodies[at % len(bodies)])
            status = await _answer(reader)
            if warm:
                warm -= 1
            else:
                took.append(time.perf_counter() - started if status == 200 else -1.0)
            at += 1
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return took


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    if length:
        await reader.readexactly(int(length[1]))
    return int(head[9:12])


def report(name: str, took: list[float], seconds: float, megabytes: float) -> None:
    good = np.array([one for one in took if one >= 0]) * 1e3
    if not len(good):
        print(f"{name:>8}  no answer")
        return
    p50, p99 = np.percentile(good, [50, 99])
    errors = len(took) - len(good)
    print(f"{name:>8} {len(good) / seconds:11.0f} {p50:8.2f} {p99:8.2f} {errors:7} {megabytes:10.0f}")


def soak(port: int, pid: int, bodies: list[bytes], seconds: float) -> None:
    """Reads and writes of many people for some minutes: is the memory flat, does anything fail?"""
    ratings = []
    for number in range(256):
        body = re.search(rb'"history": (\{.*?\})', bodies[number])
        some = dict(list(json.loads(body[1]).items())[:3]) if body else {}
        text = json.dumps(some).encode()
        path = f"/v1/users/soak-{number}/ratings"
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        ratings.append(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
        ratings.append(
            f"GET /v1/users/soak-{number}/recommendations HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        )
    mixed = [request for pair in zip(bodies * 2, ratings, strict=True) for request in pair]
    print(f"\nsoak of {seconds:.0f} s, 16 clients: lists by history, ratings, and lists by id")
    print(f"{'part':>8} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7} {'memory MB':>10}")
    parts = 6
    for part in range(parts):
        took = in_another_process(port, mixed, 16, seconds / parts)
        report(str(part + 1), took, seconds / parts, memory(pid))


if __name__ == "__main__":
    main()
