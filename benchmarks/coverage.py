"""Do prediction intervals hold what they say on ratings that nothing was chosen on?

    python benchmarks/coverage.py SPLIT… [--recipe default] [--seed 0]

Trains, calibrates on the validation ratings, and counts how many test ratings lie within the intervals of 50,
80, 90 and 95 %; the target is within 2 points. Prints a table (with the mean width of the intervals, and the
coverage of the surest and the least sure third of the predictions at 90 %) and one JSON line.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from accuracy import part
from new_users import trained

from refeed.models.intervals import Uncertain, interval
from refeed.ratings.pairs import align_to

COVERAGES = (0.5, 0.8, 0.9, 0.95)


def main() -> None:
    """Measure every split."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("splits", nargs="+", type=Path)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    facts = []
    for split in asked.splits:
        train, valid, test = (part(split, name) for name in ("train", "valid", "test"))
        model, scale = trained(train, valid, asked.recipe, asked.seed)
        if not isinstance(model, Uncertain):
            raise SystemExit(f"{asked.recipe}: this kind of model does not know how sure it is")
        pairs = align_to(test, train)
        predicted = model.predict(train, pairs.users, pairs.items)
        predictive_std = model.predictive_std(train, pairs.users, pairs.items)
        thirds = np.digitize(predictive_std, np.quantile(predictive_std, [1 / 3, 2 / 3]))
        line: dict[str, float | str] = {"split": split.name, "ratings": len(pairs)}
        for coverage in COVERAGES:
            low, high = (np.clip(end, *scale) for end in interval(model, predicted, predictive_std, coverage))
            within = (low <= pairs.values) & (pairs.values <= high)
            line[f"{coverage:.0%}"] = float(within.mean())
            line[f"width {coverage:.0%}"] = float((high - low).mean())
            if coverage == 0.9:
                line["surest third"], line["least sure third"] = (
                    float(within[thirds == third].mean()) for third in (0, 2)
                )
        cells = "  ".join(f"{c:.0%}: {line[f'{c:.0%}']:.1%}" for c in COVERAGES)
        print(
            f"{split.name:28} {cells}  (at 90 %: width {line['width 90%']:.2f}, surest third "
            f"{line['surest third']:.1%}, least sure {line['least sure third']:.1%})",
            flush=True,
        )
        facts.append(line)
    print(json.dumps({"benchmark": "coverage", "recipe": asked.recipe, "splits": facts}))


if __name__ == "__main__":
    main()
