"""The collector against a server with every fault, killed at any moment, interrupted, and with a full disk."""

import csv
import errno
import io
import json
import logging
import os
import random
import re
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image, ImageOps

import collect_server
import drawing
from chairfinder import building, collect_options, collecting
from chairfinder.collecting import collect, open_ledger, remove, work_folder
from chairfinder.ledger import Ledger, image_id
from chairfinder.providers.commons import Commons
from chairfinder.providers.local import Local
from chairfinder.providers.openverse import Openverse
from chairfinder.providers.serpapi import SerpApi
from chairfinder.queries import Query
from chairfinder.screening import Thresholds
from chairfinder.web import Limits, Secret
from chairlib import cli
from chairlib.collection import Collection
from chairlib.core import paths
from chairlib.core.errors import ChairlibError, CollectionError, ParameterError
from collect_server import LASTING, PASSING, CollectServer, make_plan
from drawing import encode

FAST = Limits(
    connect=2, read=0.5, total=1, tries=2, backoff=0.01, max_wait=2, max_bytes=10**7, workers=12, per_host=12,
    interval=0, api_interval=0, give_up=1000,
)  # fmt: skip
QUERIES = [Query("arm chair", "segment"), Query("living room", "background")]
CONTACT = "someone@example.org"
#: On a machine that is busy with other things, none of the good ones may be late.
PATIENT = replace(FAST, read=2, total=4)
#: Where processes that tests start find the modules of the tests.
TEST_FOLDERS = os.pathsep.join(str(Path(module.__file__).parent) for module in (collect_server, drawing))
HIDDEN = Secret("KEY-in-no-exception")


@pytest.fixture
def terminal(monkeypatch):
    """Bars are shown at once: in a log they are silent for half a minute."""
    monkeypatch.setattr("chairlib.core.progress.SECONDS", 0)


@pytest.fixture
def start():
    """Start servers, and stop them at the end."""
    started = []

    def run(count=24, **options):
        started.append(CollectServer(make_plan(count, **options)))
        return started[-1]

    yield run
    for server in started:
        server.close()


def go(server, out, providers=None, limits=FAST, **options):
    providers = [Commons(f"{server.url}/commons")] if providers is None else providers
    options = {"contact": CONTACT, "progress": False, **options}
    return collect(QUERIES, providers, out, limits=limits, loopback=True, **options)


def finished(out):
    """A collection without its times."""
    manifest = Collection(out).manifest.drop(columns="retrieved")
    return manifest.sort_values("id").reset_index(drop=True)


def wanted(server):
    """The ids of what can be had, copies once."""
    return {image_id(item.content) for item in server.good()}


def rules(ledger):
    return {reason.split(":")[0] for _, _, _, reason in ledger.refusals()}


# -- what works -------------------------------------------------------------------------------------------------------


def test_a_collection_with_authors_and_licences(start, tmp_path):
    server = start(share=1)
    report = go(server, tmp_path / "c")
    collection = report.collection
    assert set(collection.manifest["id"]) == wanted(server)
    rows = collection.manifest.set_index("url")
    item = server.good()[0]
    row = rows.loc[server.url + item.path]
    assert (row["author"], row["licence"], row["source"]) == ("Author 0", "CC BY 4.0", "commons:arm chair")
    assert (row["landing_page"], row["licence_url"]) == (
        f"{server.url}/page/0",
        "https://creativecommons.org/licenses/by/4.0",
    )
    assert collection.path("segment", row["id"]).read_bytes() == item.content
    entry = next(entry for entry in report.ledger.images() if entry.id == row["id"])
    assert (entry.landing_page, entry.licence_url, entry.title) == (
        f"{server.url}/page/0",
        "https://creativecommons.org/licenses/by/4.0",
        "Item 0",
    )
    assert (entry.query, entry.provider, entry.state) == ("arm chair", "commons", "accepted")
    agents = {headers["User-Agent"] for _, _, headers in server.searches}
    assert len(agents) == 1
    assert f"({CONTACT})" in agents.pop()
    assert "commons, segments: 12 found, 12 fetched, 11 accepted, 0 refused, 1 copies" in str(report)
    # The work folder is outside the collection.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "c.collect"]


