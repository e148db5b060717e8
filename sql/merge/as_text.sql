{value}::text AS {name}
