"""Fetching from a server that drops, cuts, redirects, changes and lies. It is local: no test needs a network."""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chairfinder import fetching
from chairfinder.fetching import FetchError, Limits, fetch
from chairlib import cli
from chairlib.core.errors import ChairlibError, ParameterError

FAST = Limits(connect=10, read=10, total=60, tries=3, backoff=0.001)
#: Where the server falls silent: on a busy machine an honest answer may take longer than this.
HASTY = replace(FAST, read=0.3)
DATA = {
    "Data/Car/0001.jpg": b"a photo" * 9000,
    "Data/Car/GroundTruth/0001.png": b"a mask",
    "Results/x.txt": np.random.default_rng(0).bytes(60_000),  # cannot be compressed: the archive has some length
}


def make_zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


ARCHIVE = make_zip(DATA)
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``files`` with ranges and ETags.

    ``script`` holds what it does instead, an entry a request, until it is empty.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.script: list = []
        self.always = None
        self.requests: list[tuple[str, dict[str, str], int]] = []  # path, headers, bytes of the body that was sent
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        action = server.script.pop(0) if server.script else server.always
        server.requests.append((self.path, dict(self.headers), 0))
        if action is None:
            self.usual()
        else:
            action(self)

    def head(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content: bytes) -> None:
        path, headers, _ = self.server.requests[-1]
        self.server.requests[-1] = (path, headers, len(content))
        self.wfile.write(content)

    def usual(self, keep: int | None = None, ranges: bool = True, **more: object) -> None:
        """The file, or its first ``keep`` bytes and a dropped connection."""
        content = self.server.files.get(self.path)
        if content is None:
            self.head(404, Content_Length=0)
            return
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        wanted = self.headers.get("Range") if ranges and self.headers.get("If-Range", tag) == tag else None
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if wanted and start >= len(content):
            self.head(416, Content_Length=0, Content_Range=f"bytes */{len(content)}")
            return
        span = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if wanted else {}
        self.head(206 if wanted else 200, **{"Content_Length": len(content) - start, "ETag": tag, **span, **more})
        self.body(content[start : None if keep is None else start + keep])
        if keep is not None:
            self.close_connection = True


def drops(keep: int, **options: object):
    return lambda handler: handler.usual(keep, **options)


def status(code: int):
    return lambda handler: handler.head(code, Content_Length=0)


def sends(content: bytes, code: int = 200, **headers: object):
    """Exactly this, then the connection is closed."""

    def act(handler: Handler) -> None:
        handler.head(code, **headers)
        handler.body(content)
        handler.close_connection = True

    return act


def redirects(where: str):
    return lambda handler: handler.head(302, Location=where, Content_Length=0)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    started = Server()
    started.files["/x.zip"] = ARCHIVE
    threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()


@pytest.fixture
def get(server, tmp_path, monkeypatch):
    """Fetch Object Discovery from the local server, as a mirror, into ``tmp_path/out``; gives what was said."""
    monkeypatch.setattr(fetching, "PROGRESS", 1000)

    def run(name: str = "object-discovery", limits: Limits = FAST, url: str | None = None, **changes: object) -> str:
        said: list[str] = []
        source = replace(fetching.DATASETS[name], **changes)
        with monkeypatch.context() as patch:
            patch.setitem(fetching.DATASETS, name, source)
            fetch(name, tmp_path / "out", url or f"{server.url}/x.zip", limits, said.append)
        return "\n".join(said)

    run.out = tmp_path / "out"
    run.part = tmp_path / "out" / "ObjectDiscovery-data.zip.part"
    run.archive = tmp_path / "out" / "ObjectDiscovery-data.zip"
    return run


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def assert_whole(get) -> None:
    assert tree(get.out) == sorted(
        [".fetched.json", "ObjectDiscovery-data.zip", *(f"ObjectDiscovery-data/{name}" for name in DATA)]
    )
    for name, content in DATA.items():
        assert (get.out / "ObjectDiscovery-data" / name).read_bytes() == content
    assert get.archive.read_bytes() == ARCHIVE


def fails(get, *parts: str, error: type[Exception] = FetchError, **options: object) -> str:
    """A fetch must fail, with these words; gives the message. The steps by hand follow an error of the network."""
    with pytest.raises(ChairlibError) as caught:
        get(**options)
    assert type(caught.value) is error
    message = str(caught.value)
    line, *steps = message.split("\n")
    for part in parts:
        assert part in line
    if error is FetchError:
        assert "1. Get " in "\n".join(steps)
        assert "Put it at " in "\n".join(steps)
    else:
        assert steps == []
    return message


# -- what works -------------------------------------------------------------------------------------------------------


