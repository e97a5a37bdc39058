"""What every request to the web shares: who asks, how long, how much, and which addresses are never connected to.

A server may send anything, and may name any address, also of machines that only this one can reach. So the address is
checked where the connection is made, for every redirect and every address that a name resolves to, and the connection
goes to the very address that was checked; a name that resolves to something else a moment later changes nothing. TLS
still verifies the name.
"""

import ipaddress
import random
import re
import socket
import ssl
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpcore
import httpx

from chairlib import __version__
from chairlib.core.errors import ParameterError

_MAX_URL = 2000
#: Ports that an address need not name.
_PORTS = {"http": 80, "https": 443}
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
#: Not in the tables of every Python version: documentation (RFC 9637), deprecated relays of 6to4 (RFC 7526).
_NEVER = (ipaddress.ip_network("3fff::/20"), ipaddress.ip_network("192.88.99.0/24"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Addresses of one name that are tried, in the resolver's order.
_MAX_ADDRESSES = 4


class PassingError(Exception):
    """A failure that may pass when tried again. ``wait``: seconds that the server asked for, or None."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait

    def outlasts(self, limits: "Limits") -> bool:
        """Whether the server asked for more than a run waits: then it is left alone until another run."""
        return self.wait is not None and self.wait > limits.max_wait


class UnusableError(Exception):
    """A failure that another try won't mend: ``rule: explanation``."""


@dataclass(frozen=True)
class Limits:
    """How patient and how greedy requests are. Times in seconds, sizes in bytes.

    total: one transfer, from the first connection to the last byte, redirects included. tries: per address. backoff:
    the pause after the first failure, doubled after each further one, with jitter, up to ``max_wait``. A Retry-After
    that asks for more than ``max_wait`` is obeyed by not trying again in this run. interval: least time between the
    starts of two requests to one host; per_host: transfers from one host at a time. give_up: failures of one host in a
    row after which the rest of it is left for another run.
    """

    connect: float = 15
    read: float = 20
    total: float = 120
    tries: int = 4
    backoff: float = 1
    max_wait: float = 120
    redirects: int = 5
    max_bytes: int = 30 * 10**6
    workers: int = 12
    per_host: int = 2
    interval: float = 0.2
    api_interval: float = 1.1
    give_up: int = 20


class Secret:
    """A key or token: shown as ``***`` wherever it is printed by accident."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself, for the request alone."""
        return self._value

    def scrub(self, text: str) -> str:
        """``text`` without the key, should a server echo it."""
        return text.replace(self._value, "***") if self._value else text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


# -- addresses --------------------------------------------------------------------------------------------------------


def is_web_address(url: str) -> bool:
    """Whether ``url`` is http or https with a host, as httpx understands it."""
    try:
        return urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname) and bool(httpx.URL(url).host)
    except (ValueError, httpx.InvalidURL):
        return False


def without_credentials(url: str) -> str:
    """An address without the name and password that may be in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def host_of(url: str) -> str:
    """Host and port, one name for all spellings of the same (``A.org:443``, ``a.org.``); empty where there is none."""
    parts = urlsplit(url)
    try:
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:  # no port at all: fetching says what is wrong with it
        return parts.netloc.lower()
    return host if port in (None, _PORTS.get(parts.scheme)) else f"{host}:{port}"


def url_problem(url: str) -> str | None:
    """Why an address found on the web is not followed; None where it may be."""
    if len(url) > _MAX_URL:
        return f"address: {len(url)} characters, at most {_MAX_URL} are taken"
    if re.search(r"[\x00-\x20\x7f]", url) or not is_web_address(url):
        return f"address: {url[:80]!r} is not of the form http://... or https://..."
    if "@" in urlsplit(url).netloc:
        return "address: it holds a name or password"
    if not _has_usable_port(url):
        return "address: its port is none (1 to 65535)"
    return None


def _has_usable_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def address_problem(address: str, loopback: bool = False) -> str | None:
    """Why an IP address is never connected to; None for one of the public internet.

    An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4) is judged itself. ``loopback`` allows this machine's own,
    for tests.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if loopback and ip.is_loopback:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return None if address_problem(str(inner)) is None else f"{address} is not a public address"
        if ip not in _GLOBAL_UNICAST:
            return f"{address} is not a public address"
    public = ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_link_local)
    if not public or any(ip in network for network in _NEVER if network.version == ip.version):
        return f"{address} is not a public address"
    return None


# -- connections ------------------------------------------------------------------------------------------------------

