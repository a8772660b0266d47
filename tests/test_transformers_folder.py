"""What is exported is the model that was trained, as transformers opens it."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch
import transformers
from torch import Tensor

from tests.transformers_models import model_folder, options, prompts_file
from textgan.api import export
from textgan.errors import UserError
from textgan.export import main as export_main
from textgan.opened import open_game
from textgan.run import Run
from textgan.stories import StoryEnder
from textgan.train import main as train_main

PROMPT = "say red dog 5\n  now"
ANSWERS = ["red dog", "red\n  dog now", "cow"]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prompts_file(tmp_path_factory.mktemp("prompts") / "prompts.jsonl")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="module")
def runs(cache: None, prompts: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of games on prompts: all weights, and adapters in a chat template."""
    folder = tmp_path_factory.mktemp("runs")
    train_main(["spin", *options(model, prompts, folder / "whole")])
    chat = ["--data.chat-template", "True", "--game.lora", "4"]
    judge = ["--game.discriminator.kind", f"hf:{model}", "--game.discriminator.lora", "2"]
    train_main(["gad", *options(model, prompts, folder / "adapted"), *chat, *judge])
    return {"whole": folder / "whole", "adapted": folder / "adapted"}


@torch.no_grad()
def theirs(folder: Path, ours: StoryEnder, read: str) -> Tensor:
    """log p of each answer after what is read, by transformers, among the tokens that we may write."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    space = " " if ours.tokenizer.cuts_after_a_space else ""
    network, found = ours.game.generator, []
    for answer in ANSWERS:
        prompt = tokenizer(read, add_special_tokens=False)["input_ids"]
        words = [*tokenizer(space + answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        logits = model(torch.tensor([prompt + words])).logits[0, len(prompt) - 1 : -1]
        logits[:, list(set(network.ids.specials) - {tokenizer.eos_token_id})] = -torch.inf
        found.append(logits.log_softmax(1).gather(1, torch.tensor(words)[:, None]).mean())
    return torch.stack(found)


@pytest.mark.parametrize("kind", ["whole", "adapted"])
def test_an_exported_model_has_the_log_probabilities_of_the_run(
    kind: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    ours = StoryEnder.from_pretrained(runs[kind])
    folder = export(runs[kind], tmp_path / "out", False)
    assert folder == tmp_path / "out"
    assert (folder / "model.safetensors").is_file()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    read = f"<|start|> {PROMPT}"
    if kind == "adapted":
        said = [{"role": "user", "content": PROMPT}]
        read = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    expected = [ours.score(PROMPT, answer, by="likelihood") for answer in ANSWERS]
    torch.testing.assert_close(theirs(folder, ours, read), torch.tensor(expected), rtol=0, atol=1e-4)
    assert not hasattr(transformers.AutoConfig.from_pretrained(folder), "textgan")


def test_the_prompt_is_in_the_chat_template_as_transformers_writes_it(runs: dict[str, Path], model: Path) -> None:
    ours = StoryEnder.from_pretrained(runs["adapted"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    said = [{"role": "user", "content": PROMPT}]
    expected = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=True)["input_ids"]
    row = ours._rows([(PROMPT,)])[0, 0].tolist()
    assert [0, *[i - 4 for i in row]] == expected


def test_the_readme_of_an_export_says_how_the_prompt_is_read(runs: dict[str, Path], tmp_path: Path) -> None:
    """The code in it is run: what it reads is what the run read."""
    for kind, run in runs.items():
        ours, folder = StoryEnder.from_pretrained(run), export(run, tmp_path / kind, False)
        text = (folder / "README.md").read_text()
        code = text.split("```python\n")[1].split("answer =")[0].replace('"."', repr(str(folder)))
        names: dict[str, object] = {"prompt": PROMPT}
        exec(code, names)
        begin, row = ours.game.generator.ids.begin, ours._rows([(PROMPT,)])[0, 0].tolist()
        assert names["read"]["input_ids"].tolist() == [[begin, *[i - 4 for i in row]]]  # type: ignore[index]


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # of transformers to peft
def test_an_adapter_is_exported_alone_and_opened_on_its_model(runs: dict[str, Path], tmp_path: Path) -> None:
    export_main([str(runs["adapted"]), str(tmp_path / "adapter"), "--adapter"])
    merged = export(runs["adapted"], tmp_path / "merged", False)
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size < 60_000
    adapted = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
    tokens = torch.tensor([[0, 5, 70, 9, 33]])
    with torch.no_grad():
        expected = transformers.AutoModelForCausalLM.from_pretrained(merged)(tokens).logits
        torch.testing.assert_close(adapted(input_ids=tokens).logits, expected, rtol=1e-4, atol=1e-4)


def test_a_run_with_adapters_keeps_what_they_adapt_once(runs: dict[str, Path], model: Path, tmp_path: Path) -> None:
    """Its checkpoints are small, the model's own weights lie beside them, and it needs the model's folder no more."""
    run = Run.open(runs["adapted"])
    game = open_game(run).game
    names = [name for name in game.state_dict() if "network" in name or name.startswith("generator.")]
    assert any(name.startswith("discriminator.") for name in names)
    assert all("lora_" in name or name == "discriminator.network.score.weight" for name in names)
    assert game.generator.folder == run.networks_folder
    assert game.discriminator.network.network.folder == run.networks_folder / "discriminator"
    original = transformers.AutoModelForCausalLM.from_pretrained(model).state_dict()
    kept = transformers.AutoModelForCausalLM.from_pretrained(run.networks_folder).state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in original.items())
    assert any((game.state_dict()[name] != 0).any() for name in names if "lora_B" in name)
    copy = StoryEnder(run).save_pretrained(tmp_path / "copy")
    assert str(StoryEnder.from_pretrained(copy)(PROMPT)) == str(StoryEnder(run)(PROMPT))
    assert StoryEnder.from_pretrained(copy).score(PROMPT, "cow") == StoryEnder(run).score(PROMPT, "cow")


def test_an_encoder_decoder_is_exported(cache: None, prompts: Path, tmp_path: Path) -> None:
    model = model_folder(tmp_path / "t5", "t5")
    train_main(["spin", *options(model, prompts, tmp_path / "run"), "--game.lora", "2"])
    ours, folder = StoryEnder.from_pretrained(tmp_path / "run"), export(tmp_path / "run", tmp_path / "out", False)
    again = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    read = torch.tensor([[0, 5, 70, 1]])
    with torch.no_grad():
        logits = again(input_ids=read, decoder_input_ids=torch.tensor([[0, 33]])).logits[0]
        logits[:, 0] = -torch.inf
        policy = ours.game.policy(torch.tensor([[[9, 74]]]))
        found = policy.log_probs(torch.tensor([[37, 2]]))[0]
    expected = logits.log_softmax(1)[[0, 1], [33, 1]]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_a_model_of_random_weights_is_exported_with_our_tokenizer(
    cache: None, prompts: Path, model: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text((model / "config.json").read_text())
    arguments = options(bare, prompts, tmp_path / "run")
    arguments[arguments.index("--data.tokenizer") + 1] = "word"
    train_main(["spin", *arguments])
    ours, folder = StoryEnder.from_pretrained(tmp_path / "run"), export(tmp_path / "run", tmp_path / "out", False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("say red dog", add_special_tokens=False)["input_ids"]
    assert ids == ours.tokenizer.encode_batch(["say red dog"])[0]
    assert tokenizer.decode(ids) == "say red dog"
    assert tokenizer.eos_token_id == ours.spec.eos
    with torch.no_grad():
        logits = transformers.AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([[1, *ids]])).logits[0, -1]
        logits[list(ours.spec.never)] = -torch.inf
        policy = ours.game.policy(torch.tensor([[ids]]))
        found = policy.logits(policy.start(1))[0]
    torch.testing.assert_close(found.log_softmax(0), logits.log_softmax(0), rtol=0, atol=1e-4)


def test_what_cannot_be_exported_is_refused(tiny_run: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a run of seqgan whose generator is not a transformers model; .* hf:PATH"):
        export(tiny_run, tmp_path / "a", False)
    with pytest.raises(UserError, match=r"has no adapter: game.lora is 0 there"):
        export(runs["whole"], tmp_path / "a", True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(UserError, match="is not an empty folder"):
        export(runs["whole"], tmp_path / "full", False)
    with pytest.raises(UserError, match="is not a run folder"):
        export(tmp_path / "nothing", tmp_path / "a", False)
    assert not (tmp_path / "a").exists()
