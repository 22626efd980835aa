//! What the emulated server does wrong on request, and how it stops.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use plimsoll::live::emulate::{Running, Server};
use plimsoll::live::openai::{Event, Stop};
use plimsoll::request::Cause;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::{Client, Stream, text};
use super::emulate::{FAST, body, connect, on_socket, settings};

const FAULT: &str = "x-plimsoll-fault";

fn is_token(event: &Event) -> bool {
    matches!(event, Event::Chunk(chunk) if chunk.token)
}

/// Tokens until the connection breaks off; `None` where it does not.
async fn tokens_until_break(mut stream: Stream) -> Option<usize> {
    let mut tokens = 0;
    loop {
        match stream.next().await {
            Ok(Some(event)) => tokens += usize::from(is_token(&event)),
            Ok(None) => return None,
            Err(_) => return Some(tokens),
        }
    }
}

#[tokio::test]
async fn a_request_gets_the_fault_it_asks_for() {
    let (running, mut client) = on_socket(FAST, &[]).await;
    let (status, _) = text(client.complete(&[(FAULT, "status=502")], body(1, 1)).await.unwrap()).await;
    assert_eq!(status, 502);
    let (status, answer) = text(client.complete(&[(FAULT, "fire")], body(1, 1)).await.unwrap()).await;
    assert_eq!((status, answer.contains("status=500")), (400, true), "{answer}");

    let stream = Stream::of(client.complete(&[(FAULT, "in-band=503")], body(1, 1)).await.unwrap());
    let events: Vec<Event> = stream.all().await.unwrap().into_iter().map(|(_, event)| event).collect();
    assert!(matches!(&events[..], [Event::Error(error), Event::Done] if error.cause() == Cause::Overloaded), "{events:?}");

    let stream = Stream::of(client.complete(&[(FAULT, "garbage")], body(1, 1)).await.unwrap());
    assert!(stream.all().await.unwrap().iter().all(|(_, event)| *event == Event::Unknown));

    let stream = Stream::of(client.complete(&[(FAULT, "reset=3")], body(1, 9)).await.unwrap());
    assert_eq!(tokens_until_break(stream).await, Some(3));
    assert!(connect(&running).await.complete(&[(FAULT, "reset")], body(1, 9)).await.is_err());
    running.server.machine().idle().await;
}

#[tokio::test(start_paused = true)]
async fn what_hangs_hangs_until_the_client_leaves() {
    let server = Server::start(settings(FAST, &[]));
    let mut client = Client::over(server.connect()).await;
    let mut stream = Stream::of(client.complete(&[(FAULT, "hang=2")], body(1, 9)).await.unwrap());
    for _ in 0..2 {
        assert!(is_token(&stream.next().await.unwrap().unwrap()));
    }
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, stream.next()).await.is_err(), "nothing comes");
    assert_eq!(server.machine().inside(), 0, "the model has long been done with it");
    let mut client = Client::over(server.connect()).await;
    assert!(tokio::time::timeout(day, client.complete(&[(FAULT, "hang")], body(1, 9))).await.is_err());

    let mut client = Client::over(server.connect()).await;
    let start = Instant::now();
    let events = Stream::of(client.complete(&[(FAULT, "slow=7s")], body(1, 9)).await.unwrap()).all().await.unwrap();
    assert_eq!(events.iter().filter(|(_, event)| is_token(event)).count(), 9);
    assert_eq!((events[0].0 - start).as_millis(), 7000);
}

