"""Addresses that are never connected to, bodies that are bounded, waiting that is asked for."""

import gzip
import ipaddress
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chairfinder import web
from chairfinder.web import (
    Limits,
    PassingError,
    UnusableError,
    address_problem,
    check_contact,
    open_client,
    pause_before,
    read_body,
    read_url,
    retry_after,
    url_problem,
)
from chairlib.core.errors import ParameterError

FORBIDDEN = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "192.168.1.1"),
    *("192.0.2.1", "192.88.99.1", "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::127.0.0.1"),
    *("64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:1::1", "2001:db8::1", "3fff::1"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "5f00::1", "100::1"),
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_addresses_that_are_not_public(address):
    assert address_problem(address) == f"{address} is not a public address"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_public_addresses(address):
    assert address_problem(address) is None


@given(st.ip_addresses(v=4))
def test_an_address_in_another_form_is_judged_alike(ip):
    verdict = address_problem(str(ip)) is None
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        inner = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(ip))
        assert (address_problem(str(inner)) is None) == verdict
    sixtofour = ipaddress.IPv6Address((0x2002 << 112) | (int(ip) << 80))
    assert (address_problem(str(sixtofour)) is None) == verdict


def test_loopback_switch_opens_loopback_only():
    assert address_problem("127.0.0.1", loopback=True) is None
    assert address_problem("::1", loopback=True) is None
    for address in ("10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"):
        assert address_problem(address, loopback=True)


@pytest.mark.parametrize("found", [["8.8.8.8", "10.0.0.1"], ["127.0.0.1"], ["::ffff:192.168.0.1"]])
def test_a_name_with_any_private_address_is_not_connected_to(monkeypatch, found):
    """Whatever the resolver says a second time, nobody asks it: the connection goes to what was checked."""
    monkeypatch.setattr(
        web.socket, "getaddrinfo", lambda host, port, **_: [(0, 0, 0, "", (address, port)) for address in found]
    )
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    with (
        open_client("a@b.org", Limits()) as client,
        pytest.raises(UnusableError, match=r"forbidden address: .* \(good.org\)"),
    ):
        read_url(client, "http://good.org/x.png", Limits())


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    asked, connected = [], []

    def resolve(host, port, **_):
        asked.append(host)
        return [(0, 0, 0, "", ("8.8.8.8" if len(asked) == 1 else "127.0.0.1", port))]

    def connect(address, *_, **__):
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(web.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with open_client("a@b.org", Limits()) as client, pytest.raises(PassingError, match="no connection"):
        read_url(client, "https://good.org/x.png", Limits())
    assert (asked, connected) == (["good.org"], [("8.8.8.8", 443)])


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "[::1]", "localhost", "[::ffff:127.0.0.1]"])
def test_odd_spellings_of_this_machine(host):
    with open_client("a@b.org", Limits()) as client, pytest.raises(UnusableError, match=r"forbidden address|address:"):
        read_url(client, f"http://{host}:1/", Limits())


