from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.policies import ENDING, FIXED, TablePolicy, sentences
from textgan.data.spec import NONE, TextSpec
from textgan.decoding import Hypotheses, beam_search, filter_logits, filtered, greedy, presentable
from textgan.errors import UserError
from textgan.networks.lstm import LSTMGenerator
from textgan.sampling import sample

WORDS = TextSpec(7, 6, train_size=0)


class ContextPolicy:
    """A table of its own for each of `contexts` contexts, in turn; row r of k * contexts rows is of r // k."""

    def __init__(self, spec: TextSpec, contexts: int, sharpness: float = 1.0) -> None:
        self.spec = spec
        self.tables = [TablePolicy(spec, seed) for seed in range(contexts)]
        for table in self.tables:
            table.table.data *= sharpness

    def start(self, rows: int) -> dict[str, Tensor]:
        repeats = rows // len(self.tables)
        return {
            "owner": torch.arange(len(self.tables)).repeat_interleave(repeats),
            "prefix": torch.zeros(rows, dtype=torch.int64),
        }

    def advance(self, tokens: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"owner": state["owner"], "prefix": self.tables[0].advance(tokens, state["prefix"])}

    def logits(self, state: dict[str, Tensor]) -> Tensor:
        pairs = zip(state["owner"].tolist(), state["prefix"][:, None], strict=True)
        return torch.cat([self.tables[owner].logits(prefix) for owner, prefix in pairs])

    def log_probs(self, tokens: Tensor) -> Tensor:
        raise NotImplementedError


def lengths(spec: TextSpec, tokens: Tensor) -> Tensor:
    return (tokens != spec.pad).sum(-1)


def small_lstm(spec: TextSpec) -> LSTMGenerator:
    torch.manual_seed(3)
    return LSTMGenerator(spec, 6, 8, init_std=1.0).eval()


# Filters


def nucleus(probabilities: list[float], top_p: float) -> set[int]:
    """The smallest set of most probable tokens that reaches top_p, one token after the other."""
    reached, kept = 0.0, set()
    for token in sorted(range(len(probabilities)), key=lambda i: -probabilities[i]):
        if reached >= top_p:
            break
        kept.add(token)
        reached += probabilities[token]
    return kept


