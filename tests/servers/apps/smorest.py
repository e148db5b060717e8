"""flask-smorest as its quick start shows it: a bare list, totals in `X-Pagination` only."""

import sqlite3
import sys

from flask import Flask
from flask.views import MethodView
from flask_smorest import Api, Blueprint, Page, abort
from marshmallow import Schema, fields

PORT, DATABASE = sys.argv[1:3]
app = Flask(__name__)
app.config.update(API_TITLE="Cars", API_VERSION="1", OPENAPI_VERSION="3.0.2")
blueprint = Blueprint("cars", __name__, url_prefix="/cars")


def rows(where="", *values):
    with sqlite3.connect(DATABASE) as db:
        db.row_factory = sqlite3.Row
        found = db.execute(f"SELECT * FROM cars {where} ORDER BY id", values)
        return [dict(row) for row in found]


class CarSchema(Schema):
    id = fields.Int()
    make = fields.Str()
    model = fields.Str()
    year = fields.Int()
    price = fields.Float()
    mileage = fields.Int()
    vin = fields.Str()
    color = fields.Str()


class ListPage(Page):
    @property
    def item_count(self):
        return len(self.collection)


@blueprint.route("/")
class Cars(MethodView):
    @blueprint.response(200, CarSchema(many=True))
    @blueprint.paginate(ListPage)
    def get(self):
        return rows()


@blueprint.route("/<int:car_id>")
class Car(MethodView):
    @blueprint.response(200, CarSchema)
    def get(self, car_id):
        found = rows("WHERE id = ?", car_id)
        return found[0] if found else abort(404)


Api(app).register_blueprint(blueprint)

if __name__ == "__main__":
    app.run("127.0.0.1", int(PORT), threaded=True)
