"""Data of games: text corpora, tokenizers and the batches drawn from them."""

from textgan.data.batches import Batches
from textgan.data.corpus import TextCorpus, open_corpus
from textgan.data.labelled import LabelledBatch, LabelledCorpus, open_labelled
from textgan.data.report import CorpusReport
from textgan.data.settings import DataConfig, Settings, resolve
from textgan.data.spec import NONE, LabelledSpec, TextSpec
from textgan.data.splits import Split, sentence_hashes
from textgan.data.tokenizer import DecimalTokenizer, Tokenizer, load_tokenizer

__all__ = [
    "NONE",
    "Batches",
    "CorpusReport",
    "DataConfig",
    "DecimalTokenizer",
    "LabelledBatch",
    "LabelledCorpus",
    "LabelledSpec",
    "Settings",
    "Split",
    "TextCorpus",
    "TextSpec",
    "Tokenizer",
    "load_tokenizer",
    "open_corpus",
    "open_labelled",
    "resolve",
    "sentence_hashes",
]