def test_fetch_and_a_second_time(get, server):
    assert DIGEST in get()
    assert_whole(get)
    entry = json.loads((get.out / ".fetched.json").read_text())["files"]["ObjectDiscovery-data.zip"]
    assert entry.pop("date").startswith("20")
    assert entry == {"url": f"{server.url}/x.zip", "bytes": len(ARCHIVE), "sha256": DIGEST}
    assert "nothing to download" in get()
    assert len(server.requests) == 1
    get.archive.unlink()  # its owner needs the space
    assert "nothing to download" in get()
    assert len(server.requests) == 1


def test_unpacked_again_from_the_archive_that_is_there(get, server):
    get()
    shutil.rmtree(get.out / "ObjectDiscovery-data")
    (get.out / ".ObjectDiscovery-data.part" / "whole" / "Data").mkdir(parents=True)  # an unpacking that was killed
    get()
    assert_whole(get)
    assert len(server.requests) == 1


def test_archive_put_there_by_hand(get, server):
    get.out.mkdir()
    get.archive.write_bytes(ARCHIVE)
    get()
    assert_whole(get)
    assert server.requests == []
    files = json.loads((get.out / ".fetched.json").read_text())["files"]
    assert [files[name]["url"] for name in (get.archive.name, "ObjectDiscovery-data")] == [None, None]


def test_unpacked_by_hand(get, server):
    (get.out / "ObjectDiscovery-data" / "Data").mkdir(parents=True)
    assert "is there already" in get()
    assert server.requests == []


def test_names_and_passwords_are_not_kept(get, server):
    get(url=server.url.replace("://", "://me:secret@") + "/x.zip")
    assert_whole(get)
    assert "Authorization" in server.requests[0][1]
    assert "secret" not in (get.out / ".fetched.json").read_text()


def test_a_wrapper_around_everything_is_left_out(get, server):
    server.files["/x.zip"] = make_zip({f"ObjectDiscovery-data/{name}": value for name, value in DATA.items()})
    get()
    assert (get.out / "ObjectDiscovery-data" / "Data" / "Car" / "0001.jpg").exists()
    shutil.rmtree(get.out)
    leavings = ("__MACOSX/._Data", "Data/.DS_Store", "Thumbs.db", "desktop.ini", "Data/Car/@eaDir/0001.jpg/THUMB.jpg")
    server.files["/x.zip"] = make_zip({"Data/Car/0001.jpg": b"x", **dict.fromkeys(leavings, b"x")})
    get()
    assert tree(get.out / "ObjectDiscovery-data") == ["Data/Car/0001.jpg"]


def test_released_composites(get, server):
    names = [f"Chair064/{split}/{kind}/0.png" for split in ("train", "val", "test") for kind in ("image", "mask")]
    server.files["/x.zip"] = make_zip(dict.fromkeys(names, b"x"))
    get("released-64")
    assert tree(get.out / "Chair064") == sorted(name.removeprefix("Chair064/") for name in names)


# -- connections ------------------------------------------------------------------------------------------------------


def test_dropped_connections_are_gone_on_with(get, server):
    server.script = [drops(20_000), drops(10_000), drops(5000)]
    get()
    assert_whole(get)
    assert "Range" not in server.requests[0][1]
    assert all(request[1]["Range"].startswith("bytes=") for request in server.requests[1:])
    assert sum(request[2] for request in server.requests) <= len(ARCHIVE) + 3


def test_a_drop_that_goes_on_is_an_error_and_the_part_is_kept(get, server):
    server.script = [drops(20_000)]
    server.always = drops(0)
    fails(get, f"{server.url}/x.zip cannot be fetched: the connection broke", "(3 tries)", "are kept")
    assert len(server.requests) == 3
    assert get.part.read_bytes() == ARCHIVE[: get.part.stat().st_size]
    kept, server.always = get.part.stat().st_size, None
    get()
    assert_whole(get)
    assert server.requests[-1][1]["Range"] == f"bytes={kept}-"


def test_a_server_without_ranges(get, server):
    server.script = [drops(20_000), lambda handler: handler.usual(ranges=False)]
    get()
    assert_whole(get)


def test_a_server_that_says_nothing_of_the_file_is_begun_again(get, server):
    length = {"Content_Length": len(ARCHIVE)}
    server.script = [sends(ARCHIVE[:20_000], **length), sends(ARCHIVE, **length)]
    get()
    assert_whole(get)
    assert "Range" not in server.requests[1][1]


def test_a_weak_tag_is_no_ground_to_go_on(get, server):
    length = {"Content_Length": len(ARCHIVE), "ETag": 'W/"1"'}
    server.script = [sends(ARCHIVE[:20_000], **length)]
    get()
    assert_whole(get)
    assert "Range" not in server.requests[1][1]


