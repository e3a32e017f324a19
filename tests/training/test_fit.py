"""Training as a whole: the same numbers twice, after a kill, after Ctrl-C, and on two processes."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from refeed.config import AutoencoderConfig, BiasConfig, Config, TrainConfig
from refeed.config.baselines import TimeSvdppConfig
from refeed.errors import ConfigError, DataError, ModelError, TrainingDivergedError
from refeed.model_folder import create_folder
from refeed.optim.optimizer import takes_sparse_path
from refeed.progress import report_progress, silent
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

PROGRAM = """
import os
import signal
import sys
from pathlib import Path
from refeed.config import config_from_toml
from refeed.ratings.store import Ratings
from refeed.training.fit import fit
from refeed.progress import silent

folder, out, batches = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

class Dying(type(silent)):
    def advance(self, users, loss):
        global batches
        batches -= 1
        if not batches:
            os.kill(os.getpid(), signal.SIGKILL)

config = config_from_toml((folder / "config.toml").read_text(), where="test")
train, valid = Ratings.load(folder / "train"), Ratings.load(folder / "valid")
fit(train, valid, config, out, reporter=Dying())
"""
HANGS = 600  # seconds; a process that takes longer has come to a halt


def simulated(seed: int = 0, users: int = 60, items: int = 40) -> tuple[Ratings, Ratings]:
    """Ratings with planted user and item levels, and a fifth of them held out."""
    rng = np.random.default_rng(seed)
    row, column = np.nonzero(rng.random((users, items)) < 0.4)
    levels = rng.normal(size=users)[row] + rng.normal(size=items)[column]
    values = np.clip(np.round(3 + levels + 0.3 * rng.normal(size=len(row))), 1, 5)
    everything = Ratings.from_arrays(
        row,
        column,
        values,
        user_ids=Ids(f"u{u}" for u in range(users)),
        item_ids=Ids(f"i{i}" for i in range(items)),
    )
    held_out = rng.random(len(everything)) < 0.2
    return everything.select(~held_out).compact(), everything.select(held_out).compact()


def contrary(valid: Ratings) -> Ratings:
    """Held-out ratings that are all 1: training leads from 0 past them to ratings of about 3, and so away."""
    return replace(valid, values=np.ones(len(valid), dtype=np.float32))


def config_of(**train: object) -> Config:
    settings = {"lr": 0.01, "batch": 16, "epochs": 6, "refeed": 1, "seed": 3, **train}
    return Config(
        model=AutoencoderConfig(encoder=[12, 8], dropout=0.3), train=TrainConfig.model_validate(settings)
    )


def metrics_of(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl without the two that depend on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "users_per_second")} for line in lines]


def assert_same_run(one: Path, other: Path) -> None:
    assert metrics_of(one) == metrics_of(other)
    for name in ("model.safetensors", "last.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


class Interrupted(type(silent)):  # type: ignore[misc]
    """What somebody hears who presses Ctrl-C after so many batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def advance(self, users: int, loss: float) -> None:  # noqa: ARG002
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)


