"""Items are found by id, then by title."""

import pytest

from refeed.errors import UnknownIdError
from refeed.inference.catalogue import Catalogue
from refeed.ratings.ids import Ids

FILMS = Catalogue(
    Ids(["7", "007", "300", "1", "2"]), ("Heat (1995)", "300", "Solaris (1972)", "Solaris", "SOLARIS")
)


def test_an_id_is_taken_verbatim() -> None:
    assert FILMS.positions(["007", "7"]).tolist() == [1, 0]


def test_an_id_goes_before_a_title() -> None:
    assert FILMS.positions(["300"]).tolist() == [2]


def test_a_title_is_found_in_any_case() -> None:
    assert FILMS.positions(["hEAT (1995)", "solaris (1972)"]).tolist() == [0, 2]


def test_titles_of_several_items_are_refused_with_their_ids() -> None:
    with pytest.raises(UnknownIdError, match=r"2 items have this title; give one of their ids: '1', '2'"):
        FILMS.positions(["solaris"])


def test_all_unknown_items_are_named_at_once_with_close_matches() -> None:
    with pytest.raises(UnknownIdError) as caught:
        FILMS.positions(["Heat", "7", "xyzzy", "Heat"])
    assert str(caught.value) == ("2 unknown items:\n  'Heat'; close to it: 'Heat (1995)' (id '7')\n  'xyzzy'")


def test_very_many_unknown_items_are_counted_in_the_end() -> None:
    with pytest.raises(UnknownIdError) as caught:
        FILMS.positions([f"no-{n}" for n in range(50)])
    lines = str(caught.value).splitlines()
    assert lines[0] == "50 unknown items:"
    assert len(lines) == 22
    assert lines[-1].strip() == "and 30 more"


def test_unknown_items_can_be_marked_instead() -> None:
    assert FILMS.known_positions(["7", "nothing", "solaris"]).tolist() == [0, -1, -1]


def test_no_names_give_no_positions() -> None:
    assert FILMS.positions([]).tolist() == []


def test_without_titles_ids_do() -> None:
    with pytest.raises(UnknownIdError, match=r"unknown item 'ab2'; close to it: 'ab1'") as caught:
        Catalogue(Ids(["ab1", "c22"])).positions(["ab2"])
    assert "c22" not in str(caught.value)


def test_an_unknown_title_is_none() -> None:
    assert Catalogue(Ids(["a", "b"]), ("", "B")).title(0) is None
    assert Catalogue(Ids(["a", "b"]), ("", "B")).title(1) == "B"
    assert Catalogue(Ids(["a"])).title(0) is None


def test_a_number_is_an_id_and_no_title() -> None:
    catalogue = Catalogue(Ids(["1", "2"]), ("300", "x"))

    assert catalogue.positions([2, 1]).tolist() == [1, 0]
    assert catalogue.positions(["300"]).tolist() == [0]
    with pytest.raises(UnknownIdError, match=r"^unknown item 300"):
        catalogue.positions([300])
