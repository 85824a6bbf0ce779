"""XML read child by child; what strangers may put into it is refused."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.sources import xml_stream
from healtheat.sources.xml_stream import BadXml, XmlChildren

LAUGHS = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a><b>&y;</b></a>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "secret.txt">]><a><b>&x;</b></a>'


def children(content: str | bytes, limit: int = 10**6) -> list[tuple[int, str]]:
    data = content if isinstance(content, bytes) else content.encode()
    return [(line, child.tag) for line, child in XmlChildren(io.BytesIO(data), limit)]


def test_children_in_order_with_their_lines() -> None:
    stream = XmlChildren(io.BytesIO("<r>\n<b k='1'>약<c/>tail</b>\n\n<d/></r>".encode()), 1000)
    (first, b), (second, d) = list(stream)
    assert (first, second, stream.root, stream.size) == (1, 3, "r", 38)
    assert (b.attrib, b.text, b[0].tag, b[0].tail, d.tag) == ({"k": "1"}, "약", "c", "tail", "d")


@pytest.mark.parametrize("content", [LAUGHS, OUTSIDE, '<!DOCTYPE a SYSTEM "a.dtd"><a/>'])
def test_a_document_type_is_refused(content: str) -> None:
    with pytest.raises(BadXml, match="DOCTYPE"):
        children(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no element found"),
        ("<a><b></a>", "mismatched tag"),
        ("<a/><a/>", "junk after"),
        ("<a>" * 60, "nested too deeply"),
        (b'<?xml version="1.0" encoding="euc-kr"?><a/>', "save the file as UTF-8"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "unknown encoding"),
        (b"<a>\xff\xfe\xfd</a>", "not well-formed"),
        ("<a>&nbsp;</a>", "undefined entity"),
    ],
)
def test_what_is_no_xml(content: str | bytes, reason: str) -> None:
    with pytest.raises(BadXml, match=reason):
        children(content)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadXml, match="larger than"):
        children("<a>" + "<b/>" * 100 + "</a>", 50)
    monkeypatch.setattr(xml_stream, "MAX_ITEM_BYTES", 1000)
    monkeypatch.setattr(xml_stream, "_CHUNK_BYTES", 100)
    assert len(children("<a>" + "<b>x</b>\n" * 1000 + "</a>")) == 1000
    for long in ("<b>" + "x" * 2000 + "</b>", f"<b k='{'x' * 2000}'/>", "<b>" + "<c/>" * 500 + "</b>"):
        with pytest.raises(BadXml, match="element of more than"):
            children(f"<a><z/>{long}</a>")


@given(st.binary(max_size=60) | st.text("<>/&;a'= !?[]-", max_size=60).map(str.encode))
def test_anything_is_read_or_refused(content: bytes) -> None:
    try:
        children(content)
    except BadXml as error:
        assert error.line >= 0 and "\n" not in str(error)
