//! Owns `FetchTask`: reads a page over http or https, within a size and a time.
//!
//! It keeps nothing of what it read, follows at most ten redirects, and uses no proxy.

use std::time::Duration;

use reqwest::{Client, Response, Url, redirect};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::runtime::{Task, TaskContext};
use crate::task::TaskError;

use super::APP;

/// The most that is read.
const MAX_BYTES: u64 = 10 * 1024 * 1024;

/// How much is read between two events.
const PROGRESS_BYTES: u64 = 256 * 1024;

/// The most time a fetch may take in all.
const TOTAL_TIME: Duration = Duration::from_secs(30);

/// The HTTP client that all fetches share.
#[derive(Debug, Clone)]
pub struct FetchClient(Client);

impl FetchClient {
    /// Makes the client.
    ///
    /// # Errors
    /// Where the system gives it no TLS or resolver.
    pub fn new() -> Result<Self, reqwest::Error> {
        Client::builder()
            .timeout(TOTAL_TIME)
            .redirect(redirect::Policy::limited(10))
            .no_proxy()
            .build()
            .map(Self)
    }
}

/// Reads a page and tells how large it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchTask {
    /// The address: http or https.
    #[serde(deserialize_with = "address")]
    pub url: Url,
}

/// What was fetched.
#[derive(Debug, Serialize)]
pub struct Fetched {
    /// What the server answered; an error status is an answer too.
    pub status_code: u16,
    /// How many bytes the body had.
    pub bytes: u64,
}

impl Task for FetchTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "FetchTask";
    type Output = Fetched;

    async fn process(&self, ctx: TaskContext) -> Result<Fetched, TaskError> {
        let client = ctx
            .state::<FetchClient>()
            .ok_or_else(|| TaskError::new("NoClient", "the host registered no FetchClient as state"))?;
        ctx.send_event("start", &json!({ "url": self.url.as_str() })).await?;
        let response = client.0.get(self.url.clone()).send().await.map_err(|error| failed(&error))?;
        let status_code = response.status().as_u16();
        let bytes = read(&ctx, response).await?;
        let fetched = Fetched { status_code, bytes };
        ctx.send_event("complete", &fetched).await?;
        Ok(fetched)
    }
}

/// Counts the body's bytes as they come; none of them is kept.
async fn read(ctx: &TaskContext, mut response: Response) -> Result<u64, TaskError> {
    if response.content_length().is_some_and(|length| length > MAX_BYTES) {
        return Err(too_large());
    }
    let (mut bytes, mut told) = (0, None);
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if bytes > MAX_BYTES {
            return Err(too_large());
        }
        if bytes - told.unwrap_or(0) >= PROGRESS_BYTES {
            ctx.send_event("progress", &json!({ "bytes": bytes })).await?;
            told = Some(bytes);
        }
    }
    if told != Some(bytes) {
        ctx.send_event("progress", &json!({ "bytes": bytes })).await?;
    }
    Ok(bytes)
}

fn too_large() -> TaskError {
    TaskError::new("TooLarge", format!("the body has more than {MAX_BYTES} bytes"))
}

/// Each kind of failure has its name; the words are those of the innermost cause, without the url.
fn failed(error: &reqwest::Error) -> TaskError {
    let kind = if error.is_timeout() {
        return TaskError::new("FetchTimeout", format!("no whole answer within {} s", TOTAL_TIME.as_secs()));
    } else if error.is_connect() {
        "ConnectFailed"
    } else if error.is_redirect() {
        "BadRedirect"
    } else {
        "FetchFailed"
    };
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    TaskError::new(kind, cause.to_string())
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let refuse = |why: &str| serde::de::Error::custom(format!("url: {why}"));
    let text = String::deserialize(deserializer)?;
    let url = Url::parse(&text).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("only http and https are fetched"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("a name and a password do not belong in a task's input"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_and_https_are_fetched() {
        let read = |url: &str| serde_json::from_value::<FetchTask>(json!({ "url": url }));
        for bad in ["", "nonsense", "file:///etc/passwd", "ftp://h/", "http://", "http://u:p@h/"] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("url: "), "{bad}: {error}");
        }
        for good in ["http://127.0.0.1:1/x", "https://example.org"] {
            assert!(read(good).is_ok(), "{good}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_named() {
        let client = FetchClient::new().unwrap();
        // Port 1 is privileged and unused: nothing listens there.
        let error = client.0.get("http://127.0.0.1:1/").send().await.unwrap_err();
        assert_eq!(failed(&error).error_type(), "ConnectFailed");
    }
}
