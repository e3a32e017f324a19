"""Every user's list, against `Recommender.recommend` for one user at a time and against a plain sort."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from torch import Tensor

from refeed.cli import main
from refeed.config import AutoencoderConfig, BiasConfig, Config, MeanConfig, TrainConfig
from refeed.errors import ConfigError, DataError, UnknownIdError
from refeed.inference import making
from refeed.inference.listing import listing_of
from refeed.inference.recommender import Recommender
from refeed.inference.scoring import best_lists, score
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.sparse import Batch
from refeed.models.interface import predict_blocks
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

USERS, ITEMS = 60, 25
KEEN, SILENT = 0, 1  # a user who rated all, one who rated nothing
_SHORT = TrainConfig(optimizer="adamw", lr=0.01, batch=16, epochs=2)
MODELS = {
    "user-based": Config(model=AutoencoderConfig(encoder=[8, 6], decoder=[7]), train=_SHORT),
    "residual": Config(
        model=AutoencoderConfig(encoder=[8], target="residual", output_activation=False), train=_SHORT
    ),
    "item-based": Config(model=AutoencoderConfig(axis="item", encoder=[8]), train=_SHORT),
    "item-based residual": Config(
        model=AutoencoderConfig(axis="item", encoder=[8], target="residual", rated_channel=True), train=_SHORT
    ),
    "float64": Config(
        model=AutoencoderConfig(encoder=[8]), train=TrainConfig(batch=16, epochs=1, precision="float64")
    ),
    "bias": Config(model=BiasConfig()),
    "mean": Config(model=MeanConfig()),  # every score the same: the order of the items decides
}


def _ratings(users: int = USERS, items: int = ITEMS) -> Ratings:
    rng = np.random.default_rng(0)
    rated = rng.random((users, items)) < rng.random(items)
    rated[KEEN], rated[SILENT] = True, False
    at_users, at_items = np.nonzero(rated)
    return Ratings.from_arrays(
        at_users,
        at_items,
        rng.integers(2, 11, size=len(at_users)) / 2,
        user_ids=Ids(f"user-{n}" for n in range(users)),
        item_ids=Ids(f"{n:03}" for n in range(items)),
        titles=["" if n == 3 else f'The Film, "{n}"' for n in range(items)],
    )


@pytest.fixture(scope="module", params=list(MODELS.values()), ids=list(MODELS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model folder of each kind."""
    out = tmp_path_factory.mktemp("scoring") / "run"
    fit(_ratings(), None, request.param, out)
    return out


