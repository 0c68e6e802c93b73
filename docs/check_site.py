"""Check the built site as a reader sees it: ``make docs-check``.

First every link between pages, and every anchor, without a browser. Then each page in headless Chromium,
from the disk, at the width of a desk and of a phone, light and dark: nothing scrolls sideways, no image
is broken, no script fails, nothing is asked of a network, the search finds, code can be copied, and
formulas are set.

    python docs/check_site.py build/docs [--screenshots FOLDER]
"""

import argparse
import os
import shutil
import sys
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

WIDTHS = {"desk": (1280, 800), "phone": (390, 844)}
SEEN = [
    "index",
    "install",
    "guide/index",
    "guide/choosing",
    "guide/tables",
    "gallery/index",
    "how-it-works",
    "model",
    "api",
]
SEEN += [
    "gallery/plot_scree",
    "gallery/plot_census",
    "generated/skae.AutoencoderTransformer",
    "glossary",
]
PROBE = """() => ({
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    broken: [...document.images].filter(i => !i.loading.includes('lazy') && !(i.complete && i.naturalWidth)).map(i => i.src),
    theme: document.documentElement.dataset.theme,
})"""


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Keep what leads somewhere, and where one can arrive."""
        attrs = dict(attrs)
        self.links += [attrs[name] for name in ("href", "src") if attrs.get(name)]
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}


def pages_of(site):
    """Return the pages; what the theme has among its static files is none."""
    return [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]


def broken_links(site):
    """Return (page, link) of each link within the site that leads nowhere."""
    pages = {path.resolve(): Page(path) for path in pages_of(site)}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            url, anchor = urldefrag(link)
            if urlsplit(url).scheme or url.startswith("//"):
                continue
            target = (path.parent / unquote(urlsplit(url).path)).resolve() if url else path
            lost = target in pages and unquote(anchor) not in pages[target].anchors
            if not target.exists() or lost:
                broken.append((path.relative_to(site.resolve()), link))
    return broken


class Reader:
    """A browser that reads pages and keeps what is wrong with them."""

    def __init__(self, browser, site, screenshots):
        self.site, self.screenshots, self.faults = site.resolve(), screenshots, []
        self.context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.page.on("request", self._asked)
        self.page.on("pageerror", self._failed)

    def fault(self, what):
        """Keep a fault of the present page."""
        self.faults.append(f"{self.page.url.removeprefix(self.site.as_uri() + '/')}: {what}")

    def _failed(self, error):
        if "search.html" in self.page.url and "Failed to fetch" in str(error):
            return  # the search shows excerpts where a server gives the pages, not from the disk
        self.fault(f"script: {error}")

    def _asked(self, request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.fault(f"asks the network for {request.url}")

    def open(self, name, wait="load"):
        """Open a page."""
        self.page.goto(f"{self.site.as_uri()}/{name}", wait_until=wait)

    def look(self, name):
        """Look at a page in both widths, light and dark."""
        self.open(name)
        for width, (w, h) in WIDTHS.items():
            self.page.set_viewport_size({"width": w, "height": h})
            for theme in ("light", "dark"):
                self.page.emulate_media(color_scheme=theme)
                self._await_theme(theme)
                seen = self.page.evaluate(PROBE)
                if seen["wide"] > 1:
                    self.fault(f"{width}, {theme}: {seen['wide']} pixels too wide")
                if seen["broken"]:
                    self.fault(f"broken images: {seen['broken']}")
                if seen["theme"] != theme:
                    self.fault(f"is {seen['theme']} where the system is {theme}")
                self._photograph(name, width, theme)

    def _await_theme(self, theme):
        """Wait until the page has heard of it."""
        with suppress(Exception):
            self.page.wait_for_function(
                f"document.documentElement.dataset.theme == '{theme}'", timeout=3000
            )

    def _photograph(self, name, width, theme):
        stem = name.removesuffix(".html")
        if self.screenshots is None or stem not in SEEN:
            return
        self.page.wait_for_timeout(150)
        path = self.screenshots / f"{stem.replace('/', '_')}-{width}-{theme}.png"
        high = self.page.evaluate("document.documentElement.scrollHeight")
        box = {"x": 0, "y": 0, "width": WIDTHS[width][0], "height": min(high, 3000)}
        self.page.screenshot(path=path, full_page=True, clip=box)

    def search(self, word):
        """Search for a word."""
        self.open(f"search.html?q={word}")
        try:
            self.page.wait_for_selector("#search-results li a", timeout=20_000)
        except Exception:
            self.fault(f"the search does not find {word!r}")

    def copy(self, name):
        """Copy the first code of a page: without its prompts."""
        self.page.set_viewport_size({"width": 1280, "height": 800})
        self.open(name)
        self.page.locator(".highlight:has-text('>>>')").first.hover()
        self.page.locator(
            "div:has(> .highlight:has-text('>>>')) button.copybtn, .highlight:has-text('>>>') button.copybtn"
        ).first.click()
        text = self.page.evaluate("() => navigator.clipboard.readText()")
        if "import" not in text or ">>>" in text:
            self.fault(f"copied code is {text[:60]!r}")

    def formulas(self, name):
        """See whether formulas are set."""
        self.open(name)
        try:
            self.page.wait_for_selector("mjx-container svg", timeout=20_000)
        except Exception:
            self.fault("formulas are not set")


def chromium():
    """Return the browser to use; the system's."""
    names = "chromium", "chromium-browser", "google-chrome", "chrome"
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        sys.exit("No Chromium was found: apt-get install chromium, or set CHROMIUM to its path.")
    return found


def read_all(site, screenshots):
    """Return the faults of all pages, and how many pages there are."""
    from playwright.sync_api import sync_playwright

    names = [str(path.relative_to(site)) for path in pages_of(site)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        print(f"Chromium {browser.version}, {len(names)} pages")
        reader = Reader(browser, site, screenshots)
        for name in names:
            reader.look(name)
        reader.search("impute")
        reader.copy("index.html")
        reader.formulas("generated/skae.AutoencoderTransformer.html")
        browser.close()
    return reader.faults


def main():
    """Check, print what is wrong, and fail where something is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--screenshots", type=Path)
    asked = parser.parse_args()
    if asked.screenshots:
        asked.screenshots.mkdir(parents=True, exist_ok=True)
    faults = [f"{page}: {link} leads nowhere" for page, link in broken_links(asked.site)]
    faults += read_all(asked.site, asked.screenshots)
    print("\n".join(dict.fromkeys(faults)))
    print(f"{len(set(faults))} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
