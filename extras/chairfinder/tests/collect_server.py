"""Plays the services that are searched and the hosts of the images, on 127.0.0.1, with every fault that the web has.

A plan is a list of items, each with a fault. The services offer them page by page in their own formats; the hosts send
them, or what the fault says. ``requests`` logs each request of an image, and whether the whole body was sent.
"""

import gzip
import json
import struct
import threading
import time
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image, ImageDraw

from drawing import draw_background, encode

#: Faults that a patient collector gets past, and those that no patience mends.
PASSING = ("busy", "busy until", "down once", "cut once", "moved", "packed")
LASTING = (
    *("gone", "down", "silent", "cut", "too long", "too short", "dripping", "private", "metadata", "mapped", "loop"),
    *("page", "bomb", "packed bomb", "nowhere", "file", "empty", "no licence", "no changes", "password"),
    *("odd wait", "odd port", "odd host"),
)
_TARGETS = {
    "private": "http://10.0.0.1/secret.png",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "mapped": "http://[::ffff:192.168.0.1]/secret.png",
    "file": "file:///etc/passwd",
    "odd host": "http://xn--a/x.png",
}


@dataclass(frozen=True)
class Item:
    """One image of the plan. ``content`` is what an honest host sends."""

    number: int
    kind: str
    fault: str
    content: bytes

    @property
    def path(self) -> str:
        return f"/i/{self.number}.{'png' if self.kind == 'segment' else 'jpg'}"

    @property
    def good(self) -> bool:
        return self.fault == "" or self.fault in PASSING


