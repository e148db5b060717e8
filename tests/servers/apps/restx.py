"""Flask-RESTX as its example of a blog does it: other sizes than 10, 25 and 50 are refused."""

import sqlite3
import sys

from flask import Flask
from flask_restx import Api, Resource, reqparse

PORT, DATABASE = sys.argv[1:3]
app = Flask(__name__)
api = Api(app)
arguments = reqparse.RequestParser()
arguments.add_argument("page", type=int, default=1, location="args")
arguments.add_argument("per_page", type=int, choices=[10, 25, 50], default=10, location="args")


def rows(query, *values):
    with sqlite3.connect(DATABASE) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(query, values)]


@api.route("/cars/")
class Cars(Resource):
    def get(self):
        asked = arguments.parse_args()
        page, size = asked["page"], asked["per_page"]
        total = rows("SELECT count(*) AS n FROM cars")[0]["n"]
        listed = rows("SELECT * FROM cars ORDER BY id LIMIT ? OFFSET ?", size, (page - 1) * size)
        pages = -(-total // size)
        return {"page": page, "pages": pages, "per_page": size, "total": total, "items": listed}


@api.route("/cars/<int:car_id>")
class Car(Resource):
    def get(self, car_id):
        found = rows("SELECT * FROM cars WHERE id = ?", car_id)
        return found[0] if found else api.abort(404)


if __name__ == "__main__":
    app.run("127.0.0.1", int(PORT), threaded=True)
