CREATE UNLOGGED TABLE {removed} WITH (autovacuum_enabled = false) AS {judged}