def test_date_of_change_where_there_is_no_tag(get, server):
    date = "Mon, 01 Jan 2024 00:00:00 GMT"
    rest = ARCHIVE[20_000:]
    span = f"bytes 20000-{len(ARCHIVE) - 1}/{len(ARCHIVE)}"
    server.script = [
        sends(ARCHIVE[:20_000], Content_Length=len(ARCHIVE), Last_Modified=date),
        sends(rest, 206, Content_Length=len(rest), Content_Range=span, Last_Modified=date),
    ]
    get()
    assert_whole(get)
    assert server.requests[1][1]["If-Range"] == date


@pytest.mark.parametrize("honest", [True, False])
def test_a_file_that_changes_between_attempts(get, server, honest):
    other = make_zip({**DATA, "Data/new": b"new"})

    def change(handler: Handler) -> None:
        server.files["/x.zip"] = other
        if honest:
            handler.usual()
        else:  # a range of the new file, whatever was asked
            span = f"bytes 20000-{len(other) - 1}/{len(other)}"
            sends(other[20_000:], 206, Content_Length=len(other) - 20_000, Content_Range=span, ETag='"new"')(handler)

    server.script = [drops(20_000), change]
    get()
    assert get.archive.read_bytes() == other


def test_another_part_than_was_asked_for(get, server):
    span = f"bytes 0-{len(ARCHIVE) - 1}/{len(ARCHIVE)}"
    server.script = [drops(20_000), sends(ARCHIVE, 206, Content_Length=len(ARCHIVE), Content_Range=span)]
    get()
    assert_whole(get)


def test_a_part_that_is_whole_already(get, server):
    server.script = [drops(20_000)]
    server.always = status(404)
    fails(get, "404")
    notes = json.loads(Path(f"{get.part}.json").read_text())
    assert notes["total"] == len(ARCHIVE)
    get.part.write_bytes(ARCHIVE)
    server.always = None
    get()
    assert_whole(get)
    assert server.requests[-1][2] == 0


@pytest.mark.parametrize("notes", ["", "[]", '{"url": 1}', '{"validator": ["x"]}', None])
def test_notes_that_are_damaged(get, server, notes):
    server.script = [drops(20_000), status(404)]
    fails(get, "404")
    path = Path(f"{get.part}.json")
    if notes is None:
        path.unlink()
    else:
        path.write_text(notes)
    get()
    assert_whole(get)
    assert "Range" not in server.requests[-1][1]


def test_a_tag_that_cannot_be_sent_back(get, server):
    server.script = [sends(ARCHIVE[:20_000], Content_Length=len(ARCHIVE), ETag='"\xe9"')]
    get()
    assert_whole(get)


def test_a_part_longer_than_the_file(get, server):
    server.script = [drops(20_000)]
    server.always = status(404)
    fails(get, "404")
    get.part.write_bytes(ARCHIVE + b"more")
    server.always = None
    get()
    assert_whole(get)


def test_truncation_without_a_stated_length(get, server):
    server.script = [sends(ARCHIVE[:20_000], Connection="close")]
    get()
    assert_whole(get)
    assert len(server.requests) == 2


def test_a_stated_length_that_is_too_large(get, server):
    server.always = sends(ARCHIVE, Content_Length=len(ARCHIVE) + 7)
    fails(get, "the connection broke", "3 tries")


def test_a_stated_length_that_is_too_small(get, server):
    server.always = sends(ARCHIVE, Content_Length=len(ARCHIVE) - 7)
    fails(get, "is not a whole zip archive")
    assert tree(get.out.parent) == []


def test_a_server_in_trouble_for_a_while(get, server):
    server.script = [status(503), status(429)]
    get()
    assert_whole(get)


@pytest.mark.parametrize("code", [401, 403, 404, 410, 418])
def test_a_file_that_is_gone(get, server, code):
    server.always = status(code)
    fails(get, f"{server.url}/x.zip cannot be fetched: the server answered {code}")
    assert len(server.requests) == 1
    assert not get.out.exists()


def test_a_host_that_is_gone(get, monkeypatch):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        fails(
            get, f"http://127.0.0.1:{port}/x.zip cannot be fetched: no connection", url=f"http://127.0.0.1:{port}/x.zip"
        )

    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fails(get, "http://gone.example/x.zip", "Name or service not known", url="http://gone.example/x.zip")
    assert not get.out.exists()


def test_a_server_that_says_nothing(get, server):
    server.always = lambda handler: time.sleep(0.6)
    fails(get, "nothing came for 0.3 s", limits=HASTY)
    assert len(server.requests) == 1


def test_a_server_that_stops_in_the_middle(get, server):
    def stall(handler: Handler) -> None:
        handler.usual(20_000)
        handler.wfile.flush()
        time.sleep(0.6)

    server.script = [stall]
    get(limits=replace(HASTY, tries=20))
    assert_whole(get)


