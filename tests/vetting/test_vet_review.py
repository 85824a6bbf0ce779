"""Held boxes on the review page, beside the crops that are trusted."""

import re

import pytest
from fastapi.testclient import TestClient

from healtheat.building.build import build
from healtheat.building.open_data import open_data
from healtheat.core.errors import InputError
from healtheat.index import Index
from healtheat.reviewing.app import create_app
from healtheat.reviewing.auth import Guard
from healtheat.reviewing.session import Review
from healtheat.vetting.open_batch import open_batch
from healtheat.vetting.run import vet
from tests.index.small_set import FakeEncoder, write_set

BASE = "http://127.0.0.1:8765"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A trusted index and a batch that was vetted by it, with every third line of a class it is not."""
    home = tmp_path_factory.mktemp("vetted")
    source, _ = open_data(write_set(home / "set", images=36), index=home / "index")
    build(source, home / "index", encoder=FakeEncoder(), signals=())
    data = write_set(home / "new", images=6, seed=77)
    for file in sorted((home / "new").rglob("labels/*.txt"))[:2]:
        lines = file.read_text(encoding="utf-8").splitlines()
        class_id, rest = lines[0].split(" ", 1)
        lines[0] = f"{0 if int(class_id) else 3} {rest}"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    source, to = open_batch(data, home / "index", to=home / "batch")
    vet(source, home / "index", to, encoder=FakeEncoder())
    return home


def client_of(review):
    guard = Guard(port=8765)
    client = TestClient(create_app(review, guard), base_url=BASE, follow_redirects=False)
    assert client.get(f"/?token={guard.token}").status_code == 200
    return client


def pages(client, index):
    """Class id and page of every held box."""
    rows = index.sql("SELECT finding_id, issue, class_id FROM findings WHERE flagged").to_pylist()
    assert rows
    return [(row["class_id"], client.get(f"/queue/{row['issue']}/{row['finding_id']}")) for row in rows]


STRIP = re.compile(r'<section class="strip"><h3>(nearest trusted[^<]*)</h3>(.*?)</section>', re.DOTALL)


def test_a_held_box_is_shown_beside_trusted_crops(folders):
    with Index.open(folders / "batch") as batch, Index.open(folders / "index") as trusted:
        client = client_of(Review(batch, "누구", trusted=trusted))
        known = trusted.boxes()
        class_of = dict(zip(known.box_id.tolist(), known.class_id.tolist(), strict=True))
        suggested = 0
        for given, page in pages(client, batch):
            assert page.status_code == 200 and "nearest trusted crops of its class" in page.text
            for title, strip in STRIP.findall(page.text):
                ids = [int(one) for one in re.findall(r"/trusted/(\d+)/small", strip)]
                classes = {class_of[one] for one in ids}
                assert len(ids) >= 2 and len(classes) == 1
                suggested += "suggested" in title
                assert (classes == {given}) == ("suggested" not in title)
                found = client.get(f"/trusted/{ids[0]}/small")
                assert found.headers["content-type"] == "image/jpeg" and found.content[:2] == b"\xff\xd8"
        assert suggested >= 2
        assert client.get("/trusted/999999/small").status_code == 404
        assert client.get("/trusted/0/huge").status_code == 404


def test_without_the_trusted_index_there_is_no_such_strip(folders):
    with Index.open(folders / "batch") as batch:
        client = client_of(Review(batch, "누구"))
        assert not any("/trusted/" in page.text for _, page in pages(client, batch))
        assert client.get("/trusted/0/small").status_code == 404


def test_an_index_of_other_embeddings_is_refused(folders, tmp_path):
    source, _ = open_data(folders / "set" / "data.yaml", index=tmp_path / "other")
    build(source, tmp_path / "other", encoder=FakeEncoder(dim=7), signals=())
    with (
        Index.open(folders / "batch") as batch,
        Index.open(tmp_path / "other") as other,
        pytest.raises(InputError, match="cannot be compared"),
    ):
        Review(batch, "누구", trusted=other)
