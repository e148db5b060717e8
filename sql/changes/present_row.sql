(SELECT pg_catalog.to_jsonb(t)::text FROM {target} AS t WHERE t.{key} = c.id::{id_type})
