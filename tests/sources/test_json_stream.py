"""The streaming JSON reader agrees with the standard one, whatever the size of its chunks."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.sources import json_stream
from healtheat.sources.json_stream import BadJson, JsonObject

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(st.text(max_size=5), values, max_size=5)


def collect(data: bytes) -> dict:
    reader = JsonObject(io.BytesIO(data), 2**30)
    found: dict = {}
    for key, index, item in reader:
        if index is None:
            found[key] = item
        else:
            found.setdefault(key, []).append(item)
            assert len(found[key]) == index + 1
    for key in reader.keys - set(found):
        found[key] = []
    assert reader.size == len(data)
    return found


@given(documents, st.integers(1, 7), st.booleans(), st.sampled_from([None, 1]))
def test_agrees_with_the_standard_parser(document, chunk, ascii_only, indent):
    data = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK_BYTES", chunk)
        assert collect(data) == document


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:01e-.naN \n', max_size=40).map(str.encode))
def test_any_bytes_parse_or_are_bad_json(data):
    try:
        found = collect(data)
    except BadJson as error:
        assert error.line >= 0 and "\n" not in str(error)
        return
    json.loads(data.decode("utf-8-sig"))
    assert isinstance(found, dict)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("", "found nothing", 0),
        ("\n[1]", "found a list", 1),
        ('{"a": 1,\n "a": 2}', "given twice", 1),
        ('{"a":\n[1,\n2,]}', "Expecting value", 2),
        ('{"a": [1, 2', "file ends", 0),
        ('{"a": "x', "Unterminated", 0),
        ('{"a": 1} x', "more text", 0),
        ('{"a":' + "[" * 100_000, "nested too deeply", 0),
        ('{"a":' + '{"a":' * 100_000, "nested too deeply", 0),
        ('{"a":' + "9" * 5000 + "}", "too many digits", 0),
    ],
)
def test_bad_json_says_what_and_where(text, reason, line):
    with pytest.raises(BadJson, match=reason) as error:
        collect(text.encode())
    assert error.value.line == line


def test_limits(monkeypatch):
    with pytest.raises(BadJson, match="larger than 1 MiB"):
        list(JsonObject(io.BytesIO(b'{"a": [' + b"1," * 2**20 + b"1]}"), 2**20))
    with pytest.raises(BadJson, match="keys"):
        collect(json.dumps({str(i): i for i in range(2000)}).encode())
    monkeypatch.setattr(json_stream, "MAX_ITEM_CHARS", 1000)
    with pytest.raises(BadJson, match="more than 1000 characters"):
        list(JsonObject(io.BytesIO(b'{"a": "' + b"x" * 3 * 2**20 + b'"}'), 2**30))


def test_bom_and_nan_are_read():
    found = collect(b'\xef\xbb\xbf{"a": [NaN, -Infinity]}')
    assert str(found) == "{'a': [nan, -inf]}"
    with pytest.raises(BadJson, match="UTF-8"):
        collect('{"a": 1}'.encode("utf-16"))