@pytest.fixture(scope="module")
def bias(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a bias model."""
    out = tmp_path_factory.mktemp("bias") / "run"
    fit(_ratings(), None, MODELS["bias"], out)
    return out


def _read(path: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as db:
        table = (
            f"read_parquet('{path}')"
            if path.suffix == ".parquet"
            else f"read_csv('{path}', all_varchar = true)"
        )
        result = db.execute(f"FROM {table}")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _expected(recommender: Recommender, users: list[str], k: int, **options: Any) -> list[dict[str, Any]]:
    return [
        {
            "user": user,
            "rank": rank,
            "item": line.item,
            "title": line.title,
            "prediction": pytest.approx(line.rating, abs=1e-5),
            "score": pytest.approx(line.score, abs=1e-5),
        }
        for user in users
        for rank, line in enumerate(recommender.recommend(user, k, **options), start=1)
    ]


@pytest.mark.parametrize("options", [{}, {"include_seen": True}, {"shrink": 3.0}], ids=str)
def test_everybody_gets_the_list_they_get_alone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(making, "_BLOCK", 7 * ITEMS)  # blocks of 7 users, the last one of 4
    recommender = Recommender.load(run)
    done = score(recommender, tmp_path / "lists.parquet", k=10, **options)
    lines, users = _read(tmp_path / "lists.parquet"), list(recommender.histories.user_ids)
    assert (done.users, done.lines) == (USERS, len(lines))
    some = [users[KEEN], users[SILENT], *users[3::3]]  # of every block
    expected = _expected(recommender, some, 10, **options)
    assert [line for line in lines if line["user"] in some] == expected


def test_the_size_of_the_blocks_changes_nothing(run: Path) -> None:
    model, histories = (folder := TrainedModel.load(run)).model, folder.histories
    assert histories is not None
    users = np.random.default_rng(3).permutation(USERS)
    whole = model.predict_all(histories, users)
    for size in (1, 7, 100):
        blocks = [block.numpy().copy() for block in predict_blocks(model, histories, users, size)]
        assert {len(block) for block in blocks[:-1]} <= {size}
        np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-5)


def test_an_item_based_model_encodes_its_items_once_for_all_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(_ratings(), None, MODELS["item-based"], tmp_path / "run")
    folder = TrainedModel.load(tmp_path / "run")
    assert isinstance(folder.model, Autoencoder)
    assert folder.histories is not None
    encoded: list[int] = []
    first_layer = folder.model.first_layer

    def counted(batch: Batch) -> Tensor:
        encoded.append(len(batch))
        return first_layer(batch)

    monkeypatch.setattr(folder.model, "first_layer", counted)
    assert len(list(predict_blocks(folder.model, folder.histories, np.arange(USERS), 7))) == 9
    assert encoded == [ITEMS]


def test_a_list_is_as_long_as_there_are_unseen_items(bias: Path, tmp_path: Path) -> None:
    recommender = Recommender.load(bias)
    done = score(recommender, tmp_path / "lists.parquet", k=ITEMS)
    lengths = np.zeros(USERS, dtype=np.int64)
    for line in _read(tmp_path / "lists.parquet"):
        lengths[int(line["user"].removeprefix("user-"))] += 1
    assert lengths.tolist() == (ITEMS - recommender.histories.user_counts).tolist()
    assert lengths[[KEEN, SILENT]].tolist() == [0, ITEMS]
    assert done.short == USERS - 1
    assert f"{USERS - 1} of them get fewer" in str(done)


def test_more_than_there_are_items_is_all_of_them(bias: Path, tmp_path: Path) -> None:
    recommender = Recommender.load(bias)
    assert score(recommender, tmp_path / "a.parquet", k=1000, include_seen=True).lines == USERS * ITEMS
    score(recommender, tmp_path / "b.parquet", k=ITEMS, include_seen=True)
    assert _read(tmp_path / "a.parquet") == _read(tmp_path / "b.parquet")


def test_some_users_come_in_the_order_of_the_file_each_once(
    bias: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["user-7", "user-2", "user-30"]
    (tmp_path / "plain").write_text("\r\n".join([*wanted, "user-7"]) + "\r\n", encoding="utf-8")
    (tmp_path / "table.csv").write_text("group,user\n1,user-7\n1,user-2\n2,user-30\n", encoding="utf-8")
    (tmp_path / "alone.csv").write_text("user\nuser-7\nuser-2\nuser-30\n", encoding="utf-8")
    expected = _expected(Recommender.load(bias), wanted, 4)
    for name in ("plain", "table.csv", "alone.csv"):
        out = tmp_path / f"{name}.parquet"
        words = ["score", str(bias), "--users", str(tmp_path / name), "-k", "4", "--out", str(out), "--json"]
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out) == {"users": 3, "lines": 12, "short": 0, "unknown": 0}
        assert _read(out) == expected


def test_the_command_line_hands_its_options_on(bias: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists.parquet"
    words = ["score", str(bias), "-k", "5", "--include-seen", "--shrink", "0", "--out", str(out)]
    assert main(words) == 0
    recommender = Recommender.load(bias)
    users = list(recommender.histories.user_ids)
    assert _read(out) == _expected(recommender, users, 5, include_seen=True, shrink=0.0)


def test_a_csv_holds_the_same(bias: Path, tmp_path: Path) -> None:
    recommender = Recommender.load(bias)
    score(recommender, tmp_path / "lists.parquet", k=6)
    score(recommender, tmp_path / "lists.csv", k=6)
    as_text = [
        {**line, "rank": int(line["rank"])} | {name: float(line[name]) for name in ("prediction", "score")}
        for line in _read(tmp_path / "lists.csv")
    ]
    same = [
        {**line} | {name: pytest.approx(line[name], abs=1e-6) for name in ("prediction", "score")}
        for line in _read(tmp_path / "lists.parquet")
    ]
    assert as_text == same


def test_without_titles_there_is_no_column_of_them(bias: Path, tmp_path: Path) -> None:
    trained = TrainedModel.load(bias)
    untitled = Recommender(replace(trained, items=replace(trained.items, titles=None)))
    score(untitled, tmp_path / "lists.parquet", k=2)
    assert list(_read(tmp_path / "lists.parquet")[0]) == ["user", "rank", "item", "prediction", "score"]


def test_predictions_stay_within_the_scale_and_scores_need_not(run: Path) -> None:
    folder = TrainedModel.load(run)
    narrow = Recommender(replace(folder, scale=(3.0, 3.25)))
    listing = listing_of(narrow.trained)
    lists = list(best_lists(listing, narrow.histories, np.arange(USERS), ITEMS, include_seen=True))
    predictions = np.concatenate([block.predictions for block in lists])
    assert predictions.min() >= 3
    assert predictions.max() <= 3.25
    users = np.concatenate([block.users for block in lists])
    items = np.concatenate([block.items for block in lists])
    assert folder.histories is not None
    free = folder.model.predict(folder.histories, users.astype(np.int64), items.astype(np.int64))
    np.testing.assert_allclose(predictions, np.clip(free, 3, 3.25), atol=1e-5)


def test_many_lines_keep_their_order(tmp_path: Path) -> None:
    train = _ratings(users=3000, items=200)  # 300,000 lines: several row groups, written by several threads
    fit(train, None, MODELS["bias"], tmp_path / "run")
    score(Recommender.load(tmp_path / "run"), tmp_path / "lists.parquet", k=100, include_seen=True)
    lines = _read(tmp_path / "lists.parquet")
    places = [(int(line["user"].removeprefix("user-")), line["rank"]) for line in lines]
    assert places == [(user, rank) for user in range(3000) for rank in range(1, 101)]


def test_blocks_shrink_as_items_grow() -> None:
    assert making.users_at_once(17_768) == 413
    assert making.users_at_once(1_000_000) == 7
    assert making.users_at_once(100_000_000) == 1
    assert making.users_at_once(5) == 1024


def test_what_makes_no_sense_is_refused_and_nothing_is_written(bias: Path, tmp_path: Path) -> None:
    recommender = Recommender.load(bias)
    with pytest.raises(
        DataError, match=r"lists.txt: predictions are written as one of \.csv, \.tsv, \.parquet"
    ):
        score(recommender, tmp_path / "lists.txt")
    with pytest.raises(ConfigError, match="k = 0: a list has at least one item"):
        score(recommender, tmp_path / "lists.parquet", k=0)
    with pytest.raises(ConfigError, match="shrink = -1"):
        score(recommender, tmp_path / "lists.parquet", shrink=-1.0)
    with pytest.raises(UnknownIdError, match=r"unknown user 'user-6O': .* close to 'user-6O': .*'user-6'"):
        score(recommender, tmp_path / "lists.parquet", users=["user-1", "user-6O"])
    private = Recommender(replace(recommender.trained, histories=None))
    with pytest.raises(UnknownIdError, match="histories of the training users have been removed"):
        score(private, tmp_path / "lists.parquet")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder; give the name of a file"):
        score(recommender, tmp_path / "folder.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_stopped_halfway_nothing_is_left(bias: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = Recommender.load(bias)
    model = recommender.trained.model
    calls: list[int] = []

    def stopped(histories: Ratings, users: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        calls.append(len(users))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return type(model).predict_all(model, histories, users)

    monkeypatch.setattr(making, "_BLOCK", 7 * ITEMS)
    monkeypatch.setattr(model, "predict_all", stopped)
    with pytest.raises(KeyboardInterrupt):
        score(recommender, tmp_path / "lists.parquet")
    assert calls == [7, 7, 7]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.txt", None, "there is no such file; for all users say all"),
        ("none.csv", None, "there is no such file"),
        ("empty.txt", "", "names no user"),
        ("empty.csv", "user\n", "names no user"),
        ("gap.txt", "user-1\n\nuser-2\n", "row 2 has no user"),
        ("gap.csv", "user,group\nuser-1,1\n,2\n", "row 2 has no user"),
        ("other.csv", "person\nuser-1\n", "unknown user 'person'"),
    ],
)
def test_a_file_without_users_is_refused(
    bias: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = ["score", str(bias), "--users", str(tmp_path / name), "--out", str(tmp_path / "lists.parquet")]
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "lists.parquet").exists()


def test_a_file_of_users_that_is_no_text_is_refused(
    bias: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "users").write_bytes(b"\xff\xfe\x00")
    words = ["score", str(bias), "--users", str(tmp_path / "users"), "--out", str(tmp_path / "lists.parquet")]
    assert main(words) == 2
    assert "is UTF-16 text, truncated or damaged" in capsys.readouterr().err
