-- The absent car is to be deactivated. Where each needs a proof, only those go whose list is
-- sure of it, that the API said are gone, or that an earlier complete run missed too where that
-- counts as proof (`next_run`).
d.action IN ('absent', 'sure')
AND {is_expected}
AND (NOT %(needs_proof)s
     OR d.action = 'sure'
     OR d.id::text IN (SELECT pg_catalog.unnest(%(gone)s::text[]))
     OR %(next_run)s AND d.id::text IN (
         SELECT a.id FROM carsync.absences AS a
         WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s
           AND a.source = %(source)s AND a.absent_since_run < %(run_id)s))
