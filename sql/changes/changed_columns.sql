-- The changed columns as JSON, each value as text. A column that stayed is taken out again:
-- its value was never turned into text.
jsonb_object({names}::text[], ARRAY[{values}]::text[]) - pg_catalog.array_remove(ARRAY[{unchanged}]::text[], NULL)
