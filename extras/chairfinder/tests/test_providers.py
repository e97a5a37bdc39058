"""What each provider asks for, how it reads the answers, and how it ends: the services' formats are played locally."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from chairfinder import collecting
from chairfinder.collecting import collect
from chairfinder.providers import ApiClient, StoppedError, local
from chairfinder.providers.commons import Commons
from chairfinder.providers.local import Local, local_path
from chairfinder.providers.openverse import Openverse
from chairfinder.providers.serpapi import SerpApi
from chairfinder.queries import Query
from chairfinder.web import Limits, Secret, open_client
from collect_server import CollectServer, draw_shape, make_plan
from drawing import encode

FAST = Limits(
    connect=2, read=2, total=4, tries=3, backoff=0.001, max_wait=2, workers=4, per_host=4, interval=0, api_interval=0
)
CHAIRS, ROOMS = Query("arm chair", "segment"), Query("living room", "background")
NAMES = ("commons", "openverse", "serpapi")
LICENCES = {"commons": "CC BY 4.0", "openverse": "CC BY-SA 2.0", "serpapi": "CC BY 4.0"}


@pytest.fixture
def start():
    """Start servers, and stop them at the end."""
    started = []

    def run(count=24, **options):
        started.append(CollectServer(make_plan(count, **{"share": 1, **options})))
        return started[-1]

    yield run
    for server in started:
        server.close()


@pytest.fixture
def client():
    with open_client("someone@example.org", FAST, loopback=True) as opened:
        yield ApiClient(opened, FAST)


def provider_of(name, server, **options):
    address = f"{server.url}/{name}"
    if name == "serpapi":
        return SerpApi(Secret(server.key), endpoint=address, **options)
    return {"commons": Commons, "openverse": Openverse}[name](address, **options)


def all_pages(provider, query, client):
    pages = [provider.search(query, client, None)]
    while pages[-1].after is not None:
        pages.append(provider.search(query, client, pages[-1].after))
    return pages


# -- licences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("any_licence", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_images_that_must_not_be_changed_are_never_fetched(start, tmp_path, name, any_licence):
    """Whatever the service's own filter lets through, and also where images without a licence are wanted."""
    server = start(24, share=0, faults=("", "no changes"))
    server.careless = True
    report = collect(
        [CHAIRS, ROOMS],
        [provider_of(name, server)],
        tmp_path / "c",
        contact="someone@example.org",
        any_licence=any_licence,
        limits=FAST,
        loopback=True,
        progress=False,
    )
    locked = {server.url + item.path for item in server.plan.values() if item.fault == "no changes"}
    refused = {url: reason for _, _, url, reason in report.ledger.refusals()}
    assert len(locked) > 5
    assert set(refused) == locked
    assert {reason.split(":")[0] for reason in refused.values()} == {"licence forbids changes"}
    assert not locked & {server.url + path for path, _, _ in server.requests}


def test_an_address_that_is_no_licence_is_not_taken_for_one(start, client, tmp_path, monkeypatch):
    server = start(24)
    monkeypatch.setattr(server, "terms", "https://shop.example/terms")
    provider = provider_of("serpapi", server)
    found = provider.search(CHAIRS, client, None).items[0]
    assert (found.licence, found.licence_url) == ("", "https://shop.example/terms")
    report = collect(
        [CHAIRS], [provider], tmp_path / "c", contact="a@b.org", limits=FAST, loopback=True, progress=False
    )
    assert {reason for _, _, _, reason in report.ledger.refusals()} == {
        "no licence: https://shop.example/terms is the address of none that is known; --any-licence takes such images, "
        "at your own risk"
    }
    assert server.requests == []


def test_serpapi_is_asked_for_images_that_may_be_changed(start, client):
    server = start(24, share=0, faults=("", "no changes", "no licence"))
    found = provider_of("serpapi", server).search(CHAIRS, client, None).items
    assert found
    assert {item.licence for item in found} == {"CC BY 4.0"}
    every = provider_of("serpapi", server, any_licence=True).search(CHAIRS, client, None).items
    assert len(every) > len(found)
    asked = [parameters for _, parameters, _ in server.searches]
    assert [parameters.get("licenses") for parameters in asked] == ["fm", None]
    assert not any("tbs" in parameters for parameters in asked)


