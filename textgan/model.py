"""A trained run, opened to be used: ``textgan.load("runs/seqgan-bbe-1").sample(8)``."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from textgan import registry
from textgan.checkpoint import CheckpointStore
from textgan.config import Settings, from_mapping
from textgan.data.spec import LabelledSpec
from textgan.data.tokenizer import load_tokenizer
from textgan.domains import DOMAINS
from textgan.errors import UserError
from textgan.evaluation.text import ROWS as LIKELIHOOD_ROWS
from textgan.evaluation.text import HasLikelihood
from textgan.game import Game
from textgan.reproducibility import forked_rng
from textgan.run import Run
from textgan.trainer import choose_device

ROWS = 1000
"""Sentences drawn at once: bounds memory."""


class Opened(NamedTuple):
    """The networks of a run, on their device and in eval mode, and what they were made from."""

    name: str
    settings: Settings
    spec: Any
    game: Game


def open_game(run: Run, device: str = "auto") -> Opened:
    """The networks in ``model.safetensors`` or, of a run that has not ended, in its newest whole checkpoint.

    Raises:
        UserError: naming the file that is missing, cannot be read or does not fit the others.
    """
    config = run.config()
    entry = registry.find(config["name"])
    if run.networks_folder.is_dir():
        config["game"] = _with_networks(config["game"], run.networks_folder)
    settings = from_mapping(entry, run.config_file, config)
    spec = _spec(run.data_file, DOMAINS[entry.game.data].spec)
    game = entry.game(settings.game, spec)
    try:
        game.load_state_dict(_weights(run))
    except RuntimeError as error:
        raise UserError(f"the weights in {run.folder} do not fit its config.yaml and data.json") from error
    return Opened(entry.name, settings, spec, game.to(choose_device(device)).eval())


class Model:
    """The networks of a run of a game of sentences, with its tokenizer."""

    def __init__(self, run: Run, device: str = "auto") -> None:
        self.run = run
        opened = open_game(run, device)
        if opened.game.data not in ("text", "labelled"):
            raise UserError(
                f"{run.folder} is a run of {opened.name}, which is played on {opened.game.data}; "
                f"open it with python -m textgan.{opened.game.data}, or from Python with textgan.{opened.game.data}"
            )
        self.name, self.settings, self.spec, self.game = opened
        self.tokenizer = load_tokenizer(run.tokenizer_file)

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categories that sentences are generated for; none where the game knows none."""
        return self.spec.categories if isinstance(self.spec, LabelledSpec) else ()

    @property
    def has_density(self) -> bool:
        """Whether `log_prob` can be asked for."""
        return isinstance(self.game, HasLikelihood)

    def sample(
        self,
        n: int,
        temperature: float = 1.0,
        seed: int | None = None,
        detokenize: bool = False,
        category: str | None = None,
    ) -> list[str]:
        """`n` generated sentences.

        Args:
            temperature: above 0; below 1 the generator keeps to what it is sure of.
            seed: the same seed gives the same sentences. None: other ones every time.
            detokenize: as people write ("the end.") in place of tokens between spaces ("the end .").
            category: one of `categories`. None: each in turn, the i-th sentence of category i modulo K.

        Raises:
            UserError: `n`, the temperature or the seed is out of range, or there is no such category.
        """
        return self.write(self.sample_tokens(n, temperature, seed, category), detokenize)

    def write(self, tokens: Tensor, detokenize: bool = False) -> list[str]:
        """Token ids ``(n, T)`` as sentences."""
        write = self.tokenizer.detokenize if detokenize else self.tokenizer.decode
        return [write(ids) for ids in tokens.tolist()]

    def sample_tokens(
        self, n: int, temperature: float = 1.0, seed: int | None = None, category: str | None = None
    ) -> Tensor:
        """`n` generated sentences as token ids ``(n, T)``."""
        check_sampling(n, temperature, seed)
        options = {} if category is None else {"category": self._place(category)}
        rows = ROWS - ROWS % max(len(self.categories), 1)  # so that categories in turn go on from draw to draw
        with forked_rng(secrets.randbits(63) if seed is None else seed), torch.no_grad():
            sizes = [min(rows, n - start) for start in range(0, n, rows)]
            return torch.cat([self.game.sample(size, temperature=temperature, **options).cpu() for size in sizes])

    def categories_of(self, n: int, category: str | None = None) -> list[str]:
        """The categories of `n` sentences that `sample` gives; an empty list where the game knows none."""
        return [category] * n if category else list(islice(cycle(self.categories), n))

    def _place(self, category: str) -> int:
        if not self.categories:
            raise UserError(f"category is {category!r}, but {self.name} is played on sentences without categories")
        if category not in self.categories:
            raise UserError(f"category is {category!r}; it must be one of: {', '.join(self.categories)}")
        return self.categories.index(category)

    def log_prob(self, sentences: list[str]) -> list[float]:
        """Log-probability of each sentence in nats, its end mark included.

        Raises:
            UserError: the game has no density, or a sentence is empty or longer than the model's.
        """
        return self.token_log_prob(torch.stack([self._row(sentence) for sentence in sentences])) if sentences else []

    def token_log_prob(self, tokens: Tensor) -> list[float]:
        """Log-probability in nats of each sentence, given as token ids ``(n, T)``."""
        if not isinstance(self.game, HasLikelihood):
            raise UserError(f"{self.name} gives no probabilities to sentences")
        device = next(self.game.parameters()).device
        with torch.no_grad():
            parts = [self.game.log_probs(part.to(device)).sum(1) for part in tokens.split(LIKELIHOOD_ROWS)]
        return torch.cat(parts).tolist()

    def _row(self, sentence: str) -> Tensor:
        (ids,) = self.tokenizer.encode_batch([sentence])
        if self.spec.eos < 0:  # all sentences have one length
            least, most, ends = self.spec.length, self.spec.length, []
        else:
            least, most, ends = 1, self.spec.length - 1, [self.spec.eos]
        if not least <= len(ids) <= most:
            raise UserError(f"the sentence {sentence!r} has {len(ids)} tokens; it must have {least} to {most}")
        return torch.tensor([*ids, *ends, *[self.spec.pad] * (most - len(ids))])