class Picture(BaseHTTPRequestHandler):
    """Answers every address with the same bytes."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"picture")

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Start servers on this machine, with TLS where a context is given, and stop them at the end."""
    started = []

    def start(context=None):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Picture)
        server.asked = []
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def certificate(tmp_path):
    """A certificate for this machine that its own key signed, and the key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; it makes the certificate")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=chairs"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]]
    subprocess.run(made, check=True, capture_output=True)
    return files


def test_certificates_are_verified(serve, certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = serve(context)
    url = f"https://127.0.0.1:{server.server_port}/chair.png"
    unverified = pytest.raises(UnusableError, match="certificate: the server's cannot be verified")
    with open_client("a@b.org", Limits(), loopback=True) as client, unverified:
        read_url(client, url, Limits())
    assert server.asked == []
    # The certificate alone stood in the way: where it is trusted, the same server is read.
    monkeypatch.setattr(web, "tls_context", lambda: ssl.create_default_context(cafile=certificate[0]))
    with open_client("a@b.org", Limits(), loopback=True) as client:
        assert read_url(client, url, Limits()) == b"picture"
        elsewhere = url.replace("127.0.0.1", "localhost")
        with pytest.raises(UnusableError, match="certificate: "):  # it is another host's
            read_url(client, elsewhere, Limits())
    assert server.asked == ["/chair.png"]


def test_proxies_of_the_environment_are_not_used(serve, monkeypatch):
    """A proxy would resolve names itself: what was checked would not be what is connected to."""
    proxy, host = serve(), serve()
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for spelling in (name, name.upper()):
            monkeypatch.setenv(spelling, f"http://127.0.0.1:{proxy.server_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with open_client("a@b.org", Limits(), loopback=True) as client:
        assert read_url(client, f"http://127.0.0.1:{host.server_port}/chair.png", Limits()) == b"picture"
    assert (proxy.asked, host.asked) == ([], ["/chair.png"])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.org/x",
        "file:///etc/passwd",
        "x-raw-image:///1",
        "http://",
        "//a.org",
        "http://a b/",
        "http://u:p@a.org/",
    ]
    + ["http://a.org/" + "x" * 2000, "http://a.org/\n", "http://[1/", "http://xn--a/", "http://\ud800.org/"]
    + [f"http://a.org:{port}/" for port in ("0", "65536", "9" * 20, "-1", "x", "\u0663")],
)
def test_addresses_that_are_not_followed(url):
    assert url_problem(url).startswith("address: ")


def test_addresses_that_are_followed():
    for url in ("https://a.org/x%20y.png?z=1", "http://a.org:65535/", "http://a.org:/"):
        assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "error"),
    [("http://xn--a/", UnusableError), (f"http://127.0.0.1:{'9' * 20}/", PassingError), ("http://a..b/", PassingError)],
)
def test_an_odd_address_is_an_error_of_ours_wherever_it_came_from(url, error):
    with open_client("a@b.org", Limits()) as client, pytest.raises(error):
        read_url(client, url, Limits())


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(web.socket, "getaddrinfo", lambda *_, **__: over.wait(20) and [])
    begin = time.monotonic()
    with (
        open_client("a@b.org", Limits()) as client,
        pytest.raises(PassingError, match=r"no connection within|not done"),
    ):
        read_url(client, "http://a.org/", Limits(total=0.2))
    over.set()
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("contact", [None, "", "  ", "me", "a@b", "ftp://x", "a@b.org\r\nX: y", "a (b)@c.org"])
def test_no_contact(contact):
    with pytest.raises(ParameterError, match="CHAIRLIB_CONTACT"):
        check_contact(contact)


def test_contact_is_told():
    for contact in (" a@b.org ", "https://b.org/about"):
        assert f"({contact.strip()})" in web.user_agent(check_contact(contact))


def test_retry_after():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after({"Retry-After": "7"}) == 7
    assert retry_after({"Retry-After": format_datetime(now + timedelta(seconds=30), usegmt=True)}, now) == 30
    assert retry_after({"Retry-After": format_datetime(now - timedelta(seconds=30), usegmt=True)}, now) == 0
    for text in (
        "",
        "soon",
        "-3",
        "9" * 40,
        f"Mon, 01 Jan 2024 00:00:00 +{'9' * 20}",
        "Mon, 01 Jan 99999 00:00:00 GMT",
    ):
        assert retry_after({"Retry-After": text}) is None


@given(st.integers(1, 12), st.none() | st.floats(0, 1e6), st.integers(0, 99))
def test_pauses(failures, wait, seed):
    limits = Limits(backoff=1, max_wait=60)
    pause = pause_before(failures, wait, limits, random.Random(seed))
    assert 0 < pause <= 60
    if wait is not None:
        assert pause >= min(wait, 60)


@given(st.none() | st.floats(0, 1e9))
def test_what_a_server_asks_for_is_waited_or_left(wait):
    limits = Limits(max_wait=60)
    if PassingError("busy", wait).outlasts(limits):
        assert wait > 60
    else:
        assert pause_before(1, wait, limits, random.Random(0)) >= (wait or 0)


def body(content, **headers):
    return httpx.Response(200, headers=headers, stream=httpx.ByteStream(content))


def test_bodies_are_bounded():
    assert read_body(body(b"x" * 100), 100) == b"x" * 100
    with pytest.raises(UnusableError, match="too large"):
        read_body(body(b"x" * 101), 100)
    with pytest.raises(UnusableError, match="too large: 900 bytes"):
        read_body(body(b"", **{"Content-Length": "900"}), 100)
    packed = gzip.compress(b"x" * 100)
    assert read_body(body(packed, **{"Content-Encoding": "gzip"}), 100) == b"x" * 100
    with pytest.raises(UnusableError, match="too large"):
        read_body(body(gzip.compress(bytes(10**7)), **{"Content-Encoding": "gzip"}), 10**6)
    with pytest.raises(PassingError, match="cut"):
        read_body(body(packed[:-9], **{"Content-Encoding": "gzip"}), 100)
    for encoding, content in (("br", b"x"), ("gzip", b"no gzip")):
        with pytest.raises(UnusableError, match="encoding"):
            read_body(body(content, **{"Content-Encoding": encoding}), 100)


class Endless(httpx.SyncByteStream):
    """A packed body that goes on after its end; ``sent`` counts the bytes that were asked for."""

    def __init__(self, packed, more=b"\0"):
        self.packed, self.more, self.sent = packed, more * 10**5, 0

    def __iter__(self):
        yield self.packed
        while self.sent < 10**8:
            self.sent += len(self.more)
            yield self.more


def test_what_follows_the_end_of_a_packed_body_is_left_unread():
    stream = Endless(gzip.compress(b"x" * 100))
    assert read_body(httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream), 10**6) == b"x" * 100
    assert stream.sent == 0


def test_a_packed_body_that_unpacks_to_nothing_is_bounded():
    stream = Endless(b"\x1f\x8b\x08\x10" + bytes(6), more=b"a")  # the comment in its head never ends
    with pytest.raises(UnusableError, match="too large: more than the 1,000,000 bytes"):
        read_body(httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream), 10**6)
    assert stream.sent <= 11 * 10**5


def test_a_packed_body_is_never_unpacked_beyond_the_bound():
    packed = gzip.compress(bytes(50 * 10**6))
    tracemalloc.start()
    with pytest.raises(UnusableError, match="too large"):
        read_body(body(packed, **{"Content-Encoding": "gzip"}), 10**6)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 10**6
