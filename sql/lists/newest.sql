SELECT read.place, read.id FROM ({listed}) AS read WHERE {is_newest}
