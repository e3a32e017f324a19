"""Writes the folders beside it: a store and models of the present formats, and what they predict.

    python tests/formats/make.py FOLDER

For a new format only; the folders of formats that refeed promises to read are never written anew.
"""

import json
import sys
from pathlib import Path

import numpy as np

from refeed.config import AutoencoderConfig, Config, RidgeConfig, TrainConfig
from refeed.inference.recommender import Recommender
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

MODELS = {
    "ridge": Config(
        model=RidgeConfig(width=2, prior_users=5.0, prior_vectors=5.0, drift=0.0),
        train=TrainConfig(optimizer="adam", batch=4, steps=10),
    ),
    "autoencoder": Config(
        model=AutoencoderConfig(encoder=[3], target="residual", output_activation=False),
        train=TrainConfig(batch=4, epochs=2),
    ),
}


def main(out: Path) -> None:
    """Write them."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((6, 5)) < 0.7)
    ratings = Ratings.from_arrays(
        users,
        items,
        rng.integers(1, 6, len(users)).astype(np.float32),
        user_ids=Ids(["0104", "ann", "bob", "zoë", "e", "f"]),
        item_ids=Ids(["A-01", "b", "c", "d", "e"]),
        times=1_000_000_000 + 86_400 * np.arange(len(users)),
        titles=["Alien (1979)", "", "Heat, The", "Amélie", "300"],
        source={"made": "tests/formats/make.py"},
    )
    ratings.save(out / "store")
    expected: dict[str, object] = {"values": ratings.values.tolist(), "items": ratings.items.tolist()}
    for name, config in MODELS.items():
        fit(ratings, None, config, out / name)
        for file in ("resume.pt", "last.safetensors"):
            (out / name / file).unlink(missing_ok=True)
        expected[name] = Recommender.load(out / name).predict({"Alien (1979)": 5.0, "b": 2.0}).tolist()
    (out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