def test_every_fault(start, tmp_path):
    faults = ("", *PASSING, *LASTING)
    server = start(2 * len(faults), faults=faults, share=0)
    report = go(server, tmp_path / "c", limits=PATIENT)
    expected = wanted(server)
    assert len(expected) >= 8
    assert set(report.collection.manifest["id"]) == expected
    reasons = {
        item.fault: reason
        for _, _, url, reason in report.ledger.refusals()
        for item in server.plan.values()
        if url.endswith(item.path)
    }
    for fault, rule in {
        "gone": "no answer: the server answered 404",
        "too short": "damaged: ",
        "private": "forbidden address: 10.0.0.1 is not a public address",
        "metadata": "forbidden address: 169.254.169.254",
        "mapped": "forbidden address: ::ffff:",
        "loop": "redirect: more than 5",
        "page": "not an image: an HTML page",
        "bomb": "too many pixels: at most",
        "packed bomb": "too large: more than the 10,000,000 bytes",
        "file": "redirect: to an address: 'file:///etc/passwd'",
        "empty": "not an image: an empty file",
        "no licence": "no licence: none is stated",
        "password": "address: it holds a name or password",
        "odd port": "address: its port is none",
        "odd host": "address: InvalidCodepoint",
    }.items():
        assert reasons[fault].startswith(rule), (fault, reasons[fault])
    waiting = {server.plan[url.removeprefix(server.url)].fault for url, _, _ in report.ledger.waiting()}
    passing = {"down", "silent", "cut", "too long", "dripping", "nowhere", "odd wait"}
    assert waiting == passing
    # What was busy until some time was not asked for before.
    asked_again = {path: when for path, when, _ in server.requests}
    until = [item.path for item in server.plan.values() if item.fault == "busy until"]
    assert all(asked_again[path] >= server.promised[path] - 0.01 for path in until)
    assert {server.hits[path] for path in until} == {2}
    assert "unreachable (tried again by --resume)" in str(report)
    assert "secret" not in (tmp_path / "c" / "manifest.csv").read_text()
    # Nothing is fetched twice; what may have passed is.
    before = len(server.requests)
    again = go(server, tmp_path / "c", resume=True, limits=PATIENT)
    assert again.collection.hash == report.collection.hash
    asked = {server.plan[path].fault for path, _, _ in server.requests[before:]}
    assert asked == passing


def test_openverse_and_limits(start, tmp_path):
    server = start(60, share=1)
    providers = [Openverse(f"{server.url}/openverse")]
    report = go(server, tmp_path / "c", providers, limit=15)
    assert len(report.ledger.counts()) > 0
    assert len(server.requests) == 30
    assert {entry.licence for entry in report.ledger.images()} == {"CC BY-SA 2.0"}
    parameters = [parameters for _, parameters, _ in server.searches]
    assert {found["license_type"] for found in parameters} == {"modification"}
    # Asked for more, it goes on; asked for the same, it doesn't search again.
    searches = len(server.searches)
    go(server, tmp_path / "c", providers, limit=15, resume=True)
    assert (len(server.searches), len(server.requests)) == (searches, 30)
    go(server, tmp_path / "c", providers, limit=100, resume=True)
    assert len(server.requests) == 60
    assert set(Collection(tmp_path / "c").manifest["id"]) == wanted(server)


def test_a_folder(tmp_path, start):
    server = start(24, share=1)
    folder = tmp_path / "mine"
    (folder / "arm-chairs").mkdir(parents=True)
    (folder / "living_room").mkdir()
    for item in server.plan.values():
        (folder / ("arm-chairs" if item.kind == "segment" else "living_room") / Path(item.path).name).write_bytes(
            item.content
        )
    (folder / "other.png").write_bytes(b"?")
    with pytest.raises(ParameterError, match="not a folder"):
        Local(tmp_path / "nowhere")
    report = go(server, tmp_path / "c", [Local(folder)], contact=None)
    assert report.collection is None
    assert rules(report.ledger) == {"no licence"}
    report = go(server, tmp_path / "c", [Local(folder)], contact=None, any_licence=True, resume=True)
    assert set(report.collection.manifest["id"]) == wanted(server)
    assert set(report.collection.manifest["url"]) == {""}
    assert server.requests == []


def test_quota_that_is_used_up_is_gone_on_with(start, tmp_path):
    server = start(60, share=1)
    server.quota = 1
    providers = [SerpApi(Secret(server.key), endpoint=f"{server.url}/serpapi")]
    report = go(server, tmp_path / "c", providers)
    assert report.stopped == ["SerpApi: Your account has run out of searches. (429)"]
    assert report.collection is None
    assert "too few backgrounds" in report.shortage
    assert len(report.ledger.images()) > 10
    server.quota = None
    report = go(server, tmp_path / "c", providers, resume=True)
    assert report.stopped == []
    assert set(report.collection.manifest["id"]) == wanted(server)
    pages = [(parameters["q"], parameters["ijn"]) for _, parameters, _ in server.searches]
    assert pages == [
        ("arm chair", "0"),
        ("arm chair", "1"),
        ("arm chair", "1"),
        ("living room", "0"),
        ("living room", "1"),
    ]


@pytest.mark.parametrize("wrong", [False, True])
def test_keys_never_leak(start, tmp_path, caplog, wrong):
    server = start(24, share=1)
    server.echo_key = True
    key = "WRONG-KEY-77aa" if wrong else server.key
    caplog.set_level(logging.DEBUG)
    report = go(server, tmp_path / "c", [SerpApi(Secret(key), endpoint=f"{server.url}/serpapi")])
    assert any(parameters["api_key"] == key for _, parameters, _ in server.searches)
    said = f"{report}{report.stopped}{caplog.text}{[record.__dict__ for record in caplog.records]}"
    assert "httpx" in said
    assert key not in said
    assert len(report.ledger.images()) == (0 if wrong else len(wanted(server)))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 1
    for path in files:
        assert key.encode() not in path.read_bytes(), path