def test_a_trickle_ends_at_the_time_limit_and_is_kept(get, server):
    def trickle(handler: Handler) -> None:
        handler.head(200, Content_Length=len(ARCHIVE), ETag='"1"')
        for start in range(0, len(ARCHIVE), 1000):
            handler.wfile.write(ARCHIVE[start : start + 1000])
            time.sleep(0.05)

    server.always = trickle
    fails(get, "took longer than the 0.3 s allowed", "are kept", limits=replace(FAST, total=0.3))
    assert 0 < get.part.stat().st_size < len(ARCHIVE)


@pytest.mark.parametrize(
    ("opening", "drip"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", b";a=b"),
    ],
    ids=["headers", "extensions of a chunk"],
)
def test_drips_that_are_no_part_of_the_file_end_at_the_time_limit(get, server, opening, drip):
    def act(handler: Handler) -> None:
        handler.wfile.write(opening)
        while True:  # until the connection is closed
            handler.wfile.write(drip)
            time.sleep(0.05)

    server.always = act
    started = time.monotonic()
    fails(get, "took longer than the 1 s allowed", limits=replace(FAST, total=1))
    assert time.monotonic() - started < 8  # without the limit it would never end


def test_a_server_is_left_alone_for_as_long_as_it_asks(get, server):
    server.script = [lambda handler: handler.head(503, Content_Length=0, Retry_After=1)]
    started = time.monotonic()
    get()
    assert time.monotonic() - started >= 1
    shutil.rmtree(get.out)
    server.always = lambda handler: handler.head(429, Content_Length=0, Retry_After=9999)
    asked = len(server.requests)
    fails(get, "the server answered 429; it asks to be left alone for 9,999 s")
    assert len(server.requests) == asked + 1


def test_backoff_does_not_exceed_the_time_limit(get, server):
    server.always = status(503)
    fails(get, "took longer", limits=replace(FAST, backoff=60, total=5))


# -- redirects --------------------------------------------------------------------------------------------------------


def test_redirects_are_followed(get, server):
    server.script = [redirects("/elsewhere"), redirects(f"{server.url}/x.zip"), drops(20_000), redirects("x.zip")]
    get()
    assert_whole(get)
    assert server.requests[-1][1]["Range"].startswith("bytes=")


def test_a_loop_of_redirects(get, server):
    server.always = redirects("/x.zip")
    fails(get, "redirects more than 5 times")
    assert len(server.requests) == 6


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://["])
def test_redirects_to_anything_else(get, server, where):
    server.always = redirects(where)
    fails(get, f"{server.url}/x.zip redirects to", "only http and https are followed")


def test_redirects_to_machines_that_only_this_one_can_reach(get, server):
    with socket.create_server(("127.0.0.2", 0)) as inside:
        server.always = redirects(f"http://127.0.0.2:{inside.getsockname()[1]}/x.zip")
        fails(get, "forbidden address: 127.0.0.2 is not a public address")
        inside.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody came
            inside.accept()


def test_only_a_person_may_name_such_a_machine(get, server, tmp_path, monkeypatch):
    own = replace(fetching.DATASETS["object-discovery"], url=f"{server.url}/x.zip")
    monkeypatch.setitem(fetching.DATASETS, "object-discovery", own)
    with pytest.raises(FetchError, match=r"forbidden address: 127\.0\.0\.1"):
        fetch("object-discovery", tmp_path / "out", None, FAST, print)
    assert server.requests == []
    get()
    assert_whole(get)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "x.zip", "ftp://host/x.zip", "http://", "http://[x/"])
def test_addresses_that_are_none(get, url):
    fails(get, f"the address {url!r} is not", url=url, error=ParameterError)
    assert not get.out.exists()


# -- content ----------------------------------------------------------------------------------------------------------


def test_a_web_page_instead(get, server):
    page = b"<!DOCTYPE html><title>Please log in</title>"
    server.always = sends(page, Content_Length=len(page), Content_Type="text/html")
    fails(get, "sent a web page instead of a zip archive")
    assert not get.out.exists()


def test_a_web_page_does_not_cost_the_part(get, server):
    page = b"<html>log in</html>"
    server.script = [drops(20_000), sends(page, Content_Length=len(page))]
    fails(get, "sent a web page")
    assert get.part.stat().st_size > 0
    get()
    assert_whole(get)
    assert "Range" in server.requests[-1][1]


def test_something_else_instead(get, server):
    server.always = sends(b"\x1f\x8bwhatever", Content_Length=10)
    fails(get, "sent a file that begins with b'\\x1f\\x8bwhatev' instead of a zip")
    server.always = sends(b"", Content_Length=0)
    fails(get, "the server sent nothing")
    server.always = sends(ARCHIVE, Content_Length=len(ARCHIVE), Content_Encoding="gzip")
    fails(get, "an encoding that was not asked for")
    assert not get.out.exists()


