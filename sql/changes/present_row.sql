(SELECT translate(pg_catalog.row_to_json(t)::text, E'\n\r', '  ')
 FROM {target} AS t WHERE t.{key} = c.id::{id_type})