# -- fields -----------------------------------------------------------------------------------------------------------


def test_the_fields_of_each_service(start, client):
    server = start(24)
    item = next(item for item in server.plan.values() if item.kind == "segment")
    page = f"{server.url}/page/{item.number}"
    common = {"url": server.url + item.path, "landing_page": page}
    expected = {
        "commons": {
            "author": f"Author {item.number}",
            "licence": "CC BY 4.0",
            "licence_url": "https://creativecommons.org/licenses/by/4.0",
            "title": f"Item {item.number}",
            "width": 48,
            "height": 56,
            "mime": "image/png",
        },
        "openverse": {
            "author": f"Author {item.number}",
            "licence": "CC BY-SA 2.0",
            "licence_url": "https://creativecommons.org/licenses/by-sa/2.0",
            "title": "",
            "width": None,
            "height": 3,
            "mime": "",
        },
        "serpapi": {
            "author": "",  # `source` is the site's name
            "licence": "CC BY 4.0",
            "licence_url": "https://creativecommons.org/licenses/by/4.0",
            "title": f"Chair {item.number}",
            "width": 48,
            "height": 56,
            "mime": "",
        },
    }
    for name in NAMES:
        assert asdict(provider_of(name, server).search(CHAIRS, client, None).items[0]) == common | expected[name], name


# -- waiting ----------------------------------------------------------------------------------------------------------

MAXLAG = {"error": {"code": "maxlag", "info": "Waiting for db1: 7 seconds lagged", "lag": 7}}
RATELIMITED = {"error": {"code": "ratelimited", "info": "You've exceeded your rate limit."}}
THROTTLED = {"detail": "Request was throttled. Expected available in 1 second."}
THROTTLED_LONG = {"detail": "Request was throttled. Expected available in 40000 seconds."}


@pytest.mark.parametrize(
    ("name", "answer", "wait"),
    [
        ("commons", (200, {"Retry_After": 1}, MAXLAG), 1),
        ("commons", (200, {}, RATELIMITED), 0),
        ("openverse", (429, {}, THROTTLED), 1),
        ("serpapi", (503, {"Retry_After": 0}, {}), 0),
        ("serpapi", (200, {}, b"<html>"), 0),
    ],
)
def test_a_service_that_asks_to_wait_is_waited_for(start, client, name, answer, wait):
    server = start(24)
    server.busy = [answer]
    begin = time.monotonic()
    assert len(provider_of(name, server).search(CHAIRS, client, None).items) == 12
    assert len(server.searches) == 2
    assert time.monotonic() - begin >= wait


@pytest.mark.parametrize(
    ("name", "answer", "seconds"),
    [
        ("commons", (200, {"Retry_After": 300}, MAXLAG), 300),
        ("openverse", (429, {}, THROTTLED_LONG), 40000),
        ("serpapi", (503, {"Retry_After": 3600}, {}), 3600),
    ],
)
def test_a_service_that_asks_for_more_than_a_run_waits_is_left(start, client, name, answer, seconds):
    server = start(24)
    server.busy = [answer]
    with pytest.raises(StoppedError, match=f"asks to wait {seconds} s; --resume later"):
        provider_of(name, server).search(CHAIRS, client, None)
    assert len(server.searches) == 1


@pytest.mark.parametrize("answer", [(200, {"Retry_After": 0}, MAXLAG), (500, {}, {}), (200, {}, b"nothing")])
def test_patience_has_an_end(start, client, answer):
    server = start(24)
    server.busy = [answer] * 9
    with pytest.raises(StoppedError, match=r"Commons: .* \(3 tries\)"):
        provider_of("commons", server).search(CHAIRS, client, None)
    assert len(server.searches) == FAST.tries


