SELECT to_regclass({staging}) IS NOT NULL AND to_regclass({ledger}) IS NOT NULL
