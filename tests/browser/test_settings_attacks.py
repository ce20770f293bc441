"""The settings screen and a browser that other people's pages are open in, too."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chromium import Chromium, Open, Tab
from nexo.connections.terms import Provider
from nexo_cli.demo.provider import WORK, ExampleProvider
from nexo_client.types import ConnectionDraft, Header, Workspace
from settings_parts import Caller, Served, Settings, another_address
from surroundings import Nexod, Surroundings

pytestmark = pytest.mark.needs("chromium")

KEY = "sk-canary-77c15f2d9a-typed-into-the-page"
EVIL = "<img src=x onerror=hacked=1>"


@pytest.fixture
def foreign() -> Iterator[str]:
    """A page of somebody else, on another port of this computer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>foreign</title><body>")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_a_page_of_another_port_gets_nothing_even_with_the_secret(
    chromium: Chromium, foreign: str, screen: Settings, nexod: Nexod
) -> None:
    page = Caller(screen)
    page.enter()
    tab = chromium.open(foreign)
    body = '{"draft": {"name": "planted", "provider": "ollama"}}'
    base = f"http://{screen.authority}"
    asked = f"""async (mode, type) => {{
      const headers = {{ 'Content-Type': type }};
      if (mode === 'cors') headers.Authorization = 'Bearer {page.secret}';
      const call = {{ method: 'POST', mode, headers, body: '{body}', credentials: 'include' }};
      try {{
        const answer = await fetch('{base}/api/create', call);
        return answer.type === 'opaque' ? 'opaque' : await answer.text();
      }} catch (problem) {{ return 'blocked'; }}
    }}"""
    assert tab.eval(f"({asked})('cors', 'application/json')") == "blocked"
    assert tab.eval(f"({asked})('cors', 'text/plain')") == "blocked"
    assert tab.eval(f"({asked})('no-cors', 'text/plain')") in ("blocked", "opaque")
    # A form needs no permission to be sent, and cannot send JSON; neither frame nor script shows anything.
    tab.eval(
        f"""(() => {{
          const form = document.createElement('form');
          const action = '{base}/api/create';
          Object.assign(form, {{ method: 'post', action, enctype: 'text/plain', target: 'hole' }});
          const field = document.createElement('input');
          Object.assign(field, {{ name: '{body[:-1]}, "x": "', value: '"}}' }});
          const frame = document.createElement('iframe');
          frame.name = 'hole';
          document.body.append(frame, form);
          form.append(field);
          form.submit();
        }})()"""
    )
    loaded = f"""new Promise((done) => {{
      const script = document.createElement('script');
      script.src = '{base}/app.js';
      script.onload = () => done('loaded');
      script.onerror = () => done('blocked');
      document.body.append(script);
    }})"""
    assert tab.eval(loaded) == "blocked"
    tab.close()
    with nexod.client() as client:
        assert client.list_connections() == ()


def test_it_cannot_be_put_into_a_frame(chromium: Chromium, foreign: str, screen: Settings) -> None:
    tab = chromium.open(foreign)
    tab.eval(
        f"""new Promise((done) => {{
          const frame = document.createElement('iframe');
          frame.onload = done;
          frame.src = 'http://{screen.authority}/';
          document.body.append(frame);
        }})"""
    )
    look = "(() => { try { return frames[0].document.title; } catch { return 'kept out'; } })()"
    assert tab.eval(look) == "kept out"
    tree = tab.call("Page.getFrameTree")["frameTree"]["childFrames"][0]["frame"]
    assert tree["url"].startswith("chrome-error://")
    tab.close()


def test_a_name_that_is_bound_to_this_address_reaches_nothing(chromium: Chromium, screen: Settings) -> None:
    port = screen.port
    tab = chromium.open(f"http://rebound.example:{port}/")
    assert "127.0.0.1" in tab.text
    assert "this server is" in tab.text
    answer = tab.eval(
        "fetch('/api/session', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})"
        ".then((answer) => answer.status)"
    )
    assert answer == 421
    tab.close()


