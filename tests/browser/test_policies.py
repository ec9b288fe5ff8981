"""Under each kind of Content-Security-Policy the page refreshes, shows errors, and reports no violation of ours."""

import pytest
from playwright.sync_api import Page
from starlette.responses import HTMLResponse

from tests.browser.driving import loads, shows, until, visit
from tests.browser.site import Site, document

pytestmark = pytest.mark.browser

VIOLATIONS = "window.violations = []; addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective + ' ' + e.blockedURI), true);"

POLICIES = {
    "self": ["default-src 'self'"],
    "nonce": ["default-src 'self'; script-src 'nonce-abc'"],
    "strict-dynamic with nonce": ["script-src 'nonce-abc' 'strict-dynamic'; object-src 'none'; base-uri 'none'"],
    "strict-dynamic with hash": ["script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'strict-dynamic'"],
    "nothing": ["default-src 'none'"],
    "no script": ["script-src 'none'"],
    "no connection": ["connect-src 'none'"],
    "no style": ["style-src 'none'"],
    "inline only": ["script-src 'unsafe-inline'"],
    "another host": ["script-src https://cdn.example; connect-src https://api.example"],
    "trusted types": ["require-trusted-types-for 'script'"],
    "no trusted types at all": ["require-trusted-types-for 'script'; trusted-types 'none'; default-src 'self'"],
    "two policies": ["script-src 'nonce-abc'", "default-src 'self'"],
    "sandbox with scripts": ["sandbox allow-scripts allow-same-origin"],
}


@pytest.mark.parametrize("policies", POLICIES.values(), ids=POLICIES.keys())
def test_page_under_a_policy_works(site: Site, page: Page, policies: list[str]) -> None:
    """Refresh, overlay with its style, swap: with the policy in force."""

    def strict(request: object) -> HTMLResponse:
        response = HTMLResponse(document("<p>x</p>"))
        for policy in policies:
            response.headers.append("content-security-policy", policy)
        return response

    site.pages["/"] = strict
    page.add_init_script(VIOLATIONS)
    visit(page, site.url())
    site.fail()
    page.wait_for_selector("fastapi-hmr-overlay >> text=ZeroDivisionError")
    frame = page.locator("fastapi-hmr-overlay .frame")
    assert frame.evaluate("(element) => getComputedStyle(element).borderTopWidth") == "4px"
    assert page.evaluate("violations") == []
    shows(page, site.save())
    assert page.locator("fastapi-hmr-overlay").count() == 0
    assert loads(page) == 2


def test_policy_of_a_meta_element_comes_too_late_for_us(site: Site, page: Page) -> None:
    """Our script precedes it; a policy that allows one's own origin lets us work on."""
    meta = "<meta http-equiv=Content-Security-Policy content=\"default-src 'self'; script-src 'nonce-x' 'self'\">"
    site.pages["/"] = lambda request: document("x", meta)
    visit(page, site.url())
    site.fail()
    page.wait_for_selector("fastapi-hmr-overlay >> text=ZeroDivisionError")
    shows(page, site.save())


def test_policy_of_a_meta_element_that_forbids_everything_leaves_the_refresh(site: Site, page: Page) -> None:
    """The client connects before the page can forbid it, and a reload needs nothing else."""
    meta = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    site.pages["/"] = lambda request: document("x", meta)
    visit(page, site.url())
    for number in (2, 3):
        shows(page, site.save())
        assert loads(page) == number


def test_policy_that_only_reports_has_nothing_to_report(site: Site, page: Page) -> None:
    """Of us, that is."""
    policy = "default-src 'none'; style-src 'none'"
    site.pages["/"] = lambda request: HTMLResponse(
        document("x"), headers={"content-security-policy-report-only": policy}
    )
    page.add_init_script(VIOLATIONS)
    visit(page, site.url())
    shows(page, site.save())
    assert page.evaluate("violations") == []


def test_page_s_own_inline_script_still_runs(site: Site, page: Page) -> None:
    """What we add must not switch off what the page allows itself."""
    policy = {"content-security-policy": "script-src 'unsafe-inline'"}
    site.pages["/"] = lambda request: HTMLResponse(document("<script>window.own = 1</script>"), headers=policy)
    visit(page, site.url())
    assert page.evaluate("window.own") == 1


def test_what_a_policy_forbids_stays_forbidden(site: Site, page: Page) -> None:
    """An injected inline script, an image, another origin: as blocked as without us."""
    policy = {"content-security-policy": "default-src 'none'"}
    site.pages["/"] = lambda request: HTMLResponse(
        document("<script>window.own = 1</script><img src=/x.png>"), headers=policy
    )
    page.add_init_script(VIOLATIONS)
    visit(page, site.url())
    until(page, lambda: page.evaluate("violations.length") >= 2, "two violations")
    assert page.evaluate("window.own") is None
    assert site.count("/x.png") == 0
    assert any("was extended" in line for line in site.notices)
    assert len(site.notices) == 1
