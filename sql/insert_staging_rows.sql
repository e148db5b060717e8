INSERT INTO {staging} (page, ordinal, {columns}) VALUES %s
