# The functions of all runbooks. The runbooks source this file; alone it does nothing.
# shellcheck shell=sh
#
#   say TEXT…         print a line
#   step TEXT         print a heading
#   explain TEXT…     print a paragraph
#   show ARGS…        print a carsync command as the user would type it
#   cs ARGS…          run a carsync command; run_indented ARGS… indents its output
#   ask QUESTION      continue only after a yes
#   read_json JSON NAME=PATH…     set shell variables from a JSON text
#   read_lines JSON PATH FIELD…   print one line for each element of a list
#
# Exit codes of every runbook: 0 done, or nothing to do · 2 usage · 10 something must be done,
# but nobody said yes · any other code is the code of the carsync command that failed.

NOT_CONFIRMED=10

yes=0
config=''
changed=0
steps=0
set -eu
export PYTHONSAFEPATH=1 # no module of the current folder

# Options of one runbook: sets `taken` to the number of words that it took from "$@".
option() { taken=0; }

begin() {
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --yes) yes=1 && shift ;;
        -c | --config)
            [ -n "${2:-}" ] || misuse "$1 needs a file"
            config=$2 && shift 2
            ;;
        --config=?*) config=${1#--config=} && shift ;;
        *)
            taken=0
            option "$@"
            [ "$taken" -gt 0 ] || misuse "no such option: $1"
            [ "$taken" = 1 ] || [ -n "${2:-}" ] || misuse "$1 needs a value"
            shift "$taken"
            ;;
        esac
    done
    find_carsync
}

# The comment at the top of the script is its help.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p;}' "$0"; }

misuse() {
    printf '%s: %s\nhint: %s --help\n' "$(basename -- "$0")" "$1" "$0" >&2
    exit 2
}

# Use the command that CARSYNC names, else the clone's own, else the one on PATH.
find_carsync() {
    own=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)/.venv/bin/carsync
    if [ -z "${CARSYNC:-}" ]; then
        CARSYNC=carsync
        [ ! -x "$own" ] || CARSYNC=$own
    fi
    if ! found=$(command -v "$CARSYNC"); then
        say "there is no command $CARSYNC" >&2
        say "hint: put carsync on PATH, run bin/setup dev, or set CARSYNC=/path/to/carsync" >&2
        exit 2
    fi
    python=$(dirname -- "$(readlink -f -- "$found")")/python3
    [ -x "$python" ] || python=python3
}

# ── output ───────────────────────────────────────────────────────────────────

say() { printf '%s\n' "$*"; }

# A count with its noun: "1 car", "40 cars".
plural() { [ "$1" = 1 ] && printf '1 %s' "$2" || printf '%s %ss' "$1" "$2"; }

# A numbered heading.
step() {
    [ "$steps" = 0 ] || printf '\n'
    steps=$((steps + 1))
    say "$*"
}

explain() { printf '\n%s\n' "$*" | fmt -w 79; }

# A finding with its name.
finding() { printf '  %-12s %s\n' "$1" "$2"; }

quoted() {
    for word in "$@"; do
        case $word in
        '' | *[!A-Za-z0-9_./:=@%+,-]*)
            word=$(printf '%s' "$word" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/")
            ;;
        esac
        printf ' %s' "$word"
    done
}

show() { printf '\n  $ %s%s\n' "$CARSYNC" "$(quoted "$@" ${config:+--config "$config"})"; }

# ── commands ─────────────────────────────────────────────────────────────────

cs() { "$CARSYNC" "$@" ${config:+--config "$config"}; }

# Run a command with its output indented; a failure ends the runbook with the exit code.
run_indented() {
    _code=0
    _said=$(cs "$@" 2>&1) || _code=$?
    printf '%s\n' "$_said" | "$python" -X utf8 -c '
import sys
for line in sys.stdin:
    line = line.rstrip()
    print("  " + (line if len(line) < 76 else line[:75] + "…"))'
    [ "$_code" = 0 ] || exit "$_code"
}

