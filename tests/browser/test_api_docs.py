"""Swagger UI and ReDoc take the new openapi.json in place: what a person has set up there survives."""

from importlib.resources import files
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Security
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.security import APIKeyHeader
from fastapi.staticfiles import StaticFiles
from playwright.sync_api import Page

from tests.browser.driving import loads, ready, shows, visit
from tests.browser.site import Site

pytestmark = pytest.mark.browser

KEY = Annotated[str, Security(APIKeyHeader(name="x-key"))]


def make_app(*, summary: str = "Read it", more: bool = False, docs: bool = True) -> FastAPI:
    """An API whose documentation needs no network."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url="/openapi.json" if docs else None)
    app.mount("/assets", StaticFiles(directory=str(files("fastapi_offline") / "static")))

    @app.get("/docs", include_in_schema=False)
    def swagger() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json", title="t", swagger_js_url="/assets/swagger-ui-bundle.js",
            swagger_css_url="/assets/swagger-ui.css", swagger_favicon_url="/assets/favicon.png",
        )  # fmt: skip

    @app.get("/redoc", include_in_schema=False)
    def redoc() -> HTMLResponse:
        return get_redoc_html(
            openapi_url="/openapi.json", title="t", redoc_js_url="/assets/redoc.standalone.js",
            redoc_favicon_url="/assets/favicon.png", with_google_fonts=False,
        )  # fmt: skip

    @app.get("/items/{item}", summary=summary)
    def read(item: str, key: KEY) -> dict[str, str]:
        return {"item": item, "key": key}

    @app.get("/same")
    def same() -> dict[str, str]:
        return {}

    if more:

        @app.post("/extra")
        def extra(body: dict[str, Any]) -> dict[str, str]:
            return {}

    return app


def serve(site: Site, app: FastAPI) -> None:
    """Let the site answer with this app from now on."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        scope.pop("fastapi_hmr", None)
        await app(scope, receive, send)

    site.app = answer


@pytest.fixture
def swagger(site: Site, page: Page) -> Page:
    """Swagger UI with an authorization, an open panel, a filled parameter and an answer."""
    serve(site, make_app())
    visit(page, site.url("/docs"))
    page.click("button.authorize")
    page.fill(".auth-container input", "s3cret")
    page.click(".auth-btn-wrapper button[type=submit]")
    page.click(".btn-done")
    page.click("text=Read it")
    page.click("button.try-out__btn")
    page.fill("tr[data-param-name=item] input", "seven")
    page.click("button.execute")
    page.wait_for_selector(".live-responses-table >> text=s3cret")
    return page


def test_swagger_ui_takes_the_new_spec_in_place(site: Site, swagger: Page) -> None:
    """The new operation is there, the changed one says so, and nothing that was set up is lost."""
    serve(site, make_app(summary="Read one item", more=True))
    site.save()
    swagger.wait_for_selector("text=Read one item")
    swagger.wait_for_selector("[data-path='/extra']")
    ready(swagger)
    assert loads(swagger) == 1
    assert swagger.input_value("tr[data-param-name=item] input") == "seven"
    assert swagger.locator(".live-responses-table >> text=s3cret").count() >= 1
    assert swagger.evaluate("Object.values(ui.authSelectors.authorized().toJS())[0].value") == "s3cret"
    swagger.fill("tr[data-param-name=item] input", "eight")
    swagger.click("button.execute")
    swagger.wait_for_selector(".live-responses-table >> text=eight")


def test_swagger_ui_marks_changed_operations(site: Site, swagger: Page) -> None:
    """The changed and the new, until the next save; not what reads the same."""
    serve(site, make_app(summary="Read one item", more=True))
    site.save()
    swagger.wait_for_selector(".opblock-post[data-fastapi-hmr-changed]")
    swagger.wait_for_selector(".opblock-get[data-fastapi-hmr-changed] [data-path='/items/{item}']")
    assert swagger.locator("[data-fastapi-hmr-changed] [data-path='/same']").count() == 0
    site.save()
    swagger.wait_for_function("!document.querySelector('[data-fastapi-hmr-changed]')")
    swagger.evaluate("new Promise((done) => setTimeout(done, 400))")  # operations drawn late are marked within 300 ms
    assert swagger.locator("[data-fastapi-hmr-changed]").count() == 0


def test_swagger_ui_keeps_up_with_many_saves(site: Site, swagger: Page) -> None:
    """One after the other, without a reload."""
    for number in range(4):
        serve(site, make_app(summary=f"Version {number}"))
        site.save()
        swagger.wait_for_selector(f"text=Version {number}")
    assert loads(swagger) == 1


def test_swagger_ui_reloads_where_the_spec_is_gone(site: Site, page: Page) -> None:
    """No openapi.json, nothing to hand over: the page itself may say why."""
    serve(site, make_app())
    visit(page, site.url("/docs"))
    page.wait_for_selector("text=Read it")
    serve(site, make_app(docs=False))
    shows(page, site.save())
    assert loads(page) == 2


def test_swagger_ui_shows_a_failed_save(site: Site, swagger: Page) -> None:
    """The overlay, and the documentation as it was after the fix."""
    site.fail()
    swagger.wait_for_selector("fastapi-hmr-overlay >> text=ZeroDivisionError")
    site.fix()
    swagger.wait_for_selector("fastapi-hmr-overlay", state="detached")
    assert swagger.locator(".live-responses-table >> text=s3cret").count() >= 1


def test_redoc_takes_the_new_spec_in_place(site: Site, page: Page) -> None:
    """Without a reload, scrolled as it was."""
    serve(site, make_app())
    visit(page, site.url("/redoc"))
    page.wait_for_selector("h2 >> text=Read it")
    page.evaluate("scrollTo(0, 150)")
    serve(site, make_app(summary="Read one item", more=True))
    site.save()
    page.wait_for_selector("h2 >> text=Read one item")
    ready(page)
    assert loads(page) == 1
    page.wait_for_function("scrollY === 150")
    serve(site, make_app(summary="Read it all"))
    site.save()
    page.wait_for_selector("h2 >> text=Read it all")
    assert page.locator("h2 >> text=Read one item").count() == 0
