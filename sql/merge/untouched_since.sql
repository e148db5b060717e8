-- Nobody wrote the row since then. A time in the future is some other clock's and says
-- nothing; neither does a row without any time.
coalesce({touched_at} <= {since} OR {touched_at} > now(), true)
