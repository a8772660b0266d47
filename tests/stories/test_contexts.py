from __future__ import annotations

import pytest

from textgan.errors import UserError
from textgan.stories.contexts import as_contexts

STORY = "Tom wanted a kite. He had no money. He washed cars. He went to the shop."
SENTENCES = ("Tom wanted a kite.", "He had no money.", "He washed cars.", "He went to the shop.")


def test_a_text_is_one_context_and_so_is_a_tuple_of_its_sentences() -> None:
    assert as_contexts(STORY, 4) == ([SENTENCES], True)
    assert as_contexts(SENTENCES, 4) == ([SENTENCES], True)


def test_a_list_holds_contexts_of_either_kind() -> None:
    assert as_contexts([STORY, SENTENCES], 4) == ([SENTENCES, SENTENCES], False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", r"the context is empty; 4 sentences are accepted"),
        (" \n ", r"the context is empty"),
        ("One. Two. Three.", r"the context has 3 sentences \('One. Two. Three.'\); 4 are accepted"),
        (f"{STORY} And so on.", r"the context has 5 sentences .*; 4 are accepted"),
        (12, r"the context is 12, of type int; a text of 4 sentences or a tuple of them is accepted"),
        (None, r"the context is None, of type NoneType"),
        (("a b.", "c d.", "e f."), r"the context has 3 sentences"),
        (("a b.", "c d.", 3, "e f."), r"the context, sentence 3 is 3, of type int; text is accepted"),
        (("a b.", "c d.", " ", "e f."), r"the context, sentence 3 is empty"),
        ("1. 2. 3. 4.", r"the context, sentence 1 is '1.+', in which there is no word"),
        ([], r"the list of contexts is empty; at least one is needed"),
        ([STORY, "Two. Sentences."], r"context 2 has 2 sentences \('Two. Sentences.'\); 4 are accepted"),
        ([STORY, STORY, 7.5], r"context 3 is 7.5, of type float"),
        ([STORY, ""], r"context 2 is empty"),
    ],
)
def test_what_is_no_context_is_named_with_its_place_and_what_is_accepted(given: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        as_contexts(given, 4)


def test_a_long_value_is_not_shown_whole() -> None:
    with pytest.raises(UserError) as error:
        as_contexts(["x" * 10_000], 4)
    assert len(str(error.value)) < 200


def test_a_prompt_is_any_text_and_stays_as_it_is() -> None:
    text = "Two sentences. Of code:\n    1 + 2"
    assert as_contexts(text, 1) == ([(text,)], True)
    assert as_contexts([text, "42", (text,)], 1) == ([(text,), ("42",), (text,)], False)
    for given, said in [
        (" ", "the context is empty"),
        ([text, "?!"], r"context 2 is '\?!', in which there is no word"),
    ]:
        with pytest.raises(UserError, match=said):
            as_contexts(given, 1)
