"""Decoding from a policy other than by plain sampling: filtered distributions, greedy, beam and diverse beam search.

Arguments are named, and mean, what they do in `transformers`' ``generate``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._pytree import tree_leaves

from textgan.categorical import rows_at_once
from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError
from textgan.sampling import Policy, State, device_of, take

NUCLEUS = 512
"""Tokens among which a nucleus is looked for first. To sort a whole vocabulary costs ten times as much."""


def filter_logits(
    logits: Float[Tensor, "rows vocab"], temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Float[Tensor, "rows vocab"]:
    """Logits, up to a constant a row, of ``softmax(logits / temperature)`` cut to its most probable tokens.

    First to the `top_k` most probable ones (0: all; Fan et al. 2018), then to the nucleus of what is left: the
    smallest set of most probable tokens whose probability reaches `top_p` (Holtzman et al. 2020). -inf elsewhere.
    """
    logits = logits.float()
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature
    if 0 < top_k < logits.shape[-1]:
        logits = _only(logits, *logits.topk(top_k))
    if top_p < 1:
        logits = _only(logits, *_nucleus(logits, top_p))
    return logits


def _only(logits: Tensor, values: Tensor, tokens: Tensor) -> Tensor:
    return torch.full_like(logits, -torch.inf).scatter(-1, tokens, values)


def _nucleus(logits: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Each row's most probable tokens: their logits, -inf beyond the nucleus, and their ids."""
    vocab = logits.shape[-1]
    total, width = logits.logsumexp(-1, keepdim=True), min(NUCLEUS, vocab)
    while True:
        values, tokens = logits.topk(width)
        probabilities = (values - total).exp()
        cumulative = probabilities.cumsum(-1)
        if width == vocab or (cumulative[:, -1] >= top_p).all():
            return values.masked_fill(cumulative - probabilities >= top_p, -torch.inf), tokens
        width = min(8 * width, vocab)


