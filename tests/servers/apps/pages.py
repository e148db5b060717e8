"""FastAPI with fastapi-pagination: its three kinds of pages, with their defaults."""

import sys
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi_pagination import LimitOffsetPage, Page, add_pagination
from fastapi_pagination.cursor import CursorPage
from fastapi_pagination.ext.sqlalchemy import paginate
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

PORT, DATABASE = sys.argv[1:3]
engine = create_engine(f"sqlite:///{DATABASE}")
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "cars"
    id: Mapped[int] = mapped_column(primary_key=True)
    make: Mapped[str]
    model: Mapped[str]
    year: Mapped[int]
    price: Mapped[float]
    mileage: Mapped[int]
    vin: Mapped[str]
    color: Mapped[str]


class Car(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    make: str
    model: str
    year: int
    price: float
    mileage: int
    vin: str
    color: str


def session():
    with Session(engine) as opened:
        yield opened


Db = Annotated[Session, Depends(session)]


@app.get("/page/cars")
def by_number(db: Db) -> Page[Car]:
    return paginate(db, select(Row).order_by(Row.id))


@app.get("/limit/cars")
def by_offset(db: Db) -> LimitOffsetPage[Car]:
    return paginate(db, select(Row).order_by(Row.id))


@app.get("/cursor/cars")
def by_cursor(db: Db) -> CursorPage[Car]:
    return paginate(db, select(Row).order_by(Row.id))


@app.get("/{kind}/cars/{car_id}")
def one(kind: str, car_id: int, db: Db) -> Car:
    if (row := db.get(Row, car_id)) is None:
        raise HTTPException(404)
    return row


add_pagination(app)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(PORT), log_level="warning")
