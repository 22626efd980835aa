//! A look at the server before anything is sent to it: that it is one, and which models it has.

use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

use super::way::Way;
use crate::live::openai::ApiError;

/// Longest answer that is read, bytes.
const BYTES_MAX: usize = 8 << 20;
/// Longest wait for it.
const WITHIN: Duration = Duration::from_secs(10);

/// A server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Server {
    /// The model that is driven.
    pub model: Model,
    /// Its version, where it says so (`/version`, as vLLM does).
    pub version: Option<String>,
}

/// A model that a server has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Its name.
    pub id: String,
    /// How long prompt and answer may be together, tokens, where the server says so.
    pub max_model_len: Option<u32>,
}

/// Why a server cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers.
    #[error("cannot reach {target}: {why}\n  = tried GET {target}/v1/models; is the server up, and is this its address?")]
    Unreachable {
        /// Where.
        target: String,
        /// Why not.
        why: String,
    },
    /// It wants a key, or another one.
    #[error(
        "{target} answers GET /v1/models with status {status}{said}\n  = it wants an API key: put it into an environment variable \
         and name that with `--api-key-env`"
    )]
    Key {
        /// Where.
        target: String,
        /// 401 or 403.
        status: u16,
        /// What it says, after a colon.
        said: String,
    },
    /// Somebody else answers.
    #[error(
        "{target} is not an OpenAI-compatible server: {what}\n  = tried GET {target}/v1/models, which should list its models; the \
         target is what stands before /v1"
    )]
    NotOpenAi {
        /// Where.
        target: String,
        /// What it does instead.
        what: String,
    },
    /// It does not have the model.
    #[error("{target} has no model `{wanted}`; it has {has}")]
    NoModel {
        /// Where.
        target: String,
        /// Which.
        wanted: String,
        /// Those it has.
        has: String,
    },
}

/// Looks at the server that `way` leads to; `wanted` is the model's name, or else the first it lists is taken. The model's name
/// in `way` does not matter.
///
/// # Errors
/// If it does not answer as such a server does, or does not have the model.
pub async fn probe(way: &Way, wanted: Option<&str>) -> Result<Server, ProbeError> {
    let target = way.pool.target().to_string();
    let unreachable = |why: String| ProbeError::Unreachable { target: target.clone(), why };
    let (status, body) = match timeout(WITHIN, get(way, "/v1/models")).await {
        Ok(answer) => answer.map_err(unreachable)?,
        Err(_) => return Err(unreachable(format!("no answer within {} s", WITHIN.as_secs()))),
    };
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let said = ApiError::read(&body).map_or(String::new(), |error| format!(": {}", error.message));
        return Err(ProbeError::Key { target, status: status.as_u16(), said });
    }
    let models = match models(status, &body) {
        Ok(models) => models,
        Err(what) => return Err(ProbeError::NotOpenAi { target, what }),
    };
    let found = match wanted {
        None => models.first(),
        Some(name) => models.iter().find(|model| model.id == name),
    };
    let Some(model) = found.cloned() else {
        let has = models.iter().map(|model| format!("`{}`", model.id)).collect::<Vec<_>>().join(", ");
        let wanted = wanted.unwrap_or_default().to_owned();
        return Err(ProbeError::NoModel { target, wanted, has });
    };
    let version = timeout(WITHIN, get(way, "/version")).await.ok().and_then(Result::ok).and_then(|(_, body)| version(&body));
    Ok(Server { model, version })
}

pub(super) async fn get(way: &Way, path: &str) -> Result<(StatusCode, Vec<u8>), String> {
    let response = way.pool.send(way.get(path), way.terms).await.map_err(|why| why.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), BYTES_MAX).collect().await.map_err(|why| why.to_string())?;
    Ok((status, body.to_bytes().to_vec()))
}

/// At least one, or what the answer is instead.
fn models(status: StatusCode, body: &[u8]) -> Result<Vec<Model>, String> {
    if status != StatusCode::OK {
        return Err(format!("it answers with status {}", status.as_u16()));
    }
    let value: Value = serde_json::from_slice(body).map_err(|_| "its answer is no JSON".to_owned())?;
    let listed = value["data"].as_array().ok_or("its answer has no list `data`")?;
    let model = |one: &Value| {
        let length = one["max_model_len"].as_u64().and_then(|tokens| u32::try_from(tokens).ok());
        Some(Model { id: one["id"].as_str()?.to_owned(), max_model_len: length })
    };
    let found: Vec<Model> = listed.iter().filter_map(model).collect();
    if found.is_empty() { Err("it lists no model".to_owned()) } else { Ok(found) }
}

fn version(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(body).ok()?["version"].as_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_listed_or_the_answer_is_named() {
        let body = br#"{"object":"list","data":[{"id":"m20","max_model_len":2048},{"id":"other"},{"object":"model"}]}"#;
        let found = models(StatusCode::OK, body).unwrap();
        assert_eq!(found[0], Model { id: "m20".to_owned(), max_model_len: Some(2048) });
        assert_eq!((found.len(), found[1].max_model_len), (2, None));
        for (status, body, what) in [
            (StatusCode::NOT_FOUND, &b"<html>"[..], "it answers with status 404"),
            (StatusCode::OK, b"<html>", "its answer is no JSON"),
            (StatusCode::OK, b"{}", "its answer has no list `data`"),
            (StatusCode::OK, br#"{"data":[{}]}"#, "it lists no model"),
        ] {
            assert_eq!(models(status, body).unwrap_err(), what);
        }
    }
}
