"""A `transformers` model out of a local folder, and how its token ids and ours stand for one another."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from textgan.data.spec import StorySpec
from textgan.data.tokenizer import MARKS, PRETRAINED, PretrainedTokenizer
from textgan.errors import UserError

IDS = "textgan"
"""The key of ``config.json`` under which `Ids` are kept."""


@dataclass(frozen=True)
class Ids:
    """The model's id m is our id m + `offset`; the marks are the model's ids."""

    begin: int | None
    """What a text begins with; None if that is not marked."""
    start: int | None
    """What a decoder that has an encoder reads first."""
    end: int
    unknown: int | None
    offset: int
    """Our ids below it are marks alone."""
    specials: tuple[int, ...]
    """Ids of the model's that are never written."""


def open_model(folder: Path, spec: StorySpec) -> tuple[Any, Ids]:
    """The model in the folder, in float32 and train mode, with its weights if they are there (safetensors only).

    Without weights, its size is that of our vocabulary, and our ids are its own, unless its config says otherwise.
    Raises UserError for a folder without such a model, and when its vocabulary or its reach is not that of the data.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"generator {PRETRAINED}{folder} has no config.json; the folder of a model is accepted")
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(str(folder), **local)
    except Exception as error:  # whatever the file makes it raise
        raise _unusable(folder, error) from error
    ids = _ids(folder, config, spec)
    if spec.vocab_size - ids.offset > config.vocab_size:
        raise UserError(
            f"generator {PRETRAINED}{folder} has {config.vocab_size} tokens, the data {spec.vocab_size - ids.offset} "
            "without marks: was it made for other data?"
        )
    _require_reach(folder, config, spec)
    kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    try:
        if not has_weights(folder):
            return kind.from_config(config, dtype=torch.float32, trust_remote_code=False), ids
        model, info = kind.from_pretrained(
            str(folder), config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **local
        )
    except Exception as error:
        raise _unusable(folder, error) from error
    if info["missing_keys"]:
        raise UserError(f"generator {PRETRAINED}{folder}: its weights lack {', '.join(sorted(info['missing_keys']))}")
    return model.train(), ids


TOKENIZER_FILES = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model", "*.tiktoken",
    "chat_template*", "generation_config.json",
)  # fmt: skip
"""What belongs to a model beside its weights and its config."""


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the files of a model's folder that say how it reads and writes, if there are any."""
    for file in {file for pattern in TOKENIZER_FILES for file in source.glob(pattern)}:
        if file.is_file():
            shutil.copyfile(file, target / file.name)


def forget_ids(config: Any) -> None:
    """Makes the config one that says nothing of us."""
    if hasattr(config, IDS):
        delattr(config, IDS)


def has_weights(folder: Path) -> bool:
    """Whether the folder has the weights of a model. Raises UserError if they are in files that may hold code."""
    if any((folder / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json")):
        return True
    for other in folder.glob("pytorch_model*.bin*"):
        raise UserError(f"{other}: weights in model.safetensors are accepted")
    return False


def _ids(folder: Path, config: Any, spec: StorySpec) -> Ids:
    """How ids stand for one another; `config` becomes such that it says so again."""
    kept = getattr(config, IDS, None)
    if kept is not None:
        return Ids(**{**kept, "specials": tuple(kept["specials"])})
    if not has_weights(folder):
        config.vocab_size = spec.vocab_size
        config.pad_token_id, config.bos_token_id, config.eos_token_id = spec.pad, spec.bos, spec.eos
        if config.is_encoder_decoder:
            config.decoder_start_token_id = spec.bos
        return Ids(begin=spec.bos, start=spec.bos, end=spec.eos, unknown=spec.unk, offset=0, specials=())
    tokenizer = PretrainedTokenizer.of_folder(folder)
    if tokenizer.size != spec.vocab_size:
        raise UserError(
            f"generator {PRETRAINED}{folder} has {tokenizer.size} tokens with our {len(MARKS)} marks, the data "
            f"{spec.vocab_size}: its own tokenizer is accepted, --data.tokenizer {PRETRAINED}{folder}"
        )
    end = getattr(config, "eos_token_id", None)
    end = tokenizer.names["end"] if end is None else end[0] if isinstance(end, list) else end
    if end is None:
        raise UserError(f"generator {PRETRAINED}{folder} has no end mark: config.json must have an eos_token_id")
    begin = getattr(config, "bos_token_id", None)
    start = getattr(config, "decoder_start_token_id", None)
    unknown = tokenizer.names["unknown"]
    specials = tuple(sorted(tokenizer.specials | {end}))
    ids = Ids(begin, start, end, unknown, offset=len(MARKS), specials=specials)
    setattr(config, IDS, asdict(ids))
    return ids


def _require_reach(folder: Path, config: Any, spec: StorySpec) -> None:
    places = getattr(config, "max_position_embeddings", None)
    context = spec.sentences * spec.sentence_length + 1  # with the begin mark
    needed = max(context + 1, spec.length) if config.is_encoder_decoder else context + spec.length - 1
    if places is not None and places < needed:
        raise UserError(
            f"generator {PRETRAINED}{folder} reads at most {places} tokens, where stories may need {needed}: choose a "
            "smaller --data.max-length"
        )


def _unusable(folder: Path, error: Exception) -> UserError:
    if isinstance(error, UserError):
        return error
    return UserError(f"generator {PRETRAINED}{folder} cannot be used: {' '.join(str(error).split())}")
