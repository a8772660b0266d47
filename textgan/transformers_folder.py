"""A run's generator as a model of `transformers`: a folder that is used without textgan."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from textgan import __version__
from textgan.checkpoint import folder_written_whole
from textgan.data.spec import StorySpec
from textgan.data.tokenizer import DecimalTokenizer, PretrainedTokenizer, Tokenizer, load_tokenizer
from textgan.errors import UserError
from textgan.networks.pretrained import PretrainedGenerator
from textgan.networks.pretrained_model import copy_tokenizer
from textgan.opened import Opened, open_game
from textgan.run import Run


def export(run: Run, folder: Path, adapter: bool = False) -> Path:
    """Write the generator of a run to a new folder, whole or not at all: weights (safetensors), config, tokenizer.

    ``AutoModelForCausalLM.from_pretrained(folder)`` (of an encoder-decoder: ``AutoModelForSeq2SeqLM``) and
    ``AutoTokenizer.from_pretrained(folder)`` open it; its README.md says what prompts look like. Adapters are merged
    into the weights; with `adapter` they are all that is written, in peft's format.

    Raises:
        UserError: the run's generator is no model of transformers, or has no adapter where that is asked for; there is
            something in the folder already.
    """
    opened = open_game(run, "cpu")
    network = _transformers_model(opened.game)
    if network is None:
        raise UserError(
            f"{run.folder} is a run of {opened.name} whose generator is not a transformers model; runs with a "
            "generator hf:PATH are accepted"
        )
    if adapter and not network.lora:
        raise UserError(f"{run.folder} has no adapter: game.lora is 0 there; leave --adapter out")
    with folder_written_whole(folder) as draft:
        if adapter:
            (config,) = network.model.peft_config.values()
            config.base_model_name_or_path = str(network.folder.resolve())
            network.model.save_pretrained(draft, save_embedding_layers=False)
        else:
            network.plain_model().save_pretrained(draft)
        tokenizer = load_tokenizer(run.tokenizer_file)
        if network.ids.offset:
            copy_tokenizer(network.folder, draft)
        else:
            assert isinstance(tokenizer, Tokenizer)
            tokenizer.as_transformers().save_pretrained(draft)
        readme = _readme(opened, tokenizer, network, adapter)
        (draft / "README.md").write_text(readme, encoding="utf-8")
    return folder


def _transformers_model(game: nn.Module) -> PretrainedGenerator | None:
    generator = getattr(game, "generator", None)
    modules = generator.modules() if isinstance(generator, nn.Module) else iter(())
    return next((module for module in modules if isinstance(module, PretrainedGenerator)), None)


def _readme(
    opened: Opened, tokenizer: Tokenizer | DecimalTokenizer, network: PretrainedGenerator, adapter: bool
) -> str:
    kind = "Seq2SeqLM" if network.has_encoder else "CausalLM"
    ids = network.ids
    text = "prompt"
    if not isinstance(opened.spec, StorySpec):
        text = '""'
    elif opened.spec.sentences > 1:
        text = '" ".join(sentences)'
    chat = isinstance(tokenizer, PretrainedTokenizer) and tokenizer.template is not None
    if chat:
        read = [
            'said = [{"role": "user", "content": prompt}]',
            'how = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}',
            "read = tokenizer.apply_chat_template(said, **how)",
        ]
    else:
        space = " " if isinstance(tokenizer, PretrainedTokenizer) and tokenizer.cuts_after_a_space else ""
        begin = ids.begin if network.has_encoder or ids.begin is not None else ids.end
        marks = [f"tokenizer.convert_ids_to_tokens({mark})" for mark in (begin, ids.end) if mark is not None]
        before = f"{marks[0]} + " if begin is not None else ""
        before += f'"{space}" + ' if space and text != '""' else ""
        after = f" + {marks[-1]}" if network.has_encoder else ""
        read = [
            f"text = {before}{text}{after}",
            'read = tokenizer(text, add_special_tokens=False, return_tensors="pt")',
        ]
    start = "answer" if network.has_encoder else 'answer[:, read["input_ids"].shape[1] :]'
    return "\n".join(
        [
            f"# A generator of {opened.name}",
            "",
            f"Trained with textgan {__version__}" + (": an adapter for peft." if adapter else "."),
            "",
            "```python",
            f"from transformers import AutoModelFor{kind}, AutoTokenizer",
            "",
            f'model, tokenizer = AutoModelFor{kind}.from_pretrained("."), AutoTokenizer.from_pretrained(".")',
            *read,
            f"answer = model.generate(**read, do_sample=True, max_new_tokens={opened.spec.length})",
            f"print(tokenizer.batch_decode({start}, skip_special_tokens=True))",
            "```",
            "",
        ]
    )
