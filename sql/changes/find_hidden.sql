-- Whether a row policy may hide rows of the target from this role; NULL: there is no such table.
SELECT pg_catalog.row_security_active(pg_catalog.to_regclass(pg_catalog.format('%%I.%%I',
    %(schema)s::text, %(table)s::text)))