def test_keys_are_in_no_exception(tmp_path):
    import traceback

    from chairfinder.providers import ApiClient, StoppedError
    from chairfinder.web import open_client

    with open_client(CONTACT, FAST, loopback=True) as client, pytest.raises(StoppedError) as caught:
        SerpApi(HIDDEN, endpoint="http://127.0.0.1:9/serpapi").search(QUERIES[0], ApiClient(client, FAST), None)
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "no connection" in text
    assert HIDDEN.reveal() not in text


# -- what is in the way -----------------------------------------------------------------------------------------------


def test_what_is_refused_before_anything_is_done(start, tmp_path):
    server = start(24, share=1)
    out = tmp_path / "c"
    with pytest.raises(ParameterError, match=r"no contact was given.*--contact"):
        go(server, out, contact=None)
    with pytest.raises(ParameterError, match="'me' is neither an e-mail nor a web address"):
        go(server, out, contact="me")
    with pytest.raises(ParameterError, match="limit 0"):
        go(server, out, limit=0)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(ChairlibError, match="not an empty folder"):
        go(server, tmp_path / "full")
    assert server.searches == []
    go(server, out)
    with pytest.raises(CollectionError, match=r"c\.collect holds a collection that was begun; pass --resume"):
        go(server, out)
    (out / "manifest.csv").write_text("mine")
    with pytest.raises(CollectionError, match="is not the collection that was built"):
        go(server, out, resume=True)
    assert (out / "manifest.csv").read_text() == "mine"


def test_loopback_is_refused_without_the_switch(start, tmp_path):
    server = start(4, share=1)
    report = collect(
        QUERIES, [Commons(f"{server.url}/commons")], tmp_path / "c", contact=CONTACT, limits=FAST, progress=False
    )
    assert report.stopped == ["Wikimedia Commons: forbidden address: 127.0.0.1 is not a public address"]
    assert (server.searches, server.requests) == ([], [])


def test_two_at_a_time(start, tmp_path):
    server = start(24, share=1)
    go(server, tmp_path / "c")
    with (
        collecting.only_collector(work_folder(tmp_path / "c")),
        pytest.raises(CollectionError, match="another process is collecting"),
    ):
        go(server, tmp_path / "c", resume=True)


def test_full_disk(start, tmp_path, monkeypatch):
    server = start(24, share=1)
    write = Path.write_bytes
    written = []

    def full(self, data):
        written.append(self)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(ChairlibError, match=r"cannot write .*: No space left on device\. Free some space"):
            go(server, tmp_path / "c")
    assert len(open_ledger(tmp_path / "c").images()) == 5
    report = go(server, tmp_path / "c", resume=True)
    assert set(report.collection.manifest["id"]) == wanted(server)


# -- review and removal -----------------------------------------------------------------------------------------------


def test_review_decides(start, tmp_path):
    server = start(40, share=1)
    ledger = go(server, tmp_path / "c").ledger
    segments, backgrounds = ledger.images("accepted", "segment"), ledger.images("accepted", "background")
    ledger.decide(segments[0].id, "refuse", "two chairs", "ann")
    report = go(server, tmp_path / "c", resume=True)
    assert set(report.collection.manifest["id"]) == wanted(server) - {segments[0].id}
    with open(tmp_path / "c" / "refused.csv", newline="") as stream:
        assert [segments[0].url, "refused in review: two chairs"] in [row[1:] for row in csv.reader(stream)]
    for entry in segments[1:5] + backgrounds[:4]:
        ledger.decide(entry.id, "keep")
    report = go(server, tmp_path / "c", resume=True, reviewed_only=True)
    assert set(report.collection.manifest["id"]) == {entry.id for entry in segments[1:5] + backgrounds[:4]}


def test_remove(start, tmp_path):
    server = start(40, share=1)
    out = tmp_path / "c"
    ledger = go(server, out).ledger
    item = server.good()[0]  # one that has copies at other addresses
    gone = image_id(item.content)
    copies = {server.url + other.path for other in server.good() if other.content == item.content}
    assert len(copies) > 1
    file = ledger.path(gone)
    said = remove(gone, out, progress=False)
    assert all(url in said for url in copies)
    assert not file.exists()
    assert not (out / "segments" / f"{gone}.png").exists()
    assert set(Collection(out).manifest["id"]) == wanted(server) - {gone}
    assert gone not in (out / "manifest.csv").read_text()
    before = len(server.requests)
    remove(gone, out, progress=False)  # once more does no harm
    # Searched again from the start, and found at a new address: never taken.
    ledger._database.execute("DELETE FROM searches")
    server.plan["/i/900.png"] = type(item)(900, "segment", "", item.content)
    go(server, out, resume=True)
    assert [path for path, _, _ in server.requests[before:]] == ["/i/900.png"]
    assert gone not in set(Collection(out).manifest["id"])
    assert not file.exists()
    go(server, out, resume=True)
    ledger._database.execute("DELETE FROM searches")
    go(server, out, resume=True)
    assert len(server.requests) == before + 1  # nor is the new address asked again


