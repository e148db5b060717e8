"""The glossary of `--json`: what each field is, under one name for one thing.

A line `Record.field: …` explains a field that means something else in that record than elsewhere.
"""

from __future__ import annotations

_LINES = """\
absent: active cars of the table that the run did not read
acceptance: old name of `checks`
action: what a run did to the car
PresentCarAnswer.action: it is in the table
RefreshedCar.action: what became of the car; `unclear`: nothing, for the `reason`
active: active cars of the source in the table
after: the new value, as PostgreSQL writes it
ChangeAnswer.after: the changed columns with their new values, clocks left out; null: none
CarChange.after: the changed columns with their new values; null: the car was inserted
ChangedCar.after: the changed columns with their new values
age_s: seconds since the run began
DatabaseSession.age_s: seconds since the session has its `state`, or since its statement began
alive: the API still has them
allowed: requests that `limits.budget` allows in a period
allowed_per_s_mean: requests per second that the limit allowed, on average; null: no limit
already_approved: old name of `approval`
api_clock: the API's time when the run asked for its first page; null: not known
api_use: requests of all runs of the feed today, and the budget's; null: not known
application: the session's `application_name`
approval: what an approval did: `at`, `by`, `deactivated`, `left_out`; null: nobody approved
at: when
at_s: seconds at work since the run began, pauses between sessions left out
attempt: number of the last attempt at the page
attempts: requests of the session, by-id requests included
before: the old value, as PostgreSQL writes it
ChangeAnswer.before: the changed columns with their old values, of a deleted car all; null: inserted
CarChange.before: the changed columns with their old values; null: the car was inserted
ChangedCar.before: the changed columns with their old values
blocked_by: server processes whose locks the session waits for
body_bytes: bytes of the answers, decompressed
boot_id: the start of the machine that `updated_uptime_s` counts from
Moment.boot_id: the start of the machine that `uptime_s` counts from
breaker_openings: how often the circuit breaker opened
budget: what is left of `limits.budget`; null: there is none
by: who refused: the limiter's answer, or the header that told the limit
by_class: old name of `failed_attempts`
by_id: what the API said, asked by id; null: not asked
car: old name of `id`
cars: the cars that an approval deactivates
changed: known cars whose values would change
changes: what the runs did to the car
ReportAnswer.changes: what the run changed
checkpoint: path of the checkpoint file
checks: the acceptance checks
CheckGroup.checks: the checks of the group
column: column of the table; null: the whole record
columns: columns whose values are worth a look
ChangeSummary.columns: pairs: column, in how many updated cars it changed
HeldForecast.columns: columns that would change
count: how many
counts: what the merge did, in cars; null: nothing was merged
ChangeSummary.counts: recorded changes by action
RevertAnswer.counts: what the revert did, or would do, in cars
cursor: place in the feed of changes behind this line; keep it as it is
HeadAnswer.cursor: place behind the newest change
PresentCarAnswer.cursor: place behind the newest change of before: keep it when the table is read
data_at: no page is older
database_sessions: with `--sessions`: carsync's sessions in the database
day: the day of UTC that is meant
deactivated: cars deactivated
deleted: cars deleted, by a revert only
detail: what was seen
down: largest falls
dry_run: everything was rolled back
duplicate: records whose id was on more than one page
duration_s: seconds that the last session took
elapsed_s: seconds since the session began
emptied: known cars whose value became empty, or its default
emptied_from: the value that `emptied_id` had
emptied_id: one of these cars
error: why the command failed
error_rate: share of attempts at pages that failed
errors: failed attempts of the session, by class
RunAnswer.errors: old form of `failed_attempts` and `failures_kept`
ReportAnswer.errors: old name of `failed_attempts`
eta_s: seconds until the pages are done
examples: examples of each action
ColumnChange.examples: examples of the change
excerpt: start of the record's text
exit_code: [exit code](exit-codes.md); null: no end is recorded
failed_attempts: failed attempts of all sessions, by class
failed_pages: pages with failed attempts, given-up ones first
failed_pages_total: how many there are, listed or not
failures: failed attempts
failures_kept: how many failed attempts are kept in detail
fetched_at: when the page was requested
fields: dotted paths of the fields that records have, or had before
figures: speed, traffic, errors and memory
fingerprints: digests of feed, mapping and table; a run is resumed only if they are equal
finished_at: when the run ended
fix: what to do; null: nothing is wrong
forecast: what the merge would change
given_up: no further attempt was made
FailureCount.given_up: old name of `pages_given_up`
gone: the API has them no more
groups: the checks by subject
hash_scheme: how `data_hash` was made
held: cars whose deactivation waits for an approval
held_cars: the first of them
held_total: how many there are, listed or not
hint: what to do about the problem
holds_lock: the session holds the run lock of the target
id: id of the car
ids: cars that the run read
incremental: what is remembered of incremental runs; null: none was merged
inserted: cars inserted
is_absent: no record of the feed has a value at the column's path
is_over: the rate is the configured one again
is_told: no refusal was needed, the API tells its limit in headers
kept: cars that a trigger of the table keeps otherwise than the run wants them
FailedAttempts.kept: old form of `failures_kept`
ChangeSummary.kept: whether the changes of the run are known
kind: kind of run
FailedPage.kind: class of the last failure
kinds: failed attempts at the page, by class
known: cars of the run that the table has already
IncrementalAnswer.last_completed: the last incremental run that was merged
IncrementalAnswer.last_success_at: when the last incremental run with exit code 0 or 7 began
last_completed: the last run of the whole feed that was merged
last_success_age_s: seconds since `last_success_at`
last_success_at: age of the data of the last full run with exit code 0 or 7: no page is older
latency: old form of `latency_mean_s` and its like
latency_mean_s: answer time in seconds, mean
latency_p50_s: answer time in seconds, median
latency_p95_s: answer time in seconds, 95 % are faster
latency_p99_s: answer time in seconds, 99 % are faster
SampleAnswer.latency_p50_s: old name of `recent_latency_p50_s`
SampleAnswer.latency_p95_s: old name of `recent_latency_p95_s`
SampleAnswer.latency_p99_s: old name of `recent_latency_p99_s`
BudgetUse.left: requests that may still be sent before the budget renews
left_out: cars that stay active, each with the reason
HeldCar.left_out: why the car stays active; empty: an approval deactivates it
ReplayAnswer.left_out: rejects that cannot be replayed, by reason
level: how bad it is
limit: requests of a whole period; null: the API does not tell it
list: the list of `api.lists` that the page is of; null: the feed has none
lists: what was read of each list of `api.lists`
lists_done: lists of the feed that were read, or that cannot be read
lists_planned: lists of the feed; 0: it has none
lock_held: a run is in progress on this machine
lowest: lowest rate so far, requests per second
made_at: when the report was made
made_by: version of carsync that made the report
mapped: rejects that fit now
max_pages: value of `--max-pages`
mean_s: old name of `latency_mean_s`
meaning: what the exit code means
measured: what was measured
merged: old name of `counts`
merged_at: when the merge was committed; null: it was not
mode: what the run reads: the whole feed, what changed, or single cars
name: what was checked, or the column
ListReport.name: the list, by its parameters
Quota.name: the header that told it
new: the new price
newest_data_age_s: seconds since `newest_data_at`
newest_data_at: when the last successful run began, of the whole feed or of changes
next_step: what to do now
notes: sentences worth reading
number: old name of `session`
objection: why no answer was asked for, or believed
old: the old price
open: old name of `open_rejects`
open_rejects: records that did not fit into a row and were not replayed
ordinal: position of the record on the page
original: text of the record
original_kind: whether that is the feed's own text
other: the last run of the other mode, an unfinished one too; null: there was none
outcome: how the run ended, a sentence
p50_s: old name of `latency_p50_s`
p95_s: old name of `latency_p95_s`
p99_s: old name of `latency_p99_s`
page: number of the page, within its list
pages: pages with failed attempts
pages_done: staged pages of the whole run
pages_failed: old name of `pages_given_up`
RunStanding.pages_failed: the given-up pages with their problems, at most 100
pages_failed_count: old name of `pages_given_up`
pages_given_up: pages that were given up after all attempts
pages_per_s: pages per second in the last half minute
RunLine.pages_per_s: old name of `pages_per_s_mean`
pages_per_s_after_warmup: pages per second, mean without the first seconds
pages_per_s_mean: pages per second, mean
pages_planned: pages of the feed; null: not known yet
pages_ranges: the staged pages, as `1-500,502`
pages_resumed: pages that earlier sessions had staged
pages_staged: pages that this session staged
SampleAnswer.pages_staged: old name of `pages_done`
SessionAnswer.pages_staged: old name of `pages_done`
pause: why no page is asked for now
paused_s: seconds for which no page is asked for
per: period of the budget: `hour`, `day`, `month`, of UTC
phase: what the run does, or did last
pid: process
place: names server, database, table and source
points: the samples, as the charts show them
prices: largest moves of prices
probes: by-id requests, by what they proved
ListReport.pages: pages of the list
ListReport.pages_failed: pages of the list that could not be read
ListReport.problem: why the first of these could not be read
quotas: what the API's own headers told last of its limits
ListReport.records: records of the list's pages
remaining: requests that are left, as the API counts them
renews_at: when the whole budget or limit may be used again; null: the API does not tell it
removed: cars deactivated by a tombstone of `api.removals`; `deactivated` counts them too
reported: the total that the API reports; null: none
problem: what went wrong; empty: nothing
problems: number of problems
queue_depth: pages that wait for a writer
queue_depth_peak: most pages that waited for a writer
rate: requests per second now
reactivated: cars that became active again
reason: why
reasons: old name of `reject_reasons`
recent_latency_p50_s: answer time in the last half minute to minute, median
recent_latency_p95_s: answer time in the last half minute to minute, 95 % are faster
recent_latency_p99_s: answer time in the last half minute to minute, 99 % are faster
recent_rows_per_s: rows per second in the last half minute
record_id: id in the record; null: it has none that can be used
recorded_state: the state as recorded; a run whose process died is still recorded as running
records: records of the pages that this session read
refreshed: the cars in the order in which they were named, with what became of each
refused: changes that cannot be taken back
ReplayAnswer.refused: rows that PostgreSQL refused; they stay rejects
reject_examples: some of the open rejects
reject_reasons: the open rejects by reason
rejected: records that did not fit into a row
rejects: records of the session that did not fit into a row
ReplayAnswer.rejects: old name of `open_rejects`
RunAnswer.rejects: old form of `open_rejects` and `reject_reasons`
RejectsAnswer.rejects: the open rejects, at most `--limit`
related: sentences on other runs
replay_of: the run whose rejects this run replays
replay_run_id: number of the run that replayed them; null: nothing was replayed
replayed_by: runs that replayed its rejects
requests: requests of the run by kind: `pages`, `by_id`, `removals`, `token`
resumed_at: when the last session began; null: the run was not resumed
retries: attempts after the first one
revert_run_id: number of the run that took it back; null: nothing was changed
reverted_by: runs that took it back
RevertAnswer.reverted_by: old name of `revert_run_id`
reverts: the run that this run takes back
rewritten_by_triggers: columns that are not restored, because a trigger of the table writes them
row: all columns of the car as they are now; null: it is not in the table
rows_per_s: rows per second, mean
SampleAnswer.rows_per_s: old name of `recent_rows_per_s`
rows_staged: rows of the whole run that are staged
rss_by_kind: memory of the processes in bytes, by what they do
rss_by_process: memory of each process in bytes
rss_bytes: memory of all processes
rss_peak_bytes: most memory of all processes
rss_slope_mb_per_min: growth of the memory, MB per minute
run: run that made the change
run_id: number of the run; null: it has none yet
runs: the runs
samples: the figures over time
SessionAnswer.samples: number of samples
seen: distinct ids, rejects included
CheckLine.seen: what was seen
seen_until: time of the last sample
session: number of the session, from 1
sessions: the sessions of the run
StatusAnswer.sessions: old name of `database_sessions`
NoCheckpointAnswer.sessions: old name of `database_sessions`
skipped: checks that an earlier problem made impossible
slowed: the API refused requests and the rate fell; null: it did not
snapshot: old name of `figures`
source: `sync.source`
stale: records that are older than their row
started_at: when it began
state: state of the run
DatabaseSession.state: state of the session, as `pg_stat_activity` has it
NoCheckpointAnswer.state: `none`: no run of this target was here
status: HTTP status of the last answer; null: there was none
summary: what `carsync sync` of that version said at the end of the run
taken_back_before: changes that an earlier revert took back
target: the table
Check.target: what was to be reached
time: when the change was committed
title: title of the car
today: requests of the day by kind; `reserved`: allowed to a run, and not sent or lost with it
token: marks the process that owns the run
told_at: when the API told it
tombstones: records of the feed of removals that were read
tried: last update by a dry run
unchanged: cars that were not written
unclear: the API gave no clear answer for them
unread: values of the feed that could not be read
unread_id: one of these cars
unread_why: why its value could not be read
up: largest rises
updated: cars updated
updated_age_s: seconds since `updated_at`
updated_at: when the checkpoint was written
updated_uptime_s: the same, in seconds since the start of the machine
uptime_s: seconds since the start of the machine
used: requests of the period that were sent, or are reserved
usual_mode: `sync.mode`: how a run reads that is told no mode
verdict: `n/a`: switched off, or the run was too short to judge
version: version of carsync that did the run
wait: what the session waits for; empty: nothing
wall: by the clock of the machine
warnings: number of warnings
window_from: an incremental run asks for what changed since; null: another run
window_overlap_s: seconds of that window that earlier runs had asked for, too
wire_bytes: bytes of the answers as they were sent
worked_s: old name of `elapsed_s`
writer_rows_per_busy_s: rows per second of a busy writer
"""

WORDS = {key: words for key, _, words in (line.partition(": ") for line in _LINES.splitlines())}
"""Field, or `Record.field`, → what it is."""
