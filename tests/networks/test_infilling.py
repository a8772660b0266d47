from __future__ import annotations

from itertools import product

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from tests.policies import ENDING, FIXED, sentences
from textgan.networks.infilling import Infiller, PrefixCritic, TokenJudge, choose_masked
from textgan.reproducibility import seed_everything
from textgan.sampling import Policy, sample

SPEC = SPECS["text"]["variable length"]
each_world = pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])


def _infiller(spec, dropout=0.0) -> Infiller:
    seed_everything(0)
    return Infiller(spec, 4, 6, dropout)


@pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])
def test_a_contiguous_mask_is_one_block_of_the_share_of_the_sentence(spec):
    torch.manual_seed(0)
    tokens = _sentences(spec).repeat(20, 1)
    masked = choose_masked(tokens, spec, "contiguous", 0.5)
    starts = set()
    for row, places in zip(tokens, masked, strict=True):
        length = int((row != spec.pad).sum())
        inside = places[:length].nonzero().squeeze(1).tolist()
        assert len(inside) == max(1, round(0.5 * length))
        assert inside == list(range(inside[0], inside[0] + len(inside)))
        assert (places[length:] == places[length - 1]).all()
        if length == spec.length:
            starts.add(inside[0])
    assert starts == set(range(spec.length - round(0.5 * spec.length) + 1))


def test_a_random_mask_is_of_each_token_alone_and_never_empty():
    torch.manual_seed(0)
    tokens = _sentences(SPEC).repeat(200, 1)
    masked = choose_masked(tokens, SPEC, "random", 0.4)
    inside = tokens != SPEC.pad
    assert (masked & inside).any(1).all()
    long = (inside.sum(1) >= 6)[:, None] & inside
    assert masked[long].float().mean().item() == pytest.approx(0.4 + 0.6**6 / 6, abs=0.02)
    neighbours = (masked[:, 0] & masked[:, 1])[inside.sum(1) >= 6].float().mean().item()
    assert neighbours == pytest.approx(0.16, abs=0.03)
    assert (choose_masked(tokens, SPEC, "random", 1e-9) & inside).sum(1).eq(1).all()


def test_whole_sentences_are_masked_at_their_rate():
    torch.manual_seed(0)
    tokens = _sentences(SPEC).repeat(50, 1)
    assert choose_masked(tokens, SPEC, "contiguous", 0.5, whole=1.0).all()
    longer = (tokens != SPEC.pad).sum(1) > 2
    masked = choose_masked(tokens, SPEC, "contiguous", 0.5, whole=0.3)[longer]
    assert masked.all(1).float().mean().item() == pytest.approx(0.3, abs=0.04)


