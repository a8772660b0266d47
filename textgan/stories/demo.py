"""One page in the browser: four sentences in, endings out, best first, with the discriminator's reward of each token.

The page is served by gradio (``pip install textgan[demo]``) on this machine alone: nothing it shows is loaded from
elsewhere, and nothing is reported to anybody.
"""

from __future__ import annotations

import math
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, no_type_check

from textgan.data.cards import load_card
from textgan.data.story_world import StoryWorld
from textgan.data.tokenizer import EOS, MARKS, UNK
from textgan.errors import UserError
from textgan.stories.ender import StoryEnder
from textgan.stories.results import Credit, Ending, Explanation

if TYPE_CHECKING:
    import gradio

EVERYDAY = (
    "Anna planted beans in the garden behind her house.",
    "All summer long, she wanted to see them grow.",
    "Her neighbour Tom promised to water them while she was away.",
    "He forgot about it after two days.",
)
EXAMPLE_SEED = 1
"""The story world's card tells its stories with another seed: most of this one's are not among them."""
STRONGEST = 62
"""Per cent of a token's background that is colour, where its reward is the largest on the page."""
LOCAL_FONTS = ["system-ui", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif"]
LOCAL_MONO = ["ui-monospace", "Menlo", "Consolas", "monospace"]
NOTE = (
    "The bar is the discriminator's probability that a person wrote the ending. The reward of a token is what writing "
    "it changed: the mean score of roll-outs that go on with it, less that without it. Occlusion is the ending's score "
    "less its score with the token unknown. Point at a token for both."
)

STYLE = """
& { --soft: color-mix(in srgb, var(--body-text-color) 70%, transparent); }
.hint, .alert { margin: 0; color: var(--soft); }
.alert { padding: .8rem 1.1rem; border-radius: .6rem; color: var(--error-text-color);
  border: 1px solid var(--error-border-color); background: var(--error-background-fill); }
.status { display: flex; align-items: center; gap: .9rem; margin: 0 0 1rem; color: var(--soft); }
.status .meter { flex: none; width: 9rem; }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1.6rem; margin: 0 0 1rem; font-size: .82rem; }
.legend span { color: var(--soft); }
.legend > span { display: inline-flex; align-items: center; gap: .5rem; }
.scale { width: 8rem; height: .8rem; border-radius: .2rem; border: 1px solid var(--border-color-primary);
  background: linear-gradient(90deg, rgb(222 110 20 / 62%), transparent 50%, rgb(40 120 220 / 62%)); }
.endings { display: grid; gap: .8rem; margin: 0; padding: 0; list-style: none; counter-reset: rank; }
.ending { display: grid; grid-template-columns: 1.4rem minmax(0, 1fr) 10.5rem; gap: .1rem .9rem; align-items: start;
  margin: 0; padding: .8rem 1.1rem; border: 1px solid var(--border-color-primary); border-radius: .6rem;
  background: var(--block-background-fill); color: var(--body-text-color); counter-increment: rank; }
.ending::before { content: counter(rank); grid-row: span 2; padding-top: .2rem; font-size: 1.05rem;
  color: var(--soft); font-variant-numeric: tabular-nums; }
.text { margin: 0; font-size: 1.12rem; line-height: 1.9; color: var(--body-text-color); overflow-wrap: anywhere; }
.detail, .note { margin: 0; font-size: .8rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.detail { grid-column: 2 / -1; }
.note { margin-top: .9rem; }
.token { position: relative; padding: .14em .12em; margin: 0 -.12em; border-radius: .25em; cursor: help;
  color: var(--body-text-color); background: rgb(var(--hue) / var(--strength)); }
.token:is(:hover, :focus-visible) { z-index: 10; outline: 2px solid rgb(var(--hue)); }
.token::after { content: attr(data-tip); position: absolute; bottom: calc(100% + .4em); left: 50%; translate: -50%;
  padding: .35em .7em; border-radius: .4em; background: #1c1e21; color: #f4f5f7; font: .8rem/1.45 system-ui, sans-serif;
  white-space: pre; pointer-events: none; visibility: hidden; }
.token:is(:hover, :focus-visible)::after { visibility: visible; }
.mark { padding-inline: .5em; margin-inline: .4em 0; font-size: .72em; }
.score { display: flex; align-items: center; gap: .7rem; padding-top: .5rem; }
.score b { font-variant-numeric: tabular-nums; color: var(--body-text-color); }
.meter { position: relative; flex: 1; height: .55rem; border-radius: .3rem; background: var(--border-color-primary); }
.meter i { position: absolute; inset: 0 auto 0 0; border-radius: .3rem; background: var(--primary-500); }
.meter.busy i { width: 30%; animation: busy 1.2s ease-in-out infinite alternate; }
@keyframes busy { to { left: 70%; } }
.meter s, .tick { width: 2px; height: 1rem; border-radius: 1px; background: var(--body-text-color); }
.meter s { position: absolute; top: -.22rem; translate: -50%; }
@media (max-width: 700px) {
  .ending { grid-template-columns: 1.4rem minmax(0, 1fr); }
  .ending::before { grid-row: span 3; }
  .score, .detail { grid-column: 2; }
}
"""


def serve(ender: StoryEnder, host: str = "127.0.0.1", port: int = 7860, block: bool = True) -> gradio.Blocks:
    """Serve the page of `build_demo` to this machine's browser, until interrupted.

    Args:
        host: the address to listen on; the default is not reachable from other machines.
        block: False: return at once; the page is served until the answer's ``close()``.

    Raises:
        UserError: gradio is not installed, or host and port cannot be listened on.
    """
    gr = _gradio()
    if not 1 <= port <= 65535:
        raise UserError(f"the port is {port}; 1 to 65535 are accepted")
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]
        raise UserError(f"{host}:{port} cannot be listened on ({reason}); another host or port may be free") from error
    page = build_demo(ender)
    page.launch(
        server_name=host,
        server_port=port,
        theme=gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=LOCAL_FONTS, font_mono=LOCAL_MONO),
        share=False,
        ssr_mode=False,
        run_history=False,
        footer_links=[],
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    print(f"The page is at {page.local_url} (Ctrl-C ends it)", flush=True)
    if block:
        page.block_thread()
    return page


