"""Stores and model folders of formats that refeed promises to read (docs/data.md), as they were written."""

import json
from pathlib import Path

import numpy as np
import pytest

from refeed.inference.recommender import Recommender
from refeed.ratings.store import Ratings

FORMATS = Path(__file__).parent / "formats"


@pytest.mark.parametrize("version", ["1"])
def test_a_store_of_every_promised_format_is_read(version: str) -> None:
    expected = json.loads((FORMATS / version / "expected.json").read_text())
    store = Ratings.load(FORMATS / version / "store")
    assert list(store.user_ids) == ["0104", "ann", "bob", "zoë", "e", "f"]
    assert store.titles == ("Alien (1979)", "", "Heat, The", "Amélie", "300")
    assert (store.items.tolist(), store.values.tolist()) == (expected["items"], expected["values"])
    assert store.times is not None
    assert store.times.tolist() == (1_000_000_000 + 86_400 * np.arange(len(store))).tolist()


@pytest.mark.parametrize("version", ["1"])
@pytest.mark.parametrize("kind", ["ridge", "autoencoder"])
def test_a_model_folder_of_every_promised_format_predicts_as_it_did(version: str, kind: str) -> None:
    expected = json.loads((FORMATS / version / "expected.json").read_text())
    predicted = Recommender.load(FORMATS / version / kind).predict({"Alien (1979)": 5.0, "b": 2.0})
    np.testing.assert_allclose(predicted, expected[kind], rtol=1e-5)
