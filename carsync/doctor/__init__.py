"""The doctor of `carsync check`: rooms that gather facts, pure rooms that judge them, one report.

settings ─ machine ─ feed ─ server ─ tables        pure: facts in, findings out
machine_facts ─ feed_facts ─ server_facts          gather the facts, within deadlines
checkup                                            asks them one after the other
chart                                              the findings as text and as JSON
"""
