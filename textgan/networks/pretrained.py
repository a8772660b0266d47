"""Any `transformers` model, decoder-only or encoder-decoder, as a generator of story endings.

What is read once per context and what is a row's own are kept apart. A decoder-only model's *prefix* is the begin mark
and the context; an encoder-decoder's is its start mark, and its encoder's output and cross-attention keys belong to the
context as well. A row of a policy's state has the number of its context and the keys and values of its own ending
tokens; a layer is handed the two as `SharedRows`, to which it attends without copies of contexts. Tokens of an ending
are always read in this way, one at a time to draw them and all at once to score them.

Prompts: ``[begin] context`` for a decoder-only model, ``[begin] context end`` for an encoder; then the ending. The
sentences of a context are joined. A model whose begin mark is not known begins with its end mark.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import Cache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput, BaseModelOutputWithPastAndCrossAttentions

from textgan.categorical import rows_at_once
from textgan.data.spec import StorySpec
from textgan.data.tokenizer import PRETRAINED, UNK
from textgan.errors import UserError
from textgan.networks.endings import StoryGenerator
from textgan.networks.key_cache import Kept, KeyCache
from textgan.networks.lora import is_adapter, keep_adapters_only, with_adapters
from textgan.networks.modes import evaluating
from textgan.networks.pretrained_model import copy_tokenizer, forget_ids, has_weights, open_model
from textgan.networks.recurrent import joined
from textgan.networks.shared_cache import ContextLayer, Keys, SharedPrefixLayer, contents
from textgan.networks.shared_rows import Owners, Shared, SharedRows
from textgan.sampling import join, take

KEYS_AT_ONCE = 2**25
"""Numbers of contexts' keys that a layer which wants copies is handed at once where no gradient is recorded: 128 MB."""


class PretrainedState(NamedTuple):
    """One row an ending."""

    owners: Owners
    """The contexts that they continue."""
    output: Tensor
    """What the next token is predicted from, ``(rows, hidden)``."""
    kept: tuple[Kept, ...]
    """Keys and values of each layer, of the ending's own tokens."""


class Prefix(NamedTuple):
    """What was read before the endings; one row a context."""

    mask: Tensor
    """Which of the prefix's places hold a token, ``(contexts, places)``; padding is on the left."""
    output: Tensor
    keys: Keys
    values: Keys
    encoded: tuple[Tensor, Tensor, Keys, Keys] | None
    """An encoder's output ``(contexts, tokens, hidden)``, its mask, and the cross-attention's keys and values."""


