//! The gateway under fire: afterwards nothing is held, and the counts add up.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::behind::{BODY, STREAM, ask, end, gateway, post, read_until, rest, send, upstream};

const SLOTS: &str =
    "[concurrency]\nmax_concurrent_requests = 4\n[queue]\nmax_queue_size = 400\nqueue_rejection_threshold = 1\n";

#[tokio::test]
async fn an_upstream_that_hangs_or_drips() {
    let (to, seen) = upstream().await;
    let server = gateway("[serve]\nidle_timeout = \"80ms\"\nfirst_byte_timeout = \"120ms\"\n", &to).await;
    let hung = ask(&server, &post("hang", STREAM)).await;
    assert!(hung.contains("\"text\":\"a\"") && hung.contains("\"code\":\"idle\"") && hung.contains("[DONE]"), "{hung}");
    assert!(ask(&server, &post("mute", BODY)).await.starts_with("HTTP/1.1 504 "));
    seen.until("both are ended upstream", |seen| seen.cancelled() == 2).await;
    let dripped = ask(&server, &post("drip", STREAM)).await;
    assert!(dripped.contains("\"text\":\"c\"") && dripped.contains("[DONE]") && !dripped.contains("usage"), "{dripped}");
    let garbage = ask(&server, &post("garbage_events", STREAM)).await;
    assert!(garbage.starts_with("HTTP/1.1 502 "), "{garbage}");
    end(server).await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut() {
    let (to, seen) = upstream().await;
    let server = gateway(&format!("{SLOTS}[serve]\nwrite_timeout = \"100ms\"\n"), &to).await;
    let slow = send(&server, &post("flood", STREAM)).await;
    seen.until("its stream is given up", |seen| seen.cancelled() == 1).await;
    server.quiet().await;
    assert_eq!(server.stats().1.counters.gone, 1);
    drop(slow);
    end(server).await;
}

#[tokio::test]
async fn a_timeout_ends_a_call_whose_client_does_not_read() {
    let (to, seen) = upstream().await;
    let server = gateway("[timeout]\nrequest_timeout = \"100ms\"\n[concurrency]\n", &to).await;
    let slow = send(&server, &post("flood", STREAM)).await;
    seen.until("the call is ended at its time", |seen| seen.cancelled() == 1).await;
    assert_eq!((server.stats().1.counters.timed_out, server.stats().1.now.in_flight), (1, 0));
    drop(slow);
    end(server).await;
}

#[tokio::test]
async fn bodies_too_large_and_bodies_large_enough() {
    let (to, seen) = upstream().await;
    let server = gateway("[serve]\nbody_bytes_max = 52428800\nbody_timeout = \"200ms\"\n", &to).await;
    let text = "x".repeat(50_000_000);
    let large = format!("{{\"model\":\"tiny\",\"prompt\":\"{text}\",\"max_tokens\":3}}");
    assert!(ask(&server, &post("whole", &large)).await.contains("200 OK"));
    assert_eq!(seen.requests.lock().unwrap().pop().map(|text| text.len() > 50_000_000), Some(true));
    let mut larger = send(&server, "POST /v1/completions HTTP/1.1\r\nhost: test\r\ncontent-length: 60000000\r\n\r\n").await;
    let piece = vec![b' '; 1 << 20];
    while larger.write_all(&piece).await.is_ok() {} // until it does not listen any more
    let mut unfinished = send(&server, "POST /v1/completions HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n{").await;
    assert!(read_until(&mut unfinished, "\r\n\r\n").await.starts_with("HTTP/1.1 408 "));
    assert_eq!(server.stats().1.counters.arrived, 1);
    end(server).await;
}

#[tokio::test]
async fn heads_and_bodies_that_are_none() {
    let (to, _) = upstream().await;
    let server = gateway("[serve]\nheader_timeout = \"150ms\"\nheader_bytes_max = 8192\n", &to).await;
    for (body, status) in [("{", 400), ("[1,2]", 400), ("\u{0}", 400), ("{\"stream\":7}", 400), ("", 400)] {
        let said = ask(&server, &post("whole", body)).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")) && said.contains("invalid_body"), "{body}: {said}");
    }
    let metrics = ask(&server, "GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert!(metrics.contains("plimsoll_invalid_requests_total{code=\"invalid_body\"} 5"), "{metrics}");
    let many = "x-one-of-many: y\r\n".repeat(200);
    assert!(ask(&server, &format!("GET /health HTTP/1.1\r\nhost: test\r\n{many}\r\n")).await.starts_with("HTTP/1.1 431 "));
    let long = "y".repeat(20_000);
    let mut flooding = send(&server, "GET /health HTTP/1.1\r\nhost: test\r\nx: ").await;
    let _ = flooding.write_all(long.as_bytes()).await; // it may close before all is there
    assert!(read_until(&mut flooding, "\r\n").await.starts_with("HTTP/1.1 431 "));
    let slow = send(&server, "GET /health HT").await;
    assert!(!rest(slow).await.contains("HTTP/1.1 200"), "closed, not kept for ever");
    assert!(ask(&server, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(server.stats().1.counters.arrived, 0);
    end(server).await;
}

#[tokio::test]
async fn requests_one_behind_the_other_on_one_connection() {
    let (to, _) = upstream().await;
    let server = gateway(SLOTS, &to).await;
    let three = [post("whole", BODY), post("whole", STREAM), post("500", BODY)].concat();
    let mut stream = send(&server, &three).await;
    let all = read_until(&mut stream, "it broke").await;
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 2);
    // Who shuts its half down is taken for gone.
    let mut half = send(&server, &post("mute", BODY)).await;
    half.shutdown().await.expect("open");
    let mut nothing = Vec::new();
    let _ = half.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty());
    server.quiet().await;
    assert_eq!(server.stats().1.counters.gone, 1);
    end(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_vanish_at_any_time() {
    let (to, _) = upstream().await;
    let server =
        gateway(&format!("{SLOTS}[timeout]\nrequest_timeout = \"30ms\"\n[limiter]\ntpm_limit = 10000000\n"), &to).await;
    let scripts = ["whole", "hang", "mute", "kill", "drip", "in_band_503", "reset", "flood"];
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..400usize {
        let text = post(scripts[number % scripts.len()], if number % 3 == 0 { BODY } else { STREAM });
        let address = crate::behind::at(&server);
        clients.spawn(async move {
            let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return };
            let cut = if number % 5 == 0 { text.len() / 2 } else { text.len() };
            let _ = stream.write_all(&text.as_bytes()[..cut]).await;
            let mut byte = [0; 64];
            if number % 2 == 0 {
                let _ =
                    tokio::time::timeout(std::time::Duration::from_millis(number as u64 % 40), stream.read(&mut byte)).await;
            }
        });
    }
    while clients.join_next().await.is_some() {}
    let gone = tokio::time::timeout(crate::behind::PATIENCE, server.quiet()).await;
    assert!(gone.is_ok(), "still held: {:?}, {:?}", server.in_flight(), server.stats());
    assert!(server.stats().1.counters.arrived > 100);
    end(server).await; // shows that all came back, and that the counts add up
}
