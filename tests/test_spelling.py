"""What somebody may have meant."""

from difflib import SequenceMatcher

from hypothesis import given
from hypothesis import strategies as st

from refeed.ratings.ids import Ids
from refeed.spelling import close_matches

FILMS = ["Matrix, The (1999)", "Toy Story (1995)", "Toy Story 2 (1999)", "Heat (1995)", "Alien (1979)"]


def test_the_parts_in_another_order_and_case_are_found() -> None:
    assert close_matches("the matrix", FILMS) == ["Matrix, The (1999)"]


def test_a_typing_error_is_found() -> None:
    assert close_matches("Alein (1979)", FILMS)[0] == "Alien (1979)"


def test_the_likelier_comes_first_and_no_more_than_asked_for() -> None:
    assert close_matches("toy story 2", FILMS) == ["Toy Story 2 (1999)", "Toy Story (1995)"]
    assert close_matches("toy story 2", FILMS, count=1) == ["Toy Story 2 (1999)"]


def test_an_article_in_common_is_no_match() -> None:
    assert close_matches("The Godfather", FILMS) == []


def test_nothing_to_choose_from_is_no_match() -> None:
    assert close_matches("Alien", []) == []
    assert close_matches("", FILMS) == []
    assert close_matches("?", FILMS) == []


def test_ids_know_their_close_matches() -> None:
    assert Ids(["user-0041", "user-0042", "guest"]).close_matches("user0042")[0] == "user-0042"


@given(st.text("abcde", min_size=4, max_size=12), st.lists(st.text("abcde", max_size=12), max_size=90))
def test_whatever_difflib_finds_is_found_while_all_fit_the_shortlist(word: str, words: list[str]) -> None:
    alike = {other for other in words if SequenceMatcher(None, word, other).ratio() >= 0.6}
    assert set(close_matches(word, words, count=1000)) == alike
