import sqlite3
import threading
import time
from collections import Counter
from itertools import pairwise

import httpx
import pytest

from chairfinder.download import Task, transfer_all
from chairfinder.web import Limits, PassingError, Turns, UnusableError, read_url
from chairlib.core.errors import CollectionError

QUICK = Limits(tries=3, backoff=0.001, max_wait=0.3, workers=8, per_host=2, interval=0, give_up=9)


def tasks(*urls):
    return [Task(url, "segment", "commons") for url in urls]


def ends(work, *urls, limits=QUICK):
    return {outcome.task.url: (outcome.reason, outcome.final) for outcome in transfer_all(tasks(*urls), work, limits)}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.org/1.png", "a.org"),
        ("https://A.org:443/1.png", "a.org"),
        ("https://a.org./1.png", "a.org"),
        ("http://a.org.:80/1.png", "a.org"),
        ("https://a.org:/1.png", "a.org"),
        ("https://a.org:80/1.png", "a.org:80"),
        ("http://a.org:8080/1.png", "a.org:8080"),
        ("http://a.org:99999/1.png", "a.org:99999"),
        ("http://[2606:4700::1111]:80/1.png", "2606:4700::1111"),
        ("file:///chairs/1.png", ""),
    ],
)
def test_a_host_has_one_name_however_it_is_spelt(url, host):
    assert tasks(url)[0].host == host


def test_the_spellings_of_a_host_share_its_limits():
    now, most, lock = 0, 0, threading.Lock()

    def work(_task):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1

    ends(work, *[f"https://{host}/{n}" for host in ("a.org", "A.org:443", "a.org.") for n in range(4)])
    assert most <= QUICK.per_host


def test_a_host_that_only_redirects_lead_to_is_spared_as_well():
    now, most, starts, lock = Counter(), Counter(), [], threading.Lock()

    def answer(request):
        host = request.url.host.removesuffix(".")
        if host != "store.org":
            return httpx.Response(302, headers={"Location": f"http://store.org{request.url.path}"})
        with lock:
            now[host] += 1
            most[host] = max(most[host], now[host])
            starts.append(time.monotonic())
        time.sleep(0.05)
        with lock:
            now[host] -= 1
        return httpx.Response(200, stream=httpx.ByteStream(b"picture"))

    limits = Limits(
        workers=8, per_host=2, interval=0.01, total=0.5
    )  # less than all of them take: waiting is not counted
    turns, read = Turns(limits), []
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        urls = [f"http://{site}.org/{site}" for site in range(24)] + ["http://store.org./x"] * 2
        found = ends(lambda task: read.append(read_url(client, task.url, limits, turns)), *urls, limits=limits)
    assert set(found.values()) == {(None, True)}
    assert read == [b"picture"] * 26
    assert most["store.org"] == 2
    assert starts[-1] - starts[0] > 0.5
    # The interval is kept from turn to turn, however late a busy machine begins one.
    begun = time.monotonic()
    for _ in range(4):
        with turns.at("http://store.org/x"):
            pass
    assert time.monotonic() - begun >= 3 * limits.interval


def test_every_task_ends_once():
    tried = Counter()

    def work(task):
        tried[task.url] += 1
        if "passing" in task.url and tried[task.url] < 3:
            raise PassingError("busy")
        if "never" in task.url:
            raise PassingError("busy")
        if "bad" in task.url:
            raise UnusableError("rule: no")

    assert ends(work, "http://a/ok", "http://a/passing", "http://b/never", "http://c/bad") == {
        "http://a/ok": (None, True),
        "http://a/passing": (None, True),
        "http://b/never": ("unreachable: busy", False),
        "http://c/bad": ("rule: no", True),
    }
    assert tried == {"http://a/ok": 1, "http://a/passing": 3, "http://b/never": 3, "http://c/bad": 1}
    assert ends(work) == {}