class PretrainedGenerator(StoryGenerator):
    """p(ending | context) by the model in a local folder, always with float32 parameters.

    With weights in the folder (safetensors) the model has its own vocabulary, and the data must be tokenised by the
    tokenizer beside it (``--data.tokenizer hf:PATH``). With a ``config.json`` alone its weights are random and its
    vocabulary is the data's. The folder that `describe` writes is read as the original was.

    With `lora` above 0 the model's own weights stay as they are; `learned`, and with it `state_dict`, is adapters of
    that rank (see `textgan.networks.lora`).

    Raises UserError for a folder without a model that writes text from left to right, for one whose vocabulary is not
    the data's, and for a model that cannot read as many tokens as a context and an ending may have.
    """

    never: Tensor
    model_ids: Tensor
    marks: Tensor

    def __init__(self, spec: StorySpec, path: str | Path, lora: int = 0) -> None:
        super().__init__()
        self.spec, self.lora = spec, lora
        self.folder = folder = Path(path).expanduser()
        self.model, self.ids = open_model(folder, spec)
        if lora:
            if not has_weights(folder):
                raise UserError(f"game.lora is {lora}; generator {PRETRAINED}{folder} has no weights to adapt")
            self.model = with_adapters(self.model, lora)
        self.has_encoder = bool(self.model.config.is_encoder_decoder)
        self.hidden_size = self.model.get_output_embeddings().weight.shape[1]
        """Width of `PretrainedPolicy.outputs`."""
        ids, words = self.ids, torch.arange(spec.vocab_size - self.ids.offset)
        never = torch.zeros(spec.vocab_size)
        never[list(spec.never)] = -torch.inf
        never[[m + ids.offset for m in ids.specials]] = -torch.inf
        marks = torch.full((ids.offset,), ids.end)
        if ids.offset and ids.unknown is None:
            never[UNK] = -torch.inf
        elif ids.unknown is not None and ids.offset:
            marks[UNK] = ids.unknown
        self.register_buffer("never", never, persistent=False)
        self.register_buffer("marks", marks, persistent=False)  # the model's ids of ours below `offset`
        self.register_buffer("model_ids", torch.cat([marks, words]), persistent=False)
        accepted = inspect.signature(self.decoder.forward).parameters
        self._numbers_positions = not self.has_encoder and "position_ids" in accepted
        self.copies_contexts = False
        """Whether each row must have a copy of its context for the model to attend to it: a few rows at a time do."""
        self.copies_contexts = _tried(self, folder)
        if lora:
            keep_adapters_only(self)

    @property
    def decoder(self) -> nn.Module:
        """The part that reads an ending's tokens."""
        return self.model.get_decoder()

    def given(self, context: Int[Tensor, "batch sentences length"]) -> PretrainedPolicy:
        """The policy that ends these contexts, which are read once."""
        return PretrainedPolicy(self, context)

    def learned(self) -> list[nn.Parameter]:
        """All parameters, or those of the adapters."""
        return [p for name, p in self.named_parameters() if not self.lora or is_adapter(name)]

    def describe(self, folder: Path) -> None:
        """Writes what it takes, beside `state_dict`, to have the generator again, and its tokenizer's files.

        It is ``config.json`` and, where adapters are all that is learned, the model's own weights.
        """
        if self.lora:
            copy.deepcopy(self.model).unload().save_pretrained(folder)
        else:
            self.model.config.save_pretrained(folder)
        copy_tokenizer(self.folder, folder)

    def plain_model(self) -> Any:
        """A copy of the model as `transformers` knows it, with its adapters merged into its weights."""
        model = copy.deepcopy(self.model)
        model = model.merge_and_unload() if self.lora else model
        forget_ids(model.config)
        return model.eval()

    def read_context(self, context: Int[Tensor, "batch sentences length"]) -> Prefix:
        """Reads what comes before an ending."""
        tokens, mask = joined(context, self.spec.pad)
        tokens, rows = self.model_ids[tokens], len(tokens)
        begin = self.ids.end if self.ids.begin is None else self.ids.begin
        if not self.has_encoder:
            tokens, mask = _with(begin, tokens, mask)
            order = mask.to(torch.uint8).argsort(dim=1, stable=True)  # padding to the left: the last place is read last
            return self._read_prefix(tokens.gather(1, order), mask.gather(1, order), None)
        if self.ids.begin is not None:
            tokens, mask = _with(begin, tokens, mask)
        tokens, mask = F.pad(tokens, (0, 1)), F.pad(mask, (0, 1))
        tokens[torch.arange(rows, device=tokens.device), mask.sum(1)] = self.ids.end
        mask = torch.arange(mask.shape[1], device=mask.device) <= mask.sum(1, keepdim=True)
        encoder = self.model.get_encoder()
        memory = encoder(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        start = tokens.new_full((rows, 1), begin if self.ids.start is None else self.ids.start)
        return self._read_prefix(start, torch.ones_like(start, dtype=torch.bool), (memory, mask))

    def _read_prefix(self, tokens: Tensor, mask: Tensor, encoded: tuple[Tensor, Tensor] | None) -> Prefix:
        own, cross = DynamicCache(), DynamicCache()
        cache: Cache = own if encoded is None else EncoderDecoderCache(own, cross)
        outputs = self._decode(tokens, cache, mask, encoded)
        keys, values = contents(own)
        if encoded is None:
            return Prefix(mask, outputs[:, -1], keys, values, None)
        return Prefix(mask, outputs[:, -1], keys, values, (*encoded, *contents(cross)))

    def read(
        self, tokens: Int[Tensor, "rows n"], state: PretrainedState, prefix: Prefix
    ) -> tuple[Float[Tensor, "rows n hidden"], PretrainedState]:
        """The decoder's outputs at further tokens of the endings, and the state after them."""
        owners = state.owners
        before = zip(prefix.keys, prefix.values, state.kept, strict=True)
        layers = [SharedPrefixLayer(owners, *layer) for layer in before]
        cache = Cache(layers=[*layers])
        encoded = None
        if prefix.encoded is not None:
            memory, memory_mask, *cross = prefix.encoded
            cross_layers = [ContextLayer(owners, *kv) for kv in zip(*cross, strict=True)]
            cache = EncoderDecoderCache(cache, Cache(layers=[*cross_layers]))
            encoded = SharedRows(Shared(memory, owners)), memory_mask[owners.of]
        mask = F.pad(prefix.mask[owners.of], (0, state.kept[0].tokens + tokens.shape[1]), value=True)
        outputs = self._decode(self.model_ids[tokens], cache, mask, encoded)
        return outputs, PretrainedState(owners, outputs[:, -1], tuple(layer.kept for layer in layers))

    def _decode(self, tokens: Tensor, cache: Cache, mask: Tensor, encoded: tuple[Tensor, Tensor] | None) -> Tensor:
        """The decoder's outputs at the last places of the mask."""
        more: dict[str, Any] = {}
        if self._numbers_positions:
            more["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        if encoded is not None:
            more |= {"encoder_hidden_states": encoded[0], "encoder_attention_mask": encoded[1].long()}
        more |= {"attention_mask": mask.long(), "past_key_values": cache, "use_cache": True}
        return self.decoder(input_ids=tokens, **more).last_hidden_state

    def vocabulary(self, outputs: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows vocab"]:
        """Logits of our tokens from the decoder's outputs."""
        with _answering(self.decoder, outputs[None]):
            token = torch.zeros(1, 1, dtype=torch.int64, device=outputs.device)
            if self.has_encoder:
                encoded = BaseModelOutput(last_hidden_state=outputs[None])
                logits = self.model(encoder_outputs=encoded, decoder_input_ids=token).logits[0]
            else:
                logits = self.model(input_ids=token).logits[0]
        words = logits[:, : self.spec.vocab_size - self.ids.offset]
        return torch.cat([logits[:, self.marks], words], 1) + self.never


class PretrainedPolicy:
    """The `EndingPolicy` of a `PretrainedGenerator`, good for the weights of the moment.

    The contexts are read when they are first needed; once more if first without and then with gradients.
    """

    def __init__(self, network: PretrainedGenerator, context: Tensor) -> None:
        self._network, self._context = network, context
        self._prefixes: dict[bool, Prefix] = {}

    def start(self, rows: int) -> PretrainedState:
        """The state in which the endings begin."""
        prefix, most = self._prefix(), self._network.spec.length
        contexts = len(prefix.output)
        copies = rows // contexts
        owners = Owners(torch.arange(rows, device=prefix.output.device) // copies, contexts, copies)
        kept = tuple(KeyCache.empty(rows, keys.shape[1], keys.shape[3], most, keys) for keys in prefix.keys)
        return PretrainedState(owners, prefix.output[owners.of], kept)

    def advance(self, tokens: Int[Tensor, " rows"], state: PretrainedState) -> PretrainedState:
        """The state after one more token."""
        network, prefix = self._network, self._prefix()
        if torch.is_grad_enabled() or not network.copies_contexts:
            return network.read(tokens[:, None], state, prefix)[1]
        kinds = (prefix.keys, prefix.encoded[2] if prefix.encoded else ())
        rows = max(256, KEYS_AT_ONCE // max(x[0].numel() for kind in kinds for x in kind))
        parts = [slice(first, first + rows) for first in range(0, len(tokens), rows)]
        reached = (network.read(tokens[p, None], take(state, p), prefix)[1] for p in parts)
        return reduce(partial(join, rows=len(tokens)), reached)

    def logits(self, state: PretrainedState) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        return self._network.vocabulary(state.output)

    def outputs(self, tokens: Int[Tensor, "rows length"]) -> Float[Tensor, "rows length hidden"]:
        """The decoder's output before each token is read."""
        state = self.start(len(tokens))
        if tokens.shape[1] == 1:
            return state.output[:, None]
        later, _ = self._network.read(tokens[:, :-1], state, self._prefix())
        return torch.cat([state.output[:, None], later], 1)

    def log_probs(self, tokens: Int[Tensor, "rows length"], temperature: float = 1.0) -> Float[Tensor, "rows length"]:
        """log p(y_t | context, y_1..t-1) in nats under softmax(logits / temperature), differentiable; 0 at padding."""
        spec = self._network.spec
        mask = tokens != spec.pad
        outputs, targets = self.outputs(tokens)[mask], tokens[mask]
        rows = rows_at_once(spec.vocab_size, tokens.device)
        if torch.is_grad_enabled():  # every row's logits are kept for the backward pass anyway
            rows = max(1, len(targets))
        parts = zip(outputs.split(rows), targets.split(rows), strict=True)
        values = torch.cat([self._log_probs(*part, temperature) for part in parts])
        return values.new_zeros(tokens.shape).masked_scatter(mask, values)

    def _log_probs(self, outputs: Tensor, targets: Tensor, temperature: float) -> Tensor:
        logits = self._network.vocabulary(outputs).float()
        return -F.cross_entropy(logits / temperature, targets, reduction="none")

    def _prefix(self) -> Prefix:
        grad = torch.is_grad_enabled()
        if grad not in self._prefixes:
            self._prefixes[grad] = self._network.read_context(self._context)
        return self._prefixes[grad]


def _with(begin: int, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return F.pad(tokens, (1, 0), value=begin), F.pad(mask, (1, 0), value=True)


@contextmanager
def _answering(decoder: nn.Module, outputs: Tensor) -> Iterator[None]:
    """Inside, the decoder gives these outputs whatever it is asked: what a model does after it can be had alone.

    Architectures scale, cap and shift their logits in ways of their own, which are so neither copied nor left out.
    """
    answer = BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=outputs)
    decoder.forward = lambda *args, **kwargs: answer
    try:
        yield
    finally:
        del decoder.forward


@torch.no_grad()
def _tried(network: PretrainedGenerator, folder: Path) -> bool:
    """Whether the model wants copies of contexts.

    Raises UserError unless it finds the same in an ending read token by token as in one read at once.
    """
    context = torch.full((1, network.spec.sentences, network.spec.sentence_length), network.spec.pad)
    context[:, :, 0] = network.spec.vocab_size - 1
    tokens = torch.tensor([[network.spec.vocab_size - 1, network.spec.eos, network.spec.vocab_size - 2, 0]])
    try:
        with evaluating(network):
            policy = network.given(context)
            state = policy.start(1)
            reached = [state, *(state := policy.advance(token, state) for token in tokens[:, :-1].unbind(1))]
            apart = torch.stack([state.output for state in reached], 1)
            differ = not torch.allclose(apart, policy.outputs(tokens), rtol=1e-3, atol=1e-3)
    except Exception as error:  # whatever a model of another kind makes of a cache of keys
        raise UserError(
            f"generator {PRETRAINED}{folder}, a {type(network.model).__name__}, cannot go on from the keys and values "
            f"of what it has read, which is needed: {' '.join(str(error).split())}"
        ) from error
    if differ:
        raise UserError(
            f"generator {PRETRAINED}{folder}, a {type(network.model).__name__}, does not write from left to right"
        )
    return state.owners.copied
