//! Tests of `otlp.rs`: both sets of names, vLLM's own spans, one document and many, what is no request.

use crate::trace::format::formats_tests::read;
use crate::trace::{DropReason, Ended, Format};

/// A span from its name, times (milliseconds after a fixed instant), attributes and rest.
fn span(name: &str, from: u64, to: u64, attributes: &[(&str, &str)], rest: &str) -> String {
    let at = |ms: u64| 1_772_359_200_000_000_000 + ms * 1_000_000;
    let pairs: Vec<String> = attributes.iter().map(|(key, value)| format!(r#"{{"key":"{key}","value":{value}}}"#)).collect();
    format!(
        r#"{{"traceId":"t","spanId":"{name}{from}","name":"{name}","startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[{}]{rest}}}"#,
        at(from),
        at(to),
        pairs.join(",")
    )
}

fn document(spans: &[String]) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[]}},"scopeSpans":[{{"scope":{{"name":"x"}},"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    )
}

fn vllm(from: u64) -> String {
    let attributes = [
        ("gen_ai.usage.prompt_tokens", r#"{"intValue":"512"}"#),
        ("gen_ai.usage.completion_tokens", r#"{"intValue":"64"}"#),
        ("gen_ai.latency.time_to_first_token", r#"{"doubleValue":0.25}"#),
        ("gen_ai.latency.time_in_queue", r#"{"doubleValue":0.1}"#),
        ("gen_ai.latency.e2e", r#"{"doubleValue":2.0}"#),
        ("gen_ai.response.model", r#"{"stringValue":"qwen"}"#),
    ];
    span("llm_request", from, from + 2_000, &attributes, "")
}

fn client(from: u64) -> String {
    let attributes = [
        ("gen_ai.operation.name", r#"{"stringValue":"chat"}"#),
        ("gen_ai.usage.input_tokens", r#"{"intValue":"10"}"#),
        ("gen_ai.usage.output_tokens", r#"{"intValue":20}"#),
        ("gen_ai.response.time_to_first_chunk", r#"{"doubleValue":0.5}"#),
        ("gen_ai.request.model", r#"{"stringValue":"m"}"#),
    ];
    span("chat m", from, from + 900, &attributes, "")
}

#[test]
fn both_sets_of_names_and_vllms_own_spans_are_read() {
    let read = read(&document(&[vllm(1_000), client(0)]));
    assert_eq!((read.reader.head().format, read.arrivals_ms()), (Format::Otlp, vec![0, -1_000]));
    assert_eq!((read.records[0].lengths(), read.records[1].lengths()), (Some((512, 64)), Some((10, 20))));
    assert_eq!((read.ttft_ms(0), read.lasting_ms(0)), (Some(250), Some(2_000)));
    assert_eq!((read.ttft_ms(1), read.lasting_ms(1), read.class(0), read.class(1)), (Some(500), Some(900), "qwen", "m"));
    // Both sides of a call in one export may be the same request twice.
    assert!(read.reader.head().notes.iter().any(|note| note.contains("one request may be two records")));
}

/// Spans tell of errors alone.
#[test]
fn a_span_that_ended_without_an_error_is_complete() {
    let failed =
        span("chat m", 2_000, 2_500, &[("gen_ai.operation.name", r#"{"stringValue":"chat"}"#)], r#","status":{"code":2}"#);
    let read = read(&document(&[client(0), failed]));
    let ended: Vec<_> = read.records.iter().map(|record| record.ended).collect();
    assert_eq!(ended, [Some(Ended::Complete), Some(Ended::Failed)]);
}

#[test]
fn one_document_on_each_line_is_the_same_as_one_document() {
    let one = read(&document(&[client(0), client(5), client(9)]));
    let many = read(&[document(&[client(0), client(5)]), document(&[client(9)])].join("\n"));
    assert_eq!((one.records.len(), &one.records), (3, &many.records));
}

#[test]
fn spans_of_something_else_are_dropped_and_failed_ones_kept() {
    let other = span("GET /health", 0, 1, &[("http.route", r#"{"stringValue":"/health"}"#)], "");
    let refused = span(
        "chat m",
        3,
        4,
        &[("gen_ai.operation.name", r#"{"stringValue":"chat"}"#), ("error.type", r#"{"stringValue":"429"}"#)],
        "",
    );
    let failed = span("chat m", 5, 6, &[("gen_ai.operation.name", r#"{"stringValue":"chat"}"#)], r#","status":{"code":2}"#);
    let damaged = r#"{"name":"chat m","attributes":7}"#.to_owned();
    let read = read(&document(&[other, refused, failed, damaged]));
    assert_eq!(read.dropped(), [(DropReason::NotARequest, 1), (DropReason::NotJson, 4)]);
    let ended: Vec<_> = read.records.iter().map(|record| (record.ended, record.status, record.lengths())).collect();
    assert_eq!(ended, [(Some(Ended::Refused), Some(429), None), (Some(Ended::Failed), None, None)]);
}