@dataclass(frozen=True)
class Filtered:
    """A policy to draw from, not to learn: another one's under `filter_logits`. Made by `filtered`."""

    policy: Policy
    temperature: float
    top_k: int
    top_p: float

    def start(self, rows: int) -> State:
        """The policy's."""
        return self.policy.start(rows)

    def advance(self, tokens: Int[Tensor, " rows"], state: State) -> State:
        """The policy's."""
        return self.policy.advance(tokens, state)

    def logits(self, state: State) -> Float[Tensor, "rows vocab"]:
        """The policy's, filtered."""
        return filter_logits(self.policy.logits(state), self.temperature, self.top_k, self.top_p)

    def log_probs(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length"]:
        """Raises TypeError: most sentences are impossible under a filter, so nothing can be learned from it."""
        raise TypeError("a filtered policy has no log_probs: ask the policy that it filters")


def filtered(policy: Policy, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Policy:
    """The policy whose next token follows ``softmax(logits / temperature)`` cut to top-k and nucleus: `filter_logits`.

    Raises `UserError` unless 0 < temperature < inf, top_k >= 0 and 0 < top_p <= 1.
    """
    _require(0 < temperature < math.inf, "temperature", temperature, "greater than 0 and finite")
    _require(top_k >= 0, "top_k", top_k, "at least 0, which keeps all tokens")
    _require(0 < top_p <= 1, "top_p", top_p, "greater than 0 and at most 1")
    return Filtered(policy, temperature, top_k, top_p)


class Hypotheses(NamedTuple):
    """The k best sentences found for each of n contexts, the best first.

    If the policy can write fewer than k, the rest are padding, of log-probability -inf.
    """

    tokens: Tensor
    """``(n, k, T)`` int64."""
    log_probs: Tensor
    """``(n, k)``: log p(sentence) in nats, end mark included, before any penalty."""


def greedy(policy: Policy, spec: TextSpec, n: int) -> Int[Tensor, "n length"]:
    """The sentence of each of `n` contexts that takes the most probable token at every step."""
    return beam_search(policy, spec, n, num_beams=1).tokens[:, 0]


@torch.no_grad()
def beam_search(
    policy: Policy,
    spec: TextSpec,
    n: int,
    num_beams: int,
    num_return_sequences: int = 1,
    num_beam_groups: int = 1,
    diversity_penalty: float = 0.0,
    length_penalty: float = 1.0,
) -> Hypotheses:
    """The best `num_return_sequences` sentences found for each context by log p(sentence) / length ** length_penalty.

    Row r of ``policy.start(n)`` is context r. At each position the running sentences of a beam are extended by every
    token. Of the best `num_beams` results those that end are kept; the best `num_beams` that do not end run on. A
    context is done when no running sentence can still overtake the worst of its best `num_beams` kept ones, whatever
    it adds; if there is one beam only, when it ends (greedy search).

    With several groups, each a beam of ``num_beams / num_beam_groups`` (diverse beam search with Hamming diversity:
    Vijayakumar et al. 2018), the groups step one after the other, and a token's log-probability is lowered by
    `diversity_penalty` for each time that running sentences of the context's earlier groups chose it at this
    position. Penalties add up over a sentence and decide what a group keeps, not the order of the result.
    Groups do not know of each other's sentences: without a penalty all find the same.

    Contexts are worked off so many at once that `rows_at_once` logits are held. Networks with dropout should be in
    eval mode. Raises `UserError` for numbers that make no sense.
    """
    _require(n >= 1, "n", n, "at least 1")
    _require(num_beams >= 1, "num_beams", num_beams, "at least 1")
    _require(num_beam_groups >= 1, "num_beam_groups", num_beam_groups, "at least 1")
    multiple = f"a multiple of num_beam_groups (={num_beam_groups})"
    _require(num_beams % num_beam_groups == 0, "num_beams", num_beams, multiple)
    returned = f"from 1 to num_beams (={num_beams})"
    _require(1 <= num_return_sequences <= num_beams, "num_return_sequences", num_return_sequences, returned)
    _require(0 <= diversity_penalty < math.inf, "diversity_penalty", diversity_penalty, "at least 0 and finite")
    _require(math.isfinite(length_penalty), "length_penalty", length_penalty, "finite")

    state = policy.start(n)
    at_once = max(1, rows_at_once(spec.vocab_size, tree_leaves(state)[0].device) // num_beams)
    search = _Search(policy, spec, num_beams // num_beam_groups, diversity_penalty, length_penalty)
    parts = [take(state, slice(first, first + at_once)) for first in range(0, n, at_once)]
    found = [search.run(part, num_beam_groups, num_return_sequences) for part in parts]
    return Hypotheses(*(torch.cat(tensors) for tensors in zip(*found, strict=True)))


class _Beams(NamedTuple):
    """Sentences, `width` a context."""

    tokens: Tensor  # (contexts, width, T), padded
    log_probs: Tensor  # (contexts, width); -inf: no sentence
    penalties: Tensor  # (contexts, width), for having been like those of earlier groups

    def pick(self, places: Tensor) -> _Beams:
        """Of each context the sentences at `places`, (contexts, picked)."""
        tokens = self.tokens.gather(1, places[..., None].expand(-1, -1, self.tokens.shape[-1]))
        return _Beams(tokens, self.log_probs.gather(1, places), self.penalties.gather(1, places))


class _Group(NamedTuple):
    """A beam of each context. Every tensor's first dimension is contexts, or contexts * width in the state."""

    state: State
    running: _Beams
    finished: _Beams


@dataclass(frozen=True)
class _Search:
    policy: Policy
    spec: TextSpec
    width: int  # sentences of a group
    diversity_penalty: float
    length_penalty: float

    def run(self, state: State, groups: int, returned: int) -> Hypotheses:
        """Searches for all contexts, a row of the state each, together. Those that are done leave."""
        leaf = tree_leaves(state)[0]
        rows = torch.arange(len(leaf), device=leaf.device)
        every = [self._begin(state, rows)] * groups
        tokens = torch.full((len(rows), returned, self.spec.length), self.spec.pad, device=rows.device)
        result = Hypotheses(tokens, torch.full(tokens.shape[:2], -torch.inf, device=rows.device))
        for position in range(self.spec.length):
            penalty = torch.zeros(len(rows), self.spec.vocab_size, device=rows.device)
            for number, group in enumerate(every):
                every[number] = group = self._step(group, position, penalty)
                chosen, alive = group.running.tokens[:, :, position], group.running.log_probs > -torch.inf
                penalty.scatter_add_(1, chosen, self.diversity_penalty * alive)
            done = torch.stack([self._done(group, position, groups) for group in every]).all(0)
            if done.any():
                self._write(result, rows[done], [take(group.finished, done) for group in every])
                every = [self._keep(group, ~done) for group in every]
                rows = rows[~done]
            if not len(rows):
                break
        return result

    def _begin(self, state: State, contexts: Tensor) -> _Group:
        """One empty sentence a context."""
        empty = torch.full((len(contexts), self.width, self.spec.length), self.spec.pad, device=contexts.device)
        none = torch.full(empty.shape[:2], -torch.inf, device=contexts.device)
        one, free = none.clone(), torch.zeros_like(none)
        one[:, 0] = 0
        state = take(state, contexts.repeat_interleave(self.width))
        return _Group(state, _Beams(empty, one, free), _Beams(empty, none, free))

    def _step(self, group: _Group, position: int, penalty: Tensor) -> _Group:
        """Every running sentence extended by one token."""
        running, vocab = group.running, self.spec.vocab_size
        log_p = self.policy.logits(group.state).float().log_softmax(-1)
        log_p = log_p.view(-1, self.width, vocab) + running.log_probs[..., None]
        scores = log_p - running.penalties[..., None] - penalty[:, None]
        # A sentence ends in one way, so at least half of these do not end.
        best = scores.flatten(1).topk(2 * self.width).indices
        parents, token = best // vocab, best % vocab
        extended = running.pick(parents)
        extended.tokens[:, :, position] = token
        extended = extended._replace(
            log_probs=log_p.flatten(1).gather(1, best), penalties=extended.penalties + penalty.gather(1, token)
        )

        ended = token == self.spec.eos
        over = ended | (position + 1 == self.spec.length)
        over[:, self.width :] = False
        finished = self._best(_both(group.finished, _only_where(over, extended)))
        # By rank, that the order of equal ones does not depend on how many contexts there are.
        going = ended.long().argsort(dim=-1, stable=True)[:, : self.width]
        running = _only_where(~ended, extended).pick(going)
        state = group.state
        if position + 1 < self.spec.length:
            first = torch.arange(len(going), device=going.device)[:, None] * self.width
            state = take(state, (first + parents.gather(1, going)).flatten())
            state = self.policy.advance(running.tokens[:, :, position].flatten(), state)
        return _Group(state, running, finished)

    def _best(self, beams: _Beams) -> _Beams:
        """A group's best sentences of each context, in order."""
        scores = self._normalised(beams.tokens, beams.log_probs - beams.penalties)
        return beams.pick(scores.topk(self.width).indices)

    def _normalised(self, tokens: Tensor, scores: Tensor) -> Tensor:
        return scores / (tokens != self.spec.pad).sum(-1).clamp(min=1) ** self.length_penalty

    def _done(self, group: _Group, position: int, groups: int) -> Tensor:
        """Of which contexts nothing more can be found: (contexts,)."""
        finished, running = group.finished, group.running
        worst = self._normalised(finished.tokens, finished.log_probs - finished.penalties)[:, -1]
        if position + 1 == self.spec.length:
            return torch.ones_like(worst, dtype=torch.bool)
        # Scores are negative: a long sentence divides by more, or by less if the exponent is negative.
        length = self.spec.length if self.length_penalty > 0 else position + 2
        reachable = (running.log_probs - running.penalties).amax(1) / length**self.length_penalty
        return (worst >= reachable) | (worst > -torch.inf if self.width * groups == 1 else False)

    def _write(self, result: Hypotheses, contexts: Tensor, groups: list[_Beams]) -> None:
        """The best sentences of all groups into the result's rows `contexts`."""
        tokens = torch.cat([beams.tokens for beams in groups], 1)
        log_probs = torch.cat([beams.log_probs for beams in groups], 1)
        best = self._normalised(tokens, log_probs).topk(result.log_probs.shape[1]).indices
        found = log_probs.gather(1, best)
        tokens = tokens.gather(1, best[..., None].expand(-1, -1, tokens.shape[-1]))
        result.tokens[contexts] = tokens.masked_fill(found[..., None] == -torch.inf, self.spec.pad)
        result.log_probs[contexts] = found

    def _keep(self, group: _Group, contexts: Tensor) -> _Group:
        state = take(group.state, contexts.repeat_interleave(self.width))
        return _Group(state, take(group.running, contexts), take(group.finished, contexts))


def _only_where(holds: Tensor, beams: _Beams) -> _Beams:
    return beams._replace(log_probs=beams.log_probs.masked_fill(~holds, -torch.inf))


def _both(first: _Beams, second: _Beams) -> _Beams:
    return _Beams(*(torch.cat(pair, 1) for pair in zip(first, second, strict=True)))


def _require(holds: bool, name: str, value: float | int, accepted: str) -> None:
    if not holds:
        raise UserError(f"{name} (={value}) must be {accepted}")


@dataclass(frozen=True)
class Presentable:
    """A policy to draw from, not to learn: another one's sentences that are fit to be shown. Made by `presentable`."""

    policy: Policy
    spec: TextSpec

    def start(self, rows: int) -> State:
        """The policy's, and that nothing has been written."""
        state = self.policy.start(rows)
        return {"empty": torch.ones(rows, dtype=torch.bool, device=device_of(state)), "inner": state}

    def advance(self, tokens: Int[Tensor, " rows"], state: State) -> State:
        """The policy's."""
        return {"empty": torch.zeros_like(state["empty"]), "inner": self.policy.advance(tokens, state["inner"])}

    def logits(self, state: State) -> Float[Tensor, "rows vocab"]:
        """The policy's, -inf for the unknown word's mark and, at the beginning, for the end mark."""
        logits = self.policy.logits(state["inner"]).clone()
        if self.spec.unk != NONE:
            logits[:, self.spec.unk] = -torch.inf
        if self.spec.eos != NONE:
            logits[:, self.spec.eos] = logits[:, self.spec.eos].masked_fill(state["empty"], -torch.inf)
        return logits

    def log_probs(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length"]:
        """Raises TypeError: ask the policy itself."""
        raise TypeError("a presentable policy has no log_probs: ask the policy that it is made from")


def presentable(policy: Policy, spec: TextSpec) -> Policy:
    """The policy, but the mark of unknown words is never drawn and no sentence is empty."""
    return Presentable(policy, spec)
