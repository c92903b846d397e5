# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium on the agent's node, and what a person does with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from lab import wait_until

_PROGRAMS: Final = ("chromium", "chromedriver")
_FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    # It asks for hosts of its maker, and waits for answers that do not come in a lab.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--lang=en",
)
_DESKTOP: Final = (1180, 900)
_PHONE: Final = (360, 740)


_COLOUR: Final = """((element, name) => {
  for (let one = element; one !== null; one = one.parentElement) {
    const found = getComputedStyle(one)[name].match(/[\\d.]+/g).map(Number);
    if (found[3] !== 0) return found;
  }
  return [255, 255, 255];
})(arguments[0], arguments[1])"""
"""The colour of an element, or of what shows through it."""


class Browser:
    """Looks at one page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def open(self, url: str) -> None:
        """Show a page, on a desktop in daylight."""
        self.as_desktop()
        self.in_the_dark(is_dark=False)
        self._driver.get(url)

    def as_desktop(self, height: int = _DESKTOP[1]) -> None:
        """Have the window of a desktop."""
        self._have_window(_DESKTOP[0], height, is_mobile=False)

    def as_phone(self, height: int = _PHONE[1]) -> None:
        """Have a phone's screen."""
        self._have_window(_PHONE[0], height, is_mobile=True)

    def in_the_dark(self, *, is_dark: bool = True) -> None:
        """Prefer dark colours, or light ones."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"},
            # What still moves cannot be clicked on.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def find(self, selector: str) -> WebElement:
        """The first element that a selector of CSS means, as soon as there is one that shows."""
        found: list[WebElement] = []

        def is_shown() -> bool:
            with suppress(StaleElementReferenceException):  # the page may just be replacing it
                found.extend(one for one in self.all(selector) if one.is_displayed())
            return bool(found)

        wait_until(f"{selector} shows", is_shown)
        return found[0]

    def all(self, selector: str) -> list[WebElement]:
        """All elements that a selector means now."""
        return self._driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """What elements say, now or when the page has replaced them."""
        found: list[str] = []

        def is_read() -> bool:
            with suppress(StaleElementReferenceException):
                found.append(" ".join(one.text for one in self.all(selector)))
            return bool(found)

        wait_until(f"{selector} is read", is_read)
        return found[0]

    def wait_for(self, selector: str, text: str) -> None:
        """Wait until an element says ``text``."""
        wait_until(f"{selector} says {text!r}", lambda: text in self.text(selector))

    def click(self, selector: str) -> None:
        """Scroll to an element and click on it as a mouse does, which fails if it is covered."""

        def is_clicked() -> bool:
            element = self.find(selector)
            try:
                # The driver takes what is under the page's head for visible, and would not scroll.
                self.run("arguments[0].scrollIntoView({block: 'center'})", element)
                element.click()
            except StaleElementReferenceException:
                return False
            return True

        wait_until(f"{selector} is clicked on", is_clicked)

    def write(self, selector: str, text: str) -> None:
        """Replace what stands in a field, key by key."""
        self.find(selector).send_keys(Keys.CONTROL, "a")
        self.find(selector).send_keys(text or Keys.DELETE)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        webdriver.ActionChains(self._driver).send_keys(*keys).perform()

    @property
    def focus(self) -> WebElement:
        """What has the focus."""
        return self._driver.switch_to.active_element

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever it returns
        """What a script returns."""
        return self._driver.execute_script(f"return {script}", *arguments)

    @property
    def is_wider_than_its_window(self) -> bool:
        """Whether a reader would have to scroll sideways."""
        wide: bool = self.run("document.documentElement.scrollWidth > window.innerWidth")
        return wide

    def contrast(self, selector: str) -> float:
        """How much an element's text stands out from what it stands on, as WCAG defines it."""
        lighter, darker = sorted(
            (self.lightness(selector, "color"), self.lightness(selector)), reverse=True
        )
        return (lighter + 0.05) / (darker + 0.05)

    def lightness(self, selector: str, colour: str = "backgroundColor") -> float:
        """The relative luminance of an element's colour, or of the first one behind it."""
        found: list[float] = self.run(_COLOUR, self.find(selector), colour)
        red, green, blue = (_linear(channel / 255) for channel in found[:3])
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def complaints(self) -> list[str]:
        """What it has told its console since it was last asked, such as what it was forbidden."""
        entries = self._driver.get_log("browser")  # type: ignore[no-untyped-call] # a gap of selenium
        return [entry["message"] for entry in entries]

    def photograph(self, path: Path) -> None:
        """Keep what the window shows as a PNG."""
        assert self._driver.save_screenshot(str(path))

    def _have_window(self, width: int, height: int, *, is_mobile: bool) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_mobile}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _linear(channel: float) -> float:
    """A channel of sRGB without its gamma."""
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser that reaches what the calling thread reaches."""
    chromium, driver = map(_program, _PROGRAMS)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(running)
    finally:
        running.quit()


def _program(name: str) -> str:
    path = shutil.which(name)
    assert path, f"no {name}; on Debian: apt-get install chromium chromium-driver"
    return path