_clock = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Whatever this thread reads from or writes to guarded connections in the block must end within ``seconds``."""
    before = getattr(_clock, "end", None)
    _clock.end = time.monotonic() + seconds
    try:
        yield
    finally:
        _clock.end = before


def _until_deadline(timeout: float | None) -> float | None:
    end = getattr(_clock, "end", None)
    if end is None:
        return timeout
    left = end - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the transfer took too long")
    return left if timeout is None else min(timeout, left)


class _GuardedStream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline.

    A plain timeout does not suffice: a server that sends a byte a second would restart it for ever.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _until_deadline(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _until_deadline(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _GuardedStream(self._stream.start_tls(ssl_context, server_hostname, _until_deadline(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _GuardedBackend(httpcore.NetworkBackend):
    """Resolves a name once, refuses it if any of its addresses isn't public, and connects to what was checked.

    ``trusted_host`` alone is connected to wherever it is.
    """

    def __init__(self, loopback: bool, trusted_host: str | None) -> None:
        self._loopback = loopback
        self._trusted_host = trusted_host
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        if host == self._trusted_host:
            return self._connect(host, port, timeout, local_address, socket_options)
        addresses = _resolve(host, port, timeout)
        for address in addresses:
            problem = address_problem(address, self._loopback)
            if problem:
                raise UnusableError(f"forbidden address: {problem}" + (f" ({host})" if host != address else ""))
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                return self._connect(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _connect(self, host: str, port: int, timeout: float | None, *options: Any) -> httpcore.NetworkStream:
        return _GuardedStream(self._plain.connect_tcp(host, port, _until_deadline(timeout), *options))

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise UnusableError("forbidden address: a socket of this machine")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _resolve(host: str, port: int, timeout: float | None) -> list[str]:
    """The addresses of a name, in the resolver's order. Raises httpcore.ConnectError or ConnectTimeout.

    The system's resolver knows no time limit, so it is asked in a thread that nobody waits for longer than is left.
    """
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        return answer.result(_until_deadline(timeout))
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from error
    except (OSError, UnicodeError, OverflowError) as error:
        raise httpcore.ConnectError(f"{host} cannot be resolved") from error


class _GuardedTransport(httpx.HTTPTransport):
    """Connects through :class:`_GuardedBackend`, and adds secret parameters where nothing else can see them.

    ``extensions={"secret": {name: Secret}}`` of a request become query parameters of what goes over the wire only: the
    request that httpx logs, and hangs on its exceptions, doesn't hold them.
    """

    def __init__(self, limits: Limits, loopback: bool, trusted_host: str | None) -> None:
        super().__init__(verify=tls_context(), trust_env=False)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls_context(),
            max_connections=4 * limits.workers,
            max_keepalive_connections=limits.workers,
            keepalive_expiry=5,
            network_backend=_GuardedBackend(loopback, trusted_host),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        secrets: Mapping[str, Secret] = request.extensions.get("secret", {})
        if not secrets:
            return super().handle_request(request)
        url = request.url.copy_merge_params({name: secret.reveal() for name, secret in secrets.items()})
        plain = {name: value for name, value in request.extensions.items() if name != "secret"}
        return super().handle_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=plain)
        )


@cache
def tls_context() -> ssl.SSLContext:
    """Certificates are verified. Reading every authority takes a while: once is enough."""
    return httpx.create_ssl_context()


def user_agent(contact: str | None = None) -> str:
    """Who asks, and where its owner can be reached."""
    return f"chairlib/{__version__} ({contact}) httpx/{httpx.__version__}" if contact else f"chairlib/{__version__}"


def check_contact(contact: str | None) -> str:
    """The address under which the hosts of the images can reach whoever collects. Raises ParameterError for none."""
    found = (contact or "").strip()
    if re.fullmatch(r"[!-~]+@[!-~]+\.[!-~]+|https?://[!-~]+", found) and not re.search(r"[()<>\\]", found):
        return found
    said = "no contact was given" if not found else f"the contact {found!r} is neither an e-mail nor a web address"
    raise ParameterError(
        f"{said}; the hosts of images ask for one: pass --contact you@example.org, or set CHAIRLIB_CONTACT."
    )


def open_client(contact: str, limits: Limits, loopback: bool = False, trusted_url: str | None = None) -> httpx.Client:
    """A client for addresses that strangers named. Redirects are left to the caller, cookies and proxies are not used.

    loopback: also connect to this machine itself. For tests alone; no option of the command line sets it.
    trusted_url: an address that the user gave. Its host may be any machine, for example one of the local network.
    """
    trusted_host = httpx.URL(trusted_url).raw_host.decode("ascii") if trusted_url else None
    client = httpx.Client(
        transport=_GuardedTransport(limits, loopback, trusted_host),
        timeout=httpx.Timeout(limits.read, connect=limits.connect, pool=limits.total),
        headers={"User-Agent": user_agent(contact), "Accept-Encoding": "identity"},
        trust_env=False,
        follow_redirects=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


# -- transfers --------------------------------------------------------------------------------------------------------


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or a date; None for none that can be understood."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
    except (TypeError, ValueError, OverflowError):  # the last: a zone or a date beyond what a computer counts
        return None


def pause_before(failures: int, wait: float | None, limits: Limits, rng: random.Random) -> float:
    """Seconds until the next try after ``failures`` failures: the server's wish, or a doubling pause with jitter.

    At most ``limits.max_wait``: where the server asks for more (:meth:`PassingError.outlasts`) there is no next try.
    """
    pause = limits.backoff * 2 ** (failures - 1) * rng.uniform(0.5, 1.5)
    if wait is not None:
        pause = max(pause, wait * rng.uniform(1, 1.1))  # never before it, and not all at the same moment
    return min(pause, limits.max_wait)


def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """A streamed body of at most ``max_bytes``, packed and unpacked. Raises UnusableError for more or other encodings.

    What follows the end of a packed body is left unread.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
    if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise UnusableError(f"encoding: sent as {encoding[:40]!r}, which was not asked for")
    length = response.headers.get("Content-Length", "")
    if re.fullmatch(r"[0-9]{1,20}", length) and int(length) > max_bytes:
        raise UnusableError(f"too large: {int(length):,} bytes, at most {max_bytes:,} are taken")
    # Not httpx's own decoder: it unpacks all of what came at once, a thousand times its size.
    unpacker = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    body, received = bytearray(), 0
    for chunk in response.iter_raw():
        received += len(chunk)
        if unpacker is None:
            body += chunk
        else:
            try:
                body += unpacker.decompress(chunk, max_bytes + 1 - len(body))
            except zlib.error as error:
                raise UnusableError(f"encoding: said to be {encoding}, and isn't") from error
        if max(len(body), received) > max_bytes:
            raise UnusableError(f"too large: more than the {max_bytes:,} bytes that are taken")
        if unpacker is not None and unpacker.eof:
            break
    if unpacker is not None and not unpacker.eof:
        raise PassingError("the body was cut")
    return bytes(body)


