"""The synthetic oracle of SeqGAN: a fixed, random LSTM whose sentences are the data and whose density is known."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from textgan.data.cache import cached
from textgan.data.settings import DataConfig
from textgan.data.spec import NONE, TextSpec
from textgan.data.splits import sentence_hashes
from textgan.data.tokenizer import DecimalTokenizer, Tokenized
from textgan.errors import UserError
from textgan.networks.lstm import LSTMGenerator
from textgan.sampling import sample

SEEDED = "oracle"
DRAWN = "sentences.safetensors"
PARAMETERS = ("embedding.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0",
              "output.weight", "output.bias")  # fmt: skip


class Oracle(LSTMGenerator):
    """An LSTM generator that does not learn. Sentences have `length` words, no end mark and no padding."""

    def __init__(self, vocab_size: int, embedding: int, hidden: int, length: int) -> None:
        spec = TextSpec(vocab_size, length, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)
        super().__init__(spec, embedding, hidden)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def seeded(cls, seed: int, vocab_size: int = 5000, hidden: int = 32, length: int = 20) -> Oracle:
        """Every parameter drawn from N(0, 1), as in SeqGAN, whose gates have one bias: torch's second one is 0."""
        oracle = cls(vocab_size, hidden, hidden, length)
        generator = torch.Generator().manual_seed(seed)
        weights = oracle.state_dict()
        for name in PARAMETERS:
            weights[name].normal_(generator=generator)
        weights["lstm.bias_hh_l0"].zero_()
        return oracle

    @classmethod
    def load(cls, file: str | Path, length: int) -> Oracle:
        """The oracle whose parameters are in a safetensors file, under the names of `LSTMGenerator`.

        Raises `UserError` if there is no such file, or if it is not of this form.
        """
        path = Path(file)
        if not path.is_file():
            raise UserError(f"oracle file {path} does not exist: give a safetensors file")
        try:
            weights = load_file(path)
        except SafetensorError as error:
            raise UserError(f"oracle file {path} is not in safetensors format: {error}") from error
        for name in PARAMETERS:
            if name not in weights:
                raise UserError(f"oracle file {path} lacks {name!r}: it must hold {', '.join(PARAMETERS)}")
        for name in weights:
            if name not in PARAMETERS:
                raise UserError(f"oracle file {path} holds {name!r}: it must hold {', '.join(PARAMETERS)}")
        for name in ("embedding.weight", "output.weight"):
            if weights[name].ndim != 2:
                raise UserError(f"oracle file {path}: {name!r} has shape {list(weights[name].shape)}, must have 2 axes")
        vocab_size, embedding = weights["embedding.weight"].shape
        oracle = cls(vocab_size, embedding, weights["output.weight"].shape[1], length)
        for name, expected in oracle.state_dict().items():
            if weights[name].shape != expected.shape:
                raise UserError(
                    f"oracle file {path}: {name!r} has shape {list(weights[name].shape)},"
                    f" must be {list(expected.shape)}"
                )
        oracle.load_state_dict(weights)
        return oracle

    def sample(self, n: int, seed: int) -> Int[Tensor, "n length"]:
        """`n` sentences that depend on `seed` only, not on torch's global generator."""
        numbers = torch.rand(n, self.spec.length, generator=torch.Generator().manual_seed(seed))
        return sample(self, self.spec, n, uniforms=numbers.to(self.never.device))

    @torch.no_grad()
    def log_prob(self, tokens: Int[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """Exact log-probability of each sentence in nats."""
        return torch.cat([self.log_probs(some).sum(1) for some in tokens.split(4096)])

    def nll(self, tokens: Int[Tensor, "batch length"]) -> float:
        """Mean negative log-probability in nats per token: NLL_oracle of the literature."""
        return -(self.log_prob(tokens).double().sum() / tokens.numel()).item()


class OracleSplit:
    """Sentences drawn from the oracle."""

    def __init__(self, rows: Int[Tensor, "n length"]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, indices: Int[Tensor, " n"]) -> Int[Tensor, "n length"]:
        """The sentences at these places."""
        return self._rows[indices]

    def tokens(self, limit: int | None = None) -> Int[Tensor, "n length"]:
        """The first `limit` sentences."""
        return self._rows[:limit]

    def sentences(self, limit: int | None = None) -> list[list[str]]:
        """The first `limit` sentences; a word is a token id in decimal digits."""
        return [[str(token) for token in row] for row in self.tokens(limit).tolist()]

    def hashes(self) -> Int64[np.ndarray, " distinct"]:
        """The hashes (see `sentence_hashes`) of the distinct sentences, sorted."""
        return np.unique(sentence_hashes(self._rows, NONE))


@dataclass(frozen=True)
class OracleReport:
    """What the corpus is."""

    parameters: str
    vocab_size: int
    length: int
    train: int
    valid: int
    test: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        return [
            f"oracle {self.parameters}: {self.vocab_size} words, sentences of {self.length}",
            f"sentences drawn: {self.train} train, {self.valid} valid, {self.test} test",
        ]


class OracleCorpus(Tokenized):
    """A corpus drawn from an oracle, with the face of `textgan.data.corpus.TextCorpus` and the oracle itself.

    A split is drawn, with a seed of its own, when it is first asked for, and kept in the cache of prepared data.
    """

    def __init__(self, oracle: Oracle, parameters: str, train_size: int, held_out: int, seed: int) -> None:
        spec = oracle.spec
        self.name = SEEDED
        self.oracle = oracle
        self.spec = TextSpec(spec.vocab_size, spec.length, train_size, spec.bos, spec.eos, spec.pad, spec.unk)
        self.config = DataConfig(max_length=spec.length, limit=train_size)
        self.tokenizer = DecimalTokenizer(spec.vocab_size)
        self.report = OracleReport(parameters, spec.vocab_size, spec.length, train_size, held_out, held_out)
        self._seed = seed

    @cached_property
    def train(self) -> OracleSplit:
        """The sentences to learn from."""
        return self._drawn(self.report.train, 3 * self._seed)

    @cached_property
    def valid(self) -> OracleSplit:
        """The sentences to choose by."""
        return self._drawn(self.report.valid, 3 * self._seed + 1)

    @cached_property
    def test(self) -> OracleSplit:
        """The sentences to report on."""
        return self._drawn(self.report.test, 3 * self._seed + 2)

    def _drawn(self, n: int, seed: int) -> OracleSplit:
        """`n` sentences, drawn once for these parameters and this version of torch, whose generator it is."""
        identity = {
            "oracle": hashlib.sha256(save(self.oracle.state_dict())).hexdigest(),
            "sentences": [n, self.spec.length, seed],
            "torch": torch.__version__,
        }
        folder = cached(identity, lambda made: save_file({"rows": self.oracle.sample(n, seed)}, made / DRAWN))
        return OracleSplit(load_file(folder / DRAWN)["rows"])


def open_oracle(
    spec: str, length: int = 20, train_size: int = 10_000, held_out: int = 10_000, seed: int = 0
) -> OracleCorpus:
    """The corpus called ``"oracle"`` (parameters drawn with seed 0) or ``"oracle:FILE"`` (parameters from a file).

    `seed` is the sentences'; train, valid and test, the last two of `held_out` sentences each, are drawn apart.
    Raises `UserError` for another `spec`, an unusable file, or a number that is not positive.
    """
    for name, value in {"length": length, "train_size": train_size, "held_out": held_out}.items():
        if value < 1:
            raise UserError(f"{name} (={value}) must be at least 1")
    kind, _, file = spec.partition(":")
    if kind != SEEDED or spec == f"{SEEDED}:":
        raise UserError(f"corpus {spec!r} is no oracle: accepted are 'oracle' and 'oracle:FILE'")
    oracle = Oracle.load(file, length) if file else Oracle.seeded(0, length=length)
    return OracleCorpus(oracle, file or "seeded with 0", train_size, held_out, seed)
