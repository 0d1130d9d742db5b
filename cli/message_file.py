"""Files that hold the YAML or JSON form of one message of the contract, and nothing else."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from cli.failures import BadUsageError

M = TypeVar("M", bound=Message)


def read_file(file: Path, message: M, kind: str) -> M:
    """Fill an empty message from a file of a kind, "study file" for example, and return it.

    Raises:
        BadUsageError: the file cannot be read, is no YAML, or is no such message; names every
            unknown field by its path.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadUsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadUsageError(f"{file} cannot be read: {error}") from None
    try:
        return parse(text, message)
    except BadUsageError as error:
        raise BadUsageError(f"{file} is no {kind}: {error}", error.problems) from None


def parse(text: str, message: M) -> M:
    """Fill an empty message from the text of its file; BadUsageError as in `read_file`."""
    # The stubs of messages name the class of another implementation.
    shape = cast("Descriptor", message.DESCRIPTOR)
    try:
        # The loader is a safe one: it makes plain values only.
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except yaml.YAMLError as error:
        raise BadUsageError(f"not YAML: {_told(error)}") from None
    if not isinstance(content, dict):
        raise BadUsageError(f"it must be one mapping of {shape.name}'s fields")
    misfits = list(_misfits(content, shape, ""))
    if misfits:
        raise BadUsageError(f"its fields are not those of {shape.name}", misfits)
    try:
        return ParseDict(_plain(content), message)
    except ParseError as error:
        raise BadUsageError(str(error).rstrip(".")) from None


def _told(error: yaml.YAMLError) -> str:
    """Return on one line what is wrong with the text, and where."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark, words = error.problem_mark, filter(None, (error.context, error.problem))
    return f"line {mark.line + 1}, column {mark.column + 1}: {', '.join(words)}"


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping of a node; ConstructorError for a repeated key."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _misfits(content: object, message: Descriptor, path: str) -> Iterator[str]:
    """Yield every place where the nested content has not the shape of the message."""
    if not isinstance(content, dict):
        if content is not None:
            yield f"{path}: must be a mapping of {message.name}'s fields"
        return
    for word, value in content.items():
        key = str(word)
        field = message.fields_by_name.get(key) or message.fields_by_camelcase_name.get(key)
        place = f"{path}.{key}" if path else key
        if field is None:
            yield place + _nearest(key, message)
        elif field.is_repeated and not isinstance(value, list):
            yield f"{place}: must be a list"
        elif field.message_type is not None and not _is_well_known(field):
            items = enumerate(value) if isinstance(value, list) else [(None, value)]
            for index, item in items:
                where = place if index is None else f"{place}[{index}]"
                yield from _misfits(item, field.message_type, where)


def _is_well_known(field: FieldDescriptor) -> bool:
    message = field.message_type
    return message is not None and message.full_name.startswith("google.protobuf.")


def _nearest(key: str, message: Descriptor) -> str:
    close = get_close_matches(key, message.fields_by_name, n=1)
    return f": no such field in {message.name}" + (f"; did you mean {close[0]}?" if close else "")


def _plain(content: Any) -> Any:
    """Return YAML's values as JSON's: times as RFC 3339 text, in UTC where no zone is given."""
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_plain(value) for value in content]
    if isinstance(content, datetime):
        moment = content if content.tzinfo else content.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(content, date):
        return f"{content.isoformat()}T00:00:00Z"
    return content
