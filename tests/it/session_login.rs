//! Drives the example with a session login as a browser does: with a cookie jar, the forms of its pages, and the
//! requests that its script makes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Answer, Watching};

/// Builds the example once; gives its program.
fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--quiet", "--example", "session_login", "--message-format=json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let built =
            cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).output().expect("cargo");
        let said = String::from_utf8(built.stdout).expect("text");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
        programs.next_back().expect("cargo names the program")
    };
    BUILT.get_or_init(build).clone()
}

/// The application, running.
struct Site {
    child: Child,
    base: String,
    passwords: BTreeMap<String, String>,
}

impl Site {
    fn start() -> Self {
        let mut command = Command::new(program());
        let mut child = command.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("it runs");
        let mut lines =
            BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let (mut base, mut passwords) = (None, BTreeMap::new());
        while passwords.len() < 3 {
            let line = lines.next().expect("it says how to sign in");
            if let Some(address) = line.strip_prefix("listening on ") {
                base = Some(address.to_owned());
            } else if let Some((name, password)) =
                line.strip_prefix("sign in as ").and_then(|line| line.split_once(" with "))
            {
                passwords.insert(name.to_owned(), password.to_owned());
            }
        }
        Self { child, base: base.expect("an address"), passwords }
    }

    fn browser(&self) -> Browser {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
        Browser { http, base: self.base.clone(), cookie: None }
    }

    async fn signed_in(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(name, &self.passwords[name]).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"));
        browser
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody with a cookie jar.
struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: Option<String>,
}

impl Browser {
    /// A request of a page of that site.
    fn from(&self, origin: Option<&str>, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.from(None, Method::GET, path)).await
    }

    /// What the page's script sends.
    async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.from(Some(&self.base), Method::POST, path).json(body)).await
    }

    async fn form(&mut self, path: &str, fields: &str) -> Answer {
        let request = self.from(Some(&self.base), Method::POST, path);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = Answer::of(request.body(fields.to_owned())).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("text");
            let words: Vec<_> = cookie.split("; ").collect();
            assert!(words.contains(&"HttpOnly") && words.contains(&"SameSite=Strict"), "{cookie}");
            let is_gone = words.contains(&"Max-Age=0");
            self.cookie = (!is_gone).then(|| words[0].to_owned());
        }
        answer
    }

    async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.form("/login", &format!("name={name}&password={password}")).await
    }

    async fn start(&self, model: &str, input: Value) -> String {
        let row =
            self.post(&format!("/jobs/tasks/office/{model}"), &json!({ "input": input })).await.with(202);
        format!("office/{model}/{}", row["id"])
    }

    /// What an `EventSource` of the page does.
    async fn watch(&self, task: &str) -> Watching {
        let request = self.from(None, Method::GET, &format!("/jobs/stream/{task}"));
        Watching::open(request.header("accept", "text/event-stream")).await
    }
}

#[tokio::test]
async fn a_user_signs_in_starts_watches_and_cancels_with_a_cookie_alone() {
    let site = Site::start();
    let mut ann = site.browser();
    assert_eq!(ann.get("/").await.header("location"), "/login");
    assert!(ann.get("/login").await.text.contains("type=\"password\""));
    ann.get("/jobs/tasks/office/Export/1").await.problem(401, "unauthorized");
    ann.post("/jobs/tasks/office/Export", &json!({})).await.problem(401, "unauthorized");
    assert_eq!(ann.sign_in("ann", "a-wrong-one").await.header("location"), "/login?wrong");
    assert_eq!(ann.sign_in("nobody", "").await.header("location"), "/login?wrong");
    assert_eq!(ann.cookie, None);
    let password = site.passwords["ann"].clone();
    assert_eq!(ann.sign_in("ann", &password).await.header("location"), "/");
    let page = ann.get("/").await;
    assert!(page.text.contains("page.js") && page.header("content-security-policy").contains("'self'"));
    assert_eq!(ann.get("/me").await.json(), json!({ "name": "ann", "role": "Clerk" }));

    let task = ann.start("Export", json!({ "rows": 5_000 })).await;
    let mut events = ann.watch(&task).await;
    events.until("progress").await;
    let receipt =
        ann.post(&format!("/jobs/cancel/{task}"), &json!({ "reason": "on the page" })).await.with(200);
    assert_eq!((&receipt["status"], &receipt["reason"]), (&json!("cancelled"), &json!("on the page")));
    assert_eq!(events.rest().await.last().expect("an end").event, "cancelled");
    let short = ann.start("Export", json!({ "rows": 1 })).await;
    assert_eq!(ann.watch(&short).await.rest().await.last().expect("an end").event, "completed");

    ann.form("/logout", "").await;
    assert_eq!(ann.cookie, None);
    ann.get(&format!("/jobs/tasks/{short}")).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn roles_decide_who_starts_what_and_who_touches_the_tasks_of_others() {
    let site = Site::start();
    let (ann, bob, sue) =
        (site.signed_in("ann").await, site.signed_in("bob").await, site.signed_in("sue").await);
    ann.post("/jobs/tasks/office/Purge", &json!({})).await.problem(403, "forbidden");
    sue.post("/jobs/tasks/office/Purge", &json!({})).await.with(202);
    let task = ann.start("Export", json!({ "rows": 5_000 })).await;
    // Another clerk cannot tell that it exists.
    bob.get(&format!("/jobs/tasks/{task}")).await.problem(404, "task-not-found");
    bob.get(&format!("/jobs/stream/{task}")).await.problem(404, "task-not-found");
    bob.post(&format!("/jobs/cancel/{task}"), &json!({})).await.problem(404, "task-not-found");
    let mut events = sue.watch(&task).await;
    events.until("progress").await;
    sue.post(&format!("/jobs/cancel/{task}"), &json!({})).await.with(200);
    let row = ann.get(&format!("/jobs/tasks/{task}")).await.with(200);
    assert_eq!((&row["owner"], &row["cancelled_by"]), (&json!("ann"), &json!("sue")));
}

#[tokio::test]
async fn no_other_site_can_write_with_the_cookie_of_whoever_is_signed_in() {
    let site = Site::start();
    let ann = site.signed_in("ann").await;
    let task = ann.start("Export", json!({ "rows": 5_000 })).await;
    let paths =
        [format!("/jobs/cancel/{task}"), "/jobs/tasks/office/Export".to_owned(), "/logout".to_owned()];
    for path in &paths {
        for origin in [None, Some("https://evil.example"), Some("null"), Some("http://127.0.0.1:1")] {
            // As a form or a script of another page would send it, if the browser gave it the cookie.
            let answer = Answer::of(ann.from(origin, Method::POST, path)).await;
            assert_eq!(answer.status, 403, "{path} from {origin:?}: {answer:?}");
        }
    }
    let row = ann.get(&format!("/jobs/tasks/{task}")).await.with(200);
    assert_eq!((&row["status"], &row["cancel_requested_at"]), (&json!("running"), &json!(null)));
    ann.post(&paths[0], &json!({})).await.with(200);
    // A session that was made up, or changed on its way, is none.
    let mut forged = site.browser();
    forged.cookie = Some("session=c3Vl".to_owned());
    forged.get("/me").await;
    forged.get(&format!("/jobs/tasks/{task}")).await.problem(401, "unauthorized");
}
