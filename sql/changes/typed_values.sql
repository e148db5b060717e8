-- The values of a line as JSON of their columns' types; NULL where the line has none.
CASE WHEN {values} IS NOT NULL THEN coalesce(
    (SELECT pg_catalog.jsonb_object_agg(v.key, coalesce({typed}, pg_catalog.to_jsonb(v.value)))
     FROM pg_catalog.jsonb_each_text({values}) AS v (key, value)), '{{}}') END