def build_demo(ender: StoryEnder) -> gradio.Blocks:
    """The page, not yet served: four sentences and how to sample on the left, the endings on the right.

    Raises:
        UserError: gradio is not installed.
    """
    gr = _gradio()

    @no_type_check  # a checker's wrapper is no generator function, and for gradio it has to be one
    def answer(*given: Any) -> Iterator[str]:
        *sentences, endings, temperature, top_p, seed = given  # from the browser: a whole number is an int
        try:
            yield from end_story(ender, tuple(sentences), int(endings), float(temperature), float(top_p), seed)
        except UserError as error:
            message = escape(str(error))
            yield f'<p class="alert" role="alert">{message}</p>'  # stays when the notice that pops up has gone
            raise gr.Error(message, print_exception=False) from error
        except Exception:
            yield ""  # or the status would say for ever that endings are being written
            raise

    with gr.Blocks(title="Story endings", analytics_enabled=False) as page:
        gr.Markdown(
            f"# Story endings\nFour sentences of a story; the model `{ender.run.folder.name}` writes the fifth."
        )
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=340):
                boxes = [
                    gr.Textbox(sentence, label=f"Sentence {i}", lines=1, max_lines=3, elem_id=f"sentence-{i}")
                    for i, sentence in enumerate(example_story(ender.settings.corpus), start=1)
                ]
                with gr.Row():
                    endings = gr.Slider(1, 16, 6, step=1, label="Endings", elem_id="endings")
                    seed = gr.Number(0, label="Seed (empty: any)", precision=0, elem_id="seed")
                with gr.Row():
                    temperature = gr.Slider(0.1, 2.0, 0.8, step=0.05, label="Temperature", elem_id="temperature")
                    top_p = gr.Slider(0.05, 1.0, 0.9, step=0.05, label="Top-p", elem_id="top-p")
                button = gr.Button("End the story", variant="primary", elem_id="end-the-story")
            with gr.Column(scale=3, min_width=340):
                hint = '<p class="hint">The endings will stand here, the best first.</p>'
                result = gr.HTML(hint, css_template=STYLE, elem_id="result")
        gr.on(
            [button.click, *(box.submit for box in boxes)],
            answer,
            [*boxes, endings, temperature, top_p, seed],
            result,
            show_progress="hidden",  # the status line above the endings tells more
            trigger_mode="once",
            api_visibility="private",
        )
    return page


