"""What the full model, refeed.lite and the exported graph cost, each in a process of its own.

    python benchmarks/portable.py RUN

RUN is a model folder of kind ridge. Printed are the seconds until the first list, from the start of the
process; the peak memory; and the median and the 99th percentile of a list for a person of 20 ratings, in
milliseconds.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

_LISTS = 200

_PROGRAM = """
import json, random, resource, sys, time
begun = time.perf_counter()
run, runtime, lists = sys.argv[1], sys.argv[2], int(sys.argv[3])
if runtime == "full":
    from refeed.inference.recommender import Recommender
    import torch; torch.set_num_threads(1)
    load = Recommender.load(run)
elif runtime == "lite":
    from refeed.lite import Recommender
    load = Recommender.load(run)
else:
    import numpy as np, onnxruntime
    options = onnxruntime.SessionOptions(); options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(run + "/model.onnx", options, providers=["CPUExecutionProvider"])
known = json.load(open(run + "/items.json", encoding="utf-8"))
ids = known["items"] if "items" in known else known["item"]
draw = random.Random(0)

def one():
    items = draw.sample(range(len(ids)), 20)
    if runtime != "onnx":
        load.recommend({ids[at]: draw.randint(2, 10) / 2 for at in items}, 10)
        return
    ratings = np.array([[draw.randint(2, 10) / 2 for _ in items]], dtype=np.float32)
    inputs = {"items": np.array([items], dtype=np.int64), "ratings": ratings, "mask": np.ones_like(ratings)}
    _, scores = session.run(["predicted", "scores"], inputs)
    scores[0, items] = -np.inf
    np.argsort(-scores[0], kind="stable")[:10]

one()
first = time.perf_counter() - begun
times = []
for _ in range(lists):
    start = time.perf_counter(); one(); times.append(1000 * (time.perf_counter() - start))
times.sort()
print(json.dumps({"first": first, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                  "p50": times[lists // 2], "p99": times[int(lists * 0.99)]}))
"""


def _measured(folder: Path, runtime: str) -> dict[str, float]:
    words = [sys.executable, "-c", _PROGRAM, str(folder), runtime, str(_LISTS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main() -> None:
    """Print a row for each runtime."""
    run = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "onnx"
        export = [sys.executable, "-m", "refeed", "export", str(run), "--onnx", str(out)]
        print(
            subprocess.run(export, capture_output=True, text=True, check=True).stdout.replace(
                str(out), "onnx"
            )
        )
        print("| runtime | first list | peak memory | a list, p50 | p99 |\n|---|---|---|---|---|")
        for runtime, folder in (("full", run), ("lite", run), ("onnx", out)):
            row = _measured(folder, runtime)
            print(
                f"| {runtime} | {row['first']:.2f} s | {row['megabytes']:.0f} MB | {row['p50']:.2f} ms | "
                f"{row['p99']:.2f} ms |"
            )


if __name__ == "__main__":
    main()
