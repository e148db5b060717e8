"""One simulated car: a record of 3 to 4 KB, built as those of auctionsapi.com are.

A record is a pure function of (seed, id, version), so ids and version numbers are all
that a feed of any size keeps.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple


class Make(NamedTuple):
    """A manufacturer: its id, name, world manufacturer identifier (ISO 3780) and models."""

    id: int
    name: str
    wmi: str
    models: tuple[str, ...]


MAKES: tuple[Make, ...] = (
    Make(1, "Hyundai", "KMH", ("Sonata", "Santa Fe", "Tucson", "Grandeur", "Avante", "Palisade")),
    Make(2, "Kia", "KNA", ("K5", "Sportage", "Sorento", "Carnival", "Morning", "EV6")),
    Make(3, "Genesis", "KMT", ("G70", "G80", "G90", "GV70", "GV80")),
    Make(4, "SsangYong", "KPB", ("Tivoli", "Rexton Sports", "Korando", "Torres")),
    Make(5, "BMW", "WBA", ("320d", "520i", "X3 xDrive20d", "X5 xDrive30d", "i4 eDrive40")),
    Make(6, "Mercedes-Benz", "WDD", ("C 200", "E 220 d", "GLC 300 4MATIC", "S 450", "A 180")),
    Make(7, "Audi", "WAU", ("A4 40 TFSI", "A6 45 TDI", "Q5", "e-tron", "Q7")),
    Make(8, "Volkswagen", "WVW", ("Golf 2.0 TDI", "Tiguan", "Arteon", "Passat")),
    Make(9, "Škoda", "TMB", ("Octavia", "Superb", "Kodiaq")),
    Make(10, "Citroën", "VF7", ("C3", "C4 Picasso", "C5 Aircross")),
    Make(11, "Toyota", "JTD", ("Camry Hybrid", "RAV4", "Corolla", "Prius")),
    Make(12, "Tesla", "5YJ", ("Model 3", "Model Y", "Model S")),
    Make(13, "Land Rover", "SAL", ("Discovery Sport", "Range Rover Evoque", "Defender 110")),
    Make(14, "Porsche", "WP0", ("911 Carrera", "Cayenne", "Macan", "Taycan 4S")),
)
Named = dict[str, Any] | None


def _named(*names: str | None) -> tuple[Named, ...]:
    """Number `names` as the feed does; all records share these objects."""
    return tuple(
        None if name is None else {"id": number, "name": name}
        for number, name in enumerate(names, start=1)
    )


BODY_TYPES = _named("sedan", "suv", "hatchback", "coupe", "wagon", "van", "pickup")
COLORS = _named("black", "white", "silver", "gray", "blue", "red", "green", "brown", None)
ENGINES = _named("1.4L I4 Turbo", "1.6L I4", "2.0L I4 Diesel", "2.5L I4", "3.0L V6", "4.4L V8")
FUELS = _named("gasoline", "diesel", "hybrid", "electric", "lpg", None)
TRANSMISSIONS = _named("automatic", "manual", "cvt")
DRIVE_WHEELS = _named("front", "rear", "all")
STATUSES = _named("upcoming", "not sold", "sale", "sold")
CONDITIONS = _named("run_and_drives", "for_repair", "not_run", "starts", None)
DAMAGES = _named("front end", "rear end", "side", "minor dent/scratches", "hail", None)
SELLERS = ("Glovis Auction", "Lotte Rental", "AJ Sellcar", "SK Rent-a-Car", "K Car", "Insurer")
PLACES = (
    ("Gyeonggi-do", "Anseong", 37.008, 127.2797),
    ("Gyeonggi-do", "Siheung", 37.38, 126.8029),
    ("Gyeongsangnam-do", "Yangsan", 35.335, 129.0372),
    ("Incheon", "Seo-gu", 37.5454, 126.676),
    ("Chungcheongbuk-do", "Cheongju", 36.6424, 127.489),
)
EQUIPMENT = [f"{number:03}" for number in range(1, 64)]
PHOTOS = 12
BID_STEP = 25


def seed_key(seed: int) -> bytes:
    """Return the key of the hash by which the cars of feed `seed` are drawn."""
    return seed.to_bytes(16, "big", signed=True)


def vin_of(key: bytes, car_id: int) -> str:
    """Return the vehicle identification number of a car, without building its record.

    >>> vin_of(seed_key(1), 7000) == build_car(seed_key(1), 7000, 3)["vin"]
    True
    """
    dice = _dice(key, car_id)
    return MAKES[dice[0] % len(MAKES)].wmi + dice[:7].hex().upper()


def _dice(key: bytes, car_id: int) -> bytes:
    return blake2b(car_id.to_bytes(8, "big"), digest_size=32, key=key).digest()


def build_car(key: bytes, car_id: int, version: int) -> dict[str, Any]:
    """Return the record of car `car_id` after `version` changes, ready for JSON.

    Each version raises the bid by `BID_STEP`, one of the mapped and hashed fields,
    so two versions of a car never map to the same row.

    >>> old, new = (build_car(seed_key(1), 7000, version) for version in (0, 1))
    >>> new["lots"][0]["bid"] - old["lots"][0]["bid"]
    25
    """
    dice = _dice(key, car_id)
    make = MAKES[dice[0] % len(MAKES)]
    model_index = dice[1] % len(make.models)
    model_id = make.id * 100 + model_index
    model = make.models[model_index]
    year = 2008 + dice[2] % 18
    return {
        "id": car_id,
        "year": year,
        "title": f"{year} {make.name} {model}",
        "vin": vin_of(key, car_id),
        "manufacturer": {"id": make.id, "name": make.name},
        "model": {"id": model_id, "name": model, "manufacturer_id": make.id},
        "generation": _build_generation(dice, make.id, model_id, model),
        "body_type": BODY_TYPES[dice[4] % len(BODY_TYPES)],
        "color": COLORS[dice[5] % len(COLORS)],
        "engine": ENGINES[dice[6] % len(ENGINES)],
        "transmission": TRANSMISSIONS[dice[8] % len(TRANSMISSIONS)],
        "drive_wheel": DRIVE_WHEELS[dice[9] % len(DRIVE_WHEELS)],
        "vehicle_type": {"id": 1, "name": "automobile"},
        "fuel": FUELS[dice[7] % len(FUELS)],
        "cylinders": 4 + dice[6] % 3 * 2,
        "created_at": f"2025-0{1 + dice[10] % 9}-{10 + dice[11] % 18}T08:15:00.000000Z",
        "updated_at": _moment(dice, version),
        "lots": [_build_lot(dice, car_id, version)],
    }


def moment(at_s: float) -> str:
    """Return a time, in seconds since 1970, in the feed's form.

    >>> moment(0)
    '1970-01-01T00:00:00.000000Z'
    """
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_moment(text: str) -> float:
    """Return a time in ISO 8601, UTC unless it says otherwise, in seconds since 1970.

    >>> read_moment("1970-01-01T01:00") == read_moment(moment(3600))
    True
    """
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def stamp(record: dict[str, Any], at_s: float) -> dict[str, Any]:
    """Return a car's record as changed at this time."""
    at = moment(at_s)
    lots = [{**lot, "updated_at": at, "bid_updated_at": at} for lot in record["lots"]]
    return {**record, "updated_at": at, "lots": lots}


