"""ONNX graphs: under onnxruntime they predict and rank as the model that they were made from."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from refeed.cli import main
from refeed.config import AutoencoderConfig, BiasConfig, Config, MeanConfig, RidgeConfig, TrainConfig
from refeed.config.models import Activation
from refeed.errors import ModelError
from refeed.export import check
from refeed.export.check import TOLERANCE, furthest, padded_inputs, session_of
from refeed.export.whole import whole_graph, write_graph
from refeed.export.write import export_onnx
from refeed.inference.ranking import supported_scores
from refeed.inference.recommender import Recommender
from refeed.trained_model import TrainedModel

FolderOf = Callable[[Config], Path]
People = Callable[[int], list[dict[str, float]]]

_NETWORK = AutoencoderConfig(encoder=[6], target="residual", output_activation=False)
_ACTIVATIONS: tuple[Activation, ...] = (
    "sigmoid",
    "relu",
    "relu6",
    "tanh",
    "elu",
    "lrelu",
    "swish",
    "selu",
    "none",
)
KINDS = {
    "mean": Config(model=MeanConfig()),
    "bias": Config(model=BiasConfig()),
    "ridge": Config(model=RidgeConfig(width=6)),
    "ridge float64": Config(model=RidgeConfig(width=4), train=TrainConfig(precision="float64")),
    "ensemble of ridges": Config(model=RidgeConfig(width=5), train=TrainConfig(ensemble=3)),
    "deep": Config(model=AutoencoderConfig(encoder=[8, 5], decoder=[6])),
    "tied": Config(model=AutoencoderConfig(encoder=[8, 5, 4], tied=True, activation="elu")),
    "residual": Config(
        model=AutoencoderConfig(
            encoder=[7], target="residual", input_scale="sqrt", rated_channel=True, output_activation=False
        )
    ),
    "ensemble of networks": Config(model=_NETWORK, train=TrainConfig(ensemble=2)),
    "network float64": Config(model=_NETWORK, train=TrainConfig(precision="float64")),
    "blend": Config(
        model=RidgeConfig(width=4),
        train=TrainConfig(ensemble=2),
        network=_NETWORK,
        network_train=TrainConfig(),
    ),
    **{
        f"activation {name}": Config(model=AutoencoderConfig(encoder=[4], activation=name))
        for name in _ACTIVATIONS
    },
}


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS.keys())
def test_every_kind_that_folds_in_is_exported_and_equals_its_model(
    config: Config, folder_of: FolderOf, tmp_path: Path
) -> None:
    run = folder_of(config)
    assert main(["export", str(run), "--onnx", str(tmp_path / "out")]) == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"model.onnx", "items.json"}
    assert furthest(tmp_path / "out/model.onnx", TrainedModel.load(run)) <= TOLERANCE


@pytest.fixture(scope="module")
def run(folder_of: FolderOf) -> Path:
    return folder_of(KINDS["ensemble of ridges"])


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "onnx"
    export_onnx(TrainedModel.load(run), out)
    return out


def person(ratings: dict[str, float]) -> check.Person:
    items = np.array([int(name[1:]) for name in ratings], dtype=np.int64)
    return items, np.array(list(ratings.values()), dtype=np.float32)


def test_a_thousand_histories_come_out_as_the_model_predicts_them(
    run: Path, exported: Path, people: People
) -> None:
    recommender, session = Recommender.load(run), session_of(exported / "model.onnx")
    everybody = people(1000)
    assert {0, 1, 5000} <= {len(ratings) for ratings in everybody}
    for first in range(0, 1000, 100):
        some = everybody[first : first + 100]
        predicted, scores = session.run(["predicted", "scores"], padded_inputs([person(one) for one in some]))
        plain = recommender.predict(some, clip=False)
        assert np.abs(predicted - np.clip(plain, *recommender.trained.scale)).max() < 1e-5
        ranked = supported_scores(plain, recommender.trained.items.counts)
        assert np.abs(scores - ranked).max() < 1e-5


def test_a_list_from_the_graph_is_the_recommenders(run: Path, exported: Path) -> None:
    recommender, session = Recommender.load(run), session_of(exported / "model.onnx")
    known = json.loads((exported / "items.json").read_text(encoding="utf-8"))
    ratings = {"i5": 4.5, "i17": 1.0, "i900": 5.0}
    predicted, scores = session.run(["predicted", "scores"], padded_inputs([person(ratings)]))
    unseen = [
        at for at in np.argsort(-scores[0], kind="stable").tolist() if known["items"][at] not in ratings
    ]
    lines = recommender.recommend(ratings, 10)
    assert [known["items"][at] for at in unseen[:10]] == [line.item for line in lines]
    assert [known["titles"][at] for at in unseen[:10]] == [line.title for line in lines]
    assert [known["support"][at] for at in unseen[:10]] == [line.support for line in lines]
    assert predicted[0, unseen[:10]] == pytest.approx([line.rating for line in lines], abs=1e-5)


def test_what_stands_in_a_place_without_a_rating_does_not_count(exported: Path) -> None:
    session = session_of(exported / "model.onnx")
    short = padded_inputs([person({"i3": 4.0, "i8": 2.0})])
    long = {name: np.pad(array, ((0, 0), (0, 3))) for name, array in short.items()}
    long["items"][0, 2:], long["ratings"][0, 2:] = 77, np.nan
    (right,), (padded,) = session.run(["scores"], short), session.run(["scores"], long)
    np.testing.assert_allclose(padded, right, rtol=0, atol=1e-6)


def test_history_of_no_place_at_all_is_an_empty_one(exported: Path) -> None:
    session = session_of(exported / "model.onnx")
    none: dict[str, NDArray[Any]] = {
        "items": np.zeros((2, 0), dtype=np.int64),
        "ratings": np.zeros((2, 0), dtype=np.float32),
        "mask": np.zeros((2, 0), dtype=np.float32),
    }
    empty = {name: np.zeros((1, 4), dtype=array.dtype) for name, array in none.items()}
    (without,), (padded,) = session.run(["predicted"], none), session.run(["predicted"], empty)
    np.testing.assert_allclose(without, np.repeat(padded, 2, axis=0), rtol=0, atol=1e-6)


def test_the_graph_is_of_standard_operators_alone(exported: Path) -> None:
    model = onnx.load(str(exported / "model.onnx"))
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}


def test_the_ids_say_what_is_needed_to_use_the_graph(run: Path, exported: Path) -> None:
    known, folder = json.loads((exported / "items.json").read_text(encoding="utf-8")), TrainedModel.load(run)
    assert known["items"] == list(folder.items.ids)
    assert known["scale"] == list(folder.scale)
    assert known["support"] == folder.items.counts.tolist()
    assert (known["kind"], known["shrink"]) == ("ridge", 20.0)


# ---------------------------------------------------------------- refusals


def test_a_model_that_does_not_fold_in_is_refused(folder_of: FolderOf, tmp_path: Path) -> None:
    run = folder_of(Config(model=AutoencoderConfig(axis="item", encoder=[3])))
    with pytest.raises(ModelError, match="only models that fold in can be exported"):
        export_onnx(TrainedModel.load(run), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_graph_that_predicts_something_else_is_not_left(
    run: Path, folder_of: FolderOf, tmp_path: Path
) -> None:
    folder, other = TrainedModel.load(run), TrainedModel.load(folder_of(KINDS["ridge"]))
    write_graph(whole_graph(other), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="differ from the model's"):
        furthest(tmp_path / "model.onnx", folder)


@pytest.mark.parametrize("wrong", [1e-4, np.nan], ids=str)
def test_a_number_that_is_off_is_found(wrong: float, run: Path, exported: Path, tmp_path: Path) -> None:
    model = onnx.load(str(exported / "model.onnx"))
    _, _, _, levels, *_ = (tensor for tensor in model.graph.initializer if list(tensor.dims) == [6000])
    changed: NDArray[np.float64] = numpy_helper.to_array(levels).copy()
    changed[4321] += wrong
    levels.CopyFrom(numpy_helper.from_array(changed, levels.name))
    onnx.save(model, str(tmp_path / "model.onnx"))
    with pytest.raises(ModelError, match="differ from the model's"):
        furthest(tmp_path / "model.onnx", TrainedModel.load(run))


def test_a_folder_that_is_there_is_not_overwritten(run: Path, exported: Path, tmp_path: Path) -> None:
    out = shutil.copytree(exported, tmp_path / "out")
    with pytest.raises(ModelError, match="exists already"):
        export_onnx(TrainedModel.load(run), out)
    assert (out / "model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_large_weights_go_to_a_file_beside_the_graph(run: Path, tmp_path: Path) -> None:
    folder = TrainedModel.load(run)
    write_graph(whole_graph(folder), tmp_path / "model.onnx", one_file=10_000)
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data"}
    assert (tmp_path / "model.onnx").stat().st_size < 100_000
    assert furthest(tmp_path / "model.onnx", folder) <= TOLERANCE


def test_the_command_says_what_it_wrote(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--onnx", str(tmp_path / "out")]) == 0
    assert (
        "6,000 items; under onnxruntime its ratings and scores are the model's to" in capsys.readouterr().out
    )
