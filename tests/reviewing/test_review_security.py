"""Closed to others: every way in that is not ours is refused, and nothing of a dataset is ever markup."""

import html
import re

import pytest
from fastapi.testclient import TestClient

from healtheat.reviewing.auth import Guard, is_loopback
from healtheat.reviewing.serve import address, guard_of
from healtheat.reviewing.session import Review
from tests.reviewing.conftest import BASE, PORT
from tests.reviewing.review_set import REASON

PATHS = [
    "/",
    "/queue/mislabel",
    "/classes",
    "/crop/0/large",
    "/image/0/small",
    "/static/review.js",
    "/cleanup.csv",
]
VERDICT = {"finding_id": "0", "verdict": "drop"}


@pytest.mark.parametrize("path", [*PATHS, "/nothing/here"])
def test_without_the_cookie_nothing_is_shown(stranger: TestClient, guard: Guard, path: str) -> None:
    for cookies in ({}, {guard.cookie: "wrong"}, {guard.cookie: guard.token}, {"healtheat_1": guard.session}):
        stranger.cookies.clear()
        stranger.cookies.update(cookies)
        answer = stranger.get(path)
        assert answer.status_code == 401
        assert "사진" not in answer.text and "queue" not in answer.text
    assert stranger.get(f"{path}?token=wrong").status_code == 401
    assert stranger.post("/verdict", data=VERDICT, headers={"Origin": BASE}).status_code == 401


def test_the_token_is_changed_into_a_strict_cookie(stranger: TestClient, guard: Guard) -> None:
    answer = stranger.get(f"/queue/mislabel?state=any&token={guard.token}")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"healtheat_{PORT}=")
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert guard.token not in answer.text + cookie, "the secret of the address is sent nowhere"
    assert 'content="0; url=/queue/mislabel?state=any"' in answer.text
    assert stranger.get("/queue/mislabel?state=any").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1.evil.example:{PORT}",
     f"localhost:{PORT}@evil.example", f"10.0.0.1:{PORT}", "", f"[::2]:{PORT}", "[", f"LOCALHOST.:{PORT}"],
)  # fmt: skip
def test_other_host_names_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 403


def test_own_host_names_are_known(client: TestClient, guard: Guard) -> None:
    for host in ("127.0.0.1", "localhost", "LocalHost", "[::1]"):
        cookie = {"Cookie": f"{guard.cookie}={guard.session}"}
        assert client.get("/", headers={"Host": f"{host}:{PORT}", **cookie}).status_code == 200, host


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"https://127.0.0.1:{PORT}"},
     {"Origin": "http://127.0.0.1:1"}, {"Origin": f"http://localhost:{PORT}"},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
     {"X-CSRF-Token": ""}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": "한"}],
)  # fmt: skip
def test_posts_of_others_are_refused(client: TestClient, review: Review, headers: dict[str, str]) -> None:
    sent = {name: value.encode() for name, value in headers.items()}
    before = review.work.decisions
    for path in ("/verdict", "/undo", "/draw"):
        answer = client.post(path, data=VERDICT, headers=sent)
        assert answer.status_code == 403, answer.text
    assert review.work.decisions == before
    del client.headers["Origin"]
    assert client.post("/verdict", data=VERDICT).status_code == 403
    assert review.work.decisions == before


def test_pictures_are_not_for_other_sites(client: TestClient) -> None:
    for site, mode, status in (("cross-site", "no-cors", 403), ("same-origin", "no-cors", 200),
                               ("none", "navigate", 200), ("cross-site", "navigate", 200)):  # fmt: skip
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
        assert client.get("/crop/0/small", headers=headers).status_code == status


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/queue/mislabel?min_score=x", "/queue/odd"])
def test_every_answer_is_locked_down(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert (
        "private" in headers["cache-control"] or "no-store" in headers["cache-control"] or "/static/" in path
    )


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    assert client.request(method, "/verdict").status_code in (403, 405)


@pytest.mark.parametrize(
    "path",
    ["/crop/..%2f..%2fetc%2fpasswd/small", "/crop/999999/small", "/crop/-1/small", "/crop/0/huge",
     "/image/0/x", "/image/99/small", "/image/1e3/small", "/static/../app.py", "/static/%2e%2e/app.py",
     "/queue/mislabel/999999", "/queue/mislabel/9223372036854775808", "/queue/mislabel/x", "/docs",
     "/openapi.json"],
)  # fmt: skip
def test_there_is_nothing_else(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 401), answer.text
    assert "import" not in answer.text


@pytest.mark.parametrize(
    "path", ["/queue/mislabel?state=any", "/queue/all/0", "/queue/all/0?part=1", "/classes"]
)
def test_no_value_of_a_dataset_is_markup(client: TestClient, path: str) -> None:
    text = client.get(path).text
    assert "<b>another" not in text
    for tag in re.findall(r"<script[^>]*>", text):
        assert tag == '<script src="/static/review.js" type="module">'
    assert not re.search(r"<[^>]+\s(style|on\w+)\s*=", text), "the policy forbids inline code and style"
    if "queue" in path:
        assert html.escape(REASON, quote=False).replace('"', "&#34;") in text
        assert "&lt;script&gt;" in text and "타이레놀정500mg" in text


def test_addresses_in_filters_are_escaped(client: TestClient) -> None:
    text = client.get('/queue/mislabel?split="><script>alert(1)</script>&signal=%00&class=3').text
    assert "<script>alert" not in text


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_a_form_leads_nowhere_else(client: TestClient, to: str) -> None:
    answer = client.post("/verdict", data={**VERDICT, "next": to})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_fresh_token_only_for_who_signed_in(client: TestClient, stranger: TestClient, guard: Guard) -> None:
    assert client.get("/session").json() == {"csrf": guard.csrf}
    answer = client.get("/session", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"})
    assert answer.status_code == 403
    answer = stranger.get("/session")
    assert answer.status_code == 401 and guard.csrf not in answer.text


def test_large_and_odd_bodies_are_refused(client: TestClient, review: Review) -> None:
    before = review.work.decisions
    assert client.post("/verdict", content=b"x" * 100_000).status_code == 400
    assert client.post("/verdict", content=b"&".join([b"a=1"] * 50)).status_code in (400, 403)
    assert client.post("/verdict", content=b"\xff\xfe%zz").status_code in (404, 422)
    assert review.work.decisions == before


def test_beyond_loopback() -> None:
    assert is_loopback("127.0.0.1") and is_loopback("::1") and is_loopback("localhost")
    assert not is_loopback("0.0.0.0") and not is_loopback("192.168.1.2") and not is_loopback("example.org")
    everywhere = guard_of("0.0.0.0", PORT)
    assert address("0.0.0.0", everywhere).startswith(f"http://127.0.0.1:{PORT}/?token=")
    assert everywhere.refuse("GET", {"host": f"192.168.1.2:{PORT}"}) is None
    assert everywhere.refuse("GET", {"host": f"evil.example:{PORT}"}) is not None
    one = guard_of("192.168.1.2", PORT)
    assert one.refuse("GET", {"host": f"192.168.1.2:{PORT}"}) is None
    assert one.refuse("GET", {"host": f"192.168.1.3:{PORT}"}) is not None
    assert one.refuse("GET", {"host": f"localhost:{PORT}"}) is not None


def test_secrets_differ_from_run_to_run() -> None:
    a, b = Guard(port=1), Guard(port=1)
    assert len({a.token, b.token, a.session, b.session, a.csrf, b.csrf}) == 6
    assert len(a.token) >= 32
