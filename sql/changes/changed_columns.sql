-- The changed columns as JSON, each value as text. A column that stayed is taken out again:
-- its value was never turned into text.
jsonb_object({names}::text[], ARRAY[{values}]::text[]) - array_remove(ARRAY[{unchanged}]::text[], NULL)
