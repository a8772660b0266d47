"""Leaks are found as a plain comparison of every held-out with every training story finds them."""

from __future__ import annotations

import random

import pytest

from textgan.data.story_leaks import Leaks, find_leaks, plain, plain_words
from textgan.data.story_readers import Story

WORDS = ["al", "bo", "cy", "ran", "sat", "ate", "the", "big", "cat", "dog", "home", "away"]
BASE = Story(
    ("Al had a black cat at home.", "One day the cat ran away.", "Al looked for it all day.", "He sat down and cried."),
    "Then the cat came back.",
)


def replaced(**changes: str) -> Story:
    """The base story with other sentences: s0 to s4."""
    texts = [changes.get(f"s{i}", text) for i, text in enumerate((*BASE.sentences, BASE.ending))]
    return Story(tuple(texts[:4]), texts[4])


def slow_leaks(held_out: list[Story], training: list[Story]) -> tuple[set[int], Leaks]:
    """The rules, pair by pair."""
    leaks, left_out, seen = Leaks(), set(), []
    for number, story in enumerate(held_out):
        texts = [plain(text) for text in (*story.sentences, story.ending)]
        words = [word for text in (*story.sentences, story.ending) for word in plain_words(text)]
        grams = [tuple(words[i : i + 5]) for i in range(len(words) - 4)]
        context = shared = near = False
        for other in training:
            others = [plain(text) for text in (*other.sentences, other.ending)]
            their = [word for text in (*other.sentences, other.ending) for word in plain_words(text)]
            their_grams = {tuple(their[i : i + 5]) for i in range(len(their) - 4)}
            context |= texts[:4] == others[:4]
            shared |= sum(text in others for text in texts) >= 3
            near |= 2 * sum(gram in their_grams for gram in grams) > len(grams)
        if context:
            leaks.same_context += 1
        elif shared:
            leaks.shared_sentences += 1
        elif near:
            leaks.near_duplicates += 1
        elif texts[:4] in seen:
            leaks.held_out_duplicates += 1
        else:
            seen.append(texts[:4])
            leaks.known_endings += any(texts[4] == plain(other.ending) for other in training)
            continue
        left_out.add(number)
    plain_stories = {tuple(map(plain, (*story.sentences, story.ending))) for story in training}
    leaks.train_duplicates = len(training) - len(plain_stories)
    return left_out, leaks


@pytest.mark.parametrize("seed", range(5))
def test_random_stories_leak_as_a_comparison_of_all_pairs_says(seed: int) -> None:
    draw = random.Random(seed)
    sentences = [" ".join(draw.choices(WORDS, k=draw.randint(3, 6))) for _ in range(60)]

    def story() -> Story:
        texts = [draw.choice(sentences) for _ in range(5)]
        return Story(tuple(texts[:4]), texts[4])

    training = [story() for _ in range(60)]
    training += training[:7]
    held_out = [story() for _ in range(60)]
    for a, b, c, d in (other.sentences for other in training[20:30]):
        held_out.append(Story((f"new {a}", b, c, f"{d} new"), "new"))
    held_out += [Story(training[3].sentences, "Al."), *held_out[:9]]
    found = find_leaks(held_out, training)
    assert found == slow_leaks(held_out, training)
    assert all(vars(found[1]).values())


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (BASE, "same_context"),
        (replaced(s0="al  HAD a black cat at home", s4="It was gone."), "same_context"),
        (replaced(s0="Bo liked nothing at all in the world.", s3="It rained."), "shared_sentences"),
        (
            replaced(s0="Bo had a black cat at home.", s2="Al looked for it all night.", s4="Then the cat came home."),
            "near_duplicates",
        ),
        (replaced(s0="A dog barked.", s1="We all slept through it.", s2="It was night.", s3="So be it."), ""),
    ],
)
def test_each_kind_of_leak_has_its_name(story: Story, reason: str) -> None:
    left_out, leaks = find_leaks([story], [BASE])
    assert left_out == ({0} if reason else set())
    expected = {reason: 1} if reason else {"known_endings": 1}
    assert {name: count for name, count in vars(leaks).items() if count} == expected


def test_sentences_of_different_training_stories_do_not_add_up() -> None:
    other = replaced(s2="a b c.", s3="d e f.", s4="g h i.")
    another = replaced(s0="a b c.", s1="d e f.", s4="g h i.")
    assert find_leaks([replaced(s4="x y z.")], [other, another])[0] == set()


def test_text_without_words_is_compared_as_it_is() -> None:
    assert plain("?! ") == "?!"
    assert plain("Don't, AL-bert!") == "dontalbert"
    assert find_leaks([Story(("?", "!", ".", "…"), "?!")], [Story((".", "?", "-", "!!"), "-")])[0] == set()
