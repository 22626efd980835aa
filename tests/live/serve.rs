//! The gateway on sockets: what passes, what is refused, what is told, what can be decided again.

use std::sync::atomic::Ordering;

use plimsoll::journal::verify_segments;
use tokio::io::AsyncWriteExt;

use crate::behind::{BODY, STREAM, ask, at, end, gateway, post, read_until, rest, send, start, upstream};

const ONE_SLOT: &str =
    "[concurrency]\nmax_concurrent_requests = 1\n[queue]\nmax_queue_size = 2\nqueue_rejection_threshold = 1\n";

#[tokio::test]
async fn an_answer_passes_whole_and_streamed() {
    let (to, seen) = upstream().await;
    let server = gateway("[policy]\n", &to).await;
    let whole = ask(&server, &post("whole", BODY)).await;
    assert!(
        whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.contains("x-request-id: req-") && whole.contains("\"text\":\"abc\"")
    );
    let streamed = ask(&server, &post("whole", STREAM)).await;
    assert!(streamed.contains("\"text\":\"c\"") && streamed.contains("data: [DONE]"), "{streamed}");
    assert!(!streamed.contains("usage"), "we asked for it, the client did not: {streamed}");
    let asked = STREAM.replacen("\"stream\":true", "\"stream\":true,\"stream_options\":{\"include_usage\":true}", 1);
    assert!(ask(&server, &post("whole", &asked)).await.contains("\"completion_tokens\":3"));
    let bodies = seen.requests.lock().unwrap().clone();
    assert!(bodies[0].ends_with(BODY) && bodies[0].contains("Bearer sk-very-secret"), "{}", bodies[0]);
    assert!(bodies[1].contains("\"stream_options\":{\"include_usage\":true}"), "{}", bodies[1]);
    assert!(bodies.iter().all(|text| text.contains(&format!("host: {}", to.trim_start_matches("http://")))));
    let (_, stats) = server.stats();
    assert_eq!((stats.counters.arrived, stats.counters.completed), (3, 3));
    end(server).await;
}

#[tokio::test]
async fn the_upstreams_own_errors_are_seen_for_what_they_are() {
    let (to, _) = upstream().await;
    let server = gateway("[policy]\n", &to).await;
    let in_band = ask(&server, &post("in_band_503", STREAM)).await;
    assert!(in_band.starts_with("HTTP/1.1 503 ") && in_band.contains("queue full"), "{in_band}");
    let limited = ask(&server, &post("429", BODY)).await;
    assert!(limited.starts_with("HTTP/1.1 429 ") && limited.contains("retry-after: 7") && limited.contains("slow down"));
    assert!(ask(&server, &post("404", BODY)).await.starts_with("HTTP/1.1 404 "), "as the upstream said it");
    assert!(ask(&server, &post("500", BODY)).await.contains("it broke"));
    for broken in ["reset", "garbage"] {
        let said = ask(&server, &post(broken, BODY)).await;
        assert!(said.starts_with("HTTP/1.1 502 ") && said.contains("\"code\":\"connection\""), "{broken}: {said}");
    }
    let killed = ask(&server, &post("kill", STREAM)).await;
    assert!(killed.contains("\"text\":\"b\"") && killed.contains("\"code\":\"connection\""), "{killed}");
    let (_, stats) = server.stats();
    assert_eq!((stats.counters.arrived, stats.counters.failed), (7, 7));
    end(server).await;
}

#[tokio::test]
async fn a_full_queue_refuses_with_a_time_to_come_back() {
    let (to, seen) = upstream().await;
    let server = gateway(ONE_SLOT, &to).await;
    assert!(ask(&server, &post("whole", BODY)).await.contains("200 OK"), "a first service time");
    let running = send(&server, &post("wait", BODY)).await;
    seen.until("one runs", |seen| seen.running() == 1).await;
    let waiting = [send(&server, &post("whole", BODY)).await, send(&server, &post("whole", STREAM)).await];
    while server.stats().1.now.waiting < 2 {
        tokio::task::yield_now().await;
    }
    let refused = ask(&server, &post("whole", BODY)).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("\"code\":\"queue_full\"") && refused.contains("The queue is full"), "{refused}");
    seen.go.notify_one();
    for stream in [running].into_iter().chain(waiting) {
        let mut stream = stream;
        read_until(&mut stream, "\"c").await;
    }
    end(server).await;
}

