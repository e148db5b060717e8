-- Write new cars, and record which.
WITH written AS (
    INSERT INTO {target} AS t
        (id, {columns}, source_api, is_active, created_at, updated_at, last_synced_at)
    SELECT s.id, {values}, {source}, true, now(), now(), now()
    FROM {delta} AS d
    JOIN {staging} AS s ON s.id::text = d.id
    WHERE d.action = 'insert' AND {is_chosen}
    {on_conflict}
    RETURNING t.id, 'inserted' AS action, NULL AS overwrote, NULL AS before, NULL AS after
), recorded AS ({record})
SELECT count(*) FROM written