def test_a_mistyped_id_removes_nothing(start, tmp_path):
    server = start(24, share=1)
    out = tmp_path / "c"
    ledger = go(server, out).ledger
    before = sorted(path.name for path in out.rglob("*"))
    with pytest.raises(CollectionError, match="'0000000000000000' is not in the ledger"):
        remove("0000000000000000", out, progress=False)
    assert ledger.setting("stale") == ""
    assert go(server, out, resume=True, reviewed_only=True).collection is None  # nothing was kept: too few
    assert sorted(path.name for path in out.rglob("*")) == before


def test_removing_from_a_collection_that_becomes_too_small(start, tmp_path):
    server = start(16, share=1)
    out = tmp_path / "c"
    ledger = go(server, out).ledger
    count = len(ledger.images())
    while out.exists():
        said = remove(ledger.images("accepted", "segment")[0].id, out, progress=False)
        count -= 1
    assert "is removed, because too few segments to split" in said
    assert len(ledger.images()) == count > 8


@pytest.mark.parametrize("moment", ["before the rows", "after the rows", "between the renames"])
def test_a_removal_that_was_killed_goes_on(start, tmp_path, monkeypatch, moment):
    server = start(24, share=1)
    out = tmp_path / "c"
    ledger = go(server, out).ledger
    gone = ledger.images("accepted", "segment")[0].id

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    def half(fresh, out):
        out.rename(out.with_name(f".{out.name}.old"))
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "before the rows":
            patch.setattr(Ledger, "remove", kill)
        elif moment == "after the rows":
            patch.setattr(collecting, "_rebuild", kill)
        else:
            patch.setattr(collecting, "_replace", half)
        with pytest.raises(Killed):
            remove(gone, out, progress=False)
    if moment == "after the rows":
        go(server, out, resume=True)
    else:
        remove(gone, out, progress=False)
    assert set(Collection(out).manifest["id"]) == wanted(server) - {gone}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "c.collect"]


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHAIRLIB_CONTACT", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["chairlib", "collect", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


def test_commands(call, start, tmp_path):
    server = start(24, share=1)
    (tmp_path / "mine").mkdir()
    for item in server.plan.values():
        name = "arm-chair" if item.kind == "segment" else "living-room"
        (tmp_path / "mine" / f"{name}-{Path(item.path).name}").write_bytes(item.content)
    (tmp_path / "q.txt").write_text("[segment]\narm chair\n[background]\nliving room\n")
    begin = ("--queries", "q.txt", "--providers", "local:mine", "--out", "c")
    code, out, errors = call(*begin)
    assert code == 1
    assert "--any-licence" in out
    assert "chairlib: too few segments to split" in errors
    assert "What was found is kept; go on with --resume." in errors
    assert call(*begin)[2].endswith("pass --resume to go on, or name another folder.\n")
    code, out, _ = call(*begin, "--resume", "--any-licence")
    assert code == 0
    assert "local, segments: 12 found, 12 fetched" in out
    assert f"Collection('{tmp_path / 'c'}'" in out
    assert "12 found" in call("status", "--out", "c")[1]
    ledger = open_ledger("c")
    first, second = ledger.images("accepted", "segment")[:2]
    ledger.decide(first.id, "refuse", "a, stool", "ann")
    assert first.id in call("decisions", "--out", "c")[1]
    assert call("decisions", "--out", "c", "--export", "d.csv") == (0, "1 decisions in d.csv\n", "")
    ledger.undo()
    assert "1 decisions applied" in call("decisions", "--out", "c", "--replay", "d.csv")[1]
    assert ledger.decisions()[0].reason == "a, stool"
    code, out, _ = call("remove", second.id, "--out", "c")
    assert (code, f"removed {second.id}" in out) == (0, True)
    manifest = set(Collection("c").manifest["id"])
    assert second.id not in manifest
    assert first.id not in manifest
    assert call("status", "--out", "nothing")[2].startswith("chairlib: ")
    assert call("--providers", "commons", "--out", "x")[2].startswith("chairlib: no contact was given")
    assert call("--providers", "local:mine")[2].startswith("chairlib: collect needs the folder")


def test_the_current_folder_is_refused_before_the_work(call, start, tmp_path, monkeypatch):
    fill(tmp_path / "mine", start(24, share=1))
    begin = ("--providers", f"local:{tmp_path / 'mine'}", "--out")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert f"{tmp_path / 'here'} is the current folder" in call(*begin, ".")[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "mine"]
    monkeypatch.chdir(tmp_path)
    assert call(*begin, "here/../here/.")[0] == 0
    monkeypatch.chdir(tmp_path / "here")
    gone = Collection(".").manifest["id"][0]
    assert "go elsewhere first" in call("remove", gone, "--out", ".")[2]
    assert "go elsewhere first" in call("--resume", "--out", ".")[2]
    assert gone in set(Collection(".").manifest["id"])
    assert "12 found" in call("status", "--out", ".")[1]  # which replaces nothing