# Check that one side answers: probe NAME ARGS… A failure is shown and ends the runbook.
probe() {
    _side=$1 && shift
    _code=0
    _said=$(cs "$@" 2>&1 >/dev/null) || _code=$?
    if [ "$_code" = 0 ]; then
        finding "$_side" answers
        return
    fi
    finding "$_side" "does NOT answer as expected (exit $_code)"
    printf '%s\n' "$_said" | sed 's/^/    /'
    not_now "$_code"
}

# Run carsync check; a problem is shown and ends the runbook.
examine() {
    show check
    _code=0
    _said=$(cs check --json 2>/dev/null) || _code=$?
    if [ -z "$_said" ]; then
        cs check
        exit "$_code"
    fi
    printf '%s' "$_said" | "$python" -X utf8 -c "$_PYTHON_HEAD"'
found = [check for group in data["groups"] for check in group["checks"]]
for check in found:
    level, name, seen, fix = (text(check[key]) for key in ("level", "name", "seen", "fix"))
    if level in ("problem", "warning"):
        print(f"  {level:<12} {name}: {seen}")
        print(f"               fix: {fix}")
print("  check        " + str(sum(c["level"] == "ok" for c in found)) + " checks are ok")
'
    [ "$_code" = 0 ] || not_now "$_code"
}

not_now() {
    explain "A sync would fail now. Fix this problem first, then run this again." \
        "401 or 403: bin/runbook-rotate-keys. 429 or 503: bin/runbook-throttled."
    exit "$1"
}

ask() {
    if [ "$yes" = 1 ]; then
        printf '\n%s yes (--yes)\n' "$1"
        changed=1
        return
    fi
    more=''
    [ "$changed" = 0 ] || more=' more'
    if [ ! -t 0 ]; then
        printf '\nNothing%s was changed: there is no terminal for a question.\n' "$more"
        say "hint: read the text above, then run the same command with --yes or on a terminal"
        exit "$NOT_CONFIRMED"
    fi
    printf '\n%s [y/N] ' "$1"
    read -r answer || answer=''
    case $answer in
    y | Y | yes | Yes | YES) changed=1 ;;
    *)
        say "Nothing$more was changed."
        exit "$NOT_CONFIRMED"
        ;;
    esac
}

# ── carsync's JSON output ───────────────────────────────────────────────────

# Replace control characters: text of a feed or a database must not control the terminal.
_PYTHON_HEAD='
import json, re, shlex, sys
def at(value, path):
    for part in filter(None, path.split(".")):
        try:
            value = value[int(part) if isinstance(value, list) else part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value
def text(value):
    if value is None: return ""
    if isinstance(value, bool): return "yes" if value else "no"
    if isinstance(value, float): return f"{value:.1f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list): return json.dumps(value)
    if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(Z|\+00:00)$", str(value)):
        return value[:19].replace("T", " ") + " UTC"
    return "".join(c if c.isprintable() else "?" for c in str(value))
data = json.load(sys.stdin)
'

read_json() {
    _json=$1 && shift
    _set=$(printf '%s' "$_json" | "$python" -X utf8 -c "$_PYTHON_HEAD"'
for word in sys.argv[1:]:
    name, _, path = word.partition("=")
    print(f"{name}={shlex.quote(text(at(data, path)))}")
' "$@")
    eval "$_set"
}

# read_table JSON PATH NAME=PATH…   print the elements of a list as a table with headings
read_table() {
    _json=$1 && shift
    printf '%s' "$_json" | "$python" -X utf8 -c "$_PYTHON_HEAD"'
columns = [word.partition("=") for word in sys.argv[2:]]
rows = [[name for name, _, _ in columns]]
for element in at(data, sys.argv[1]) or []:
    rows.append([text(at(element, path)) or "-" for _, _, path in columns])
widths = [max(map(len, column)) for column in zip(*rows)]
for row in rows:
    print("  " + "  ".join(map(str.ljust, row, widths)).rstrip())
' "$@"
}

read_lines() {
    _json=$1 && shift
    printf '%s' "$_json" | "$python" -X utf8 -c "$_PYTHON_HEAD"'
for element in at(data, sys.argv[1]) or []:
    print("  ".join(text(at(element, path) if path != "." else element) for path in sys.argv[2:]))
' "$@"
}
