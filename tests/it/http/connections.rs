//! Holds what hostile connections get: nobody keeps one for long who does not send or take in time, nobody gets more
//! than there are, and whoever is slow but honest is served. A handful each, with short deadlines; `scripts/hostile`
//! does it with thousands and the real ones.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use quell::http::{Connections, HttpOptions};
use quell::server::demo::register_demo;
use quell::{Registry, RuntimeSettings, Task, TaskContext, TaskError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::server::{Client, Home, Hosted, Server, Socket, eventually, token};

/// A deadline that is over soon.
const SOON: Duration = Duration::from_millis(400);
/// One that is not over in a test.
const LATE: Duration = Duration::from_secs(25);
/// Between two bytes.
const PAUSE: Duration = Duration::from_millis(20);
const LIVEZ: &str = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

async fn host(connections: Connections, options: HttpOptions) -> Hosted {
    let registry = register_demo(Registry::new()).expect("models").task::<Flood>().expect("a model");
    let settings = RuntimeSettings { keep_events: 1_000_000, ..RuntimeSettings::default() };
    Hosted::guarded(registry, settings, options, connections).await
}

async fn short(head: Duration, body: Duration) -> Hosted {
    let options = HttpOptions::default().body_deadline(body);
    host(Connections::default().head_deadline(head), options).await
}

/// The value of a number, with its labels as they stand there.
fn number(host: &Hosted, series: &str) -> u64 {
    let text = host.coordinators[0].metrics().expect("the runtime's own");
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {series}")).parse().expect("a number")
}

/// Reads one answer with a length, and leaves the connection open.
async fn answered(socket: &mut Socket) -> String {
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        let more = socket.read().await.expect("an answer");
        assert!(!more.is_empty(), "it closed: {text}");
        text.push_str(&String::from_utf8_lossy(&more));
    }
    text
}

/// Sends a byte at a time, for ever, until the connection ends; tells what came.
async fn dribbled(mut socket: Socket, bytes: &'static str) -> String {
    let mut told = String::new();
    for byte in bytes.bytes().cycle() {
        socket.send([byte]).await;
        match timeout(PAUSE, socket.read()).await {
            Err(_) => {}
            Ok(Ok(more)) if !more.is_empty() => told.push_str(&String::from_utf8_lossy(&more)),
            Ok(_) => break,
        }
    }
    told
}

#[tokio::test]
async fn a_head_that_comes_a_byte_at_a_time_is_cut_off_the_first_and_any_later_one() {
    let host = short(SOON, LATE).await;
    let mut all = Vec::new();
    for is_later in [false, true, false, true] {
        let mut socket = Socket::open(host.address()).await;
        if is_later {
            socket.send(LIVEZ).await;
            assert!(answered(&mut socket).await.starts_with("HTTP/1.1 200"));
        }
        socket.send("GET /livez HTTP/1.1\r\nhost: x\r\n").await;
        all.push(dribbled(socket, "x: y\r\n"));
    }
    for told in futures_util::future::join_all(all).await {
        assert!(told.starts_with("HTTP/1.1 408"), "{told:?}");
    }
    // One that says nothing at all is no better.
    let silent = Socket::open(host.address()).await;
    assert_eq!(silent.reply().await.status, 408);
    assert_eq!(number(&host, "quell_connections_cut_total{reason=\"head\"}"), 5);
    eventually("none is left", async || (number(&host, "quell_connections") == 0).then_some(())).await;
    host.stop().await;
}

/// actix-web's timers are exact to half of one.
const A_SECOND: Duration = Duration::from_secs(1);

/// The reason for a door of our own; where this fails, a later actix-web has made it good.
#[tokio::test]
async fn trap_13_actix_web_itself_bounds_the_first_head_and_no_later_one() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = HttpServer::new(|| App::new().default_service(web::to(HttpResponse::Ok)))
                .workers(1)
                .client_request_timeout(A_SECOND)
                .disable_signals()
                .bind("127.0.0.1:0")
                .expect("a port");
            let address = server.addrs()[0].to_string();
            let server = server.run();
            assert!(tell.send((address, server.handle())).is_ok(), "the test waits");
            server.await.expect("it serves");
        });
    });
    let (address, server) = told.await.expect("it starts");
    let first = Socket::open(&address).await;
    assert!(dribbled(first, LIVEZ.trim_end()).await.starts_with("HTTP/1.1 408"));
    let mut later = Socket::open(&address).await;
    later.send(LIVEZ).await;
    assert!(answered(&mut later).await.starts_with("HTTP/1.1 200"));
    later.send(&LIVEZ[..LIVEZ.len() - 2]).await;
    // Much longer than a head may take.
    assert!(timeout(A_SECOND * 3, later.read()).await.is_err(), "it was answered or closed");
    later.send("\r\n").await;
    assert!(answered(&mut later).await.starts_with("HTTP/1.1 200"));
    drop(later);
    server.stop(false).await;
    tokio::task::spawn_blocking(move || thread.join()).await.expect("it ends").expect("no panic");
}

