"""What a person has typed, opened and scrolled survives a refresh."""

import pytest
from playwright.sync_api import Page

from tests.browser.driving import shows, visit
from tests.browser.site import Site, document

pytestmark = pytest.mark.browser

FORM = """
<form>
  <input id=text name=text><input name=plain value=one><textarea name=area>old</textarea>
  <input type=checkbox name=check><input type=radio name=pick value=a checked><input type=radio name=pick value=b>
  <select name=one><option>a<option>b<option>c</select>
  <select name=many multiple><option selected>a<option>b<option>c</select>
  <input type=password name=secret><input type=file name=file><input type=search name="odd &quot;name&quot;">
</form>
"""


@pytest.fixture
def form(site: Site, page: Page) -> Page:
    """An open form."""
    site.pages["/"] = lambda request: document(FORM)
    return visit(page, site.url())


def refresh(site: Site, page: Page) -> None:
    """A save, and the page that comes of it."""
    shows(page, site.save())


def test_text_fields_keep_what_was_typed(site: Site, form: Page) -> None:
    """Input, text area, a field with an odd name."""
    form.fill("#text", "hello")
    form.fill("textarea", "two\nlines")
    form.fill("input[type=search]", "x")
    refresh(site, form)
    assert form.input_value("#text") == "hello"
    assert form.input_value("textarea") == "two\nlines"
    assert form.input_value("input[type=search]") == "x"


def test_choices_are_kept(site: Site, form: Page) -> None:
    """Check boxes, radio buttons, selects, several at once."""
    form.check("[name=check]")
    form.check("[value=b]")
    form.select_option("[name=one]", "c")
    form.select_option("[name=many]", ["b", "c"])
    refresh(site, form)
    assert form.is_checked("[name=check]")
    assert form.is_checked("[value=b]")
    assert form.input_value("[name=one]") == "c"
    assert form.evaluate("[...document.querySelector('[name=many]').selectedOptions].map((o) => o.text)") == ["b", "c"]


def test_untouched_fields_show_the_new_page_s_values(site: Site, form: Page) -> None:
    """The edit may have been of just that default."""
    site.pages["/"] = lambda request: document(FORM.replace("value=one", "value=two").replace(">old<", ">new<"))
    refresh(site, form)
    assert form.input_value("[name=plain]") == "two"
    assert form.input_value("textarea") == "new"
    assert form.input_value("[name=one]") == "a"


def test_passwords_and_files_are_not_kept(site: Site, form: Page) -> None:
    """Not ours to store."""
    form.fill("[name=secret]", "s3cret")
    form.set_input_files("[name=file]", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    form.evaluate("addEventListener('pagehide', () => { localStorage.kept = JSON.stringify(sessionStorage); })")
    refresh(site, form)
    kept = form.evaluate("localStorage.kept")
    assert "fastapi-hmr:state" in kept
    assert "s3cret" not in kept
    assert "a.txt" not in kept
    assert form.input_value("[name=secret]") == ""


def test_focus_and_selection_are_kept(site: Site, form: Page) -> None:
    """The cursor is where it was."""
    form.fill("#text", "hello world")
    form.focus("#text")
    form.evaluate("document.querySelector('#text').setSelectionRange(2, 7, 'backward')")
    refresh(site, form)
    form.wait_for_function("document.activeElement.id === 'text'")
    assert form.evaluate(
        "(({ selectionStart: a, selectionEnd: b, selectionDirection: c }) => [a, b, c])(document.activeElement)"
    ) == [2, 7, "backward"]


def test_frameworks_hear_of_restored_fields(site: Site, page: Page) -> None:
    """An `input` event; no `change`, which submits some forms."""
    site.pages["/"] = lambda request: document(
        "<input id=a><script>window.heard = []; for (const type of ['input', 'change'])"
        " document.addEventListener(type, (event) => heard.push(event.type))</script>"
    )
    visit(page, site.url())
    page.fill("#a", "x")
    refresh(site, page)
    page.wait_for_function("heard.length > 0")
    assert page.evaluate("heard") == ["input"]


def test_details_stay_open_or_closed(site: Site, page: Page) -> None:
    """As the person left them."""
    site.pages["/"] = lambda request: document(
        "<details><summary>a</summary>x</details><details open><summary>b</summary>y</details>"
    )
    visit(page, site.url())
    page.click("summary >> text=a")
    page.click("summary >> text=b")
    refresh(site, page)
    assert page.evaluate("[...document.querySelectorAll('details')].map((d) => d.open)") == [True, False]


def test_scrolled_elements_stay_scrolled(site: Site, page: Page) -> None:
    """The window's own scroll is the browser's; that of inner boxes is ours."""
    box = "<div class=box style='height:100px;overflow:auto'><div style='height:2000px;width:3000px'>x</div></div>"
    site.pages["/"] = lambda request: document(f"{box}<div style='height:5000px'></div>{box}")
    visit(page, site.url())
    page.evaluate("document.querySelectorAll('.box')[1].scrollTo(70, 700); scrollTo(0, 1500)")
    refresh(site, page)
    page.wait_for_function(
        "document.querySelectorAll('.box')[1].scrollTop === 700 && document.querySelectorAll('.box')[1].scrollLeft === 70"
    )
    assert page.evaluate("document.querySelectorAll('.box')[0].scrollTop") == 0
    page.wait_for_function("scrollY === 1500")


def test_state_is_for_the_reload_alone(site: Site, form: Page) -> None:
    """A later visit begins anew."""
    form.fill("#text", "hello")
    refresh(site, form)
    assert form.input_value("#text") == "hello"
    form.goto("about:blank")
    form.goto(site.url())
    assert form.input_value("#text") == ""
    assert form.evaluate("sessionStorage.getItem('fastapi-hmr:state')") is None


def test_a_page_with_nothing_to_keep_leaves_nothing(site: Site, page: Page) -> None:
    """The page that comes after it then has nothing to load for that."""
    site.pages["/"] = lambda request: document("<p>x</p><input>")
    visit(page, site.url())
    page.evaluate("addEventListener('pagehide', () => { localStorage.kept = JSON.stringify(sessionStorage); })")
    refresh(site, page)
    assert "fastapi-hmr:state" not in page.evaluate("localStorage.kept")


def test_fields_that_are_gone_are_forgotten(site: Site, form: Page) -> None:
    """The new page may be another one altogether."""
    form.fill("#text", "hello")
    form.focus("#text")
    site.pages["/"] = lambda request: document("<p>nothing to fill in</p>")
    refresh(site, form)
    assert form.inner_text("p") == "nothing to fill in"
