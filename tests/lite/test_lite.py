"""refeed.lite: the numbers and lists of the full model, without PyTorch and DuckDB."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from refeed import lite
from refeed.config import AutoencoderConfig, Config, RidgeConfig, TrainConfig, load_recipe
from refeed.errors import ConfigError, DataError, ModelError, RefeedError, StoreError, UnknownIdError
from refeed.inference.recommender import Recommender
from refeed.ratings.sample import load_sample
from refeed.training.fit import fit

People = Callable[[int], list[dict[str, float]]]
FolderOf = Callable[[Config], Path]

RIDGE = Config(model=RidgeConfig(width=6))
ENSEMBLE = Config(model=RidgeConfig(width=5), train=TrainConfig(ensemble=3))
DOUBLE = Config(model=RidgeConfig(width=5), train=TrainConfig(precision="float64"))


@pytest.fixture(scope="module")
def run(folder_of: FolderOf) -> Path:
    return folder_of(ENSEMBLE)


@pytest.fixture(scope="module")
def full(run: Path) -> Recommender:
    return Recommender.load(run)


@pytest.fixture(scope="module")
def small(run: Path) -> lite.Recommender:
    return lite.Recommender.load(run)


@pytest.mark.parametrize(
    ("config", "count"), [(RIDGE, 100), (ENSEMBLE, 1000), (DOUBLE, 100)], ids=["one", "ensemble", "float64"]
)
def test_predictions_of_up_to_a_thousand_histories_are_those_of_the_full_model(
    config: Config, count: int, folder_of: FolderOf, people: People
) -> None:
    run = folder_of(config)
    full, small = Recommender.load(run), lite.Recommender.load(run)
    everybody = people(count)
    assert {0, 1, 5000} <= {len(person) for person in everybody}
    for first in range(0, count, 200):
        some = everybody[first : first + 200]
        difference = small.predict(some, clip=False) - full.predict(some, clip=False)
        assert np.abs(difference).max() < 1e-6
    items = [f"i{at % 6000}" for at in range(count)]
    pairs = small.predict(everybody, items, clip=False) - full.predict(everybody, items, clip=False)
    assert np.abs(pairs).max() < 1e-6


def test_a_trained_default_predicts_lists_and_explains_as_the_full_model(tmp_path: Path) -> None:
    sample = load_sample()
    train = sample.select(sample.users < 20).compact()
    fit(train, None, load_recipe("default", ["train.steps=3", "model.width=8"]), tmp_path / "run")
    full, small = Recommender.load(tmp_path / "run"), lite.Recommender.load(tmp_path / "run")
    everybody = [*train.user_ids, {}, {"Toy Story (1995)": 5, "Jumanji (1995)": 0.5}]
    assert np.abs(small.predict(everybody) - full.predict(everybody)).max() < 1e-6
    for person in everybody[-8:]:
        assert_same_lists(small.recommend(person, 30), full.recommend(person, 30))
    assert_same_explanations(small, full, everybody[3], "Toy Story (1995)")


def assert_same_lists(small: list[lite.Recommendation], full: list[lite.Recommendation]) -> None:
    """The same items in the same order, but for those whose scores are equal up to float32's rounding."""
    assert [line.score for line in small] == pytest.approx([line.score for line in full], abs=2e-5)
    assert [line.rating for line in small] == pytest.approx([line.rating for line in full], abs=1e-6)
    for one, other in zip(small, full, strict=True):
        assert one.item == other.item or abs(one.score - other.score) < 2e-5
    assert {line.support for line in small} == {line.support for line in full}


def assert_same_explanations(small: lite.Recommender, full: Recommender, who: object, item: str) -> None:
    one, other = small.explain(who, item), full.explain(who, item)  # type: ignore[arg-type]
    assert (one.item, one.title) == (other.item, other.title)
    assert (one.level, one.prediction) == pytest.approx((other.level, other.prediction), abs=1e-6)
    adds = {part.item: part.adds for part in other.parts}
    assert {part.item: part.adds for part in one.parts} == pytest.approx(adds, abs=1e-6)
    assert {part.item: (part.title, part.rating) for part in one.parts} == {
        part.item: (part.title, part.rating) for part in other.parts
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 3, "shrink": 0.0},
        {"include_seen": True},
        {"cautious": 1.0},
        {"only": ["i3", "The Film №4", "i5"]},
        {"exclude": ["i3", "i4"], "k": 50},
    ],
    ids=str,
)
def test_lists_follow_the_rules_of_the_full_model(
    options: dict[str, object], small: lite.Recommender, full: Recommender, people: People
) -> None:
    for who in ["u3", *people(6)]:
        assert_same_lists(small.recommend(who, **options), full.recommend(who, **options))  # type: ignore[arg-type]


def test_explanations_and_intervals_are_those_of_the_full_model(
    small: lite.Recommender, full: Recommender, people: People
) -> None:
    everybody = people(12)
    for person in everybody:
        assert_same_explanations(small, full, person, "i17")
        expected = full.intervals(person, ["i3", "i4"], 0.8)
        np.testing.assert_allclose(small.intervals(person, ["i3", "i4"], 0.8), expected, rtol=0, atol=1e-6)
    items = [f"i{at}" for at in range(12)]
    expected = full.intervals(everybody, items, 0.9, clip=False)
    np.testing.assert_allclose(
        small.intervals(everybody, items, 0.9, clip=False), expected, rtol=0, atol=1e-6
    )


def test_similar_items_are_those_of_the_full_model(small: lite.Recommender, full: Recommender) -> None:
    assert small.similar_items("i7", 20) == full.similar_items("i7", 20)