def _with_networks(game: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A game's options with models out of the run's own folder: what they were made from may be gone.

    The generator's kind is an option of the game, or one of the generator's; other networks have folders of their name.
    """
    changed = dict(game)
    for name, place in {**{other: folder / other for other in game}, "generator": folder}.items():
        if (place / "config.json").is_file():
            kind, options = f"hf:{place}", game[name]
            changed[name] = {**options, "kind": kind} if isinstance(options, Mapping) else kind
    return changed


def check_sampling(n: int, temperature: float, seed: int | None) -> None:
    """Raises UserError for numbers that nothing can be drawn with."""
    if n < 1:
        raise UserError(f"the number of sentences is {n}; it must be at least 1")
    if not 0 < temperature < math.inf:
        raise UserError(f"the temperature is {temperature}; it must be above 0, and finite")
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"the seed is {seed}; it must be in [0, 2**63)")


def load(folder: str | Path, device: str = "auto") -> Model:
    """The model of the run in `folder`.

    Raises:
        UserError: it is not a run folder, or there are no whole weights in it.
    """
    return Model(Run.open(Path(folder)), device)


def _weights(run: Run) -> dict[str, Tensor]:
    if run.model_file.exists():
        try:
            return load_file(run.model_file)
        except Exception as error:  # safetensors raises its own error, which has no public base class
            raise UserError(f"{run.model_file} cannot be read: {error}") from error
    newest = CheckpointStore(run.checkpoints_folder).load()
    if newest is None:
        raise UserError(f"{run.folder} has neither model.safetensors nor a checkpoint yet")
    return newest[1]["game"]


def _spec(file: Path, kind: type[Any]) -> Any:
    try:
        spec: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["spec"]
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in spec.items()}
        return kind(**fields)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not the description of a run's data: {error}") from error
