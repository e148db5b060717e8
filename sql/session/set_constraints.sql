-- A constraint that waits for the COMMIT would refuse all, and name no row.
SET CONSTRAINTS ALL IMMEDIATE