def test_every_shape_of_a_prediction_is_that_of_the_full_model(
    small: lite.Recommender, full: Recommender
) -> None:
    person = {"i1": 4.0}
    for who, items in [
        ("u1", "i3"),
        ("u1", ["i3", "The Film №9"]),
        (person, None),
        (["u1", person, "u1"], ["i1", "i2", "i3"]),
        (["u1", person], None),
        ([], None),
        ([], []),
    ]:
        ours, theirs = small.predict(who, items), full.predict(who, items)  # type: ignore[call-overload]
        assert np.shape(ours) == np.shape(theirs)
        assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [
        (lambda one: one.predict("u1", "nothing like it"), UnknownIdError),
        (lambda one: one.predict("nobody"), UnknownIdError),
        (lambda one: one.predict({"i1": 9.0}), DataError),
        (lambda one: one.predict({"i1": float("nan")}), DataError),
        (lambda one: one.predict({"i1": 4, "The Film №1": 4}), DataError),
        (lambda one: one.predict(["u1", "u2"], ["i1"]), DataError),
        (lambda one: one.predict(["u1"], "i1"), DataError),
        (lambda one: one.recommend("u1", 0), ConfigError),
        (lambda one: one.recommend("u1", cautious=-1.0), ConfigError),
        (lambda one: one.intervals("u1", "i1", 1.5), ConfigError),
    ],
)
def test_a_mistake_is_the_same_error_as_the_full_models(
    mistake: Callable[[object], object], kind: type[RefeedError], small: lite.Recommender, full: Recommender
) -> None:
    with pytest.raises(kind) as theirs:
        mistake(full)
    with pytest.raises(kind) as ours:
        mistake(small)
    assert str(ours.value) == str(theirs.value)


_WITHOUT = """
import sys
from importlib.machinery import ModuleSpec

ABSENT = {"torch", "duckdb", "jaxtyping", "pydantic", "typer", "scipy", "pandas", "pyarrow", "onnx"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Absent())
import json
from refeed.lite import Recommender
one = Recommender.load(sys.argv[1])
list_ = one.recommend({"i1": 5.0, "The Film №2": 3.5}, 4, cautious=0.5)
low, high = one.intervals("u1", "i3", 0.9)
print(json.dumps({
    "items": [line.item for line in list_],
    "prediction": one.predict("u1", "i3"),
    "level": one.explain("u1", "i3").level,
    "width": float(high[0] - low[0]),
    "loaded": sorted(ABSENT & {name.split(".")[0] for name in sys.modules}),
}))
"""


def test_it_works_where_there_are_numpy_and_safetensors_alone(run: Path, full: Recommender) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, str(run)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    wanted = full.recommend({"i1": 5.0, "The Film №2": 3.5}, 4, cautious=0.5)
    assert said["items"] == [line.item for line in wanted]
    assert said["prediction"] == pytest.approx(full.predict("u1", "i3"), abs=1e-6)
    assert said["loaded"] == []


def test_whole_numbers_are_ids(small: lite.Recommender) -> None:
    with pytest.raises(UnknownIdError, match="unknown user '3'"):
        small.predict(3)
    with pytest.raises(UnknownIdError, match="unknown item"):
        small.predict("u1", 3)


# ---------------------------------------------------------------- folders


def test_without_the_history_it_serves_strangers(run: Path, tmp_path: Path, small: lite.Recommender) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copied / "history")
    alone = lite.Recommender.load(copied)
    assert np.array_equal(alone.predict({"i1": 4.0}), small.predict({"i1": 4.0}))
    with pytest.raises(UnknownIdError, match="histories of the training users have been removed"):
        alone.predict("u1")


@pytest.mark.parametrize("name", ["config.toml", "items.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    (copied / name).unlink()
    with pytest.raises(ModelError, match=name):
        lite.Recommender.load(copied)


@pytest.mark.parametrize(
    "name", ["config.toml", "items.json", "model.safetensors", "history/users.json", "history/values.npy"]
)
def test_a_flipped_byte_is_noticed_or_changes_nothing(
    name: str, run: Path, tmp_path: Path, small: lite.Recommender
) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    whole = (copied / name).read_bytes()
    right = small.predict({"i1": 4.0})
    for place in np.linspace(0, len(whole) - 1, 12).astype(int):
        (copied / name).write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        try:
            loaded = lite.Recommender.load(copied)
        except (ModelError, StoreError) as error:
            assert str(copied) in str(error)  # noqa: PT017 - either outcome is right, see below
            continue
        # Only what prediction does not depend on may pass, such as the learning rate.
        assert name == "config.toml"
        assert np.array_equal(loaded.predict({"i1": 4.0}), right)


def test_the_shrinkage_of_another_model_is_refused(run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    text = (copied / "config.toml").read_text(encoding="utf-8")
    (copied / "config.toml").write_text(text.replace("shrinkage = 0.7", "shrinkage = 0.9"), encoding="utf-8")
    with pytest.raises(ModelError, match="describes another model"):
        lite.Recommender.load(copied)


def test_another_kind_of_model_is_refused_with_a_way_out(folder_of: FolderOf) -> None:
    run = folder_of(Config(model=AutoencoderConfig(encoder=[4])))
    with pytest.raises(ModelError, match=r"kind autoencoder; refeed.lite knows the kind ridge alone.*--onnx"):
        lite.Recommender.load(run)


def test_no_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no model folder"):
        lite.Recommender.load(tmp_path / "nowhere")
