"""A list from an exported model, with numpy and onnxruntime, and nothing of refeed.

python onnx_list.py DIR "Alien (1979)=5" "Brazil (1985)=3.5" …
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder, *rated = sys.argv[1:]
known = json.loads((Path(folder) / "items.json").read_text(encoding="utf-8"))
ids, titles = known["items"], known["titles"] or [None] * len(known["items"])
position = {name: at for names in (titles, ids) for at, name in enumerate(names) if name}

history = [rating.rpartition("=") for rating in rated]
items = np.array([[position[name] for name, _, _ in history]], dtype=np.int64)
ratings = np.array([[float(value) for _, _, value in history]], dtype=np.float32)

session = onnxruntime.InferenceSession(str(Path(folder) / "model.onnx"))
inputs = {"items": items, "ratings": ratings, "mask": np.ones_like(ratings)}
predicted, scores = session.run(["predicted", "scores"], inputs)

scores[0, items[0]] = -np.inf  # what is rated is no news
for at in np.argsort(-scores[0], kind="stable")[:10]:
    print(f"{predicted[0, at]:.2f}  {ids[at]}  {titles[at] or ''}".rstrip())