# -- going on as begun ------------------------------------------------------------------------------------------------


def fill(folder, server, segments="arm-chairs", backgrounds="living_room", licence="CC0"):
    """The server's images as a folder, each with its licence."""
    for item in server.plan.values():
        place = folder / (segments if item.kind == "segment" else backgrounds)
        place.mkdir(parents=True, exist_ok=True)
        (place / Path(item.path).name).write_bytes(item.content)
        with open(place / "manifest.csv", "a") as notes:
            notes.write("" if notes.tell() else "file,licence\n")
            notes.write(f"{Path(item.path).name},{licence}\n")
    return folder


def splits(out):
    return dict(Collection(out).manifest[["id", "split"]].itertuples(index=False))


def test_resume_alone_goes_on_as_begun(call, terminal, start, tmp_path):
    folder = fill(tmp_path / "mine", start(60, share=1))
    (tmp_path / "q.txt").write_text("[segment]\narm chair\n[background]\nliving room\n")
    begin = ("--queries", "q.txt", "--providers", "local:mine", "--limit", 20, "--threshold", "object_side=90")
    assert call(*begin, "--seed", 3, "--out", "c")[0] == 0
    begun = splits("c")
    assert len(begun) <= 40
    (tmp_path / "q.txt").unlink()
    code, _, errors = call("--out", "c", "--resume")
    assert (code, "searching: 100%" in errors) == (0, True)
    assert splits("c") == begun
    stored = collect_options.read_options(open_ledger("c"))
    assert (stored.seed, stored.limit, stored.providers) == (3, 20, [f"local:{folder}"])
    assert (stored.queries, stored.thresholds) == (QUERIES, Thresholds(object_side=90))
    # Given again, it counts, and from then on.
    assert call("--out", "c", "--resume", "--seed", 0)[0] == 0
    other = splits("c")
    assert other.keys() == begun.keys()
    assert other != begun
    assert call("--out", "c", "--resume")[0] == 0
    assert splits("c") == other
    remove(next(iter(other)), "c", progress=False)
    assert collect_options.read_options(open_ledger("c")).seed == 0


def test_resume_remembers_the_contact_and_reviewed_only(start, tmp_path):
    server = start(24, share=1)
    ledger = go(server, tmp_path / "c", reviewed_only=True).ledger
    for entry in ledger.images("accepted"):
        ledger.decide(entry.id, "keep")
    dropped = ledger.images("accepted", "segment")[0].id
    ledger.undo()
    ledger.decide(dropped, "refuse")
    report = go(server, tmp_path / "c", resume=True, contact=None)
    assert 0 < len(report.collection.manifest) < len(wanted(server))
    assert {entry.decision for entry in ledger.images() if entry.id in set(report.collection.manifest["id"])} == {
        "keep"
    }


def test_resume_with_nothing_to_go_on_with(start, tmp_path):
    server = start(4, share=1)
    with pytest.raises(CollectionError, match=r"c\.collect holds no ledger to go on with; leave --resume out"):
        go(server, tmp_path / "c", resume=True)
    assert list(tmp_path.iterdir()) == []
    Ledger(work_folder(tmp_path / "c")).close()  # killed before it had said anything: begun anew
    go(server, tmp_path / "c")
    assert len(server.requests) == 4


def test_changed_thresholds_screen_again(start, tmp_path):
    server = start(24, share=1)
    ledger = go(server, tmp_path / "c").ledger
    kept, other = (entry.id for entry in ledger.images("accepted", "segment")[:2])
    ledger.decide(kept, "keep")
    ledger.decide(other, "refuse", "a stool")
    n = len(ledger.images()) - 2
    report = go(server, tmp_path / "c", resume=True, thresholds=Thresholds(object_side=1000))
    assert f"thresholds changed: {n} images are screened again" in str(report)
    assert [entry.id for entry in ledger.images("refused", "segment")] == sorted(
        entry.id for entry in ledger.images(kind="segment") if entry.id not in (kept, other)
    )
    assert {found.image_id: found.decision for found in ledger.decisions()} == {kept: "keep", other: "refuse"}
    report = go(server, tmp_path / "c", resume=True)
    assert report.notes == []
    assert report.collection is None
    report = go(server, tmp_path / "c", resume=True, thresholds=Thresholds())
    assert set(report.collection.manifest["id"]) == wanted(server) - {other}