#[tokio::test]
async fn a_client_that_vanishes_gives_its_place_back() {
    let (to, seen) = upstream().await;
    let server = gateway(ONE_SLOT, &to).await;
    let running = send(&server, &post("mute", BODY)).await;
    seen.until("one runs", |seen| seen.running() == 1).await;
    let waiting = send(&server, &post("whole", BODY)).await;
    while server.stats().1.now.waiting < 1 {
        tokio::task::yield_now().await;
    }
    drop(waiting);
    while server.stats().1.now.waiting > 0 {
        tokio::task::yield_now().await;
    }
    drop(running);
    seen.until("it is cancelled upstream", |seen| seen.cancelled() == 1).await;
    let mut streaming = send(&server, &post("hang", STREAM)).await;
    read_until(&mut streaming, "\"text\":\"a\"").await;
    drop(streaming);
    seen.until("so is a stream", |seen| seen.cancelled() == 2).await;
    assert_eq!(server.stats().1.counters.gone, 3);
    end(server).await;
}

#[tokio::test]
async fn a_call_runs_on_without_its_client_where_the_settings_say_so() {
    let (to, seen) = upstream().await;
    let server = gateway("[timeout]\non_client_gone = \"run_on\"\n[concurrency]\n", &to).await;
    for body in [BODY, STREAM] {
        let client = send(&server, &post("wait", body)).await;
        seen.until("it runs", |seen| seen.running() == 1).await;
        let before = server.stats().1.counters.gone;
        drop(client);
        while server.stats().1.counters.gone == before {
            tokio::task::yield_now().await;
        }
        assert_eq!((server.in_flight().calls, server.stats().1.now.in_flight), (1, 1), "nobody has noticed");
        seen.go.notify_one();
        server.quiet().await;
    }
    assert_eq!(seen.cancelled(), 0);
    end(server).await;
}

#[tokio::test]
async fn abandoned_work_is_counted_until_it_ends() {
    let (to, seen) = upstream().await;
    let settings = "[timeout]\nrequest_timeout = \"50ms\"\non_timeout = \"abandon\"\n\
                    [graduated]\nmax_abandoned = 2\nat = \"arrival\"\nforget = \"gauge\"\nvllm_rejection_threshold = 1\n";
    let server = gateway(settings, &to).await;
    for _ in 0..2 {
        assert!(ask(&server, &post("wait", BODY)).await.starts_with("HTTP/1.1 504 "));
    }
    assert_eq!(server.stats().1.now.abandoned_true, 2);
    let full = ask(&server, &post("whole", BODY)).await;
    assert!(full.starts_with("HTTP/1.1 503 ") && full.contains("Server at full capacity"), "{full}");
    let stats = ask(&server, "GET /stats HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert!(stats.contains("\"abandoned_requests\":2.0") && stats.contains("\"rejection_threshold\":1.0"), "{stats}");
    seen.go.notify_waiters();
    server.quiet().await;
    assert_eq!((server.stats().1.now.abandoned_true, seen.cancelled()), (0, 0));
    let slow = send(&server, &post("hang", STREAM)).await;
    let cut = rest(slow_until_end(slow).await).await;
    assert!(cut.contains("\"code\":\"timed_out\""), "an answer that has begun is cut, with its reason: {cut}");
    assert_eq!(server.in_flight().calls, 1, "and its call runs on");
    drop(server);
    assert_eq!(seen.running.load(Ordering::SeqCst), 1);
}

/// Asks for the connection's end behind the answer at hand.
async fn slow_until_end(mut stream: tokio::net::TcpStream) -> tokio::net::TcpStream {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.expect("it reads");
    stream
}

