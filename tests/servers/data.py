"""The cars that every server serves, in a file of SQLite's, which most of them read."""

from __future__ import annotations

import csv
import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

CARS = 1200
CHANGED = 37
COLUMNS = ("id", "make", "model", "year", "price", "mileage", "vin", "color")
_TABLE = """
CREATE TABLE cars (id integer PRIMARY KEY, make text, model text, year integer, price real,
                   mileage integer, vin text, color text);
"""
_MODELS = {"Hyundai": ("Sonata", "Tucson"), "Kia": ("K5", "Sorento"), "Genesis": ("G80", "GV70")}
_COLORS = ("black", "white", "silver", "blue")


def write(path: Path) -> None:
    """Write 1,200 cars to a new database."""
    draw = random.Random(12)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(_TABLE)
        for number in range(1, CARS + 1):
            make = draw.choice(list(_MODELS))
            values = (
                number,
                make,
                draw.choice(_MODELS[make]),
                draw.randint(2005, 2026),
                float(draw.randint(2_000, 60_000)),
                draw.randint(0, 250_000),
                f"KMH{number:014d}",
                draw.choice(_COLORS),
            )
            db.execute(f"INSERT INTO cars VALUES ({', '.join('?' * len(values))})", values)
        db.commit()


def change(path: Path) -> list[int]:
    """Change the price of 37 cars all over the feed; return their ids."""
    ids = [1 + (number * 613) % CARS for number in range(CHANGED)]
    with closing(sqlite3.connect(path)) as db:
        db.executemany("UPDATE cars SET price = price + 100 WHERE id = ?", [(n,) for n in ids])
        db.commit()
    return ids


def read(path: Path) -> list[dict[str, Any]]:
    """Return the cars as they are now."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM cars ORDER BY id")]


def write_copies(folder: Path) -> None:
    """Write the cars of a new `cars.db` also as json-server and SAP's model want them."""
    write(folder / "cars.db")
    cars = read(folder / "cars.db")
    (folder / "cars.json").write_text(json.dumps({"cars": cars}))
    (folder / "data").mkdir()
    with (folder / "data/Feed-Cars.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(cars)