def test_two_folders_and_files_added_later(start, tmp_path):
    plan = list(start(60, share=1).plan.values())
    first = fill(
        tmp_path / "arm-chairs", SimpleNamespace(plan={item.path: item for item in plan[:20]}), "x", "living-room"
    )
    second = fill(tmp_path / "b", SimpleNamespace(plan={item.path: item for item in plan[20:40]}))
    report = go(None, tmp_path / "c", [Local(first), Local(second)], contact=None)
    assert set(report.collection.manifest["id"]) == {image_id(item.content) for item in plan[:40]}
    assert set(report.collection.manifest["source"]) == {"local:arm chair", "local:living room"}
    fill(second, SimpleNamespace(plan={item.path: item for item in plan[40:]}))
    report = go(None, tmp_path / "c", [Local(first), Local(second)], contact=None, resume=True)
    assert set(report.collection.manifest["id"]) == {image_id(item.content) for item in plan}
    with pytest.raises(ParameterError, match="stands twice"):
        go(None, tmp_path / "c", [Local(first), Local(first)], contact=None, resume=True)


def test_a_query_that_no_file_matches_is_named(start, tmp_path):
    folder = fill(tmp_path / "mine", start(24, share=1), segments="stools")
    report = go(None, tmp_path / "c", [Local(folder)], contact=None)
    assert f"local:{folder}: no file's path holds the words of a query: arm chair (segment)" in str(report)


def test_files_of_another_kind_than_the_queries_that_match_are_named(start, tmp_path):
    folder = fill(tmp_path / "mine", start(24, share=1))
    (folder / "arm-chairs" / "1.JPG").write_bytes(b"x")
    (folder / "arm-chairs" / "living-room.jpg").write_bytes(b"x")  # matched as a background, and refused as no image
    report = go(None, tmp_path / "c", [Local(folder)], contact=None)
    assert f"local:{folder}: 1 file left out, by the name of another kind" in str(report)
    assert str(report).rstrip().endswith(": arm-chairs/1.JPG")
    assert "living-room.jpg" in (tmp_path / "c" / "refused.csv").read_text()


def test_images_without_a_licence_are_left_out_again(start, tmp_path):
    server = start(40, faults=("", "no licence"), share=0.5)
    everything = {image_id(item.content) for item in server.plan.values()}
    assert everything > wanted(server)
    report = go(server, tmp_path / "c", any_licence=True)
    assert set(report.collection.manifest["id"]) == everything
    assert set(go(server, tmp_path / "c", resume=True).collection.manifest["id"]) == everything
    report = go(server, tmp_path / "c", resume=True, any_licence=False)
    assert set(report.collection.manifest["licence"]) == {"CC BY 4.0"}
    assert len(report.collection.manifest) < len(everything)


def test_the_summary_names_the_switch(start, tmp_path):
    report = go(start(24, faults=("no licence",), share=0.5), tmp_path / "c")
    assert "no licence stated (--any-licence takes such images" in str(report)


def test_a_second_process_leaves_what_the_first_is_building(start, tmp_path):
    server = start(24, share=1)
    go(server, tmp_path / "c")
    left = [tmp_path / ".c.new", tmp_path / ".c.old"]
    for folder in left:
        folder.mkdir()
    with (
        collecting.only_collector(work_folder(tmp_path / "c")),
        pytest.raises(CollectionError, match="another process is collecting"),
    ):
        go(server, tmp_path / "c", resume=True)
    assert all(folder.exists() for folder in left)
    go(server, tmp_path / "c", resume=True)
    assert not any(folder.exists() for folder in left)


def test_of_pictures_that_show_the_same_the_first_found_is_taken(start, tmp_path):
    server = start(24, share=1)
    item = next(item for item in server.good() if item.kind == "segment")
    with Image.open(io.BytesIO(item.content)) as image:
        mirrored = encode(ImageOps.mirror(image), "segment")
    server.plan["/i/900.png"] = type(item)(900, "segment", "", mirrored)
    collection = go(server, tmp_path / "c").collection
    assert image_id(mirrored) not in set(collection.manifest["id"])
    refused = pd.read_csv(tmp_path / "c" / "refused.csv").set_index("file")["reason"]
    assert refused[f"{server.url}/i/900.png"].startswith(
        f"near duplicate: 0 of 256 bits differ from {image_id(item.content)}"
    )


def test_removing_takes_packed_copies_and_names_the_group(start, tmp_path, monkeypatch):
    server = start(24, share=1)
    item = next(item for item in server.good() if item.kind == "segment")
    with Image.open(io.BytesIO(item.content)) as image:
        red, green, blue, opacity = image.split()
        recoloured = encode(Image.merge("RGBA", (ImageOps.invert(red), blue, green, opacity)), "segment")
    server.plan["/i/900.png"] = type(item)(900, "segment", "", recoloured)
    out = tmp_path / "c"
    collection = go(server, out).collection
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    packed = tmp_path / "cache" / "packed"
    packed.mkdir(parents=True)
    for name in (f"{collection.hash}-64-stretch-v1", f"{collection.hash}-32-stretch-v1", "0123-64-stretch-v1"):
        (packed / f"{name}.safetensors").write_bytes(b"x")
    said = remove(image_id(item.content), out, progress=False)
    assert f"removed too: {image_id(recoloured)}" in said
    assert [file.name for file in packed.iterdir()] == ["0123-64-stretch-v1.safetensors"]


