#!/usr/bin/env bash
# Do chosen settings do on a real server what they did in simulation? Measures the server, tunes on the model of it, drives the
# server under every policy at several loads, and lays what came beside what was simulated.
#
#     scripts/validate.sh TARGET OUT [STAGE...]
#
# TARGET is an OpenAI-compatible server (http://127.0.0.1:8000) that nobody else uses. Every stage keeps what it found under OUT, and
# a stage that is done is not done again: after an interruption the same command goes on. Stages, in order:
#
#     calibrate   measures the server (a few minutes)             -> OUT/calibration, OUT/world.toml
#     tune        searches settings on the model of it            -> OUT/tune, and into OUT/world.toml
#     live        each policy through the gateway, at each load   -> OUT/live-LOAD
#     capacity    what the server completes, measured again        -> OUT/capacity-after
#     limited     the server's own limit, no gateway              -> OUT/limited-LOAD
#     table       everything in one table                         -> OUT/table.txt
#
# Without a STAGE: calibrate, tune, live, capacity, table. `limited` wants TARGET to be the same server with `--max-num-queued-reqs`
# (the number in the scenario's variant "server's own limit"), so that it is another call.
#
# From the environment: PLIMSOLL (the command; default: plimsoll), SCENARIO (scenarios/vllm_cpu_live.toml), LOADS ("0.6 0.9 1.5 2.5",
# in shares of what the server completes), ROUNDS (2: A B C, C B A), MINUTES (3, of calibration), FRESH (minutes; with it the server is
# measured again before each load, for machines whose speed drifts), STEPS (the server's log, where it logs its iterations), CLIENTS (16:
# of the closed loop that measures the capacity), RUN (more flags of `plimsoll live`), SIZE (flags that the server does not tell:
# "--max-num-seqs 16 --max-num-batched-tokens 1024").
set -euo pipefail
target=${1:?usage: scripts/validate.sh TARGET OUT [STAGE...]} out=${2:?usage: scripts/validate.sh TARGET OUT [STAGE...]}
shift 2
here=$(cd "$(dirname "$0")/.." && pwd)
plimsoll=${PLIMSOLL:-plimsoll}
scenario=${SCENARIO:-$here/scenarios/vllm_cpu_live.toml}
loads=${LOADS:-0.6 0.9 1.5 2.5}
size=${SIZE:---max-num-seqs 16 --max-num-batched-tokens 1024}
world=$out/world.toml
mkdir -p "$out"

# Runs a command whose exit code 4 says that its figures are not to be trusted: that is a result too.
measured() {
  local code=0
  "$@" || code=$?
  if [ "$code" -ne 0 ] && [ "$code" -ne 4 ]; then exit "$code"; fi
}

# A scenario with the server's measured model in place of its own: model FROM FOLDER MINUTES TO.
model() {
  [ -e "$4" ] && return
  if [ ! -e "$2/upstream.toml" ]; then
    rm -rf "$2"
    # shellcheck disable=SC2086 # several words are meant
    measured "$plimsoll" calibrate --target "$target" --minutes "$3" ${STEPS:+--steps "$STEPS"} $size --out "$2"
  fi
  awk '/^\[/ { skip = /^\[upstream/ } !skip' "$1" > "$4.new"
  printf '\n' >> "$4.new"
  cat "$2/upstream.toml" >> "$4.new"
  mv "$4.new" "$4"
}

calibrate() { model "$scenario" "$out/calibration" "${MINUTES:-3}" "$world"; }

# What is compared with: the world, or with FRESH the world with a model measured just now.
compared() {
  at=$world
  if [ -n "${FRESH:-}" ]; then
    at=$out/world-$1.toml
    model "$world" "$out/calibration-$1" "$FRESH" "$at"
  fi
}

tune() {
  [ -e "$out/tune/done" ] && return
  "$plimsoll" tune "$world" --out "$out/tune" --write
  touch "$out/tune/done"
}

# What the server completes in a closed loop now: between blocks, because machines drift.
capacity() {
  local when=${1:-after}
  [ -e "$out/capacity-$when/result.txt" ] && return
  measured "$plimsoll" live "$world" --target "$target" --variant "no control" --out "$out/capacity-$when" \
    --set "arrival={ process = \"closed_loop\", clients = ${CLIENTS:-16} }" \
    --set 'class[0].timeout={ total = "1h" }' --set run.duration=50s --set run.warmup=20s
}

# Calls that their clients have left run on for minutes where the seed's defaults abandon them: hence the long --settle.
live() {
  # shellcheck disable=SC2086 # RUN is several words
  for load in $loads; do
    capacity "before-$load"
    compared "live-$load"
    [ -e "$out/live-$load/result.txt" ] && continue
    measured "$plimsoll" live "$at" --target "$target" --set "arrival.load=$load" --variant "no control" \
      --variant "seed's defaults" --variant tuned --repeat "${ROUNDS:-2}" --order abba --compare --settle 10m ${RUN:+$RUN} --out "$out/live-$load"
  done
}

limited() {
  for load in $loads; do
    compared "limited-$load"
    [ -e "$out/limited-$load/result.txt" ] && continue
    measured "$plimsoll" live "$at" --target "$target" --set "arrival.load=$load" --variant "server's own limit" \
      --repeat "${ROUNDS:-2}" --compare --settle 10m --out "$out/limited-$load"
  done
}

table() {
  {
    for file in "$out"/capacity-*/result.txt; do
      [ -e "$file" ] || continue
      # Complete answers, in time or not, over the 30 s that are measured.
      awk -v what="$(basename "$(dirname "$file")")" '
        /^  (good|late) +[0-9]/ { gsub(",", "", $2); complete += $2 }
        END { printf "%s: %.2f requests/s\n", what, complete / 30 }' "$file"
    done
    for file in "$out"/live-*/result.txt "$out"/limited-*/result.txt; do
      [ -e "$file" ] || continue
      printf '\n%s\n' "$(basename "$(dirname "$file")")"
      awk '/^Simulated beside live/ { on = 1; next } /^The grade:/ { on = 0 } on' "$file"
    done
  } > "$out/table.txt"
  cat "$out/table.txt"
}

if [ $# -eq 0 ]; then set -- calibrate tune live capacity table; fi
for stage in "$@"; do
  case $stage in
    calibrate | tune | live | capacity | limited | table) "$stage" ;;
    *) echo "no stage is called $stage: calibrate, tune, live, capacity, limited, table" >&2; exit 2 ;;
  esac
done
