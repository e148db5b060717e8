"""Read a feed with dlt's rest_api source, which chooses the paginator itself; print the ids."""

import json
import sys

from dlt.sources.rest_api import rest_api_source

url, path, headers = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
path, _, query = path.partition("?")
params = dict(pair.split("=") for pair in query.split("&") if pair)
source = rest_api_source(
    {
        "client": {"base_url": url, "headers": headers},
        "resources": [{"name": "cars", "endpoint": {"path": path, "params": params}}],
    }
)
ids = []
for record in source.resources["cars"]:
    ids.append(str(record["id"]))
    if len(ids) > 20_000:
        break
print(json.dumps(ids))
