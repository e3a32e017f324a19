"""What the README and the pages under docs/ say is true: their blocks run, their links and keys exist."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import pytest
from matplotlib.image import imread
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.main import get_command

from refeed.cli import app
from refeed.config import (
    AutoencoderConfig,
    BiasConfig,
    MeanConfig,
    RidgeConfig,
    TrainConfig,
    load_recipe,
    recipe_names,
)
from refeed.config.baselines import (
    CornacMFConfig,
    LenskitMFConfig,
    MyFMConfig,
    PmfConfig,
    RrnConfig,
    SurpriseConfig,
    SvdppConfig,
    TimeSvdppConfig,
)
from refeed.config.interactions import (
    AutoInteractionsConfig,
    LinearConfig,
    ListsConfig,
    LocalConfig,
    MultinomialConfig,
)
from refeed.trained_model import TrainedModel

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SECTIONS: dict[str, type[BaseModel]] = {
    "autoencoder": AutoencoderConfig,
    "ridge": RidgeConfig,
    "interactions, auto": AutoInteractionsConfig,
    "interactions, linear": LinearConfig,
    "interactions, local": LocalConfig,
    "interactions, multinomial": MultinomialConfig,
    "lists": ListsConfig,
    "bias": BiasConfig,
    "mean": MeanConfig,
    "pmf": PmfConfig,
    "svdpp": SvdppConfig,
    "timesvdpp": TimeSvdppConfig,
    "rrn": RrnConfig,
    "surprise": SurpriseConfig,
    "cornac-mf": CornacMFConfig,
    "lenskit-mf": LenskitMFConfig,
    "myfm": MyFMConfig,
    "train": TrainConfig,
}


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `refeed` and `warm-python`, which copy a process that has imported refeed (warm.py)."""
    folder = tmp_path_factory.mktemp("bin")
    warm = [sys.executable, str(ROOT / "tests/warm.py"), str(folder / "socket")]
    asks = f'exec "{warm[0]}" -IS "{warm[1]}" "{warm[2]}" "$@"'
    # A server is ended by a signal, which has to reach a process of its own.
    serves = f'[ "$1" != serve ] || exec "{sys.executable}" -m refeed "$@"'
    for name, lines in {"refeed": [serves, asks], "warm-python": [asks]}.items():
        (folder / name).write_text("\n".join(["#!/bin/sh", *lines]), encoding="utf-8")
        (folder / name).chmod(0o755)
    with subprocess.Popen(warm, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield folder
        server.kill()


def run(block: Block, folder: Path, page: str, commands: Path) -> str:
    # What is loaded is what such a block is about.
    python = sys.executable if "sys.modules" in block.text else str(commands / "warm-python")
    words = {"sh": ["bash", "-eu", "-c", block.text], "python": [python, "-c", block.text]}
    # As after `source .venv/bin/activate`; one thread, as the tests run side by side.
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        words[block.language],
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{page}:{block.line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in ("sh", "python")]


@pytest.fixture(scope="module")
def tables(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the README's first block has written its tables."""
    folder = tmp_path_factory.mktemp("tables")
    run(runnable(ROOT / "README.md")[0], folder, "README.md", commands)
    return folder


@pytest.mark.parametrize("name", [name for name in PAGE_NAMES if runnable(ROOT / name)])
def test_every_block_of_a_page_runs_in_order(name: str, tables: Path, commands: Path, tmp_path: Path) -> None:
    for table in ("ratings.csv", "titles.csv"):
        (tmp_path / table).write_bytes((tables / table).read_bytes())
    for block in runnable(ROOT / name):
        run(block, tmp_path, name, commands)
    if name == "README.md":
        assert len((tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()) == 3
        assert TrainedModel.load(tmp_path / "run").config.model.kind == load_recipe("default").model.kind


def test_every_block_is_run_or_says_what_it_is() -> None:
    languages = {block.language for page in PAGES for block in blocks(page)}
    assert languages <= {"sh", "python", "text", "toml", "json"}
    fences = sum(page.read_text(encoding="utf-8").count("```") for page in PAGES)
    assert fences == 2 * sum(1 for page in PAGES for _ in blocks(page))


def test_the_page_of_design_lists_the_verbs_and_options_that_are_there() -> None:
    section = (ROOT / "docs/design.md").read_text(encoding="utf-8").split("\n## The command line\n")[1]
    listed = section.split("```")[1]
    verbs = re.findall(r"^refeed (\w+)", listed, re.MULTILINE)
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert verbs == list(commands)
    for verb, text in zip(verbs, re.split(r"^refeed \w+", listed, flags=re.MULTILINE)[1:], strict=True):
        options = {name for option in commands[verb].params for name in option.opts if name.startswith("-")}
        shown = {
            "--clip" if name == "--no-clip" else name
            for name in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)
        }
        assert shown == options, verb


def test_the_page_of_design_names_every_room() -> None:
    section = (
        (ROOT / "docs/design.md").read_text(encoding="utf-8").split("\n## The rooms\n")[1].split("\n## ")[0]
    )
    places = [
        path for path in (ROOT / "src/refeed").iterdir() if path.name not in ("__pycache__", "__main__.py")
    ]
    named = set(re.findall(r"`(?:refeed/)?([\w.]+/?)`", section))
    assert {path.name + "/" * path.is_dir() for path in places if path.name != "py.typed"} <= named


def test_the_blocks_use_every_verb_but_the_doctor() -> None:
    text = "\n".join(block.text for page in PAGES for block in runnable(page))
    used = set(re.findall(r"^refeed (\w+)", text, re.MULTILINE))
    assert used >= {command.name for command in app.registered_commands if command.name} - {"doctor"}


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_link_within_the_project_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = page.parent / path if path else page
        assert there.exists(), f"{name} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
            assert anchor in anchors, f"{name} links to {target}"


def test_the_picture_of_the_readme_is_a_small_picture() -> None:
    picture = ROOT / "docs/autoencoder.png"
    assert picture.stat().st_size < 100_000
    assert imread(picture).std() > 0


def rows(page: Path, heading: str) -> dict[str, list[str]]:
    """The table under a heading, by its first column's `code`."""
    section = page.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("` "): row[1:] for row in cells}


def choices(annotation: Any) -> list[str]:
    """What a Literal within a type allows."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [choice for part in inner for choice in choices(part)]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_of_recipes_explains_every_key_with_its_default_and_choices(section: str) -> None:
    table = rows(ROOT / "docs/recipes.md", f"## Keys: {section}")
    fields = SECTIONS[section].model_fields
    assert list(table) == list(fields)
    for key, field in fields.items():
        _, default, meaning = table[key]
        if field.default is PydanticUndefined:
            assert default == "required"
        elif field.default is None:
            assert default == "none"
        else:
            assert default == f"`{json.dumps(field.default)}`"
        for choice in choices(field.annotation):
            assert f'`"{choice}"`' in table[key][0] + meaning, f"{key}: {choice}"


def test_the_page_of_recipes_lists_every_recipe_with_its_net() -> None:
    table = rows(ROOT / "docs/recipes.md", "## Recipes")
    assert sorted(table) == recipe_names()
    for name, (net, *_) in table.items():
        model = load_recipe(name).model
        expected = f"`{model.encoder}`" if isinstance(model, AutoencoderConfig) else "–"
        assert net == expected


def test_the_readme_names_every_file_of_a_model_folder(tmp_path: Path) -> None:
    from refeed.ratings.sample import load_sample  # noqa: PLC0415 - slow, and only here
    from refeed.training.fit import fit  # noqa: PLC0415

    sample = load_sample()
    few = sample.select(sample.users < 5).compact()
    config = load_recipe("simple", ["train.epochs=1", "model.encoder=[2]", "interactions.kind=linear"])
    fit(few, None, config, tmp_path / "run")
    written = {path.name + "/" * path.is_dir() for path in (tmp_path / "run").iterdir()}
    written.add("resume.pt")  # while it is trained
    for page, heading in (("README.md", "## The model folder"), ("docs/design.md", "## The model folder")):
        assert rows(ROOT / page, heading).keys() == written, page
