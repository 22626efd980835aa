//! How large the server is: what its flags say, and what it tells of itself.

use clap::Args;

use crate::calibrate::{Run, Step};
use crate::cli::Failure;
use crate::live::drive::{Limits, Told};
use crate::upstream::VllmModel;

/// Tokens in a block where nobody says, as vLLM has it on GPUs.
const BLOCK_SIZE: u32 = 16;
/// Prompt and answer together, where nobody says: every model takes as much.
const CONTEXT: u32 = 2_048;

/// The server's own flags.
#[derive(Clone, Debug, Args)]
pub(super) struct SizeArguments {
    /// KV blocks of the server, as it prints them at start (tokens of its KV cache over --block-size). A target tells it
    #[arg(long, value_name = "N", required_unless_present = "target", value_parser = clap::value_parser!(u32).range(2..))]
    pub num_gpu_blocks: Option<u32>,
    /// Tokens in a KV block (vLLM's default is 16 on GPUs, which is the default here too, and 128 on CPUs). A target tells it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(VllmModel::BLOCK_SIZE_MAX)))]
    pub block_size: Option<u32>,
    /// The server's --max-num-seqs
    #[arg(long, value_name = "N", required_unless_present = "target", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_num_seqs: Option<u32>,
    /// The server's --max-num-batched-tokens
    #[arg(long, value_name = "N", required_unless_present = "target", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_num_batched_tokens: Option<u32>,
    /// The server's --max-model-len
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_model_len: Option<u32>,
}

/// How large a server is.
#[derive(Clone, Debug)]
#[allow(clippy::struct_field_names)] // as vLLM's flags are called
pub(super) struct Size {
    pub num_gpu_blocks: u32,
    pub block_size: u32,
    pub max_num_seqs: u32,
    pub max_num_batched_tokens: u32,
    /// `None` where nobody says.
    pub max_model_len: Option<u32>,
    /// Each flag, its value and where it comes from.
    pub sources: Vec<(&'static str, u32, String)>,
}

impl Size {
    /// As its flags say.
    ///
    /// # Errors
    /// None that clap has not told before: one of the flags is missing.
    pub(super) fn stated(arguments: &SizeArguments) -> Result<Self, Failure> {
        Self::known(arguments, &Limits::default(), None)
    }

    /// The same where the server tells what is not stated. `listed` is the context that it lists with its model.
    ///
    /// # Errors
    /// Where neither says how large it is: which flags are missing.
    pub(super) fn known(arguments: &SizeArguments, told: &Limits, listed: Option<u32>) -> Result<Self, Failure> {
        let listed = listed.map(|value| Told { value, from: "/v1/models" });
        let context = listed.or(told.max_model_len);
        let mut sources = Vec::new();
        let mut of = |flag: &'static str, stated: Option<u32>, told: Option<Told>| {
            let here = stated.map(|value| (flag, value, flag.to_owned()));
            let known = here.or_else(|| told.map(|told| (flag, told.value, format!("GET {}", told.from))))?;
            let value = known.1;
            sources.push(known);
            Some(value)
        };
        let blocks = of("--num-gpu-blocks", arguments.num_gpu_blocks, told.num_gpu_blocks);
        let block_size = of("--block-size", arguments.block_size, told.block_size);
        let seqs = of("--max-num-seqs", arguments.max_num_seqs, told.max_num_seqs);
        let tokens = of("--max-num-batched-tokens", arguments.max_num_batched_tokens, told.max_num_batched_tokens);
        let max_model_len = of("--max-model-len", arguments.max_model_len, context);
        let (Some(num_gpu_blocks), Some(max_num_seqs), Some(max_num_batched_tokens)) = (blocks, seqs, tokens) else {
            let all = [("--num-gpu-blocks", blocks), ("--max-num-seqs", seqs), ("--max-num-batched-tokens", tokens)];
            let missing: Vec<&str> = all.iter().filter(|(_, known)| known.is_none()).map(|(flag, _)| *flag).collect();
            return Err(Failure::Input(format!(
                "the server does not tell its {0}\n  = tried GET /metrics (`vllm:cache_config_info`) and GET /server_info; state {0}, as the \
                 server was started with or prints at start",
                missing.join(", ")
            )));
        };
        let block_size = block_size.unwrap_or_else(|| {
            sources.push(("--block-size", BLOCK_SIZE, "nobody says: vLLM's own default on GPUs".to_owned()));
            BLOCK_SIZE
        });
        Ok(Self { num_gpu_blocks, block_size, max_num_seqs, max_num_batched_tokens, max_model_len, sources })
    }

