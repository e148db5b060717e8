-- Let a role read what happened to cars, and nothing else of the schema.
GRANT USAGE ON SCHEMA carsync TO {role};
GRANT SELECT ON carsync.car_history, carsync.price_history TO {role}
