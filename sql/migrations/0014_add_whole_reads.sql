-- Whether a run read the whole feed: a car that it did not miss was listed then.
ALTER TABLE carsync.runs ADD COLUMN read_all boolean NOT NULL DEFAULT false
