"""Checks the looks of a page of the settings screen: at several sizes, in both colours, and with axe-core."""

import json
from pathlib import Path

from chromium import Tab

AXE = Path(__file__).parent / "thirdparty" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = ((1280, 860), (900, 860), (480, 860))


def violations(tab: Tab, *rules: str) -> list[str]:
    """The violations that axe-core finds, one line each; only of these rules, if any are named."""
    if tab.eval("typeof axe") == "undefined":
        # Sent as by DevTools, because the page's Content-Security-Policy forbids other scripts.
        tab.call("Runtime.evaluate", expression=AXE.read_text(encoding="utf-8"))
    how = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = tab.eval(f"axe.run(document, {json.dumps(how)}).then((done) => done.violations)")
    nodes = [(one["id"], node) for one in found for node in one["nodes"]]
    return [f"{rule}: {node['html'][:200]} {node['failureSummary'][:300]}" for rule, node in nodes]


def fits(tab: Tab) -> bool:
    """Whether nothing is wider than the window."""
    return bool(tab.eval("document.documentElement.scrollWidth <= innerWidth"))


# Elements that are wider than what they are in, unless that hides or scrolls what does not fit.
STICKS_OUT = """(() => {
  const box = (one) => one.getBoundingClientRect();
  const over = (one, around) => box(one).right > around.right + 1.5 || box(one).left < around.left - 1.5;
  const keeps = (one) => getComputedStyle(one).overflowX !== 'visible';
  const flows = (one) => ['static', 'relative', 'sticky'].includes(getComputedStyle(one).position)
    && getComputedStyle(one).display !== 'inline';
  const sticks = (one) => {
    if (!box(one).width || !one.checkVisibility() || one.closest('.unseen, svg') || !flows(one)) return false;
    for (let up = one.parentElement; up && up !== document.body; up = up.parentElement) {
      if (over(one, box(up))) return true;
      if (keeps(up) || !flows(up)) return false;
    }
    return over(one, { left: 0, right: innerWidth });
  };
  return [...document.querySelectorAll('body *')].filter(sticks)
    .map((one) => `${one.tagName} ${one.className} ${one.innerText}`.slice(0, 60));
})()"""

# Words that are cut off without the dots that say so, or stand on those of a neighbour.
HEADER = """(() => {
  const all = [...document.querySelectorAll('header h1, header .tab, header button')];
  const parts = all.filter((one) => one.offsetParent);
  const box = (one) => one.getBoundingClientRect();
  const along = (a, b, from, to) => a[from] < b[to] - 1 && b[from] < a[to] - 1;
  const over = (a, b) => along(a, b, 'left', 'right') && along(a, b, 'top', 'bottom');
  const broken = (one) => one.matches('h1, .tab') && box(one).height > 40;
  const cut = parts.filter((one) => one.scrollWidth > one.clientWidth + 1 || broken(one));
  const met = parts.filter((a) => parts.some((b) => a !== b && over(box(a), box(b))));
  return [...cut, ...met].map((one) => one.innerText);
})()"""


def look_at(tab: Tab, name: str, *, sizes: tuple[tuple[int, int], ...] = SIZES[:1]) -> None:
    """Take pictures in both colours, and check that there are no violations and nothing sticks out."""
    for width, height in sizes:
        for dark in (False, True):
            tab.look(width, height, dark=dark)
            tab.wait("new Promise((done) => requestAnimationFrame(() => done(true)))")
            assert fits(tab), f"{name} is wider than {width} pixels"
            assert tab.eval(HEADER) == [], f"{name}: the header at {width} pixels"
            kind = (name, str(width) if width != 1280 else "", "dark" if dark else "")
            tab.picture("-".join(filter(None, kind)))
            if width in (1280, 480):
                # The elements are the same in other colours, so only the contrast can differ.
                rules = ("color-contrast",) if dark else ()
                assert violations(tab, *rules) == [], f"{name}, {width} pixels, {'dark' if dark else 'light'}"
    tab.look(1280, 860)