    /// Makes sure that no step of the logs is larger than the server is said to be.
    ///
    /// # Errors
    /// Which run has such a step, and which flag is wrong.
    pub(super) fn agrees_with(&self, runs: &[Run]) -> Result<(), Failure> {
        let tokens = |step: &Step| step.prefill_tokens.saturating_add(step.decoding);
        let decoding = |step: &Step| step.decoding;
        above(runs, "--max-num-seqs", self.max_num_seqs, (&decoding, "sequences that decode"))?;
        above(runs, "--max-num-batched-tokens", self.max_num_batched_tokens, (&tokens, "tokens"))
    }

    /// Prompt and answer together: what the server takes, or what every server takes.
    pub(super) fn context(&self) -> u32 {
        self.max_model_len.unwrap_or(CONTEXT)
    }
}

/// Refuses what no step can be where the largest one of the logs is above `limit`.
fn above(runs: &[Run], flag: &str, limit: u32, (of, what): (&dyn Fn(&Step) -> u32, &str)) -> Result<(), Failure> {
    let steps = runs.iter().flat_map(|run| run.steps.iter().map(move |step| (run, step)));
    let Some((run, step)) = steps.max_by_key(|(_, step)| of(step)).filter(|(_, step)| of(step) > limit) else { return Ok(()) };
    Err(Failure::Input(format!(
        "a step of {} (line {} of its step log) has {} {what}, and {flag} says {limit}\n  = state what the server was started with",
        run.name,
        step.line,
        of(step)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SizeArguments = SizeArguments {
        num_gpu_blocks: None,
        block_size: None,
        max_num_seqs: None,
        max_num_batched_tokens: None,
        max_model_len: None,
    };

    #[test]
    fn what_is_stated_goes_before_what_is_told() {
        let told = |value| Some(Told { value, from: "/metrics" });
        let limits = Limits { num_gpu_blocks: told(64), max_num_seqs: told(8), ..Limits::default() };
        let stated = SizeArguments { max_num_seqs: Some(4), max_num_batched_tokens: Some(512), ..NONE };
        let size = Size::known(&stated, &limits, Some(300)).unwrap();
        assert_eq!((size.num_gpu_blocks, size.block_size, size.max_num_seqs, size.context()), (64, BLOCK_SIZE, 4, 300));
        let from: Vec<&str> = size.sources.iter().map(|(_, _, from)| from.as_str()).collect();
        let default = "nobody says: vLLM's own default on GPUs";
        assert_eq!(from, ["GET /metrics", "--max-num-seqs", "--max-num-batched-tokens", "GET /v1/models", default]);
        let wrong = Size::known(&NONE, &limits, None).unwrap_err().to_string();
        assert!(wrong.contains("does not tell its --max-num-batched-tokens\n"), "{wrong}");
    }

    #[test]
    fn a_step_larger_than_the_server_is_said_to_be_names_the_flag() {
        let step =
            |prefill_tokens, decoding| Step { line: 7, prefilling: 1, prefill_tokens, decoding, elapsed_s: 0.01, kv_use: 0.5 };
        let run = |steps| Run { name: "cap16".to_owned(), steps, ..Run::default() };
        let size = |seqs, tokens| {
            let flags = SizeArguments {
                num_gpu_blocks: Some(64),
                max_num_seqs: Some(seqs),
                max_num_batched_tokens: Some(tokens),
                ..NONE
            };
            Size::stated(&flags).unwrap()
        };
        let runs = [run(vec![step(90, 10), step(0, 16)])];
        assert!(size(16, 100).agrees_with(&runs).is_ok());
        let said = size(4, 100).agrees_with(&runs).unwrap_err().to_string();
        assert!(
            said.contains("cap16 (line 7 of its step log) has 16 sequences that decode, and --max-num-seqs says 4"),
            "{said}"
        );
        let said = size(16, 99).agrees_with(&runs).unwrap_err().to_string();
        assert!(said.contains("has 100 tokens, and --max-num-batched-tokens says 99"), "{said}");
    }
}