def test_hosts_are_spared_and_others_go_on():
    now, most, starts, lock = Counter(), Counter(), [], threading.Lock()

    def work(task):
        with lock:
            now[task.host] += 1
            most[task.host] = max(most[task.host], now[task.host])
            starts.append((task.host, time.monotonic()))
        time.sleep(0.02)
        with lock:
            now[task.host] -= 1

    limits = Limits(workers=8, per_host=2, interval=0.03)
    ends(work, *[f"http://{host}/{number}" for host in "abc" for number in range(6)], limits=limits)
    assert set(most.values()) <= {1, 2}
    for host in "abc":
        times = [when for name, when in starts if name == host]
        assert min(b - a for a, b in pairwise(times)) > 0.025
    # Not one host after the other.
    assert len({host for host, _ in starts[:3]}) == 3


def test_a_host_that_asks_to_wait_is_left_alone():
    times = []

    def work(task):
        times.append(time.monotonic())
        if len(times) == 1:
            raise PassingError("busy", wait=0.2)

    ends(work, *[f"http://a/{number}" for number in range(4)], limits=Limits(workers=1, interval=0, max_wait=1))
    assert times[1] - times[0] >= 0.2
    assert len(times) == 5


def test_a_host_that_asks_for_more_than_a_run_waits_is_asked_for_nothing_more():
    tried, on_its_way = [], threading.Barrier(2)

    def work(task):
        tried.append(task.url)
        if task.host == "patient":
            raise PassingError("the server answered 503", wait=0.1)
        if task.host == "busy":
            if len(tried) <= 2:  # two at a time: one is told to wait while the other is on its way
                on_its_way.wait(5)
            if task.url.endswith("/0"):
                raise PassingError("the server answered 429", wait=0.31)
            time.sleep(0.05)
            raise PassingError("the connection broke")

    found = ends(work, *[f"http://busy/{number}" for number in range(9)], limits=QUICK)
    assert sorted(tried) == ["http://busy/0", "http://busy/1"]  # and never again
    asks = "unreachable: the server answered 429, and asks to wait 0 s"
    assert found["http://busy/0"] == (asks, False)
    assert found["http://busy/1"] == ("unreachable: the connection broke; so were others of its host", False)
    assert {found[f"http://busy/{number}"] for number in range(2, 9)} == {
        (f"{asks}; so were others of its host", False)
    }
    # Asked for what a run does wait, a host is tried again, and others go on.
    tried.clear()
    found = ends(work, "http://patient/0", "http://other/0")
    assert found == {
        "http://patient/0": ("unreachable: the server answered 503", False),
        "http://other/0": (None, True),
    }
    assert tried.count("http://patient/0") == QUICK.tries


def test_a_host_that_is_gone_is_given_up():
    tried = Counter()

    def work(task):
        tried[task.host] += 1
        if task.host == "gone":
            raise PassingError("no connection")

    found = ends(work, *[f"http://gone/{number}" for number in range(30)], "http://a/1")
    assert found["http://a/1"] == (None, True)
    assert {reason for reason, _ in found.values()} == {
        None,
        "unreachable: no connection; so were others of its host",
    }
    assert len(found) == 31
    assert tried["gone"] < 30


@pytest.mark.parametrize("error", [OSError(28, "No space left"), CollectionError("no"), sqlite3.OperationalError("x")])
def test_what_spares_no_address_ends_it_all(error):
    done = []

    def work(task):
        done.append(task)
        raise error

    with pytest.raises(type(error)):
        ends(work, *[f"http://{number}/" for number in range(100)])
    assert len(done) <= QUICK.workers


def test_what_nobody_thought_of_is_one_address_s_own():
    def work(task):
        if "odd" in task.url:
            raise OverflowError("too large")

    assert ends(work, "http://odd/1", "http://a/2", "http://b/3") == {
        "http://odd/1": ("unexpected: OverflowError: too large", False),
        "http://a/2": (None, True),
        "http://b/3": (None, True),
    }
    # A host that is odd again and again is left, as one that is gone is.
    found = ends(work, *[f"http://odd/{number}" for number in range(30)])
    assert sum(reason.endswith("so were others of its host") for reason, _ in found.values()) >= 30 - QUICK.give_up - 8
