//! The OpenAI-compatible interface as vLLM speaks it: what a request asks for, how an answer or an error is written, and what
//! its stream of events says.