def test_openverse_is_asked_slowly_without_a_token(start, client):
    server = start(60)
    provider = provider_of("openverse", server, interval=0.3)
    begin = time.monotonic()
    assert len(all_pages(provider, CHAIRS, client)) == 2
    assert time.monotonic() - begin >= 0.3


@pytest.mark.parametrize(
    ("options", "interval"),
    [
        ({}, 3.1),
        ({"token": Secret("t")}, 0),
        ({"endpoint": "https://other.example/v1/images/"}, 0),
        ({"interval": 9}, 9),
    ],
)
def test_the_pace_that_openverse_is_asked_at(options, interval):
    asked = []

    class Recorder:
        def get_json(self, service, url, parameters, *, token, interval):
            asked.append(interval)
            return {"results": [], "page_count": 0}

    Openverse(**options).search(CHAIRS, Recorder(), None)
    assert asked == [interval]
    assert interval == 0 or 60 / interval < 20


# -- paging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [CHAIRS, ROOMS])
@pytest.mark.parametrize("name", NAMES)
def test_pages_hold_everything_once_and_in_order(start, client, name, query):
    server = start(90)
    provider = provider_of(name, server)
    pages = all_pages(provider, query, client)
    assert [len(page.items) for page in pages] == [20, 20, 5]
    expected = [server.url + item.path for item in server.plan.values() if item.kind == query.kind]
    assert [item.url for page in pages for item in page.items] == expected
    # Any page can be had again by its cursor alone, in another run.
    again = provider_of(name, server).search(query, client, pages[0].after)
    assert again == pages[1]


@pytest.mark.parametrize(
    ("name", "segment", "background"),
    [
        ("commons", {"gsrsearch": "arm chair filemime:image/png"}, {"gsrsearch": "living room filemime:image/jpeg"}),
        ("openverse", {"q": "arm chair", "extension": "png"}, {"q": "living room", "extension": "jpg,jpeg"}),
        ("serpapi", {"q": "arm chair", "image_color": "trans"}, {"q": "living room", "image_color": None}),
    ],
)
def test_what_is_asked_for(start, client, name, segment, background):
    server = start(4)
    for query, expected in ((CHAIRS, segment), (ROOMS, background)):
        provider_of(name, server).search(query, client, None)
        asked = server.searches[-1][1]
        assert {field: asked.get(field) for field in expected} == expected


def test_words_that_commons_would_take_for_operators(start, client):
    server = start(4)
    provider_of("commons", server).search(Query('-chair "intitle:x" (a|b)*', "segment"), client, None)
    assert server.searches[-1][1]["gsrsearch"] == "chair intitle x a b filemime:image/png"


def test_a_token_buys_larger_pages_and_its_cursor_serves_without_it(start, client):
    server = start(4)
    with_token = provider_of("openverse", server, token=Secret("TOKEN-1"))
    with_token.search(CHAIRS, client, None)
    _, asked, headers = server.searches[-1]
    assert (asked["page"], asked["page_size"], headers["Authorization"]) == ("1", "50", "Bearer TOKEN-1")
    provider_of("openverse", server).search(CHAIRS, client, "[3, 50]")  # works 101 to 150
    _, asked, headers = server.searches[-1]
    assert (asked["page"], asked["page_size"]) == ("6", "20")
    assert "Authorization" not in headers


def test_openverse_ends_at_its_depth(start, client):
    server = start(600)
    assert sum(len(page.items) for page in all_pages(provider_of("openverse", server), CHAIRS, client)) == 240


