"""The example provider: a small HTTP server on loopback with keys that behave in known ways.

For `nexoctl demo` and for tests. Uses only the standard library. `faces` makes the responses; this module has
the socket, the threads and the record of requests. Not for the network: it binds only to 127.0.0.1.
"""

import socket
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Self

from nexo.connections.terms import Provider
from nexo.connections.values import frozen
from nexo_cli.demo.faces import Behaviour, DemoAccount, DemoFace, DemoReply, Request, answer, refuse

_THREADS = 16
WORK = DemoAccount("work", "demo-key-of-the-work-account")
HOME = DemoAccount("home", "demo-key-of-the-home-account")
REVOKED = DemoAccount("former", "demo-key-that-was-revoked", Behaviour.REVOKED)
BUSY = DemoAccount("busy", "demo-key-over-its-rate-limit", Behaviour.RATE_LIMITED)
SLOW = DemoAccount("slow", "demo-key-with-slow-answers", Behaviour.SLOW)
ACCOUNTS = (WORK, HOME, REVOKED, BUSY, SLOW)
"""The keys that `ExampleProvider` knows by default; it refuses any other key with 401."""

_BODY_LIMIT = 1 << 20


@frozen
class Recorded:
    """A request that the example provider has answered.

    Attributes:
        account: name of the account of the key; empty for no key or an unknown one.
        status: of the answer.
    """

    request: Request
    face: DemoFace
    account: str
    status: int = field(default=0)


class ExampleProvider:
    """Serves until `stop`; a context manager.

    Args:
        accounts: the keys it knows.
        slow_s: how long a SLOW account waits for every answer, in seconds.
        retry_after_s: what a RATE_LIMITED account is told to wait, in seconds.
        port: 0 lets the system choose. The test of the Debian package gives one.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self,
        *,
        accounts: Iterable[DemoAccount] = ACCOUNTS,
        slow_s: float = 1.0,
        retry_after_s: int = 30,
        port: int = 0,
    ) -> None:
        self._accounts = {account.key: account for account in accounts}
        self._slow_s = slow_s
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._recorded: deque[Recorded] = deque(maxlen=10_000)
        self._waiting = 0
        self._stopping = threading.Event()
        self._server = _BoundedServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="example-provider", daemon=True
        )
        self._thread.start()

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def base_url(self, provider: Provider) -> str:
        """The base URL in the form that the official package of the provider wants."""
        return self.origin + ("/v1" if provider in (Provider.OPENAI, Provider.CUSTOM) else "")

    def requests(self) -> tuple[Recorded, ...]:
        """What was answered, oldest first; at most the last 10 000."""
        with self._lock:
            return tuple(self._recorded)

    @property
    def waiting(self) -> int:
        """Number of requests of a SLOW account that were received and are not answered yet."""
        with self._lock:
            return self._waiting

    def served(self) -> Counter[str]:
        """Number of successful requests of each account."""
        return Counter(one.account for one in self.requests() if one.status == 200)

    def stop(self) -> None:
        """Close the socket and wait for the requests that are being answered."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self, request: Request) -> DemoReply:
        account = self._accounts.get(request.key)
        if account and account.behaviour is Behaviour.SLOW:
            # Ends early when the provider stops, so that the demo does not wait for a slow answer.
            with self._lock:
                self._waiting += 1
            self._stopping.wait(self._slow_s)
            with self._lock:
                self._waiting -= 1
        reply = answer(request, account, retry_after_s=self._retry_after_s)
        with self._lock:
            self._recorded.append(
                Recorded(request, request.face, account.name if account else "", reply.status)
            )
        return reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        serve = self._serve

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = "nexo-example-provider"
            sys_version = ""
            # A client that connects and sends nothing releases its thread after a timeout.
            timeout = 10

            def _respond(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                length = headers.get("content-length", "0")
                if not length.isdecimal() or int(length) > _BODY_LIMIT:
                    reply = refuse(DemoFace.OPENAI, 400)
                else:
                    body = self.rfile.read(int(length))
                    reply = serve(Request(self.command, self.path, headers, body))
                try:
                    self._send(reply)
                except OSError:
                    # The client closed the connection, which it may do.
                    self.close_connection = True

            def _send(self, reply: DemoReply) -> None:
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                # One request for each TCP connection, because an idle one must not occupy one of the few
                # threads.
                self.send_header("Connection", "close")
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                streamed = len(reply.chunks) > 1
                if streamed:
                    self.send_header("Transfer-Encoding", "chunked")
                else:
                    self.send_header("Content-Length", str(len(reply.chunks[0])))
                self.end_headers()
                if self.command == "HEAD":
                    return
                for chunk in reply.chunks:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if streamed else chunk)
                if streamed:
                    self.wfile.write(b"0\r\n\r\n")

            do_GET = do_HEAD = do_POST = _respond  # noqa: N815 - names that http.server calls

            def log_message(self, *_: object) -> None:
                """Print nothing, because a request line on the terminal of a demo is noise."""

        return Handler


class _BoundedServer(HTTPServer):
    """One thread for each request, up to a limit."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._slots = threading.BoundedSemaphore(_THREADS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer looks up its own name by DNS here, which can take seconds on a machine without a network.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super(HTTPServer, self).server_bind()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: object, client_address: object) -> None:
        self._slots.acquire()
        threading.Thread(target=self._work, args=(request, client_address), daemon=True).start()

    def _work(self, request: object, client_address: object) -> None:
        try:
            self.finish_request(request, client_address)  # type: ignore[arg-type]  # socketserver's own types
        except OSError:
            # The client closed the TCP connection, or sent nothing for too long.
            pass
        finally:
            self.shutdown_request(request)  # type: ignore[arg-type]  # socketserver's own types
            self._slots.release()
