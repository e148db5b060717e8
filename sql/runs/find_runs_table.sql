SELECT to_regclass('carsync.runs') IS NOT NULL
