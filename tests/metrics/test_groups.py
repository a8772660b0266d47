"""Diversity within groups against the same metric group by group."""

import random

import numpy as np
import pytest

from textgan.errors import UserError
from textgan.metrics.diversity import unique
from textgan.metrics.groups import self_bleu_of_groups, unique_of_groups
from textgan.metrics.ngram import self_bleu


def random_groups(rng, smallest, largest, longest):
    return [
        [rng.choices(list("aaabbcde"), k=rng.randint(0, longest)) for _ in range(rng.randint(smallest, largest))]
        for _ in range(rng.randint(1, 12))
    ]


@pytest.mark.parametrize("seed", range(20))
def test_self_bleu_of_groups_is_the_mean_of_each_groups_own(seed):
    rng = random.Random(seed)
    groups = random_groups(rng, 2, rng.choice([2, 8]), rng.choice([0, 2, 12]))
    orders = rng.choice([(2, 3, 4), (1,), (5, 2)])
    alone = [[score.value for score in self_bleu(group, orders).values()] for group in groups]
    together = self_bleu_of_groups(groups, orders)
    assert list(together) == [f"group-self-bleu-{n}" for n in orders]
    np.testing.assert_allclose([score.value for score in together.values()], np.mean(alone, axis=0), atol=1e-12)


def test_endings_of_other_contexts_do_not_count():
    same, different = [["he", "was", "sad"]] * 2, [["he", "was", "sad"], ["it", "rained"]]
    assert self_bleu_of_groups([same] * 3, (2,))["group-self-bleu-2"].value == pytest.approx(1)
    assert self_bleu_of_groups([different] * 3, (2,))["group-self-bleu-2"].value == 0


def test_token_ids_give_what_words_give():
    groups = random_groups(random.Random(0), 2, 6, 9)
    ids = [[[ord(word) * 2**40 for word in sentence] for sentence in group] for group in groups]
    assert self_bleu_of_groups(ids) == self_bleu_of_groups(groups)


def test_unique_of_groups_is_the_mean_share_of_different_endings():
    groups = [[["a"], ["a"], ["b"], ["a"]], [["a"], ["b"]]]
    assert unique_of_groups(groups).value == pytest.approx((2 / 4 + 2 / 2) / 2)
    one = random_groups(random.Random(1), 5, 5, 2)[:1]
    assert unique_of_groups(one).value == unique(one[0]).value


def test_signatures_say_how_many_groups_of_what_size():
    groups = [[["a"], ["b"]], [["a"], ["b"], ["c"]]]
    assert unique_of_groups(groups, "word").signature == "group-unique|groups:2|size:2-3|tokenizer:word|version:1"
    signature = self_bleu_of_groups(groups[:1], (2,))["group-self-bleu-2"].signature
    assert signature == "group-self-bleu|n:2|smoothing:method1|groups:1|size:2|tokenizer:whitespace|version:1"


def test_what_has_no_groups_or_too_small_ones_is_refused():
    with pytest.raises(UserError, match=r"no groups \(0\)"):
        self_bleu_of_groups([])
    with pytest.raises(UserError, match="group 1 has 1 sentences; self-BLEU of groups needs at least 2"):
        self_bleu_of_groups([[["a"], ["b"]], [["a"]]])
    with pytest.raises(UserError, match="group 0 has 0 sentences"):
        unique_of_groups([[]])
    with pytest.raises(UserError, match="plain string"):
        self_bleu_of_groups([["a b", "c d"]])
