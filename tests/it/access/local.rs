//! Holds a server without authentication: for this machine only, and not for pages of other sites in its browser.

use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Client, Ended, Home, Server, Socket, refusal_of};

async fn local(arguments: &[&str]) -> Server {
    let home = Home::new();
    let mut command = home.command(&[&["--auth", "none"], arguments].concat());
    command.env_remove("QUELL_API_TOKENS");
    Server::of(&home, command).await
}

/// One request as it is written, and the status of its answer.
async fn status(server: &Server, head: &str) -> u16 {
    let mut socket = Socket::open(server.address()).await;
    socket.send(format!("{head}connection: close\r\n\r\n")).await;
    socket.reply().await.status
}

#[tokio::test]
async fn everybody_on_this_machine_is_local_and_may_do_everything() {
    let server = local(&[]).await;
    let stranger = server.stranger();
    let task = stranger.start("StuckTask", json!({})).await;
    assert_eq!(stranger.show(&task).await["owner"], "local");
    let receipt = stranger.post(&task.cancel()).await.with(200);
    assert_eq!(receipt["status"], "cancelled");
    assert_eq!(stranger.show(&task).await["cancelled_by"], "local");
    // A token is not needed, and does not change who it is.
    let somebody = Client::new(&format!("http://{}", server.address()), "whatever-it-is");
    assert_eq!(somebody.show(&task).await["owner"], "local");
    assert!(!server.home().path().join("quell.db.token").exists(), "no token is made");
    assert!(!server.err().contains("Authorization"), "{}", server.err());
    assert_eq!(server.err().lines().filter(|line| line.contains("curl ")).count(), 3);
}

#[tokio::test]
async fn i32_it_is_refused_on_an_open_address() {
    for bind in ["0.0.0.0:0", "[::]:0"] {
        let home = Home::new();
        let mut command = home.command(&["--auth", "none"]);
        // The later one of two: the tests' own address stands before it.
        command = {
            let mut other = std::process::Command::new(command.get_program());
            other.args(["serve", "--auth", "none", "--bind", bind]).current_dir(home.path()).env_clear();
            other.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            other
        };
        let ended: Ended = refusal_of(command).await;
        let line = ended.one_line();
        assert!(line.contains("is no loopback address") || line.contains("cannot listen"), "{line}");
        assert!(!home.database().exists(), "the database is not touched");
    }
}

#[tokio::test]
async fn a_foreign_host_is_refused_whatever_it_asks_for() {
    let server = local(&[]).await;
    let port = server.address().rsplit_once(':').unwrap().1;
    let paths = [
        "GET /tasks/tests/StuckTask/1",
        "POST /tasks/tests/StuckTask",
        "GET /health",
        "GET /nothing",
        "PUT /health",
    ];
    for request in paths {
        for host in [
            format!("host: evil.example:{port}\r\n"),
            "host: evil.example\r\n".to_owned(),
            "host: localhost\r\n".to_owned(),
            format!("host: localhost.evil.example:{port}\r\n"),
            format!("host: localhost:{port}\r\nhost: evil.example\r\n"),
            "host:\r\n".to_owned(),
        ] {
            let head = format!("{request} HTTP/1.1\r\n{host}content-length: 0\r\n");
            let status = status(&server, &head).await;
            assert!([400, 403].contains(&status), "{status}: {head}");
        }
        assert_eq!(
            status(&server, &format!("{request} HTTP/1.0\r\ncontent-length: 0\r\n")).await,
            403,
            "no host at all"
        );
    }
    for host in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"] {
        assert_eq!(status(&server, &format!("GET /health HTTP/1.1\r\nhost: {host}:{port}\r\n")).await, 200);
    }
    let foreign =
        server.stranger().call(Method::POST, "/tasks/tests/StuckTask").header("host", "evil.example");
    Answer::of(foreign).await.problem(403, "forbidden");
    // Nothing was started by all of these.
    assert_eq!(server.stranger().get("/tasks/tests/StuckTask/1").await.status, 404);
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_unless_it_was_let_in() {
    let server = local(&["--cors-origin", "https://app.example.com"]).await;
    let post = async |origin: &str| {
        let request =
            server.stranger().call(Method::POST, "/tasks/tests/ExampleTask").header("origin", origin);
        Answer::of(request).await
    };
    for origin in ["https://evil.example", "null", "http://localhost", "https://app.example.com.evil.example"]
    {
        let answer = post(origin).await;
        answer.problem(403, "forbidden");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
    post(&format!("http://{}", server.address())).await.with(202);
    let answer = post("https://app.example.com").await;
    answer.with(202);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
    let refused =
        server.err().lines().filter(|l| l.contains("quell::audit") && l.contains("forbidden")).count();
    assert_eq!(refused, 4, "{}", server.err());
}
