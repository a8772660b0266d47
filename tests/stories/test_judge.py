from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
import torch

from textgan.data.spec import StorySpec
from textgan.data.stories import Cloze, StoryBatch
from textgan.errors import UserError
from textgan.stories.judge import StoryJudge, ending_only_naive_bayes, pair_accuracy, train_judge

TOPICS, WORDS = 12, 6  # words of each topic; ids 0 to 3 are the marks
SPEC = StorySpec(4 + TOPICS * WORDS, 6, train_size=400, sentences=3, sentence_length=5)


def topic_stories(n: int, seed: int) -> StoryBatch:
    """Sentences of three to five words of the story's topic, from its first four; endings from its last four."""
    generator = torch.Generator().manual_seed(seed)
    topic = torch.randint(TOPICS, (n,), generator=generator)
    context = 4 + topic[:, None, None] * WORDS + torch.randint(0, 4, (n, 3, 5), generator=generator)
    lengths = torch.randint(3, 6, (n, 3), generator=generator)
    context[torch.arange(5) >= lengths[..., None]] = SPEC.pad
    ending = 4 + topic[:, None] * WORDS + torch.randint(2, 6, (n, 6), generator=generator)
    lengths = torch.randint(3, 6, (n,), generator=generator)
    ending[torch.arange(6) >= lengths[:, None]] = SPEC.pad
    ending[torch.arange(n), lengths] = SPEC.eos
    return StoryBatch(context, ending)


def small_judge(dropout: float = 0.3) -> StoryJudge:
    torch.manual_seed(0)
    return StoryJudge(SPEC, size=8, dropout=dropout)


@pytest.fixture(scope="module")
def judge() -> StoryJudge:
    return train_judge(topic_stories(400, seed=0), SPEC, epochs=16, size=32)


def test_a_trained_judge_knows_the_endings_of_new_stories(judge):
    stories = topic_stories(400, seed=1)
    right = judge.score(*stories)
    assert pair_accuracy(judge, *stories).value > 0.9  # a twelfth of the others is of the same topic
    assert right.mean() > judge.score(stories.context, stories.ending.roll(1, 0)).mean() + 0.4


def test_a_copied_sentence_is_no_ending(judge):
    stories = topic_stories(400, seed=2)
    copied = torch.full_like(stories.ending, SPEC.pad)
    copied[:, :5] = stories.context[:, 2]
    copied[torch.arange(400), (copied != SPEC.pad).sum(1)] = SPEC.eos
    assert judge.score(stories.context, copied).mean() < judge.score(*stories).mean() - 0.2


def test_a_score_is_the_sigmoid_of_the_definition_word_by_word():
    judge, stories = small_judge().eval(), topic_stories(5, seed=3)
    weight, bias = judge.neighbours.weight, judge.neighbours.bias

    def read(words: list[int], places: list[torch.Tensor]) -> list[torch.Tensor]:
        vectors = [judge.embedding.weight[word] + place for word, place in zip(words, places, strict=True)]
        padded = [torch.zeros(8), *vectors, torch.zeros(8)]
        sums = [sum(weight[:, :, k] @ padded[i + k] for k in range(3)) for i in range(len(words))]
        return [vector + torch.tanh(total + bias) for vector, total in zip(vectors, sums, strict=True)]

    for context, ending, score in zip(*stories, judge.score(*stories), strict=True):
        words = [(word, i) for i, sentence in enumerate(context.tolist()) for word in sentence if word != SPEC.pad]
        c = torch.stack(read([word for word, _ in words], [judge.place.weight[i] for _, i in words]))
        real = [word for word in ending.tolist() if word != SPEC.pad]
        compared = []
        for b in read(real, [torch.zeros(8)] * len(real)):
            a = (c @ judge.attend(b) / math.sqrt(8)).softmax(0) @ c
            compared.append(judge.compare(torch.cat([b, a, b * a, (b - a).abs()])).relu())
        features = torch.cat([torch.stack(compared).mean(0), torch.stack(compared).amax(0)])
        assert score.item() == pytest.approx(judge.output(features).sigmoid().item(), abs=1e-5)


@pytest.mark.parametrize("rows", [1, 3])
def test_scores_depend_neither_on_padding_nor_on_the_batch(rows):
    judge, stories = small_judge(), topic_stories(9, seed=4)
    wide = torch.cat([stories.ending, torch.full((9, 4), SPEC.pad)], 1)
    context = torch.cat([stories.context, torch.full((9, 3, 2), SPEC.pad)], 2)
    expected = judge.score(*stories)
    found = torch.cat([judge.score(*part) for part in zip(context.split(rows), wide.split(rows), strict=True)])
    torch.testing.assert_close(found, expected)
    assert judge.training  # as it was


def test_empty_texts_have_a_score():
    context, ending = torch.zeros(2, 3, 5, dtype=torch.int64), torch.zeros(2, 6, dtype=torch.int64)
    assert small_judge().score(context, ending).isfinite().all()


