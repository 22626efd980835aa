//! `plimsoll emulate` from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("emulate").args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    command
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(arguments).output().unwrap();
    assert_eq!((status.code(), stdout.is_empty()), (Some(2), true));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn what_cannot_be_emulated_says_why() {
    let told = refused(&["scenarios/queue_mmc.toml"]);
    assert!(told.contains("a plain station has no tokens to stream") && told.contains("kind = "), "{told}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = refused(&["scenarios/vllm_overload.toml", "--listen", &address]);
    assert!(told.contains(&address) && told.contains("something listens there already"), "{told}");
    let told = refused(&["scenarios/vllm_overload.toml", "--variant", "x"]);
    assert!(told.contains("there is no variant \"x\"") && told.contains("no control"), "{told}");
    let told = refused(&["scenarios/vllm_overload.toml", "--set", "upstream.max_model_len=400"]);
    assert!(told.contains("prompts of 500 tokens do not fit into the model's context of 400 tokens"), "{told}");
    let told = refused(&["scenarios/vllm_overload.toml", "--bytes-per-token", "0"]);
    assert!(told.contains("a number above 0"), "{told}");
    let told = refused(&["scenarios/vllm_overload.toml", "--listen", "here"]);
    assert!(told.contains("cannot listen on here") && told.contains("such as 127.0.0.1:8000"), "{told}");
}

/// A server that is stopped whatever the test comes to.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let mut command = command(&["scenarios/vllm_overload.toml", "--listen", "127.0.0.1:0", "--model", "tiny"]);
    let mut emulator = Emulator(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(emulator.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let body = r#"{"model":"tiny","prompt":[1,2,3],"max_tokens":2,"ignore_eos":true}"#;
    let length = body.len();
    write!(
        connection,
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"completion_tokens\":2"), "{answer}");
    let terminated = Command::new("kill").arg(emulator.0.id().to_string()).status().unwrap();
    assert!(terminated.success());
    assert!(emulator.0.wait().unwrap().success());
    let last = lines.next().unwrap().unwrap();
    assert!(last.starts_with("1 requests; ") && last.contains("at p99"), "{last}");
}