def test_hostile_names_are_text_everywhere(
    open_page: Open, nexod: Nexod, provider: ExampleProvider, surroundings: Surroundings
) -> None:
    name = f"a{EVIL}"
    place = surroundings.home / 'x"><img src=x onerror=hacked=1>'
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(
                name=name,
                provider="openai",
                base_url=f"{provider.origin}/v1",
                api_key=WORK.key,
                default_model=EVIL,
                headers=(Header("X-a", EVIL),),
            )
        )
        client.bind(place, name)
        client.bind("${hacked=1}{{hacked=1}}", name)
    tab = open_page("--at", "show", "--name", name)
    tab.wait("document.querySelector('.naming h2')?.innerText.includes('onerror')", "it is shown as text")
    tab.sees(str(place), "${hacked=1}{{hacked=1}}")
    tab.click("Test")
    tab.sees("Model listed")
    tab.click(f"[aria-label='Edit a{EVIL}']")
    tab.wait("document.querySelector('#f-name').value.includes('onerror')", "it is edited as text")
    tab.press("Escape")
    tab.click("summary[aria-label=More]")
    tab.click("Remove…")
    tab.sees(f"Remove {name}?")
    tab.press("Escape")
    tab.click("Workspaces")
    tab.sees("${hacked=1}{{hacked=1}}")
    tab.fill("#ask-place", f"{place}/below")
    tab.click("Explain")
    tab.sees(f"It gets {name}")
    with nexod.client() as client:
        client.resolve(workspace=Workspace(name="${hacked=1}{{hacked=1}}"))
        client.set_fallback([name])
    tab.click("Hand-outs")
    tab.sees(name, "${hacked=1}{{hacked=1}}")
    tab.click("Upkeep")
    tab.sees("Stand-ins", name)
    assert tab.eval("typeof hacked") == "undefined"
    assert tab.eval("document.images.length") == 0


def test_what_a_provider_answers_is_text(open_page: Open, nexod: Nexod) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            error = {"message": f"{EVIL}<script>hacked=1</script>", "code": EVIL}
            raw = json.dumps({"error": error}).encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("x-request-id", EVIL)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        tab = open_page()
        tab.sees("No connection yet")
        tab.press("n")
        tab.click(".tiles button")
        tab.fill("#f-key", "a-key-of-some-length")
        tab.fill("#f-url", f"http://127.0.0.1:{server.server_address[1]}/v1")
        tab.click("Test connection")
        tab.sees("Failed", "onerror")
        assert tab.eval("typeof hacked") == "undefined"
        assert tab.eval("document.images.length") == 0
    finally:
        server.shutdown()
        server.server_close()


def test_neither_scripts_nor_styles_of_others_run_in_it(open_page: Open) -> None:
    tab = open_page()
    tab.sees("No connection yet")
    for attack in (
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'hacked=1'}))",
        "document.body.innerHTML = '<img src=x onerror=hacked=1>'",
        "eval('hacked=1')",
        "new Function('hacked=1')()",
        "document.write('<script>hacked=1</scr' + 'ipt>')",
        "await import('data:text/javascript,globalThis.hacked=1')",
    ):
        tab.eval(f"(async () => {{ try {{ {attack}; }} catch {{ return; }} }})()")
        assert tab.eval("typeof hacked") == "undefined", attack
    sent = "fetch('https://127.0.0.1:1/?stolen', {mode: 'no-cors'}).then(() => 'sent', () => 'blocked')"
    assert tab.eval(sent) == "blocked"
    assert any("Content Security Policy" in problem for problem in tab.problems())
    tab.forgive()


def test_the_browser_keeps_no_key_and_no_address_that_opens(
    surroundings: Surroundings, screen: Settings, provider: ExampleProvider, nexod: Nexod
) -> None:
    with Chromium() as own:
        address = another_address(surroundings)
        tab = own.open(address)
        tab.sees("No connection yet")
        tab.press("n")
        tab.click(".tiles button")
        tab.fill("#f-key", KEY)
        tab.fill("#f-url", provider.base_url(Provider.OPENAI))
        tab.click("Test connection")
        tab.sees("Failed")
        tab.click("Save anyway")
        tab.sees("Saved openai.")
        with nexod.client() as client:
            assert client.reveal("openai").api_key == KEY
        kept = "JSON.stringify([document.documentElement.outerHTML, {...sessionStorage, ...localStorage}])"
        assert KEY not in tab.eval(kept)
        assert KEY not in str(tab.requests())
        assert tab.eval("document.cookie") == ""
        history = tab.call("Page.getNavigationHistory")["entries"]
        assert not any("token" in entry["url"] for entry in history[-1:])
        tab.go("about:blank")
        own.call("Browser.close")
        own.wait_for_end()
        files = [file for file in own.profile.rglob("*") if file.is_file()]
        forms = (KEY.encode(), KEY.encode("utf-16-le"))
        found = [file for file in files if any(form in file.read_bytes() for form in forms)]
        assert found == []
    # Its history may hold the address; that opens nothing any more.
    assert Caller(screen).enter(Served(address).token) == 401


def weight(tab: Tab) -> float:
    """Bytes that came over the line for the page itself."""
    files = "performance.getEntries().filter((one) => one.transferSize && !one.name.includes('/api/'))"
    return float(tab.eval(f"{files}.reduce((sum, one) => sum + one.transferSize, 0)"))


def test_it_asks_nobody_but_its_own_server_and_is_light(open_page: Open, screen: Settings) -> None:
    tab = open_page()
    tab.sees("No connection yet")
    asked = [one for one in tab.requests() if not one.startswith("data:")]
    assert all(one.startswith(f"http://{screen.authority}/") for one in asked), asked
    files = {one.partition("#")[0] for one in asked if "/api/" not in one}
    assert len(files) <= 6, files
    assert weight(tab) < 90_000
