SELECT version, name, checksum FROM carsync.migrations ORDER BY version
