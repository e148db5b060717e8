SELECT to_regclass('carsync.samples') IS NOT NULL AND to_regclass('carsync.failures') IS NOT NULL
