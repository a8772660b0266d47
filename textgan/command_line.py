"""What the command lines share: parsing with one-line errors, presets, exit statuses."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro
import yaml

from textgan.errors import UserError
from textgan.memory import keep_freed_memory
from textgan.resources import project_folder

USER_ERROR = 2


def parse(
    kind: Any,
    args: Sequence[str],
    prog: str,
    description: str | None = None,
    default: Any = None,
    add_help: bool = True,
) -> Any:
    """`args` as an instance of the dataclass `kind`.

    Args:
        description: what ``--help`` says first. None: what `kind` says.
        default: an instance of `kind`, where its fields have no defaults of their own.
        add_help: whether there is a ``--help``; not in arguments that nobody has typed.

    Raises:
        UserError: an unknown flag (with the nearest one) or a value of the wrong type, in one line.
        SystemExit: after ``--help``.
    """
    options: dict[str, Any] = {"prog": prog, "args": list(args), "add_help": add_help}
    if description is not None:
        options["description"] = description.replace("``", "").replace("::\n", ":\n")
    if default is not None:
        options["default"] = default
    if add_help and {"--help", "-h"} & set(args):
        return tyro.cli(kind, **options)
    with _one_line_errors(prog):
        return tyro.cli(kind, **options)


def parse_known(kind: Any, args: Sequence[str], prog: str) -> Any:
    """`parse` that passes over flags that `kind` does not have."""
    return parse_own(kind, args, prog)[0]


def parse_own(kind: Any, args: Sequence[str], prog: str) -> tuple[Any, list[str]]:
    """`parse` of the flags that `kind` has, and all other arguments in their order."""
    with _one_line_errors(prog):
        options, others = tyro.cli(kind, prog=prog, args=list(args), add_help=False, return_unknown_args=True)
    return options, others


def read_preset(path: Path) -> dict[Any, Any]:
    """The options in a YAML file.

    Raises:
        UserError: no such file, not UTF-8, not YAML, or not a mapping.
    """
    path = _find_preset(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the preset {path} cannot be read: {getattr(error, 'strerror', error)}") from error
    except yaml.YAMLError as error:
        raise UserError(f"the preset {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        what = "empty" if content is None else f"a {type(content).__name__}"
        raise UserError(f"the preset {path} is {what}; it must be a mapping of options to values")
    return content


def _find_preset(path: Path) -> Path:
    """The file itself, or the preset of that name that comes with textgan."""
    if path.exists():
        return path
    configs = project_folder("configs")
    ours = configs / f"{path.stem}.yaml"
    if ours.exists() and len(path.parts) <= 2:
        return ours
    known = ", ".join(sorted(file.stem for file in configs.glob("*.yaml")))
    raise UserError(f"there is no preset {path}; it must be a YAML file or one of: {known}")


def flags_of(options: Mapping[Any, Any], default: Any, prefix: str = "--") -> list[str]:
    """Nested options as flags: ``{game: {rollouts: 4}}`` is ``--game.rollouts=4``.

    `default` is an instance of what they will be parsed as: an option that is on or off by default is a flag of its
    own (``--resume``, ``--no-resume``), any other takes a value.
    """
    flags: list[str] = []
    for key, value in options.items():
        name = str(key).replace("_", "-")
        known = getattr(default, str(key).replace("-", "_"), None)
        if isinstance(value, Mapping):
            flags += flags_of(value, known, f"{prefix}{name}.")
        elif isinstance(value, bool) and isinstance(known, bool):
            flags.append(f"{prefix}{name}" if value else f"{prefix}no-{name}")
        elif isinstance(value, list | tuple):
            flags += [f"{prefix}{name}", *map(str, value)]
        else:
            flags.append(f"{prefix}{name}={value}")
    return flags


def check_writable(flag: str, file: Path | None) -> None:
    """Raises UserError, before any work is done, where the file that is to be written cannot be one."""
    if file is not None and file.is_dir():
        raise UserError(f"{flag} {file} cannot be written: it is a folder")
    if file is not None and not file.parent.is_dir():
        raise UserError(f"{flag} {file} cannot be written: there is no folder {file.parent}")


def run(main: Callable[[list[str]], None]) -> None:
    """Call `main` with the command line's arguments and exit: 0, 2 on a user's error, 1 when training went wrong.

    A run that was stopped because its generator had collapsed exits with 3. Interruption exits with 128 + the signal's
    number: 130 for SIGINT, 143 for SIGTERM.
    """
    keep_freed_memory()
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # sentences are written as they are read, whatever the locale
    status = 0
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        print(f"textgan: error: {error}", file=sys.stderr)
        status = USER_ERROR
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # the reader of our output has had enough (| head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"textgan: warning: {message}", file=sys.stderr)


@contextlib.contextmanager
def _one_line_errors(prog: str) -> Iterator[None]:
    """Inside, what the parser complains of (in a box as wide as the terminal, so a wide one) is a `UserError`."""
    former = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"
    try:
        with contextlib.redirect_stderr(io.StringIO()) as complaint:
            yield
    except SystemExit:
        raise UserError(_one_line(complaint.getvalue(), prog)) from None
    finally:
        if former is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = former


def _one_line(box: str, prog: str) -> str:
    """What the parser complains of, in one line. Its boxes have a frame or, where there is no UTF-8, none."""
    rows = [row.strip("│╭╮╰╯─ ") for row in box.splitlines()]
    text = "\n".join(row for row in rows if row.strip("-"))
    if found := re.search(r"Unrecognized options: (.*)", text):
        tokens = found[1].split(", ")
        unknown = [token.partition("=")[0] for token in tokens if token.startswith("-")] or tokens
        near = re.findall(r"^--\w[\w.-]*", text, flags=re.MULTILINE)[:3]
        hint = f"did you mean {' or '.join(near)}?" if near else f"see {prog} --help"
        return f"there is no option {' or '.join(unknown)}; {hint}"
    if found := re.search(r"Error parsing (--\S+): .*?(\[.*\]|'.*')\.?$", text, flags=re.MULTILINE):
        flag, value = found.groups()
        shown = re.search(rf"^{re.escape(flag)} (.+)$", text, flags=re.MULTILINE)
        accepted = shown[1].replace("{None}|", "None or ") if shown else "of another type"
        return f"{flag} is {value.strip('[]')}; it must be {accepted}"
    if found := re.search(r"Error parsing [^-\s]\S*: (.*)", text):  # by a __post_init__ of ours, which names the option
        return found[1]
    if found := re.search(r"invalid choice '(.*)' for argument '(.*)'. Expected one of \((.*)\)", text):
        value, flag, choices = found.groups()
        accepted = ", ".join(sorted(re.findall(r"'(.*?)'", choices)))
        return f"{flag} is {value!r}; it must be one of {accepted}"
    if found := re.search(r"Missing value for argument '(.*)'", text):
        return f"{found[1]} needs a value"
    if found := re.search(r"Missing from .*\n(.*)\n(.*) \(required\)", text):
        return f"{found[1]} is missing: {found[2]} See {prog} --help"
    return " ".join(text.split())
