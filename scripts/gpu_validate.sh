#!/usr/bin/env bash
# scripts/validate.sh on a machine with a GPU, unattended: starts vLLM with an 8 B model's shape and weights made up, measures it, tunes,
# and drives it at 60, 90, 150 and 250 % of what it completes.
#
#     scripts/gpu_validate.sh OUT [STAGE...]
#
# Stages of at most eight minutes each, 25 in all: calibrate, tune, live-0.6, live-0.9, live-1.5, live-2.5, table; without one, all of them. A
# stage that is done is not done again. The server is started where it does not answer and left running; `stop` ends it.
#
# From the environment: MODEL (a folder with config.json and tokenizer of an 8 B Llama or Qwen; its weights are not needed), VLLM (the
# command; default: vllm), PORT (8000), SEATS (256) and TOKENS (8192; of vLLM's batch), and what scripts/validate.sh takes: with SCENARIO and
# a server that answers at PORT already, that server is measured, whatever it runs on. vLLM 0.26 and later will do; it has no limit on its own
# queue, so that `limited` is not run here.
set -euo pipefail
out=${1:?usage: scripts/gpu_validate.sh OUT [STAGE...]}
shift
here=$(cd "$(dirname "$0")/.." && pwd)
port=${PORT:-8000}
target=http://127.0.0.1:$port
seats=${SEATS:-256}
tokens=${TOKENS:-8192}
mkdir -p "$out"
export SCENARIO=${SCENARIO:-$here/scenarios/vllm_gpu_live.toml}
export SIZE="--max-num-seqs $seats --max-num-batched-tokens $tokens" CLIENTS=$seats MINUTES=${MINUTES:-3}

answers() { curl -sf -o /dev/null -m 2 "$target/health"; }

serve() {
  answers && return
  if [ -z "${MODEL:-}" ]; then
    echo "set MODEL to a folder with config.json and tokenizer of an 8 B Llama or Qwen" >&2
    exit 2
  fi
  export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
  setsid "${VLLM:-vllm}" serve "$MODEL" \
    --served-model-name model --host 127.0.0.1 --port "$port" --load-format dummy --enforce-eager \
    --max-model-len 4096 --max-num-seqs "$seats" --max-num-batched-tokens "$tokens" --no-enable-prefix-caching \
    ${VLLM_FLAGS:-} > "$out/vllm.log" 2>&1 < /dev/null &
  echo $! > "$out/vllm.pid"
  for _ in $(seq 1 300); do
    answers && return
    kill -0 "$(cat "$out/vllm.pid")" 2> /dev/null || break
    sleep 1
  done
  echo "vLLM does not answer at $target; the end of $out/vllm.log:" >&2
  tail -20 "$out/vllm.log" >&2
  exit 1
}

stop() {
  [ -e "$out/vllm.pid" ] && kill "$(cat "$out/vllm.pid")" 2> /dev/null
  rm -f "$out/vllm.pid"
}

if [ $# -eq 0 ]; then set -- calibrate tune live-0.6 live-0.9 live-1.5 live-2.5 table; fi
for stage in "$@"; do
  case $stage in
    calibrate) serve; "$here/scripts/validate.sh" "$target" "$out" calibrate ;;
    tune | table) "$here/scripts/validate.sh" "$target" "$out" "$stage" ;;
    live-*) serve; LOADS=${stage#live-} "$here/scripts/validate.sh" "$target" "$out" live ;;
    stop) stop ;;
    *) echo "no stage is called $stage: calibrate, tune, live-LOAD, table, stop" >&2; exit 2 ;;
  esac
done
