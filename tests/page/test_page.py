# SPDX-License-Identifier: Apache-2.0
"""Clicking through the status page."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from lab import wait_until
from tests.address_plan import IPV4
from tests.command.site import Site
from tests.page.browser import Browser
from tests.page.stand import start

_WEB = "[data-service='default/web:http']"
_NAMES = "#services-list .name"
_OUTSIDER = "203.0.113.10"
_VIP = f"{IPV4.ingress_ip}:80/tcp"
_ENDPOINTS = ("10.244.1.2:8080", "10.244.1.3:8080", "10.244.2.6:8080")


def _rate(page: Browser) -> float:
    text = page.text("#overview b").split()[0]
    return float(text) if text[0].isdigit() else 0.0


def _trace(page: Browser, source: str, target: str) -> None:
    page.write("#trace-from", source)
    page.write("#trace-to", target)
    page.click("#trace-form button")


def _is_seen_well(page: Browser) -> bool:
    """Whether nothing was forbidden or failed, and nothing is beside the screen."""
    assert page.complaints() == []
    return not page.is_wider_than_its_window


def test_what_is_seen_first(page: Browser) -> None:
    """The node is healthy, its services are there, and connections come by the second."""
    page.wait_for("#health", "healthy")
    page.wait_for("#node", "node-a")
    page.wait_for(_NAMES, "shop/nobody")
    wait_until("connections are counted", lambda: _rate(page) > 1)
    wait_until("there is a curve", lambda: bool(page.all(f"{_WEB} .curve")))
    assert "no endpoints" in page.text("[data-service='shop/nobody']")
    page.wait_for("#syncs-list", "services +4")
    assert _is_seen_well(page)


def test_searching_services(page: Browser) -> None:
    """What is typed is found in names and addresses; what is not there, is not found."""
    page.write("#search", "KUBE-SYS")
    page.wait_for("#services-count", "1 of 5")
    assert "kube-system/dns" in page.text(_NAMES)
    page.write("#search", "10.244.2.6")
    page.wait_for(_NAMES, "default/web")
    page.write("#search", "<b>nothing</b>")
    page.wait_for("#services-count", "0 of 5")
    assert page.all(_NAMES) == []
    page.write("#search", "")
    page.wait_for("#services-count", "5 service ports")
    assert _is_seen_well(page)


def test_a_service_with_its_endpoints(page: Browser) -> None:
    """A click on a row shows its endpoints, which stay while numbers change; a button traces."""
    page.click(f"{_WEB} summary")
    for endpoint in _ENDPOINTS:
        page.wait_for(f"{_WEB} .endpoints", endpoint)
    before = page.text(f"{_WEB} .endpoints")
    wait_until("its numbers change", lambda: page.text(f"{_WEB} .endpoints") != before)
    page.click(f"{_WEB} .address")
    assert page.find("#trace-to").get_attribute("value") == f"{IPV4.cluster_ip}:80/tcp"
    assert page.focus.get_attribute("id") == "trace-from"
    assert _is_seen_well(page)


def test_the_busiest_first(page: Browser) -> None:
    """By rate, a service with connections stands above those without, whatever its name."""
    page.write("#search", "tcp")
    page.click("#order option[value=rate]")
    wait_until("web is first", lambda: page.text(_NAMES).startswith("default/web"))
    assert page.find("#order").get_attribute("value") == "rate"


@pytest.mark.parametrize("rules", ["desired", "live"])
def test_the_way_of_a_packet(page: Browser, rules: str) -> None:
    """The picture has each chain, an endpoint for each way with its odds, and the end."""
    page.click(f"#trace-rules option[value={rules}]")
    _trace(page, _OUTSIDER, _VIP)

    page.find(".way")
    picture = page.text(".way")
    for name in ("PREROUTING", "KUBE-SERVICES", "KUBE-FW-", "KUBE-SVC-", "KUBE-POSTROUTING"):
        assert name in picture
    for endpoint in _ENDPOINTS:
        assert f"→ {endpoint}" in picture
        assert endpoint in page.text(".fates")
    assert picture.count("33 %") == 3
    assert "with this node's address" in picture
    page.click(".words summary")
    assert f"A new tcp connection from {_OUTSIDER}" in page.text(".words pre")
    assert _is_seen_well(page)


def test_a_packet_that_is_refused(page: Browser) -> None:
    """For a service that nobody serves, the picture ends with the refusal, and a line says why."""
    _trace(page, "10.244.1.2", "10.96.20.9:80")

    page.wait_for(".fates", "shop/nobody has no endpoints")
    assert "filter · refuses the unserved" in page.text(".way")
    assert "rejected" in page.text(".way")


def test_a_packet_that_cannot_be_meant(page: Browser) -> None:
    """Wrong input is told at the form, which marks the field; the next answer takes it away."""
    _trace(page, "<img src=x>", _VIP)
    page.wait_for("#trace-error", "from: '<img src=x>' is neither an IP address nor one with")
    assert page.find("#trace-from").get_attribute("aria-invalid") == "true"
    assert not page.find("#trace").find_elements("css selector", ".way")
    _trace(page, "2001:db8::1", _VIP)
    page.wait_for("#trace-error", "different IP families")

    # What the browser says of answers that are no success is all that it may complain of.
    assert all("400 (Bad Request)" in one for one in page.complaints())
    _trace(page, _OUTSIDER, _VIP)
    page.find(".way")
    assert page.text("#trace-error") == ""
    assert _is_seen_well(page)


def test_the_kernel_with_drift_and_without(page: Browser, site: Site) -> None:
    """The kernel is as committed; a rule that somebody deleted is named, until it is back."""
    page.click("#compare")
    page.wait_for("#diff-result", "exactly the rules that were committed")
    rule = ("KUBE-MARK-MASQ", "-j", "MARK", "--set-xmark", "0x4000/0x4000")
    site.host.run(["iptables-legacy", "-w", "-t", "nat", "-D", *rule])

    wait_until("the drift shows", lambda: "KUBE-MARK-MASQ: differs" in _compared(page))
    assert f"+ -A {' '.join(rule)}" in page.text("#diff-result .good")
    site.host.run(["iptables-legacy", "-w", "-t", "nat", "-A", *rule])
    wait_until("it is gone", lambda: "exactly the rules" in _compared(page))
    assert _is_seen_well(page)


def _compared(page: Browser) -> str:
    page.click("#compare")
    wait_until("the answer is there", lambda: page.find("#compare").is_enabled())
    return page.text("#diff-result")


def test_syncs_with_their_phases(page: Browser) -> None:
    """A sync opens to what changed and how long each phase took; quiet ones show if wanted."""
    page.click(".sync summary")
    page.wait_for(".sync[open] .facts", "in the queue")
    for text in ("+default/web", "build", "kernel", "lock"):
        assert text in page.text(".sync[open] .facts")
    shown = len(page.all(".sync"))
    page.click("#all-syncs")
    wait_until("quiet syncs show", lambda: len(page.all(".sync")) > shown)


def test_it_can_be_used_without_a_mouse(page: Browser) -> None:
    """From the top, the keyboard reaches the search, opens a row, and asks for a trace."""
    page.run("document.getElementById('search').focus()")
    page.press(Keys.TAB, Keys.TAB, Keys.ENTER)
    page.wait_for("#services-list details[open]", "Traffic policy")
    page.run("document.getElementById('trace-from').focus()")
    page.press(_OUTSIDER, Keys.TAB, _VIP, Keys.ENTER)
    page.find(".way")


def test_a_pause(page: Browser) -> None:
    """Paused, nothing moves; resumed, it does."""
    page.click("#pause")
    assert page.find("#pause").get_attribute("aria-pressed") == "true"
    page.click("#pause")
    before = page.text(f"{_WEB} .rate")
    wait_until("it moves again", lambda: page.text(f"{_WEB} .rate") != before)


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_colours_can_be_read(page: Browser, *, is_dark: bool) -> None:
    """Text stands out from what it stands on by a contrast of 4.5, in the light and in the dark."""
    page.in_the_dark(is_dark=is_dark)

    for selector in ("body", ".quiet", "#health", "#services-list .tag", "button.primary", "nav a"):
        assert page.contrast(selector) >= 4.5, selector
    assert page.lightness("body") < 0.1 if is_dark else page.lightness("body") > 0.8


def test_a_phone(page: Browser) -> None:
    """On a narrow screen all of it fits, with a row open, a packet's way and a difference."""
    page.as_phone()
    page.click(f"{_WEB} summary")
    _trace(page, _OUTSIDER, _VIP)
    page.find(".way")
    page.click(".words summary")
    page.click(".sync summary")
    page.click("#compare")
    page.wait_for("#diff-result", "kernel")

    # Of the ways that part, none is drawn behind another's box.
    assert page.all(".way .group")
    assert _is_seen_well(page)


def test_an_agent_that_does_not_answer(page: Browser, site: Site) -> None:
    """Without answers the page says so and keeps what it knew; it goes on when they come back."""
    site.host.end_processes()
    page.wait_for("#away", "The agent does not answer")
    assert "default/web" in page.text(_NAMES)
    assert page.text("#health") == "unknown"

    start(site)
    page.wait_for("#health", "healthy")
    wait_until("the alert is gone", lambda: page.text("#away") == "")