def test_pair_accuracy_counts_pairs_and_halves_ties():
    class ByFirstWord(StoryJudge):
        def logits(self, context, endings):
            return endings[:, :, 0].float()

    judge = ByFirstWord(SPEC, size=8)
    context = torch.zeros(4, 3, 5, dtype=torch.int64)
    # Whatever the order, the pairs form one circle through all stories.
    assert pair_accuracy(judge, context, torch.tensor([[7], [7], [7], [7]])).value == 0.5
    assert pair_accuracy(judge, context, torch.tensor([[9], [7], [7], [7]])).value == pytest.approx(
        (1 + 0 + 0.5 * 2) / 4
    )
    assert pair_accuracy(judge, context[:2], torch.tensor([[9], [7]]), seed=3).value == 0.5
    signature = pair_accuracy(judge, context, torch.tensor([[9], [7], [7], [7]]), seed=3).signature
    assert signature == "judge_pair_accuracy|others:random|stories:4|seed:3|version:1"


def test_the_same_seed_trains_the_same_judge_and_disturbs_no_other_random_numbers():
    stories = topic_stories(60, seed=5)
    torch.manual_seed(1)
    first = train_judge(stories, SPEC, epochs=2, seed=4, size=8)
    number = torch.rand(())
    torch.manual_seed(1)
    assert torch.rand(()) == number
    second = train_judge(stories, SPEC, epochs=2, seed=4, size=8)
    other = train_judge(stories, SPEC, epochs=2, seed=5, size=8)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.compare.weight, other.compare.weight)


def test_the_best_epoch_is_returned_and_training_stops_after_two_that_are_no_better():
    generator = torch.Generator().manual_seed(0)
    context = torch.randint(4, SPEC.vocab_size, (300, 3, 5), generator=generator)
    stories = StoryBatch(context, torch.randint(4, SPEC.vocab_size, (300, 6), generator=generator))  # nothing to learn
    losses: list[float] = []
    judge = train_judge(stories, SPEC, epochs=200, seed=1, size=8, progress=lambda epoch, loss: losses.append(loss))
    best = losses.index(min(losses)) + 1
    assert len(losses) == best + 2 < 200
    until_then = train_judge(stories, SPEC, epochs=best, seed=1, size=8)
    assert all(torch.equal(a, b) for a, b in zip(judge.parameters(), until_then.parameters(), strict=True))


def naive_bayes_log_odds(ending: str, right: list[str], wrong: list[str]) -> float:
    """log p(ending | right) - log p(ending | wrong), add-one smoothed, single words and pairs."""

    def grams(text: str) -> list[str]:
        words = text.lower().replace(".", " .").split()
        return words + [" ".join(pair) for pair in pairwise(words)]

    counts = [Counter(gram for text in texts for gram in grams(text)) for texts in (right, wrong)]
    known = counts[0].keys() | counts[1].keys()
    log_p = [
        sum(math.log((count[gram] + 1) / (count.total() + len(known))) for gram in grams(ending) if gram in known)
        for count in counts
    ]
    return log_p[0] - log_p[1]


def cloze_stories(n: int) -> list[Cloze]:
    """Right endings tend to be glad ones."""
    generator = torch.Generator().manual_seed(0)
    stories = []
    for i in range(n):
        answer, mood, who, what = (int(torch.randint(k, (), generator=generator)) for k in (2, 4, 3, 5))
        good, bad = ("happy", "sad") if mood else ("sad", "happy")
        texts = [
            f"{['He', 'She', 'Tom'][who]} was {word} about the {['dog', 'car'][what % 2]}." for word in (good, bad)
        ]
        stories.append(Cloze(("a", "b", "c", "d"), (texts[answer], texts[1 - answer]), answer, str(i)))
    return stories


def test_naive_bayes_equals_its_formula_when_each_story_is_left_out_in_turn():
    stories = cloze_stories(15)
    hits = 0
    for story in stories:
        others = [other for other in stories if other is not story]
        right = [other.endings[other.answer] for other in others]
        wrong = [other.endings[1 - other.answer] for other in others]
        odds = [naive_bayes_log_odds(ending, right, wrong) for ending in story.endings]
        hits += odds[story.answer] > odds[1 - story.answer]
    score = ending_only_naive_bayes(stories, folds=15)
    assert score.value == pytest.approx(hits / 15)
    assert 0.5 < score.value < 1


def test_naive_bayes_says_that_it_used_labels():
    score = ending_only_naive_bayes(cloze_stories(20), seed=7)
    expected = "labels:used|context:unread|ngrams:1-2|folds:5|seed:7|stories:20|version:1"
    assert score.signature == f"cloze_ending_only_naive_bayes|{expected}"


def test_senseless_input_is_refused():
    stories = topic_stories(20, seed=0)
    with pytest.raises(UserError, match="19 stories to train a judge on; at least 20"):
        train_judge(StoryBatch(stories.context[:19], stories.ending[:19]), SPEC)
    with pytest.raises(UserError, match=r"epochs \(=0\) must be at least 1"):
        train_judge(stories, SPEC, epochs=0)
    with pytest.raises(UserError, match="1 stories to measure a judge on; at least 2"):
        pair_accuracy(small_judge(), stories.context[:1], stories.ending[:1])
    with pytest.raises(UserError, match=r"folds \(=5\) must be from 2 to the number of stories \(=3\)"):
        ending_only_naive_bayes(cloze_stories(3))
    unlabelled = Cloze(("a", "b", "c", "d"), ("x", "y"), None, "n17")
    with pytest.raises(UserError, match="cloze story 6 'n17' has no answer"):
        ending_only_naive_bayes([*cloze_stories(5), unlabelled])
