"""Memory that a training takes from the system, and gives back."""

import json
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import json, os
import torch
from refeed.runtime import start_runtime

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

def work():
    blocks = [torch.ones(5_000_000) for _ in range(20)]  # 400 MB

before = held()
with start_runtime():
    work()
    kept = held() - before
after = held() - before
work()
print(json.dumps({"kept": kept, "after": after, "later": held() - before}))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep nothing")
def test_a_training_keeps_freed_memory_and_gives_it_back_at_its_end() -> None:
    # What lies above the freed blocks by chance may keep them from the system: the best of three processes.
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", PROGRAM], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
        )
        for _ in range(3)
    ]
    assert min(run["kept"] for run in runs) > 350
    assert max(run["after"] for run in runs) < 50
    assert min(run["later"] for run in runs) < 100  # and nothing is kept from then on
