-- The source's active cars, and those of them that were neither staged nor rejected.
SELECT (SELECT count(*) FROM {target} WHERE source_api = %(source)s AND is_active) AS active,
       (SELECT count(*)
        FROM {target} AS t
        WHERE t.source_api = %(source)s AND t.is_active
          AND coalesce(
              greatest(t.created_at, t.updated_at, t.last_synced_at) <= %(oldest_fetch)s
              OR greatest(t.created_at, t.updated_at, t.last_synced_at) > now(), true)
          AND NOT EXISTS (SELECT FROM {staging} AS s WHERE s.id = t.id)
          AND NOT EXISTS (
              SELECT FROM carsync.rejects AS r
              WHERE r.run_id = %(run_id)s AND r.record_id = t.id)) AS candidates
