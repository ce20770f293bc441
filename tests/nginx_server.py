"""Runs nginx as a provider, a web server from another project, with exact answers chosen by the key."""

import contextlib
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ports import free_port
from recorded_answers import Recorded
from surroundings import PATIENCE_S, wait_for


@dataclass(frozen=True)
class Site:
    """A running nginx."""

    port: int
    tls_ports: Mapping[str, int]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def quoted(text: str) -> str:
    """A string in nginx's configuration language, in which "$" does not begin a variable."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${dollar}") + '"'


def can_serve(recorded: Recorded) -> bool:
    """Whether a configuration can express the answer, and nginx sends it unchanged."""
    encoded = any(name == "Content-Encoding" for name, _ in recorded.all_headers)
    plain = b"\0" not in recorded.body and not encoded
    # nginx reserves 408 and does not send 407, and adds its own page to an empty error.
    empty_error = not recorded.body and recorded.status >= 400
    return plain and not empty_error and recorded.status not in (407, 408)


def location_of(recorded: Recorded, number: int) -> str:
    """The location for one answer, at /N."""
    headers = dict(recorded.all_headers)
    kind = headers.pop("Content-Type", "application/octet-stream")
    if 300 <= recorded.status <= 399:
        return f"location /{number}/ {{ return {recorded.status} {quoted(headers['Location'])}; }}"
    added = " ".join(f"add_header {name} {quoted(value)} always;" for name, value in headers.items())
    body = quoted(recorded.body.decode("utf-8", "surrogateescape"))
    return f"location /{number}/ {{ default_type {quoted(kind)}; {added} return {recorded.status} {body}; }}"


@contextlib.contextmanager
def serving(
    directory: Path, locations: Sequence[str], *, maps: str = "", tls: Mapping[str, Path] | None = None
) -> Iterator[Site]:
    """Runs nginx on loopback with these locations.

    Args:
        tls: PEM files with key and certificate by name; each gets its own port.
    """
    program = shutil.which("nginx")
    assert program
    port = free_port()
    tls_ports = {name: free_port() for name in tls or {}}
    servers = [f"server {{ listen 127.0.0.1:{port}; {' '.join(locations)} }}"]
    servers += [
        f"server {{ listen 127.0.0.1:{tls_ports[name]} ssl;"
        f" ssl_certificate {path}; ssl_certificate_key {path}; {' '.join(locations)} }}"
        for name, path in (tls or {}).items()
    ]
    temporary = "\n".join(
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = directory / "nginx.conf"
    text = f"""daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
        events {{ worker_connections 64; }}
        http {{ access_log off; server_tokens off; {temporary}
        geo $dollar {{ default "$"; }}
        {maps}
        {" ".join(servers)} }}"""
    configuration.write_text(text, "utf-8", "surrogateescape")
    output = (directory / "output").open("wb")
    process = subprocess.Popen(
        [program, "-c", str(configuration), "-p", str(directory), "-e", f"{directory}/error.log"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )
    try:
        site = Site(port, tls_ports)

        def up() -> bool:
            assert process.poll() is None, (directory / "error.log").read_text()
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    site.origin, timeout=5
                ).close()
            except urllib.error.HTTPError as error:
                error.close()
            except OSError:
                return False
            return True

        wait_for(up, "nginx answers")
        yield site
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        output.close()
