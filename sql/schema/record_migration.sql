INSERT INTO carsync.migrations (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s)