def test_too_much(get, server):
    fails(get, "is larger than 50.0 kB", max_bytes=50_000)
    assert server.requests[-1][2] == len(ARCHIVE)
    server.always = sends(ARCHIVE, Connection="close")  # and does not say how much
    fails(get, "is larger than 50.0 kB", max_bytes=50_000)
    assert not get.out.exists()


def test_a_damaged_archive_is_noticed(get, server):
    get()
    get.archive.write_bytes(ARCHIVE[:-1] + b"x")
    line = fails(get, DIGEST, "is damaged or was replaced", "Remove it and run it again", error=ChairlibError)
    assert hashlib.sha256(ARCHIVE[:-1] + b"x").hexdigest() in line
    get.archive.unlink()
    shutil.rmtree(get.out / "ObjectDiscovery-data")
    get()
    assert_whole(get)


@pytest.mark.parametrize("damage", [b"another photo", None])
def test_what_was_unpacked_is_checked_once_the_archive_is_gone(get, server, damage):
    get()
    get.archive.unlink()
    photo = get.out / "ObjectDiscovery-data" / "Data" / "Car" / "0001.jpg"
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "@eaDir/0001.jpg/THUMB.jpg"):  # a system's own leavings
        (photo.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (photo.parent / name).write_bytes(b"x")
    assert "nothing to download" in get()
    if damage is None:
        photo.unlink()
    else:
        photo.write_bytes(damage)
    came_from = f"from {server.url}/x.zip: it is damaged or was replaced"
    fails(get, "ObjectDiscovery-data has SHA-256", came_from, error=ChairlibError)


def test_a_server_with_another_file_than_the_first_time(get, server):
    get()
    get.archive.unlink()
    shutil.rmtree(get.out / "ObjectDiscovery-data")
    server.files["/x.zip"] = make_zip({"Data/other": b"x"})
    fails(get, "the server now sends", DIGEST, "If you want the new one, remove", error=ChairlibError)
    assert not get.archive.exists()
    (get.out / ".fetched.json").unlink()
    get()
    assert tree(get.out / "ObjectDiscovery-data") == ["Data/other"]
    assert len(server.requests) == 3
    assert server.requests[-1][2] == 0  # what came the second time was kept


@pytest.mark.parametrize("text", ["", "[]", '{"files": {"a": {"sha256": 3}}}', '{"files": 7}'])
def test_a_damaged_record(get, text):
    get.out.mkdir()
    (get.out / ".fetched.json").write_text(text)
    fails(get, "cannot be read as a record", error=ChairlibError)


def test_two_at_once(get):
    get.out.mkdir()
    with fetching.exclusive_folder(get.out):
        fails(get, "another fetch into", error=ChairlibError)


# -- disk -------------------------------------------------------------------------------------------------------------


def test_too_little_space_is_said_before(get, server, monkeypatch):
    usage = shutil.disk_usage(get.out.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=fetching.MARGIN + 1000))
    fails(get, "has 32.0 MB free, and ObjectDiscovery-data.zip needs", error=ChairlibError)
    assert not get.out.exists()


def test_too_little_space_to_unpack(get, monkeypatch):
    usage = shutil.disk_usage(get.out.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=fetching.MARGIN + len(ARCHIVE)))
    fails(get, "what ObjectDiscovery-data.zip unpacks to needs", error=ChairlibError)
    assert tree(get.out) == [".fetched.json", "ObjectDiscovery-data.zip"]
    monkeypatch.undo()


class FullDisk:
    """A file that takes ``room`` bytes."""

    def __init__(self, stream, room: int) -> None:
        self.stream, self.room = stream, room

    def write(self, chunk: bytes) -> None:
        self.room -= len(chunk)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.stream.write(chunk)

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.stream.close()


@pytest.mark.parametrize(("mode", "left"), [("ab", [".part", ".part.json"]), ("xb", ["", "/.fetched.json"])])
def test_a_disk_that_gets_full(get, server, monkeypatch, mode, left):
    server.script = [drops(20_000)]

    def limited(path, how="r", *arguments: object, **options: object):
        stream = open(path, how, *arguments, **options)  # noqa: SIM115
        return FullDisk(stream, 30_000) if how == mode else stream

    monkeypatch.setattr(fetching, "open", limited, raising=False)
    fails(get, "cannot write", "No space left on device", error=ChairlibError)
    there = {".fetched.json" if end.startswith("/") else f"ObjectDiscovery-data.zip{end}" for end in left}
    assert set(tree(get.out)) == there
    monkeypatch.delattr(fetching, "open")
    get()
    assert_whole(get)


def test_a_folder_that_is_in_the_way(get, server):
    get.out.write_text("x")
    fails(get, "cannot write", error=ChairlibError)
    get.out.unlink()
    (get.out / "ObjectDiscovery-data").mkdir(parents=True)
    (get.out / "ObjectDiscovery-data" / "mine").write_text("x")
    fails(get, "exists and is not an empty folder", error=ChairlibError)
    assert server.requests == []


