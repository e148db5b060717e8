({value} IS NOT NULL AND {value}::text <> ''
 AND regexp_replace({value}::text, '\.0+$', '') IS DISTINCT FROM {default})
