"""The story world: what it tells is read back, right endings are consistent, wrong ones are not and look the same."""

from __future__ import annotations

import copy
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from textgan.data.cards import card_folder
from textgan.data.story_world import StoryWorld, Verdict, WorldStory
from textgan.errors import UserError

CARD = yaml.safe_load((card_folder() / "story_world.yaml").read_text(encoding="utf-8"))
RULES: dict[str, Any] = CARD["read"]["rules"]

BUYING = (
    "Anna wanted the kite in the shop window.",
    "It cost twenty dollars in the shop.",
    "She earned thirty dollars by washing cars.",
    "Tom took ten dollars without asking.",
)
TRADE = (
    "Anna had a lamp as a present for Tom.",
    "Tom had a mug ready for her.",
    "Tom left home early to meet her.",
    "But a flood closed the road that day.",
)


@pytest.fixture(scope="module")
def world() -> StoryWorld:
    return StoryWorld(RULES)


@pytest.fixture(scope="module")
def stories(world: StoryWorld) -> list[WorldStory]:
    return world.stories(2000, seed=1)


def words(text: str) -> list[str]:
    return re.findall(r"\w+(?:'\w+)?", text.lower())


def test_true_endings_are_consistent(world: StoryWorld, stories: list[WorldStory]) -> None:
    for story in stories:
        assert world.check(story.sentences, story.ending) == Verdict(True, "")


def test_every_wrong_ending_is_inconsistent_for_the_reason_given(world: StoryWorld, stories: list[WorldStory]) -> None:
    for story in stories:
        assert len({wrong.reason for wrong in story.wrong}) == len(story.wrong) >= 2
        for wrong in story.wrong:
            assert world.check(story.sentences, wrong.text) == Verdict(False, wrong.reason)


def test_the_text_tells_the_whole_state(world: StoryWorld) -> None:
    from textgan.data.story_world.telling import Teller

    teller = Teller(world._rules, seed=2)
    for _ in range(500):
        state = teller.state()
        assert world._reader.facts(teller.sentences(state)) == (state.plot, state.facts)


@pytest.mark.parametrize(
    "written",
    [
        str.upper,
        str.lower,
        lambda text: "  " + text.replace(" ", "   ") + "\n",
        lambda text: re.sub(r"([.,])", r" \1", text),
        lambda text: text.removesuffix("."),
    ],
)
def test_case_spacing_and_the_final_stop_do_not_matter(
    world: StoryWorld, stories: list[WorldStory], written: Callable[[str], str]
) -> None:
    for story in stories[:300]:
        context = [written(sentence) for sentence in story.sentences]
        assert world.check(context, written(story.ending)).consistent
        assert world.check(context, written(story.wrong[0].text)).reason == story.wrong[0].reason


@pytest.mark.parametrize(
    ("sentences", "ending", "reason"),
    [
        (BUYING, "Anna bought the kite after all.", ""),
        (BUYING, "Beaming, Anna bought the kite.", "unparsed"),
        (BUYING, "", "unparsed"),
        (BUYING, "Anna.", "unparsed"),
        (BUYING, "She showed Tom her new kite and was full of pride.", ""),
        (BUYING, "In the end, she let Tom try the new kite.", ""),
        (BUYING, "He let Anna try the new kite.", "person"),
        (BUYING, "She let Ben try the new kite.", "person"),
        (BUYING, "Anna showed Tom his new kite.", "unparsed"),
        (BUYING, "She showed Tom she new kite.", "unparsed"),
        (BUYING, "She bought the drum after all.", "possession"),
        (BUYING, "She could not buy the kite.", "outcome"),
        (BUYING, "She could not buy the drum.", "possession"),
        (BUYING, "She bought the kite after all, and she felt lucky.", "mood"),
        (BUYING, "She bought the kite after all, and he felt proud.", "unparsed"),
        (BUYING, "With grateful eyes, she bought the kite after all.", "mood"),
        (BUYING, "Anna reached the kite.", "unparsed"),
        (BUYING, "She made it to Tom in Rome.", "plot"),
        (TRADE, "Anna kept the lamp instead of the mug, and she sighed at bad luck.", ""),
        (TRADE, "Anna kept the mug instead of the lamp.", "possession"),
        (TRADE, "Tom never got the mug from Anna.", "person"),
        (TRADE, "Full of anger, Anna never got the mug from Tom.", "mood"),
        (TRADE, "Anna got the mug from Tom.", "outcome"),
    ],
)
def test_verdicts_on_hand_written_endings(
    world: StoryWorld, sentences: tuple[str, ...], ending: str, reason: str
) -> None:
    assert world.check(sentences, ending) == Verdict(not reason, reason)


@pytest.mark.parametrize(
    ("price", "earned", "more"), [(20, 20, -10), (20, 30, -10), (30, 20, -10), (30, 20, 10), (30, 30, -10)]
)
def test_money_decides_what_is_bought(world: StoryWorld, price: int, earned: int, more: int) -> None:
    number = {20: "twenty", 30: "thirty"}
    context = (
        "Anna wanted the kite in the shop window.",
        f"It cost {number[price]} dollars in the shop.",
        f"She earned {number[earned]} dollars by washing cars.",
        "Tom gave her ten dollars more." if more > 0 else "She played games with Tom for ten dollars.",
    )
    assert world.check(context, "She bought the kite after all.").consistent == (earned + more >= price)
    assert world.check(context, "She could not buy the kite.").consistent == (earned + more < price)