def test_a_removed_picture_does_not_come_back_in_a_copy(start, tmp_path):
    server = start(24, share=1)
    item = next(item for item in server.good() if item.kind == "segment")
    gone = image_id(item.content)

    def offer(number, image, **options):
        stream = io.BytesIO()
        image.save(stream, "PNG", **options)
        server.plan[f"/i/{number}.png"] = type(item)(number, "segment", "", stream.getvalue())
        return image_id(stream.getvalue())

    with Image.open(io.BytesIO(item.content)) as image:
        encoded_anew = offer(900, image, compress_level=1)
        mirrored = offer(901, ImageOps.mirror(image))
        larger = image.resize((256, 256), Image.Resampling.BICUBIC)
    out = tmp_path / "c"
    ledger = go(server, out).ledger
    known = {entry.id for entry in ledger.images()}
    assert {gone, encoded_anew, mirrored} <= known  # in the ledger, and only the first of them in the collection
    assert set(Collection(out).manifest["id"]) == known - {encoded_anew, mirrored}
    said = remove(gone, out, progress=False)
    assert f"removed with it, as the same picture: {encoded_anew}" in said
    assert f"{server.url}/i/900.png" in said
    assert re.search(f"left out, as they show the same as a removed image .*: {mirrored}", said)
    assert set(Collection(out).manifest["id"]) == known - {gone, encoded_anew, mirrored}
    assert {entry.id for entry in ledger.images()} == known - {gone, encoded_anew}
    # Nor does one that is found later, whatever becomes of the ones that are there.
    remove(mirrored, out, progress=False)
    later = offer(902, larger)
    ledger._database.execute("DELETE FROM searches")
    go(server, out, resume=True)
    assert later in {entry.id for entry in ledger.images("accepted")}
    assert set(Collection(out).manifest["id"]) == known - {gone, encoded_anew, mirrored}
    refused = pd.read_csv(out / "refused.csv").set_index("file")["reason"]
    assert re.fullmatch(
        r"removed: \d+ of 256 bits differ from \w+, which was removed", refused[f"{server.url}/i/902.png"]
    )


def test_a_damaged_image_can_be_removed(start, tmp_path):
    server = start(24, share=1)
    out = tmp_path / "c"
    ledger = go(server, out).ledger
    gone = ledger.images("accepted", "segment")[0]
    ledger.path(gone).write_bytes(b"no image")
    remove(gone.id, out, progress=False)
    assert gone.id not in set(Collection(out).manifest["id"])


def test_the_build_shows_its_progress(call, terminal, start, tmp_path):
    fill(tmp_path / "mine", start(24, share=1))
    errors = call("--providers", "local:mine", "--out", "c", "--limit", 30)[2]
    assert "comparing segments: 100%" in errors


def test_an_error_stands_in_a_line_of_its_own(call, terminal, start, tmp_path, monkeypatch):
    fill(tmp_path / "mine", start(24, share=1))
    write = Path.write_bytes

    def full(self, data):
        if self.parent.name == "segments":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, errors = call("--providers", "local:mine", "--out", "c")
    lines = errors.replace("\r", "\n").splitlines()
    assert code == 1
    assert any(line.startswith("writing: ") for line in lines)
    assert lines[-1].startswith("chairlib: cannot write")


def test_images_held_at_one_time(monkeypatch):
    monkeypatch.setattr(building, "PIXELS_AT_ONCE", 100)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    held, most, lock = [0], [0], threading.Lock()

    def work(pixels):
        with lock:
            held[0] += pixels
            most[0] = max(most[0], held[0])
        time.sleep(0.002)
        with lock:
            held[0] -= pixels
        return pixels

    sizes = [30, 90, 40, 100, 10, 70, 250, 30, 20, 50] * 3
    small = [size for size in sizes if size <= 100]
    assert list(building.in_threads(work, small, lambda size: size)) == small
    assert 50 < most[0] <= 100
    assert list(building.in_threads(work, sizes, lambda size: size)) == sizes  # one too large waits, and comes alone
    assert most[0] == 250


# -- killed -----------------------------------------------------------------------------------------------------------

#: Imports once, then forks a collector for every line it is told; so a kill meets the work and not the imports.
_DRIVER = """
import json, os, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
from test_collecting import PATIENT, CollectionError, go
import chairfinder.collecting
from types import SimpleNamespace
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        code = 1
        try:
            server = SimpleNamespace(url=order["url"])
            try:
                report = go(server, order["out"], limits=PATIENT)
            except CollectionError:
                report = go(server, order["out"], limits=PATIENT, resume=True)
            code = report.collection is None
            print(report, report.shortage, file=sys.stderr)
        finally:
            os._exit(code)
    print(child, flush=True)
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    print(ended.si_status, flush=True)
    sys.stdin.readline()  # only then is the number of the process free for another
    os.waitpid(child, 0)
"""


