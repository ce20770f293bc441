"""Measures the settings screen in a real Chromium: how long a person waits, and the cost of an open tab."""

import time
from collections.abc import Iterator
from pathlib import Path

import servers  # noqa: F401 - finds the other folders
from measure import Row, percentile, report

from chromium import Chromium, Tab
from nexo_cli.demo.provider import WORK, ExampleProvider
from nexo_client import Client
from nexo_client.types import ConnectionDraft
from settings_parts import Settings, another_address, start_settings
from surroundings import Surroundings, wait_for

RUNS = 7
EVENTS = 40
CONNECTIONS = 200
SETTLES_S = 6
REST_S = 30

PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
ROWS = "document.querySelectorAll('[data-row]').length"
STARRED = "document.querySelector('.star[aria-pressed=true]')?.closest('[data-row]').dataset.row"
WATCH_STAR = f"""(() => {{
  window.stars = [];
  let last = {STARRED};
  new MutationObserver(() => {{
    const now = {STARRED};
    if (now && now !== last) stars.push([Date.now(), now]);
    last = now ?? last;
  }}).observe(document.getElementById('app'), {{subtree: true, childList: true, attributes: true}});
  return true;
}})()"""
CLICK = """new Promise((done) => {
  const start = performance.now();
  const star = document.querySelector('.star[aria-pressed=false]');
  new MutationObserver((_, self) => {
    if (star.getAttribute('aria-pressed') !== 'true') return;
    self.disconnect();
    requestAnimationFrame(() => done(performance.now() - start));
  }).observe(star, {attributes: true});
  star.click();
})"""


def fill(client: Client, provider: ExampleProvider, first: int, end: int) -> None:
    for number in range(first, end):
        url = f"{provider.origin}/v1"
        name = f"account-{number:03}"
        client.create_connection(
            ConnectionDraft(name=name, provider="openai", base_url=url, api_key=WORK.key)
        )


def starts(chromium: Chromium, home: Surroundings) -> Iterator[Row]:
    """The time from the command to the address, and to the first paint in a running browser."""
    told, painted, listed = [], [], []
    for _ in range(RUNS):
        start = time.time()
        screen = start_settings(home)
        told.append((time.time() - start) * 1000)
        tab = chromium.open(screen.address)
        tab.wait(PAINT, "the first paint")
        painted.append(tab.eval(f"performance.timeOrigin + {PAINT}") - start * 1000)
        tab.wait(f"{ROWS} === 2", "the list")
        listed.append(time.time() * 1000 - start * 1000)
        tab.close()
        screen.process.terminate()
        screen.process.wait(20)
    yield Row("settings: the address is known", "ms", told, target="<= 150")
    yield Row("settings: first paint, by a driven tab", "ms", painted, target="<= 250")
    yield Row("settings: the list (polled), by a driven tab", "ms", listed)


def clicks(tab: Tab, client: Client) -> Iterator[Row]:
    def confirmed() -> bool:
        # The page shows a click before the daemon has applied it, so wait for the daemon before going on.
        default = client.get_default()
        return default is not None and default.name == tab.eval(STARRED)

    taken = []
    for _ in range(RUNS):
        taken.append(float(tab.eval(CLICK)))
        wait_for(confirmed, "the daemon has the click")
    yield Row("a click on a star shows", "ms", taken, target="<= 50")
    tab.eval(WATCH_STAR)
    reached = []
    for number in range(EVENTS):
        name = f"account-{number % 2:03}"
        tab.eval("stars.length = 0")
        start = time.time()
        client.set_default(name)
        at = tab.wait(f"stars.find((one) => one[1] === '{name}')?.[0]", "the star moves")
        reached.append(at - start * 1000)
    yield Row("a switch elsewhere → page, p95", "ms", [percentile(reached, 0.95)], target="<= 100")


def rest(screen: Settings, tab: Tab) -> Iterator[Row]:
    def cpu_s() -> float:
        fields = Path(f"/proc/{screen.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    # The server imports what it will need later, three seconds after the first tab.
    time.sleep(SETTLES_S)
    # Otherwise the driver's connection to the browser is idle for too long.
    tab.eval(ROWS)
    before = cpu_s()
    time.sleep(REST_S)
    used = (cpu_s() - before) / REST_S * 100
    status = Path(f"/proc/{screen.process.pid}/status").read_text()
    memory = int(status.partition("VmRSS:")[2].split()[0]) / 1000
    yield Row("one open tab: the server's CPU", "% of a core", [used], target="<= 0.3")
    yield Row("one open tab: the server's memory", "MB", [memory], target="<= 65")


def rows() -> Iterator[Row]:
    with Chromium() as chromium, Surroundings() as home, ExampleProvider() as provider:
        home.forks = False
        daemon = home.start_nexod()
        with daemon.client() as client:
            client.update_health_settings(paused=True)
            fill(client, provider, 0, 2)
            yield from starts(chromium, home)
            screen = start_settings(home)
            tab = chromium.open(screen.address)
            tab.wait(f"{ROWS} === 2", "the list")
            files = {one for one in tab.requests() if "/api/" not in one and not one.startswith("data:")}
            entries = (
                "performance.getEntries().filter((one) => one.transferSize && !one.name.includes('/api/'))"
            )
            weight = tab.eval(f"{entries}.reduce((sum, one) => sum + one.transferSize, 0)") / 1000
            yield Row("the page: requests", "", [float(len(files))], target="<= 6")
            yield Row("the page: weight", "kB", [weight], target="<= 90")
            yield from clicks(tab, client)
            yield from rest(screen, tab)
            tab.close()
            fill(client, provider, 2, CONNECTIONS)
            shown = []
            for _ in range(RUNS):
                tab = chromium.open(another_address(home))
                tab.wait(f"{ROWS} === {CONNECTIONS}", "all rows")
                shown.append(float(tab.eval("performance.now()")))
                tab.close()
            yield Row(f"{CONNECTIONS} connections: all rows (polled)", "ms", shown, target="<= 400")


if __name__ == "__main__":
    report("settings", rows())