# -- answers that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        (
            "commons",
            (200, {}, {"error": {"code": "badvalue", "info": "No\x1b[2J such value"}}),
            r"Commons: No \[2J such",
        ),
        ("commons", (200, {}, []), "the answer is not understood"),
        ("commons", (403, {}, {"error": "Blocked."}), r"refused access \(403\): Blocked\."),
        ("openverse", (401, {}, {"detail": "Invalid token"}), r"refused access \(401\): Invalid token"),
        ("openverse", (200, {}, {"detail": "?"}), "the answer is not understood"),
        ("openverse", (302, {"Location": "http://10.0.0.1/"}, {}), "the server answered 302"),
        ("serpapi", (401, {}, {"error": "Invalid API key"}), r"refused access \(401\): Invalid API key"),
        ("serpapi", (429, {}, {"error": "Your account has run out of searches."}), r"run out of searches\. \(429\)"),
        ("serpapi", (200, {}, {"search_metadata": {"status": "Error"}, "error": "broken"}), "SerpApi: broken"),
        ("serpapi", (200, {}, ["x"]), "the answer is not understood"),
        ("serpapi", (404, {}, {}), "the server answered 404"),
    ],
)
def test_errors_end_the_search_in_words(start, client, name, answer, said):
    server = start(4)
    server.busy = [answer] * FAST.tries
    with pytest.raises(StoppedError, match=said) as caught:
        provider_of(name, server).search(CHAIRS, client, None)
    assert str(caught.value).isprintable()
    assert len(server.searches) == 1  # none of them is mended by asking again


ODD = [None, True, 7, -1.5, "", "x", "\ud800", "nan", [], {}, [None], [[]], {"x": None}, [{"x": 1}], "9" * 5000]


def with_one_value_replaced(answer):
    """Every way to put an odd value in one place of a JSON answer."""
    yield from ODD
    places = answer.items() if isinstance(answer, dict) else enumerate(answer) if isinstance(answer, list) else ()
    for key, value in places:
        for odd in with_one_value_replaced(value):
            changed = answer.copy()
            changed[key] = odd
            yield changed


@pytest.mark.parametrize("name", NAMES)
def test_any_answer_is_a_page_or_the_end_of_the_search(start, client, name):
    server = start(3)
    provider = provider_of(name, server)
    answers = []

    class Recorder:
        def get_json(self, *_, **__):
            answers.append(client.get_json(*_, **__))
            return answers[-1]

    class Replay:
        def __init__(self, answer):
            self.answer = answer

        def get_json(self, *_, **__):
            return self.answer

    provider.search(CHAIRS, Recorder(), None)
    pages, stopped = 0, []
    for answer in with_one_value_replaced(answers[0]):
        try:
            page = collecting.ask_provider(provider, CHAIRS, Replay(answer), None)
        except StoppedError as error:
            stopped.append(str(error))
            continue
        assert page.after is None or isinstance(page.after, str)
        for item in page.items:
            collecting.refusal_before_fetching(item, provider, any_licence=False)
            json.dumps(asdict(item), ensure_ascii=False).encode()  # what the ledger could not hold
        pages += 1
    assert pages > 100
    assert len(stopped) > 10
    assert all(said.isprintable() for said in stopped)


def test_an_odd_answer_stops_its_service_alone(start, tmp_path):
    server = start(24)
    server.busy = [(200, {}, {"query": {"pages": [{"imageinfo": {"url": "x"}}]}})]
    report = collect(
        [CHAIRS, ROOMS],
        [provider_of("commons", server), provider_of("openverse", server)],
        tmp_path / "c",
        contact="someone@example.org",
        limits=FAST,
        loopback=True,
        progress=False,
    )
    assert report.stopped == ["commons: the answer is not understood (KeyError)"]
    assert {entry.provider for entry in report.ledger.images()} == {"openverse"}
    assert report.collection is not None


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("commons", {"batchcomplete": True}),
        ("openverse", {"results": [], "page_count": 0}),
        ("serpapi", {"search_metadata": {"status": "Success"}, "error": "Google hasn't returned any results."}),
    ],
)
def test_nothing_found_is_no_error(start, client, name, answer):
    server = start(4)
    server.busy = [(200, {}, answer)]
    page = provider_of(name, server).search(CHAIRS, client, None)
    assert (list(page.items), page.after) == ([], None)


