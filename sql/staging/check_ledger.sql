-- Planned pages that the ledger lacks, and sums to hold against the tables.
SELECT (SELECT coalesce(array_agg(planned.page ORDER BY planned.page), '{{}}')
        FROM unnest(%(first)s::integer[], %(last)s::integer[]) AS part(first, last)
        CROSS JOIN generate_series(part.first, part.last) AS planned(page)
        WHERE planned.page <> ALL (%(failed)s::integer[])
          AND NOT EXISTS (SELECT FROM {ledger} AS l WHERE l.page = planned.page)) AS missing,
       coalesce(sum(rows), 0)::bigint AS rows,
       coalesce(sum(rejects), 0)::bigint AS rejects
FROM {ledger}