def test_every_sentence_holds_what_an_ending_may_get_wrong() -> None:
    for name, plot in RULES["plots"].items():
        claimed = set(re.findall(r"\{(\w+)\}", " ".join(plot["endings"]["good"])))
        for place, happenings in enumerate(plot["sentences"]):
            told = set(re.findall(r"\{(\w+)\}", " ".join(form for forms in happenings.values() for form in forms)))
            assert len(happenings) > 1 or told & claimed - {"hero"}, f"{name}, sentence {place + 1}"


def test_each_choice_of_the_laws_matters() -> None:
    """No sentence that leaves a choice could be left out: some two laws differ in it alone, and in their effect."""
    for plot in RULES["plots"].values():
        laws = [(causes.split(), effect) for causes, effect in plot["laws"].items()]
        for place in range(len(laws[0][0])):
            without: dict[tuple[str, ...], set[str]] = {}
            for causes, effect in laws:
                without.setdefault((*causes[:place], *causes[place + 1 :]), set()).add(effect)
            assert max(map(len, without.values())) > 1


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (BUYING[:3], "4 sentences before its ending; found 3"),
        ((*BUYING, "The end."), "found 5"),
        (("Anna wanted a castle.", *BUYING[1:]), "sentence 1 is no such sentence of this world"),
        ((*BUYING[:3], TRADE[3]), "sentence 4 is no such sentence of the plot 'buying'"),
        ((*BUYING[:2], "He earned thirty dollars by washing cars.", BUYING[3]), "sentence 3 contradicts"),
        ((*BUYING[:3], "Lucy took ten dollars without asking."), "must have different pronouns"),
        ((*BUYING[:3], "Tom gave her ten dollars more."), "does not happen in one story"),
        ((*TRADE[:2], "Ben left home early to meet her.", TRADE[3]), "sentence 3 contradicts"),
        (("", "", "", ""), "sentence 1 is no such sentence"),
    ],
)
def test_a_context_of_another_world_is_refused(world: StoryWorld, sentences: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        world.check(sentences, "Anna bought the kite after all.")


def test_the_same_seed_tells_the_same_stories_and_fewer_are_the_first_ones(world: StoryWorld) -> None:
    told = world.stories(50, seed=3)
    assert StoryWorld(RULES).stories(20, seed=3) == told[:20]
    assert world.stories(50, seed=4) != told


def test_no_story_is_told_twice(stories: list[WorldStory]) -> None:
    assert len({(story.sentences, story.ending) for story in stories}) == len(stories)
    assert len({story.sentences for story in stories}) > 0.999 * len(stories)


def test_one_context_has_many_consistent_endings(world: StoryWorld) -> None:
    from textgan.data.story_world.telling import Teller

    teller = Teller(world._rules, seed=5)
    state = teller.state()
    sentences = teller.sentences(state)
    endings = {teller.ending(state, teller.shape(state.plot)) for _ in range(500)}
    assert len(endings) > 100
    assert all(world.check(sentences, ending).consistent for ending in endings)


def test_outcomes_moods_and_plots_are_balanced(world: StoryWorld, stories: list[WorldStory]) -> None:
    facts = [world._reader.facts(story.sentences) for story in stories]
    n = len(stories)
    for counts in (
        Counter(plot.name for plot, _ in facts),
        Counter(told["mood"] for _, told in facts),
        Counter(told["outcome"] for _, told in facts),
        Counter(told["gender"] for _, told in facts),
    ):
        share = 1 / len(counts)
        assert all(abs(count / n - share) < 4 * (share * (1 - share) / n) ** 0.5 for count in counts.values()), counts


def test_an_ending_of_another_story_is_hardly_ever_consistent(world: StoryWorld, stories: list[WorldStory]) -> None:
    others = stories[1:] + stories[:1]
    consistent = sum(world.check(a.sentences, b.ending).consistent for a, b in zip(stories, others, strict=True))
    assert consistent / len(stories) < 0.02


def test_the_ending_alone_does_not_tell_right_from_wrong(world: StoryWorld, stories: list[WorldStory]) -> None:
    """Naive Bayes on words and pairs of words of the endings is at chance, on single endings and choosing of two."""
    rng = random.Random(0)
    others = world.stories(2000, seed=6)

    def labelled(told: list[WorldStory]) -> tuple[list[str], list[int]]:
        texts = [text for story in told for text in (story.ending, rng.choice(story.wrong).text)]
        return texts, [1, 0] * len(told)

    texts, labels = labelled(stories)
    bag = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+")
    classifier = MultinomialNB().fit(bag.fit_transform(texts), labels)
    texts, labels = labelled(others)
    scores = classifier.predict_log_proba(bag.transform(texts))
    right = (scores[:, 1] > scores[:, 0]) == np.array(labels, dtype=bool)
    chosen = (scores[0::2, 1] - scores[1::2, 1]) > 0
    assert abs(right.mean() - 0.5) < 0.03
    assert abs(chosen.mean() - 0.5) < 0.04


def test_the_card_is_as_large_and_simple_as_it_says(stories: list[WorldStory]) -> None:
    plots = RULES["plots"].values()
    assert len(plots) >= 8
    assert all(len(forms) >= 4 for plot in plots for one in plot["sentences"] for forms in one.values())
    assert all(len(forms) >= 6 for plot in plots for forms in plot["endings"].values())
    assert all(len(phrases) >= 6 for phrases in RULES["felt"].values())
    sentences = [text for story in stories for text in (*story.sentences, story.ending)]
    lengths = [len(words(text)) for text in sentences]
    assert min(lengths) >= 5
    assert max(lengths) <= 14
    assert 300 <= len({word for text in sentences for word in words(text)}) <= 700
    assert all(text[0].isupper() and text.endswith(".") for text in sentences)


def edited(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    rules = copy.deepcopy(RULES)
    change(rules)
    return rules


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rules: rules.pop("moods"), "no 'moods' in rules"),
        (lambda rules: rules["people"].pop("boys"), "two genders are accepted"),
        (lambda rules: rules["plots"]["pet"].pop("laws"), "no 'laws' in plot pet"),
        (lambda rules: rules["plots"]["pet"]["roles"].update(pet="dragons"), "no 'dragons' in lists"),
        (lambda rules: rules["plots"]["pet"]["sentences"].pop(), "plot pet has 3 sentences; 4 are accepted"),
        (lambda rules: rules["plots"]["pet"]["endings"].pop("bad"), "endings good; good, bad are needed"),
        (lambda rules: rules["plots"]["pet"]["endings"]["bad"].pop(), "as many endings as the others"),
        (lambda rules: rules["plots"]["pet"]["endings"]["bad"].reverse(), "must name the same things"),
        (lambda rules: rules["plots"]["pet"]["laws"].pop("open chance"), "through equally many causes"),
        (lambda rules: rules["plots"]["pet"]["laws"].update({"shut chance": "good luck"}), "the law 'shut chance'"),
        (lambda rules: rules["plots"]["pet"]["laws"].update({"open chance": "good fun"}), "no 'fun' in moods of good"),
        (lambda rules: rules["frames"].append("{core} {maybe}."), "unknown slot 'maybe'"),
        (lambda rules: rules["lists"]["object"].update(dishes="soup kite"), "'kite' is both"),
        (lambda rules: rules["lists"]["object"].update(dishes="soup"), "list dishes is too short for plot cooking"),
        (lambda rules: rules["lists"]["object"].update(dishes="soup gate"), "writes out what stands in a list"),
        (
            lambda rules: rules["plots"]["pet"]["sentences"][2]["open"].append("{friend} closed the gate every night."),
            "has two meanings",
        ),
        (
            lambda rules: rules["plots"].update(copy=copy.deepcopy(rules["plots"]["pet"])),
            "plots copy and pet have a first sentence in common",
        ),
        (
            lambda rules: rules["plots"]["pet"]["sentences"][0]["keeps"].append("A {pet} lived here."),
            "first sentence does not name {hero}",
        ),
        (
            lambda rules: rules["plots"]["garden"]["sentences"][0]["plants"].append("{hero} liked the garden."),
            "no sentence names {crop} in all",
        ),
    ],
)
def test_broken_rules_are_refused(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        StoryWorld(edited(change))


def test_senseless_numbers_of_stories_are_refused(world: StoryWorld) -> None:
    with pytest.raises(UserError, match="number of stories is 0"):
        world.stories(0, seed=0)
    small = edited(lambda rules: rules.update(plots={"pet": rules["plots"]["pet"]}))
    for gender in small["people"].values():
        gender["names"] = gender["names"].split()[:1]
    small["lists"]["object"]["pets"], small["lists"]["place"]["towns"] = "puppy kitten", "Rome Paris"
    small["felt"] = {mood: phrases[:1] for mood, phrases in small["felt"].items()}
    small["frames"] = small["frames"][:1]
    small["plots"]["pet"]["endings"] = {of: forms[:1] for of, forms in small["plots"]["pet"]["endings"].items()}
    for sentence in small["plots"]["pet"]["sentences"]:
        sentence.update({happening: forms[:1] for happening, forms in sentence.items()})
    with pytest.raises(UserError, match="100000 different stories are asked for, but this world has only about"):
        StoryWorld(small).stories(100_000, seed=0)
    told = StoryWorld(small).stories(100, seed=0)  # of about 128: most are met again
    assert len({(story.sentences, story.ending) for story in told}) == len(told) == 100


def test_a_story_is_told_when_it_is_asked_for(world: StoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from textgan.data.story_world.telling import Teller

    states, draw = [], Teller.state
    monkeypatch.setattr(Teller, "state", lambda teller: states.append(draw(teller)) or states[-1])
    telling = world.tell(1000, seed=3)
    assert list(itertools.islice(telling, 20)) == world.stories(20, seed=3)
    assert len(states) == 40
