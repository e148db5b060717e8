{said}::text = {column}::text
