"""Small models of `transformers` with weights and a tokenizer, and prompts with answers in their words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

WORDS = ["red", "green", "blue", "big", "small", "cat", "dog", "cow", "sits", "runs", "sleeps", "here", "there", "now"]
CHAT = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def model_folder(folder: Path, kind: str = "llama", **more: Any) -> Path:
    """A model of random weights over byte-level pieces, with a chat template."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        [f" {word}" for word in WORDS] * 9,
        trainers.BpeTrainer(
            vocab_size=330, special_tokens=["<|start|>", "<|end|>"], show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        ),
    )  # fmt: skip
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<|start|>", eos_token="<|end|>", chat_template=CHAT
    )
    tokenizer.save_pretrained(folder)
    sizes: dict[str, Any] = {
        "llama": {
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "tie_word_embeddings": True,
        },
        "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0},
    }[kind]  # fmt: skip
    config = transformers.AutoConfig.for_model(
        kind, **{**sizes, **more}, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, pad_token_id=1
    )
    torch.manual_seed(0)
    auto = transformers.AutoModelForSeq2SeqLM if kind == "t5" else transformers.AutoModelForCausalLM
    model = auto.from_config(config)
    with torch.no_grad():  # first weights are so small that all logits are nearly alike
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder


def prompts_file(path: Path, n: int = 160) -> Path:
    """Different prompts, of two lines, and answers of one or two."""
    lines = []
    for i in range(n):
        words = [WORDS[(i * 7 + i // 14) % 14], WORDS[(i // 14) % 14], WORDS[(i * 3) % 14]]
        answer = f"{words[0]} {words[2]}" if i % 9 else f"{words[0]}\n  {words[2]} here now"
        lines.append({"prompt": f"say {' '.join(words)} {i}\n  now", "answer": answer})
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def options(model: Path, prompts: Path, run: Path) -> list[str]:
    """Of a training run of seconds on both."""
    return [
        "--corpus", str(prompts), "--run", str(run), "--tiny", "--game.generator.kind", f"hf:{model}",
        "--data.tokenizer", f"hf:{model}", "--data.max-length", "8", "--data.max-prompt", "48",
        "--data.limit", "160", "--game.batch-size", "8", "--evaluation.samples", "8", "--evaluation.final-samples", "8",
        "--evaluation.temperatures", "1.0", "--trainer.device", "cpu",
    ]  # fmt: skip
