from __future__ import annotations

import pytest

from textgan.stories.casing import cased

CONTEXT = ("Tom met Anna in Paris.", "One day, he saw Oscar's kite.", "The kite was red.", "Unfortunately it rained.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tom went home.", "Tom went home."),
        ("he gave the kite to anna.", "He gave the kite to Anna."),
        ("in the end, oscar's kite flew over paris!", "In the end, Oscar's kite flew over Paris!"),
        ('"i\'m sorry," said tom.', '"I\'m sorry," said Tom.'),
        ("one of them and i won.", "One of them and I won."),
        ("the rain stopped unfortunately.", "The rain stopped unfortunately."),
        ("", ""),
    ],
)
def test_names_of_the_context_and_the_first_letter_are_capitals(text: str, expected: str) -> None:
    assert cased(text, CONTEXT) == expected