def check_status(response: httpx.Response) -> None:
    """Raise PassingError or UnusableError unless the answer is a 200."""
    code = response.status_code
    if code == 200:
        return
    reason = f"the server answered {code}"
    if code in (408, 425, 429) or code >= 500:
        raise PassingError(reason, retry_after(response.headers))
    raise UnusableError(f"no answer: {reason}")


@contextmanager
def transport_errors(limits: Limits) -> Iterator[None]:
    """httpx's exceptions as ours. Theirs carry the request, ours a sentence."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:  # the last: a host that IDNA forbids
        raise UnusableError(f"address: {type(error).__name__}") from None
    except httpx.ConnectTimeout:
        raise PassingError(f"no connection within {limits.connect:g} s") from None
    except httpx.TimeoutException as error:
        late = "took too long" in str(error)
        raise PassingError(
            f"not done within {limits.total:g} s" if late else f"nothing came for {limits.read:g} s"
        ) from None
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise UnusableError("certificate: the server's cannot be verified") from None
        raise PassingError(f"no connection ({error})") from None
    except httpx.TransportError as error:
        raise PassingError(f"the connection broke ({type(error).__name__})") from None


class Turns:
    """Limits the requests to each host, also to one that only redirects lead to: many sites keep images in one store.

    At most ``limits.per_host`` requests to it at a time, ``limits.interval`` between the starts of two. For all threads
    of a run.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._active: Counter[str] = Counter()
        self._next_start: dict[str, float] = {}

    @contextmanager
    def at(self, url: str) -> Iterator[None]:
        """Wait for a turn at the host of ``url``, and hold it."""
        host = host_of(url)
        with self._changed:
            self._changed.wait_for(lambda: self._active[host] < self._limits.per_host)
            self._active[host] += 1
            start = max(time.monotonic(), self._next_start.get(host, 0))
            self._next_start[host] = start + self._limits.interval
        try:
            time.sleep(max(0.0, start - time.monotonic()))
            yield
        finally:
            with self._changed:
                self._active[host] -= 1
                self._changed.notify_all()


def read_url(client: httpx.Client, url: str, limits: Limits, turns: Turns | None = None) -> bytes:
    """The bytes at ``url``, after its redirects. Raises PassingError or UnusableError (``rule: explanation``).

    Waiting for one of ``turns`` doesn't count towards ``limits.total``.
    """
    address, left = url, limits.total
    for _ in range(limits.redirects + 1):
        with turns.at(address) if turns else nullcontext():
            begun = time.monotonic()
            with deadline(left), transport_errors(limits), client.stream("GET", address) as response:
                if not response.has_redirect_location:
                    check_status(response)
                    return read_body(response, limits.max_bytes)
                address = _redirected(address, response.headers["Location"])
            left -= time.monotonic() - begun
    raise UnusableError(f"redirect: more than {limits.redirects} of them")


def _redirected(address: str, target: str) -> str:
    try:
        address = urljoin(address, target)
    except ValueError:
        address = target
    problem = url_problem(address)
    if problem:
        raise UnusableError(f"redirect: to an {problem}")
    return address
