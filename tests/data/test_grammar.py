"""The grammar: exact probabilities, entropy, agreement, samples that follow them."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest
import yaml

from textgan.data.cards import card_folder
from textgan.data.grammar import Grammar
from textgan.errors import UserError

TINY = {
    "S": ["3 NP_SG sleeps .", "2 NP_PL sleep .", "1 look , NP_SG !"],
    "NP_SG": ["2 the dog", "1 a ADJECTIVE dog"],
    "NP_PL": ["2 the dogs", "1 ADJECTIVE dogs"],
    "ADJECTIVE": "big red old",
}


@pytest.fixture(scope="module")
def english() -> Grammar:
    card = yaml.safe_load((card_folder() / "grammar.yaml").read_text(encoding="utf-8"))
    return Grammar(card["read"]["rules"])


def language(rules: dict[str, list[str] | str]) -> Counter[str]:
    """Every sentence with its probability, by writing all derivations out."""

    def expand(symbol: str) -> list[tuple[float, str]]:
        if symbol not in rules:
            return [(1.0, symbol)]
        written = rules[symbol]
        options = [f"1 {word}" for word in written.split()] if isinstance(written, str) else written
        total = sum(float(option.split()[0]) for option in options)
        found = []
        for option in options:
            weight, *parts = option.split()
            for choice in product(*map(expand, parts)):
                p = math.prod(p for p, _ in choice) * float(weight) / total
                found.append((p, " ".join(text for _, text in choice)))
        return found

    sentences: Counter[str] = Counter()
    for p, sentence in expand("S"):
        sentences[sentence] += p
    return sentences


def test_probabilities_are_those_of_the_written_out_language() -> None:
    grammar = Grammar(TINY)
    sentences = language(TINY)
    assert math.fsum(math.exp(grammar.log_prob(s)) for s in sentences) == pytest.approx(1, abs=1e-12)
    for sentence, p in sentences.items():
        assert grammar.log_prob(sentence) == pytest.approx(math.log(p), abs=1e-12)
    assert grammar.count() == len(sentences)
    assert grammar.entropy() == pytest.approx(-sum(p * math.log(p) for p in sentences.values()), abs=1e-12)
    lengths = {sentence: len(sentence.split()) for sentence in sentences}
    assert grammar.mean_length() == pytest.approx(sum(p * lengths[s] for s, p in sentences.items()))
    assert grammar.lengths() == (min(lengths.values()), max(lengths.values()))


def test_an_ambiguous_sentence_has_the_sum_of_its_derivations() -> None:
    grammar = Grammar({"S": ["A b", "a B"], "A": ["1 a", "3 c"], "B": "b"})
    assert grammar.derivations("a b") == 2
    assert grammar.log_prob("a b") == pytest.approx(math.log(0.5 * 0.25 + 0.5))


@pytest.mark.parametrize("sentence", ["", "the dog", "the dogs sleeps .", "the dog sleeps . .", "the cat sleeps ."])
def test_what_is_not_in_the_language_has_no_probability(sentence: str) -> None:
    assert Grammar(TINY).log_prob(sentence) == -math.inf


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"S": ["a S"]}, r"'S' recurs \(S > S\)"),
        ({"S": ["A"], "A": ["b S"]}, r"recurs \(S > A > S\)"),
        ({"S": []}, "'S' needs alternatives"),
        ({"S": ["0 a", "1 b"]}, "positive weight"),
    ],
)
def test_rules_that_cannot_be_used_are_refused(rules: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Grammar(rules)


def test_samples_follow_the_probabilities() -> None:
    grammar = Grammar(TINY)
    n = 20_000
    counts = Counter(grammar.sample(n, seed=1))
    expected = {s: p * n for s, p in language(TINY).items()}
    assert counts.keys() <= expected.keys()
    chi_square = sum((counts[s] - e) ** 2 / e for s, e in expected.items())
    freedom = len(expected) - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def test_the_same_seed_gives_the_same_sentences(english: Grammar) -> None:
    assert english.sample(20, seed=3) == english.sample(20, seed=3)
    assert english.sample(20, seed=3) != english.sample(20, seed=4)


def test_every_sample_of_the_card_is_parsed_in_exactly_one_way(english: Grammar) -> None:
    for sentence in english.sample(1000, seed=5):
        assert english.derivations(sentence) == 1
        assert math.isfinite(english.log_prob(sentence))


def test_the_mean_log_probability_of_samples_is_the_entropy(english: Grammar) -> None:
    values = [-english.log_prob(sentence) for sentence in english.sample(2000, seed=6)]
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    assert abs(mean - english.entropy()) < 4 * deviation / math.sqrt(len(values))


def test_the_language_of_the_card_is_large_and_its_sentences_are_of_4_to_15_words(english: Grammar) -> None:
    assert english.count() > 10**6
    assert english.lengths() == (4, 15)
    assert 300 < len(english.vocabulary) < 600


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("the dog sleeps .", "the dog sleep ."),
        ("does anna sing ?", "do anna sing ?"),
        ("there are two kites near the river .", "there is two kites near the river ."),
    ],
)
def test_number_agreement_is_grammatical(english: Grammar, right: str, wrong: str) -> None:
    assert english.log_prob(wrong) == -math.inf
