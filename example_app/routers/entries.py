"""The JSON API: see /docs."""

from db import SessionDep
from fastapi import APIRouter, HTTPException, Query, Request
from models import Entry, EntryCreate, EntryRead
from sqlmodel import col, func, select

router = APIRouter(prefix="/api", tags=["entries"])


@router.get("/entries", response_model=list[EntryRead])
def list_entries(session: SessionDep, tag: str = "", limit: int = Query(default=50, ge=1, le=500)) -> list[Entry]:
    """Newest first, all of them or those with one tag."""
    query = select(Entry).order_by(col(Entry.written).desc()).limit(limit)
    return list(session.exec(query.where(Entry.tag == tag) if tag else query))


@router.post("/entries", response_model=EntryRead, status_code=201)
def create_entry(request: Request, session: SessionDep, new: EntryCreate) -> Entry:
    """Write an entry; without a tag, the model picks one."""
    entry = Entry.model_validate(new)
    entry.tag = entry.tag or request.app.state.tagger.suggest(entry.text)
    session.add(entry)
    session.commit()
    session.refresh(entry)
    return entry


@router.get("/entries/{entry_id}", response_model=EntryRead)
def read_entry(session: SessionDep, entry_id: int) -> Entry:
    entry = session.get(Entry, entry_id)
    if entry is None:
        raise HTTPException(status_code=404, detail=f"There is no entry {entry_id}.")
    return entry


@router.delete("/entries/{entry_id}", status_code=204)
def delete_entry(session: SessionDep, entry_id: int) -> None:
    session.delete(read_entry(session, entry_id))
    session.commit()


@router.get("/tags")
def count_tags(session: SessionDep) -> dict[str, int]:
    """How many entries each tag has, most used first."""
    count = func.count()
    query = select(Entry.tag, count).group_by(Entry.tag).order_by(count.desc(), Entry.tag)
    return dict(session.exec(query).all())
