//! Tests of the formats that are tables or lines of objects: each trap of a format is a row here.

use std::io::Cursor;
use std::path::PathBuf;

use crate::trace::{
    DropReason, Ended, Fates, Format, Key, Map, Options, Preset, Reader, Record, Row, TraceError, open, open_bytes,
};

/// All rows of a text, and how it was read.
pub(super) struct Read {
    pub reader: Box<dyn Reader>,
    pub records: Vec<Record>,
    pub fates: Fates,
}

impl Read {
    /// What was dropped, by reason and line.
    pub fn dropped(&self) -> Vec<(DropReason, u64)> {
        self.fates.dropped.iter().map(|(reason, lost)| (*reason, lost.first.row)).collect()
    }

    /// Arrivals since the first one, milliseconds.
    pub fn arrivals_ms(&self) -> Vec<i64> {
        let at = |record: &Record| i64::try_from(record.arrival.as_nanos() / 1_000_000).unwrap();
        self.records.iter().map(|record| at(record) - at(&self.records[0])).collect()
    }

    pub fn class(&self, record: usize) -> &str {
        self.records[record].class.map_or("", |id| self.reader.names().classes.name(id))
    }

    pub fn tenant(&self, record: usize) -> &str {
        self.records[record].tenant.map_or("", |id| self.reader.names().tenants.name(id))
    }

    /// From arrival to first byte, milliseconds.
    pub fn ttft_ms(&self, record: usize) -> Option<u64> {
        let record = &self.records[record];
        record.first_byte.map(|first| (first - record.arrival).as_nanos() / 1_000_000)
    }

    /// From arrival to end, milliseconds.
    pub fn lasting_ms(&self, record: usize) -> Option<u64> {
        let record = &self.records[record];
        record.end.map(|end| (end - record.arrival).as_nanos() / 1_000_000)
    }
}

/// Reads all rows.
pub(super) fn drain(mut reader: Box<dyn Reader>) -> Result<Read, TraceError> {
    let (mut records, mut fates) = (Vec::new(), Fates::default());
    while let Some(row) = reader.next()? {
        fates.count(&row);
        if let Row::Record(record) = row {
            records.push(record);
        }
    }
    assert!(matches!(reader.next(), Ok(None)), "nothing comes after the end");
    Ok(Read { reader, records, fates })
}

/// Reads a text.
pub(super) fn read_with(text: &str, options: &Options) -> Result<Read, TraceError> {
    drain(open_bytes(Cursor::new(text.to_owned().into_bytes()), "log", options)?)
}

/// Reads a text whose format is to be found out.
pub(super) fn read(text: &str) -> Read {
    read_with(text, &Options::default()).unwrap()
}

/// A public trace, where there is one.
pub(super) fn public(name: &str) -> Option<PathBuf> {
    // Work trees may stand one folder deeper.
    let places = ["../shared/traces", "../../shared/traces"]
        .map(|place| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(place).join(name));
    let found = places.into_iter().find(|path| path.exists());
    if found.is_none() {
        println!("skipped: there is no shared/traces/{name}");
    }
    found
}

fn unix_ns(read: &Read, record: usize) -> i64 {
    read.reader.head().origin.unix_ns_at(read.records[record].arrival).unwrap()
}

#[test]
fn azure_2023_has_windows_lines_seven_digits_and_no_last_newline() {
    let read = read(
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0319601,3180,8",
    );
    assert_eq!(read.reader.head().format, Format::Azure2023);
    assert_eq!(unix_ns(&read, 0), 1_700_158_623_979_960_000);
    assert_eq!(unix_ns(&read, 1), 1_700_158_624_031_960_100);
    assert_eq!((read.records[1].lengths(), read.records[1].row), (Some((3180, 8)), 3));
    assert!(read.reader.head().notes.iter().any(|note| note.contains("UTC")));
    let by = "the columns TIMESTAMP, ContextTokens, GeneratedTokens, and times without a zone";
    assert_eq!(read.reader.head().recognised_by, by);
}

#[test]
fn azure_2024_has_a_zone_and_azure_2025_images() {
    let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,1,2\n2024-05-10 02:00:00+02:00,3,4\n";
    let zoned = read(text);
    assert_eq!(zoned.reader.head().format, Format::Azure2024);
    assert_eq!((unix_ns(&zoned, 0), unix_ns(&zoned, 1)), (1_715_299_200_009_930_000, 1_715_299_200_000_000_000));
    let images = read("TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n2025-01-01 00:00:00+00:00,3,10,20\n");
    assert_eq!((images.reader.head().format, images.records[0].images), (Format::AzureLmm2025, 3));
}