def _build_generation(dice: bytes, make_id: int, model_id: int, model: str) -> dict[str, Any]:
    return {
        "id": model_id * 10 + dice[3] % 4,
        "name": model + (" I", " II", " III", " facelift")[dice[3] % 4],
        "manufacturer_id": make_id,
        "model_id": model_id,
    }


def _build_lot(dice: bytes, car_id: int, version: int) -> dict[str, Any]:
    km = (dice[14] << 16 | dice[15] << 8 | dice[16]) % 260_000
    return {
        "id": car_id * 3,
        "lot": str(30_000_000 + (dice[18] << 16 | dice[19] << 8 | dice[20])),
        "domain": {"id": 3, "name": "encar_com"},
        "external_id": dice[21:25].hex(),
        "odometer": {
            "km": km,
            "mi": km * 621_371 // 1_000_000,
            "status": {"id": 1, "name": "actual"},
        },
        **_build_auction(dice, version),
        "status": STATUSES[dice[17] % len(STATUSES)],
        "seller": SELLERS[dice[26] % len(SELLERS)],
        "seller_type": {"id": 2, "name": "dealer"},
        "title": {"id": 1, "name": "clean", "code": "ct"},
        "detailed_title": {"id": 10, "name": "clean title, one previous owner", "code": "ct-1"},
        "damage": {
            "main": DAMAGES[dice[27] % len(DAMAGES)],
            "second": DAMAGES[dice[28] % len(DAMAGES)],
        },
        "keys_available": (True, True, True, False, None)[dice[29] % 5],
        "airbags": {"id": 4, "name": "intact"},
        "condition": CONDITIONS[dice[30] % len(CONDITIONS)],
        "grade_iaai": None,
        "images": _build_images(dice, car_id),
        "location": _build_location(dice[31]),
        "selling_branch": {"id": dice[31] % 12, "name": "Hall", "number": dice[31] % 12},
        "details": {
            "insurance_v2": None,
            "inspect": {"accident_summary": {"accident": "doesnt_exist", "recall": "none"}},
            "options": {"type": "dealer", "standard": EQUIPMENT[dice[3] % 9 : 24 + dice[4] % 40]},
        },
        "updated_at": _moment(dice, version),
    }


