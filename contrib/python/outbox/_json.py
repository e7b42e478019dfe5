"""Rows, keys and payloads to JSON and back, as the library reads and writes them."""

from __future__ import annotations

import base64
import json
import math
from typing import Any, Mapping, Sequence, Union

_BYTES = (bytes, bytearray, memoryview)

Key = Union[str, int, float, bytes, bytearray, memoryview, Sequence[Any]]


def _value(value: Any) -> str:
    if isinstance(value, _BYTES):
        return json.dumps({"$base64": base64.b64encode(value).decode()})
    if isinstance(value, float) and math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def dump_row(row: Mapping[str, Any]) -> str:
    """bytes are a BLOB; a list or dict is stored as its JSON text."""
    return "{" + ",".join(f"{json.dumps(name)}:{_value(value)}" for name, value in row.items()) + "}"


def dump_key(key: Key) -> str | int | float | bytes:
    """A composite key is given as a tuple, in the primary key's order."""
    if isinstance(key, (str, int, float)):
        return key
    if isinstance(key, _BYTES):
        return bytes(key)
    return "[" + ",".join(_value(part) for part in key) + "]"


def dump_payload(payload: Any) -> str | bytes | None:
    """bytes go as bytes, None as no payload, anything else as JSON."""
    if isinstance(payload, _BYTES):
        return bytes(payload)
    if payload is None:
        return None
    return json.dumps(payload, ensure_ascii=False, allow_nan=False)


def _blob(value: dict[str, Any]) -> Any:
    if len(value) == 1 and isinstance(value.get("$base64"), str):
        return base64.b64decode(value["$base64"])
    return value


def load_row(text: str) -> dict[str, Any]:
    row = json.loads(text, object_hook=_blob)
    if not isinstance(row, dict):
        raise ValueError(f"not a row: {text[:40]}")
    return row