#[test]
fn mooncake_is_in_milliseconds_and_bailian_in_seconds() {
    let rows = r#"{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, 2353]}
{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46]}"#;
    let mooncake = read(rows);
    assert_eq!((mooncake.reader.head().format, mooncake.reader.head().block_tokens), (Format::Mooncake, Some(512)));
    assert_eq!(mooncake.records[0].arrival.as_nanos(), 27_482_000_000);
    assert_eq!(*mooncake.records[0].prefix, [46, 47, 2353]);

    let chat = r#"{"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 521, "output_length": 132, "type": "text", "turn": 1, "hash_ids": [1089]}
{"chat_id": 171, "parent_chat_id": 159, "timestamp": 61.2, "input_length": 5, "output_length": 1, "type": "search", "turn": 2, "hash_ids": []}
{"chat_id": 172, "parent_chat_id": 171, "timestamp": 61.3, "input_length": 5, "output_length": 1, "type": "text", "turn": 3, "hash_ids": []}"#;
    let bailian = read(chat);
    assert_eq!((bailian.reader.head().format, bailian.reader.head().block_tokens), (Format::Bailian, Some(16)));
    assert_eq!(bailian.records[0].arrival.as_nanos(), 61_114_000_000);
    assert_eq!((bailian.class(0), bailian.class(1)), ("text", "search"));
    let sessions: Vec<_> = bailian.records.iter().map(|record| record.session).collect();
    assert_eq!(sessions, [Key::of(b"159"); 3]);
}

#[test]
fn burstgpt_goes_by_name_in_all_its_versions_and_zero_means_failed() {
    let one = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,0,1087,API log\n";
    let three = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,s1,2.5,ChatGPT,472,18,490,Conversation log\n";
    let first = read(one);
    assert_eq!((first.reader.head().format, first.arrivals_ms()), (Format::BurstGpt, vec![0, 40_000]));
    assert_eq!((first.records[0].lengths(), first.records[0].ended), (Some((472, 18)), None));
    assert_eq!((first.records[1].output_tokens, first.records[1].ended), (None, Some(Ended::Failed)));
    assert_eq!((first.class(1), first.tenant(1)), ("GPT-4", "API log"));
    let third = read(three);
    assert_eq!((third.records[0].lengths(), third.records[0].session), (Some((472, 18)), Key::of(b"s1")));
    assert_eq!(third.lasting_ms(0), Some(2_500));
}

const SPEND: &str = "request_id,call_type,api_key,spend,startTime,endTime,completionStartTime,model,model_group,cache_hit,prompt_tokens,completion_tokens,team_id,end_user,session_id,status,request_duration_ms\n";

#[test]
fn litellm_spend_logs_lose_what_the_cache_answered() {
    let rows = "a,acompletion,k1,0.1,2026-03-01 10:00:00.000,2026-03-01 10:00:04.000,2026-03-01 10:00:01.500,gpt,fast,,100,50,t1,u1,s1,success,4000\n\
                b,acompletion,k1,0,2026-03-01 10:00:01.000,2026-03-01 10:00:01.010,,gpt,fast,True,100,50,t1,u1,s1,success,10\n\
                c,acompletion,k2,0,2026-03-01 10:00:02.000,2026-03-01 10:00:02.100,2026-03-01 10:00:02.100,gpt,fast,False,0,0,,u2,s2,failure,100\n\
                d,acompletion,k2,0,2026-03-01 10:00:03.000,2026-03-01 10:00:05.000,2026-03-01 10:00:05.000,gpt,,None,7,9,,,s2,success,2000\n";
    let read = read(&format!("{SPEND}{rows}"));
    assert_eq!((read.reader.head().format, read.fates.rows()), (Format::LiteLlm, 4));
    assert_eq!(read.dropped(), [(DropReason::CacheHit, 3)]);
    assert_eq!((read.ttft_ms(0), read.lasting_ms(0)), (Some(1_500), Some(4_000)));
    assert_eq!((read.tenant(0), read.tenant(1), read.class(0), read.class(2)), ("t1", "k2", "fast", "gpt"));
    assert_eq!((read.records[1].ended, read.records[1].lengths()), (Some(Ended::Failed), None));
    // What was not streamed shows no first token.
    assert_eq!((read.ttft_ms(2), read.lasting_ms(2)), (None, Some(2_000)));
}

