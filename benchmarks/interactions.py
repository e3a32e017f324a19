"""Fit a model of interactions and say how good its lists are: seconds, settings and nDCG.

    python benchmarks/interactions.py TRAIN TEST [--valid VALID] [--kind local] [-k 10 20]

Tables in any format that refeed reads, without a rating column, too. Without --valid a tenth of the training
interactions is held back, settings are chosen on it, and the model is fitted to all of them with these.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from refeed.config.interactions import AutoInteractionsConfig, LinearConfig, LocalConfig, MultinomialConfig
from refeed.models.interactions.choose import fit_interactions
from refeed.models.interactions.validation import held_out_lists
from refeed.ratings.read import prepare
from refeed.ratings.store import Ratings

KINDS = {
    "auto": AutoInteractionsConfig,
    "linear": LinearConfig,
    "local": LocalConfig,
    "multinomial": MultinomialConfig,
}


def read(table: Path, scratch: Path) -> Ratings:
    """The table as a store in a scratch folder."""
    out = scratch / f"{table.stem}-{len(list(scratch.iterdir()))}"
    prepare([table], out)
    return Ratings.load(out)


def main() -> None:
    """Read, fit, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--valid", type=Path)
    parser.add_argument("--kind", choices=KINDS, default="auto")
    parser.add_argument("-k", type=int, nargs="+", default=[10, 20])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        train, test = read(given.train, scratch), read(given.test, scratch)
        valid = read(given.valid, scratch) if given.valid else None
        fitted_on, tried_on = train, valid
        if valid is None:
            held_back = np.random.default_rng(0).random(len(train)) < 0.1
            fitted_on, tried_on = train.select(~held_back), train.select(held_back)
        start, used = time.perf_counter(), time.process_time()
        config, model = fit_interactions(KINDS[given.kind](), fitted_on, tried_on)
        if valid is None:
            config, model = fit_interactions(config, train)
        print(
            f"{time.perf_counter() - start:.0f} s, {time.process_time() - used:.0f} s of processors: {config}"
        )
        held_out = held_out_lists(train, test, most=test.n_users)
        for k in given.k:
            ndcg = held_out.ndcg(lambda users: next(model.score_blocks(train, users, len(users))), k)
            print(f"nDCG@{k} {ndcg.mean():.4f} ± {ndcg.std() / len(ndcg) ** 0.5:.4f} ({len(ndcg):,} users)")


if __name__ == "__main__":
    main()
