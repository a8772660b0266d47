"""An independent judge of story endings: does this ending belong to this context? A measure, never a reward.

It shares nothing with a GAN's discriminator: it is trained apart, on real sentences alone, and it is of another
architecture: the ending's words attend to the context's words (decomposable attention, Parikh et al. 2016). It learns
to tell a story's ending from endings of other stories and from the story's own sentences (whoever copies one has not
ended the story), so it knows of people and topics, not of what is likely to happen: where both endings name the
right people, as in the story cloze, it is near chance. The control that belongs beside every cloze figure is here too.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.data.story_readers import Cloze
from textgan.errors import UserError
from textgan.metrics.base import Score, signature
from textgan.networks.modes import evaluating
from textgan.reproducibility import forked_rng

OTHERS = 3
"""Endings of other stories that are shown beside the right one; a fourth wrong one is a sentence of the context."""
BATCH = 64
LEARNING_RATE = 2e-3
PATIENCE = 2
"""Epochs in a row without a lower loss on the stories held apart, after which training stops."""
AT_ONCE = 256
"""Stories scored at once."""


class StoryJudge(nn.Module):
    """The logit of "this ending belongs to this context".

    Each word w is read with its neighbours, x = w + tanh(conv3(w)). An ending's word b attends to the words c of the
    context with weights softmax_c(f(b) . c / sqrt(size)), f linear, which gives it a counterpart a; it is compared by
    g([b, a, b * a, |b - a|]); the comparisons' mean and maximum over the ending are scored by two layers.
    Words of the context also carry the number of their sentence.
    """

    def __init__(self, spec: StorySpec, size: int = 128, dropout: float = 0.3) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = nn.Embedding(spec.vocab_size, size, padding_idx=spec.pad)
        self.place = nn.Embedding(spec.sentences, size)
        self.neighbours = nn.Conv1d(size, size, 3, padding=1)
        self.attend = nn.Linear(size, size, bias=False)
        self.compare = nn.Linear(4 * size, size)
        self.output = nn.Sequential(nn.Linear(2 * size, size), nn.ReLU(), nn.Dropout(dropout), nn.Linear(size, 1))
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=size**-0.5)
        nn.init.normal_(self.place.weight, std=0.1 * size**-0.5)
        with torch.no_grad():
            self.embedding.weight[spec.pad] = 0
            self.attend.weight.copy_(torch.eye(size) * size**0.5)  # equal words attend to each other from the beginning

    def forward(
        self, context: Int[Tensor, "batch sentences length"], endings: Int[Tensor, "batch choices ending"]
    ) -> Float[Tensor, "batch choices"]:
        """The logits of several endings of each context."""
        words, number = self._left_aligned(context)
        real = (endings != self.spec.pad)[..., None]
        c = self._read(words, self.place(number))  # (batch, C, size)
        b = self._read(endings.flatten(0, 1)).view(*endings.shape, -1).flatten(1, 2)  # (batch, choices * T, size)
        weights = self.attend(b) @ c.transpose(1, 2) / c.shape[2] ** 0.5
        a = weights.masked_fill(words[:, None] == self.spec.pad, -1e9).softmax(-1) @ c
        features = self.dropout(torch.cat([b, a, b * a, (b - a).abs()], -1))
        compared = self.compare(features).relu().view(*endings.shape, -1) * real
        mean = compared.sum(2) / real.sum(2).clamp(min=1)
        return self.output(torch.cat([mean, compared.amax(2)], -1)).squeeze(-1)

    def score(
        self, context: Int[Tensor, "batch sentences length"], ending: Int[Tensor, "batch ending"]
    ) -> Float[Tensor, " batch"]:
        """The probability that the ending is the context's own, if right and wrong ones are equally frequent."""
        return self.logits(context, ending[:, None])[:, 0].sigmoid()

    @torch.no_grad()
    def logits(
        self, context: Int[Tensor, "batch sentences length"], endings: Int[Tensor, "batch choices ending"]
    ) -> Float[Tensor, "batch choices"]:
        """`forward` without gradients or dropout, in parts."""
        with evaluating(self):
            parts = zip(context.split(AT_ONCE), endings.split(AT_ONCE), strict=True)
            return torch.cat([self(*part) for part in parts])

    def _read(self, words: Tensor, further: Tensor | float = 0.0) -> Tensor:
        """Words with their neighbours. Padding is as nothing, however much there is of it."""
        real = (words != self.spec.pad)[..., None]
        x = self.dropout((self.embedding(words) + further) * real)
        return x + self.neighbours(x.transpose(1, 2)).tanh().transpose(1, 2)

    def _left_aligned(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Words without the padding between the sentences, (batch, C), and the number of each one's sentence."""
        number = torch.arange(context.shape[1], device=context.device)[:, None].expand_as(context[0]).flatten()
        words = context.flatten(1)
        mask = words != self.spec.pad
        order = mask.long().argsort(dim=1, descending=True, stable=True)[:, : max(1, int(mask.sum(1).max()))]
        return words.gather(1, order), number[order]


def train_judge(
    train: StoryBatch,
    spec: StorySpec,
    epochs: int = 6,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    size: int = 128,
) -> StoryJudge:
    """A judge trained on real stories, where they are (on their device).

    Minimised is, with y the story's ending and y' wrong ones (endings of three other stories and a sentence of the
    context, drawn anew every epoch), ``-log p(y | context) - mean log(1 - p(y' | context))``, in nats. A wrong ending
    that equals the right one does not count. A tenth of the stories is held apart; the weights returned are those of
    the epoch in which this loss was lowest on them, and training stops after two epochs that are no better.
    `progress` is called after every epoch with the number of epochs made and that loss.

    The same seed gives the same judge; other random numbers are left alone. Raises `UserError` for fewer than 20
    stories or no epoch.
    """
    if len(train.context) < 20:
        raise UserError(f"{len(train.context)} stories to train a judge on; at least 20 are needed")
    if epochs < 1:
        raise UserError(f"epochs (={epochs}) must be at least 1")
    with forked_rng(seed):
        judge = StoryJudge(spec, size).to(train.context.device)
        optimizer = torch.optim.Adam(judge.parameters(), lr=LEARNING_RATE)
        order = torch.randperm(len(train.context))
        apart, rest = order[: len(order) // 10], order[len(order) // 10 :]
        lowest, best_epoch, best = math.inf, 0, judge.state_dict()
        for epoch in range(1, epochs + 1):
            judge.train()
            for rows in rest[torch.randperm(len(rest))].split(BATCH):
                optimizer.zero_grad()
                _loss(judge, _take(train, rows)).backward()
                optimizer.step()
            loss = _held_out_loss(judge, train, apart, seed)
            if loss < lowest:
                lowest, best_epoch = loss, epoch
                best = {name: weight.clone() for name, weight in judge.state_dict().items()}
            if progress is not None:
                progress(epoch, loss)
            if epoch - best_epoch == PATIENCE:
                break
        judge.load_state_dict(best)
    return judge.eval()


def pair_accuracy(
    judge: StoryJudge,
    context: Int[Tensor, "stories sentences length"],
    ending: Int[Tensor, "stories ending"],
    seed: int = 0,
) -> Score:
    """How often, in [0, 1], a story's own ending has the higher score than that of a random other story; ties: half.

    What the judge's scores are worth: to be told with them, on stories it was not trained on. Raises `UserError` for
    fewer than two stories.
    """
    stories = len(ending)
    if stories < 2:
        raise UserError(f"{stories} stories to measure a judge on; at least 2 are needed")
    order = torch.randperm(stories, generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    right, wrong = judge.logits(context, torch.stack([ending, ending[other]], 1)).unbind(1)
    value = ((right > wrong) + 0.5 * (right == wrong)).mean().item()
    return Score(value, signature("judge_pair_accuracy", others="random", stories=stories, seed=seed))


def ending_only_naive_bayes(cloze: Sequence[Cloze], folds: int = 5, seed: int = 0) -> Score:
    """Story cloze accuracy, in [0, 1], of a classifier that reads labelled endings and never a context.

    Multinomial naive Bayes (scikit-learn's, add-one smoothing) on counts of words and word pairs of the endings,
    lower-cased, cross-validated by stories: of the two endings it takes the one that more probably is a right one.
    What it reaches needs no understanding of a story. It uses labels, which a generator does not. Raises `UserError`
    for a story without an answer or fewer stories than folds.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    if not 2 <= folds <= len(cloze):
        raise UserError(f"folds (={folds}) must be from 2 to the number of stories (={len(cloze)})")
    for number, story in enumerate(cloze, 1):
        if story.answer is None:
            raise UserError(f"cloze story {number} {story.name!r} has no answer; naive Bayes learns from answers")
    order = random.Random(seed).sample(range(len(cloze)), len(cloze))
    right = 0
    for fold in range(folds):
        test = [cloze[i] for i in order[fold::folds]]
        train = [cloze[i] for place, i in enumerate(order) if place % folds != fold]
        counter = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]")
        counts = counter.fit_transform([ending for story in train for ending in story.endings])
        classifier = MultinomialNB().fit(counts, [choice == story.answer for story in train for choice in (0, 1)])
        counts = counter.transform([ending for story in test for ending in story.endings])
        chosen = classifier.predict_log_proba(counts)[:, 1].reshape(-1, 2).argmax(1)
        right += sum(int(choice == story.answer) for choice, story in zip(chosen, test, strict=True))
    settings = {"labels": "used", "context": "unread", "ngrams": "1-2", "folds": folds, "seed": seed}
    return Score(right / len(cloze), signature("cloze_ending_only_naive_bayes", **settings, stories=len(cloze)))


def _loss(judge: StoryJudge, batch: StoryBatch) -> Tensor:
    """The right ending's and the wrong endings' mean cross-entropy, added."""
    right = batch.ending
    wrong = [right.roll(shift, 0) for shift in range(1, OTHERS + 1)]
    choices = torch.stack([right, *wrong, _own_sentence(judge.spec, batch)], 1)
    choices = choices[:, :, : max(1, int((choices != judge.spec.pad).sum(2).max()))]
    logits = judge(batch.context, choices)
    differs = (choices[:, 1:] != choices[:, :1]).any(2)
    wrong_loss = (F.softplus(logits[:, 1:]) * differs).sum() / differs.sum().clamp(min=1)
    return F.softplus(-logits[:, 0]).mean() + wrong_loss


def _own_sentence(spec: StorySpec, batch: StoryBatch) -> Tensor:
    """A random sentence of each context, as an ending: with an end mark, (batch, T)."""
    rows = torch.arange(len(batch.context), device=batch.context.device)
    sentence = torch.randint(batch.context.shape[1], (len(rows),)).to(rows.device)
    words, room = batch.context[rows, sentence], batch.ending.shape[1]
    ending = F.pad(words, (0, max(0, room - words.shape[1])), value=spec.pad)[:, :room]
    ending[rows, (words != spec.pad).sum(1).clamp(max=room - 1)] = spec.eos
    return ending


@torch.no_grad()
def _held_out_loss(judge: StoryJudge, train: StoryBatch, rows: Tensor, seed: int) -> float:
    """The mean loss of stories, with the same wrong endings every time."""
    with evaluating(judge), forked_rng(seed):
        losses = [_loss(judge, _take(train, part)) * len(part) for part in rows.split(AT_ONCE)]
    return float(sum(losses)) / len(rows)


def _take(batch: StoryBatch, rows: Tensor) -> StoryBatch:
    return StoryBatch(*(part[rows.to(part.device)] for part in batch))
