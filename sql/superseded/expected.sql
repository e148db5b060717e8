-- The run should have seen this car, and no later run has read anything of it.
{is_expected} AND NOT EXISTS (
    SELECT FROM carsync.superseded AS newer
    WHERE newer.run_id = {run_id} AND newer.id = {record_id}::text)
