-- Write new cars, and record which.
WITH written AS (
    INSERT INTO {target} AS t
        ({key}, {columns}, source_api, is_active, created_at, updated_at, last_synced_at)
    OVERRIDING SYSTEM VALUE
    SELECT s.id, {values}, {source}, true, now(), now(), now()
    FROM {delta} AS d
    JOIN {staging} AS s ON s.id OPERATOR(pg_catalog.=) d.id
    WHERE d.action = 'insert' AND {is_chosen}
    {on_conflict}
    RETURNING t.{key} AS id, 'inserted' AS action, NULL AS overwrote, NULL AS before, NULL AS after
), recorded AS ({record})
SELECT count(*) FROM written
