"""The doctor of `carsync check`: modules that gather facts, pure modules that judge them.

config_checks ─ machine_checks ─ way_checks ─ feed_checks ─ server_checks ─ table_checks
                                               facts → findings
end_checks ─ record_checks                     the same, for what the feed says of itself
machine_facts ─ way_facts ─ feed_facts ─ server_facts
                                               gather the facts, within deadlines
end_facts ─ record_facts                       the same by a few more requests of feed_asker
cluster/                                       the same for the cluster of engine.type dask
paging_signs ─ paging_guesses ─ paging_trial   how an unknown feed is paged: seen, guessed, proved
examine                                        runs all of these, one after the other
render                                         shows the findings as text and as JSON
"""
