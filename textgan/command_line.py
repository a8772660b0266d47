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
from textgan.resources import project_folder

USER_ERROR = 2


def parse(kind: Any, args: Sequence[str], prog: str, description: str | None = None, default: Any = None) -> Any:
    """`args` as an instance of the dataclass `kind` (or the result of the function `kind`).

    Raises:
        UserError: an unknown flag (with the nearest one) or a value of the wrong type, in one line.
        SystemExit: after ``--help``.
    """
    options = {"prog": prog, "description": description, "args": list(args)}
    if default is not None:
        options["default"] = default
    if {"--help", "-h"} & set(args):
        return tyro.cli(kind, **options)
    with _wide_stderr() as complaint:
        try:
            return tyro.cli(kind, **options)
        except SystemExit:
            raise UserError(_one_line(complaint.getvalue())) from None


def read_preset(path: Path) -> dict[str, Any]:
    """The options in a YAML file.

    Raises:
        UserError: no such file, not YAML, or not a mapping.
    """
    path = _find_preset(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the preset {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UserError(f"the preset {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"the preset {path} is a {type(content).__name__}; it must be a mapping of options to values")
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


def flags_of(options: Mapping[str, Any], default: Any, prefix: str = "--") -> list[str]:
    """Nested options as flags: ``{game: {rollouts: 4}}`` is ``--game.rollouts 4``.

    `default` is an instance of what they will be parsed as: an option that is on or off by default is a flag of its
    own (``--resume``, ``--no-resume``), any other takes a value.
    """
    flags: list[str] = []
    for key, value in options.items():
        name = key.replace("_", "-")
        known = getattr(default, key.replace("-", "_"), None)
        if isinstance(value, Mapping):
            flags += flags_of(value, known, f"{prefix}{name}.")
        elif isinstance(value, bool) and isinstance(known, bool):
            flags.append(f"{prefix}{name}" if value else f"{prefix}no-{name}")
        elif isinstance(value, list | tuple):
            flags += [f"{prefix}{name}", *map(str, value)]
        else:
            flags += [f"{prefix}{name}", str(value)]
    return flags


def run(main: Callable[[list[str]], None]) -> None:
    """Call `main` with the command line's arguments and exit: 0, 2 on a user's error, 1 when training went wrong.

    Interruption exits with 128 + the signal's number: 130 for SIGINT, 143 for SIGTERM.
    """
    warnings.showwarning = _show_warning
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
def _wide_stderr() -> Iterator[io.StringIO]:
    """Catches what the parser complains of: a framed box as wide as the terminal, so a wide one."""
    former = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"
    try:
        with contextlib.redirect_stderr(io.StringIO()) as complaint:
            yield complaint
    finally:
        if former is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = former


def _one_line(box: str) -> str:
    """The parser's complaint without its frame: the error itself and the flags it suggests."""
    rows = [row.strip("│ \t") for row in box.splitlines() if row.startswith("│")]
    sections: list[list[str]] = [[]]
    for row in rows:
        if set(row) <= {"─"}:
            sections.append([])
        else:
            sections[-1].append(row)
    message = " ".join(sections[0]).rstrip(".") or " ".join(box.split())
    rest = [row for section in sections[1:] for row in section]
    flags = [row for row in rest if re.match(r"-", row)]
    if flags and any(row.startswith("Perhaps") for row in rest):
        message += f"; did you mean {' or '.join(flag.split()[0] for flag in flags[:3])}?"
    elif flags:
        message += f"; expected {flags[0]}"
    return message[:1].lower() + message[1:]
