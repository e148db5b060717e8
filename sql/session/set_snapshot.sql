-- For this transaction: all of its statements see the same state, and write nothing.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
