SELECT to_regclass('carsync.requests') IS NOT NULL
