CASE WHEN v.key = ANY ({names}::text[]) THEN pg_catalog.to_jsonb(v.value::{type}) END