@pytest.mark.parametrize("vocab", [5, 700, 5000])
@pytest.mark.parametrize("temperature", [1.0, 0.3, 2.5])
@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.9, 0.999])
def test_the_nucleus_is_the_smallest_set_that_reaches_p(vocab, temperature, top_p):
    torch.manual_seed(0)
    logits = torch.randn(4, vocab, dtype=torch.float64) * 2
    kept = filter_logits(logits, temperature, top_p=top_p)
    for row, probabilities in zip(kept, (logits / temperature).softmax(-1), strict=True):
        chosen = row.isfinite().nonzero().squeeze(1)
        assert abs(len(chosen) - len(nucleus(probabilities.tolist(), top_p))) <= (vocab == 5000)  # fp32
        ranks = probabilities.argsort(descending=True)
        assert set(chosen.tolist()) == set(ranks[: len(chosen)].tolist())
        expected = probabilities[chosen] / probabilities[chosen].sum()
        torch.testing.assert_close(row.softmax(-1)[chosen].double(), expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("top_k", [1, 2, 6, 7, 50])
def test_top_k_keeps_the_k_most_probable_tokens(top_k):
    torch.manual_seed(1)
    logits = torch.randn(20, 7)
    kept = filter_logits(logits, top_k=top_k).isfinite()
    for row, values in zip(kept.tolist(), logits.tolist(), strict=True):
        assert row == [value in sorted(values)[-top_k:] for value in values]


def test_the_nucleus_is_taken_of_what_temperature_and_top_k_leave():
    probabilities = torch.tensor([[0.3, 0.1, 0.2, 0.4]])
    # Of .3 and .4 the latter has 4/7 of the probability; of their squares 16/25.
    assert filter_logits(probabilities.log(), top_k=2, top_p=0.57).isfinite().tolist() == [[False] * 3 + [True]]
    both = [[True, False, False, True]]
    assert filter_logits(probabilities.log(), top_k=2, top_p=0.58).isfinite().tolist() == both
    assert filter_logits(probabilities.log(), 0.5, top_k=2, top_p=0.63).isfinite().tolist() == [[False] * 3 + [True]]
    assert filter_logits(probabilities.log(), 0.5, top_k=2, top_p=0.65).isfinite().tolist() == both


def test_one_token_is_left_whatever_the_filter_and_equal_tokens_are_counted():
    assert filter_logits(torch.zeros(2, 8), top_p=1e-9).isfinite().sum(-1).tolist() == [1, 1]
    assert filter_logits(torch.zeros(2, 8), top_p=0.5).isfinite().sum(-1).tolist() == [4, 4]
    assert filter_logits(torch.zeros(2, 8), top_k=3).isfinite().sum(-1).tolist() == [3, 3]


def test_no_filter_leaves_the_distribution():
    logits = torch.randn(3, 9)
    torch.testing.assert_close(filter_logits(logits).softmax(-1), logits.softmax(-1))
    assert filter_logits(torch.tensor([[1.0, 2.0]]), 1e-30).softmax(-1).tolist() == [[0.0, 1.0]]


def test_sampling_a_filtered_policy_follows_the_filtered_distribution():
    torch.manual_seed(0)
    policy, n = TablePolicy(ENDING), 20_000
    drawn = sample(filtered(policy, 0.7, top_p=0.8), ENDING, n)
    first = filter_logits(policy.logits(policy.start(1)), 0.7, top_p=0.8).softmax(-1)[0].detach()
    assert (first == 0).sum() > len(ENDING.never)
    counts = torch.bincount(drawn[:, 0], minlength=5)
    assert (counts - n * first).abs().le(5 * (n * first * (1 - first)).sqrt()).all()


def test_a_filtered_policy_has_no_log_probs():
    with pytest.raises(TypeError, match="filtered policy has no log_probs"):
        filtered(TablePolicy(ENDING), 0.5).log_probs(sentences(ENDING))


# Beam search


@pytest.mark.parametrize("spec", [FIXED, ENDING])
@pytest.mark.parametrize("length_penalty", [-2.0, 0.0, 0.5, 1.0, 3.0])
def test_a_beam_as_wide_as_the_world_finds_its_best_sentences_in_order(spec, length_penalty):
    every = sentences(spec)
    policy = ContextPolicy(spec, 4)
    found = beam_search(policy, spec, 4, len(every), len(every), length_penalty=length_penalty)
    for table, tokens, log_probs in zip(policy.tables, *found, strict=True):
        expected = table.log_probs(every).sum(1).detach()
        scores = expected / lengths(spec, every) ** length_penalty
        order = scores.argsort(descending=True)
        assert tokens.tolist() == every[order].tolist()
        torch.testing.assert_close(log_probs.double(), expected[order], rtol=1e-5, atol=1e-5)


def slow_beam_search(
    policy: ContextPolicy, context: int, num_beams: int, groups: int, diversity_penalty: float, length_penalty: float
) -> list[tuple[list[int], float]]:
    """The definition, sentence by sentence, never stopping early: all that is kept, with its log-probability."""
    spec, table, width = policy.spec, policy.tables[context], num_beams // groups
    running: list[list[tuple[list[int], float, float]]] = [[([], 0.0, 0.0)] for _ in range(groups)]
    finished: list[list[tuple[list[int], float, float]]] = [[] for _ in range(groups)]
    for position in range(spec.length):
        chosen: list[int] = []
        for g in range(groups):
            candidates = []
            for words, log_prob, penalty in running[g]:
                state = table.start(1)
                for word in words:
                    state = table.advance(torch.tensor([word]), state)
                for token, value in enumerate(table.logits(state).log_softmax(-1)[0].tolist()):
                    if value > -math.inf:
                        more = diversity_penalty * chosen.count(token)
                        candidates.append(([*words, token], log_prob + value, penalty + more))
            candidates.sort(key=lambda c: c[2] - c[1])
            last = position == spec.length - 1
            finished[g] += [c for c in candidates[:width] if last or c[0][-1] == spec.eos]
            finished[g].sort(key=lambda c: (c[2] - c[1]) / len(c[0]) ** length_penalty)
            finished[g] = finished[g][:width]
            running[g] = [c for c in candidates if c[0][-1] != spec.eos][:width]
            chosen += [c[0][-1] for c in running[g]]
    kept = [(words, log_prob) for group in finished for words, log_prob, _ in group]
    return sorted(kept, key=lambda c: -c[1] / len(c[0]) ** length_penalty)


@pytest.mark.parametrize("spec", [WORDS, TextSpec(5, 4, 0, bos=0, eos=NONE, pad=NONE, unk=NONE)])
@pytest.mark.parametrize("length_penalty", [-0.7, 0.0, 1.0, 2.0])
@pytest.mark.parametrize(
    ("num_beams", "groups", "diversity_penalty"), [(2, 1, 0.0), (4, 1, 0.0), (4, 4, 0.9), (6, 2, 0.4), (6, 3, 5.0)]
)
def test_beams_equal_a_slow_search(spec, length_penalty, num_beams, groups, diversity_penalty):
    policy = ContextPolicy(spec, 5)
    found = beam_search(policy, spec, 5, num_beams, num_beams, groups, diversity_penalty, length_penalty)
    for context, (tokens, log_probs) in enumerate(zip(*found, strict=True)):
        expected = slow_beam_search(policy, context, num_beams, groups, diversity_penalty, length_penalty)
        assert len(expected) == num_beams
        assert tokens.tolist() == [words + [spec.pad] * (spec.length - len(words)) for words, _ in expected]
        assert log_probs.tolist() == pytest.approx([log_prob for _, log_prob in expected], rel=1e-4)


def test_groups_without_a_penalty_are_the_same_beam_again():
    policy = ContextPolicy(WORDS, 6)
    single = beam_search(policy, WORDS, 6, 3, 3)
    groups = beam_search(policy, WORDS, 6, 6, 6, num_beam_groups=2)
    assert torch.equal(groups.tokens, single.tokens.repeat_interleave(2, 1))
    torch.testing.assert_close(groups.log_probs, single.log_probs.repeat_interleave(2, 1))


def test_a_large_penalty_gives_each_group_another_token_at_every_position():
    found = beam_search(ContextPolicy(FIXED, 6), FIXED, 6, 3, 3, num_beam_groups=3, diversity_penalty=100.0)
    assert found.tokens.sort(1).values.eq(torch.arange(3)[:, None]).all()


@pytest.mark.parametrize("spec", [FIXED, WORDS])
def test_greedy_takes_the_most_probable_token_at_every_step(spec):
    policy = ContextPolicy(spec, 8)
    expected = []
    for table in policy.tables:
        state, words = table.start(1), []
        while len(words) < spec.length and spec.eos not in words:
            words.append(table.logits(state).argmax().item())
            state = table.advance(torch.tensor(words[-1:]), state)
        expected.append(words + [spec.pad] * (spec.length - len(words)))
    assert greedy(policy, spec, 8).tolist() == expected
    found = beam_search(policy, spec, 8, num_beams=1)
    assert found.tokens[:, 0].tolist() == expected
    for table, tokens, log_prob in zip(policy.tables, found.tokens, found.log_probs, strict=True):
        assert log_prob.item() == pytest.approx(table.log_probs(tokens).sum().item(), rel=1e-5)


@pytest.mark.parametrize("arguments", [(1,), (4, 4), (6, 6, 3, 0.5), (4, 2, 1, 0.0, 0.0)])
@pytest.mark.parametrize("at_once", [1, 13, 256])
def test_a_batch_in_parts_gives_the_same_as_one_by_one(monkeypatch, arguments, at_once):
    monkeypatch.setattr("textgan.decoding.rows_at_once", lambda vocab, device: at_once)
    policy = ContextPolicy(WORDS, 7, sharpness=3.0)
    found = beam_search(policy, WORDS, 7, *arguments)
    for context in range(7):
        alone = ContextPolicy(WORDS, 1)
        alone.tables = policy.tables[context : context + 1]
        tokens, log_probs = beam_search(alone, WORDS, 1, *arguments)
        assert torch.equal(found.tokens[context], tokens[0])
        torch.testing.assert_close(found.log_probs[context], log_probs[0])


def test_hypotheses_of_a_network_are_distinct_ordered_and_have_its_log_probs():
    spec = TextSpec(50, 8, train_size=0)
    policy = small_lstm(spec)
    tokens, log_probs = beam_search(policy, spec, 3, 10, 10, length_penalty=0.6)
    expected = policy.log_probs(tokens.flatten(0, 1)).sum(1).view(3, 10)
    torch.testing.assert_close(log_probs, expected.detach(), rtol=1e-4, atol=1e-4)
    scores = (log_probs / lengths(spec, tokens) ** 0.6)[0].tolist()
    assert all(better >= worse for better, worse in pairwise(scores))
    assert len(set(map(tuple, tokens[0].tolist()))) == 10
    assert not log_probs.requires_grad


def test_more_hypotheses_than_sentences_are_padding():
    policy = ContextPolicy(ENDING, 3)
    found = beam_search(filtered(policy, top_k=1), ENDING, 3, 4, 4)
    assert torch.equal(found.tokens[:, 0], greedy(policy, ENDING, 3))
    assert found.log_probs[:, 0].abs().max() == 0  # the filter leaves one sentence, which is certain
    assert found.log_probs[:, 1:].eq(-torch.inf).all()
    assert found.tokens[:, 1:].eq(ENDING.pad).all()


def test_beams_equal_those_of_transformers():
    transformers = pytest.importorskip("transformers")
    spec, beams = TextSpec(30, 9, train_size=0, pad=3, unk=0), 5  # transformers pads with end marks if pad is 0
    torch.manual_seed(0)
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16, "vocab_size": 30, "initializer_range": 1.0}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=1, eos_token_id=2)).eval()
    never = torch.zeros(30).index_fill(0, torch.tensor(spec.never), -torch.inf)
    contexts = torch.randint(4, 30, (6, 4))

    class GPT2Policy:
        """Reads the whole prefix anew at every step."""

        def start(self, rows: int) -> Tensor:
            return contexts.repeat_interleave(rows // 6, 0)

        def advance(self, tokens: Tensor, state: Tensor) -> Tensor:
            return torch.cat([state, tokens[:, None]], 1)

        def logits(self, state: Tensor) -> Tensor:
            return model(state).logits[:, -1] + never

        def log_probs(self, tokens: Tensor) -> Tensor:
            raise NotImplementedError

    for length_penalty in (0.0, 1.0, 2.0):
        found: Hypotheses = beam_search(GPT2Policy(), spec, 6, beams, beams, length_penalty=length_penalty)
        generated = model.generate(
            contexts,
            attention_mask=torch.ones_like(contexts),
            num_beams=beams,
            num_return_sequences=beams,
            length_penalty=length_penalty,
            early_stopping="never",
            do_sample=False,
            max_new_tokens=spec.length,
            pad_token_id=spec.pad,
            suppress_tokens=list(spec.never),
            renormalize_logits=True,
            return_dict_in_generate=True,
            output_scores=True,
        )
        tokens = generated.sequences[:, 4:].view(6, beams, -1)
        assert torch.equal(found.tokens[..., : tokens.shape[-1]], tokens)
        scores = found.log_probs / lengths(spec, found.tokens) ** length_penalty
        torch.testing.assert_close(scores, generated.sequences_scores.view(6, beams), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_beams": 0}, r"num_beams \(=0\) must be at least 1"),
        ({"num_beams": 4, "num_beam_groups": 3}, r"num_beams \(=4\) must be a multiple of num_beam_groups \(=3\)"),
        ({"num_beams": 4, "num_beam_groups": 0}, r"num_beam_groups \(=0\) must be at least 1"),
        ({"num_beams": 4, "num_return_sequences": 5}, r"num_return_sequences \(=5\) .* from 1 to num_beams \(=4\)"),
        ({"num_beams": 4, "num_return_sequences": 0}, r"num_return_sequences \(=0\) must be from 1"),
        ({"num_beams": 4, "diversity_penalty": -0.1}, r"diversity_penalty \(=-0.1\) must be at least 0"),
        ({"num_beams": 4, "length_penalty": math.nan}, r"length_penalty \(=nan\) must be finite"),
        ({"n": 0, "num_beams": 4}, r"n \(=0\) must be at least 1"),
    ],
)
def test_senseless_beams_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        beam_search(TablePolicy(ENDING), ENDING, **{"n": 2, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, r"temperature \(=0.0\) must be greater than 0"),
        ({"temperature": math.nan}, r"temperature \(=nan\) must be greater than 0"),
        ({"temperature": math.inf}, r"temperature \(=inf\) must be greater than 0 and finite"),
        ({"top_k": -1}, r"top_k \(=-1\) must be at least 0"),
        ({"top_p": 0.0}, r"top_p \(=0.0\) must be greater than 0 and at most 1"),
        ({"top_p": 1.1}, r"top_p \(=1.1\) must be greater than 0 and at most 1"),
    ],
)
def test_senseless_filters_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        filtered(TablePolicy(ENDING), **arguments)


def test_presentable_sentences_are_never_empty_and_have_no_unknown_word():
    """The other sentences keep their proportions, token by token."""
    policy = TablePolicy(ENDING)
    shown = presentable(policy, ENDING)
    every = sentences(ENDING)
    tokens = sample(shown, ENDING, 2000)
    assert (tokens[:, 0] != ENDING.eos).all()
    assert not (tokens == ENDING.unk).any()
    assert (tokens[:, 1] == ENDING.eos).any()
    assert (every[:, 0] == ENDING.eos).any(), "the policy itself does write nothing at all"
    first, later = shown.start(3), shown.advance(torch.tensor([3, 3, 3]), shown.start(3))
    expected = policy.logits(policy.start(3))
    expected[:, [ENDING.eos, ENDING.unk]] = -torch.inf
    assert torch.equal(shown.logits(first), expected)
    expected = policy.logits(policy.advance(torch.tensor([3, 3, 3]), policy.start(3)))
    expected[:, ENDING.unk] = -torch.inf
    assert torch.equal(shown.logits(later), expected)
    with pytest.raises(TypeError, match="has no log_probs"):
        shown.log_probs(every)