@each_world
def test_the_probabilities_of_all_fillings_of_a_sentence_sum_to_one(spec):
    """Fillings keep what is seen; where the end is masked they may end at any place after it."""
    network, every = _infiller(spec), sentences(spec)
    for row in every[:: max(1, len(every) // 5)]:
        length = int((row != spec.pad).sum())
        for pattern in product([False, True], repeat=length):
            masked = torch.tensor([*pattern, *[pattern[-1]] * (spec.length - length)])
            keeps = ((every == row) | masked).all(1)
            written = every[keeps]
            with torch.no_grad():
                log_p = network.given(row[None], masked[None]).log_probs(written)
            total = (log_p * (masked & (written != spec.pad))).sum(1).exp().sum()
            assert total.item() == pytest.approx(1, abs=1e-5), (row, masked)


@each_world
def test_fillings_are_drawn_at_their_probabilities_and_keep_what_is_seen(spec):
    network, every = _infiller(spec), sentences(spec)
    row = every[(every != spec.pad).sum(1) == spec.length][3]
    masked = torch.tensor([True, False, True])
    torch.manual_seed(0)
    drawn = network.fill(row.expand(8000, -1), masked.expand(8000, -1))
    assert (drawn[:, 1] == row[1]).all()
    assert (drawn[:, 0] != spec.eos).all()  # a token that is seen follows
    written = every[((every == row) | masked).all(1)]
    log_p = (network.given(row[None], masked[None]).log_probs(written) * masked).sum(1)
    rates = (drawn[:, None] == written).all(2).float().mean(0)
    assert rates.sum().item() == pytest.approx(1)
    p = log_p.exp().detach()
    assert ((rates - p).abs() <= 5 * (p * (1 - p) / 8000).sqrt() + 1e-3).all()


@each_world
def test_reading_step_by_step_gives_the_probabilities_of_whole_rows(spec):
    network, every = _infiller(spec), sentences(spec)
    tokens, masked = every[:2], torch.tensor([[False, True, True], [True, True, True]])
    policy = network.given(tokens, masked)
    assert isinstance(policy, Policy)
    rows = tokens.repeat_interleave(3, 0)
    whole = policy.log_probs(rows, temperature=0.5)
    state = policy.start(6)
    for t in range(spec.length):
        step = (policy.logits(state) / 0.5).log_softmax(-1).gather(1, rows[:, t : t + 1].clamp(min=0)).squeeze(1)
        written = rows[:, t] != spec.pad
        torch.testing.assert_close(step[written], whole[written, t])
        state = policy.advance(rows[:, t], state)


@each_world
def test_a_blank_is_any_sentence_masked_wholly_and_its_samples_follow_its_density(spec):
    network, every = _infiller(spec), sentences(spec)
    row = every[len(every) // 2]
    everything = torch.ones(1, spec.length, dtype=torch.bool)
    expected = network.given(row[None], everything).log_probs(every)
    found = network.blank().log_probs(every)
    torch.testing.assert_close(found, expected)
    assert found.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)
    torch.manual_seed(0)
    drawn = sample(network.blank(), spec, 8000)
    rates, p = (drawn[:, None] == every).all(2).float().mean(0), found.sum(1).exp().detach()
    assert ((rates - p).abs() <= 5 * (p * (1 - p) / 8000).sqrt() + 1e-3).all()


def test_the_generator_does_not_see_what_is_masked_and_sees_what_is_not():
    network = _infiller(SPEC)
    tokens = torch.randint(4, SPEC.vocab_size, (1, SPEC.length))
    masked = torch.tensor([[False, False, True, True, True, False, False]])
    policy = network.given(tokens, masked)

    def first_drawn(of):
        with torch.no_grad():
            return network.given(of, masked).log_probs(tokens)[0, 2]

    hidden, shown = tokens.clone(), tokens.clone()
    hidden[0, 3] = 4 + (hidden[0, 3] - 3) % 8
    shown[0, 6] = 4 + (shown[0, 6] - 3) % 8
    reference = policy.log_probs(tokens)[0, 2].detach()
    assert first_drawn(hidden) == reference
    assert first_drawn(shown) != reference


def test_dropout_drops_the_same_units_at_all_places():
    network = _infiller(SPEC, dropout=0.5)
    x = torch.ones(3, 5, 4)
    thinned = network.reader._thinned(x)
    assert (thinned == thinned[:, :1]).all()
    assert set(thinned.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(network.reader.eval()._thinned(x), x)


def test_the_judge_sees_the_whole_sentence_and_the_mask_but_no_padding():
    seed_everything(0)
    judge = TokenJudge(SPEC, 4, 6)
    rows = _sentences(SPEC)[:8]
    masked = choose_masked(rows, SPEC, "contiguous", 0.5)
    scores = judge(rows, masked)
    longest = int((rows != SPEC.pad).sum(1).max())
    torch.testing.assert_close(judge(rows[:, :longest], masked[:, :longest]), scores[:, :longest])
    one, length = rows[:1], int((rows[0] != SPEC.pad).sum())
    changed = one.clone()
    changed[0, length - 1] = 5
    assert (judge(changed, masked[:1])[0, :length] != scores[0, :length]).all()
    assert (judge(one, ~masked[:1])[0, :length] != scores[0, :length]).all()


def test_the_critic_does_not_know_the_masked_token_that_it_is_a_baseline_of():
    seed_everything(0)
    critic = PrefixCritic(SPEC, 4, 6)
    tokens = torch.randint(4, SPEC.vocab_size, (1, SPEC.length))
    masked = torch.tensor([[False, False, True, True, True, False, False]])
    before = critic(tokens, masked)
    for place in (2, 3, 4):
        changed = tokens.clone()
        changed[0, place] = 4 + (changed[0, place] - 3) % 8
        after = critic(changed, masked)
        assert torch.equal(after[0, : place + 1], before[0, : place + 1])
        assert (after[0, place + 1 :] != before[0, place + 1 :]).all()
