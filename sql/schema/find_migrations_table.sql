SELECT to_regclass('carsync.migrations') IS NOT NULL
