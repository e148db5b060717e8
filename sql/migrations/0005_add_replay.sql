-- What the replay of rejects needs. `fetched_at`: when the record's page was asked for.
-- `original_kind`: whether `original` is the record's own text (record), the mapped row of
-- one that PostgreSQL refused (row), or no longer either: cut short, or with what no text
-- can hold replaced (altered). `settled_by`: the run whose merge settled the reject, a
-- replay or its own run, which found the car on another page as well; NULL: it is open.
-- Of older lines only the start of their run is known, which is never too late.
ALTER TABLE carsync.rejects
    ADD COLUMN fetched_at timestamptz,
    ADD COLUMN original_kind text
        CHECK (original_kind IN ('record', 'row', 'altered')),
    ADD COLUMN settled_by bigint;
UPDATE carsync.rejects AS j
SET fetched_at = r.started_at,
    original_kind = CASE
        WHEN length(j.original) < 1000000
            AND j.original !~ '[?\uFFFD]'
            AND j.reason NOT LIKE 'PostgreSQL refused it:%' THEN 'record'
        ELSE 'altered'
    END
FROM carsync.runs AS r
WHERE r.run_id = j.run_id;
ALTER TABLE carsync.rejects
    ALTER COLUMN fetched_at SET NOT NULL,
    ALTER COLUMN original_kind SET NOT NULL;
-- `replay_of`: the run whose rejects this one replays; NULL: it reads the feed.
ALTER TABLE carsync.runs
    ADD COLUMN replay_of bigint REFERENCES carsync.runs ON DELETE CASCADE