#[test]
fn litellm_spend_logs_are_the_same_as_json_lines() {
    let row = r#"{"request_id":"a","api_key":"k","startTime":"2026-03-01T10:00:00.000Z","endTime":"2026-03-01T10:00:04Z","completionStartTime":"2026-03-01T10:00:01.5+00:00","prompt_tokens":100,"completion_tokens":50,"team_id":"","cache_hit":"False","status":"success"}"#;
    let read = read(row);
    assert_eq!((read.reader.head().format, read.records[0].lengths()), (Format::LiteLlm, Some((100, 50))));
    assert_eq!((read.ttft_ms(0), read.lasting_ms(0), read.tenant(0)), (Some(1_500), Some(4_000), "k"));
}

#[test]
fn litellms_callback_has_seconds_as_floats_and_its_response_time_is_not_used() {
    let rows = r#"{"id":"a","trace_id":"s","call_type":"acompletion","status":"success","prompt_tokens":100,"completion_tokens":50,"startTime":1772359200.25,"endTime":1772359204.25,"completionStartTime":1772359200.75,"response_time":0.5,"model":"gpt","model_group":"fast","cache_hit":null,"metadata":{"user_api_key_team_id":null,"user_api_key_hash":"k"},"error_information":{"error_code":""}}
{"id":"b","trace_id":"s","call_type":"acompletion","status":"failure","prompt_tokens":0,"completion_tokens":0,"startTime":1772359201,"endTime":1772359201.1,"completionStartTime":1772359201.1,"response_time":0.1,"model":"gpt","model_group":"fast","cache_hit":false,"metadata":{},"error_information":{"error_code":"429"}}
{"id":"c","status":"success","prompt_tokens":1,"completion_tokens":1,"startTime":1772359201,"endTime":1772359201.1,"response_time":0.1,"cache_hit":true}"#;
    let read = read(rows);
    assert_eq!(read.reader.head().format, Format::LiteLlmCallback);
    assert_eq!((read.ttft_ms(0), read.lasting_ms(0), read.tenant(0)), (Some(500), Some(4_000), "k"));
    assert_eq!((read.records[1].status, read.records[1].ended), (Some(429), Some(Ended::Refused)));
    assert_eq!(read.dropped(), [(DropReason::CacheHit, 3)]);
}

#[test]
fn envoy_says_by_flags_how_a_request_ended() {
    let row = |code: &str, flags: &str, tokens: &str| {
        format!(
            r#"{{"start_time":"2026-03-01T10:00:00.123Z","duration":1500,"response_code":{code},"response_flags":"{flags}","x-envoy-upstream-service-time":"12"{tokens}}}"#
        )
    };
    let tokens = r#","gen_ai.usage.input_tokens":"100","gen_ai.usage.output_tokens":50"#;
    let text = [
        row("200", "-", tokens),
        row("429", "-", ""),
        row("0", "DC", ""),
        row("503", "UO", ""),
        row("504", "UT", ""),
        row("200", "-", ""),
    ];
    let read = read(&text.join("\n"));
    assert_eq!((read.reader.head().format, read.records[0].lengths()), (Format::Envoy, Some((100, 50))));
    assert_eq!((read.lasting_ms(0), read.ttft_ms(0)), (Some(1_500), None));
    let ended: Vec<_> = read.records.iter().filter_map(|record| record.ended).collect();
    assert_eq!(ended, [Ended::Complete, Ended::Refused, Ended::Left, Ended::Refused, Ended::TimedOut]);
    // A complete answer without lengths cannot be replayed.
    assert_eq!(read.dropped(), [(DropReason::NoLength, 6)]);
}

#[test]
fn envoys_keys_are_the_operators() {
    let text = r#"{"start_time":"2026-03-01T10:00:00Z","duration":5,"response_code":200,"in":3,"out":4,"team":"red"}"#;
    let map: Map = "input=in,output=out,tenant=team".parse().unwrap();
    let read = read_with(text, &Options { map: Some(map), ..Options::default() }).unwrap();
    assert_eq!((read.reader.head().format, read.records[0].lengths(), read.tenant(0)), (Format::Envoy, Some((3, 4)), "red"));
}

