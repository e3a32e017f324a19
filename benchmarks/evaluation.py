"""How long do held-out ratings take to evaluate: ours, against one user at a time?

The paper's largest network (untrained weights cost what trained ones do), users of simulated Netflix, 2M of
their ratings held out at random. One user at a time is the published software's way: a dense row of all items
for a user, forward, and the outputs at the held-out items; it is timed on some users and scaled to all of
them. Ours is `evaluate`: matching by raw ids, predictions, both errors with their bootstrap over users.

    python benchmarks/evaluation.py [--ratings 10000000] [--test 2000000] [--sample 300]
"""

import argparse
import json
import resource
import time

import numpy as np
import torch
from torch import Tensor, nn

from refeed.config import AutoencoderConfig
from refeed.evaluation.evaluate import Evaluation, evaluate
from refeed.models.autoencoder.network import Autoencoder
from refeed.ratings.simulate import simulate_ratings
from refeed.ratings.store import Ratings

ITEMS, PER_USER = 17_768, 205
WIDTHS = [512, 512, 1024]


def held_out(ratings: Ratings, test: int) -> tuple[Ratings, Ratings]:
    """Training and test ratings; about `test` of them are held out."""
    chosen = np.random.default_rng(1).random(len(ratings)) < test / len(ratings)
    return ratings.select(~chosen), ratings.select(chosen)


class OneAtATime:
    """A dense network with the model's weights, as one would write it down first."""

    def __init__(self, model: Autoencoder) -> None:
        middle = [
            *zip(model.encode_w, list(model.encode_b)[1:], strict=True),
            *zip(model.decode_w, list(model.decode_b)[:-1], strict=True),
        ]
        ends = (model.item_in.t().contiguous(), model.encode_b[0]), (model.item_out, model.decode_b[-1])
        self._layers = [ends[0], *middle, ends[1]]

    def output(self, x: Tensor) -> Tensor:
        """f(x) of dense rows."""
        for weight, bias in self._layers:
            x = nn.functional.selu(nn.functional.linear(x, weight, bias))
        return x

    @torch.no_grad()
    def predict(self, train: Ratings, test: Ratings, users: np.ndarray) -> np.ndarray:
        """The predictions of the users' held-out ratings, in their order."""
        predicted = []
        for user in users.tolist():
            x = torch.zeros(1, train.n_items)
            known = slice(train.indptr[user], train.indptr[user + 1])
            x[0, torch.from_numpy(train.items[known].astype(np.int64))] = torch.from_numpy(
                train.values[known]
            )
            wanted = test.items[test.indptr[user] : test.indptr[user + 1]].astype(np.int64)
            predicted.append(self.output(x)[0, torch.from_numpy(wanted)].numpy())
        return np.concatenate(predicted)


def timed_evaluation(model: Autoencoder, train: Ratings, test: Ratings) -> tuple[float, Evaluation]:
    """Seconds of the whole evaluation, and what it found."""
    started = time.perf_counter()
    evaluation = evaluate(model, train, test, scale=train.scale)
    return time.perf_counter() - started, evaluation


def main() -> None:
    """Print the table and the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--test", type=int, default=2_000_000)
    parser.add_argument("--sample", type=int, default=300)
    asked = parser.parse_args()
    ratings = simulate_ratings(asked.ratings // PER_USER, ITEMS, asked.ratings, 0)
    train, test = held_out(ratings, asked.test)
    model = Autoencoder(AutoencoderConfig(encoder=WIDTHS), ITEMS, torch.Generator().manual_seed(0)).eval()

    users = np.flatnonzero(test.user_counts)
    sample = np.random.default_rng(2).choice(users, asked.sample, replace=False)
    plain = OneAtATime(model)
    plain.predict(train, test, sample[:20])
    started = time.perf_counter()
    expected = plain.predict(train, test, sample)
    one_at_a_time = (time.perf_counter() - started) / len(sample) * len(users)

    counts = test.user_counts[sample]
    places = (
        np.repeat(test.indptr[sample], counts)
        + np.arange(counts.sum())
        - np.repeat(np.cumsum(counts) - counts, counts)
    )
    items = test.items[places].astype(np.int64)
    ours = model.predict(train, np.repeat(sample, counts), items)
    furthest = float(np.abs(ours - expected).max())

    seconds, evaluation = timed_evaluation(model, train, test)
    started = time.perf_counter()
    model.predict(train, test.users, test.items.astype(np.int64))
    predicting = time.perf_counter() - started
    print(f"{evaluation.ratings:,} held-out ratings of {evaluation.users:,} users")
    print(f"{'one user at a time':28}{one_at_a_time:9.1f} s  (from {len(sample)} users)")
    print(f"{'ours, all of evaluate':28}{seconds:9.1f} s  {one_at_a_time / seconds:6.1f} ×")
    print(f"{'ours, predictions alone':28}{predicting:9.1f} s  {one_at_a_time / predicting:6.1f} ×")
    print(f"{'largest difference':28}{furthest:9.1e}")
    facts = {
        **vars(asked),
        "users": evaluation.users,
        "one_at_a_time_s": one_at_a_time,
        "evaluate_s": seconds,
        "predict_s": predicting,
        "ratio": one_at_a_time / seconds,
        "difference": furthest,
        "threads": torch.get_num_threads(),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    print(json.dumps({"benchmark": "evaluation", **facts}))


if __name__ == "__main__":
    main()
