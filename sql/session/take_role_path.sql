-- Triggers and constraints of the target find what they call without a schema. A statement that
-- is executed now calls only what pg_catalog has for its very types, or names the schema.
SELECT pg_catalog.set_config('search_path', pg_catalog.current_setting('carsync.role_path'), true)
