"""YAML as plain data: what each scalar is, where each key stands, and what is refused in one line."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdred.config import dump_yaml, read_yaml
from cdred.errors import CdredError


def parsed(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode())
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1E5", 1e5), ("-.5", -0.5), ("3.", 3.0), ("+4", 4), ("0", 0),
        ("true", True), ("False", False), ("~", None), ("", None), ("null", None),
        ("'1'", "1"), ('"true"', "true"), ("!!str 5", "5"), (".inf", float("inf")),
        # What versions of YAML read differently is text in quotes.
        ("'yes'", "yes"), ("'010'", "010"), ("'1:30'", "1:30"), ("'2024-02-30'", "2024-02-30"),
        ("docker://x:5000/y", "docker://x:5000/y"), ("1:99", "1:99"), ("_1", "_1"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    found = parsed(tmp_path, f"a: {text}\n")[0]["a"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("010", "8 or 10"), ("-09", "-9"), ("0x1F", "31"), ("0o17", "15"), ("0b11", "3"),
        ("1:30", "90"), ("1:30:00", "5400"), ("1:30.5", "90.5"), ("1_000", "1000"),
        ("01.5", "1.5"), ("yes", "true"), ("Off", "false"), ("2024-02-30", "a date"),
    ],
)  # fmt: skip
def test_what_versions_of_yaml_read_differently_is_refused_with_what_to_write(
    tmp_path: Path, text: str, meant: str
) -> None:
    with pytest.raises(CdredError, match=rf"x.yaml:1: {text}: {meant} to some versions of YAML"):
        parsed(tmp_path, f"a: {text}\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: !!int x\n", "1: !!int: tags are not read"),
        ("a: !!bool x\n", "1: !!bool: tags are not read"),
        ("a: 1\nb: !!timestamp now\n", "2: !!timestamp: tags are not read"),
        ("a: !!python/object/apply:os.system [ls]\n", "1: !!python/object/apply:os.system: tags"),
        ("a: !!set {b}\n", "1: !!set: tags are not read"),
        ("a: &a [*a]\n", "1: an alias of itself"),
        ("a: &a {b: *a}\n", "1: an alias of itself"),
        ("a: &a {<<: *a}\n", "1: an alias of itself"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested more than 50 deep"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
            f"{y}: &{y} [{', '.join([f'*{x}'] * 8)}]\n" for x, y in zip("abcdefgh", "bcdefghi", strict=True)
        ), "more than 20000 values, aliases written out"),
        ("a: {b: 1, b: 2}\n", "1: a.b: this key stands here twice"),
        ("[a]: 1\n", "1: configuration: a key must be a name"),
        ("- a\n", "expected a mapping of keys"),
        ("", "expected a mapping of keys"),
        ("a: b\n<<: c\n", "2: <<: merges mappings only"),
        ("a: b\n<<: &a [*a]\n", "2: <<: merges mappings only"),
        ("a: b\n<<: [[{c: d}]]\n", "2: <<: merges mappings only"),
        ("a: b: c\n", "1: not valid YAML: mapping values are not allowed here"),
        ("a: \x00\n", "not valid YAML"),
        ("#" * 2**21, "larger than 262144 bytes"),
        ("a: [" + "1," * 50_000 + "]", "1: not valid YAML: more than 20000 values"),
        ("a: &x 1\n" + "".join(f"k{i}: &k{i} [{'[' * 30}*{x}{']' * 30}]\n" for i, x in enumerate(
            ["x", *(f"k{i}" for i in range(30))]
        )), "nested more than 50 deep, aliases written out"),
        ("!!int a: 1\n", "1: !!int: tags are not read"),
        ("1: a\n", "1: 1: a key must be text; put it in quotes"),
        ("2024-01-01: a\n", "1: 2024-01-01: a date to some versions of YAML"),
        ("a: *" + "x" * 9000, "1: not valid YAML: found undefined alias"),
        ("a: 1\nb: " + "9" * 5000, "2: '99999"),
        ('a: "x\\ny"\n', "1: 'x\\ny': has a line break or a control character"),
        ('a: "\\e[31m"\n', "1: '\\x1b[31m': has a line break or a control character"),
        ('a: "\\ud800"\n', "1: '\\ud800': has a line break or a control character"),
    ],
)  # fmt: skip
def test_what_is_no_plain_data_is_refused(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(CdredError) as caught:
        parsed(tmp_path, text)
    assert line in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 200


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\na: \xff")
    with pytest.raises(CdredError, match=r"x\.yaml:2: not text in UTF-8"):
        read_yaml(path)
    with pytest.raises(CdredError, match="cannot be read"):
        read_yaml(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CdredError, match="not a regular file"):
        read_yaml(tmp_path / "fifo")
    with pytest.raises(CdredError, match="cannot be read: File name too long"):
        read_yaml(tmp_path / ("x" * 300))


def test_merged_keys_stand_where_they_were_written(tmp_path: Path) -> None:
    data, places = parsed(
        tmp_path, "one: &one\n  a: 1\n  b: {c: 2}\ntwo:\n  <<: *one\n  b: {d: 3}\n"
    )
    assert data["two"] == {"a": 1, "b": {"d": 3}}
    assert places["two", "a"].endswith(":2")
    assert places["two", "b"].endswith(":6")
    assert ("two", "b", "c") not in places
    data, _ = parsed(tmp_path, "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b]}\n")
    assert data["c"] == {"x": 1, "y": 1, "z": 2}


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    short = ["".join(parts) for n in (1, 2, 3) for parts in product("019eE.+-_:oxb", repeat=n)]
    texts = [
        *short, "1e-3", "-1E+05", "0o17", "1:30", "1_000", "2024-02-30", "yes", "Off", "null", "~",
        "True", "", ".inf", "-.INF", ".nan", "<<", "=", "a: b", "# a", " a", "café", "x " * 200,
    ]  # fmt: skip
    data = {text: text for text in texts} | {"other": [1, 1e-3, 1e300, True, None, float("inf")]}
    written = dump_yaml(data)
    assert parsed(tmp_path, written)[0] == data
    assert yaml.safe_load(written) == data  # YAML 1.1