def _build_auction(dice: bytes, version: int) -> dict[str, Any]:
    """Return a lot's prices and when each was set."""
    bid = 500 + (dice[12] << 8 | dice[13]) % 1600 * BID_STEP + version * BID_STEP
    moment = _moment(dice, version)
    return {
        "estimate_repair_price": dice[22] * BID_STEP,
        "pre_accident_price": bid + 4_000,
        "clean_wholesale_price": bid + 2_500,
        "actual_cash_value": bid + 3_100,
        "sale_date": f"2026-0{1 + dice[23] % 6}-{10 + dice[24] % 18}T09:00:00.000000Z",
        "sale_date_updated_at": moment,
        "bid": bid,
        "bid_updated_at": moment,
        "buy_now": bid + 1_500 if dice[25] % 3 else None,
        "buy_now_updated_at": moment,
        "final_bid": None,
        "final_bid_updated_at": None,
    }


def _build_images(dice: bytes, car_id: int) -> dict[str, Any]:
    digits = dice.hex()
    folder = f"https://img.feed.example/lots/2025/{car_id % 1000}/{car_id}/"
    photos = [folder + digits[4 * number : 4 * number + 8] for number in range(PHOTOS)]
    return {
        "id": car_id * 3,
        "small": None,
        "normal": [photo + "_640.jpg" for photo in photos],
        "big": [photo + "_1600.jpg" for photo in photos[: 6 + dice[9] % 6]],
        "exterior": None,
        "interior": None,
        "video": None,
        "external_panorama_url": None,
    }


def _build_location(die: int) -> dict[str, Any]:
    state, city, latitude, longitude = PLACES[die % len(PLACES)]
    return {
        "country": {"iso": "kr", "name": "South Korea"},
        "state": {"id": die % len(PLACES) + 1, "code": None, "name": state},
        "city": {"id": die % len(PLACES) + 400, "name": city},
        "location": None,
        "latitude": latitude,
        "longitude": longitude,
        "raw": city + ", " + state + ", South Korea",
        "is_offsite": False,
        "offsite": None,
    }


def _moment(dice: bytes, version: int) -> str:
    return f"2025-11-{10 + dice[10] % 18}T{10 + version % 13}:{10 + dice[13] % 50}:00.000000Z"