def draw_shape(rng: np.random.Generator, size: int = 128) -> Image.Image:
    """A random polygon, cut out: no two are alike enough to share a group, as chairs of one drawing rule would.

    Large and grainy enough for screening, which refuses small and flat ones.
    """
    angles = (np.arange(11) + rng.uniform(0, 0.9, 11)) * 2 * np.pi / 11
    radii = rng.uniform(0.2, 0.48, 11) * size
    points = [(size / 2 + r * np.cos(a), size / 2 + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]
    opacity = Image.new("L", (size, size))
    ImageDraw.Draw(opacity).polygon(points, fill=255)
    grain = rng.integers(0, 200, 3) + rng.integers(-20, 21, (size, size, 3))
    image = Image.fromarray(np.clip(grain, 0, 220).astype(np.uint8)).convert("RGBA")
    image.putalpha(opacity)
    return image


def make_plan(
    count: int, faults: tuple[str, ...] = ("", *PASSING, *LASTING), share: float = 0.5, seed: int = 0
) -> list[Item]:
    """``count`` items of both kinds: ``share`` of them without fault, the others with each fault in turn.

    Every tenth good one is a copy.
    """
    rng = np.random.default_rng(seed)
    items: list[Item] = []
    for number in range(count):
        kind = "background" if number % 2 else "segment"
        fault = "" if rng.random() < share else faults[(number // 2) % len(faults)]
        image = draw_shape(rng) if kind == "segment" else draw_background(rng, 140)
        items.append(Item(number, kind, fault, encode(image, kind)))
    for item in items[20::10]:
        twin = next(other for other in items if other.kind == item.kind and other.good)
        items[item.number] = replace(item, content=twin.content, fault="")
    return items


@cache
def packed_bomb() -> bytes:
    """Few bytes that unpack to 60 million."""
    return gzip.compress(bytes(60 * 10**6), 9)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


class CollectServer(ThreadingHTTPServer):
    """Serves a plan. ``quota``: searches that are answered before the service has none left; None: any number."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, plan: list[Item], pause: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan = {item.path: item for item in plan}
        self.pause = pause
        self.page = 20
        self.quota: int | None = None
        self.refusal: tuple[int, dict] = (429, {"error": "Your account has run out of searches."})
        self.key = "KEY-9f3c-do-not-leak"
        self.echo_key = False
        self.careless = False  # whether the services' filters of licences let everything through
        self.busy: list[
            tuple[int, dict, object]
        ] = []  # what the next searches are answered: status, headers, JSON or bytes
        self.terms = ""  # the address of the terms that SerpApi gives instead of the licence's
        self.requests: list[list] = []  # path, time, whether all of it was sent
        self.searches: list[tuple[str, dict[str, str], dict[str, str]]] = []  # path, parameters, headers
        self.hits: dict[str, int] = {}
        self.promised: dict[str, float] = {}  # when a path that was "busy until" may be asked for again
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address) -> None:
        pass

    def begin_again(self) -> None:
        """Forget every request, as if the server had just started."""
        self.requests, self.searches, self.hits = [], [], {}

    def good(self) -> list[Item]:
        return [item for item in self.plan.values() if item.good]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CollectServer

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        parts = urlsplit(self.path)
        service = {"/commons": self.commons, "/openverse": self.openverse, "/serpapi": self.serpapi}.get(parts.path)
        if service is not None:
            parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
            server.searches.append((parts.path, parameters, dict(self.headers)))
            if server.busy:
                code, headers, value = server.busy.pop(0)
                self.answer(value, code, **headers)
            elif server.quota is not None and len(server.searches) > server.quota:
                self.answer(server.refusal[1], server.refusal[0])
            else:
                service(parameters)
            return
        with server.lock:
            server.hits[parts.path] = server.hits.get(parts.path, 0) + 1
            entry = [parts.path, time.monotonic(), False]
            server.requests.append(entry)
        if server.pause:
            time.sleep(server.pause)
        item = server.plan.get(parts.path.removeprefix("/moved"))
        if item is None:
            self.head(404, Content_Length=0)
            return
        entry[2] = self.image(item, parts.path) is not False

    # -- services -----------------------------------------------------------------------------------------------------

    def found(self, kind: str, first: int) -> tuple[list[Item], bool]:
        items = [item for item in self.server.plan.values() if item.kind == kind]
        return items[first : first + self.server.page], first + self.server.page < len(items)

    @staticmethod
    def licence(item: Item, code: str, version: str = "4.0") -> tuple[str, str]:
        """Name and address of the item's licence: ``code``'s, or what its fault says."""
        if item.fault == "no licence":
            return "", ""
        code = "by-nd" if item.fault == "no changes" else code
        return f"CC {code.upper()} {version}", f"https://creativecommons.org/licenses/{code}/{version}"

    def address(self, item: Item) -> str:
        url = self.server.url + item.path
        if item.fault == "odd port":
            url = url.replace(str(self.server.server_port), "9" * 20)
        return url.replace("://", "://me:secret@") if item.fault == "password" else url

    def answer(self, value: object, code: int = 200, **headers: object) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.head(code, Content_Length=len(content), Content_Type="application/json", **headers)
        self.wfile.write(content)

    def commons(self, parameters: dict[str, str]) -> None:
        kind = "segment" if "image/png" in parameters["gsrsearch"] else "background"
        first = int(parameters.get("gsroffset", 0))
        items, more = self.found(kind, first)
        pages = [
            {
                "pageid": 1000 - item.number,
                "title": f"File:Item {item.number}.png",
                "index": index,
                "imageinfo": [
                    {
                        "url": self.address(item),
                        "descriptionurl": f"{self.server.url}/page/{item.number}",
                        "mime": "image/png",
                        "width": 48,
                        "height": 56,
                        "extmetadata": {
                            "Artist": {"value": f'<a href="//x">Author&nbsp;{item.number}</a>', "source": "x"},
                            "ObjectName": {"value": f"Item {item.number}"},
                        }
                        | {
                            name: {"value": value}
                            for name, value in zip(
                                ("LicenseShortName", "LicenseUrl"), self.licence(item, "by"), strict=True
                            )
                            if value
                        },
                    }
                ],
            }
            for index, item in enumerate(items, 1)
        ]
        after = {"continue": {"gsroffset": first + self.server.page, "continue": "gsroffset||"}} if more else {}
        # By page number, as the real service does.
        self.answer({"query": {"pages": sorted(pages, key=lambda page: page["pageid"])}} | after)

    def openverse(self, parameters: dict[str, str]) -> None:
        page = int(parameters["page"])
        items, more = self.found(
            "segment" if parameters["extension"] == "png" else "background", (page - 1) * self.server.page
        )
        results = [
            {
                "id": str(item.number),
                "url": self.address(item),
                "foreign_landing_url": f"{self.server.url}/page/{item.number}",
                "creator": f"Author {item.number}",
                "title": None,
                "license": {"no licence": None, "no changes": "by-nd"}.get(item.fault, "by-sa"),
                "license_version": "2.0",
                "license_url": self.licence(item, "by-sa", "2.0")[1] or None,
                "width": None,
                "height": 3,
                "filetype": None,
            }
            for item in items
            if item.fault != "no changes" or parameters.get("license_type") != "modification" or self.server.careless
        ]
        self.answer({"result_count": 99, "page_count": page + more, "page_size": 20, "page": page, "results": results})

    def serpapi(self, parameters: dict[str, str]) -> None:
        if parameters.get("api_key") != self.server.key:
            self.answer({"error": f"Invalid API key {parameters.get('api_key')}"}, 401)
            return
        page = int(parameters["ijn"])
        items, more = self.found(
            "segment" if parameters.get("image_color") == "trans" else "background", page * self.server.page
        )
        filtered = parameters.get("licenses") in ("fm", "fmc") and not self.server.careless
        echo = f"?api_key={self.server.key}" if self.server.echo_key else ""
        results = [
            {
                "position": index,
                "original": self.address(item) + echo,
                "link": f"{self.server.url}/page/{item.number}{echo}",
                "source": "a shop",
                "title": f"Chair {item.number} {echo}",
                "original_width": 48,
                "original_height": 56,
            }
            | (
                {"license_details_url": self.server.terms or address}
                if (address := self.licence(item, "by")[1])
                else {}
            )
            for index, item in enumerate(items, 1)
            if not filtered or item.fault not in ("no licence", "no changes")
        ]
        pagination = {"serpapi_pagination": {"next": "https://serpapi.com/..."}} if more else {}
        self.answer({"search_metadata": {"status": "Success"}, "images_results": results} | pagination)

    # -- images -------------------------------------------------------------------------------------------------------

    def head(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def whole(self, content: bytes, **headers: object) -> None:
        self.head(200, Content_Length=len(content), **headers)
        self.wfile.write(content)
        self.wfile.flush()

    def image(self, item: Item, path: str) -> bool | None:
        """Send what the fault says; False where that isn't the image."""
        content, fault, first = item.content, item.fault, self.server.hits[path] == 1
        if path.startswith("/moved"):
            fault = "loop" if fault == "loop" else ""
        if fault in ("busy", "busy until", "down once") and first:
            # A date has whole seconds: this one is 0.3 to 1.3 s away.
            soon = (datetime.now(UTC) + timedelta(seconds=1.3)).replace(microsecond=0)
            wait = {"busy": {"Retry_After": 0}, "busy until": {"Retry_After": format_datetime(soon, usegmt=True)}}
            wait = wait.get(fault, {})
            self.server.promised[path] = time.monotonic() + (soon - datetime.now(UTC)).total_seconds()
            self.head(503 if fault == "down once" else 429, Content_Length=0, **wait)
        elif fault == "packed":
            self.whole(gzip.compress(content), Content_Encoding="gzip")
            return None
        elif fault == "gone":
            self.head(404, Content_Length=0)
        elif fault == "down":
            self.head(500, Content_Length=0)
        elif fault == "odd wait":
            self.head(503, Content_Length=0, Retry_After=f"Mon, 01 Jan 2024 00:00:00 +{'9' * 20}")
        elif fault == "silent":
            time.sleep(3)
            self.close_connection = True
        elif fault == "cut" or (fault == "cut once" and first):
            self.head(200, Content_Length=len(content))
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        elif fault == "too long":
            self.head(200, Content_Length=len(content) + 1000)
            self.wfile.write(content)
            self.close_connection = True
        elif fault == "too short":
            self.head(200, Content_Length=len(content) // 2)
            self.wfile.write(content[: len(content) // 2])
        elif fault == "dripping":
            self.head(200, Content_Length=len(content))
            for byte in content:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.05)
        elif fault in ("moved", "loop"):
            self.head(302, Location=f"/moved{item.path}", Content_Length=0)
        elif fault in _TARGETS:
            self.head(302, Location=_TARGETS[fault], Content_Length=0)
        elif fault == "page":
            self.whole(b"<!DOCTYPE html><html>not found</html>", Content_Type="image/png")
        elif fault == "bomb":
            self.whole(png_header(60_000, 60_000))
        elif fault == "packed bomb":
            self.whole(packed_bomb(), Content_Encoding="gzip")
        elif fault == "nowhere":
            self.head(302, Content_Length=0, Location="http://no-such-host.invalid/x.png")
        elif fault == "empty":
            self.whole(b"")
        else:
            self.whole(content, Content_Type="text/html")  # the type is known by the content
            return None
        return False