#[tokio::test]
async fn settings_are_replaced_while_requests_run() {
    let (to, seen) = upstream().await;
    let server = gateway(ONE_SLOT, &to).await;
    let hash = server.settings_hash();
    let mut running = send(&server, &post("wait", BODY)).await;
    seen.until("one runs", |seen| seen.running() == 1).await;
    let put = |token: &str, body: &str| {
        let length = body.len();
        format!(
            "PUT /admin/settings HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    assert!(ask(&server, &put("guess", "")).await.starts_with("HTTP/1.1 401 "));
    let wrong = ask(&server, &put("0123456789abcdef", "[queue]\nmax_queue_sise = 3\n")).await;
    assert!(wrong.starts_with("HTTP/1.1 422 ") && wrong.contains("did you mean `max_queue_size`?"), "{wrong}");
    assert_eq!(server.settings_hash(), hash, "the old ones stay");
    let right = ask(&server, &put("0123456789abcdef", "[concurrency]\nmax_concurrent_requests = 9\n")).await;
    assert!(right.starts_with("HTTP/1.1 200 ") && server.settings_hash() != hash, "{right}");
    assert!(ask(&server, &post("whole", BODY)).await.contains("200 OK"), "there are slots now");
    seen.go.notify_one();
    read_until(&mut running, "\"abc\"").await;
    end(server).await;
}

#[tokio::test]
async fn metrics_health_and_what_is_not_ours() {
    let (to, seen) = upstream().await;
    let server = gateway("[queue]\nmode = \"observe\"\nqueue_rejection_threshold = 0\n[concurrency]\n[serve]\n[[serve.class]]\nname = \"five\"\nbody = { max_tokens = \"3\" }\n", &to).await;
    assert!(ask(&server, &post("whole", BODY)).await.contains("200 OK"));
    let metrics = ask(&server, "GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n").await;
    for row in [
        "plimsoll_rejections_total{engine=\"queue\",reason=\"queue_full\",mode=\"observed\"} 1",
        "plimsoll_requests_total{class=\"five\",outcome=\"completed\"} 1",
        "plimsoll_queue_depth 0",
        "plimsoll_rate_limit_trims_total 0",
        "plimsoll_abandoned_requests{count=\"running\"} 0",
        "# EOF",
    ] {
        assert!(metrics.contains(row), "{row} is not in\n{metrics}");
    }
    assert!(ask(&server, "GET /health HTTP/1.1\r\nhost: test\r\n\r\n").await.contains("\"status\":\"ok\""));
    let other = ask(&server, "GET /upstream/health?a=b HTTP/1.1\r\nhost: test\r\nx-script: 404\r\n\r\n").await;
    assert!(other.starts_with("HTTP/1.1 404 ") && other.contains("no such model"), "{other}");
    assert!(seen.requests.lock().unwrap().last().unwrap().starts_with("GET /health?a=b HTTP/1.1"));
    assert!(ask(&server, "GET /v1/models HTTP/1.1\r\nhost: test\r\n\r\n").await.contains("200 OK"));
    assert_eq!(server.stats().1.counters.arrived, 1, "policies decide about work alone");
    end(server).await;
}

#[tokio::test]
async fn a_live_journal_is_decided_again_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = folder.path().join("journal");
    let (to, seen) = upstream().await;
    let settings = format!(
        "{ONE_SLOT}[graduated]\nmax_abandoned = 3\nforget = \"decay\"\n[timeout]\nrequest_timeout = \"60ms\"\n\
         on_timeout = \"abandon\"\n[limiter]\ntpm_limit = 90000\n[serve]\njournal_segment_bytes = 20000\n"
    );
    let server = start(&settings, &to, Some(&journal)).await;
    for round in 0..12 {
        let scripts = ["whole", "kill", "hang", "500", "in_band_503", "whole"];
        let body = if round % 2 == 0 { STREAM } else { BODY };
        let clients = scripts.map(|script| post(script, body));
        let mut open = Vec::new();
        for text in &clients {
            open.push(send(&server, text).await);
        }
        if round % 3 == 0 {
            open.truncate(2);
        }
        for mut stream in open {
            read_until(&mut stream, "\r\n\r\n").await;
        }
    }
    seen.go.notify_waiters();
    let arrived = server.stats().1.counters.arrived;
    let address = at(&server);
    server.drain();
    drop(address);
    // Calls that hang upstream are abandoned, and would be awaited for ever.
    assert!(arrived >= 60, "{arrived}");
    server.stop_recording().await;
    let mut files: Vec<_> = std::fs::read_dir(&journal).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 2, "it went on into several segments: {files:?}");
    let (verified, at) = verify_segments(files.iter().map(std::path::PathBuf::as_path)).expect("it can be read");
    assert!(verified.holds(), "{at:?}: {verified:?}");
    assert!(verified.decisions > 200 && verified.missed == 0, "{verified:?}");
    let text: String = files.iter().map(|file| zstd_text(file)).collect();
    assert!(!text.contains("sk-very-secret") && !text.contains("prompt"), "neither key nor prompt");
}

fn zstd_text(path: &std::path::Path) -> String {
    let bytes = zstd::decode_all(std::fs::File::open(path).expect("a segment")).expect("whole");
    String::from_utf8(bytes).expect("text")
}
