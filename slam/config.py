# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Configuration: frozen dataclasses that a YAML file fills, checked key by key.

A field's type may be bool, int, float, str, Path, an Enum (by value), a Literal, another dataclass, Optional or a union
of these, and tuple, list or dict of them.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from slam.errors import ConfigError
from slam.files import write_text

C = TypeVar("C")


def load(cls: type[C], path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> C:
    """Fill the dataclass ``cls``: its defaults, then the YAML file, then the overrides.

    Args:
        cls: a dataclass whose fields all have defaults.
        path: YAML file with a mapping at its top; an empty file changes nothing.
        overrides: nested like the YAML, or with dotted keys: ``{"map.voxel_m": 0.5}``.

    Raises:
        ConfigError: for an unreadable file, an unknown key (names the nearest known one), or a value of the wrong type.
    """
    values: dict[str, Any] = {}
    if path is not None:
        values = _merge(values, _read(Path(path)))
    if overrides:
        values = _merge(values, _undot(overrides))
    where = f" in {path}" if path is not None else ""
    try:
        return _build(cls, values, "")
    except ConfigError as error:
        raise ConfigError(f"{error}{where}") from None


def to_dict(config: Any) -> dict[str, Any]:
    """The resolved configuration as plain dicts, lists, numbers and strings, ready for YAML or JSON."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def dump_yaml(config: Any) -> str:
    """The resolved configuration as YAML that ``load`` reads back to an equal one."""
    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True, width=120)


def dump(config: Any, path: str | Path) -> Path:
    """Write the resolved configuration to ``path``, aside first and then renamed."""
    return write_text(path, dump_yaml(config))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {getattr(error, 'strerror', error)}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping of keys to values, not a {type(values).__name__}")
    return values


def _undot(overrides: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in overrides.items():
        for part in reversed(str(key).split(".")):
            value = {part: value}
        nested = _merge(nested, value)
    return nested


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _build(cls: type[C], values: Any, path: str) -> C:
    if isinstance(values, cls):
        return values
    if not isinstance(values, Mapping):
        raise _wrong(path, "a mapping of keys to values", values)
    hints = typing.get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise _unknown(key, known, path)
    prefix = f"{path}." if path else ""
    arguments = {key: _convert(hints[key], value, f"{prefix}{key}") for key, value in values.items()}
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:  # a field without default, or what __post_init__ refuses
        raise ConfigError(f"{path or cls.__name__}: {error}") from None


def _unknown(key: Any, known: list[str], path: str) -> ConfigError:
    full = f"{path}.{key}" if path else str(key)
    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
    hint = f": did you mean {near[0]!r}?" if near else ""
    return ConfigError(f"unknown configuration key {full!r}{hint}")


def _wrong(path: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(f"{path or 'configuration'} must be {expected}, got {value!r} ({type(value).__name__})")


def _convert(kind: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(kind, value, path)
    if origin is Literal:
        return _convert_literal(kind, value, path)
    if origin in (tuple, list):
        return _convert_sequence(kind, value, path)
    if origin is dict:
        return _convert_dict(kind, value, path)
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, path)  # type: ignore[arg-type]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _convert_enum(kind, value, path)
    if kind in _SCALARS:
        return _SCALARS[kind](value, path)
    raise ConfigError(f"{path}: fields of type {kind} cannot be configured")


def _convert_union(kind: Any, value: Any, path: str) -> Any:
    options = typing.get_args(kind)
    if value is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    if len(options) == 1:
        return _convert(options[0], value, path)
    for option in options:
        try:
            return _convert(option, value, path)
        except ConfigError:
            continue
    raise _wrong(path, "one of " + ", ".join(getattr(o, "__name__", str(o)) for o in options), value)


def _convert_literal(kind: Any, value: Any, path: str) -> Any:
    options = typing.get_args(kind)
    for option in options:
        if type(option) is type(value) and option == value:
            return option
    raise _wrong(path, "one of " + ", ".join(map(repr, options)), value)


def _convert_enum(kind: type[Enum], value: Any, path: str) -> Enum:
    for member in kind:
        if value is member or (type(member.value) is type(value) and member.value == value):
            return member
    raise _wrong(path, "one of " + ", ".join(repr(member.value) for member in kind), value)


def _convert_sequence(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise _wrong(path, "a list", value)
    origin, items = typing.get_origin(kind), typing.get_args(kind)
    if origin is list or (len(items) == 2 and items[1] is Ellipsis):
        kinds = [items[0]] * len(value)
    elif len(items) != len(value):
        raise _wrong(path, f"a list of {len(items)}", value)
    else:
        kinds = list(items)
    return origin(_convert(k, v, f"{path}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))


def _convert_dict(kind: Any, value: Any, path: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(path, "a mapping of keys to values", value)
    key_kind, value_kind = typing.get_args(kind)
    return {
        _convert(key_kind, key, f"{path} key"): _convert(value_kind, item, f"{path}.{key}")
        for key, item in value.items()
    }


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, "true or false", value)
    return value


def _integer(value: Any, path: str) -> int:
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        raise _wrong(path, "a whole number", value)
    return int(value)


def _number(value: Any, path: str) -> float:
    try:  # YAML 1.1 reads 1e-3, which lacks a dot, as text
        number = float("nan") if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if math.isnan(number):
        raise _wrong(path, "a number", value)
    return number


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(path, "text", value)
    return value


def _path(value: Any, path: str) -> Path:
    if not isinstance(value, (str, Path)):
        raise _wrong(path, "a path", value)
    return Path(value)


_SCALARS: dict[Any, Callable[[Any, str], Any]] = {
    bool: _boolean,
    int: _integer,
    float: _number,
    str: _text,
    Path: _path,
}
