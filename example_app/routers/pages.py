"""The pages: today and the days before it, and the week at a glance."""

from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Annotated

from db import SessionDep
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.templating import Jinja2Templates
from models import Entry, now
from settings import TITLE
from sqlmodel import col, select
from tagger import KEYWORDS

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
templates = Jinja2Templates(directory=Path(__file__).parent.parent / "templates")
templates.env.globals.update(title=TITLE, tags=list(KEYWORDS))


def greeting(hour: int) -> str:
    if hour < 5:
        return "Up late"
    if hour < 12:
        return "Good morning"
    return "Good afternoon" if hour < 18 else "Good evening"


def day_name(moment: datetime) -> str:
    age = (datetime.now().astimezone().date() - moment.date()).days
    return {0: "Today", 1: "Yesterday"}.get(age, f"{moment:%A}" if age < 7 else f"{moment.day} {moment:%B %Y}")


@router.get("/")
def day(request: Request, session: SessionDep) -> HTMLResponse:
    entries = list(session.exec(select(Entry).order_by(col(Entry.written).desc()).limit(40)))
    context = {
        "greeting": greeting(datetime.now().astimezone().hour),
        "days": [(name, list(group)) for name, group in groupby(entries, key=lambda entry: day_name(entry.local))],
        "last_id": max((entry.id or 0 for entry in entries), default=0),
    }
    return templates.TemplateResponse(request, "day.html", context)


@router.post("/")
def write(
    request: Request,
    session: SessionDep,
    text: Annotated[str, Form(min_length=1, max_length=500)],
    tag: Annotated[str, Form(max_length=20)] = "",
) -> RedirectResponse:
    session.add(Entry(text=text.strip(), tag=tag or request.app.state.tagger.suggest(text)))
    session.commit()
    return RedirectResponse(request.url_for("day"), status_code=303)


@router.get("/week")
def week(request: Request, session: SessionDep) -> HTMLResponse:
    recent = session.exec(select(Entry).where(Entry.written > now() - timedelta(days=7))).all()
    today = datetime.now().astimezone().date()
    dates = [today - timedelta(days=age) for age in range(6, -1, -1)]
    context = {
        "days": [(date, [entry.tag for entry in recent if entry.local.date() == date]) for date in dates],
        "total": len(recent),
    }
    return templates.TemplateResponse(request, "week.html", context)
