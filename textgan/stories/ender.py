"""`StoryEnder`: a trained writer of story endings, opened to be used."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from textgan import api
from textgan.categorical import draw
from textgan.checkpoint import folder_written_whole
from textgan.data.spec import StorySpec
from textgan.data.stories import encode_contexts, encode_endings
from textgan.data.tokenizer import Tokenizer, load_tokenizer
from textgan.decoding import beam_search, filtered, presentable
from textgan.errors import UserError
from textgan.networks.endings import EndingPolicy
from textgan.networks.modes import evaluating
from textgan.networks.seq2seq import Seq2Seq
from textgan.opened import open_game
from textgan.reproducibility import forked_rng
from textgan.run import Run
from textgan.sampling import sample
from textgan.stories.casing import cased
from textgan.stories.contexts import Context, as_contexts, as_text
from textgan.stories.results import Choice, Credit, Ending, Explanation

By = Literal["discriminator", "likelihood"]

LEAST_LIMIT = 64
"""A recurrent model reads sentences of as many tokens, even if those that it learned from were shorter."""

DRAWS = 10
"""How often endings are drawn again where they must differ and do not."""

RERANKED = 8
"""Candidates that re-ranking chooses from, at least, where their number is not given."""


class StoryEnder:
    """Writes, scores and explains endings of four-sentence stories, and answers to prompts.

    A context is a text of four sentences, or a tuple of them; that of a model which learned from prompts with answers
    is a prompt: any text. Wherever a context is taken a list of contexts is, too, and is answered by a list.

    >>> ender = StoryEnder.train()
    >>> print(ender("Tom wanted a kite. He had no money. He washed cars all week. He went to the shop."))
    """

    def __init__(self, run: Run, device: str = "auto") -> None:
        self.run = run
        self.name, self.settings, spec, game = open_game(run, device)
        self.tokenizer = load_tokenizer(run.tokenizer_file)
        if not isinstance(spec, StorySpec):
            raise UserError(f"{run.folder} is a run of {self.name}, which does not write story endings")
        self.spec = spec
        self.game: Any = game
        self.device = next(game.parameters()).device

    @classmethod
    def from_pretrained(cls, path: str | Path, device: str = "auto") -> StoryEnder:
        """Opens what `save_pretrained` wrote, or the folder of a run.

        Raises:
            UserError: the folder holds neither.
        """
        return cls(Run.open(Path(path)), device)

    @classmethod
    def train(
        cls, corpus: str = "story_world", run: str | Path | None = None, name: str = "story_ending", **options: Any
    ) -> StoryEnder:
        """Trains a model, with a progress bar, and opens it.

        Args:
            corpus: ``story_world``, which comes with textgan; a file of stories; ``hf:NAME``.
            run: folder of the run. None: the next free one in ``runs/``.
            name: the game; ``mle_story`` is without a discriminator.
            options: those of ``python -m textgan.train story_ending``, nested ones as mappings:
                ``tiny=True, seed=1, game={"rounds": 50}, data={"lower": True}``.

        Raises:
            UserError: data or options that cannot be used.
        """
        chosen = {"corpus": corpus, **options} if run is None else {"corpus": corpus, "run": str(run), **options}
        return cls.from_pretrained(api.train(name, chosen))

    def save_pretrained(self, path: str | Path) -> Path:
        """Writes weights (safetensors), vocabulary and config to a new folder, whole or not at all.

        Raises:
            UserError: there is something in the folder already.
        """
        folder = Path(path)
        with folder_written_whole(folder) as draft:
            copy = Run(draft)
            for ours, theirs in ((self.run.config_file, copy.config_file), (self.run.data_file, copy.data_file)):
                shutil.copyfile(ours, theirs)
            if self.run.card_file.exists():
                shutil.copyfile(self.run.card_file, copy.card_file)
            self.tokenizer.save(copy.tokenizer_file)
            copy.write_model(self.game.state_dict())
            self.game.describe(copy.networks_folder)
        return folder

    @property
    def has_discriminator(self) -> bool:
        """Whether endings can be scored and explained by one."""
        return hasattr(self.game, "score")

    @property
    def scorers(self) -> tuple[By, ...]:
        """What endings can be scored by; the first is the default."""
        return ("discriminator", "likelihood") if self.has_discriminator else ("likelihood",)

    def __call__(self, contexts: Any, **options: Any) -> Any:
        """`generate`."""
        return self.generate(contexts, **options)

    def generate(
        self,
        contexts: Any,
        num_return_sequences: int = 1,
        num_beams: int = 1,
        do_sample: bool | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        num_beam_groups: int = 1,
        diversity_penalty: float = 0.0,
        length_penalty: float = 1.0,
        rerank: str | None = None,
        candidates: int | None = None,
        distinct: bool = False,
        seed: int | None = None,
        batch_size: int = 32,
        progress: bool | None = None,
    ) -> Any:
        """One `Ending` a context or, where `num_return_sequences` is above 1, a list of so many.

        The arguments are named as in ``transformers``. No ending is empty or has the mark of unknown words.

        Args:
            num_beams: above 1, beam search (Graves 2012); with `num_beam_groups` above 1 and a `diversity_penalty`
                diverse beam search (Vijayakumar et al. 2018). Scores are divided by ``length ** length_penalty``.
            do_sample: draw endings. None: where `num_beams` is 1 and several candidates are wanted, or temperature,
                top_k or top_p says how. False, with one beam: the most probable token at every step.
            temperature, top_k, top_p: how they are drawn (top_k 0: from all tokens), in this order.
            rerank: "discriminator" orders the candidates by their score, the best first.
            candidates: endings written for each context, of which `num_return_sequences` are kept. None: no more than
                are kept; with `rerank` at least 8.
            distinct: no text twice for one context: drawn again (ten times at most; a generator that has no more
                endings gives fewer).
            seed: the same seed and batch size give the same endings. None: other ones every time.
            progress: a progress bar. None: if there is a terminal.

        Raises:
            UserError: naming the context or the argument, its value and what is accepted.
        """
        given, single = self._contexts(contexts)
        count = max(num_return_sequences, RERANKED if rerank else 0) if candidates is None else candidates
        hints = temperature != 1 or top_k != 0 or top_p != 1
        sampling = num_beams == 1 and (count > 1 or hints) if do_sample is None else do_sample
        _require(num_return_sequences >= 1, "num_return_sequences", num_return_sequences, "at least 1")
        _require(count >= num_return_sequences, "candidates", count, f"at least {num_return_sequences}, those returned")
        _require(batch_size >= 1, "batch_size", batch_size, "at least 1")
        _require(rerank in (None, "discriminator"), "rerank", rerank, "None or 'discriminator'")
        if rerank and not self.has_discriminator:
            raise UserError(f"rerank is 'discriminator', which a model of {self.name} has not")
        if sampling and num_beams > 1:
            raise UserError(f"do_sample is True and num_beams is {num_beams}; drawing takes num_beams 1")
        if not sampling and num_beams < count:
            raise UserError(
                f"num_beams is {num_beams}; for {count} endings a context it must be at least {count}; or draw them"
            )

        def write(policy: EndingPolicy, n: int) -> Tensor:
            known = presentable(policy, self.spec)
            if sampling:
                drawn = sample(filtered(known, temperature, top_k, top_p), self.spec, n * count)
                return drawn.view(n, count, -1)
            found = beam_search(
                known, self.spec, n, num_beams, count, num_beam_groups, diversity_penalty, length_penalty
            )
            return found.tokens

        found: list[list[Ending]] = []
        bar = tqdm(total=len(given), unit="context", disable=None if progress is None else not progress)
        with bar, _random_numbers(seed), torch.no_grad():
            for first in range(0, len(given), batch_size):
                batch = given[first : first + batch_size]
                written = self._written(batch, write, count if distinct else 0, sampling)
                found += [self._kept(endings, num_return_sequences, rerank) for endings in written]
                bar.update(len(batch))
        answers = found if num_return_sequences > 1 else [endings[0] for endings in found]
        return answers[0] if single else answers

    def stream(
        self, context: Any, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int | None = None
    ) -> Iterator[str]:
        """The pieces of one ending as they are drawn; joined they are its text.

        Raises:
            UserError: as `generate`; a list of contexts.
        """
        given, single = self._contexts(context)
        if not single:
            raise UserError(f"stream takes one context; it was given a list of {len(given)}")
        with _random_numbers(seed):
            uniforms = torch.rand(self.spec.length, device=self.device)
        return self._pieces(given[0], uniforms, temperature, top_k, top_p)

    def score(self, context: Any, ending: Any, by: By | None = None) -> Any:
        """How good an ending is; the larger, the better. Lists of contexts and of endings, as long, give a list.

        Args:
            by: "discriminator": its probability that a person wrote it, in (0, 1). "likelihood": the generator's mean
                log-probability of a token, in nats. None: the discriminator's, where the model has one.

        Raises:
            UserError: a context or an ending that cannot be used.
        """
        given, single = self._contexts(context)
        endings = [ending] if single else ending
        if not isinstance(endings, list) or len(endings) != len(given):
            raise UserError(f"score takes as many endings as contexts, {len(given)}, in a list")
        scores = self._scores(given, [[text] for text in endings], by)
        return scores[0][0] if single else [row[0] for row in scores]

    def rank(
        self, context: Any, endings: Sequence[str], top_k: int | None = None, by: By | None = None
    ) -> list[Ending]:
        """The endings of one context, the best first (see `score`); only the first `top_k`, if given."""
        (given,), offered = self._one(context, "rank"), _texts(endings)
        _require(top_k is None or top_k >= 1, "top_k", top_k, "at least 1")
        scores = self._scores([given], [offered], by)[0]
        with torch.no_grad():
            described = self._described(self._rows([given]), self._endings(offered)[None], [offered])[0]
        order = sorted(range(len(offered)), key=lambda i: -scores[i])
        return [described[i] for i in order[:top_k]]

    def choose(self, context: Any, endings: Any, by: By = "likelihood") -> Any:
        """The best of several endings: the story cloze test. Lists of contexts and of lists of endings give a list.

        The generator's likelihood chooses better than the discriminator, which learned to tell people's endings from
        its own, not right ones from wrong ones (``docs/benchmarks.md``).
        """
        given, single = self._contexts(context)
        offered = [endings] if single else endings
        if not isinstance(offered, list) or len(offered) != len(given):
            raise UserError(f"choose takes a list of endings for each of the {len(given)} contexts")
        answers = []
        for texts, scores in zip(offered, self._scores(given, [_texts(texts) for texts in offered], by), strict=True):
            best = max(range(len(scores)), key=scores.__getitem__)
            answers.append(Choice(best, texts[best], tuple(scores), by))
        return answers[0] if single else answers

    def explain(self, context: Any, ending: str, rollouts: int = 16, seed: int | None = 0) -> Explanation:
        """What each token of an ending is worth to the discriminator.

        With Q_t the mean score of `rollouts` completions of the first t tokens, Q_0 that of as many endings from
        nothing and Q_T the score of the ending itself, token t's reward is ``Q_t - Q_{t-1}``: the rewards sum to
        ``score - start = Q_T - Q_0``. Its occlusion is the score less that of the ending with the token unknown.

        Raises:
            UserError: there is no discriminator; a context or an ending that cannot be used.
        """
        if not self.has_discriminator:
            raise UserError(f"a model of {self.name} has no discriminator, so there are no rewards to explain")
        _require(rollouts >= 1, "rollouts", rollouts, "at least 1")
        given = self._one(context, "explain")
        tokens = self._endings([ending], self.spec.length + 1)[:, : self.spec.length]  # the longest have no end mark
        length = int((tokens != self.spec.pad).sum())
        story = self._rows(given)
        with _random_numbers(seed), torch.no_grad():
            start = self.game.score(story, self.game.sample(rollouts, story)).mean()  # the same for all endings
            q = self.game.rewards(story, tokens, rollouts)[0, :length]
            occluded = tokens.repeat(length, 1)
            occluded[torch.arange(length), torch.arange(length)] = self.spec.unk
            drops = q[-1] - self.game.score(story, occluded)
        rewards = torch.diff(q, prepend=start[None]).tolist()
        strings = [*self.tokenizer.strings(tokens[0].tolist()), "</s>"][:length]
        credits = tuple(map(Credit, strings, rewards, drops.tolist()))
        return Explanation(ending, q[-1].item(), start.item(), credits)

    @property
    def _recurrent(self) -> bool:
        return isinstance(self.game.generator, Seq2Seq)

    def _contexts(self, given: Any) -> tuple[list[Context], bool]:
        """The contexts, none longer than the model can read, and whether there was a single one."""
        contexts, single = as_contexts(given, self.spec.sentences)
        most = max(self.spec.sentence_length, LEAST_LIMIT * self._recurrent)
        lengths = iter(map(len, self._encoded(contexts)))
        for i, context in enumerate(contexts, start=1):
            for j, _ in enumerate(context, start=1):
                if (length := next(lengths)) > most:
                    name = "the context" if single else f"context {i}"
                    name += f", sentence {j}" * (len(context) > 1)
                    raise UserError(f"{name} has {length:,} tokens; at most {most} are accepted")
        return contexts, single

    def _one(self, given: Any, what: str) -> list[Context]:
        contexts, single = self._contexts(given)
        if not single:
            raise UserError(f"{what} takes one context; it was given a list of {len(contexts)}")
        return contexts

    def _rows(self, contexts: Sequence[Context]) -> Tensor:
        """Token ids ``(n, S, L)``, L that of the longest sentence, on the model's device."""
        spec = dataclasses.replace(self.spec, sentence_length=max(map(len, self._encoded(contexts))))
        return encode_contexts(self.tokenizer, spec, contexts).to(self.device)  # type: ignore[arg-type]

    def _encoded(self, contexts: Sequence[Context]) -> list[list[int]]:
        """Token ids of every sentence of the contexts, in order."""
        assert isinstance(self.tokenizer, Tokenizer)
        return self.tokenizer.encode_prompts([text for context in contexts for text in context])

    def _endings(self, texts: Sequence[str], most: int | None = None) -> Tensor:
        """Token ids ``(n, T)``, T that of the longest but no less than the spec's, on the model's device."""
        if most is None:
            most = max(self.spec.length, (LEAST_LIMIT + 1) * self._recurrent)
        for i, text in enumerate(texts, start=1):
            as_text(text, f"ending {i}")
        lengths = [len(ids) + 1 for ids in self.tokenizer.encode_batch(list(texts))]
        for i, length in enumerate(lengths, start=1):
            if length > most:
                raise UserError(f"ending {i} has {length - 1:,} tokens; at most {most - 1} are accepted")
        spec = dataclasses.replace(self.spec, length=max(self.spec.length, *lengths))
        return encode_endings(self.tokenizer, spec, texts).to(self.device)  # type: ignore[arg-type]

    def _scores(
        self, contexts: Sequence[Context], endings: Sequence[Sequence[str]], by: By | None
    ) -> list[list[float]]:
        """A score for each ending of each context."""
        by = by or self.scorers[0]
        _require(by in ("discriminator", "likelihood"), "by", by, "'discriminator' or 'likelihood'")
        if by == "discriminator" and not self.has_discriminator:
            raise UserError(f"by is 'discriminator', which a model of {self.name} has not; 'likelihood' is accepted")
        flat = [(context, text) for context, texts in zip(contexts, endings, strict=True) for text in texts]
        tokens = self._endings([text for _, text in flat])
        found: list[float] = []
        with torch.no_grad():
            for first in range(0, len(flat), 256):
                rows = self._rows([context for context, _ in flat[first : first + 256]])
                part = tokens[first : first + 256]
                if by == "discriminator":
                    found += self.game.score(rows, part).tolist()
                else:
                    with evaluating(self.game):
                        mean = self.game.log_probs(rows, part).sum(1) / (part != self.spec.pad).sum(1)
                    found += mean.tolist()
        scores = iter(found)
        return [[next(scores) for _ in texts] for texts in endings]

    def _written(
        self, contexts: Sequence[Context], write: Callable[[EndingPolicy, int], Tensor], distinct: int, again: bool
    ) -> list[list[Ending]]:
        """The endings of each context, in the order written; if `distinct` is not 0, so many of different texts."""
        found: list[dict[str, Ending]] = [{} for _ in contexts]
        waiting = list(range(len(contexts)))
        for _ in range(DRAWS if distinct and again else 1):
            here = [contexts[i] for i in waiting]
            rows = self._rows(here)
            with evaluating(self.game):
                tokens = write(self.game.policy(rows), len(here))
            texts = [
                [self._text(ids, context) for ids in group]
                for group, context in zip(tokens.tolist(), here, strict=True)
            ]
            described = self._described(rows, tokens, texts)
            if not distinct:
                return described
            for i, endings in zip(waiting, described, strict=True):
                for ending in endings:
                    found[i].setdefault(ending.text, ending)
            waiting = [i for i in waiting if len(found[i]) < distinct]
            if not waiting:
                break
        return [list(endings.values())[:distinct] for endings in found]

    def _described(self, rows: Tensor, tokens: Tensor, texts: Sequence[Sequence[str]]) -> list[list[Ending]]:
        """Endings ``(n, k, T)`` of contexts ``(n, S, L)`` with what generator and discriminator think of them."""
        flat = tokens.flatten(0, 1)
        with evaluating(self.game):
            log_probs = self.game.log_probs(rows, flat).sum(1).view(tokens.shape[:2]).tolist()
        scores: list[list[Any]] = [[None] * len(row) for row in log_probs]
        if self.has_discriminator:
            scores = self.game.score(rows, flat).view(tokens.shape[:2]).tolist()
        return [list(map(Ending, *row)) for row in zip(texts, log_probs, scores, strict=True)]

    @staticmethod
    def _kept(endings: list[Ending], n: int, rerank: str | None) -> list[Ending]:
        if rerank:
            endings = sorted(endings, key=lambda ending: -(ending.score or 0.0))
        return endings[:n]

    def _text(self, ids: Sequence[int], context: Context) -> str:
        text = self.tokenizer.detokenize(ids)
        return cased(text, context) if getattr(self.tokenizer, "lower", False) else text

    def _pieces(
        self, context: Context, uniforms: Tensor, temperature: float, top_k: int, top_p: float
    ) -> Iterator[str]:
        with evaluating(self.game), torch.no_grad():
            policy = filtered(
                presentable(self.game.policy(self._rows([context])), self.spec), temperature, top_k, top_p
            )
            state, ids, shown = policy.start(1), [], ""
            for uniform in uniforms:
                token = draw(policy.logits(state), uniforms=uniform[None])
                ids.append(int(token))
                text = self._text(ids, context)
                if text != shown and text.startswith(shown):
                    yield text[len(shown) :]
                    shown = text
                if ids[-1] == self.spec.eos:
                    return
                state = policy.advance(token, state)


def _texts(endings: Any) -> list[str]:
    if not isinstance(endings, list | tuple) or not endings:
        raise UserError(f"the endings are {endings!r}; a list of one text or more is accepted")
    return [as_text(text, f"ending {i}") for i, text in enumerate(endings, start=1)]


def _require(holds: bool, name: str, value: Any, accepted: str) -> None:
    if not holds:
        raise UserError(f"{name} is {value!r}; it must be {accepted}")


def _random_numbers(seed: int | None) -> Any:
    if seed is not None:
        _require(isinstance(seed, int) and 0 <= seed < 2**63, "seed", seed, "in [0, 2**63)")
    return forked_rng(secrets.randbits(63) if seed is None else seed)