@pytest.mark.parametrize("name", NAMES)
def test_the_key_is_not_in_what_is_found(start, client, name):
    server = start(24)
    server.echo_key = True
    found = provider_of(name, server).search(CHAIRS, client, None)
    assert server.key not in repr(found)


# -- a folder ---------------------------------------------------------------------------------------------------------


def test_a_folder_s_files_are_judged_by_content_not_by_name(tmp_path):
    """What no kind's names end in is tried, and refused with a reason, rather than passed over in silence."""
    folder = tmp_path / "arm-chairs"
    folder.mkdir()
    for name in ("1.PNG", "2.jpg", "3.heic", "4", "README.md", ".hidden.png"):
        (folder / name).write_bytes(b"?")
    found = {
        kind: Local(folder).search(Query("arm chair", kind), None, None).items for kind in ("segment", "background")
    }
    assert [item.title for item in found["segment"]] == ["1", "3", "4"]
    assert [item.title for item in found["background"]] == ["1", "2", "3", "4"]
    report = collect([CHAIRS], [Local(folder)], tmp_path / "c", any_licence=True, limits=FAST, progress=False)
    refused = {url.rpartition("/")[2]: reason for _, _, url, reason in report.ledger.refusals()}
    assert set(refused) == {"1.PNG", "3.heic", "4"}
    assert all(refused.values())


def test_a_folder_of_more_files_than_the_limit_is_not_said_to_match_nothing(tmp_path):
    folder = tmp_path / "arm-chairs"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.png").write_bytes(b"?")
    report = collect([CHAIRS], [Local(folder)], tmp_path / "c", limit=2, any_licence=True, limits=FAST, progress=False)
    assert len(list(report.ledger.refusals())) == 2
    assert "no file's path" not in str(report)


def test_a_folder_s_manifest_says_licence_and_page_of_each_image(client, tmp_path):
    folder = tmp_path / "arm-chairs"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"{number}.png").write_bytes(b"?")
    terms, page = "https://creativecommons.org/licenses/by/4.0/", "https://example.org/page"
    lines = [
        "file,url,author,licence,landing_page,licence_url",
        f"1.png,https://example.org/1.png,A. Person,,{page},{terms}",
    ]
    (folder / "manifest.csv").write_text("\n".join([*lines, "2.png,https://example.org/2.png,,CC0,,"]) + "\n")
    first, second, third = Local(folder).search(CHAIRS, client, None).items
    assert (first.landing_page, first.author, first.licence_url) == (page, "A. Person", terms)
    assert (second.landing_page, second.licence, second.licence_url) == ("https://example.org/2.png", "CC0", "")
    assert (third.landing_page, third.licence, third.licence_url) == ("", "", "")


def test_names_of_files_that_are_not_utf_8(tmp_path, monkeypatch):
    """A name is bytes: found, fetched, named and gone on with, whatever they are."""
    monkeypatch.setattr(local, "_PAGE", 1)
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/arm-chairs-\xfc"))
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (b"K\xfcche-1.png", b"K\xfcche-2.png", "Küche 100%-3.png".encode(), b"K\xfcche.jpg"):
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(encode(draw_shape(rng), "segment"))
    Path(os.fsdecode(bytes(folder) + b"/\xfc.heic")).write_bytes(b"?")
    report = collect([CHAIRS], [f"local:{folder}"], tmp_path / "c", any_licence=True, limits=FAST, progress=False)
    entries = report.ledger.images()
    assert sorted(entry.title for entry in entries) == ["K che-1", "K che-2", "Küche 100%-3"]
    for entry in entries:
        assert local_path(entry.url).read_bytes() == report.ledger.path(entry).read_bytes()
        assert local_path(entry.url).as_uri() == entry.url
    assert [url.rpartition("/")[2] for _, _, url, _ in report.ledger.refusals()] == ["%FC.heic"]
    str(report).encode()  # can be printed
    assert "1 file left out" in str(report)
    again = collect(None, None, tmp_path / "c", resume=True, limits=FAST, progress=False)
    assert len(again.ledger.images()) == 3