def end_story(
    ender: StoryEnder, sentences: tuple[str, ...], endings: int, temperature: float, top_p: float, seed: int | None
) -> Iterator[str]:
    """The result as HTML, again and again while it grows: a status, the endings, their tokens' rewards one by one.

    Endings are ordered by the discriminator's score; without a discriminator by log p(ending | context).

    Raises:
        UserError: from `StoryEnder`, for sentences or numbers that it does not accept.
    """
    yield render([], {}, status=("Writing the endings", 0, 0))
    judged = ender.has_discriminator
    written = ender.generate(
        sentences,
        num_return_sequences=endings,
        do_sample=True,
        temperature=temperature,
        top_p=top_p,
        rerank="discriminator" if judged else None,
        distinct=True,
        seed=seed,
        progress=False,
    )
    found: list[Ending] = written if isinstance(written, list) else [written]
    explained: dict[str, Explanation | UserError] = {}
    if judged:
        for i, ending in enumerate(found):
            yield render(found, explained, status=("Rewarding the tokens of ending", i + 1, len(found)))
            try:
                explained[ending.text] = ender.explain(sentences, ending.text, seed=seed)
            except UserError as error:  # a model may write what it does not accept: an ending that is too long to end
                explained[ending.text] = error
    else:
        found.sort(key=lambda ending: -ending.log_prob)
    yield render(found, explained)


def render(
    endings: Sequence[Ending],
    explained: Mapping[str, Explanation | UserError],
    status: tuple[str, int, int] | None = None,
) -> str:
    """The endings as HTML, in their order; those in `explained`, by text, with their tokens coloured by reward.

    Colours have one scale on the whole page, from minus to plus the largest absolute reward.

    Args:
        explained: explanations, or why there is none.
        status: what is being done, to which item, and of how many (0: not known).
    """
    explanations = [e for e in explained.values() if isinstance(e, Explanation)]
    largest = max((abs(credit.reward) for e in explanations for credit in e.credits), default=0.0)
    parts = [_status(*status)] if status else []
    if explanations:
        parts.append(_legend(largest))
    elif endings and endings[0].score is None:
        parts.append('<p class="legend">This model has no discriminator: no scores, and no rewards of tokens.</p>')
    note = f'<p class="note">{NOTE}</p>' if explanations else ""
    cards = "".join(_card(ending, explained.get(ending.text), largest) for ending in endings)
    return "".join(parts) + f'<ol class="endings">{cards}</ol>{note}'


def example_story(corpus: str) -> tuple[str, ...]:
    """Four sentences to begin with: of the story world for a model that was trained on it, else of everyday life."""
    if corpus != "story_world":
        return EVERYDAY
    return StoryWorld(load_card(corpus).read["rules"]).stories(1, EXAMPLE_SEED)[0].sentences


