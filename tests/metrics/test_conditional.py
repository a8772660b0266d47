"""`ending_scores` has every metric, each as it is alone, in a stable order."""

import numpy as np

from textgan.metrics import (
    bleu_orders,
    distinct,
    ending_scores,
    length,
    meteor,
    novelty,
    novelty_of_hashes,
    rouge_l,
    self_bleu_of_groups,
    sentence_set,
    unique,
    unique_of_groups,
)

ENDINGS = [line.split() for line in ["she was happy .", "he went home again .", "she was happy ."]]
REFERENCES = [line.split() for line in ["she was glad .", "he walked home .", "the dog was happy ."]]
GROUPS = [[ending, REFERENCES[0]] for ending in ENDINGS]


def test_ending_scores_come_in_a_stable_order_and_equal_each_metric():
    novel = novelty(ENDINGS, sentence_set(ENDINGS[:1]), "t")
    scores = ending_scores(ENDINGS, REFERENCES, novel, GROUPS, tokenizer="t")
    assert list(scores) == [
        *(f"corpus-bleu-{n}" for n in (1, 2, 3, 4)),
        *("rouge-l", "meteor"),
        *(f"distinct-{n}" for n in (1, 2, 3, 4)),
        *("unique", "novelty", "length"),
        *(f"group-self-bleu-{n}" for n in (2, 3, 4)),
        "group-unique",
    ]
    expected = bleu_orders(ENDINGS, REFERENCES, tokenizer="t")
    expected |= {"rouge-l": rouge_l(ENDINGS, REFERENCES, "t"), "meteor": meteor(ENDINGS, REFERENCES, "t")}
    expected |= {f"distinct-{n}": distinct(ENDINGS, n, "t") for n in (1, 2, 3, 4)}
    expected |= {"unique": unique(ENDINGS, "t"), "novelty": novel, "length": length(ENDINGS, "t")}
    expected |= self_bleu_of_groups(GROUPS, tokenizer="t") | {"group-unique": unique_of_groups(GROUPS, "t")}
    assert scores == expected
    assert scores["novelty"].value == 1 / 3


def test_novelty_may_come_from_hashes():
    novel = novelty_of_hashes(np.array([5, 6, 5]), np.array([5]))
    assert ending_scores(ENDINGS, REFERENCES, novel)["novelty"].value == 1 / 3


def test_what_does_not_exist_is_absent():
    scores = ending_scores([["a"], ["b", "c"]], [["a"], ["b"]], groups=[[["a"]], [["b", "c"]]])
    missing = {"distinct-3", "distinct-4", "novelty", "group-self-bleu-2"}
    assert missing.isdisjoint(scores)
    assert scores["group-unique"].value == 1