fn start(more: &str) -> String {
    let token = token("alice");
    format!(
        "POST /tasks/tests/StuckTask HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n{more}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_not_waited_for() {
    let host = short(LATE, SOON).await;
    let mut never = Socket::open(host.address()).await;
    never.send(start("content-length: 1000")).await;
    let mut slow = Socket::open(host.address()).await;
    slow.send(start("content-length: 100000")).await;
    let mut chunked = Socket::open(host.address()).await;
    chunked.send(start("transfer-encoding: chunked")).await;
    let (never, slow, chunked) =
        tokio::join!(never.reply(), dribbled(slow, " "), dribbled(chunked, "1\r\n \r\n"));
    for told in [&never.text, &slow, &chunked] {
        assert!(told.starts_with("HTTP/1.1 408") && told.contains("request-timeout"), "{told:?}");
    }
    assert_eq!(number(&host, "quell_connections_cut_total{reason=\"body\"}"), 3);
    eventually("none is left", async || (number(&host, "quell_connections") == 0).then_some(())).await;
    host.stop().await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_keep_the_connection() {
    let host = short(SOON, LATE).await;
    // actix-web goes on reading such a body, to save the connection, for as long as it comes.
    let mut chunked = Socket::open(host.address()).await;
    chunked.send("GET /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let told = dribbled(chunked, "1\r\n \r\n").await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told:?}");
    let mut sized = Socket::open(host.address()).await;
    sized.send("GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n").await;
    let told = dribbled(sized, " ").await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told:?}");
    eventually("none is left", async || (number(&host, "quell_connections") == 0).then_some(())).await;
    host.stop().await;
}

#[tokio::test]
async fn whoever_is_slow_but_in_time_is_served() {
    let host = short(LATE, LATE).await;
    let mut socket = Socket::open(host.address()).await;
    let body = "{\"input\": {}}";
    for byte in start(&format!("content-length: {}", body.len())).bytes().chain(body.bytes()) {
        socket.send([byte]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(answered(&mut socket).await.starts_with("HTTP/1.1 202"));
    socket.send(LIVEZ).await;
    assert!(answered(&mut socket).await.starts_with("HTTP/1.1 200"), "and may ask again");
    host.stop().await;
}

/// Sends events as fast as they are taken.
#[derive(Deserialize)]
struct Flood {}

impl Task for Flood {
    const APP: &'static str = "tests";
    const MODEL: &'static str = "Flood";
    type Output = ();

    async fn process(&self, ctx: TaskContext) -> Result<(), TaskError> {
        loop {
            ctx.send_event("drop", &"x".repeat(8_000)).await?;
        }
    }
}

async fn watched(host: &Hosted, alice: &Client) -> Socket {
    let task = alice.start("Flood", json!({})).await;
    let mut socket = Socket::narrow(host.address()).await;
    let (path, token) = (task.stream(), token("alice"));
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    socket.send(head).await;
    socket
}

#[tokio::test]
async fn a_stream_that_is_never_read_loses_its_connection() {
    let host = host(Connections::default().reader_patience(SOON), HttpOptions::default()).await;
    let alice = host.client("alice");
    let mut socket = watched(&host, &alice).await;
    let cut = "quell_connections_cut_total{reason=\"reader\"}";
    eventually("it is cut off", async || (number(&host, cut) == 1).then_some(())).await;
    eventually("its stream is gone", async || (number(&host, "quell_streams") == 0).then_some(())).await;
    // What it finds when it wakes up: what was on its way, and the end.
    while socket.read().await.is_ok_and(|bytes| !bytes.is_empty()) {}
    host.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_read_slowly_goes_on() {
    let patience = Duration::from_secs(2);
    let host = host(Connections::default().reader_patience(patience), HttpOptions::default()).await;
    let alice = host.client("alice");
    let mut socket = watched(&host, &alice).await;
    // Far slower than the events come, and well past the patience.
    let (began, mut bytes) = (Instant::now(), 0);
    while began.elapsed() < patience * 3 {
        let more = socket.read().await.expect("it goes on");
        assert!(!more.is_empty(), "it ended after {bytes} bytes, {:?}", began.elapsed());
        bytes += more.len();
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(number(&host, "quell_connections_cut_total{reason=\"reader\"}"), 0);
    assert_eq!(number(&host, "quell_streams"), 1);
    drop(socket);
    host.stop().await;
}

#[tokio::test]
async fn i31_past_the_limit_a_connection_is_closed_and_the_others_go_on() {
    let host = host(Connections::default().max(4).head_deadline(LATE), HttpOptions::default()).await;
    let mut four = Vec::new();
    for _ in 0..4 {
        let mut socket = Socket::open(host.address()).await;
        socket.send(LIVEZ).await;
        assert!(answered(&mut socket).await.starts_with("HTTP/1.1 200"));
        four.push(socket);
    }
    let fifth = Socket::open(host.address()).await.reply().await;
    assert_eq!((fifth.status, fifth.body()), (503, ""));
    assert!(fifth.head().contains("retry-after: 1"), "{fifth:?}");
    four[0].send(LIVEZ).await;
    assert!(answered(&mut four[0]).await.starts_with("HTTP/1.1 200"));
    assert_eq!(number(&host, "quell_connections"), 4);
    assert_eq!(number(&host, "quell_connections_refused_total{reason=\"limit\"}"), 1);
    four.pop().expect("one").close();
    let mut next = eventually("its place is free", async || {
        let mut socket = Socket::open(host.address()).await;
        socket.send(LIVEZ).await;
        let told = socket.read().await.unwrap_or_default();
        told.starts_with(b"HTTP/1.1 200").then_some(socket)
    })
    .await;
    next.send(LIVEZ).await;
    assert!(answered(&mut next).await.starts_with("HTTP/1.1 200"));
    drop((four, next));
    host.stop().await;
}

#[tokio::test]
async fn i31_an_address_has_its_number_but_for_trusted_proxies() {
    let connections = || Connections::default().max_per_address(2).head_deadline(LATE);
    let proxies = "127.0.0.3".parse().expect("an address");
    let host = host(connections().trusted_proxies(proxies), HttpOptions::default()).await;
    let mut open = Vec::new();
    for (from, welcome) in [(1, 2), (2, 2), (3, 5)] {
        let from = Ipv4Addr::new(127, 0, 0, from);
        for number in 0..5 {
            let mut socket = Socket::open_from(host.address(), from).await;
            socket.send(LIVEZ).await;
            if number < welcome {
                assert!(answered(&mut socket).await.starts_with("HTTP/1.1 200"), "{from} {number}");
                open.push(socket);
            } else {
                let told = socket.read().await.unwrap_or_default();
                assert!(!told.starts_with(b"HTTP/1.1 200"), "{from} {number}");
            }
        }
    }
    assert_eq!(number(&host, "quell_connections_refused_total{reason=\"address\"}"), 6);
    assert_eq!(number(&host, "quell_connections"), 9);
    drop(open);
    host.stop().await;
}

#[tokio::test]
async fn i20_there_is_room_for_all_connections_or_no_start() {
    let ended = Home::new().refusal(&["--max-connections", "9000000"]).await;
    let line = ended.one_line();
    assert!(line.contains("9000000") && line.contains("ulimit -Hn"), "{line}");
    let server = Server::with(&["--max-connections", "100"]).await;
    let limits = std::fs::read_to_string(server.proc("limits")).expect("they are there");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    let numbers: Vec<&str> = files.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    assert!(numbers.first() == numbers.last(), "as many as it may have: {files}");
    server.stop().await;
}

/// Kilobytes of memory of a process.
fn resident_kib(server: &Server) -> u64 {
    let text = std::fs::read_to_string(server.proc("status")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says it");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

/// What this thread starts from now on runs on two cores.
fn on_two_cores() {
    let all = sched_getaffinity(None).expect("the kernel says it");
    let mut two = CpuSet::new();
    (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).take(2).for_each(|cpu| two.set(cpu));
    sched_setaffinity(None, &two).expect("they are ours");
}

/// It asks the server for nothing meanwhile: an allocator that gives memory back only when it is called would keep it.
#[tokio::test]
async fn what_a_flood_took_is_given_back_while_nobody_asks_for_anything() {
    const CONNECTIONS: usize = 1_200;
    // Each core's thread keeps the heads of 256 requests for later ones, with the bytes that they came in.
    on_two_cores();
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to its maximum");
    let server = Home::new().server(&[]).await;
    let before = resident_kib(&server);
    let mut flood = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut socket = Socket::open(server.address()).await;
        socket.send(start("content-length: 30")).await;
        flood.push(socket);
    }
    let mut last = before;
    let peak = eventually("all of the flood is in its memory", async || {
        tokio::time::sleep(SOON).await;
        let now = resident_kib(&server);
        let grown = now.saturating_sub(std::mem::replace(&mut last, now));
        (now > before + 8 * 1024 && grown < 256).then_some(now)
    })
    .await;
    for socket in flood {
        socket.reset();
    }
    let goal = peak - (peak - before) / 3;
    eventually("the memory is given back", async || (resident_kib(&server) < goal).then_some(())).await;
    server.stop().await;
}
