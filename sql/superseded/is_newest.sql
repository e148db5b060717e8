-- No later run has read anything of this record's car.
NOT EXISTS (
    SELECT FROM carsync.superseded AS newer
    WHERE newer.run_id = {run_id} AND newer.id = {record_id}::text
      AND newer.latest_run > {latest_run})
