"""Settings: strict, all errors at once, the same after a round trip."""

from pathlib import Path

import pytest

from refeed.config import (
    AutoencoderConfig,
    BiasConfig,
    Config,
    TrainConfig,
    config_from_toml,
    load_recipe,
    recipe_names,
)
from refeed.errors import ConfigError


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_survives_a_round_trip(name: str) -> None:
    config = load_recipe(name)
    assert config_from_toml(config.to_toml(), where="round trip") == config


@pytest.mark.parametrize(
    ("name", "encoder", "dropout"),
    [
        ("deeprec-netflix-3m", [128, 256, 256], 0.65),
        ("deeprec-netflix-6m", [256, 256, 512], 0.8),
        ("deeprec-netflix-1y", [256, 256, 512], 0.8),
        ("deeprec-netflix-full", [512, 512, 1024], 0.8),
    ],
)
def test_the_papers_recipes_are_table_4s(name: str, encoder: list[int], dropout: float) -> None:
    config = load_recipe(name)
    assert config.model == AutoencoderConfig(encoder=encoder, activation="selu", dropout=dropout)
    assert config.train == TrainConfig(
        optimizer="sgd",
        lr=0.005,
        momentum=0.9,
        weight_decay=0.0,
        schedule="steps",
        milestones=[24, 36, 48, 66, 72],
        gamma=0.5,
        batch=128,
        drop_last=True,
        epochs=100,
        refeed=1,
        refeed_label="output",
    )


def test_all_errors_of_a_config_come_at_once_by_name() -> None:
    text = """
        [model]
        kind = "autoencoder"
        encoder = [0]
        activation = "gelu"
        layers = 3
        [train]
        lr = -1.0
        epochs = "many"
    """
    with pytest.raises(ConfigError) as error:
        config_from_toml(text, where="mine.toml")
    said = str(error.value)
    for part in (
        "mine.toml",
        "model.encoder",
        "model.activation = 'gelu'",
        "train.lr = -1.0",
        "train.epochs",
    ):
        assert part in said
    assert "model.layers: there is no such key" in said


def test_a_kind_that_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\[model\] has no kind; give one, such as kind = 'ridge'"):
        config_from_toml("[model]\nwidth = 8", where="mine.toml")
    text = "[model]\nkind = 'ridge'\n[interactions]\nkind = 'liner'"
    with pytest.raises(ConfigError, match=r"interactions.kind = 'liner': it is none of .*linear"):
        config_from_toml(text, where="mine.toml")


def test_settings_lie_over_the_recipe() -> None:
    settings = ["train.lr=0.02", "train.optimizer=adamw", "model.encoder=[7, 5]", "model.tied=true"]
    config = load_recipe("deeprec-netflix-3m", settings)
    assert (config.train.lr, config.train.optimizer) == (0.02, "adamw")
    assert isinstance(config.model, AutoencoderConfig)
    assert (config.model.encoder, config.model.tied) == ([7, 5], True)


@pytest.mark.parametrize("setting", ["lr=0.1", "train.lr", "=3", "train.=3", ".lr=3"])
def test_a_setting_of_another_form_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"section.key=value"):
        load_recipe("bias", [setting])


def test_an_unknown_recipe_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'simpel' is neither a file nor one of the recipes: .*simple"):
        load_recipe("simpel")


def test_a_recipe_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[model]\nkind = "bias"\ndamping = [4.0, 2.0]\n')
    assert load_recipe(str(tmp_path / "mine.toml")) == Config(model=BiasConfig(damping=[4.0, 2.0]))


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("model: bias\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_recipe(str(tmp_path / "mine.toml"))


def test_a_tied_decoder_must_mirror_the_encoder() -> None:
    with pytest.raises(ValueError, match=r"decoder must be \[8\]"):
        AutoencoderConfig(encoder=[8, 4], decoder=[7], tied=True)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.refeed_path=collapsed", "  together: refeed_path = collapsed needs a linear output"),
        ("model.tied=true", "  model: a tied decoder mirrors the encoder: decoder must be"),
        ("model.output_start=mean", "  model: output_start = mean needs a linear output"),
    ],
)
def test_settings_that_do_not_go_together_are_named_without_repeating_the_rest(
    setting: str, said: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load_recipe("deeprec-netflix-3m", ["model.decoder=[9]", setting])
    assert str(error.value).splitlines()[1].startswith(said)
    assert len(str(error.value)) < 300


def test_an_unknown_kind_of_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="kind"):
        config_from_toml('[model]\nkind = "oracle"\n', where="mine.toml")


def test_settings_that_mean_nothing_to_a_ridge_autoencoder_are_refused_together() -> None:
    with pytest.raises(ConfigError, match=r"a ridge autoencoder has no input_dropout, refeed, weight_decay"):
        load_recipe("default", ["train.refeed=1", "train.weight_decay=0.1", "train.input_dropout=0.5"])


@pytest.mark.parametrize("setting", ["train.optimizer=adam", "train.l2=1.0"])
def test_sparse_updates_are_refused_where_they_would_not_be_the_dense_ones(setting: str) -> None:
    with pytest.raises(ConfigError, match="update_path = sparse is for the optimizers sgd and adamw"):
        load_recipe("mean", [setting, "train.update_path=sparse"])


def test_l2_beside_the_loss_is_refused_for_adamw_whose_decay_is_none_of_the_loss() -> None:
    with pytest.raises(ConfigError, match="train: l2 is part of the loss"):
        load_recipe("simple", ["train.l2=1.0"])


@pytest.mark.parametrize(
    ("recipe", "setting", "said"),
    [
        ("pmf", "model.rank=0", "model.rank = 0"),
        ("rrn", "model.hiden=3", "model.hiden: there is no such key"),
        ("timesvdpp", "model.user_drift=[0.1]", "model.user_drift"),
        ("cornac-mf", "model.lr=0", "model.lr = 0"),
        ("lenskit-mf", "model.decay=0", "model.decay = 0"),
        ("lenskit-mf", "model.damping=[5.0]", "model.damping"),
        ("myfm-flipped", "model.rank=-1", "model.rank"),
        ("default", "model.drift=-1", "model.drift = -1: Input should be greater than or equal to 0"),
        ("simple", "model.encoder=[0]", "model.encoder.0 = 0"),
        ("surprise-svd", "train.seed=2147483648", "train.seed = 2147483648"),
    ],
)
def test_errors_of_the_other_kinds_name_the_key_without_the_kind(
    recipe: str, setting: str, said: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load_recipe(recipe, [setting])
    assert said in str(error.value)
    assert f"model.{load_recipe(recipe).model.kind}" not in str(error.value)
