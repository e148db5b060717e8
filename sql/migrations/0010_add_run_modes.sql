-- What a run reads: the whole feed, what changed since an earlier run, or single cars.
-- `api_clock` is the API's own time when the run asked for its first page (the server's, where
-- the API sends no Date), `api_clock_at` the server's time then: the next incremental run asks for
-- what changed since. `is_watermark` is written by the merge, of a run that read all it asked for.
-- `window_from` is since when an incremental run asks, on the API's clock.
ALTER TABLE carsync.runs
    ADD COLUMN mode text NOT NULL DEFAULT 'full'
        CHECK (mode IN ('full', 'incremental', 'refresh')),
    ADD COLUMN window_from timestamptz,
    ADD COLUMN api_clock timestamptz,
    ADD COLUMN api_clock_at timestamptz,
    ADD COLUMN is_watermark boolean NOT NULL DEFAULT false
