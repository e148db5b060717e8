INSERT INTO carsync.runs
    (schema_name, table_name, source, version, fingerprints, hash_scheme, replay_of, reverts,
     scope, lists, mode)
VALUES (%(schema)s, %(table)s, %(source)s, %(version)s, %(fingerprints)s, %(hash_scheme)s,
        %(replay_of)s, %(reverts)s, %(scope)s, %(lists)s, %(mode)s)
RETURNING {columns}
