"""Several processes under torchrun: one that is killed, and one that hangs."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from refeed.config import AutoencoderConfig, Config, TrainConfig
from refeed.errors import ConfigError
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.runtime import start_runtime

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks processes up in /proc")

PROGRAM = """
import sys
from pathlib import Path
from refeed.config import config_from_toml
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
config = config_from_toml((folder / "config.toml").read_text(), where="test")
train, valid = Ratings.load(folder / "train"), Ratings.load(folder / "valid")
fit(train, valid, config, out, resume=True)
"""
CONFIG = Config(
    model=AutoencoderConfig(encoder=[12, 8], dropout=0.3),
    train=TrainConfig(lr=0.01, batch=16, epochs=40, refeed=1, seed=3),
)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings, settings, a program that trains on them, and what it makes if nobody disturbs it."""
    folder = tmp_path_factory.mktemp("processes")
    rng = np.random.default_rng(0)
    row, column = np.nonzero(rng.random((60, 40)) < 0.4)
    values = np.clip(np.round(3 + rng.normal(size=len(row))), 1, 5)
    everything = Ratings.from_arrays(
        row,
        column,
        values,
        user_ids=Ids(f"u{u}" for u in range(60)),
        item_ids=Ids(f"i{i}" for i in range(40)),
    )
    held_out = rng.random(len(everything)) < 0.2
    everything.select(~held_out).compact().save(folder / "train")
    everything.select(held_out).compact().save(folder / "valid")
    (folder / "config.toml").write_text(CONFIG.to_toml())
    (folder / "program.py").write_text(PROGRAM)
    undisturbed = launch(folder, "undisturbed")
    assert undisturbed.wait() == 0, (folder / "undisturbed.log").read_text()
    return folder


def launch(folder: Path, out: str, *, restarts: int = 0) -> subprocess.Popen[str]:
    with (folder / f"{out}.log").open("w") as log:
        return subprocess.Popen(
            [*TORCHRUN, f"--max-restarts={restarts}", folder / "program.py", folder, folder / out],
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def workers(agent: subprocess.Popen[str]) -> list[int]:
    """The two ranks that torchrun has started, in their order."""
    found = []
    for task in Path(f"/proc/{agent.pid}/task").iterdir():
        for pid in (task / "children").read_text().split():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            found += [int(pid)] if any(word.endswith(b"program.py") for word in words) else []
    return sorted(found)


def finished_epochs(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.exists() else 0


def go_on_after_a_kill(folder: Path, seed: int) -> None:
    """SIGKILL one of two ranks after a random epoch; torchrun starts both again with the same words."""
    draw, out = random.Random(seed), f"killed-{seed}"
    agent, epochs = launch(folder, out, restarts=3), draw.randrange(CONFIG.train.epochs // 2)
    while agent.poll() is None and (len(workers(agent)) < 2 or finished_epochs(folder / out) < epochs):
        time.sleep(0.01)
    if agent.poll() is None and (ranks := workers(agent)):
        with suppress(ProcessLookupError):  # it was quicker
            os.kill(draw.choice(ranks), signal.SIGKILL)
    assert agent.wait() == 0, (folder / f"{out}.log").read_text()
    for name in ("model.safetensors", "last.safetensors"):
        assert (folder / out / name).read_bytes() == (folder / "undisturbed" / name).read_bytes()


def test_a_killed_rank_is_started_again_and_the_bits_are_those_of_an_undisturbed_training(
    folder: Path,
) -> None:
    go_on_after_a_kill(folder, seed=0)


@pytest.mark.slow
def test_twenty_of_twenty_killed_ranks_go_on(folder: Path) -> None:
    for seed in range(100, 120):
        go_on_after_a_kill(folder, seed)


def test_a_rank_that_hangs_ends_the_training_with_a_message_in_the_time_that_is_set(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ranks = [
        subprocess.Popen(
            [sys.executable, folder / "program.py", folder, folder / "hung"],
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "WORLD_SIZE": "2",
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
                "REFEED_PROCESS_TIMEOUT": "20",
            },
        )
        for rank in range(2)
    ]
    try:
        state = folder / "hung" / "resume.pt"  # empty until the first checkpoint
        while not (state.exists() and state.stat().st_size):
            assert ranks[0].poll() is None
            time.sleep(0.01)
        ranks[1].send_signal(signal.SIGSTOP)
        _, said = ranks[0].communicate(timeout=600)
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()
    assert ranks[0].returncode == 1
    assert "ProcessError: another process of this training has ended, or has not answered for 20 s" in said
    assert "--resume" in said


@pytest.mark.parametrize("given", ["0", "-3", "soon", "nan", "inf"])
def test_a_timeout_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("REFEED_PROCESS_TIMEOUT", given)
    with pytest.raises(ConfigError, match=f"REFEED_PROCESS_TIMEOUT={given}"), start_runtime():
        pass