def _card(ending: Ending, explanation: Explanation | UserError | None, largest: float) -> str:
    text, score, detail, tick = escape(ending.text), "", f"log p = {_signed(ending.log_prob, 1)}", ""
    if isinstance(explanation, Explanation):
        text = _coloured(ending.text, explanation.credits, largest)
        rewards = sum(credit.reward for credit in explanation.credits)
        detail = f"{explanation.start:.3f} before the first token, {_signed(rewards)} by the tokens · {detail}"
        tick = f'<s style="left: {explanation.start:.1%}"></s>'
    elif explanation:
        detail = f"no rewards: {escape(str(explanation))} · {detail}"
    if ending.score is not None:
        score = (
            '<div class="score" title="the discriminator\'s probability that a person wrote it">'
            f"{_meter(ending.score, tick)}<b>{ending.score:.3f}</b></div>"
        )
    return f'<li class="ending"><p class="text">{text}</p>{score}<p class="detail">{detail}</p></li>'


def _coloured(text: str, credits: Sequence[Credit], largest: float) -> str:
    """The text with a span around each token. One that is not in it, as the end mark, stands apart."""
    parts, at = [], 0
    for credit, (begin, end) in zip(credits, _places(text, credits), strict=True):
        parts.append(escape(text[at:begin]))
        if begin < end:
            parts.append(_token(text[begin:end], credit, largest))
        else:
            shown = "end" if credit.token == MARKS[EOS] else credit.token
            parts.append(_token(shown, credit, largest, "token mark"))
        at = end
    return "".join(parts) + escape(text[at:])


def _places(text: str, credits: Sequence[Credit]) -> list[tuple[int, int]]:
    """Where each token begins and ends in the text, whatever its case: an empty place if it is not there.

    The mark of unknown words has the place of what it stands for: all up to the next token; of several, the last has.
    """
    places: list[tuple[int, int]] = []
    at, unknown = 0, False
    for credit in credits:
        token = re.escape(credit.token)
        if credit.token == MARKS[UNK]:
            places.append((at, at))
            unknown = True
            continue
        if unknown:
            word = r"\b" if token[:1].isalnum() else ""
            found = re.compile(word + f"({token})", re.IGNORECASE).search(text, at)
            gap = text[at : found.start() if found else len(text)]
            at += len(gap) - len(gap.lstrip())
            places[-1] = (at, at + len(gap.strip()))
            at = places[-1][1]
        else:
            found = re.compile(rf"\s*?({token})", re.IGNORECASE).match(text, at)
        places.append(found.span(1) if found else (at, at))
        at, unknown = places[-1][1], False
    return places


def _token(shown: str, credit: Credit, largest: float, kind: str = "token") -> str:
    hue = "40 120 220" if credit.reward > 0 else "222 110 20"
    strength = STRONGEST * abs(credit.reward) / largest if largest else 0
    tip = f"reward {_signed(credit.reward)}\nocclusion {_signed(credit.occlusion)}"
    return (
        f'<span class="{kind}" tabindex="0" data-tip="{tip}" aria-label="{escape(shown)}, {tip}" '
        f'style="--hue: {hue}; --strength: {strength:.1f}%">{escape(shown)}</span>'
    )


def _legend(largest: float) -> str:
    return (
        '<div class="legend">'
        f'<span>{_signed(-largest)}<span class="scale"></span>{_signed(largest)} reward of a token</span>'
        '<span><span class="tick"></span>score before the first token</span>'
        "</div>"
    )


def _status(what: str, item: int, of: int) -> str:
    meter = _meter((item - 1) / of) if of else '<span class="meter busy"><i></i></span>'
    count = f" {item} of {of}" if of else ""
    return f'<div class="status" role="status">{meter}{what}{count} …</div>'


def _meter(share: float, tick: str = "") -> str:
    return f'<span class="meter"><i style="width: {share:.1%}"></i>{tick}</span>'


def _signed(number: float, digits: int = 3) -> str:
    """A number with a sign that is as wide as a plus."""
    if not math.isfinite(number):
        return str(number)
    return f"{number:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _gradio() -> Any:
    """gradio, which takes seconds to import, and without its reports to its makers."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise UserError("the page needs gradio; pip install textgan[demo]") from error
    return gradio