/// The time of each token after the first.
async fn token_times(server: &Arc<Server>, tokens: u32) -> Vec<u128> {
    let mut client = Client::over(server.connect()).await;
    let events = Stream::of(client.complete(&[], body(1, tokens)).await.unwrap()).all().await.unwrap();
    let first = events[0].0;
    events.iter().filter(|(_, event)| is_token(event)).map(|(at, _)| (*at - first).as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn faults_for_all_are_put_and_taken_back() {
    let server = Server::start(settings(FAST, &[]));
    let mut client = Client::over(server.connect()).await;
    let put = |text: &'static str| (Method::PUT, "/faults", text);
    let send = async |client: &mut Client, (method, path, text): (Method, &str, &'static str)| {
        super::client::text(client.send(method, path, &[], text).await.unwrap()).await
    };
    assert_eq!(token_times(&server, 4).await, [0, 1, 2, 3]);
    let (status, said) = send(&mut client, put(r#"{"speed":0.1,"fault":"status=500","share":0.5}"#)).await;
    assert_eq!((status, said.as_str()), (200, r#"{"fault":"status=500","share":0.5,"speed":0.1,"frozen":false}"#));
    let mut failed = 0;
    for _ in 0..40 {
        let response = client.complete(&[], body(1, 1).replace("\"stream\":true", "\"stream\":false")).await.unwrap();
        failed += usize::from(text(response).await.0 == 500);
    }
    assert!((8..32).contains(&failed), "{failed} of 40 failed");
    for (wrong, what) in [(r#"{"speed":-1}"#, "above 0"), (r#"{"spied":1}"#, "spied"), (r#"{"fault":"x"}"#, "status=500")] {
        let (status, said) = send(&mut client, put(wrong)).await;
        assert_eq!((status, said.contains(what)), (400, true), "{said}");
    }
    assert_eq!(send(&mut client, (Method::GET, "/faults", "")).await.1, said, "wrong ones change nothing");
    let _ = send(&mut client, put(r#"{"speed":0.1}"#)).await;
    assert_eq!(token_times(&server, 4).await, [0, 10, 20, 30]);
    let _ = send(&mut client, (Method::DELETE, "/faults", "")).await;
    assert_eq!(token_times(&server, 4).await, [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_server_goes_on_where_it_stood() {
    let server = Server::start(settings(FAST, &[]));
    let mut client = Client::over(server.connect()).await;
    let mut stream = Stream::of(client.complete(&[], body(1, 50)).await.unwrap());
    let _ = stream.next().await.unwrap().expect("a token");
    let mut admin = Client::over(server.connect()).await;
    let _ = admin.send(Method::PUT, "/faults", &[], r#"{"frozen":true}"#).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(60), stream.all()).await.is_err());
    assert_eq!(admin.get("/health").await.0, 200);
    let _ = admin.send(Method::DELETE, "/faults", &[], "").await.unwrap();
    drop(client);
    server.machine().idle().await;
}

/// Told to stop, vLLM as it is by default lets streams hang and takes nobody in.
#[tokio::test]
async fn terminated_a_stream_hangs_until_its_client_gives_up() {
    let (mut running, mut client) = on_socket(FAST, &[]).await;
    let mut stream = Stream::of(client.complete(&[], body(1, 200)).await.unwrap());
    let _ = stream.next().await.unwrap().expect("a token");
    let address = running.address;
    let ended = tokio::spawn(async move { running.terminate().await });
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished());
    drop((stream, client));
    ended.await.unwrap();
}

/// With a `--shutdown-timeout` streams finish, and who comes meanwhile gets an answer without a token.
#[tokio::test]
async fn terminated_with_patience_streams_finish() {
    let settings = settings(FAST, &["upstream.cost.t0=5ms"]);
    let settings = plimsoll::live::emulate::Settings { shutdown_timeout: Some(Duration::from_secs(20)), ..settings };
    let mut running = Running::start(settings, "127.0.0.1:0").await.unwrap();
    let (mut client, mut other) = (connect(&running).await, connect(&running).await);
    let mut stream = Stream::of(client.complete(&[], body(1, 60)).await.unwrap());
    let _ = stream.next().await.unwrap().expect("a token");
    let ended = tokio::spawn(async move { running.terminate().await });
    let aborted = loop {
        let events = Stream::of(other.complete(&[], body(1, 1)).await.unwrap()).all().await.unwrap();
        if let Event::Chunk(chunk) = &events[0].1
            && chunk.finish == Some(Stop::Abort)
        {
            break events;
        }
    };
    assert_eq!(aborted.len(), 2, "{aborted:?}");
    let rest = stream.all().await.unwrap();
    assert_eq!(rest.iter().filter(|(_, event)| is_token(event)).count(), 59);
    assert_eq!(rest.last().unwrap().1, Event::Done);
    ended.await.unwrap();
    assert!(other.complete(&[], body(1, 1)).await.is_err());
}

/// Clients that vanish at any point (waiting for their turn, for the first token, in the middle) and others that stay: those
/// who stay are served, and the server is empty in the end.
#[tokio::test(start_paused = true)]
async fn many_clients_vanish_and_the_others_are_served() {
    let server = Server::start(settings(FAST, &[]));
    let mut staying = Vec::new();
    for number in 0..300_u64 {
        let mut client = Client::over(server.connect()).await;
        let one = async move { Stream::of(client.complete(&[], body(30, 20)).await.unwrap()).all().await.unwrap().len() };
        if number % 10 == 0 {
            staying.push(tokio::spawn(one));
        } else {
            let patience = Duration::from_millis(1 + number * 7 % 97);
            tokio::spawn(tokio::time::timeout(patience, one));
        }
        tokio::time::sleep(Duration::from_millis(number % 3)).await;
    }
    for one in staying {
        assert_eq!(one.await.unwrap(), 20 + 2, "tokens, usage and the end");
    }
    server.machine().idle().await;
    assert_eq!(server.machine().gauges(), plimsoll::upstream::Gauges::default());
    let metrics = server.machine().exposition();
    let count = |name: &str| -> u64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(' ').next().unwrap_or_default().parse().unwrap_or(0)
    };
    let (done, left) = (count("vllm:request_success_total"), count("plimsoll_emulate_abandoned_total"));
    assert_eq!(done + left, 300, "{done} served, {left} left");
    assert!(done >= 30 && left >= 100, "{done} served, {left} left");
}