def start(folder: Path, out: Path, *, processes: int = 1, killed_after: int = 0) -> subprocess.Popen[str]:
    """Train in one process or several, which are killed after so many batches (0: never)."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    script = folder / "program.py"
    script.write_text(PROGRAM)
    return subprocess.Popen(
        [*command, str(script), str(folder), str(out), str(killed_after)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )


def prepared(folder: Path, config: Config) -> Path:
    train, valid = simulated()
    train.save(folder / "train")
    valid.save(folder / "valid")
    (folder / "config.toml").write_text(config.to_toml())
    return folder


def finish(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=HANGS)
    assert process.returncode == 0, said
    return said


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    train, valid = simulated()
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        fit(train, valid, config_of(seed=seed), tmp_path / name)
    assert_same_run(tmp_path / "one", tmp_path / "two")
    assert metrics_of(tmp_path / "one") != metrics_of(tmp_path / "three")


def test_training_learns_what_was_planted(tmp_path: Path) -> None:
    train, valid = simulated(users=300)
    fit(train, valid, config_of(epochs=40, refeed=0), tmp_path / "run")
    lines = metrics_of(tmp_path / "run")
    deviation = float(valid.values.std())
    assert min(line["valid_rmse"] for line in lines) < 0.8 * deviation
    assert lines[-1]["train_rmse"] < 0.5 * lines[0]["train_rmse"]


def test_killed_in_the_middle_of_an_epoch_and_resumed_equals_never_stopped(tmp_path: Path) -> None:
    # Batches of one user, and a checkpoint after each of them.
    config = config_of(lr=5e-4, batch=1, epochs=3, checkpoint_minutes=1e-6)
    fit(*simulated(), config, tmp_path / "whole")
    killed = start(prepared(tmp_path, config), tmp_path / "killed", killed_after=60 + 25)
    _, said = killed.communicate(timeout=HANGS)
    assert killed.returncode == -signal.SIGKILL, said
    place = torch.load(tmp_path / "killed" / "resume.pt", weights_only=True)["state"]["place"]
    assert (place["epoch"], len(metrics_of(tmp_path / "killed"))) == (1, 1)
    fit(*simulated(), config, tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_ctrl_c_stops_after_the_batch_with_everything_saved(tmp_path: Path) -> None:
    config = config_of(lr=5e-4, batch=1, epochs=3)
    fit(*simulated(), config, tmp_path / "whole")
    reporter = Interrupted(60 + 25)
    with pytest.raises(KeyboardInterrupt):
        fit(*simulated(), config, tmp_path / "stopped", reporter=reporter)
    assert reporter.said[-1] == "stopped in epoch 2 after batch 25; everything is saved, --resume goes on"
    assert TrainedModel.load(tmp_path / "stopped", "last").config.train.epochs == 3
    fit(*simulated(), config, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize(
    ("output_activation", "batch", "said"),
    [
        (True, 16, "re-feeds of 16 users: dense, as the output has an activation"),
        (False, 16, "re-feeds of 16 users: collapsed, the cheaper one"),
        (False, 8, "re-feeds of 8 users: dense, the cheaper one"),
    ],
)
def test_the_way_of_refeeding_is_said_at_the_start(
    tmp_path: Path, output_activation: bool, batch: int, said: str
) -> None:
    train, valid = simulated()
    model = AutoencoderConfig(encoder=[12, 8], output_activation=output_activation)
    config = Config(model=model, train=TrainConfig(epochs=1, batch=batch, refeed=1))
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, config, tmp_path / "run", reporter=reporter)
    assert said in (tmp_path / "said.txt").read_text().splitlines()


def test_n_epochs_and_n_more_equal_2n(tmp_path: Path) -> None:
    train, valid = simulated()
    fit(train, valid, config_of(epochs=6), tmp_path / "whole")
    fit(train, valid, config_of(epochs=3, keep_state=True), tmp_path / "halves")
    fit(train, valid, config_of(epochs=6), tmp_path / "halves", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "halves")


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    config = config_of(precision="float64", epochs=3)
    folder = prepared(tmp_path, config)
    fit(*simulated(), config, tmp_path / "one")
    finish(start(folder, tmp_path / "two", processes=2))
    for one, two in zip(metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two"), strict=True):
        assert one == pytest.approx(two, abs=1e-12)
    weights, others = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, weight in weights.items():
        torch.testing.assert_close(weight, others[name], rtol=0, atol=1e-12)


def test_a_finished_training_leaves_no_state_unless_it_is_asked_for(tmp_path: Path) -> None:
    train, valid = simulated()
    for name, keep in (("kept", True), ("gone", False)):
        fit(train, valid, config_of(epochs=1, keep_state=keep), tmp_path / name)
        assert (tmp_path / name / "resume.pt").exists() is keep


def test_a_finished_training_without_its_state_does_not_go_on_for_longer(tmp_path: Path) -> None:
    train, valid = simulated()
    fit(train, valid, config_of(epochs=1), tmp_path / "run")
    before = (tmp_path / "run" / "config.toml").read_bytes()
    with pytest.raises(ConfigError, match=r"finished.* train.epochs = 2 \(it was 1\).*keep_state"):
        fit(train, valid, config_of(epochs=2), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "config.toml").read_bytes() == before


def test_killed_before_the_first_checkpoint_a_training_starts_anew(tmp_path: Path) -> None:
    train, valid = simulated()
    config = config_of(epochs=2)
    create_folder(tmp_path / "killed", config, train)
    assert (tmp_path / "killed" / "resume.pt").read_bytes() == b""
    fit(train, valid, config, tmp_path / "killed", resume=True)
    fit(train, valid, config, tmp_path / "whole")
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_resuming_a_finished_training_changes_nothing(tmp_path: Path) -> None:
    train, valid = simulated()
    fit(train, valid, config_of(epochs=2), tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    fit(train, valid, config_of(epochs=2), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    assert len(metrics_of(tmp_path / "run")) == 2


def test_the_best_epoch_is_kept_and_so_is_the_last(tmp_path: Path) -> None:
    train, valid = simulated()
    valid = contrary(valid)
    fit(train, valid, config_of(lr=0.05, epochs=10, refeed=0), tmp_path / "run")
    errors = [line["valid_rmse"] for line in metrics_of(tmp_path / "run")]
    assert errors.index(min(errors)) < len(errors) - 1, "the example must overfit"
    for weights, expected in (("model", min(errors)), ("last", errors[-1])):
        folder = TrainedModel.load(tmp_path / "run", weights)  # type: ignore[arg-type]
        assert folder.histories is not None
        users = train.user_ids.positions(valid.user_ids)[valid.users]
        items = train.item_ids.positions(valid.item_ids)[valid.items]
        predicted = folder.model.predict(folder.histories, users, items)
        assert np.sqrt(np.mean((predicted - valid.values) ** 2)) == pytest.approx(expected, rel=1e-6)


def test_the_rate_is_scaled_to_the_batch_that_training_uses(tmp_path: Path) -> None:
    train, valid = simulated()

    # 60 users at most make a batch, whatever is asked for.
    for name, batch, rate in (("small", 16, 0.01), ("large", 4096, 0.01 * 60 / 16)):
        fit(train, valid, config_of(batch=batch, lr_for_batch=16, epochs=1), tmp_path / name)
        assert metrics_of(tmp_path / name)[0]["lr"] == pytest.approx(rate)


def test_patience_stops_when_validation_gets_no_better(tmp_path: Path) -> None:
    train, valid = simulated()
    config = config_of(lr=0.05, epochs=60, refeed=0, patience=3)
    fit(train, contrary(valid), config, tmp_path / "run")
    errors = [line["valid_rmse"] for line in metrics_of(tmp_path / "run")]
    assert len(errors) < 60
    assert errors.index(min(errors)) == len(errors) - 4


@pytest.mark.parametrize("refeed", [0, 1])
def test_a_loss_that_explodes_is_an_error_with_epoch_batch_rate_and_advice(
    tmp_path: Path, refeed: int
) -> None:
    train, valid = simulated()
    with pytest.raises(
        TrainingDivergedError, match=r"epoch \d+, batch \d+, at learning rate 1e\+20"
    ) as error:
        fit(train, valid, config_of(lr=1e20, refeed=refeed), tmp_path / "run")
    assert "--set train.lr=" in str(error.value)
    assert "No epoch was finished, so nothing is kept" in str(error.value)
    assert not (tmp_path / "run").exists()


def test_fewer_users_than_a_batch_train_all_the_same(tmp_path: Path) -> None:
    train, valid = simulated(users=5)
    fit(train, valid, config_of(batch=128, drop_last=True, epochs=2), tmp_path / "run")
    assert len(metrics_of(tmp_path / "run")) == 2


def test_without_validation_ratings_the_last_epoch_is_the_model(tmp_path: Path) -> None:
    train, _ = simulated()
    fit(train, None, config_of(epochs=2), tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (
        tmp_path / "run" / "last.safetensors"
    ).read_bytes()
    assert [line["valid_rmse"] for line in metrics_of(tmp_path / "run")] == [None, None]


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    train, valid = simulated()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    with pytest.raises(ModelError, match="exists already; choose another --out"):
        fit(train, valid, config_of(), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_resuming_with_other_settings_or_ratings_is_refused(tmp_path: Path) -> None:
    train, valid = simulated()
    fit(train, valid, config_of(epochs=1), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"train.lr = 0.02 \(it was 0.01\)"):
        fit(train, valid, config_of(epochs=1, lr=0.02), tmp_path / "run", resume=True)
    other, _ = simulated(seed=9)
    with pytest.raises(ConfigError, match="other ratings"):
        fit(other, valid, config_of(epochs=1), tmp_path / "run", resume=True)


def test_resuming_where_nothing_has_begun_starts_anew_and_says_so(tmp_path: Path) -> None:
    train, valid = simulated()
    with (tmp_path / "said.txt").open("w") as stream, report_progress(stream) as reporter:
        fit(train, valid, config_of(epochs=1), tmp_path / "resumed", resume=True, reporter=reporter)
    fit(train, valid, config_of(epochs=1), tmp_path / "new")
    assert_same_run(tmp_path / "resumed", tmp_path / "new")
    assert "nothing to resume" in (tmp_path / "said.txt").read_text()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("")
    with pytest.raises(ModelError, match="exists already"):
        fit(train, valid, config_of(epochs=1), tmp_path / "notes", resume=True)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    train, valid = simulated()
    fit(train, valid, config_of(epochs=1, keep_state=True), tmp_path / "run")
    path = tmp_path / "run" / "resume.pt"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(0, len(whole), 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            fit(train, valid, config_of(epochs=1), tmp_path / "run", resume=True)
        except ModelError as error:
            assert "start it anew" in str(error) or "format" in str(error)  # noqa: PT017 - both are right
            refused += 1
    assert refused > 20  # the rest fell on the archive's padding, which holds nothing


def test_validation_ratings_that_training_does_not_know_are_an_error(tmp_path: Path) -> None:
    train, valid = simulated()
    strangers = Ratings(
        valid.indptr,
        valid.items,
        valid.values,
        None,
        Ids(f"x{u}" for u in range(valid.n_users)),
        valid.item_ids,
    )
    with pytest.raises(DataError, match="check that both come from the same split"):
        fit(train, strangers, config_of(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_closed_form_model_is_trained_and_saved_like_any_other(tmp_path: Path) -> None:
    train, valid = simulated()
    fit(train, valid, Config(model=BiasConfig()), tmp_path / "run")
    (line,) = metrics_of(tmp_path / "run")
    assert line["valid_rmse"] < float(valid.values.std())
    assert TrainedModel.load(tmp_path / "run").config.model.kind == "bias"


@pytest.mark.parametrize("settings", [{"momentum": 0.9}, {"optimizer": "adamw", "weight_decay": 0.1}])
@pytest.mark.parametrize("tied", [False, True])
def test_sparse_updates_give_the_numbers_of_dense_ones(
    tmp_path: Path, settings: dict[str, object], tied: bool
) -> None:
    train, valid = simulated()
    model = AutoencoderConfig(encoder=[8], dropout=0.3, tied=tied, target="residual", rated_channel=True)
    for path in ("dense", "sparse"):
        settings |= {"update_path": path, "precision": "float64", "input_dropout": 0.5}
        fit(
            train,
            valid,
            Config(model=model, train=TrainConfig.model_validate({"batch": 2, "epochs": 2, **settings})),
            tmp_path / path,
        )
    for dense, sparse in zip(metrics_of(tmp_path / "dense"), metrics_of(tmp_path / "sparse"), strict=True):
        assert sparse == pytest.approx(dense, rel=1e-12)
    weights, others = (load_file(tmp_path / path / "last.safetensors") for path in ("dense", "sparse"))
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=0, atol=1e-12)


def test_sparse_updates_stopped_by_ctrl_c_and_resumed_equal_never_stopped(tmp_path: Path) -> None:
    config = config_of(lr=5e-4, batch=1, epochs=3, refeed=0, update_path="sparse")
    fit(*simulated(), config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(*simulated(), config, tmp_path / "stopped", reporter=Interrupted(60 + 25))
    fit(*simulated(), config, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_two_processes_with_sparse_updates_give_the_numbers_of_one(tmp_path: Path) -> None:
    # The last batch of an epoch has one user, so that one process has none.
    config = config_of(precision="float64", epochs=2, refeed=0, batch=59, update_path="sparse")
    folder = prepared(tmp_path, config)
    fit(*simulated(), config, tmp_path / "one")
    finish(start(folder, tmp_path / "two", processes=2))
    for one, two in zip(metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two"), strict=True):
        assert one == pytest.approx(two, abs=1e-12)
    weights, others = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, weight in weights.items():
        torch.testing.assert_close(weight, others[name], rtol=0, atol=1e-12)


def test_the_path_of_updates_is_chosen_by_the_items_and_what_a_batch_touches() -> None:
    config = TrainConfig()
    for compiled in (True, False):
        assert takes_sparse_path(config, 1_000_000, 0.02, compiled=compiled)
        assert not takes_sparse_path(config, 1_000_000, 0.5, compiled=compiled)
        assert not takes_sparse_path(config, 1_000, 0.02, compiled=compiled)
        assert not takes_sparse_path(TrainConfig(refeed=1), 1_000_000, 0.02, compiled=compiled)
        assert takes_sparse_path(TrainConfig(update_path="sparse"), 10, 1.0, compiled=compiled)
    assert takes_sparse_path(config, 17_768, 0.3, compiled=True)
    assert not takes_sparse_path(config, 17_768, 0.3, compiled=False)


@pytest.mark.parametrize("path", ["dense", "sparse"])
def test_a_checkpoint_gives_back_every_weight_and_buffer(tmp_path: Path, path: str) -> None:
    train, valid = simulated()
    model = AutoencoderConfig(encoder=[4], target="residual")
    settings = {"epochs": 1, "batch": 4, "update_path": path, "keep_state": True}
    config = Config(model=model, train=TrainConfig.model_validate(settings))
    fit(train, valid, config, tmp_path / "run")
    saved = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)["state"]["model"]
    weights = load_file(tmp_path / "run" / "last.safetensors")
    assert saved.keys() == {f"model.{name}" for name in weights}
    for name, weight in weights.items():
        assert torch.equal(saved[f"model.{name}"], weight)


def test_a_model_that_can_not_be_fitted_leaves_no_folder(tmp_path: Path) -> None:
    train, valid = simulated()
    with pytest.raises(DataError, match="no times"):
        fit(train, valid, Config(model=TimeSvdppConfig()), tmp_path / "run")
    assert not (tmp_path / "run").exists()