class Driver:
    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, TEST_FOLDERS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, url, out, kill_after=None):
        """Collect; whether it came to its end. Gives also the seconds that took."""
        begun = time.monotonic()
        self.process.stdin.write(json.dumps({"url": url, "out": str(out)}) + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        # Killed at its moment, unless it has ended by then.
        if kill_after is not None and not select.select([self.process.stdout], [], [], kill_after)[0]:
            os.kill(child, signal.SIGKILL)
        status = int(self.process.stdout.readline())
        duration = time.monotonic() - begun
        self.process.stdin.write("reap\n")
        self.process.stdin.flush()
        return status == 0, duration


@pytest.fixture
def driver():
    started = Driver()
    yield started
    started.process.stdin.close()
    started.process.wait(10)


@pytest.mark.slow
def test_two_hundred_items_with_every_fault(start, tmp_path):
    server = start(200)
    begun = time.monotonic()
    report = go(server, tmp_path / "c", limits=PATIENT)
    duration = time.monotonic() - begun
    assert set(report.collection.manifest["id"]) == wanted(server)
    print(f"\n{report}\n{len(server.requests)} requests in {duration:.1f} s")
    assert {item.fault for item in server.plan.values()} == {"", *PASSING, *LASTING}


@pytest.mark.slow
def test_twenty_kills(start, tmp_path, driver):
    # Those that only wait would fill most of the time with it, and kills would meet nothing else.
    faults = ("", *PASSING, *(fault for fault in LASTING if fault not in ("silent", "dripping")))
    server = start(200, faults=faults, share=0.75)
    ended, duration = driver.run(server.url, tmp_path / "whole")
    assert ended
    expected = finished(tmp_path / "whole")
    assert set(expected["id"]) == wanted(server)
    print(
        f"\n200 items, {len(expected)} good: {duration:.2f} s, {len(server.requests) / duration:.0f} requests a second"
    )
    rng = random.Random(7)
    killed, interrupted, ends, again = 0, 0, 0, []
    while killed < 20:
        server.begin_again()
        out = tmp_path / f"killed-{killed}-{ends}"
        ended, took = driver.run(server.url, out, (killed + rng.random()) / 20 * duration)
        if ended:  # before its moment, on a machine that was busier when the whole was timed: the moments move closer
            duration, ends = took, ends + 1
            assert ends < 20, "too fast to be killed"
            continue
        killed += 1
        recorded = set()
        if (work_folder(out) / "ledger.sqlite").exists():
            ledger = Ledger(work_folder(out))
            recorded = {row["url"] for row in ledger._rows("SELECT url FROM urls WHERE state = 'fetched'")}
            ledger.close()
        interrupted += 0 < len(recorded) < 140
        time.sleep(0.05)  # what the dead process had asked for is written into the log
        before = len(server.requests)
        assert driver.run(server.url, out)[0]
        asked = {server.url + path for path, _, _ in server.requests[before:]}
        assert not asked & recorded, f"fetched again although recorded: {asked & recorded}"
        sent = [path for path, _, whole in server.requests if whole]
        again.append(len(sent) - len(set(sent)))
        assert again[-1] <= FAST.workers
        pd.testing.assert_frame_equal(finished(out), expected)
        assert Collection(out).hash == Collection(tmp_path / "whole").hash
        images = {path.stem for path in (work_folder(out) / "images").iterdir()}
        assert images == {entry.id for entry in Ledger(work_folder(out)).images()}
    print(f"{killed} killed, {interrupted} amid the images, {ends} ended before; sent twice, each at a kill: {again}")
    assert interrupted >= 5


def test_ctrl_c_is_one_line_and_resumable(start, tmp_path):
    server = start(60, share=1)
    server.pause = 0.2
    (tmp_path / "q").write_text("[segment]\narm chair\n[background]\nliving room\n")
    code = (
        "import functools, os, sys; from dataclasses import replace;"
        "sys.path[:0] = sys.argv.pop(1).split(os.pathsep); url = sys.argv.pop(1);"
        "from chairlib import cli; from chairfinder import collecting, providers;"
        "from test_collecting import FAST, Commons; slow = replace(FAST, workers=2);"
        "providers.find_providers = lambda *_: [Commons(url + '/commons')];"
        "collecting.collect = functools.partial(collecting.collect, loopback=True, limits=slow); cli.main()"
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            code,
            TEST_FOLDERS,
            server.url,
            "collect",
            "--out",
            "c",
            "--contact",
            CONTACT,
            "--queries",
            "q",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and len(server.requests) < 10:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.replace("\r", "\n").splitlines()[-1].startswith("chairlib: interrupted; ")
    assert "--resume" in errors.splitlines()[-1]
    server.pause = 0
    report = go(server, tmp_path / "c", resume=True)
    assert set(report.collection.manifest["id"]) == wanted(server)
