"""Which texts are URLs of images on the web, and what is sent of them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from service.core.errors import RejectedError
from service.media.errors import ImageReferenceError, SchemeNotAllowedError
from service.media.fetch.web_address import canonical_hosts, host_of, parse_redirect, parse_web_address


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://cdn.example.com/42.jpg", "cdn.example.com"),
        ("https://CDN.Example.COM:8443/42.jpg", "cdn.example.com"),
        ("http://cdn.example.com./42.jpg", "cdn.example.com"),
        ("http://under_score.example.com/", "under_score.example.com"),
        ("http://bücher.example/ä.jpg", "xn--bcher-kva.example"),
        ("http://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("http://93.184.216.34/42.jpg", "93.184.216.34"),
        ("http://[2606:4700::1111]/42.jpg", "2606:4700::1111"),
        ("http://7.example/", "7.example"),
        ("http://minio/", "minio"),
    ],
)
def test_the_host_is_reported_in_one_form(text: str, host: str) -> None:
    assert host_of(parse_web_address(text)) == host


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "http:///42.jpg",
        "http:42.jpg",
        "http://:80/",
        "http://h:99999/",
        "http://h:x/",
        "http://user@h/",
        "http://user:password@h/",
        "http://:@h/",
        "http://@h/",
        "http://h\\@g/",
        "http://a b/",
        "http://h\t/",
        "http://h/\n",
        "http://h/\x7f",
        "http://a..b/",
        "http://.h/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 130}example/",
        "http://127.1/",
        "http://1.2.3/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://01.2.3.4/",
        "http://0x7f.0.0.1/",
        "http://example.0x7f/",
        "http://3232235521/",
        "http://[1.2.3.4]/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.name]/",
        "http://[::1/",
        "http://h%2eg/",
        "http://\ud800/",
        "http://a\u200bb/",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_url(text: str) -> None:
    with pytest.raises(ImageReferenceError):
        parse_web_address(text)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("http://h/a b%2Fc%7Ed%41.jpg", "http://h/a%20b%2Fc%7Ed%41.jpg"),
        ("http://h/ü%2F%7e.jpg?q=%2B ü&s=a+b", "http://h/%C3%BC%2F%7e.jpg?q=%2B%20%C3%BC&s=a+b"),
        ("http://bücher.example:8080/%7Eü", "http://xn--bcher-kva.example:8080/%7E%C3%BC"),
        ("HTTP://h/[a]|{b}'\"<>^`", "HTTP://h/[a]|{b}'\"<>^`"),
        ("http://h/100%.jpg x", "http://h/100%.jpg%20x"),
        ("http://h/a.jpg  ", "http://h/a.jpg"),
        ("http://h/a.jpg?b=c d#e f", "http://h/a.jpg?b=c%20d#e%20f"),
    ],
)
def test_only_what_cannot_be_sent_is_escaped(text: str, sent: str) -> None:
    assert parse_web_address(text) == URL(sent, encoded=True)


@pytest.mark.parametrize(
    "text", ["http://" + "ü." * 500_000, "http://h/" + "ü" * 1_000_000, "http://h/" + "a" * 16_384]
)
def test_a_url_that_no_server_takes_is_refused_at_once(text: str) -> None:
    before = time.process_time()
    with pytest.raises(ImageReferenceError):
        parse_web_address(text)
    with pytest.raises(ImageReferenceError):
        parse_redirect(URL("http://h/"), text)
    assert time.process_time() - before < 0.1


def test_a_long_url_is_escaped_in_a_moment() -> None:
    before = time.process_time()
    assert len(str(parse_web_address("http://h/" + "ü" * 16_000))) > 16_000
    assert time.process_time() - before < 0.1


def test_half_a_character_is_no_part_of_a_url() -> None:
    for text in ("http://h/\ud800", "http://h/\udce9"):
        with pytest.raises(ImageReferenceError):
            parse_web_address(text)


@given(st.text(max_size=60), st.sampled_from(["http://", "https://", "http:", "http://h/", "http://h?"]))
def test_every_text_is_a_url_or_rejected(text: str, start: str) -> None:
    try:
        url = parse_web_address(start + text)
    except RejectedError:
        return
    assert host_of(url).isascii()
    assert url.user is None


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b.jpg", "http://h/folder/b.jpg"),
        ("/b.jpg?x=%2F", "http://h/b.jpg?x=%2F"),
        ("//g/b.jpg", "http://g/b.jpg"),
        ("https://g/b%2Fc.jpg", "https://g/b%2Fc.jpg"),
        ("/ü b.jpg", "http://h/%C3%BC%20b.jpg"),
        ("?page=2", "http://h/folder/a.jpg?page=2"),
        ("/caf\udce9.jpg", "http://h/caf%E9.jpg"),
        ("/a%7Eb%2F c.jpg?d=%41é", "http://h/a%7Eb%2F%20c.jpg?d=%41%C3%A9"),
        (" https://g/b.jpg ", "https://g/b.jpg"),
        ("//bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("../b%2E.jpg", "http://h/b%2E.jpg"),
    ],
)
def test_a_redirect_may_be_relative(location: str, target: str) -> None:
    assert parse_redirect(URL("http://h/folder/a.jpg"), location) == URL(target, encoded=True)


@pytest.mark.parametrize("location", ["ftp://g/", "file:///etc/passwd", "s3://bucket/key", "data:image/png,x", "x:"])
def test_a_redirect_stays_on_the_web(location: str) -> None:
    with pytest.raises(SchemeNotAllowedError, match="in redirects"):
        parse_redirect(URL("http://h/"), location)


@given(st.text(max_size=60))
def test_every_redirect_leads_somewhere_or_is_rejected(location: str) -> None:
    try:
        assert host_of(parse_redirect(URL("http://h/"), location))
    except RejectedError:
        return


def test_hosts_in_settings_are_compared_without_regard_to_their_spelling() -> None:
    assert canonical_hosts(["Minio.Internal.", "Bücher.example"]) == {"minio.internal", "xn--bcher-kva.example"}
