"""A trained run, opened to be used: ``textgan.load("runs/seqgan-bbe-1").sample(8)``."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from textgan import registry
from textgan.checkpoint import CheckpointStore
from textgan.config import from_mapping
from textgan.data.spec import TextSpec
from textgan.data.tokenizer import load_tokenizer
from textgan.errors import UserError
from textgan.evaluation import HasLikelihood
from textgan.reproducibility import forked_rng
from textgan.run import Run
from textgan.trainer import choose_device

ROWS = 1000
"""Sentences drawn at once: bounds memory."""


class Model:
    """The networks of a run with its tokenizer.

    Uses ``model.safetensors``; of a run that has not ended, its newest whole checkpoint.
    """

    def __init__(self, run: Run, device: str = "auto") -> None:
        self.run = run
        config = run.config()
        entry = registry.find(config["name"])
        self.name = entry.name
        self.settings = from_mapping(entry, config)
        self.spec = TextSpec(**_read_json(run.data_file)["spec"])
        self.tokenizer = load_tokenizer(run.tokenizer_file)
        self.game = entry.game(self.settings.game, self.spec)
        self.game.load_state_dict(_weights(run))
        self.game.to(choose_device(device)).eval()

    def sample(
        self, n: int, temperature: float = 1.0, seed: int | None = None, detokenize: bool = False
    ) -> list[str]:
        """`n` generated sentences.

        Args:
            temperature: above 0; below 1 the generator keeps to what it is sure of.
            seed: the same seed gives the same sentences. None: other ones every time.
            detokenize: as people write ("the end.") in place of tokens between spaces ("the end .").

        Raises:
            UserError: `n` or the temperature is not above 0.
        """
        return self.write(self.sample_tokens(n, temperature, seed), detokenize)

    def write(self, tokens: Tensor, detokenize: bool = False) -> list[str]:
        """Token ids ``(n, T)`` as sentences."""
        write = self.tokenizer.detokenize if detokenize else self.tokenizer.decode
        return [write(ids) for ids in tokens.tolist()]

    def sample_tokens(self, n: int, temperature: float = 1.0, seed: int | None = None) -> Tensor:
        """`n` generated sentences as token ids ``(n, T)``."""
        if n < 1:
            raise UserError(f"n is {n}; it must be at least 1")
        if not temperature > 0:
            raise UserError(f"temperature is {temperature}; it must be above 0")
        with forked_rng(secrets.randbits(63) if seed is None else seed), torch.no_grad():
            sizes = [min(ROWS, n - start) for start in range(0, n, ROWS)]
            return torch.cat([self.game.sample(size, temperature=temperature).cpu() for size in sizes])

    def log_prob(self, sentences: list[str]) -> list[float]:
        """Log-probability of each sentence in nats, its end mark included.

        Raises:
            UserError: the game has no density, or a sentence is empty or longer than the model's.
        """
        return self.token_log_prob(torch.stack([self._row(sentence) for sentence in sentences]))

    def token_log_prob(self, tokens: Tensor) -> list[float]:
        """Log-probability in nats of each sentence, given as token ids ``(n, T)``."""
        if not isinstance(self.game, HasLikelihood):
            raise UserError(f"{self.name} gives no probabilities to sentences")
        device = next(self.game.parameters()).device
        with torch.no_grad():
            return self.game.log_probs(tokens.to(device)).sum(1).tolist()

    def _row(self, sentence: str) -> Tensor:
        (ids,) = self.tokenizer.encode_batch([sentence])
        ends = [] if self.spec.eos < 0 else [self.spec.eos]
        if not ids or len(ids) + len(ends) > self.spec.length:
            most = self.spec.length - len(ends)
            raise UserError(f"the sentence {sentence!r} has {len(ids)} tokens; it must have 1 to {most}")
        return torch.tensor([*ids, *ends, *[self.spec.pad] * (self.spec.length - len(ids) - len(ends))])


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


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
