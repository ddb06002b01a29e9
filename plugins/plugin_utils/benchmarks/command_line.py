"""What the command lines of all benchmarks have in common, as people write them into notes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import Side


@dataclass(frozen=True)
class Command:
    """One benchmark command as it was written.

    ``address`` is the server's: where it listens or what the client calls. ``client_address`` is what the
    client binds to. ``parameters`` have the names of ``benchmarks``, the tool's own defaults filled in.
    """

    tool: str
    side: Side
    argv: tuple[str, ...]
    address: str | None = None
    client_address: str | None = None
    port: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


class NotACommand(ValueError):
    """The words after the tool's name are not its options: prose, or the tool's output."""


@dataclass(frozen=True)
class Option:
    """One option as it was written: its long name (or what was written), its value, and its words."""

    name: str
    value: str | None
    words: tuple[str, ...]


def long_names(text: str) -> Mapping[str, str]:
    """``c=client`` pairs as short name to long name; a word alone is its own long name."""
    pairs = (item.partition("=") for item in text.split())
    return {name: long or name for name, _, long in pairs}


def options(words: Sequence[str], values: Mapping[str, str], flags: Collection[str]) -> Iterator[Option]:
    """The options in a command. Raises `NotACommand` at anything else.

    ``values`` are the options that take a value, short or old name to the long one; ``flags`` take none. An option in
    neither takes the word behind it for its value, unless that begins with a dash.
    """
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if not word.startswith("-") or word in ("-", "--"):
            raise NotACommand(word)
        name, value = _split_option(word, values)
        known = values.get(name) or (name if name in values.values() else None)
        spent: tuple[str, ...] = (word,)
        if known is not None and value is None:
            if index >= len(words):
                raise NotACommand(word)
            value, spent = words[index], (word, words[index])
            index += 1
        elif known is None and value is None and name not in flags and not "".join(words[index:][:1]).startswith("-"):
            spent = tuple(words[index - 1 : index + 1])
            index += 1
        yield Option(known or name, value, spent)


def _split_option(word: str, values: Mapping[str, str]) -> tuple[str, str | None]:
    """``--time=30`` and ``-t30`` as name and value; other words as name alone."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None
    if len(word) > 2 and word[1] in values:
        return word[1], word[2:].lstrip("=")
    return word[1:], None


def whole(text: str | None) -> int | None:
    """A whole number of at most nine digits, None for any other text."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def number(text: str | None, default: Any) -> Any:
    """A whole number where it is one; a text that is not stays as it was written."""
    if text is None:
        return default
    found = whole(text)
    return text if found is None else found