# -- malicious archives -----------------------------------------------------------------------------------------------


def raw_zip(*members: tuple[str, bytes, int]) -> bytes:
    """Members as (name, content, Unix mode), names untouched."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("Data/Car/0001.jpg", b"x")
        for name, content, mode in members:
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            info.create_system, info.external_attr = 3, mode << 16
            with np.testing.suppress_warnings() as quiet:
                quiet.filter(UserWarning)
                archive.writestr(info, content)
    return stream.getvalue()


UNSAFE = [
    "../evil", "Data/../../evil", "/tmp/evil", "//host/evil", "C:/evil", "C:evil", "..\\evil", "Data\\evil",
    "Data//evil",
    "Data/./evil", "evil\x00.txt", "Data/evil\n", "Data/" + "x" * 256, "Data/..", "/", "\\\\host\\evil",
    "Data/evil:stream",
]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_lead_elsewhere(get, server, name):
    server.files["/x.zip"] = raw_zip((name, b"evil", 0o644))
    fails(get, "unsafe name", "nothing was unpacked", "Remove ")
    assert tree(get.out.parent) == ["out/.fetched.json", "out/ObjectDiscovery-data.zip"]
    assert json.loads((get.out / ".fetched.json").read_text()) == {"files": {}}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices(get, server, kind):
    server.files["/x.zip"] = raw_zip(("Data/link", b"/etc", kind | 0o777), ("Data/link/evil", b"evil", 0o644))
    fails(get, "holds a link or a device: 'Data/link'")
    assert not (get.out / "ObjectDiscovery-data").exists()


def test_members_that_collide(get, server):
    for names in (("Data/a", "Data/a"), ("Data/a", "Data/A")):
        server.files["/x.zip"] = raw_zip(*((name, b"x", 0) for name in names))
        fails(get, "twice")
        get.archive.unlink()
    server.files["/x.zip"] = raw_zip(("Data/a", b"x", 0), ("Data/A/b", b"x", 0))
    fails(get, "Data/A both as a file and as a folder")


def test_bombs(get, server):
    server.files["/x.zip"] = make_zip({"Data/a": bytes(3_000_000)})
    fails(get, "would unpack to 3.0 MB, more than the 2.0 MB", max_unpacked=2_000_000)
    get.archive.unlink()
    server.files["/x.zip"] = make_zip({f"Data/{number}": b"" for number in range(50)})
    fails(get, "holds 50 files, more than the 49", max_members=49)
    get.archive.unlink()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("Data/a", bytes(1000))
    server.files["/x.zip"] = stream.getvalue()
    fails(get, "compressed in a way that is not read here")


def test_a_bomb_that_lies_about_its_size(get, server):
    content = bytearray(make_zip({"Data/a": bytes(3_000_000)}))
    size = (3_000_000).to_bytes(4, "little")
    assert content.count(size) == 2
    server.files["/x.zip"] = bytes(content.replace(size, (10).to_bytes(4, "little")))
    fails(get, "Data/a in the archive is damaged", max_unpacked=2_000_000)
    assert not (get.out / "ObjectDiscovery-data").exists()


def test_damage_within(get, server):
    content = bytearray(ARCHIVE)
    content[len(content) // 2] ^= 255
    server.files["/x.zip"] = bytes(content)
    fails(get, "Results/x.txt in the archive is damaged", "Remove ")
    assert tree(get.out) == [".fetched.json", "ObjectDiscovery-data.zip"]
    server.files["/x.zip"] = ARCHIVE
    get.archive.unlink()
    get()
    assert_whole(get)


def test_an_archive_of_something_else(get, server):
    server.files["/x.zip"] = make_zip({"photos/1.jpg": b"x", "more/2.jpg": b"x"})
    fails(get, "does not hold Data; it holds more, photos")
    get.archive.unlink()
    server.files["/x.zip"] = b"PK\x03\x04 and no more than that"
    fails(get, "is not a whole zip archive")
    assert not get.archive.exists()


# -- COCO -------------------------------------------------------------------------------------------------------------


def jpeg(size: tuple[int, int], colour: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (colour, 90, 200)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def coco(server, get):
    """Four images, three of them with chairs."""
    size = (40, 30)
    images = [
        {"id": number, "file_name": f"{number:012d}.jpg", "width": 40, "height": 30, "license": 4}
        | {"coco_url": f"{server.url}/val2017/{number:012d}.jpg"}
        for number in range(4)
    ]
    annotations = [
        {"id": number, "image_id": image, "category_id": category}
        for number, (image, category) in enumerate([(0, 62), (0, 1), (1, 62), (1, 62), (2, 1), (3, 62)])
    ]
    content = {
        "info": {"year": 2017},
        "licenses": [{"id": 4}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}, {"id": 62, "name": "chair"}],
    }

    def publish() -> None:
        server.files["/x.zip"] = make_zip(
            {"annotations/instances_val2017.json": json.dumps(content).encode(), "annotations/captions.json": b"{}"}
        )

    publish()
    for number in range(4):
        server.files[f"/val2017/{number:012d}.jpg"] = jpeg(size, number)
    content["publish"] = publish
    return content


def asked(server) -> list[str]:
    return [request[0] for request in server.requests]


def test_coco_chairs(get, server, coco):
    assert "3 images with 4 chairs" in get("coco-chairs")
    written = json.loads((get.out / "instances_chairs.json").read_text())
    assert [image["id"] for image in written["images"]] == [0, 1, 3]
    assert [entry["id"] for entry in written["annotations"]] == [0, 2, 3, 5]
    assert [category["name"] for category in written["categories"]] == ["chair"]
    assert written["licenses"] == [{"id": 4}]
    assert tree(get.out / "images") == [f"{number:012d}.jpg" for number in (0, 1, 3)]
    count = len(server.requests)
    assert count == 4
    get("coco-chairs")
    (get.out / "annotations_trainval2017.zip").unlink()
    get("coco-chairs")
    assert len(server.requests) == count


def test_coco_goes_on_image_by_image(get, server, coco):
    server.script = [None, None, drops(100), None, status(418)]
    fails(get, "000000000003.jpg cannot be fetched: the server answered 418", name="coco-chairs")
    assert not (get.out / "instances_chairs.json").exists()
    assert len(server.requests) == 5
    get("coco-chairs")
    assert asked(server)[5:] == ["/val2017/000000000003.jpg"]


def test_coco_images_that_are_gone_are_left_out(get, server, coco):
    del server.files["/val2017/000000000001.jpg"]
    said = get("coco-chairs")
    assert "left out: " in said
    assert "2 images with 2 chairs" in said
    assert len(json.loads((get.out / "instances_chairs.json").read_text())["annotations"]) == 2
    server.files.clear()
    shutil.rmtree(get.out / "images")
    fails(get, "none of the images could be fetched", "404", name="coco-chairs")


def test_coco_images_that_are_no_such_images(get, server, coco):
    name = "/val2017/000000000001.jpg"
    server.files[name] = b"<html>"
    fails(get, "sent a web page instead of a JPEG image", name="coco-chairs")
    assert tree(get.out / "images") == ["000000000000.jpg"]
    for content, reason in (
        (jpeg((30, 30)), "has (30, 30) pixels instead of (40, 30)"),
        (jpeg((40, 30))[:-200], "it cannot be decoded"),
    ):
        server.files[name] = content
        said = get("coco-chairs")
        assert f"left out: {server.url}{name} sent a file that cannot be used: it" in said
        assert reason in said
        assert tree(get.out / "images") == ["000000000000.jpg", "000000000003.jpg"]
    server.files[name] = jpeg((40, 30))
    assert "3 images with 4 chairs" in get("coco-chairs")


def test_coco_with_too_many_images_gone(get, server, coco):
    for number in range(4, 9):
        coco["images"].append({**coco["images"][0], "id": number, "file_name": f"{number:012d}.jpg"})
        coco["images"][-1]["coco_url"] = f"{server.url}/gone/{number}"
        coco["annotations"].append({"id": 90 + number, "image_id": number, "category_id": 62})
    coco.pop("publish")()
    fails(get, "404", "So it is with 4 images", name="coco-chairs")
    assert not (get.out / "instances_chairs.json").exists()


def test_coco_images_that_were_damaged_later(get, server, coco):
    get("coco-chairs")
    image = get.out / "images" / "000000000001.jpg"
    image.write_bytes(jpeg((40, 30), 99))
    fails(get, "000000000001.jpg has SHA-256", "is damaged", name="coco-chairs", error=ChairlibError)
    image.unlink()
    get("coco-chairs")
    (get.out / ".fetched.json").unlink()
    image.write_bytes(b"no image")
    fails(get, "is not COCO's image", name="coco-chairs", error=ChairlibError)


def test_coco_images_of_other_hosts_are_only_taken_from_a_mirrors_annotations(get, server, coco, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "annotations_trainval2017.zip").write_bytes(server.files["/x.zip"])
    with pytest.raises(FetchError, match=r"an image is not at cocodataset\.org but at http://127\.0\.0\.1"):
        fetch("coco-chairs", tmp_path / "out", None, FAST, print)
    assert server.requests == []
    (tmp_path / "out" / "annotations_trainval2017.zip").unlink()
    assert "3 images with 4 chairs" in get("coco-chairs")


@pytest.mark.parametrize(
    ("url", "theirs"),
    [
        ("http://images.cocodataset.org/val2017/1.jpg", True),
        ("https://cocodataset.org/1.jpg", True),
        ("http://evilcocodataset.org/1.jpg", False),
        ("http://cocodataset.org.evil.example/1.jpg", False),
        ("http://cocodataset.org@evil.example/1.jpg", False),
        ("cocodataset.org/1.jpg", False),
    ],
)
def test_which_addresses_are_cocos(url, theirs):
    assert fetching.is_of_domain(url, "cocodataset.org") is theirs


def test_coco_images_at_machines_that_only_this_one_can_reach(get, server, coco):
    coco["images"][0]["coco_url"] = "http://127.0.0.2/1.jpg"
    coco.pop("publish")()
    fails(get, "http://127.0.0.2/1.jpg cannot be fetched: forbidden address", name="coco-chairs")


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "a/b.jpg", ".jpg", "x.png", 7, "c:x.jpg"])
def test_coco_file_names_that_lead_elsewhere(get, server, coco, name):
    coco["images"][0]["file_name"] = name
    del coco["publish"]
    server.files["/x.zip"] = make_zip({"annotations/instances_val2017.json": json.dumps(coco).encode()})
    fails(get, "not in COCO's format", name="coco-chairs")
    assert tree(get.out.parent) == ["out/.fetched.json", "out/annotations_trainval2017.zip"]


def test_coco_annotations_that_are_none(get, server):
    for content, reason in (
        ({"x": b""}, "does not hold annotations/instances_val2017.json"),
        ({"annotations/instances_val2017.json": b"{"}, "not in COCO's format"),
        ({"annotations/instances_val2017.json": b"[" * 100_000}, "not in COCO's format"),
        ({"annotations/instances_val2017.json": bytes(3000)}, "is larger than 2.0 kB"),
    ):
        server.files["/x.zip"] = make_zip(content)
        fails(get, reason, name="coco-chairs", **({"max_unpacked": 2000} if "larger" in reason else {}))
        (get.out / "annotations_trainval2017.zip").unlink()


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder: (exit status, stdout, stderr)."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(fetching, "LIMITS", FAST)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chairlib", "fetch", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


def test_command(call, server):
    code, out, _ = call("object-discovery", "--out", "d", "--url", f"{server.url}/x.zip")
    assert code == 0
    assert DIGEST in out
    assert out.endswith('Read it: ObjectDiscovery("d", "car")\n')
    code, out, errors = call("object-discovery", "--out", "d")
    assert (code, errors) == (0, "")
    assert "nothing to download" in out


def test_a_home_folder_is_found(tmp_path, server, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    told = fetch("object-discovery", "~/d", f"{server.url}/x.zip", FAST, lambda line: None)
    assert (tmp_path / "d" / "ObjectDiscovery-data").is_dir()
    assert told == f'ObjectDiscovery("{tmp_path}/d", "car")'


def test_command_where_the_host_is_gone(call, server):
    for name, reading in (
        ("object-discovery", 'ObjectDiscovery("d", "car")'),
        ("released-64", "chairlib benchmark --data d/Chair064"),
        ("coco-chairs", 'CocoChairs("d/images", "d/instances_chairs.json")'),
    ):
        code, out, errors = call(name, "--out", "d", "--url", f"{server.url}/gone.zip")
        assert (code, out) == (1, "")
        assert errors.startswith(
            f"chairlib: {server.url}/gone.zip cannot be fetched: the server answered 404 Not Found.\n"
        )
        assert fetching.DATASETS[name].url in errors
        assert reading in errors
        assert "Traceback" not in errors
        assert list(Path().iterdir()) == []


def test_command_with_a_name_that_is_unknown(call):
    code, out, errors = call("imagenet", "--out", "d")
    assert (code, out) == (1, "")
    names = "object-discovery, released-64, coco-chairs"
    assert errors == f"chairlib: dataset 'imagenet' is unknown; use one of {names}.\n"
    assert list(Path().iterdir()) == []


def test_ctrl_c_keeps_the_part(server, tmp_path):
    def half(handler: Handler) -> None:
        handler.usual(50_000)
        handler.wfile.flush()
        time.sleep(20)

    server.script = [half]
    process = subprocess.Popen(
        [sys.executable, "-m", "chairlib", "fetch", "object-discovery", "-o", "d", "--url", f"{server.url}/x.zip"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, which this may be one of, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    part = tmp_path / "d" / "ObjectDiscovery-data.zip.part"
    while process.poll() is None and not part.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "kept 50.0 kB in d/ObjectDiscovery-data.zip.part" in errors.replace("\r", "\n")
    assert part.stat().st_size == 50_000
    fetch("object-discovery", tmp_path / "d", f"{server.url}/x.zip", FAST, lambda line: None)
    assert server.requests[-1][1]["Range"] == "bytes=50000-"
    assert (tmp_path / "d" / "ObjectDiscovery-data" / "Data").exists()