#[test]
fn blis_keeps_arrival_and_sending_apart_behind_its_yaml() {
    let table = "request_id,client_id,tenant_id,slo_class,session_id,input_tokens,output_tokens,arrival_time_us,send_time_us,first_chunk_time_us,last_chunk_time_us,num_chunks,status\n\
                 0,c1,t1,critical,s1,100,50,1000000,1250000,2000000,3000000,50,ok\n1,c1,,batch,,10,0,1500000,1500000,0,0,0,timeout\n";
    for text in [table.to_owned(), format!("trace_version: 2\ntime_unit: us\nmode: real\n{table}")] {
        let read = read(&text);
        let record = &read.records[0];
        assert_eq!((read.reader.head().format, record.lengths()), (Format::Blis, Some((100, 50))));
        assert_eq!((record.arrival.as_nanos(), record.sent.unwrap().as_nanos()), (1_000_000_000, 1_250_000_000));
        assert_eq!((read.ttft_ms(0), read.class(0), read.tenant(0)), (Some(1_000), "critical", "t1"));
        // A request that got no chunk has zeros for their times.
        assert_eq!((read.records[1].ended, read.records[1].first_byte, read.tenant(1)), (Some(Ended::TimedOut), None, "c1"));
        assert_eq!(record.row, if text.starts_with("trace") { 5 } else { 2 });
    }
    let alone = read_with("trace_version: 2\ntime_unit: us\n", &Options::default()).err().unwrap().to_string();
    assert!(alone.contains("its rows are in the CSV file that belongs to it"), "{alone}");
}

#[test]
fn nginx_writes_when_a_request_ends() {
    let text = r#"{"msec":"1772359204.500","request_time":"4.250","status":"200","prompt_tokens":"10","completion_tokens":"20","remote_addr":"10.0.0.1"}
{"msec":"1772359203.000","request_time":"0.010","status":"429","prompt_tokens":"-","completion_tokens":"-","remote_addr":"10.0.0.2"}"#;
    let read = read_with(text, &Options { preset: Some(Preset::Nginx), ..Options::default() }).unwrap();
    assert_eq!(unix_ns(&read, 0), 1_772_359_200_250_000_000);
    assert_eq!((read.lasting_ms(0), read.tenant(0)), (Some(4_250), "10.0.0.1"));
    assert_eq!((read.records[1].ended, read.records[1].lengths()), (Some(Ended::Refused), None));
}

#[test]
fn langfuse_and_helicone_read_by_their_presets() {
    let langfuse = r#"[{"id":"o1","startTime":"2026-03-01T10:00:00.000Z","completionStartTime":"2026-03-01T10:00:00.400Z","endTime":"2026-03-01T10:00:02Z","model":"m","usage":{"input":5,"output":6},"sessionId":"s"},
      {"id":"o2","startTime":"2026-03-01T10:00:01.000Z","endTime":null,"model":"m","promptTokens":7,"completionTokens":8}]"#;
    let read = read_with(langfuse, &Options { preset: Some(Preset::Langfuse), ..Options::default() }).unwrap();
    assert_eq!((read.ttft_ms(0), read.lasting_ms(0), read.lasting_ms(1)), (Some(400), Some(2_000), None));
    assert_eq!(read.records.iter().map(Record::lengths).collect::<Vec<_>>(), [Some((5, 6)), Some((7, 8))]);

    let helicone = "request_id,request_created_at,delay_ms,time_to_first_token,prompt_tokens,completion_tokens,request_model,status\n\
                    r,2026-03-01 10:00:00+00,900,250,5,6,m,200\n";
    let read = read_with(helicone, &Options { preset: Some(Preset::Helicone), ..Options::default() }).unwrap();
    assert_eq!((read.ttft_ms(0), read.lasting_ms(0), read.class(0)), (Some(250), Some(900), "m"));
}

#[test]
fn the_public_azure_trace_reads_whole() {
    let Some(path) = public("azure2023/AzureLLMInferenceTrace_code.csv") else { return };
    let read = drain(open(&path, &Options::default()).unwrap()).unwrap();
    assert_eq!((read.records.len(), read.fates.lost()), (8_819, 0));
    let tokens: u64 = read.records.iter().filter_map(|record| record.input_tokens).map(u64::from).sum();
    assert_eq!(tokens / 8_819, 2_047);
    assert_eq!(read.arrivals_ms().last().map(|last| last / 60_000), Some(57));
}

#[test]
fn the_public_mooncake_trace_sits_on_its_grid() {
    let Some(path) = public("mooncake/conversation_trace.jsonl.gz") else { return };
    let read = drain(open(&path, &Options::default()).unwrap()).unwrap();
    assert_eq!((read.records.len(), read.fates.lost()), (12_031, 0));
    let mut times = read.arrivals_ms();
    times.dedup();
    assert_eq!(times.len(), 1_180, "arrivals are left as they are: spreading them is not a reader's");
}
