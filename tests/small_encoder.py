"""A sentence encoder of a few hundred weights, in a folder as `transformers` keeps them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

MARKS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]


def save_tokenizer(folder: Path, words: list[str], marks: bool = True) -> None:
    """Words at white space; with `marks`, between [CLS] and [SEP]."""
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*MARKS, *words])}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if marks:
        inner.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]").save_pretrained(folder)


def save_encoder(folder: Path, words: list[str]) -> Path:
    """A BERT with random weights, which reads 12 tokens at most and gives 8 numbers."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(MARKS) + len(words), max_position_embeddings=12, **sizes)
    BertModel(config).save_pretrained(folder)
    save_tokenizer(folder, words)
    return folder
